/*
 * Average pooling, and the max pooling that max_pool.c leaves: windows of more rows than it keeps.
 * Loops over blocks of channels, a task for each image's block; means of whole maps, the end of
 * many a network, are written dense in whatever layout the map has.
 */
#include <string.h>

#include "layout.h"
#include "max_pool.h"

typedef struct pool {
    const hmt_plan_step *forward;
    int64_t x[2], y[2]; /* heights and widths */
    int64_t tasks, lanes;
} pool;

/* The cells of x that one output sees: rows [from[0], to[0]), columns [from[1], to[1]). */
typedef struct view {
    int64_t from[2], to[2];
    float share; /* of each in an average */
} view;

static view view_of(const pool *p, int64_t row, int64_t column)
{
    const hmt_window *w = &p->forward->window;
    const int64_t at[2] = {row, column};
    int64_t inside = 1, padded = 1, cells;
    view v;

    for (int i = 0; i < 2; ++i) {
        const int64_t first = at[i] * w->stride[i] - w->pad[i], end = first + w->kernel[i];
        const int64_t last = end < p->x[i] + w->pad[i] ? end : p->x[i] + w->pad[i];

        v.from[i] = first > 0 ? first : 0;
        v.to[i] = last < p->x[i] ? last : p->x[i];
        inside *= v.to[i] > v.from[i] ? v.to[i] - v.from[i] : 0;
        padded *= last - first;
    }
    cells = w->exclude_padding ? inside : padded;
    v.share = cells > 0 ? 1.0f / (float)cells : 1.0f;
    return v;
}

/* ------------------------------------------------------------------------------ averages --------
 */

/* Operands: x, y or dy, dx, in blocks of channels. */
static void average_task(const pool *p, const float *x, float *y)
{
    for (int64_t row = 0; row < p->y[0]; ++row)
        for (int64_t column = 0; column < p->y[1]; ++column, y += p->lanes) {
            const view v = view_of(p, row, column);

            memset(y, 0, (size_t)p->lanes * sizeof *y);
            for (int64_t i = v.from[0]; i < v.to[0]; ++i)
                for (int64_t j = v.from[1]; j < v.to[1]; ++j)
                    for (int64_t lane = 0; lane < p->lanes; ++lane)
                        y[lane] += x[(i * p->x[1] + j) * p->lanes + lane];
            for (int64_t lane = 0; lane < p->lanes; ++lane)
                y[lane] *= v.share;
        }
}

static void average_gradient_task(const pool *p, const float *dy, float *dx)
{
    memset(dx, 0, (size_t)(p->x[0] * p->x[1] * p->lanes) * sizeof *dx);
    for (int64_t row = 0; row < p->y[0]; ++row)
        for (int64_t column = 0; column < p->y[1]; ++column, dy += p->lanes) {
            const view v = view_of(p, row, column);

            for (int64_t i = v.from[0]; i < v.to[0]; ++i)
                for (int64_t j = v.from[1]; j < v.to[1]; ++j)
                    for (int64_t lane = 0; lane < p->lanes; ++lane)
                        dx[(i * p->x[1] + j) * p->lanes + lane] += dy[lane] * v.share;
        }
}

/* ------------------------------------------------------------------------------ maxima ----------
 */

/* The first largest cell of a lane, -1 if the view is empty. NaN counts as largest. */
static int64_t largest(const pool *p, const view *v, const float *x, int64_t lane)
{
    int64_t best = -1;

    for (int64_t i = v->from[0]; i < v->to[0]; ++i)
        for (int64_t j = v->from[1]; j < v->to[1]; ++j) {
            const int64_t at = (i * p->x[1] + j) * p->lanes + lane;

            if (best < 0 || x[at] > x[best] || (x[at] != x[at] && x[best] == x[best]))
                best = at;
        }
    return best;
}

/* winners: the largest cells, NULL if nobody asks. */
static void max_task(const pool *p, const float *x, float *y, int32_t *winners)
{
    for (int64_t row = 0; row < p->y[0]; ++row)
        for (int64_t column = 0; column < p->y[1]; ++column) {
            const view v = view_of(p, row, column);

            for (int64_t lane = 0; lane < p->lanes; ++lane) {
                const int64_t best = largest(p, &v, x, lane);

                *y++ = best < 0 ? 0.0f : x[best];
                if (winners != NULL)
                    *winners++ = (int32_t)best;
            }
        }
}

static void max_gradient_task(const pool *p, const float *dy, const int32_t *winners, float *dx)
{
    memset(dx, 0, (size_t)(p->x[0] * p->x[1] * p->lanes) * sizeof *dx);
    for (int64_t i = 0; i < p->y[0] * p->y[1] * p->lanes; ++i)
        if (winners[i] >= 0)
            dx[winners[i]] += dy[i];
}

/* ------------------------------------------------------------------------------ preparing -------
 */

/* Operands: x, y or dy, dx, then [winners]; in blocks of channels. */
static void loop(const exec *e, const op *o, const member *m)
{
    const pool *p = o->state;
    const int backward = &e->plan->steps[o->step] != p->forward;
    const int64_t x_size = p->x[0] * p->x[1] * p->lanes, y_size = p->y[0] * p->y[1] * p->lanes;
    const int64_t from_size = backward ? y_size : x_size, to_size = backward ? x_size : y_size;
    span part;

    while (team_take(m, p->tasks, 1, &part)) {
        const float *from = exec_data(e, o, 0) + part.from * from_size;
        float *to = exec_data(e, o, 1) + part.from * to_size;
        int32_t *winners =
            o->count > 2 ? (int32_t *)(void *)exec_data(e, o, 2) + part.from * y_size : NULL;

        if (p->forward->kind == HMT_STEP_AVERAGE_POOL)
            (backward ? average_gradient_task : average_task)(p, from, to);
        else if (backward)
            max_gradient_task(p, from, winners, to);
        else
            max_task(p, from, to, winners);
    }
}

/* Appends the step, from tensor `from` to tensor `to`. */
static void append_loop(exec *e, const hmt_plan_step *forward, int32_t from, int32_t to,
                        int32_t winners)
{
    const int64_t *xs = e->plan->tensors[forward->in[0]].shape;
    const int64_t *ys = e->plan->tensors[forward->out[0]].shape;
    const int64_t lanes = exec_kernels(e)->lanes == 16 ? 16 : 8; /* of exec_blocked() */
    pool *p = exec_state(e, sizeof *p);
    int32_t x, y;

    if (p == NULL)
        return;
    *p = (pool){.forward = forward,
                .x = {xs[2], xs[3]},
                .y = {ys[2], ys[3]},
                .tasks = xs[0] * divide_up(xs[1], lanes),
                .lanes = lanes};
    x = exec_input(e, from, exec_blocked(e, from));
    y = exec_output(e, to, exec_blocked(e, to));
    exec_shared(e, loop, p);
    exec_operand(e, x);
    exec_operand(e, y);
    exec_operand(e, winners);
}

/* Operands: maps, in the layout that is the state; their means, dense. */
static void means_loop(const exec *e, const op *o, const member *m)
{
    const layout *l = o->state;
    const span part = exec_share_pieces(m, l->rows * l->blocks, exec_elements(e, o, 0));

    for (int64_t i = part.from; i < part.to; ++i) {
        const layout_block block = layout_block_of(l, i);
        const float *x = exec_data(e, o, 0) + i * l->span * l->lanes;
        float *y = exec_data(e, o, 1) + block.channel;

        for (int64_t lane = 0; lane < block.count; ++lane)
            y[lane] = x[lane];
        for (int64_t at = 1; at < l->span; ++at)
            for (int64_t lane = 0; lane < block.count; ++lane)
                y[lane] += x[at * l->lanes + lane];
        for (int64_t lane = 0; lane < block.count; ++lane)
            y[lane] /= (float)l->span;
    }
}

/* Whether the step's one window is the whole map. */
static int is_mean(const exec *e, const hmt_plan_step *s)
{
    const int64_t *x = e->plan->tensors[s->in[0]].shape;
    int whole = s->kind == HMT_STEP_AVERAGE_POOL;

    for (int i = 0; i < 2; ++i)
        whole = whole && s->window.pad[i] == 0 && s->window.kernel[i] == x[2 + i];
    return whole;
}

/* Appends the step; returns 0, and appends nothing, where it is no mean of whole maps. */
static int means_forward(exec *e, const hmt_plan_step *s)
{
    int32_t x;
    layout l;

    if (!is_mean(e, s))
        return 0;
    x = exec_input(e, s->in[0], NULL);
    if (!layout_of(e, exec_md(e, x), &l))
        return 0;
    layout_loop(e, means_loop, &l, x,
                exec_output(e, s->out[0], exec_like(e, s->out[0], dnnl_nchw)));
    return 1;
}

/* A number for each value of y, which max_gradient_task() reads. */
static int32_t winners_of(exec *e, const hmt_plan_step *s)
{
    return exec_buffer(e, exec_blocked(e, s->out[0]));
}

void pool_forward(exec *e, const hmt_plan_step *s)
{
    int32_t winners = -1;

    if (max_pool_forward(e, s) || means_forward(e, s))
        return;
    if (s->kind == HMT_STEP_MAX_POOL && e->plan->training)
        winners = e->steps[e->step].workspace = winners_of(e, s);
    append_loop(e, s, s->in[0], s->out[0], winners);
}

void pool_backward(exec *e, const hmt_plan_step *s)
{
    if (!max_pool_backward(e, s))
        append_loop(e, &e->plan->steps[s->forward], s->in[0], s->out[0],
                    e->steps[s->forward].workspace);
}
