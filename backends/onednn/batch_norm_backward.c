/*
 * The batch norm's backward pass in training, in two passes over x and dy. What the relu let pass
 * is computed again from x, so nothing is kept but three numbers for each channel. Where a max pool
 * was joined with the forward pass (norm_pool.c), rows of dy are made from its gradient.
 */
#include <string.h>

#include "norm.h"
#include "objective/statistics.h"

/* A strip's gradient: as it lies, or a row of an image at a time if it comes from a max pool. */
typedef struct piece {
    norm_shape shape;
    int64_t offset; /* in floats */
    const float *dy;
} piece;

/* Operands: x; dy or the pool's; centres, factors and shifts; ...; the pool's winners last. Gives
 * piece i of the strip, which may use `line`; 0 if there are no more. */
static int next_piece(const exec *e, const op *o, const strip *s, int64_t i, float *line, piece *p)
{
    const norm *n = o->state;
    const float *dy = exec_data(e, o, 1);
    const uint8_t *winners;
    int64_t height, image, row, pooled;

    if (n->pool == NULL) {
        *p = (piece){s->shape, s->offset, dy + s->offset};
        return i == 0;
    }
    height = n->l.span / n->across.width;
    image = i / height;
    row = i % height;
    if (image == s->shape.rows)
        return 0;
    *p = (piece){s->shape, s->offset + image * s->shape.row_step, line};
    pooled = p->offset / (n->l.span * n->l.lanes) * e->plan->tensors[n->pool->out[0]].shape[2] *
             n->across.columns * n->l.lanes;
    winners = (const uint8_t *)exec_data(e, o, o->count - 1);
    max_pool_gradient_row(e, n->pool, &n->across, row, dy + pooled, winners + pooled, line);
    p->offset += row * n->across.width * n->l.lanes;
    p->shape.rows = 1;
    p->shape.span = n->across.width;
    return 1;
}

/* Operands: x, dy, centres, factors and shifts, partials, memory of each member, [winners]. */
static void sums_loop(const exec *e, const op *o, const member *m)
{
    const norm *n = o->state;
    const hmt_plan_step *step = &e->plan->steps[o->step];
    const span share = norm_share_parts(n, m);
    float *line = exec_own(e, o, 4, m);

    for (int64_t task = share.from; task < share.to; ++task) {
        int64_t part;
        const strip s = norm_strip_of_part(n, task, &part);
        const norm_affine how = norm_affine_of(n, step, exec_data(e, o, 2), &s);
        double *sums = norm_partial(n, exec_data(e, o, 3), part) + s.first;
        piece p;

        memset(sums, 0, (size_t)s.shape.width * sizeof *sums);
        memset(sums + n->filled, 0, (size_t)s.shape.width * sizeof *sums);
        for (int64_t i = 0; next_piece(e, o, &s, i, line, &p); ++i)
            exec_kernels(e)->norm_sums(&p.shape, how, exec_data(e, o, 0) + p.offset, p.dy, sums,
                                       sums + n->filled);
    }
}

/*
 * Operands: partials, variance, centres, factors and shifts, slopes and offsets, dgamma, dbeta.
 * With M values in a channel, and off = x - mean:
 *     dx = factor * (dy - sum(dy) / M - off / (variance + epsilon) * sum(dy * off) / M)
 */
static void slopes_loop(const exec *e, const op *o, const member *m)
{
    const norm *n = o->state;
    const double epsilon = (double)e->plan->steps[o->step].epsilon;
    const double count = (double)(n->l.rows * n->l.span);
    const float *variance = exec_data(e, o, 1), *factor = exec_data(e, o, 2) + n->filled;
    float *slope = exec_data(e, o, 3), *offset = slope + n->filled;
    const span share = team_share(m, n->filled);

    for (int64_t c = share.from; c < share.to; ++c) {
        double sum = 0.0, product = 0.0, inverse;

        slope[c] = offset[c] = 0.0f;
        if (c >= n->l.channels)
            continue;
        for (int64_t part = 0; part < n->parts; ++part) {
            const double *at = norm_partial(n, exec_data(e, o, 0), part) + c;

            sum += at[0];
            product += at[n->filled];
        }
        inverse = statistics_slope(1.0, variance[c], epsilon);
        slope[c] = (float)(-factor[c] * inverse * inverse * product / count);
        offset[c] = (float)(-factor[c] * sum / count);
        exec_data(e, o, 4)[c] = (float)(product * inverse);
        exec_data(e, o, 5)[c] = (float)sum;
    }
}

/* Operands: x, dy, centres, factors and shifts, slopes and offsets, dx, memory of each member,
 * [winners]. */
static void gradient_loop(const exec *e, const op *o, const member *m)
{
    const norm *n = o->state;
    const hmt_plan_step *step = &e->plan->steps[o->step];
    const float *slope = exec_data(e, o, 3), *offset = slope + n->filled;
    const span share = norm_share_images(n, m);
    float *line = exec_own(e, o, 5, m);

    for (int64_t task = share.from; task < share.to; ++task) {
        const strip s = norm_strip_of_image(n, task);
        const norm_affine how = norm_affine_of(n, step, exec_data(e, o, 2), &s);
        piece p;

        for (int64_t i = 0; next_piece(e, o, &s, i, line, &p); ++i)
            exec_kernels(e)->norm_gradient(&p.shape, how, slope + s.first, offset + s.first,
                                           exec_data(e, o, 0) + p.offset, p.dy,
                                           exec_data(e, o, 4) + p.offset);
    }
}

void batch_norm_backward(exec *e, const hmt_plan_step *s)
{
    const hmt_plan_step *forward = &e->plan->steps[s->forward], *back = s - 1;
    const int32_t x = norm_input(e, s->in[1]), affine = e->steps[s->forward].workspace;
    const norm *n = norm_plan(e, forward, x);
    int32_t dy, winners = -1, partials, variance, slopes, dgamma, dbeta, memory;

    if (n == NULL)
        return;
    if (n->pool != NULL) {
        dy = exec_input(e, back->in[0], exec_blocked(e, back->in[0]));
        winners = e->steps[back->forward].workspace;
    } else {
        dy = exec_input(e, s->in[0], exec_md(e, x));
    }
    memory = exec_scratch_each(e, n->pool != NULL ? n->across.width * n->l.lanes : 1);
    partials = norm_partials(e, n);
    slopes = exec_scratch(e, 2 * n->filled);
    variance = exec_vector_input(e, s->in[3]);
    dgamma = exec_vector_output(e, s->out[1], n->l.channels);
    dbeta = exec_vector_output(e, s->out[2], n->l.channels);
    exec_shared(e, sums_loop, n);
    exec_operand(e, x);
    exec_operand(e, dy);
    exec_operand(e, affine);
    exec_operand(e, partials);
    exec_operand(e, memory);
    exec_operand(e, winners);
    exec_shared(e, slopes_loop, n);
    exec_operand(e, partials);
    exec_operand(e, variance);
    exec_operand(e, affine);
    exec_operand(e, slopes);
    exec_operand(e, dgamma);
    exec_operand(e, dbeta);
    if (s->out[0] < 0)
        return;
    exec_shared(e, gradient_loop, n);
    exec_operand(e, x);
    exec_operand(e, dy);
    exec_operand(e, affine);
    exec_operand(e, slopes);
    exec_operand(e, exec_output(e, s->out[0], exec_md(e, x)));
    exec_operand(e, memory);
    exec_operand(e, winners);
}
