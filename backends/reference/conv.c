/*
 * Convolution, forward and backward:
 *
 *     y[n,o,oy,ox] = bias[o] + sum over i,ky,kx of
 *                    weight[o,i,ky,kx] * x[n, i, oy*stride - pad + ky, ox*stride - pad + kx]
 *
 * where cells outside x are 0 and i runs over the input channels of o's group. With the cells that
 * an output position sees written out as a column, that is a matrix product, and so are its two
 * gradients. Some output rows (a strip) are treated at a time, so that the columns stay small.
 */
#include "internal.h"

#include <string.h>

/* Output positions in a strip: at least this many, in whole rows. */
enum { STRIP = 512 };

/* One image's and one group's part of a convolution. x(channels,h,w), y(outputs,oh,ow). */
typedef struct slab {
    const hmt_window *window;
    int64_t channels, h, w;  /* of x, in this group */
    int64_t outputs, oh, ow; /* of y, in this group */
    int64_t taps;            /* channels * kh * kw: length of a column */
    int64_t rows;            /* output rows of a strip */
    int64_t first, count;    /* the strip: its first output row, its number of rows */
} slab;

static slab slab_of(const hmt_window *window, const reference_tensor *x, const reference_tensor *y)
{
    slab s = {window, x->c / window->groups, x->h, x->w, y->c / window->groups, y->h, y->w, 0, 0, 0,
              0};

    s.taps = s.channels * window->kernel[0] * window->kernel[1];
    s.rows = (STRIP + s.ow - 1) / s.ow;
    if (s.rows > s.oh)
        s.rows = s.oh;
    return s;
}

/* Moves to the next strip; first call with count 0. */
static bool slab_next(slab *s)
{
    s->first += s->count;
    s->count = s->oh - s->first < s->rows ? s->oh - s->first : s->rows;
    return s->count > 0;
}

int64_t reference_conv_scratch(const hmt_window *window, const int64_t in[4], const int64_t out[4])
{
    reference_tensor x = {NULL, in[0], in[1], in[2], in[3]};
    reference_tensor y = {NULL, out[0], out[1], out[2], out[3]};
    slab s = slab_of(window, &x, &y);

    return s.taps * s.rows * s.ow;
}

/* The output columns [begin, end) whose cell at tap kx lies inside x. */
static void row_range(const slab *s, int32_t kx, int64_t *begin, int64_t *end)
{
    int64_t stride = s->window->stride[1], shift = kx - s->window->pad[1];

    *begin = shift < 0 ? (-shift + stride - 1) / stride : 0;
    *end = s->w - shift > 0 ? (s->w - shift + stride - 1) / stride : 0;
    if (*begin > s->ow)
        *begin = s->ow;
    if (*end > s->ow)
        *end = s->ow;
    if (*end < *begin)
        *end = *begin;
}

/* The cells of one row that the positions of an output row see at one tap: 0 outside [begin, end).
 */
static void gather_row(const float *from, int64_t stride, int64_t begin, int64_t end, int64_t count,
                       float *to, int64_t step)
{
    int64_t ox = 0;

    for (; ox < begin; ++ox)
        to[ox * step] = 0.0f;
    if (stride == 1 && step == 1 && begin < end)
        memcpy(to + begin, from + begin, (size_t)(end - begin) * sizeof *to);
    else
        for (; ox < end; ++ox)
            to[ox * step] = from[ox * stride];
    for (ox = end; ox < count; ++ox)
        to[ox * step] = 0.0f;
}

/* Writes the strip's columns: tap t of position p goes to columns[t * tap_step + p * step]. */
static void gather(const slab *s, const float *x, float *columns, int64_t tap_step, int64_t step)
{
    const hmt_window *window = s->window;
    int64_t begin, end, t = 0;

    for (int64_t i = 0; i < s->channels; ++i)
        for (int32_t ky = 0; ky < window->kernel[0]; ++ky)
            for (int32_t kx = 0; kx < window->kernel[1]; ++kx, ++t) {
                row_range(s, kx, &begin, &end);
                for (int64_t r = 0; r < s->count; ++r) {
                    int64_t y = (s->first + r) * window->stride[0] - window->pad[0] + ky;
                    bool inside = y >= 0 && y < s->h;

                    gather_row(x + (i * s->h + y) * s->w + kx - window->pad[1], window->stride[1],
                               inside ? begin : 0, inside ? end : 0, s->ow,
                               columns + t * tap_step + r * s->ow * step, step);
                }
            }
}

/* The transpose of gather: adds the strip's columns(taps, positions) to dx. */
static void scatter(const slab *s, const float *columns, float *dx)
{
    const hmt_window *window = s->window;
    int64_t stride = window->stride[1], begin, end, t = 0;

    for (int64_t i = 0; i < s->channels; ++i)
        for (int32_t ky = 0; ky < window->kernel[0]; ++ky)
            for (int32_t kx = 0; kx < window->kernel[1]; ++kx, ++t) {
                row_range(s, kx, &begin, &end);
                for (int64_t r = 0; r < s->count; ++r) {
                    int64_t y = (s->first + r) * window->stride[0] - window->pad[0] + ky;
                    const float *from = columns + (t * s->count + r) * s->ow;
                    float *to = dx + (i * s->h + y) * s->w + kx - window->pad[1];

                    if (y < 0 || y >= s->h)
                        continue;
                    for (int64_t ox = begin; ox < end; ++ox)
                        to[ox * stride] += from[ox];
                }
            }
}

/* y = bias, or 0. */
static void start_with_bias(const reference_tensor *y, const float *bias)
{
    int64_t area = y->h * y->w;
    float *at = y->at;

    for (int64_t n = 0; n < y->n; ++n)
        for (int64_t o = 0; o < y->c; ++o)
            for (int64_t p = 0; p < area; ++p)
                *at++ = bias ? bias[o] : 0.0f;
}

void reference_conv(const reference_operands *o)
{
    const reference_tensor *x = &o->in[0], *y = &o->out[0];
    const hmt_window *window = &o->step->window;

    start_with_bias(y, o->weight[1]);
    for (int64_t part = 0; part < x->n * window->groups; ++part) { /* image and group */
        slab s = slab_of(window, x, y);
        const float *weight = o->weight[0] + part % window->groups * s.outputs * s.taps;
        const float *from = x->at + part * s.channels * s.h * s.w;
        float *to = y->at + part * s.outputs * s.oh * s.ow;

        while (slab_next(&s)) {
            int64_t positions = s.count * s.ow;

            gather(&s, from, o->scratch, positions, 1);
            reference_product(s.outputs, s.taps, positions, weight, s.taps, 1, o->scratch,
                              positions, to + s.first * s.ow, s.oh * s.ow);
        }
    }
    if (o->step->relu)
        for (int64_t i = 0, count = reference_count(y); i < count; ++i)
            y->at[i] = reference_rectify(y->at[i]);
}

void reference_conv_backward_data(const reference_operands *o)
{
    const reference_tensor *dy = &o->in[0], *dx = &o->out[0];
    const hmt_window *window = &o->step->window;

    memset(dx->at, 0, (size_t)reference_count(dx) * sizeof(float));
    for (int64_t part = 0; part < dx->n * window->groups; ++part) {
        slab s = slab_of(window, dx, dy);
        const float *weight = o->weight[0] + part % window->groups * s.outputs * s.taps;
        const float *from = dy->at + part * s.outputs * s.oh * s.ow;
        float *to = dx->at + part * s.channels * s.h * s.w;

        while (slab_next(&s)) {
            int64_t positions = s.count * s.ow;

            memset(o->scratch, 0, (size_t)(s.taps * positions) * sizeof(float));
            reference_product(s.taps, s.outputs, positions, weight, 1, s.taps,
                              from + s.first * s.ow, s.oh * s.ow, o->scratch, positions);
            scatter(&s, o->scratch, to);
        }
    }
}

/* dbias = the sum of dy over images and positions. */
static void bias_gradient(const reference_tensor *dy, float *dbias)
{
    int64_t area = dy->h * dy->w;

    for (int64_t o = 0; o < dy->c; ++o) {
        double sum = 0.0;

        for (int64_t n = 0; n < dy->n; ++n)
            for (int64_t p = 0; p < area; ++p)
                sum += dy->at[(n * dy->c + o) * area + p];
        dbias[o] = (float)sum;
    }
}

void reference_conv_backward_weights(const reference_operands *o)
{
    const reference_tensor *dy = &o->in[0], *x = &o->in[1], *dweight = &o->out[0];
    const hmt_window *window = &o->step->window;

    memset(dweight->at, 0, (size_t)reference_count(dweight) * sizeof(float));
    for (int64_t part = 0; part < x->n * window->groups; ++part) {
        slab s = slab_of(window, x, dy);
        const float *values = x->at + part * s.channels * s.h * s.w;
        const float *slope = dy->at + part * s.outputs * s.oh * s.ow;
        float *to = dweight->at + part % window->groups * s.outputs * s.taps;

        while (slab_next(&s)) {
            gather(&s, values, o->scratch, 1, s.taps);
            reference_product(s.outputs, s.count * s.ow, s.taps, slope + s.first * s.ow,
                              s.oh * s.ow, 1, o->scratch, s.taps, to, s.taps);
        }
    }
    if (o->out[1].at)
        bias_gradient(dy, o->out[1].at);
}
