/*
 * A training batch norm joined with the max pool behind it. Forward, normalised rows wait in a ring
 * until they are pooled; backward, the batch norm makes the rows of its gradient from the pool's
 * when it needs them. The largest map of a network, between the two, is neither stored nor read.
 */
#include "norm.h"

static int is_output(const exec *e, int32_t tensor)
{
    return (e->plan->tensors[tensor].flags & HMT_TENSOR_OUTPUT) != 0;
}

static int reads(const hmt_plan_step *s, int32_t tensor)
{
    for (int i = 0; i < HMT_STEP_INPUTS; ++i)
        if (s->in[i] == tensor)
            return 1;
    return 0;
}

/* The pool's backward step; NULL: none. */
static const hmt_plan_step *backward_of(const exec *e, const hmt_plan_step *pool)
{
    const hmt_plan_step *steps = e->plan->steps;

    for (size_t i = 0; i < e->plan->step_count; ++i)
        if (steps[i].kind == HMT_STEP_MAX_POOL_BACKWARD && steps[i].forward == pool - steps)
            return &steps[i];
    return NULL;
}

/* Whether, of all steps, these two alone read the tensor; the second may be NULL. */
static int read_by(const exec *e, int32_t tensor, const hmt_plan_step *a, const hmt_plan_step *b,
                   const hmt_plan_step *c)
{
    const hmt_plan_step *s = e->plan->steps;

    for (const hmt_plan_step *end = s + e->plan->step_count; s < end; ++s)
        if (s != a && s != b && s != c && reads(s, tensor))
            return 0;
    return !is_output(e, tensor);
}

const hmt_plan_step *norm_pool(exec *e, const hmt_plan_step *s, const layout *l)
{
    const hmt_plan_step *steps = e->plan->steps, *end = steps + e->plan->step_count, *pool = s + 1;
    const hmt_plan_step *back, *norm_back = NULL;

    if (s->kind != HMT_STEP_BATCH_NORM_TRAIN || pool == end || !max_pool_fits(e, pool) ||
        pool->in[0] != s->out[0] || l->lanes != exec_kernels(e)->lanes ||
        pool->window.kernel[0] * e->plan->tensors[s->out[0]].shape[3] * l->lanes > NORM_RING)
        return NULL;
    back = backward_of(e, pool);
    if (back != NULL) {
        norm_back = back + 1;
        if (norm_back == end || norm_back->kind != HMT_STEP_BATCH_NORM_BACKWARD ||
            norm_back->forward != s - steps || norm_back->in[0] != back->out[0] ||
            !read_by(e, back->out[0], norm_back, NULL, NULL))
            return NULL;
    }
    return read_by(e, s->out[0], pool, back, norm_back) ? pool : NULL;
}

/* Operands: x, y, centres, factors and shifts, winners, memory of each member: the ring. */
static void task(const exec *e, const op *o, int64_t i, float *ring)
{
    const norm *n = o->state;
    const hmt_plan_step *s = &e->plan->steps[o->step];
    const int64_t line = (int64_t)n->across.width * n->across.cell;
    const int64_t to = (int64_t)n->across.columns * n->across.cell;
    const int64_t rows = e->plan->tensors[n->pool->out[0]].shape[2];
    const int64_t kept = n->pool->window.kernel[0];
    const strip image = norm_strip_of_image(n, i);
    const norm_affine how = norm_affine_of(n, s, exec_data(e, o, 2), &image);
    const norm_shape one = {
        .rows = 1, .span = n->across.width, .step = n->l.lanes, .width = image.shape.width};
    const float *x = exec_data(e, o, 0) + image.offset, *window[POOL_ROWS];
    float *y = exec_data(e, o, 1) + i * rows * to;
    uint8_t *winners = (uint8_t *)exec_data(e, o, 3) + i * rows * to;
    int64_t next = 0;

    for (int64_t row = 0; row < rows; ++row) {
        const pool_rows down = max_pool_down(e, n->pool, row);

        for (next = next < down.from ? down.from : next; next < down.until; ++next)
            exec_kernels(e)->norm_apply(&one, how, x + next * line, ring + next % kept * line);
        for (int64_t from = down.from; from < down.until; ++from)
            window[from - down.from] = ring + from % kept * line;
        exec_kernels(e)->max_pool_winners(&n->across, (int32_t)(down.until - down.from),
                                          down.skipped, window, y + row * to, winners + row * to);
    }
}

static void loop(const exec *e, const op *o, const member *m)
{
    const span share = norm_share_images(o->state, m);

    for (int64_t i = share.from; i < share.to; ++i)
        task(e, o, i, exec_own(e, o, 4, m));
}

/* Leaves nothing to do for a step. */
static void take_along(exec *e, const hmt_plan_step *s)
{
    step_state *state = &e->steps[s - e->plan->steps];

    state->prepared = 1;
    state->kernel = "with batch norm";
}

void norm_pool_forward(exec *e, const norm *n, int32_t x, int32_t affine)
{
    const hmt_plan_step *back = backward_of(e, n->pool);
    const int32_t winners = max_pool_workspace(e, n->pool->out[0], n->across.cell);
    const int32_t y = exec_output(e, n->pool->out[0], exec_blocked(e, n->pool->out[0]));

    take_along(e, n->pool);
    if (back != NULL)
        take_along(e, back);
    e->steps[n->pool - e->plan->steps].workspace = winners;
    exec_shared(e, loop, n);
    exec_operand(e, x);
    exec_operand(e, y);
    exec_operand(e, affine);
    exec_operand(e, winners);
    exec_operand(e, exec_scratch_each(e, NORM_RING));
}
