/*
 * Convolutions of groups 1 whose kernel is at most 3 taps wide for each stride, by F(m x m, 3x3).
 *
 * A stride of s is s*s interleaved grids, each with its share of the taps, that a kernel of 3x3
 * reads as if they were channels. Tiles (winograd_tiles.h) are computed a chunk at a time: spectra
 * of the input (point, tile, channel), one matrix product for each point, and back; a chunk's
 * spectra stay in the cache. Spectra of kernels are (point, panel of outputs, input, output in the
 * panel).
 */
#include "winograd.h"

#include <string.h>

#include "conv.h"
#include "winograd_spectra.h"

/* Points of a chunk's tiles: few enough for the cache, enough to read each kernel spectrum seldom.
 */
enum { CHUNK_FORWARD = 150 * 36, CHUNK_GRADIENT = 384 * 36 };

/* What a member takes at once: tiles to transform, rows of a gradient. */
enum { TILES = 2, GRADIENT_ROWS = 4 };

/* ------------------------------------------------------------------------------ running ---------
 */

/* One tile's input spectrum. */
static void analyse(const exec *e, const winograd *w, const float *x, int64_t tile, float *spectrum)
{
    const winograd_place at = winograd_locate(w, tile);
    const int32_t n = w->m + WINOGRAD_TAPS - 1;
    const float *from = x + at.group * w->in.group_step;

    if (w->stored == HMT_DTYPE_I8)
        exec_kernels(e)->winograd_input_counts(w->m, &w->in, from, n * at.row, n * at.column,
                                               (int16_t *)(void *)spectrum, 2 * w->in_step);
    else
        exec_kernels(e)->winograd_input(w->m, &w->in, from, n * at.row, n * at.column, spectrum,
                                        w->in_step);
}

/* Tiles of a chunk that matter at a point, counted from the chunk's first; 0 if there are none. */
static int chunk_tiles(const winograd_part *part, span chunk, span *tiles)
{
    const int64_t end = part->first_tile + part->tiles;

    tiles->from = (part->first_tile > chunk.from ? part->first_tile : chunk.from) - chunk.from;
    tiles->to = (end < chunk.to ? end : chunk.to) - chunk.from;
    return tiles->from < tiles->to;
}

/* The matrix product of a chunk's spectra v at one point and panel j of kernels' spectra u. */
static void multiply(const exec *e, const winograd *w, span chunk, const float *v, const char *u,
                     int64_t point, int64_t j, float *p)
{
    const kernels *k = exec_kernels(e);
    const winograd_part *part = &w->part[point];
    const int64_t at = part->before + j * part->size, width = winograd_width(w);
    const int64_t behind = (w->kernel_values - at - part->size) * width;
    int64_t count;
    span tiles;

    if (!chunk_tiles(part, chunk, &tiles))
        return;
    count = tiles.to - tiles.from;
    u += at * width;
    v += point * w->in_step + tiles.from * w->in_row + part->first_row;
    p += point * w->out_step + tiles.from * w->out_row + j * k->panel;
    if (j < part->first_panel || j >= part->first_panel + part->panels)
        for (int64_t i = 0; i < count; ++i)
            memset(p + i * w->out_row, 0, (size_t)k->panel * sizeof *p);
    else if (w->stored == HMT_DTYPE_I8)
        k->winograd_product(count, part->rows, (const int16_t *)(const void *)v, 2 * w->in_row,
                            (const int16_t *)(const void *)u, p, w->out_row, behind);
    else
        k->gemm(w->stored, count, part->rows, v, w->in_row, 1, u, k->panel, p, w->out_row, 0,
                behind);
}

/* Operands: x, kernel spectra, y, input spectra, output spectra, [filled-up bias]. */
static void convolve_loop(const exec *e, const op *o, const member *m)
{
    const winograd *w = o->state;
    const kernels *k = exec_kernels(e);
    const float *x = exec_data(e, o, 0);
    const char *u = (const char *)exec_data(e, o, 1);
    float *y = exec_data(e, o, 2), *v = exec_data(e, o, 3), *p = exec_data(e, o, 4);
    const float *shift = o->count > 5 ? exec_data(e, o, 5) : NULL;
    const int64_t panels = w->points * w->panels; /* of all points */
    span part;

    for (int64_t from = 0; from < w->tiles; from += w->chunk) {
        const int64_t count = w->tiles - from < w->chunk ? w->tiles - from : w->chunk;
        const span chunk = {from, from + count};

        while (team_take(m, count, TILES, &part))
            for (int64_t i = part.from; i < part.to; ++i)
                analyse(e, w, x, from + i, v + i * w->in_row);
        team_barrier(m);
        while (team_take_less(m, panels, 1, panels, &part))
            for (int64_t panel = part.from; panel < part.to; ++panel)
                multiply(e, w, chunk, v, u, panel / w->panels, panel % w->panels, p);
        team_barrier(m);
        while (team_take(m, count, TILES, &part))
            for (int64_t i = part.from; i < part.to; ++i) {
                const winograd_place at = winograd_locate(w, from + i);

                k->winograd_output(w->m, &w->out, p + i * w->out_row, w->out_step, shift, w->relu,
                                   y + at.group * w->out.group_step, w->m * at.row,
                                   w->m * at.column);
            }
        if (from + count < w->tiles)
            team_barrier(m);
    }
}

/* Operands: dy, x, gradient (kh,kw,I,O), input spectra, output spectra, gradient's spectra. */
static void gradient_loop(const exec *e, const op *o, const member *m)
{
    const winograd *w = o->state;
    const kernels *k = exec_kernels(e);
    const float *dy = exec_data(e, o, 0), *x = exec_data(e, o, 1);
    float *gradient = exec_data(e, o, 2), *v = exec_data(e, o, 3), *p = exec_data(e, o, 4);
    float *sum = exec_data(e, o, 5);
    const int64_t columns = w->panels * k->panel;
    span part;

    for (int64_t from = 0; from < w->tiles; from += w->chunk) {
        const int64_t count = w->tiles - from < w->chunk ? w->tiles - from : w->chunk;
        const span chunk = {from, from + count};

        while (team_take(m, count, TILES, &part))
            for (int64_t i = part.from; i < part.to; ++i) {
                const winograd_place at = winograd_locate(w, from + i);

                analyse(e, w, x, from + i, v + i * w->in_row);
                k->winograd_spread(w->m, &w->out, dy + at.group * w->out.group_step, w->m * at.row,
                                   w->m * at.column, p + i * w->out_row, w->out_step);
            }
        team_barrier(m);
        while (team_take(m, w->points * w->panels, 1, &part)) {
            const int64_t point = part.from / w->panels, j = part.from % w->panels * k->panel;
            const winograd_part *at = &w->part[point]; /* no tap needs other rows */
            span tiles;

            if (!chunk_tiles(at, chunk, &tiles))
                continue;
            k->gemm(HMT_DTYPE_F32, at->rows, tiles.to - tiles.from,
                    v + point * w->in_step + tiles.from * w->in_row + at->first_row, 1, w->in_row,
                    p + point * w->out_step + tiles.from * w->out_row + j, w->out_row,
                    sum + point * w->kernel_step + at->first_row * columns + j, columns,
                    from > at->first_tile, 0);
        }
        team_barrier(m);
    }
    while (team_take(m, w->rows, GRADIENT_ROWS, &part))
        for (int64_t row = part.from; row < part.to; ++row)
            k->winograd_gradient(w->m, &w->kernel, sum + row * columns, w->kernel_step, row,
                                 gradient);
}

/* ------------------------------------------------------------------------------ preparing -------
 */

static int fits(const hmt_plan_step *s)
{
    const hmt_window *window = &s->window;

    return window->groups <= 1 && window->stride[0] == window->stride[1] &&
           window->stride[0] <= 2 &&
           divide_up(window->kernel[0], window->stride[0]) <= WINOGRAD_TAPS &&
           divide_up(window->kernel[1], window->stride[1]) <= WINOGRAD_TAPS;
}

/* Tiles of m x m outputs, each image's for itself. */
static int64_t tiles_of(const int64_t *shape, int64_t m)
{
    return shape[0] * divide_up(shape[2], m) * divide_up(shape[3], m);
}

/* Tiles of all of a batch from which F(4x4), and else F(3x3), is the faster. With fewer the reading
 * of the spectra counts more than the products, and what they add to the memory. */
typedef struct enough {
    int64_t four, three;
} enough;

static enough enough_tiles(const exec *e, int32_t weight)
{
    hmt_dtype stored;
    const float *scales;

    weights_stored(e->weights, &e->plan->weights[weight], &stored, &scales);
    if (stored == HMT_DTYPE_I8 && !exec_kernels(e)->integers_faster)
        return (enough){1, 1}; /* their spectra are as small as those of 16 bits */
    if (stored == HMT_DTYPE_F32 && e->plan->batch == 1) /* keeps a full-size network below 500 MB */
        return (enough){48, 20};
    return (enough){32, 16};
}

/* So few products that any kernel does. */
static int negligible(const hmt_plan_step *s, const int64_t *xs, const int64_t *ys)
{
    return xs[1] * ys[1] * ys[2] * ys[3] * s->window.kernel[0] * s->window.kernel[1] < 1 << 14;
}

/* Whether F(5x5) and F(6x6) are exact enough: of transformed weights in float32, and not in
 * training's forward pass, whose rounding decides that of all gradients; in the backward pass it
 * adds nothing that shows. */
static int large_tiles_hold(const exec *e, const hmt_plan_step *s)
{
    hmt_dtype stored;
    const float *scales;

    if (e->plan->training)
        return s->kind != HMT_STEP_CONV;
    weights_stored(e->weights, &e->plan->weights[s->weight[0]], &stored, &scales);
    return stored == HMT_DTYPE_F32;
}

/* The tiles with which a batch of many costs least. Those larger than 4x4 multiply less, but have
 * more transformed weights to read, and in training to make, which counts where tiles are few. */
static int32_t cheapest_tile(const exec *e, const hmt_plan_step *s, const int64_t *ys)
{
    const int64_t enough = e->plan->training ? 128 : exec_kernels(e)->large_tiles_from;
    double least = winograd_cost(e, s, 4);
    int32_t best = 4;

    for (int32_t m = 5; m <= 6 && tiles_of(ys, m) >= enough; ++m) {
        const double cost = winograd_cost(e, s, m);

        if (cost < least) {
            least = cost;
            best = m;
        }
    }
    return best;
}

/* Outputs of a tile's side, 0 for another kernel: what the device was told, else what measured
 * faster (docs/performance.md). */
static int32_t choose(const exec *e, const hmt_plan_step *s)
{
    const int64_t *xs, *ys, taps = (int64_t)s->window.kernel[0] * s->window.kernel[1];
    int32_t best = 4;
    enough tiles;

    if (!fits(s))
        return 0;
    if (e->device->tile >= 0)
        return e->device->tile > 4 && !large_tiles_hold(e, s) ? 4 : e->device->tile;
    winograd_shapes(e, s, &xs, &ys);
    if (!e->plan->training && negligible(s, xs, ys))
        return 2;
    if (xs[1] <= FIRST_CHANNELS && s->kind != HMT_STEP_CONV_BACKWARD_DATA)
        return 0; /* first.c's */
    if (taps < 9 || ys[2] * ys[3] < 36)
        return 2;
    if (large_tiles_hold(e, s))
        best = cheapest_tile(e, s, ys);
    if (best > 4)
        return best;
    if (e->plan->training)
        return 4;
    tiles = enough_tiles(e, s->weight[0]);
    return tiles_of(ys, 4) >= tiles.four ? 4 : tiles_of(ys, 3) >= tiles.three ? 3 : 2;
}

/* Appends the convolution from tensor `from` to tensor `to`. */
static void convolve(exec *e, winograd *w, int32_t from, int32_t to, int32_t weight, int32_t bias)
{
    int32_t x, u, y, shift = -1;

    if (w == NULL)
        return;
    x = exec_input(e, from, exec_blocked(e, from));
    u = winograd_spectra(e, w, weight);
    if (bias >= 0)
        shift = exec_filled_vector(e, bias, w->out.blocks * exec_kernels(e)->lanes);
    y = exec_output(e, to, exec_blocked(e, to));
    exec_shared(e, convolve_loop, w);
    exec_operand(e, x);
    exec_operand(e, u);
    exec_operand(e, y);
    exec_operand(e, exec_scratch(e, w->points * w->in_step));
    exec_operand(e, exec_scratch(e, w->points * w->out_step));
    exec_operand(e, shift);
}

int winograd_chosen(const exec *e, const hmt_plan_step *s)
{
    return choose(e, s) != 0;
}

int winograd_forward(exec *e, const hmt_plan_step *s)
{
    const int32_t m = choose(e, s);

    if (m == 0)
        return 0;
    convolve(e, winograd_plan(e, s, m, CHUNK_FORWARD), s->in[0], s->out[0], s->weight[0],
             s->weight[1]);
    return 1;
}

int winograd_backward_data(exec *e, const hmt_plan_step *s)
{
    const int32_t m = choose(e, s);

    if (m == 0)
        return 0;
    convolve(e, winograd_plan(e, s, m, CHUNK_FORWARD), s->in[0], s->out[0], s->weight[0], -1);
    return 1;
}

int winograd_backward_weights(exec *e, const hmt_plan_step *s)
{
    const int32_t m = choose(e, s);
    int32_t dy, x, gradient;
    winograd *w;

    if (m == 0)
        return 0;
    w = winograd_plan(e, s, m, CHUNK_GRADIENT);
    if (w == NULL)
        return 1;
    winograd_outputs_last(&w->kernel);
    dy = exec_input(e, s->in[0], exec_blocked(e, s->in[0]));
    x = exec_input(e, s->in[1], exec_blocked(e, s->in[1]));
    gradient = exec_output(e, s->out[0], exec_like(e, s->out[0], dnnl_hwio));
    exec_shared(e, gradient_loop, w);
    exec_operand(e, dy);
    exec_operand(e, x);
    exec_operand(e, gradient);
    exec_operand(e, exec_scratch(e, w->points * w->in_step));
    exec_operand(e, exec_scratch(e, w->points * w->out_step));
    exec_operand(e, exec_scratch(e, w->points * w->kernel_step));
    conv_bias_gradient(e, s, dy);
    return 1;
}
