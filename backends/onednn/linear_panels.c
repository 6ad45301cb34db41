/*
 * Inner products of many images: side by side in panels, the images are the right side of a matrix
 * product whose left side is the weight where the model stores it.
 */
#include "linear.h"

/* Rows of the weight that are one task. */
enum { LEAST_ROWS = 12 };

/* Inputs that are copied from each image of a panel in turn. */
enum { PIECE = 64 };

/* Images of one product. */
typedef struct group {
    hmt_dtype stored;
    int64_t first, images;
} group;

/* Images and the zeros that fill their last panel up. */
static int64_t filled_up(const exec *e, int64_t images)
{
    const int64_t panel = exec_kernels(e)->panel;

    return divide_up(images, panel) * panel;
}

/* Whether this is faster than dot products. */
static int worthwhile(const exec *e, int64_t images, hmt_dtype stored)
{
    return exec_kernels(e)->panels_faster && stored != HMT_DTYPE_I8 &&
           6 * filled_up(e, images) <= 7 * images;
}

/* Some inputs of one panel's images; zeros where there are fewer images than it has room for. */
static void fill_panel(const float *x, int64_t images, int64_t k, int64_t panel, span inputs,
                       float *to)
{
    for (int64_t i = 0; i < panel; ++i)
        for (int64_t at = inputs.from; at < inputs.to; ++at)
            to[at * panel + i] = i < images ? x[i * k + at] : 0.0f;
}

/* Operands: x (N,K), panels (panel,K,image of the panel). */
static void fill_loop(const exec *e, const op *o, const member *m)
{
    const int64_t *in = e->plan->tensors[e->plan->steps[o->step].in[0]].shape;
    const int64_t k = in[1] * in[2] * in[3], panel = exec_kernels(e)->panel;
    const float *x = exec_data(e, o, 0);
    float *to = exec_data(e, o, 1);
    const span part = team_share(m, divide_up(k, PIECE));

    for (int64_t i = 0; i < in[0]; i += panel)
        for (int64_t piece = part.from; piece < part.to; ++piece) {
            const int64_t end = (piece + 1) * PIECE;

            fill_panel(x + i * k, in[0] - i, k, panel, (span){piece * PIECE, end < k ? end : k},
                       to + i * k);
        }
}

/* Operands: panels, weight, y, memory of each member, [bias]. */
static void product_loop(const exec *e, const op *o, const member *m)
{
    const group *g = o->state;
    const hmt_plan_step *s = &e->plan->steps[o->step];
    const int64_t *in = e->plan->tensors[s->in[0]].shape;
    const int64_t outputs = e->plan->tensors[s->out[0]].shape[1], k = in[1] * in[2] * in[3];
    const char *weight = (const char *)exec_data(e, o, 1);
    const float *bias = o->count > 4 ? exec_data(e, o, 4) : NULL;
    span part;

    while (team_take_less(m, outputs, LEAST_ROWS, LINEAR_ROWS, &part))
        exec_kernels(e)->linear_panels(g->stored, g->images, k, exec_data(e, o, 0) + g->first * k,
                                       weight + part.from * k * stored_width(g->stored),
                                       part.to - part.from, bias != NULL ? bias + part.from : NULL,
                                       s->relu, exec_data(e, o, 2) + g->first * outputs + part.from,
                                       outputs, exec_own(e, o, 3, m));
}

int linear_panels(exec *e, const hmt_plan_step *s, matrices m, int32_t weight, hmt_dtype stored)
{
    const int64_t *in = e->plan->tensors[s->in[0]].shape;
    int32_t x, panels, bias, y, memory;

    if (!worthwhile(e, in[0], stored))
        return 0;
    exec_chose(e, "panels");
    x = linear_input(e, s->in[0], m.x);
    panels = exec_scratch(e, filled_up(e, in[0]) * in[1] * in[2] * in[3]);
    memory = exec_scratch_each(e, LINEAR_PANELS_MEMORY);
    bias = exec_weight_vector(e, s->weight[1]);
    y = linear_output(e, s->out[0], m.y);
    exec_shared(e, fill_loop, NULL);
    exec_operand(e, x);
    exec_operand(e, panels);
    for (int64_t first = 0; first < in[0]; first += LINEAR_IMAGES) {
        const int64_t left = in[0] - first;
        group *kept = exec_state(e, sizeof *kept);

        if (kept == NULL)
            return 1;
        *kept = (group){stored, first, left < LINEAR_IMAGES ? left : LINEAR_IMAGES};
        exec_shared(e, product_loop, kept);
        exec_operand(e, panels);
        exec_operand(e, weight);
        exec_operand(e, y);
        exec_operand(e, memory);
        exec_operand(e, bias);
    }
    return 1;
}
