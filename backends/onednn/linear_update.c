/*
 * The gradient of a linear layer's weight, and the weight updated while it is computed: a tile of
 * the gradient stays in the cache until SGD has used it. The gradient as a whole is never stored
 * then, and a large weight and its momentum are walked once.
 *
 * gradient (O,K) = dy (N,O)^T x (N,K). x is first copied to panels of columns, (K/panel, N, panel),
 * the last of which is filled up with zeros.
 */
#include <string.h>

#include "linear.h"

/* Columns of a task, whose part of x stays in the second-level cache; rows of a tile. */
enum { COLUMNS = 512, ROWS = 12 };

/* Operands: x (N,K), its panels. */
static void panels_loop(const exec *e, const op *o, const member *m)
{
    const hmt_plan_step *s = &e->plan->steps[o->step];
    const int64_t panel = exec_kernels(e)->panel, images = e->plan->tensors[s->in[1]].shape[0];
    const int64_t k = exec_elements(e, o, 0) / images;
    const span part = team_share(m, divide_up(k, panel));

    for (int64_t j = part.from; j < part.to; ++j)
        for (int64_t n = 0; n < images; ++n) {
            const int64_t left = k - j * panel, count = left < panel ? left : panel;
            float *to = exec_data(e, o, 1) + (j * images + n) * panel;

            memcpy(to, exec_data(e, o, 0) + n * k + j * panel, (size_t)count * sizeof *to);
            memset(to + count, 0, (size_t)(panel - count) * sizeof *to);
        }
}

/* Asks for a line of each tile row that follows, of the columns that are computed meanwhile. */
static void fetch(const float *rows, int64_t count, int64_t k, int64_t panel)
{
    for (int64_t i = 0; i < count; ++i)
        for (int64_t at = 0; at < panel; at += CACHE_LINE)
            __builtin_prefetch(rows + i * k + at, 1, 2);
}

/* Operands: dy (N,O), panels of x, weight (O,K), momentum, a member's tile; or dy, panels, the
 * gradient (O,K), itself, a member's tile. */
static void update_loop(const exec *e, const op *o, const member *m)
{
    const hmt_plan_step *s = &e->plan->steps[o->step];
    const int updates = o->buffer[2] != o->buffer[3];
    const hmt_sgd how = updates ? e->run->groups[s[1].group] : (hmt_sgd){.momentum = 0.0f};
    const int64_t images = e->plan->tensors[s->in[1]].shape[0], panel = exec_kernels(e)->panel;
    const int64_t outputs = exec_elements(e, o, 0) / images, k = exec_elements(e, o, 2) / outputs;
    const float *dy = exec_data(e, o, 0), *x = exec_data(e, o, 1);
    float *weight = exec_data(e, o, 2), *momentum = exec_data(e, o, 3);
    float *tile = exec_own(e, o, 4, m);
    span part;

    while (team_take(m, divide_up(k, COLUMNS), 1, &part)) {
        const int64_t first = part.from * COLUMNS, left = k - first;
        const int64_t columns = left < COLUMNS ? left : COLUMNS;

        for (int64_t row = 0; row < outputs; row += ROWS) {
            const int64_t rows = outputs - row < ROWS ? outputs - row : ROWS;
            const int64_t below = outputs - row - rows < ROWS ? outputs - row - rows : ROWS;
            const int64_t here = row * k + first, next = here + rows * k;

            for (int64_t at = 0; at < columns; at += panel) {
                fetch(weight + next + at, below, k, panel);
                fetch(momentum + next + at, updates ? below : 0, k, panel);
                exec_kernels(e)->gemm(HMT_DTYPE_F32, rows, images, dy + row, 1, outputs,
                                      x + (first + at) * images, panel, tile + at, COLUMNS, 0, 0);
            }
            for (int64_t i = 0; i < rows; ++i)
                if (updates)
                    exec_kernels(e)->sgd(how, columns, tile + i * COLUMNS, weight + here + i * k,
                                         momentum + here + i * k);
                else
                    memcpy(weight + here + i * k, tile + i * COLUMNS,
                           (size_t)columns * sizeof *tile);
        }
    }
}

/* Operands: dy (N,O), its sums. */
static void bias_loop(const exec *e, const op *o, const member *m)
{
    const int64_t outputs = exec_elements(e, o, 1), images = exec_elements(e, o, 0) / outputs;
    const float *dy = exec_data(e, o, 0);
    float *sums = exec_data(e, o, 1);
    const span part = exec_share(m, outputs);

    for (int64_t at = part.from; at < part.to; ++at)
        sums[at] = dy[at];
    for (int64_t n = 1; n < images; ++n)
        for (int64_t at = part.from; at < part.to; ++at)
            sums[at] += dy[n * outputs + at];
}

/* Whether the step behind is SGD with this gradient, which nothing else reads. */
static int updates_at_once(const exec *e, const hmt_plan_step *s)
{
    const hmt_plan_step *steps = e->plan->steps, *sgd = s + 1;

    if (sgd == steps + e->plan->step_count || sgd->kind != HMT_STEP_SGD ||
        sgd->in[0] != s->out[0] || (e->plan->tensors[s->out[0]].flags & HMT_TENSOR_OUTPUT))
        return 0;
    for (const hmt_plan_step *other = steps; other < steps + e->plan->step_count; ++other)
        for (int i = 0; i < HMT_STEP_INPUTS; ++i)
            if (other != sgd && other->in[i] == s->out[0])
                return 0;
    return 1;
}

/* Appends the loops that make the gradient, and use it on a weight or write it (momentum -1). */
static void append(exec *e, const hmt_plan_step *s, int32_t weight, int32_t momentum)
{
    const matrices m = linear_matrices(e, s->in[1], s->in[0], 0);
    const int64_t *in = e->plan->tensors[s->in[1]].shape, panel = exec_kernels(e)->panel;
    const int64_t filled = divide_up(in[1] * in[2] * in[3], panel) * panel;
    const int32_t dy = linear_input(e, s->in[0], m.y), x = linear_input(e, s->in[1], m.x);
    const int32_t panels = exec_scratch(e, in[0] * filled);
    int32_t bias;

    exec_shared(e, panels_loop, NULL);
    exec_operand(e, x);
    exec_operand(e, panels);
    exec_shared(e, update_loop, NULL);
    exec_operand(e, dy);
    exec_operand(e, panels);
    exec_operand(e, weight);
    exec_operand(e, momentum >= 0 ? momentum : weight);
    exec_operand(e, exec_scratch_each(e, ROWS * COLUMNS));
    if (s->out[1] >= 0) {
        bias = exec_vector_output(e, s->out[1], e->plan->tensors[s->in[0]].shape[1]);
        exec_shared(e, bias_loop, NULL);
        exec_operand(e, dy);
        exec_operand(e, bias);
    }
}

int linear_update(exec *e, const hmt_plan_step *s)
{
    const matrices m = linear_matrices(e, s->in[1], s->in[0], 0);
    int32_t weight, momentum;

    if (!updates_at_once(e, s))
        return 0;
    weight = exec_master(e, s[1].weight[0], m.weight, &momentum);
    if (e->status != HMT_OK || !dnnl_memory_desc_equal(exec_md(e, weight), m.weight))
        return 0;
    exec_chose(e, "with sgd");
    e->steps[e->step + 1].prepared = 1;
    e->steps[e->step + 1].kernel = "with the gradient";
    append(e, s, weight, momentum);
    return 1;
}

void linear_gradient(exec *e, const hmt_plan_step *s)
{
    const matrices m = linear_matrices(e, s->in[1], s->in[0], 0);

    append(e, s, exec_output(e, s->out[0], m.weight), -1);
}
