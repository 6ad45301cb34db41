/*
 * Batch norm by kernels of ours (kernels/norm_body.h) in the layout that its input has, its relu
 * fused: forward, and backward with fixed statistics.
 *
 * Training takes the batch's moments in parts, of some images each, which are added up in an order
 * that does not depend on the threads. Sums are in double: those of a whole map in float32 would
 * lose two digits, which is what decides near ties in the relus and max pools that follow.
 */
#include "norm.h"
#include "objective/statistics.h"

/* Operands: x, partials. */
static void moments_loop(const exec *e, const op *o, const member *m)
{
    const norm *n = o->state;
    const span share = norm_share_parts(n, m);

    for (int64_t task = share.from; task < share.to; ++task) {
        int64_t part;
        const strip s = norm_strip_of_part(n, task, &part);
        double *mean = norm_partial(n, exec_data(e, o, 1), part) + s.first;

        exec_kernels(e)->norm_moments(&s.shape, exec_data(e, o, 0) + s.offset, mean,
                                      mean + n->filled);
    }
}

/* Operands: partials, mean, variance. Parts have means of their own: each adds the square of its
 * distance from the common one for each of its values. */
static void statistics_loop(const exec *e, const op *o, const member *m)
{
    const norm *n = o->state;
    float *mean = exec_data(e, o, 1), *variance = exec_data(e, o, 2);
    const double all = (double)(n->l.rows * n->l.span);
    const span share = team_share(m, n->l.channels);

    for (int64_t c = share.from; c < share.to; ++c) {
        double sum = 0.0, squares = 0.0;

        for (int pass = 0; pass < 2; ++pass)
            for (int64_t part = 0; part < n->parts; ++part) {
                const double *at = norm_partial(n, exec_data(e, o, 0), part) + c;
                const int64_t rows =
                    n->l.rows * (part + 1) / n->parts - n->l.rows * part / n->parts;
                const double count = (double)(rows * n->l.span), off = at[0] - sum / all;

                if (pass == 0)
                    sum += count * at[0];
                else
                    squares += at[n->filled] + count * off * off;
            }
        mean[c] = (float)(sum / all);
        variance[c] = squares < 0.0 ? 0.0f : (float)(squares / all);
    }
}

/* Tells the library of statistics that are not finite: a relu would hide them from the losses. */
static void check_statistics(const exec *e, const op *o)
{
    if (e->run->bad_step < 0 &&
        !statistics_finite(exec_data(e, o, 1), exec_data(e, o, 2), exec_elements(e, o, 1)))
        e->run->bad_step = o->step;
}

/* Operands: centres, factors and shifts; mean, variance, [gamma], [beta]. Channels that fill up the
 * last block get zeros. */
static void affine_loop(const exec *e, const op *o, const member *m)
{
    const hmt_plan_step *s = &e->plan->steps[o->step];
    const int64_t channels = exec_elements(e, o, 1), filled = exec_elements(e, o, 0) / 3;
    const span share = team_share(m, filled);
    const float *mean = exec_data(e, o, 1), *variance = exec_data(e, o, 2);
    const float *gamma = s->weight[0] >= 0 ? exec_data(e, o, 3) : NULL;
    const float *beta = s->weight[1] >= 0 ? exec_data(e, o, o->count - 1) : NULL;
    float *centre = exec_data(e, o, 0), *factor = centre + filled, *shift = factor + filled;

    for (int64_t c = share.from; c < share.to; ++c) {
        const int real = c < channels;

        centre[c] = real ? mean[c] : 0.0f;
        factor[c] = real ? (float)statistics_slope(gamma != NULL ? gamma[c] : 1.0f, variance[c],
                                                   (double)s->epsilon)
                         : 0.0f;
        shift[c] = real && beta != NULL ? beta[c] : 0.0f;
    }
}

/* Operands: x, y, centres, factors and shifts. */
static void apply_loop(const exec *e, const op *o, const member *m)
{
    const norm *n = o->state;
    const hmt_plan_step *s = &e->plan->steps[o->step];
    const span share = norm_share_images(n, m);

    for (int64_t i = share.from; i < share.to; ++i) {
        const strip image = norm_strip_of_image(n, i);

        exec_kernels(e)->norm_apply(&image.shape, norm_affine_of(n, s, exec_data(e, o, 2), &image),
                                    exec_data(e, o, 0) + image.offset,
                                    exec_data(e, o, 1) + image.offset);
    }
}

void batch_norm_forward(exec *e, const hmt_plan_step *s)
{
    const int train = s->kind == HMT_STEP_BATCH_NORM_TRAIN;
    const int32_t x = norm_input(e, s->in[0]);
    const norm *n = norm_plan(e, s, x);
    int32_t statistics[2], affine, partials, y;

    if (n == NULL)
        return;
    if (train) {
        for (int i = 0; i < 2; ++i)
            statistics[i] = exec_vector_output(e, s->out[1 + i], n->l.channels);
        partials = norm_partials(e, n);
        exec_shared(e, moments_loop, n);
        exec_operand(e, x);
        exec_operand(e, partials);
        exec_shared(e, statistics_loop, n);
        exec_operand(e, partials);
        exec_operand(e, statistics[0]);
        exec_operand(e, statistics[1]);
    } else {
        for (int i = 0; i < 2; ++i)
            statistics[i] = exec_weight_vector(e, s->weight[2 + i]);
    }
    affine = exec_scratch(e, 3 * n->filled);
    e->steps[e->step].workspace = affine;
    exec_shared(e, affine_loop, NULL);
    exec_operand(e, affine);
    exec_operand(e, statistics[0]);
    exec_operand(e, statistics[1]);
    for (int i = 0; i < 2; ++i)
        exec_operand(e, exec_weight_vector(e, s->weight[i]));
    if (train) {
        exec_alone(e, check_statistics);
        exec_operand(e, affine);
        exec_operand(e, statistics[0]);
        exec_operand(e, statistics[1]);
    }
    if (n->pool != NULL) {
        norm_pool_forward(e, n, x, affine);
        return;
    }
    y = exec_output(e, s->out[0], exec_md(e, x));
    exec_shared(e, apply_loop, n);
    exec_operand(e, x);
    exec_operand(e, y);
    exec_operand(e, affine);
}

/* Operands: dy, dx, variance, [gamma]; dense. */
static void slope_loop(const exec *e, const op *o, const member *m)
{
    const hmt_plan_step *s = &e->plan->steps[o->step];
    const int64_t *shape = e->plan->tensors[s->in[0]].shape;
    const int64_t maps = shape[0] * shape[1], area = shape[2] * shape[3];
    const float *dy = exec_data(e, o, 0), *variance = exec_data(e, o, 2);
    const float *gamma = o->count > 3 ? exec_data(e, o, 3) : NULL;
    float *dx = exec_data(e, o, 1);
    const span part = team_share(m, maps);

    for (int64_t map = part.from; map < part.to; ++map) {
        const int64_t c = map % shape[1];
        const double slope =
            statistics_slope(gamma != NULL ? gamma[c] : 1.0f, variance[c], (double)s->epsilon);

        for (int64_t i = map * area; i < (map + 1) * area; ++i)
            dx[i] = (float)(dy[i] * slope);
    }
}

/* Only plans for explanation have it, seldom: a dense layout will do. */
void batch_norm_backward_data(exec *e, const hmt_plan_step *s)
{
    const_dnnl_memory_desc_t md = exec_like(e, s->in[0], dnnl_nchw);
    int32_t dy = exec_input(e, s->in[0], md), dx = exec_output(e, s->out[0], md);
    int32_t variance = exec_weight_vector(e, s->weight[3]);
    int32_t gamma = exec_weight_vector(e, s->weight[0]);

    exec_shared(e, slope_loop, NULL);
    exec_operand(e, dy);
    exec_operand(e, dx);
    exec_operand(e, variance);
    exec_operand(e, gamma);
}
