/*
 * Batch norms through our kernels. A batch's mean and variance are tensors of the plan; the slope
 * that both directions need is scratch.
 */
#include "exec.h"

/* Scratch: sums in double, then up to three vectors. */
typedef struct room {
    double *sums;
    float *vectors;
} room;

static room room_of(const exec *e, extent x)
{
    double *sums = (double *)(void *)e->scratch;

    return (room){sums, (float *)(void *)(sums + kernel_sums_scratch(exec_rows(x), x.c))};
}

hmt_status norm_prepare(exec *e, int32_t step)
{
    const extent x = exec_extent(e, exec_step(e, step)->in[0]);

    exec_scratch(e, kernel_sums_scratch(exec_rows(x), x.c) * sizeof(double) +
                        3 * (uint64_t)x.c * sizeof(float));
    return HMT_OK;
}

/* With the running statistics. */
static norm_vectors running(const exec *e, const hmt_plan_step *s, const room *r)
{
    return (norm_vectors){.gamma = exec_values(e, s->weight[0]),
                          .beta = exec_values(e, s->weight[1]),
                          .mean = exec_values(e, s->weight[2]),
                          .variance = exec_values(e, s->weight[3]),
                          .slope = r->vectors,
                          .epsilon = s->epsilon,
                          .relu = s->relu};
}

/* With the batch's own. */
static norm_vectors own(const exec *e, const hmt_plan_step *s, const room *r, int32_t mean,
                        int32_t variance)
{
    return (norm_vectors){.gamma = exec_values(e, s->weight[0]),
                          .beta = exec_values(e, s->weight[1]),
                          .mean = exec_floats(e, mean),
                          .variance = exec_floats(e, variance),
                          .slope = r->vectors,
                          .epsilon = s->epsilon,
                          .relu = s->relu};
}

hmt_status norm_run(exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);
    const extent x = exec_extent(e, s->in[0]);
    const room r = room_of(e, x);
    const norm_vectors n = running(e, s, &r);

    kernel_slope(x.c, &n, e->compute);
    kernel_normalise(exec_map(e, s->in[0]), exec_map(e, s->out[0]), exec_rows(x), x.c, &n,
                     e->compute);
    return HMT_OK;
}

hmt_status norm_train_run(exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);
    const extent x = exec_extent(e, s->in[0]);
    const room r = room_of(e, x);
    const norm_vectors n = own(e, s, &r, s->out[1], s->out[2]);
    int32_t *flags = (int32_t *)(void *)(e->out.device + e->out.flags);

    kernel_moments(exec_map(e, s->in[0]), exec_rows(x), x.c, &n, r.sums, &flags[step], e->compute);
    kernel_normalise(exec_map(e, s->in[0]), exec_map(e, s->out[0]), exec_rows(x), x.c, &n,
                     e->compute);
    return HMT_OK;
}

hmt_status norm_backward_run(exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);
    const extent x = exec_extent(e, s->in[1]);
    const room r = room_of(e, x);
    const norm_vectors n = own(e, s, &r, s->in[2], s->in[3]);

    kernel_norm_backward(exec_map(e, s->in[0]), exec_map(e, s->in[1]),
                         exec_map(e, s->relu ? s->in[4] : -1), exec_map(e, s->out[0]), exec_rows(x),
                         x.c, &n, exec_floats(e, s->out[1]), exec_floats(e, s->out[2]), r.sums,
                         r.vectors, e->compute);
    return HMT_OK;
}

hmt_status norm_backward_data_run(exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);
    const extent dy = exec_extent(e, s->in[0]);
    const room r = room_of(e, dy);
    const norm_vectors n = running(e, s, &r);

    kernel_slope(dy.c, &n, e->compute);
    kernel_scale_channels(exec_map(e, s->in[0]), exec_map(e, s->out[0]), exec_rows(dy), dy.c,
                          n.slope, e->compute);
    return HMT_OK;
}
