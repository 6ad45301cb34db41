/*
 * The weights' gradient of convolutions of few input channels, by tiles along rows (first_tiles.c)
 * or tap by tap (kernels/first_gradient_body.h). A task is a part of the batch and, tap by tap, a
 * panel of output channels. Each image's sums begin at 0, and the parts' are added up in an order
 * that does not depend on the threads.
 */
#include <string.h>

#include "conv.h"
#include "first.h"
#include "first_tiles.h"

enum {
    PARTS = 8, /* of a batch; TILE_PARTS: by tiles, where a panel is no task of its own */
    TILE_PARTS = 32,
    MOST_VALUES = FIRST_CHANNELS * FIRST_TAPS * FIRST_STRIDE * FIRST_POINTS /* of an output */
};

typedef struct gradient {
    first_shape shape;
    int64_t parts, panels, blocks;
    int64_t sums; /* of a panel */
    int by_tiles;
    first_tiles tiles; /* if so */
} gradient;

/* An image's sums, to the part's. */
static void add(int64_t count, const float *from, float *to)
{
    for (int64_t i = 0; i < count; ++i)
        to[i] += from[i];
}

/* From a panel's first block of dy to its second; without one, sums are made that nobody reads. */
static int64_t second_block(const gradient *g, int64_t panel, int64_t block)
{
    return 2 * panel + 1 < g->blocks ? block : 0;
}

/* Operands: x, dy, sums (parts, panels, sums), each thread's memory: an image's sums. */
static void task(const exec *e, const op *o, int64_t i, float *image)
{
    const gradient *g = o->state;
    const first_shape *s = &g->shape;
    const int64_t *ys = e->plan->tensors[e->plan->steps[o->step].in[0]].shape;
    const int64_t panel = i % g->panels, part = i / g->panels;
    const int64_t line = ys[3] * exec_kernels(e)->lanes, block = ys[2] * line;
    float *sums = exec_data(e, o, 2) + i * g->sums;

    memset(sums, 0, (size_t)g->sums * sizeof *sums);
    for (int64_t n = ys[0] * part / g->parts; n < ys[0] * (part + 1) / g->parts; ++n) {
        const float *x = exec_data(e, o, 0) + n * s->channels * s->size[0] * s->size[1];
        const float *dy = exec_data(e, o, 1) + (n * g->blocks + 2 * panel) * block;

        memset(image, 0, (size_t)g->sums * sizeof *image);
        for (int32_t row = 0; row < ys[2]; ++row)
            exec_kernels(e)->first_gradient(s, x, dy + row * line, second_block(g, panel, block),
                                            row, image);
        add(g->sums, image, sums);
    }
}

/* The same of all panels, by tiles: a line's spectra serve them all. */
static void tiles_task(const exec *e, const op *o, int64_t part, float *memory)
{
    const gradient *g = o->state;
    const first_shape *s = &g->shape;
    const int64_t *ys = e->plan->tensors[e->plan->steps[o->step].in[0]].shape;
    const int64_t line = ys[3] * exec_kernels(e)->lanes, block = ys[2] * line;
    const int64_t count = g->panels * g->sums;
    float *sums = exec_data(e, o, 2) + part * count;
    float *image = memory + first_lines_floats(exec_kernels(e), &g->tiles);

    memset(sums, 0, (size_t)count * sizeof *sums);
    for (int64_t n = ys[0] * part / g->parts; n < ys[0] * (part + 1) / g->parts; ++n) {
        const float *x = exec_data(e, o, 0) + n * s->channels * s->size[0] * s->size[1];
        const float *dy = exec_data(e, o, 1) + n * g->blocks * block;
        first_lines lines = first_lines_open(exec_kernels(e), s, &g->tiles, x, memory);

        memset(image, 0, (size_t)count * sizeof *image);
        for (int64_t row = 0; row < ys[2]; ++row) {
            const float *spectra = first_lines_of(&lines, row);

            for (int64_t panel = 0; panel < g->panels; ++panel)
                exec_kernels(e)->first_gradient_tiles(
                    &g->tiles, spectra, dy + 2 * panel * block + row * line,
                    second_block(g, panel, block), lines.products, image + panel * g->sums);
        }
        add(count, image, sums);
    }
}

/* Operands: x, dy, sums (parts, panels, sums), each thread's memory. */
static void tiles_loop(const exec *e, const op *o, const member *m)
{
    const gradient *g = o->state;
    float *memory = exec_own(e, o, 3, m);
    span part;

    while (team_take(m, g->parts, 1, &part))
        tiles_task(e, o, part.from, memory);
}

static void sums_loop(const exec *e, const op *o, const member *m)
{
    const gradient *g = o->state;
    span part;

    while (team_take(m, g->parts * g->panels, 1, &part))
        task(e, o, part.from, exec_own(e, o, 3, m));
}

/* One output's sums of all parts. */
static void add_parts(const gradient *g, int64_t panel, int64_t output, const float *sums,
                      double *total)
{
    const float *from = sums + output / panel * g->sums + output % panel;

    for (int64_t i = 0; i < g->sums / panel; ++i) {
        total[i] = 0.0;
        for (int64_t part = 0; part < g->parts; ++part)
            total[i] += from[part * g->panels * g->sums + i * panel];
    }
}

/* Operands: sums, gradient (O,C,kh,kw), each thread's memory: an output's sums. */
static void gradient_loop(const exec *e, const op *o, const member *m)
{
    const gradient *g = o->state;
    const int64_t taps = (int64_t)g->shape.channels * g->shape.kernel[0] * g->shape.kernel[1];
    const span share = team_share(m, exec_elements(e, o, 1) / taps);
    double *total = (double *)(void *)exec_own(e, o, 2, m);

    for (int64_t output = share.from; output < share.to; ++output) {
        float *to = exec_data(e, o, 1) + output * taps;

        add_parts(g, exec_kernels(e)->panel, output, exec_data(e, o, 0), total);
        if (g->by_tiles)
            first_tiles_unpack(&g->shape, &g->tiles, total, to);
        for (int64_t tap = 0; tap < taps && !g->by_tiles; ++tap)
            to[tap] = (float)total[tap];
    }
}

/* How the gradient of a convolution of x with result y is shared out. */
static gradient plan(const exec *e, const hmt_plan_step *s, int32_t x, int32_t y)
{
    const kernels *k = exec_kernels(e);
    const int64_t *ys = e->plan->tensors[y].shape;
    gradient g = {.shape = first_describe(e, s, x, y),
                  .panels = divide_up(ys[1], k->panel),
                  .blocks = divide_up(ys[1], k->lanes)};
    int64_t most = PARTS;

    g.sums = (int64_t)g.shape.channels * g.shape.kernel[0] * g.shape.kernel[1] * k->panel;
    g.by_tiles = first_tiles_fit(&g.shape);
    if (g.by_tiles) {
        g.tiles = first_tiles_plan(k, &g.shape);
        g.sums = first_tiles_panel(k, &g.tiles);
        most = TILE_PARTS;
    }
    g.parts = ys[0] < most ? ys[0] : most;
    return g;
}

int first_backward_weights(exec *e, const hmt_plan_step *s)
{
    const kernels *k = exec_kernels(e);
    int32_t dy, x, sums;
    gradient *g;

    if (!first_fits(e, s, s->in[1]))
        return 0;
    g = exec_state(e, sizeof *g);
    if (g == NULL)
        return 1;
    *g = plan(e, s, s->in[1], s->in[0]);
    exec_chose(e, g->by_tiles ? "first, winograd 4" : "first");
    dy = exec_input(e, s->in[0], exec_blocked(e, s->in[0]));
    x = exec_input(e, s->in[1], exec_like(e, s->in[1], dnnl_nchw));
    sums = exec_scratch(e, g->parts * g->panels * g->sums);
    exec_shared(e, g->by_tiles ? tiles_loop : sums_loop, g);
    exec_operand(e, x);
    exec_operand(e, dy);
    exec_operand(e, sums);
    exec_operand(
        e, exec_scratch_each(e, g->by_tiles ? g->panels * g->sums + first_lines_floats(k, &g->tiles)
                                            : g->sums));
    exec_shared(e, gradient_loop, g);
    exec_operand(e, sums);
    exec_operand(e, exec_output(e, s->out[0], exec_like(e, s->out[0], dnnl_oihw)));
    exec_operand(e, exec_scratch_each(e, 2 * MOST_VALUES));
    conv_bias_gradient(e, s, dy);
    return 1;
}
