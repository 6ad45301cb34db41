/*
 * Batch norm by kernels of ours (kernels/norm_body.h) in the layout that its input has, its relu
 * fused. The backward pass computes again from x what the relu let pass, so nothing is kept but
 * three numbers for each channel.
 *
 * Training takes the batch's moments in parts, of some images each, which are added up in an order
 * that does not depend on the threads. Sums are in double: those of a whole map in float32 would
 * lose two digits, which is what decides near ties in the relus and max pools that follow.
 */
#include "layout.h"
#include "objective/statistics.h"

/* Parts of a batch, the positions that pay for one, and the floats of a map that no cache keeps. */
enum { PARTS = 8, PART = 4096, LARGE = 1 << 22 };

typedef struct norm {
    layout l;
    int64_t width;  /* channels at once */
    int64_t groups; /* of so many, in a block */
    int64_t parts;
    int64_t filled; /* channels and those that fill up the last block */
    int32_t large;  /* as in norm_shape */
} norm;

/* ------------------------------------------------------------------------------ sharing ---------
 */

/* Channels of a group in images [from, until). */
typedef struct strip {
    norm_shape shape;
    int64_t first;  /* channel */
    int64_t offset; /* in floats */
} strip;

static strip strip_of(const norm *n, int64_t group, int64_t from, int64_t until)
{
    const layout *l = &n->l;
    const int64_t block = group / n->groups, lane = group % n->groups * n->width;
    const int64_t row_step = l->blocks * l->span * l->lanes, left = l->lanes - lane;

    return (strip){.shape = {.rows = until - from,
                             .row_step = row_step,
                             .span = l->span,
                             .step = l->lanes,
                             .width = (int32_t)(left < n->width ? left : n->width),
                             .large = n->large},
                   .first = block * l->lanes + lane,
                   .offset = from * row_step + block * l->span * l->lanes + lane};
}

/* Part `task` of all groups' parts; *part receives its number. */
static strip strip_of_part(const norm *n, int64_t task, int64_t *part)
{
    const int64_t rows = n->l.rows;

    *part = task % n->parts;
    return strip_of(n, task / n->parts, rows * *part / n->parts, rows * (*part + 1) / n->parts);
}

static span share_parts(const norm *n, const member *m, int64_t elements)
{
    return exec_share_pieces(m, n->l.blocks * n->groups * n->parts, elements);
}

/* What a part adds up: two sums for each channel. */
static double *partial(const norm *n, float *partials, int64_t part)
{
    return (double *)(void *)partials + part * 2 * n->filled;
}

/* The numbers of a strip's channels, of all that are kept in a row: centres, factors, shifts. */
static norm_affine affine_of(const exec *e, const op *o, const norm *n, const float *affine,
                             int64_t first)
{
    return (norm_affine){.centre = affine + first,
                         .factor = affine + n->filled + first,
                         .shift = affine + 2 * n->filled + first,
                         .relu = e->plan->steps[o->step].relu};
}

/* ------------------------------------------------------------------------------ forward ---------
 */

/* Operands: x, partials. */
static void moments_loop(const exec *e, const op *o, const member *m)
{
    const norm *n = o->state;
    const span share = share_parts(n, m, exec_elements(e, o, 0));

    for (int64_t task = share.from; task < share.to; ++task) {
        int64_t part;
        const strip s = strip_of_part(n, task, &part);
        double *mean = partial(n, exec_data(e, o, 1), part) + s.first;

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
                const double *at = partial(n, exec_data(e, o, 0), part) + c;
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
    const int64_t groups = n->l.blocks * n->groups;
    const span share = exec_share_pieces(m, n->l.rows * groups, exec_elements(e, o, 0));

    for (int64_t task = share.from; task < share.to; ++task) {
        const int64_t row = task / groups;
        const strip s = strip_of(n, task % groups, row, row + 1);

        exec_kernels(e)->norm_apply(&s.shape, affine_of(e, o, n, exec_data(e, o, 2), s.first),
                                    exec_data(e, o, 0) + s.offset, exec_data(e, o, 1) + s.offset);
    }
}

/* How x, which must be in a layout that we know, is taken apart; NULL after a failure. */
static const norm *plan(exec *e, int32_t x)
{
    const int64_t lanes = exec_kernels(e)->lanes;
    norm *n = exec_state(e, sizeof *n);
    int64_t parts;

    if (n == NULL || !layout_of(e, exec_md(e, x), &n->l))
        return NULL;
    parts = n->l.rows * n->l.span / PART;
    parts = parts < n->l.rows ? parts : n->l.rows;
    n->width = n->l.lanes < lanes ? n->l.lanes : lanes;
    n->groups = divide_up(n->l.lanes, n->width);
    n->parts = parts < 1 ? 1 : parts < PARTS ? parts : PARTS;
    n->filled = n->l.blocks * n->l.lanes;
    n->large = n->l.lanes % lanes == 0 && n->l.rows * n->l.span * n->filled >= LARGE;
    return n;
}

/* The tensor in its own layout if loops of ours know it, but rather in blocks of channels than
 * each channel's map by itself. */
static int32_t known_input(exec *e, int32_t tensor)
{
    const int32_t x = exec_input(e, tensor, NULL);
    layout l;

    if (layout_of(e, exec_md(e, x), &l) && (l.lanes > 1 || l.span == 1))
        return x;
    return exec_input(e, tensor, exec_blocked(e, tensor));
}

void batch_norm_forward(exec *e, const hmt_plan_step *s)
{
    const int train = s->kind == HMT_STEP_BATCH_NORM_TRAIN;
    const int32_t x = known_input(e, s->in[0]);
    const norm *n = plan(e, x);
    int32_t statistics[2], affine, partials, y;

    if (n == NULL)
        return;
    if (train) {
        for (int i = 0; i < 2; ++i)
            statistics[i] = exec_vector_output(e, s->out[1 + i], n->l.channels);
        partials = exec_scratch(e, n->parts * 2 * n->filled * 2);
        exec_shared(e, moments_loop, n);
        exec_operand(e, 0, x);
        exec_operand(e, 0, partials);
        exec_shared(e, statistics_loop, n);
        exec_operand(e, 0, partials);
        exec_operand(e, 0, statistics[0]);
        exec_operand(e, 0, statistics[1]);
    } else {
        for (int i = 0; i < 2; ++i)
            statistics[i] = exec_weight_vector(e, s->weight[2 + i]);
    }
    affine = exec_scratch(e, 3 * n->filled);
    e->steps[e->step].workspace = affine;
    exec_shared(e, affine_loop, NULL);
    exec_operand(e, 0, affine);
    exec_operand(e, 0, statistics[0]);
    exec_operand(e, 0, statistics[1]);
    for (int i = 0; i < 2; ++i)
        exec_operand(e, 0, exec_weight_vector(e, s->weight[i]));
    if (train) {
        exec_alone(e, check_statistics);
        exec_operand(e, 0, affine);
        exec_operand(e, 0, statistics[0]);
        exec_operand(e, 0, statistics[1]);
    }
    y = exec_output(e, s->out[0], exec_md(e, x));
    exec_shared(e, apply_loop, n);
    exec_operand(e, 0, x);
    exec_operand(e, 0, y);
    exec_operand(e, 0, affine);
}

/* ------------------------------------------------------------------------------ backward --------
 */

/* Operands: x, dy, centres, factors and shifts, partials. */
static void sums_loop(const exec *e, const op *o, const member *m)
{
    const norm *n = o->state;
    const span share = share_parts(n, m, exec_elements(e, o, 0));

    for (int64_t task = share.from; task < share.to; ++task) {
        int64_t part;
        const strip s = strip_of_part(n, task, &part);
        double *sums = partial(n, exec_data(e, o, 3), part) + s.first;

        exec_kernels(e)->norm_sums(&s.shape, affine_of(e, o, n, exec_data(e, o, 2), s.first),
                                   exec_data(e, o, 0) + s.offset, exec_data(e, o, 1) + s.offset,
                                   sums, sums + n->filled);
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
            const double *at = partial(n, exec_data(e, o, 0), part) + c;

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

/* Operands: x, dy, centres, factors and shifts, slopes and offsets, dx. */
static void gradient_loop(const exec *e, const op *o, const member *m)
{
    const norm *n = o->state;
    const int64_t groups = n->l.blocks * n->groups;
    const float *slope = exec_data(e, o, 3), *offset = slope + n->filled;
    const span share = exec_share_pieces(m, n->l.rows * groups, exec_elements(e, o, 0));

    for (int64_t task = share.from; task < share.to; ++task) {
        const int64_t row = task / groups;
        const strip s = strip_of(n, task % groups, row, row + 1);

        exec_kernels(e)->norm_gradient(&s.shape, affine_of(e, o, n, exec_data(e, o, 2), s.first),
                                       slope + s.first, offset + s.first,
                                       exec_data(e, o, 0) + s.offset, exec_data(e, o, 1) + s.offset,
                                       exec_data(e, o, 4) + s.offset);
    }
}

void batch_norm_backward(exec *e, const hmt_plan_step *s)
{
    const int32_t x = known_input(e, s->in[1]), dy = exec_input(e, s->in[0], exec_md(e, x));
    const norm *n = plan(e, x);
    const int32_t affine = e->steps[s->forward].workspace;
    int32_t partials, variance, slopes, dgamma, dbeta;

    if (n == NULL)
        return;
    partials = exec_scratch(e, n->parts * 2 * n->filled * 2);
    slopes = exec_scratch(e, 2 * n->filled);
    variance = exec_vector_input(e, s->in[3]);
    dgamma = exec_vector_output(e, s->out[1], n->l.channels);
    dbeta = exec_vector_output(e, s->out[2], n->l.channels);
    exec_shared(e, sums_loop, n);
    exec_operand(e, 0, x);
    exec_operand(e, 0, dy);
    exec_operand(e, 0, affine);
    exec_operand(e, 0, partials);
    exec_shared(e, slopes_loop, n);
    exec_operand(e, 0, partials);
    exec_operand(e, 0, variance);
    exec_operand(e, 0, affine);
    exec_operand(e, 0, slopes);
    exec_operand(e, 0, dgamma);
    exec_operand(e, 0, dbeta);
    if (s->out[0] < 0)
        return;
    exec_shared(e, gradient_loop, n);
    exec_operand(e, 0, x);
    exec_operand(e, 0, dy);
    exec_operand(e, 0, affine);
    exec_operand(e, 0, slopes);
    exec_operand(e, 0, exec_output(e, s->out[0], exec_md(e, x)));
}

/* ------------------------------------------------------------------------------ explanations ----
 */

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
    exec_operand(e, 0, dy);
    exec_operand(e, 0, dx);
    exec_operand(e, 0, variance);
    exec_operand(e, 0, gamma);
}
