/*
 * Max pooling: a task for each image's block of channels. Training remembers which tap of its
 * window won, so that the backward pass needs neither input nor output. Windows too large for that
 * are left to pool.c.
 */
#include "max_pool.h"

int max_pool_fits(const exec *e, const hmt_plan_step *s)
{
    const int32_t *kernel = s->window.kernel;

    return s->kind == HMT_STEP_MAX_POOL && kernel[0] <= POOL_ROWS &&
           (!e->plan->training || kernel[0] * kernel[1] <= POOL_NONE);
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

    return (pool_rows){.from = top < 0 ? 0 : top,
                       .until = bottom < height ? bottom : height,
                       .skipped = top < 0 ? (int32_t)-top : 0};
}

void max_pool_gradient_row(const exec *e, const hmt_plan_step *forward, const pool_shape *shape,
                           int64_t row, const float *dy, const uint8_t *winners, float *dx)
{
    const int64_t windows = e->plan->tensors[forward->out[0]].shape[2];
    const int64_t line = (int64_t)shape->columns * shape->cell;
    const int64_t stride = forward->window.stride[0], at = row + forward->window.pad[0];
    const int64_t above = at - forward->window.kernel[0] + stride;
    const float *dys[POOL_ROWS];
    const uint8_t *taps[POOL_ROWS];
    int32_t down[POOL_ROWS], count = 0;

    for (int64_t window = above < 0 ? 0 : above / stride; window < windows && window * stride <= at;
         ++window, ++count) {
        down[count] = (int32_t)(at - window * stride);
        dys[count] = dy + window * line;
        taps[count] = winners + window * line;
    }
    exec_kernels(e)->max_pool_gradient(shape, count, down, dys, taps, dx);
}

/* Of a loop. */
typedef struct pool {
    const hmt_plan_step *forward;
    pool_shape across;
} pool;

/* Floats of an image's block of channels in a tensor. */
static int64_t block_floats(const exec *e, const pool *p, int32_t tensor)
{
    const int64_t *shape = e->plan->tensors[tensor].shape;

    return shape[2] * shape[3] * p->across.cell;
}

/* Operands: x, y, [winners], in blocks of channels. */
static void forward_task(const exec *e, const op *o, int64_t i)
{
    const pool *p = o->state;
    const hmt_plan_step *s = p->forward;
    const int64_t x_line = (int64_t)p->across.width * p->across.cell;
    const int64_t y_line = (int64_t)p->across.columns * p->across.cell;
    const int64_t size = block_floats(e, p, s->out[0]);
    const float *x = exec_data(e, o, 0) + i * block_floats(e, p, s->in[0]), *rows[POOL_ROWS];
    float *y = exec_data(e, o, 1) + i * size;
    uint8_t *winners = o->count > 2 ? (uint8_t *)exec_data(e, o, 2) + i * size : NULL;

    for (int64_t row = 0; row < e->plan->tensors[s->out[0]].shape[2]; ++row, y += y_line) {
        const pool_rows down = max_pool_down(e, s, row);
        const int32_t count = (int32_t)(down.until - down.from);

        for (int64_t from = down.from; from < down.until; ++from)
            rows[from - down.from] = x + from * x_line;
        if (winners == NULL)
            exec_kernels(e)->max_pool(&p->across, count, rows, y);
        else
            exec_kernels(e)->max_pool_winners(&p->across, count, down.skipped, rows, y,
                                              winners + row * y_line);
    }
}

/* Operands: dy, winners, dx, in blocks of channels. */
static void backward_task(const exec *e, const op *o, int64_t i)
{
    const pool *p = o->state;
    const int64_t line = (int64_t)p->across.width * p->across.cell;
    const int64_t y_size = block_floats(e, p, p->forward->out[0]);
    const float *dy = exec_data(e, o, 0) + i * y_size;
    const uint8_t *winners = (const uint8_t *)exec_data(e, o, 1) + i * y_size;
    float *dx = exec_data(e, o, 2) + i * block_floats(e, p, p->forward->in[0]);

    for (int64_t row = 0; row < e->plan->tensors[p->forward->in[0]].shape[2]; ++row, dx += line)
        max_pool_gradient_row(e, p->forward, &p->across, row, dy, winners, dx);
}

static void loop(const exec *e, const op *o, const member *m)
{
    const pool *p = o->state;
    const int64_t *xs = e->plan->tensors[p->forward->in[0]].shape;
    const int backward = &e->plan->steps[o->step] != p->forward;
    span part;

    while (team_take(m, xs[0] * divide_up(xs[1], p->across.cell), 1, &part))
        if (backward)
            backward_task(e, o, part.from);
        else
            forward_task(e, o, part.from);
}

static const_dnnl_memory_desc_t blocks(exec *e, int32_t tensor, int32_t cell)
{
    return exec_like(e, tensor, cell == 8 ? dnnl_nChw8c : dnnl_nChw16c);
}

/* Channels of a block in the layout that tensor `x` has, if our vectors divide it; else of one that
 * it can be copied to. */
static int32_t block_of(exec *e, int32_t x)
{
    const_dnnl_memory_desc_t home = exec_md(e, exec_input(e, x, NULL));

    for (int32_t cell = 8; home != NULL && cell <= 16; cell *= 2)
        if (cell % exec_kernels(e)->lanes == 0 && dnnl_memory_desc_equal(home, blocks(e, x, cell)))
            return cell;
    return exec_kernels(e)->lanes == 16 ? 16 : 8;
}

int32_t max_pool_workspace(exec *e, int32_t y, int32_t cell)
{
    const int64_t *shape = e->plan->tensors[y].shape;
    const int64_t bytes = shape[0] * divide_up(shape[1], cell) * cell * shape[2] * shape[3];

    return exec_scratch(e, divide_up(bytes, (int64_t)sizeof(float)));
}

int max_pool_forward(exec *e, const hmt_plan_step *s)
{
    int32_t cell, x, y, winners = -1;
    pool *p;

    if (!max_pool_fits(e, s))
        return 0;
    cell = block_of(e, s->in[0]);
    p = exec_state(e, sizeof *p);
    if (p == NULL)
        return 1;
    *p = (pool){s, max_pool_across(e, s, cell)};
    if (e->plan->training)
        winners = e->steps[e->step].workspace = max_pool_workspace(e, s->out[0], cell);
    x = exec_input(e, s->in[0], blocks(e, s->in[0], cell));
    y = exec_output(e, s->out[0], blocks(e, s->out[0], cell));
    exec_shared(e, loop, p);
    exec_operand(e, x);
    exec_operand(e, y);
    exec_operand(e, winners);
    return 1;
}

int max_pool_backward(exec *e, const hmt_plan_step *s)
{
    const hmt_plan_step *forward = &e->plan->steps[s->forward];
    int32_t cell, dy, dx;
    pool *p;

    if (s->kind != HMT_STEP_MAX_POOL_BACKWARD || !max_pool_fits(e, forward))
        return 0;
    cell = block_of(e, forward->out[0]); /* that of the forward step */
    p = exec_state(e, sizeof *p);
    if (p == NULL)
        return 1;
    *p = (pool){forward, max_pool_across(e, forward, cell)};
    dy = exec_input(e, s->in[0], blocks(e, s->in[0], cell));
    dx = exec_output(e, s->out[0], blocks(e, s->out[0], cell));
    exec_shared(e, loop, p);
    exec_operand(e, dy);
    exec_operand(e, e->steps[s->forward].workspace);
    exec_operand(e, dx);
    return 1;
}
