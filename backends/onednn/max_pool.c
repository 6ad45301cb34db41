/*
 * Max pooling at inference, where which cell won need not be remembered: a task for each image's
 * block of channels. Other layouts than blocks of channels are left to oneDNN (pool.c).
 */
#include "max_pool.h"

int max_pool_fits(const exec *e, const hmt_plan_step *s)
{
    return s->kind == HMT_STEP_MAX_POOL && !e->plan->training && s->window.kernel[0] <= POOL_ROWS;
}

pool_shape max_pool_across(const exec *e, const hmt_plan_step *s, int32_t cell)
{
    const int64_t *x = e->plan->tensors[s->in[0]].shape, *y = e->plan->tensors[s->out[0]].shape;

    return (pool_shape){.width = (int32_t)x[3],
                        .cell = cell,
                        .kernel = s->window.kernel[1],
                        .stride = s->window.stride[1],
                        .pad = s->window.pad[1],
                        .columns = (int32_t)y[3]};
}

pool_rows max_pool_down(const exec *e, const hmt_plan_step *s, int64_t row)
{
    const int64_t height = e->plan->tensors[s->in[0]].shape[2];
    const int64_t top = row * s->window.stride[0] - s->window.pad[0];
    const int64_t bottom = top + s->window.kernel[0];

    return (pool_rows){top < 0 ? 0 : top, bottom < height ? bottom : height};
}

/* Operands: x, y, in blocks of channels. */
static void task(const exec *e, const op *o, int64_t i)
{
    const hmt_plan_step *s = &e->plan->steps[o->step];
    const int64_t *xs = e->plan->tensors[s->in[0]].shape, *ys = e->plan->tensors[s->out[0]].shape;
    const pool_shape *shape = o->state;
    const int64_t line = xs[3] * shape->cell;
    const float *x = exec_data(e, o, 0) + i * xs[2] * line, *rows[POOL_ROWS];
    float *y = exec_data(e, o, 1) + i * ys[2] * ys[3] * shape->cell;

    for (int64_t row = 0; row < ys[2]; ++row, y += ys[3] * shape->cell) {
        const pool_rows down = max_pool_down(e, s, row);

        for (int64_t from = down.from; from < down.until; ++from)
            rows[from - down.from] = x + from * line;
        exec_kernels(e)->max_pool(shape, (int32_t)(down.until - down.from), rows, y);
    }
}

static void loop(const exec *e, const op *o, const member *m)
{
    const int64_t *xs = e->plan->tensors[e->plan->steps[o->step].in[0]].shape;
    const int32_t cell = ((const pool_shape *)o->state)->cell;
    span part;

    while (team_take(m, xs[0] * divide_up(xs[1], cell), 1, &part))
        task(e, o, part.from);
}

/* Channels of a block in the layout that tensor `x` has; 0 if our vectors do not divide it. */
static int32_t block_of(exec *e, int32_t x)
{
    const_dnnl_memory_desc_t home = exec_md(e, exec_input(e, x, NULL));

    for (int32_t cell = 8; home != NULL && cell <= 16; cell *= 2)
        if (cell % exec_kernels(e)->lanes == 0 &&
            dnnl_memory_desc_equal(home, exec_like(e, x, cell == 8 ? dnnl_nChw8c : dnnl_nChw16c)))
            return cell;
    return 0;
}

int max_pool_forward(exec *e, const hmt_plan_step *s)
{
    const int32_t cell = max_pool_fits(e, s) ? block_of(e, s->in[0]) : 0;
    int32_t x, y;
    pool_shape *shape;

    if (cell == 0)
        return 0;
    shape = exec_state(e, sizeof *shape);
    if (shape == NULL)
        return 1;
    *shape = max_pool_across(e, s, cell);
    x = exec_input(e, s->in[0], NULL);
    y = exec_output(e, s->out[0], exec_like(e, s->out[0], cell == 8 ? dnnl_nChw8c : dnnl_nChw16c));
    exec_shared(e, loop, shape);
    exec_operand(e, 0, x);
    exec_operand(e, 0, y);
    return 1;
}
