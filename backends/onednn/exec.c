/*
 * A prepared plan's life: prepare every step, lay out the arena, free. run.c runs it.
 */
#include "exec.h"

#include <string.h>

void exec_prepare_step(exec *e, int32_t step)
{
    const hmt_plan_step *s = &e->plan->steps[step];
    static const struct {
        hmt_step_kind kind;
        void (*prepare)(exec *e, const hmt_plan_step *s);
    } table[] = {
        {HMT_STEP_CONV, conv_forward},
        {HMT_STEP_LINEAR, linear_forward},
        {HMT_STEP_BATCH_NORM, batch_norm_forward},
        {HMT_STEP_BATCH_NORM_TRAIN, batch_norm_forward},
        {HMT_STEP_RELU, elementwise_relu},
        {HMT_STEP_MAX_POOL, pool_forward},
        {HMT_STEP_AVERAGE_POOL, pool_forward},
        {HMT_STEP_SUM, elementwise_sum},
        {HMT_STEP_CONCAT, channels_concat},
        {HMT_STEP_SLICE, channels_slice},
        {HMT_STEP_RESHAPE, channels_reshape},
        {HMT_STEP_DROPOUT, elementwise_dropout},
        {HMT_STEP_CROSS_ENTROPY, losses_cross_entropy_step},
        {HMT_STEP_REGRESSION_LOSS, losses_regression_step},
        {HMT_STEP_CONV_BACKWARD_DATA, conv_backward_data},
        {HMT_STEP_CONV_BACKWARD_WEIGHTS, conv_backward_weights},
        {HMT_STEP_LINEAR_BACKWARD_DATA, linear_backward_data},
        {HMT_STEP_LINEAR_BACKWARD_WEIGHTS, linear_backward_weights},
        {HMT_STEP_BATCH_NORM_BACKWARD, batch_norm_backward},
        {HMT_STEP_RELU_BACKWARD, elementwise_relu_backward},
        {HMT_STEP_MAX_POOL_BACKWARD, pool_backward},
        {HMT_STEP_AVERAGE_POOL_BACKWARD, pool_backward},
        {HMT_STEP_DROPOUT_BACKWARD, elementwise_dropout},
        {HMT_STEP_BATCH_NORM_BACKWARD_DATA, batch_norm_backward_data},
        {HMT_STEP_ONE_HOT, losses_one_hot},
        {HMT_STEP_SGD, update_sgd},
        {HMT_STEP_STATISTICS, update_statistics},
    };

    e->step = step;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; ++i)
        if (table[i].kind == s->kind) {
            table[i].prepare(e, s);
            e->steps[step].prepared = 1;
            ++e->time;
            return;
        }
    exec_note(e, e->device->host->fail(HMT_ERROR_UNSUPPORTED, "%s: step kind %d is not known",
                                       s->name, (int)s->kind));
}

static void copy_images(const exec *e, const op *o)
{
    memcpy(exec_data(e, o, 0), e->run->input, e->buffers[o->buffer[0]].bytes);
}

/* The images: read where the caller has them, but copied if a step after the forward phase or the
 * caller's reading needs them. */
static void prepare_input(exec *e)
{
    const hmt_plan_tensor *t = &e->plan->tensors[e->plan->input];
    int32_t home = exec_buffer(e, exec_like(e, e->plan->input, dnnl_nchw));

    e->tensors[e->plan->input].home = home;
    if (!e->plan->training && !(t->flags & HMT_TENSOR_OUTPUT)) {
        e->input = home;
        return;
    }
    exec_alone(e, copy_images);
    exec_operand(e, home);
}

/* Outputs live to the end, and exec_read() reads them dense. */
static void prepare_read(exec *e, int32_t tensor)
{
    tensor_state *t = &e->tensors[tensor];

    if (e->status != HMT_OK || t->home < 0)
        return;
    t->dense = exec_like(e, tensor, dnnl_nchw);
    e->buffers[e->buffers[t->home].root].last = (int32_t)e->plan->step_count;
}

/* Whether a buffer has memory of its own in the arena. */
static int in_arena(const exec *e, int32_t i)
{
    return e->buffers[i].root == i && e->buffers[i].data == NULL && i != e->input &&
           e->buffers[i].first >= 0;
}

static void lay_out(exec *e)
{
    const hmt_host *host = e->device->host;
    hmt_interval *intervals;
    size_t count = 0;
    void *block = NULL;

    if (e->status != HMT_OK ||
        exec_note(e, device_allocate(e->device, (uint64_t)e->buffer_count * sizeof *intervals,
                                     "a prepared plan", &block)) != HMT_OK)
        return;
    intervals = block;
    for (int32_t i = 0; i < e->buffer_count; ++i)
        if (in_arena(e, i))
            intervals[count++] =
                (hmt_interval){e->buffers[i].bytes, e->buffers[i].first, e->buffers[i].last, 0};
    exec_note(e, host->place(host, intervals, count, &e->arena_bytes));
    if (e->status == HMT_OK) {
        void *arena = NULL;

        exec_note(e, device_allocate(e->device, e->arena_bytes, "a plan's tensors", &arena));
        e->arena = arena;
    }
    count = 0;
    for (int32_t i = 0; i < e->buffer_count && e->status == HMT_OK; ++i)
        if (in_arena(e, i))
            e->buffers[i].data = (float *)(void *)(e->arena + intervals[count++].offset);
    device_free(e->device, block);
}

/* Gives buffers that show another's memory that. */
static void connect(exec *e)
{
    for (int32_t i = 0; i < e->buffer_count && e->status == HMT_OK; ++i)
        if (e->buffers[e->buffers[i].root].data != NULL)
            e->buffers[i].data = e->buffers[e->buffers[i].root].data;
}

/* A step, and before it what runs beside it: its own buffers live from the first of those on. */
static void prepare_in_turn(exec *e, int32_t step)
{
    const int32_t before = e->time;

    beside_prepare(e, step);
    const int32_t own = e->time;

    exec_prepare_step(e, step);
    for (int32_t i = 0; i < e->buffer_count && before < own; ++i)
        if (e->buffers[i].first == own)
            e->buffers[i].first = before;
}

static void prepare(exec *e)
{
    const hmt_plan *plan = e->plan;

    if (plan->input >= 0)
        prepare_input(e);
    for (int32_t i = 0; i < (int32_t)plan->step_count && e->status == HMT_OK; ++i)
        if (!e->steps[i].prepared)
            prepare_in_turn(e, i);
    e->step = e->time = (int32_t)plan->step_count;
    for (size_t i = 0; i < plan->tensor_count; ++i)
        if (plan->tensors[i].flags & HMT_TENSOR_OUTPUT)
            prepare_read(e, (int32_t)i);
    lay_out(e);
    connect(e);
}

/* Whether the plan changes no weight. One that trains may mix images: its losses, and the batch
 * norms before them, are of the whole batch anyway. */
static int changes_nothing(const hmt_plan *plan)
{
    for (size_t i = 0; i < plan->step_count; ++i)
        if (plan->steps[i].kind == HMT_STEP_SGD || plan->steps[i].kind == HMT_STEP_STATISTICS)
            return 0;
    return 1;
}

hmt_status exec_create(void *opened, const hmt_plan *plan, void *home, void **out)
{
    const device *d = opened;
    uint64_t bytes = sizeof(exec) + plan->tensor_count * sizeof(tensor_state) +
                     plan->step_count * sizeof(step_state);
    exec *e;
    void *block;
    hmt_status status = device_allocate(d, bytes, "a prepared plan", &block);

    if (status != HMT_OK)
        return status;
    e = memset(block, 0, bytes);
    e->device = d;
    e->plan = plan;
    e->weights = home;
    e->rows_apart = changes_nothing(plan);
    e->input = -1;
    e->beside.by = -1;
    e->tensors = (tensor_state *)(void *)(e + 1);
    e->steps = (step_state *)(void *)(e->tensors + plan->tensor_count);
    for (size_t i = 0; i < plan->tensor_count; ++i)
        e->tensors[i].home = -1;
    for (size_t i = 0; i < plan->step_count; ++i)
        e->steps[i].workspace = -1;
    status = team_create(d->host, &e->team);
    if (status == HMT_OK) {
        prepare(e);
        status = e->status;
    }
    if (status == HMT_OK)
        *out = e;
    else
        exec_destroy(e);
    return status;
}

void exec_destroy(void *prepared)
{
    exec *e = prepared;

    if (e == NULL)
        return;
    for (int32_t i = 0; i < e->buffer_count; ++i)
        dnnl_memory_desc_destroy(e->buffers[i].md);
    for (int32_t i = 0; i < e->md_count; ++i)
        dnnl_memory_desc_destroy(e->mds[i]);
    for (int32_t i = 0; i < e->pack_count; ++i)
        if (e->packs[i] != NULL)
            weights_release(e->weights, e->packs[i]);
    for (int32_t i = 0; i < e->state_count; ++i)
        device_free(e->device, e->states[i]);
    team_free(e->team);
    device_free(e->device, e->states);
    device_free(e->device, e->packs);
    device_free(e->device, e->mds);
    device_free(e->device, e->buffers);
    device_free(e->device, e->ops);
    device_free(e->device, e->arena);
    device_free(e->device, e);
}

const char *exec_kernel(void *prepared, int32_t step)
{
    return ((const exec *)prepared)->steps[step].kernel;
}
