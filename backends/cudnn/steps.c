/*
 * The table of step kinds, and those that are one kernel of ours: pools, relu, sums, channels,
 * dropout, reshaping, updates.
 */
#include "exec.h"

static hmt_status max_pool_run(exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);

    kernel_max_pool(exec_map(e, s->in[0]), exec_extent(e, s->in[0]), exec_map(e, s->out[0]),
                    exec_extent(e, s->out[0]), &s->window, e->compute);
    return HMT_OK;
}

static hmt_status max_pool_backward_run(exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);

    kernel_max_pool_backward(exec_map(e, s->in[0]), exec_map(e, s->in[1]), exec_map(e, s->in[2]),
                             exec_map(e, s->out[0]), exec_extent(e, s->in[1]),
                             exec_extent(e, s->in[0]), &s->window, e->compute);
    return HMT_OK;
}

static hmt_status average_pool_run(exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);

    kernel_average_pool(exec_map(e, s->in[0]), exec_extent(e, s->in[0]), exec_map(e, s->out[0]),
                        exec_extent(e, s->out[0]), &s->window, e->compute);
    return HMT_OK;
}

static hmt_status average_pool_backward_run(exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);

    kernel_average_pool_backward(exec_map(e, s->in[0]), exec_map(e, s->out[0]),
                                 exec_extent(e, s->out[0]), exec_extent(e, s->in[0]), &s->window,
                                 e->compute);
    return HMT_OK;
}

static hmt_status relu_run(exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);

    kernel_relu(exec_map(e, s->in[0]), exec_map(e, s->out[0]), e->tensors[s->out[0]].count,
                e->compute);
    return HMT_OK;
}

static hmt_status relu_backward_run(exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);

    kernel_relu_backward(exec_map(e, s->in[0]), exec_map(e, s->in[1]), exec_map(e, s->out[0]),
                         e->tensors[s->out[0]].count, e->compute);
    return HMT_OK;
}

static hmt_status sum_run(exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);
    const void *x[HMT_STEP_INPUTS] = {NULL};

    for (int32_t i = 0; i < s->in_count; ++i)
        x[i] = e->tensors[s->in[i]].at;
    kernel_sum(x, s->scale, s->in_count, exec_map(e, s->out[0]), e->tensors[s->out[0]].count,
               s->relu, e->compute);
    return HMT_OK;
}

static hmt_status concat_run(exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);
    const extent y = exec_extent(e, s->out[0]);
    int32_t first = 0;

    for (int32_t i = 0; i < s->in_count; ++i) {
        const int32_t channels = exec_extent(e, s->in[i]).c;

        kernel_channels(exec_map(e, s->in[i]), channels, 0, exec_map(e, s->out[0]), y.c, first,
                        channels, exec_rows(y), e->compute);
        first += channels;
    }
    return HMT_OK;
}

static hmt_status slice_run(exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);
    const extent y = exec_extent(e, s->out[0]);

    kernel_channels(exec_map(e, s->in[0]), exec_extent(e, s->in[0]).c, s->channel,
                    exec_map(e, s->out[0]), y.c, 0, y.c, exec_rows(y), e->compute);
    return HMT_OK;
}

static hmt_status reshape_run(exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);

    if (e->tensors[s->in[0]].at != e->tensors[s->out[0]].at)
        kernel_reorder(exec_map(e, s->in[0]), exec_extent(e, s->in[0]), exec_map(e, s->out[0]),
                       exec_extent(e, s->out[0]), e->compute);
    return HMT_OK;
}

static hmt_status dropout_run(exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);

    kernel_dropout((const run_block *)(const void *)e->in.device, exec_map(e, s->in[0]),
                   exec_map(e, s->out[0]), exec_extent(e, s->out[0]), s->salt, s->drop, e->compute);
    return HMT_OK;
}

static hmt_status sgd_run(exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);
    const weight *w = e->held[s->weight[0]];

    kernel_sgd(w->values, w->momentum, w->copy, exec_map(e, s->in[0]), w->count,
               (const hmt_sgd *)(const void *)(e->in.device + e->in.groups) + s->group, e->compute);
    return HMT_OK;
}

static hmt_status statistics_run(exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);

    kernel_statistics(exec_values(e, s->weight[0]), exec_values(e, s->weight[1]),
                      exec_floats(e, s->in[0]), exec_floats(e, s->in[1]),
                      (int32_t)e->held[s->weight[0]]->count, s->samples, s->momentum, 1.0f,
                      e->compute);
    return HMT_OK;
}

#define CONVOLUTION(kind)                                                                          \
    {                                                                                              \
        kind, conv_prepare, conv_choose, conv_link, conv_run, conv_release, conv_kernel            \
    }
#define PRODUCT(kind)                                                                              \
    {                                                                                              \
        kind, linear_prepare, linear_choose, linear_link, linear_run, linear_release,              \
            linear_kernel                                                                          \
    }

static const operation table[] = {
    CONVOLUTION(HMT_STEP_CONV),
    CONVOLUTION(HMT_STEP_CONV_BACKWARD_DATA),
    CONVOLUTION(HMT_STEP_CONV_BACKWARD_WEIGHTS),
    PRODUCT(HMT_STEP_LINEAR),
    PRODUCT(HMT_STEP_LINEAR_BACKWARD_DATA),
    PRODUCT(HMT_STEP_LINEAR_BACKWARD_WEIGHTS),
    {.kind = HMT_STEP_BATCH_NORM, .prepare = norm_prepare, .run = norm_run},
    {.kind = HMT_STEP_BATCH_NORM_TRAIN, .prepare = norm_prepare, .run = norm_train_run},
    {.kind = HMT_STEP_BATCH_NORM_BACKWARD, .prepare = norm_prepare, .run = norm_backward_run},
    {.kind = HMT_STEP_BATCH_NORM_BACKWARD_DATA,
     .prepare = norm_prepare,
     .run = norm_backward_data_run},
    {.kind = HMT_STEP_RELU, .run = relu_run},
    {.kind = HMT_STEP_RELU_BACKWARD, .run = relu_backward_run},
    {.kind = HMT_STEP_MAX_POOL, .run = max_pool_run},
    {.kind = HMT_STEP_MAX_POOL_BACKWARD, .run = max_pool_backward_run},
    {.kind = HMT_STEP_AVERAGE_POOL, .run = average_pool_run},
    {.kind = HMT_STEP_AVERAGE_POOL_BACKWARD, .run = average_pool_backward_run},
    {.kind = HMT_STEP_SUM, .run = sum_run},
    {.kind = HMT_STEP_CONCAT, .run = concat_run},
    {.kind = HMT_STEP_SLICE, .run = slice_run},
    {.kind = HMT_STEP_RESHAPE, .run = reshape_run},
    {.kind = HMT_STEP_DROPOUT, .run = dropout_run},
    {.kind = HMT_STEP_DROPOUT_BACKWARD, .run = dropout_run},
    {.kind = HMT_STEP_CROSS_ENTROPY, .prepare = loss_prepare, .run = cross_entropy_run},
    {.kind = HMT_STEP_REGRESSION_LOSS, .prepare = loss_prepare, .run = regression_run},
    {.kind = HMT_STEP_ONE_HOT, .run = one_hot_run},
    {.kind = HMT_STEP_SGD, .run = sgd_run},
    {.kind = HMT_STEP_STATISTICS, .run = statistics_run},
};

const operation *operation_of(hmt_step_kind kind)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; ++i)
        if (table[i].kind == kind)
            return &table[i];
    return NULL;
}
