/*
 * The first convolution in integers, of models whose weights have 8 bits: two taps to a product.
 * Pixels are rounded to 16 bits of each image's largest magnitude, which costs nothing that shows;
 * weights once more after batch norms have been folded into them, to 127 steps for each output.
 */
#include "first_integer.h"

#include <math.h>
#include <string.h>

#include "first.h"

enum {
    PIECES = 8, /* of an image whose extremes are looked for apart */
    WIDE = 16,  /* comparisons side by side */
    ROWS_AT_ONCE = 8,
    MOST_STEPS = 32767,
    MOST_WEIGHT = 127
};

int first_integer_fits(const exec *e, int32_t weight)
{
    hmt_dtype stored;
    const float *scales;

    if (!exec_kernels(e)->integers_faster || e->plan->training || exec_is_trained(e, weight))
        return 0;
    weights_stored(e->weights, &e->plan->weights[weight], &stored, &scales);
    return stored == HMT_DTYPE_I8;
}

static int64_t pairs(const first_shape *s)
{
    return divide_up((int64_t)s->kernel[1] * s->channels, 2);
}

const integer_images *first_integer_plan(exec *e, const first_shape *s, int64_t images,
                                         int64_t rows)
{
    enum { BLOCK = 16, LINE = 32 }; /* a block of pixels may reach beyond the last column */
    integer_images *b = exec_state(e, sizeof *b);

    if (b == NULL)
        return NULL;
    *b = (integer_images){
        .images = images,
        .channels = s->channels,
        .size = {s->size[0], s->size[1]},
        .pad = {s->pad[0], s->pad[1]},
        .rows = (rows - 1) * s->stride[0] + s->kernel[0],
        .line = divide_up((int64_t)(s->columns + BLOCK) * s->stride[1] * s->channels + 2 * pairs(s),
                          LINE) *
                LINE,
    };
    return b;
}

/* The largest magnitude of n pixels; NaN if one is not finite. */
static float magnitude(const float *x, int64_t n)
{
    float most[WIDE] = {0}, bad[WIDE] = {0};
    int64_t i = 0;

    for (; i + WIDE <= n; i += WIDE)
        for (int k = 0; k < WIDE; ++k) {
            const float v = fabsf(x[i + k]);

            most[k] = v > most[k] ? v : most[k];
            bad[k] += v * 0.0f;
        }
    for (int k = 0; i < n; ++i, ++k) {
        most[k] = fabsf(x[i]) > most[k] ? fabsf(x[i]) : most[k];
        bad[k] += x[i] * 0.0f;
    }
    for (int k = 1; k < WIDE; ++k) {
        most[0] = most[k] > most[0] ? most[k] : most[0];
        bad[0] += bad[k];
    }
    return most[0] + bad[0];
}

/* Operands: x, ranges (N,PIECES). */
static void ranges_loop(const exec *e, const op *o, const member *m)
{
    const integer_images *b = o->state;
    const int64_t cells = (int64_t)b->channels * b->size[0] * b->size[1];
    span part;

    while (team_take(m, b->images * PIECES, 1, &part)) {
        const int64_t piece = part.from % PIECES, from = cells * piece / PIECES;

        exec_data(e, o, 1)[part.from] =
            magnitude(exec_data(e, o, 0) + part.from / PIECES * cells + from,
                      cells * (piece + 1) / PIECES - from);
    }
}

float first_integer_step(const float *ranges, int64_t image)
{
    float most = 0.0f, bad = 0.0f;

    for (int i = 0; i < PIECES; ++i) {
        const float range = ranges[image * PIECES + i];

        most = range > most ? range : most;
        bad += range * 0.0f;
    }
    return most > 0x1p-100f ? most / MOST_STEPS + bad : 1.0f + bad;
}

/* One row of a filled-up image. */
static void fill_row(const integer_images *b, const float *image, float step, int64_t row,
                     int16_t *to)
{
    const int64_t y = row - b->pad[0], room = b->line / b->channels - b->pad[1];
    const int64_t width = b->size[1] < room ? b->size[1] : room;
    const float inverse = 1.0f / step;

    memset(to, 0, (size_t)b->line * sizeof *to);
    if (y < 0 || y >= b->size[0] || isnan(step))
        return;
    for (int32_t c = 0; c < b->channels; ++c) {
        const float *from = image + ((int64_t)c * b->size[0] + y) * b->size[1];
        int16_t *pixel = to + (int64_t)b->pad[1] * b->channels + c;

        for (int64_t i = 0; i < width; ++i, pixel += b->channels) {
            const float steps = from[i] * inverse;

            *pixel = (int16_t)(steps + (steps < 0.0f ? -0.5f : 0.5f));
        }
    }
}

/* Operands: x, ranges, integers. */
static void convert_loop(const exec *e, const op *o, const member *m)
{
    const integer_images *b = o->state;
    const int64_t cells = (int64_t)b->channels * b->size[0] * b->size[1];
    span part;

    while (team_take(m, b->images * b->rows, ROWS_AT_ONCE, &part))
        for (int64_t i = part.from; i < part.to; ++i) {
            const int64_t image = i / b->rows;

            fill_row(b, exec_data(e, o, 0) + image * cells,
                     first_integer_step(exec_data(e, o, 1), image), i % b->rows,
                     (int16_t *)exec_data(e, o, 2) + i * b->line);
        }
}

int32_t first_integer_convert(exec *e, const integer_images *b, int32_t x, int32_t *ranges)
{
    const int32_t integers = exec_scratch(e, divide_up(b->images * b->rows * b->line, 2));

    *ranges = exec_scratch(e, b->images * PIECES);
    exec_shared(e, ranges_loop, b);
    exec_operand(e, x);
    exec_operand(e, *ranges);
    exec_shared(e, convert_loop, b);
    exec_operand(e, x);
    exec_operand(e, *ranges);
    exec_operand(e, integers);
    return integers;
}

int64_t first_integer_panel(const exec *e, const first_shape *s)
{
    return (s->kernel[0] * pairs(s) + 1) * exec_kernels(e)->panel;
}

/* One output's dense weights (C,kh,kw) into its column of a panel. If one is not finite, the scale
 * is NaN. */
static void pack_output(const first_shape *s, const float *dense, int64_t panel, int64_t column,
                        float *to)
{
    const int64_t taps = (int64_t)s->kernel[0] * s->kernel[1];
    int16_t *integers = (int16_t *)to;
    float largest = 0.0f, bad = 0.0f, scale;

    for (int64_t i = 0; i < s->channels * taps; ++i) {
        largest = fabsf(dense[i]) > largest ? fabsf(dense[i]) : largest;
        bad += dense[i] * 0.0f;
    }
    scale = largest > 0.0f ? largest / MOST_WEIGHT : 1.0f;
    to[s->kernel[0] * pairs(s) * panel + column] = scale + bad;
    if (isnan(bad))
        return;
    for (int64_t i = 0; i < taps; ++i)
        for (int64_t c = 0; c < s->channels; ++c) {
            const int64_t at = i % s->kernel[1] * s->channels + c; /* in its line, channels last */
            const int64_t pair = i / s->kernel[1] * pairs(s) + at / 2;

            integers[(pair * panel + column) * 2 + at % 2] =
                (int16_t)rintf(dense[c * taps + i] / scale);
        }
}

typedef struct packing {
    const exec *e;
    const first_shape *shape;
} packing;

static hmt_status pack(const void *user, const weights *from, const hmt_plan_weight *weight,
                       float *to)
{
    const packing *p = user;
    const int64_t panel = exec_kernels(p->e)->panel, size = first_integer_panel(p->e, p->shape);
    const int64_t output = weight->shape[1] * weight->shape[2] * weight->shape[3];
    void *dense;
    hmt_status status =
        device_allocate(p->e->device, (uint64_t)(weight->shape[0] * output) * sizeof(float),
                        "a packed weight", &dense);

    if (status != HMT_OK)
        return status;
    status = weights_read(from, weight, 0, weight->shape[0], dense);
    memset(to, 0, (size_t)(divide_up(weight->shape[0], panel) * size) * sizeof *to);
    for (int64_t i = 0; i < weight->shape[0] && status == HMT_OK; ++i)
        pack_output(p->shape, (const float *)dense + i * output, panel, i % panel,
                    to + i / panel * size);
    device_free(p->e->device, dense);
    return status;
}

int32_t first_integer_weights(exec *e, const first_shape *s, int64_t outputs, int32_t weight)
{
    const int64_t floats = divide_up(outputs, exec_kernels(e)->panel) * first_integer_panel(e, s);
    const packing p = {e, s};

    return exec_weight_form(e, weight, exec_describe(e, 1, &floats, dnnl_a),
                            &(weights_form){FIRST_INTEGER_FORM, pack, &p});
}
