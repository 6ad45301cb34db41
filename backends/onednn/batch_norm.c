/*
 * Batch norm in the layout that its input has, its relu fused. Training computes the batch's
 * moments itself (moments.c) and keeps one bit or byte for each element in a workspace, so that the
 * backward pass needs no output.
 */
#include "layout.h"
#include "objective/statistics.h"

/* `given`: mean and variance are inputs. */
static unsigned flags(const hmt_plan_step *s, int given)
{
    return (s->weight[0] >= 0 ? (unsigned)dnnl_use_scale : 0u) |
           (s->weight[1] >= 0 ? (unsigned)dnnl_use_shift : 0u) |
           (s->relu ? (unsigned)dnnl_fuse_norm_relu : 0u) |
           (given ? (unsigned)dnnl_use_global_stats : 0u);
}

/* The batch's mean and variance, which the step writes, or the running ones, which it reads. */
static int32_t statistic(exec *e, const hmt_plan_step *s, int i)
{
    if (s->kind == HMT_STEP_BATCH_NORM)
        return exec_weight_vector(e, s->weight[2 + i]);
    return exec_vector_output(e, s->out[1 + i], e->plan->tensors[s->in[0]].shape[1]);
}

/* A workspace, if the primitive wants one. */
static int32_t workspace(exec *e, const hmt_plan_step *s, const_dnnl_primitive_desc_t pd)
{
    const_dnnl_memory_desc_t md = exec_query(e, pd, dnnl_query_workspace_md, 0);

    if (s->kind != HMT_STEP_BATCH_NORM_TRAIN || md == NULL || dnnl_memory_desc_get_size(md) == 0)
        return -1;
    return e->steps[e->step].workspace = exec_buffer(e, md);
}

/* Tells the library of statistics that are not finite: a relu would hide them from the losses. */
static void check_statistics(const exec *e, const op *o)
{
    if (e->run->bad_step < 0 &&
        !statistics_finite(exec_data(e, o, 0), exec_data(e, o, 1), exec_elements(e, o, 0)))
        e->run->bad_step = o->step;
}

/* Operands: a factor and a term for each channel, mean, variance, [gamma], [beta]. Channels that
 * fill up the last block get zeros. */
static void affine_loop(const exec *e, const op *o, const member *m)
{
    const hmt_plan_step *s = &e->plan->steps[o->step];
    const int64_t channels = exec_elements(e, o, 2);
    const span part = team_share(m, exec_elements(e, o, 0));
    const float *mean = exec_data(e, o, 2), *variance = exec_data(e, o, 3);
    const float *gamma = s->weight[0] >= 0 ? exec_data(e, o, 4) : NULL;
    const float *beta = s->weight[1] >= 0 ? exec_data(e, o, o->count - 1) : NULL;
    float *factor = exec_data(e, o, 0), *term = exec_data(e, o, 1);

    for (int64_t c = part.from; c < part.to; ++c)
        if (c < channels) {
            const double slope =
                statistics_slope(gamma != NULL ? gamma[c] : 1.0f, variance[c], (double)s->epsilon);

            factor[c] = (float)slope;
            term[c] = (float)statistics_offset(beta != NULL ? beta[c] : 0.0f, mean[c], slope);
        } else {
            factor[c] = term[c] = 0.0f;
        }
}

/* Operands: x, y, factors, terms. */
static void normalise_loop(const exec *e, const op *o, const member *m)
{
    const layout *l = o->state;
    const float floor = e->plan->steps[o->step].relu ? 0.0f : -INFINITY;
    const float *x = exec_data(e, o, 0);
    float *y = exec_data(e, o, 1);
    const span part = exec_share_pieces(m, l->rows * l->blocks, exec_elements(e, o, 0));

    for (int64_t i = part.from; i < part.to; ++i) {
        const int64_t first = i % l->blocks * l->lanes;
        const float *factor = exec_data(e, o, 2) + first, *term = exec_data(e, o, 3) + first;

        for (int64_t at = i * l->span; at < (i + 1) * l->span; ++at)
#pragma omp simd
            for (int64_t lane = 0; lane < l->lanes; ++lane) {
                const float value = x[at * l->lanes + lane] * factor[lane] + term[lane];

                y[at * l->lanes + lane] = value < floor ? floor : value;
            }
    }
}

/* At inference, by a loop of ours: a product and a sum for each element. 0 if the layout is not
 * known. */
static int normalise(exec *e, const hmt_plan_step *s, int32_t x)
{
    layout l, *kept;
    int32_t factor, term, y;
    int64_t filled;

    if (s->kind != HMT_STEP_BATCH_NORM || !layout_of(e, exec_md(e, x), &l) ||
        (kept = exec_state(e, sizeof l)) == NULL)
        return 0;
    *kept = l;
    filled = l.blocks * l.lanes;
    factor = exec_scratch(e, filled);
    term = exec_scratch(e, filled);
    exec_shared(e, affine_loop, NULL);
    exec_operand(e, 0, factor);
    exec_operand(e, 0, term);
    for (int i = 0; i < 2; ++i)
        exec_operand(e, 0, exec_weight_vector(e, s->weight[2 + i]));
    for (int i = 0; i < 2; ++i)
        exec_operand(e, 0, exec_weight_vector(e, s->weight[i]));
    y = exec_output(e, s->out[0], exec_md(e, x));
    exec_shared(e, normalise_loop, kept);
    exec_operand(e, 0, x);
    exec_operand(e, 0, y);
    exec_operand(e, 0, factor);
    exec_operand(e, 0, term);
    return 1;
}

void batch_norm_forward(exec *e, const hmt_plan_step *s)
{
    dnnl_prop_kind_t kind =
        s->kind == HMT_STEP_BATCH_NORM ? dnnl_forward_inference : dnnl_forward_training;
    dnnl_primitive_attr_t attr;
    dnnl_primitive_desc_t pd = NULL;
    int32_t x = exec_input(e, s->in[0], NULL), gamma, beta, mean, variance, kept, y;
    int given = 1;

    if (normalise(e, s, x))
        return;
    attr = exec_attributes(e, 0);
    mean = statistic(e, s, 0);
    variance = statistic(e, s, 1);
    if (s->kind == HMT_STEP_BATCH_NORM_TRAIN)
        given = batch_norm_moments(e, x, mean, variance);
    EXEC_CALL(e, dnnl_batch_normalization_forward_primitive_desc_create, &pd, e->device->engine,
              kind, exec_md(e, x), exec_md(e, x), s->epsilon, flags(s, given), attr);
    dnnl_primitive_attr_destroy(attr);
    gamma = exec_weight_vector(e, s->weight[0]);
    beta = exec_weight_vector(e, s->weight[1]);
    kept = workspace(e, s, pd);
    y = exec_output(e, s->out[0], exec_query(e, pd, dnnl_query_dst_md, 0));
    exec_primitive(e, pd);
    exec_operand(e, DNNL_ARG_SRC, x);
    exec_operand(e, DNNL_ARG_SCALE, gamma);
    exec_operand(e, DNNL_ARG_SHIFT, beta);
    exec_operand(e, DNNL_ARG_MEAN, mean);
    exec_operand(e, DNNL_ARG_VARIANCE, variance);
    exec_operand(e, DNNL_ARG_WORKSPACE, kept);
    exec_operand(e, DNNL_ARG_DST, y);
    if (s->kind == HMT_STEP_BATCH_NORM_TRAIN) {
        exec_alone(e, check_statistics);
        exec_operand(e, 0, mean);
        exec_operand(e, 0, variance);
    }
}

void batch_norm_backward(exec *e, const hmt_plan_step *s)
{
    const int64_t channels = e->plan->tensors[s->in[1]].shape[1];
    dnnl_prop_kind_t kind =
        s->weight[0] >= 0 || s->weight[1] >= 0 ? dnnl_backward : dnnl_backward_data;
    dnnl_primitive_attr_t attr = exec_attributes(e, 0);
    dnnl_primitive_desc_t pd = NULL;
    int32_t x = exec_input(e, s->in[1], NULL), dy = exec_input(e, s->in[0], exec_md(e, x));
    int32_t mean, variance, gamma, dx, dgamma = -1, dbeta = -1;

    EXEC_CALL(e, dnnl_batch_normalization_backward_primitive_desc_create, &pd, e->device->engine,
              kind, exec_md(e, x), exec_md(e, x), exec_md(e, x), s->epsilon, flags(s, 0),
              e->steps[s->forward].pd, attr);
    dnnl_primitive_attr_destroy(attr);
    mean = exec_vector_input(e, s->in[2]);
    variance = exec_vector_input(e, s->in[3]);
    gamma = exec_weight_vector(e, s->weight[0]);
    dx = s->out[0] >= 0 ? exec_output(e, s->out[0], exec_md(e, x)) : exec_buffer(e, exec_md(e, x));
    if (s->weight[0] >= 0)
        dgamma = exec_vector_output(e, s->out[1], channels);
    if (s->weight[1] >= 0)
        dbeta = exec_vector_output(e, s->out[2], channels);
    exec_primitive(e, pd);
    exec_operand(e, DNNL_ARG_SRC, x);
    exec_operand(e, DNNL_ARG_MEAN, mean);
    exec_operand(e, DNNL_ARG_VARIANCE, variance);
    exec_operand(e, DNNL_ARG_DIFF_DST, dy);
    exec_operand(e, DNNL_ARG_SCALE, gamma);
    exec_operand(e, DNNL_ARG_WORKSPACE, e->steps[s->forward].workspace);
    exec_operand(e, DNNL_ARG_DIFF_SRC, dx);
    exec_operand(e, DNNL_ARG_DIFF_SCALE, dgamma);
    exec_operand(e, DNNL_ARG_DIFF_SHIFT, dbeta);
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
    exec_operand(e, 0, dy);
    exec_operand(e, 0, dx);
    exec_operand(e, 0, variance);
    exec_operand(e, 0, gamma);
}
