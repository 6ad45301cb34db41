/*
 * A linear layer's weight updated while its gradient is computed: a tile of the gradient stays in
 * the cache until SGD has used it. The gradient as a whole is never stored, and a large weight and
 * its momentum are walked once.
 *
 * gradient (O,K) = dy (N,O)^T x (N,K). x is first copied to panels of columns, (K/panel, N, panel).
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
    const span part = team_share(m, k / panel);

    for (int64_t j = part.from; j < part.to; ++j)
        for (int64_t n = 0; n < images; ++n)
            memcpy(exec_data(e, o, 1) + (j * images + n) * panel,
                   exec_data(e, o, 0) + n * k + j * panel, (size_t)panel * sizeof(float));
}

/* Asks for a line of each tile row that follows, of the columns that are computed meanwhile. */
static void fetch(const float *rows, int64_t count, int64_t k, int64_t panel)
{
    for (int64_t i = 0; i < count; ++i)
        for (int64_t at = 0; at < panel; at += CACHE_LINE)
            __builtin_prefetch(rows + i * k + at, 1, 2);
}

/* Operands: dy (N,O), panels of x, weight (O,K), momentum. */
static void update_loop(const exec *e, const op *o, const member *m)
{
    const hmt_plan_step *s = &e->plan->steps[o->step];
    const hmt_sgd how = e->run->groups[s[1].group];
    const int64_t images = e->plan->tensors[s->in[1]].shape[0], panel = exec_kernels(e)->panel;
    const int64_t outputs = exec_elements(e, o, 0) / images, k = exec_elements(e, o, 1) / images;
    const float *dy = exec_data(e, o, 0), *x = exec_data(e, o, 1);
    float *weight = exec_data(e, o, 2), *momentum = exec_data(e, o, 3);
    float gradient[ROWS * COLUMNS] __attribute__((aligned(64)));
    span part;

    while (team_take(m, (k + COLUMNS - 1) / COLUMNS, 1, &part)) {
        const int64_t first = part.from * COLUMNS, left = k - first;
        const int64_t columns = left < COLUMNS ? left : COLUMNS;

        for (int64_t row = 0; row < outputs; row += ROWS) {
            const int64_t rows = outputs - row < ROWS ? outputs - row : ROWS;
            const int64_t below = outputs - row - rows < ROWS ? outputs - row - rows : ROWS;
            const int64_t here = row * k + first, next = here + rows * k;

            for (int64_t at = 0; at < columns; at += panel) {
                fetch(weight + next + at, below, k, panel);
                fetch(momentum + next + at, below, k, panel);
                exec_kernels(e)->gemm(HMT_DTYPE_F32, rows, images, dy + row, 1, outputs,
                                      x + (first + at) * images, panel, gradient + at, COLUMNS, 0,
                                      0);
            }
            for (int64_t i = 0; i < rows; ++i)
                exec_kernels(e)->sgd(how, columns, gradient + i * COLUMNS, weight + here + i * k,
                                     momentum + here + i * k);
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

int linear_update(exec *e, const hmt_plan_step *s)
{
    const matrices m = linear_matrices(e, s->in[1], s->in[0], 0);
    const int64_t *in = e->plan->tensors[s->in[1]].shape;
    const int64_t inputs = in[1] * in[2] * in[3], all = in[0] * inputs;
    int32_t dy, x, panels, weight, momentum, bias;

    if (inputs % exec_kernels(e)->panel != 0 || !updates_at_once(e, s))
        return 0;
    weight = exec_master(e, s[1].weight[0], m.weight, &momentum);
    if (e->status != HMT_OK || !dnnl_memory_desc_equal(exec_md(e, weight), m.weight))
        return 0;
    exec_chose(e, "with sgd");
    e->steps[e->step + 1].prepared = 1;
    e->steps[e->step + 1].kernel = "with the gradient";
    dy = linear_input(e, s->in[0], m.y);
    x = linear_input(e, s->in[1], m.x);
    panels = exec_scratch(e, all);
    exec_shared(e, panels_loop, NULL);
    exec_operand(e, 0, x);
    exec_operand(e, 0, panels);
    exec_shared(e, update_loop, NULL);
    exec_operand(e, 0, dy);
    exec_operand(e, 0, panels);
    exec_operand(e, 0, weight);
    exec_operand(e, 0, momentum);
    if (s->out[1] >= 0) {
        bias = exec_vector_output(e, s->out[1], e->plan->tensors[s->in[0]].shape[1]);
        exec_shared(e, bias_loop, NULL);
        exec_operand(e, 0, dy);
        exec_operand(e, 0, bias);
    }
    return 1;
}
