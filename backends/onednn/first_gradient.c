/*
 * The weights' gradient of convolutions of few input channels (kernels/first_gradient_body.h). A
 * task is a part of the batch and a panel of output channels. Each image's sums begin at 0, and the
 * parts' are added up in an order that does not depend on the threads.
 */
#include <string.h>

#include "conv.h"
#include "first.h"

enum {
    PARTS = 8,                                                /* of a batch */
    MOST_SUMS = FIRST_CHANNELS * FIRST_TAPS * FIRST_TAPS * 32 /* of a panel: on the stack */
};

typedef struct gradient {
    first_shape shape;
    int64_t parts, panels, blocks;
    int64_t sums; /* of a panel */
} gradient;

/* Operands: x, dy, sums (parts, panels, sums). */
static void task(const exec *e, const op *o, int64_t i)
{
    const gradient *g = o->state;
    const first_shape *s = &g->shape;
    const int64_t *ys = e->plan->tensors[e->plan->steps[o->step].in[0]].shape;
    const int64_t panel = i % g->panels, part = i / g->panels;
    const int64_t line = ys[3] * exec_kernels(e)->lanes, block = ys[2] * line;
    const int64_t beside = 2 * panel + 1 < g->blocks ? block : 0; /* else sums that nobody reads */
    float *sums = exec_data(e, o, 2) + i * g->sums;
    float image[MOST_SUMS] __attribute__((aligned(64)));

    memset(sums, 0, (size_t)g->sums * sizeof *sums);
    for (int64_t n = ys[0] * part / g->parts; n < ys[0] * (part + 1) / g->parts; ++n) {
        const float *x = exec_data(e, o, 0) + n * s->channels * s->size[0] * s->size[1];
        const float *dy = exec_data(e, o, 1) + (n * g->blocks + 2 * panel) * block;

        memset(image, 0, (size_t)g->sums * sizeof *image);
        for (int32_t row = 0; row < ys[2]; ++row)
            exec_kernels(e)->first_gradient(s, x, dy + row * line, beside, row, image);
        for (int64_t k = 0; k < g->sums; ++k)
            sums[k] += image[k];
    }
}

static void sums_loop(const exec *e, const op *o, const member *m)
{
    const gradient *g = o->state;
    span part;

    while (team_take(m, g->parts * g->panels, 1, &part))
        task(e, o, part.from);
}

/* Operands: sums, gradient (O,C,kh,kw). */
static void gradient_loop(const exec *e, const op *o, const member *m)
{
    const gradient *g = o->state;
    const int64_t panel = exec_kernels(e)->panel, taps = g->sums / panel;
    const float *sums = exec_data(e, o, 0);
    float *to = exec_data(e, o, 1);
    const span share = team_share(m, exec_elements(e, o, 1) / taps);

    for (int64_t output = share.from; output < share.to; ++output)
        for (int64_t tap = 0; tap < taps; ++tap) {
            const float *from = sums + output / panel * g->sums + tap * panel + output % panel;
            double sum = 0.0;

            for (int64_t part = 0; part < g->parts; ++part)
                sum += from[part * g->panels * g->sums];
            to[output * taps + tap] = (float)sum;
        }
}

int first_backward_weights(exec *e, const hmt_plan_step *s)
{
    const int64_t *ys = e->plan->tensors[s->in[0]].shape;
    int32_t dy, x, sums;
    gradient *g;

    if (!first_fits(e, s, s->in[1]))
        return 0;
    g = exec_state(e, sizeof *g);
    if (g == NULL)
        return 1;
    *g = (gradient){.shape = first_describe(e, s, s->in[1], s->in[0]),
                    .parts = ys[0] < PARTS ? ys[0] : PARTS,
                    .panels = divide_up(ys[1], exec_kernels(e)->panel),
                    .blocks = divide_up(ys[1], exec_kernels(e)->lanes)};
    g->sums = (int64_t)g->shape.channels * g->shape.kernel[0] * g->shape.kernel[1] *
              exec_kernels(e)->panel;
    exec_chose(e, "first");
    dy = exec_input(e, s->in[0], exec_blocked(e, s->in[0]));
    x = exec_input(e, s->in[1], exec_like(e, s->in[1], dnnl_nchw));
    sums = exec_scratch(e, g->parts * g->panels * g->sums);
    exec_shared(e, sums_loop, g);
    exec_operand(e, 0, x);
    exec_operand(e, 0, dy);
    exec_operand(e, 0, sums);
    exec_shared(e, gradient_loop, g);
    exec_operand(e, 0, sums);
    exec_operand(e, 0, exec_output(e, s->out[0], exec_like(e, s->out[0], dnnl_oihw)));
    conv_bias_gradient(e, s, dy);
    return 1;
}
