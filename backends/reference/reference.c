/*
 * The reference backend's vtable: devices, and execs that run a plan step by step. An exec holds an
 * arena with every tensor at the plan's own offset as dense float32; nothing is allocated while
 * running.
 */
#include "reference.h"

#include <string.h>
#include <time.h>

#include "internal.h"

typedef struct reference_exec {
    const hmt_host *host;
    const hmt_plan *plan;
    reference_weights *weights;
    float *arena;
    float *scratch;      /* of the convolution that needs most */
    float **values;      /* (weight_count) */
    float **momentum;    /* (weight_count), NULL where no step trains it */
    uint64_t arena_size; /* bytes, with scratch */
} reference_exec;

hmt_status reference_allocate(const hmt_host *host, uint64_t count, uint64_t size, const char *what,
                              void **out)
{
    uint64_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX)
        return host->fail(HMT_ERROR_MEMORY, "out of memory: %s is beyond this machine", what);
    *out = host->allocator.allocate(host->allocator.user, bytes ? (size_t)bytes : 1, 64);
    if (!*out)
        return host->fail(HMT_ERROR_MEMORY, "out of memory: %llu bytes for %s",
                          (unsigned long long)bytes, what);
    return HMT_OK;
}

void reference_release(const hmt_host *host, void *pointer)
{
    if (pointer)
        host->allocator.release(host->allocator.user, pointer);
}

/* ---------------------------------------------------------------------------- devices ----------
 */

static int32_t device_count(void)
{
    return 1;
}

static hmt_status device_info(int32_t device, hmt_device_info *info)
{
    (void)device;
    strcpy(info->name, "plain C, one thread");
    info->memory = 0;
    info->threads = 1;
    return HMT_OK;
}

static hmt_status device_open(int32_t device, const hmt_host *host, void **opened)
{
    void *memory;
    hmt_status status;

    if (device != 0)
        return host->fail(HMT_ERROR_NOT_FOUND, "the reference backend has no device %d", device);
    status = reference_allocate(host, 1, sizeof(reference_device), "a device", &memory);
    if (status != HMT_OK)
        return status;
    ((reference_device *)memory)->host = host;
    *opened = memory;
    return HMT_OK;
}

static void device_close(void *device)
{
    if (device)
        reference_release(((reference_device *)device)->host, device);
}

/* ---------------------------------------------------------------------------- preparing --------
 */

reference_step reference_find(hmt_step_kind kind)
{
    switch (kind) {
    case HMT_STEP_CONV:
        return reference_conv;
    case HMT_STEP_LINEAR:
        return reference_linear;
    case HMT_STEP_BATCH_NORM:
        return reference_batch_norm;
    case HMT_STEP_BATCH_NORM_TRAIN:
        return reference_batch_norm_train;
    case HMT_STEP_RELU:
        return reference_relu;
    case HMT_STEP_MAX_POOL:
        return reference_max_pool;
    case HMT_STEP_AVERAGE_POOL:
        return reference_average_pool;
    case HMT_STEP_SUM:
        return reference_sum;
    case HMT_STEP_CONCAT:
        return reference_concat;
    case HMT_STEP_SLICE:
        return reference_slice;
    case HMT_STEP_RESHAPE:
        return reference_reshape;
    case HMT_STEP_DROPOUT:
    case HMT_STEP_DROPOUT_BACKWARD:
        return reference_dropout;
    case HMT_STEP_CROSS_ENTROPY:
        return reference_cross_entropy;
    case HMT_STEP_REGRESSION_LOSS:
        return reference_regression_loss;
    case HMT_STEP_CONV_BACKWARD_DATA:
        return reference_conv_backward_data;
    case HMT_STEP_CONV_BACKWARD_WEIGHTS:
        return reference_conv_backward_weights;
    case HMT_STEP_LINEAR_BACKWARD_DATA:
        return reference_linear_backward_data;
    case HMT_STEP_LINEAR_BACKWARD_WEIGHTS:
        return reference_linear_backward_weights;
    case HMT_STEP_BATCH_NORM_BACKWARD:
        return reference_batch_norm_backward;
    case HMT_STEP_BATCH_NORM_BACKWARD_DATA:
        return reference_batch_norm_backward_data;
    case HMT_STEP_RELU_BACKWARD:
        return reference_relu_backward;
    case HMT_STEP_MAX_POOL_BACKWARD:
        return reference_max_pool_backward;
    case HMT_STEP_AVERAGE_POOL_BACKWARD:
        return reference_average_pool_backward;
    case HMT_STEP_ONE_HOT:
        return reference_one_hot;
    case HMT_STEP_SGD:
        return reference_sgd;
    case HMT_STEP_STATISTICS:
        return reference_statistics;
    }
    return NULL;
}

/* Floats of scratch that a step needs. */
static int64_t scratch_of(const hmt_plan *plan, const hmt_plan_step *step)
{
    const hmt_plan_tensor *t = plan->tensors;

    if (step->kind == HMT_STEP_CONV)
        return reference_conv_scratch(&step->window, t[step->in[0]].shape, t[step->out[0]].shape);
    if (step->kind == HMT_STEP_CONV_BACKWARD_DATA)
        return reference_conv_scratch(&step->window, t[step->out[0]].shape, t[step->in[0]].shape);
    if (step->kind == HMT_STEP_CONV_BACKWARD_WEIGHTS)
        return reference_conv_scratch(&step->window, t[step->in[1]].shape, t[step->in[0]].shape);
    return 0;
}

/* Refuses steps of a kind this version does not know; measures the scratch. */
static hmt_status check_steps(const hmt_host *host, const hmt_plan *plan, int64_t *scratch)
{
    for (size_t i = 0; i < plan->step_count; ++i) {
        int64_t floats = scratch_of(plan, &plan->steps[i]);

        if (!reference_find(plan->steps[i].kind))
            return host->fail(HMT_ERROR_UNSUPPORTED,
                              "the reference backend has no step of kind %d, asked for by %s",
                              (int)plan->steps[i].kind, plan->steps[i].name);
        if (floats > *scratch)
            *scratch = floats;
    }
    return HMT_OK;
}

static bool has_momentum(const hmt_plan *plan, size_t weight)
{
    for (size_t i = 0; i < plan->step_count; ++i)
        if (plan->steps[i].kind == HMT_STEP_SGD && plan->steps[i].weight[0] == (int32_t)weight)
            return true;
    return false;
}

static void exec_destroy(void *opaque)
{
    reference_exec *exec = opaque;

    if (!exec)
        return;
    reference_release(exec->host, exec->arena);
    reference_release(exec->host, exec->scratch);
    reference_release(exec->host, exec->values);
    reference_release(exec->host, exec->momentum);
    reference_release(exec->host, exec);
}

static hmt_status allocate_exec(reference_exec *exec)
{
    const hmt_plan *plan = exec->plan;
    int64_t scratch = 0;
    hmt_status status = check_steps(exec->host, plan, &scratch);
    void *memory = NULL;

    if (status == HMT_OK)
        status = reference_allocate(exec->host, plan->arena_bytes, 1, "the arena", &memory);
    exec->arena = memory;
    if (status == HMT_OK)
        status =
            reference_allocate(exec->host, (uint64_t)scratch, sizeof(float), "scratch", &memory);
    exec->scratch = status == HMT_OK ? memory : NULL;
    if (status == HMT_OK)
        status =
            reference_allocate(exec->host, plan->weight_count, sizeof(float *), "weights", &memory);
    exec->values = status == HMT_OK ? memory : NULL;
    if (status == HMT_OK)
        status =
            reference_allocate(exec->host, plan->weight_count, sizeof(float *), "momenta", &memory);
    exec->momentum = status == HMT_OK ? memory : NULL;
    exec->arena_size = plan->arena_bytes + (uint64_t)scratch * sizeof(float);
    return status;
}

static hmt_status exec_create(void *device, const hmt_plan *plan, void *weights, void **out)
{
    const hmt_host *host = ((reference_device *)device)->host;
    reference_exec *exec;
    void *memory;
    hmt_status status = reference_allocate(host, 1, sizeof(*exec), "an exec", &memory);

    if (status != HMT_OK)
        return status;
    exec = memory;
    *exec = (reference_exec){host, plan, weights, NULL, NULL, NULL, NULL, 0};
    status = allocate_exec(exec);
    for (size_t i = 0; i < plan->weight_count && status == HMT_OK; ++i) {
        exec->momentum[i] = NULL;
        status = reference_weights_find(exec->weights, &plan->weights[i], &exec->values[i],
                                        has_momentum(plan, i) ? &exec->momentum[i] : NULL);
    }
    if (status != HMT_OK) {
        exec_destroy(exec);
        return status;
    }
    *out = exec;
    return HMT_OK;
}

/* ---------------------------------------------------------------------------- running ----------
 */

static reference_tensor tensor_of(const reference_exec *exec, int32_t index)
{
    reference_tensor t = {NULL, 0, 0, 0, 0};

    if (index >= 0) {
        const hmt_plan_tensor *p = &exec->plan->tensors[index];

        t = (reference_tensor){exec->arena + p->offset / sizeof(float), p->shape[0], p->shape[1],
                               p->shape[2], p->shape[3]};
    }
    return t;
}

static void run_step(const reference_exec *exec, int32_t index, hmt_run *run)
{
    const hmt_plan_step *step = &exec->plan->steps[index];
    reference_operands o = {.step = step, .index = index, .scratch = exec->scratch, .run = run};
    int32_t first = step->weight[0];

    for (int i = 0; i < HMT_STEP_INPUTS; ++i)
        o.in[i] = tensor_of(exec, step->in[i]);
    for (int i = 0; i < HMT_STEP_OUTPUTS; ++i)
        o.out[i] = tensor_of(exec, step->out[i]);
    for (int i = 0; i < 4; ++i)
        o.weight[i] = step->weight[i] >= 0 ? exec->values[step->weight[i]] : NULL;
    if (first >= 0) {
        const int64_t *shape = exec->plan->weights[first].shape;

        o.count = shape[0] * shape[1] * shape[2] * shape[3];
        o.momentum = exec->momentum[first];
    }
    reference_find(step->kind)(&o);
}

static double milliseconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static hmt_status exec_run(void *opaque, hmt_run *run)
{
    reference_exec *exec = opaque;
    const hmt_plan *plan = exec->plan;
    reference_tensor input = tensor_of(exec, plan->input);

    if (run->phase == HMT_PHASE_FORWARD) {
        memcpy(input.at, run->input, (size_t)reference_count(&input) * sizeof(float));
        for (size_t i = 0; i < plan->task_count && run->tasks; ++i)
            run->tasks[i].loss_sum = 0.0;
    }
    for (size_t i = 0; i < plan->step_count; ++i) {
        double start = run->milliseconds ? milliseconds_now() : 0.0;

        if (plan->steps[i].phase != run->phase)
            continue;
        run_step(exec, (int32_t)i, run);
        if (run->milliseconds)
            run->milliseconds[i] = milliseconds_now() - start;
    }
    return HMT_OK;
}

static hmt_status exec_read(void *opaque, int32_t tensor, float *values)
{
    const reference_exec *exec = opaque;
    reference_tensor t;

    if (tensor < 0 || (size_t)tensor >= exec->plan->tensor_count ||
        !(exec->plan->tensors[tensor].flags & HMT_TENSOR_OUTPUT))
        return exec->host->fail(HMT_ERROR_ARGUMENT, "tensor %d is not an output of the plan",
                                tensor);
    t = tensor_of(exec, tensor);
    memcpy(values, t.at, (size_t)reference_count(&t) * sizeof(float));
    return HMT_OK;
}

static hmt_status memory_held(void *weights, void *exec, hmt_backend_memory *memory)
{
    memory->packed = weights ? reference_weights_bytes(weights) : 0;
    memory->arena = exec ? ((const reference_exec *)exec)->arena_size : 0;
    memory->staging = 0;
    return HMT_OK;
}

const hmt_backend backend_reference = {
    .struct_size = sizeof(hmt_backend),
    .abi = HMT_BACKEND_ABI,
    .name = "reference",
    .description = "plain C, one thread: slow, readable, exact",
    .device_count = device_count,
    .device_info = device_info,
    .device_open = device_open,
    .device_close = device_close,
    .weights_create = reference_weights_create,
    .weights_destroy = reference_weights_destroy,
    .weights_get = reference_weights_get,
    .weights_set = reference_weights_set,
    .exec_create = exec_create,
    .exec_destroy = exec_destroy,
    .exec_run = exec_run,
    .exec_read = exec_read,
    .memory = memory_held,
};
