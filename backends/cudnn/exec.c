/*
 * A prepared plan's life: decide orders, ask every operation what it needs, take the weights, place
 * and allocate, choose among candidates, bind. Destroying takes whatever was reached.
 */
#include "exec.h"

#include <string.h>

void exec_scratch(exec *e, uint64_t bytes)
{
    if (bytes > e->scratch_bytes)
        e->scratch_bytes = bytes;
}

void exec_workspace(exec *e, uint64_t bytes)
{
    if (bytes > e->workspace_bytes)
        e->workspace_bytes = bytes;
}

/* ---------------------------------------------------------------------------- preparing --------
 */

static hmt_status make_arrays(exec *e)
{
    const device *d = e->device;
    const hmt_plan *plan = e->plan;
    void *tensors, *orders, *held, *states;
    hmt_status status =
        device_host_memory(d, plan->tensor_count, sizeof *e->tensors, "a prepared plan", &tensors);

    e->tensors = tensors;
    if (status == HMT_OK) {
        status = device_host_memory(d, plan->weight_count, sizeof *e->weight_order,
                                    "a prepared plan", &orders);
        e->weight_order = orders;
    }
    if (status == HMT_OK) {
        status =
            device_host_memory(d, plan->weight_count, sizeof *e->held, "a prepared plan", &held);
        e->held = held;
    }
    if (status == HMT_OK) {
        status =
            device_host_memory(d, plan->step_count, sizeof *e->states, "a prepared plan", &states);
        e->states = states;
    }
    return status;
}

static hmt_status make_handles(exec *e)
{
    const device *d = e->device;
    hmt_status status =
        CUDA_CALL(d, NULL, cudaStreamCreateWithFlags, &e->compute, cudaStreamNonBlocking);

    if (status == HMT_OK)
        status = CUDA_CALL(d, NULL, cudaStreamCreateWithFlags, &e->copy, cudaStreamNonBlocking);
    if (status == HMT_OK)
        status = CUDA_CALL(d, NULL, cudaEventCreateWithFlags, &e->before, cudaEventDefault);
    if (status == HMT_OK)
        status = CUDA_CALL(d, NULL, cudaEventCreateWithFlags, &e->after, cudaEventDefault);
    device_exclusive_begin();
    if (status == HMT_OK)
        status = CUDNN_CALL(d, NULL, cudnnCreate, &e->dnn);
    if (status == HMT_OK)
        status = CUBLAS_CALL(d, NULL, cublasLtCreate, &e->blas);
    device_exclusive_end();
    if (status == HMT_OK)
        status = CUDNN_CALL(d, NULL, cudnnSetStream, e->dnn, e->compute);
    return status;
}

static hmt_status prepare_steps(exec *e)
{
    hmt_status status = HMT_OK;

    for (size_t i = 0; i < e->plan->step_count && status == HMT_OK; ++i) {
        const hmt_plan_step *s = &e->plan->steps[i];
        const operation *o = operation_of(s->kind);

        if (o == NULL)
            status = e->device->host->fail(HMT_ERROR_UNSUPPORTED, "%s: step kind %d is not known",
                                           s->name, (int)s->kind);
        else if (o->prepare != NULL)
            status = o->prepare(e, (int32_t)i);
    }
    return status;
}

/* In which forms a step reads its weight number k. */
static uint32_t needs_of(const exec *e, const hmt_plan_step *s, int k)
{
    const uint32_t factor = e->device->type == STORAGE_BFLOAT16 ? WEIGHT_COPY : WEIGHT_VALUES;

    switch (s->kind) {
    case HMT_STEP_CONV:
    case HMT_STEP_LINEAR:
        return k == 0 ? factor : factor | WEIGHT_VALUES; /* a bias is small: both forms */
    case HMT_STEP_CONV_BACKWARD_DATA:
    case HMT_STEP_LINEAR_BACKWARD_DATA:
        return factor;
    case HMT_STEP_SGD:
        return WEIGHT_VALUES | WEIGHT_MOMENTUM;
    default:
        return WEIGHT_VALUES;
    }
}

/* What any step needs of a weight; 0: nobody reads it. */
static uint32_t all_needs(const exec *e, int32_t weight)
{
    uint32_t needs = 0;

    for (size_t i = 0; i < e->plan->step_count; ++i)
        for (int k = 0; k < 4; ++k)
            if (e->plan->steps[i].weight[k] == weight)
                needs |= needs_of(e, &e->plan->steps[i], k);
    return needs;
}

static hmt_status take_weights(exec *e)
{
    hmt_status status = HMT_OK;

    for (size_t i = 0; i < e->plan->weight_count && status == HMT_OK; ++i) {
        const uint32_t needs = all_needs(e, (int32_t)i);

        if (needs != 0)
            status = weights_acquire(e->weights, &e->plan->weights[i], e->weight_order[i], needs,
                                     &e->held[i]);
    }
    return status;
}

/* ---------------------------------------------------------------------------- memory -----------
 */

/* One interval for each tensor that has memory of its own, in units of 4 bytes times the alignment,
 * so that offsets are multiples of ours: place() gives multiples of 64 units. */
enum { UNIT = DEVICE_ALIGNMENT / 64 };

static void widen(hmt_interval *interval, const hmt_plan_tensor *t)
{
    if (t->first_step < interval->first)
        interval->first = t->first_step;
    if (t->last_step > interval->last)
        interval->last = t->last_step;
}

static hmt_status place_tensors(exec *e)
{
    const hmt_host *host = e->device->host;
    const hmt_plan *plan = e->plan;
    hmt_interval *intervals;
    void *block;
    uint64_t total = 0;
    size_t count = 0;
    hmt_status status = device_host_memory(e->device, plan->tensor_count, sizeof *intervals,
                                           "a prepared plan", &block);

    if (status != HMT_OK)
        return status;
    intervals = block;
    for (size_t i = 0; i < plan->tensor_count; ++i) {
        const tensor *t = &e->tensors[i];
        const uint64_t bytes = device_round((uint64_t)t->count * storage_size(t->type));

        if (t->root != (int32_t)i)
            continue;
        intervals[count] = (hmt_interval){bytes / UNIT, plan->tensors[i].first_step,
                                          plan->tensors[i].last_step, 0};
        for (size_t k = 0; k < plan->tensor_count; ++k)
            if (e->tensors[k].root == (int32_t)i)
                widen(&intervals[count], &plan->tensors[k]);
        ++count;
    }
    status = host->place(host, intervals, count, &total);
    e->arena_bytes = total * UNIT;
    if (status == HMT_OK) {
        void *arena;

        status = device_memory(e->device, e->arena_bytes, "a plan's tensors", &arena);
        e->arena = arena;
    }
    count = 0;
    for (size_t i = 0; i < plan->tensor_count && status == HMT_OK; ++i)
        if (e->tensors[i].root == (int32_t)i)
            e->tensors[i].at = e->arena + intervals[count++].offset * UNIT;
    for (size_t i = 0; i < plan->tensor_count && status == HMT_OK; ++i)
        e->tensors[i].at = e->tensors[e->tensors[i].root].at;
    device_host_free(e->device, block);
    return status;
}

static hmt_status allocate(exec *e)
{
    void *block;
    hmt_status status = place_tensors(e);

    if (status == HMT_OK)
        status = device_memory(e->device, e->scratch_bytes, "scratch", &block);
    e->scratch = status == HMT_OK ? block : NULL;
    if (status == HMT_OK)
        status = device_memory(e->device, e->workspace_bytes, "workspace", &e->workspace);
    if (status == HMT_OK)
        status = io_create(e);
    /* Candidates are measured on zeros rather than on whatever lay there. */
    if (status == HMT_OK && e->arena_bytes > 0)
        status = CUDA_CALL(e->device, NULL, cudaMemsetAsync, e->arena, 0, (size_t)e->arena_bytes,
                           e->compute);
    if (status == HMT_OK)
        status = CUDA_CALL(e->device, NULL, cudaStreamSynchronize, e->compute);
    return status;
}

/* Lets every operation choose, then gives the workspace the size that the chosen ones need. */
static hmt_status choose(exec *e)
{
    hmt_status status = HMT_OK;
    uint64_t held = e->workspace_bytes;

    for (size_t i = 0; i < e->plan->step_count && status == HMT_OK; ++i) {
        const operation *o = operation_of(e->plan->steps[i].kind);

        if (o->choose != NULL)
            status = o->choose(e, (int32_t)i);
    }
    if (status == HMT_OK)
        status = CUDA_CALL(e->device, NULL, cudaStreamSynchronize, e->compute);
    if (status != HMT_OK)
        return status;
    e->workspace_bytes = 0;
    status = exec_link(e); /* counts what the chosen ones need */
    if (status == HMT_OK && e->workspace_bytes < held) {
        device_memory_free(e->workspace);
        e->workspace = NULL;
        status = device_memory(e->device, e->workspace_bytes, "workspace", &e->workspace);
        if (status == HMT_OK)
            status = exec_link(e);
    }
    return status;
}

hmt_status exec_link(exec *e)
{
    hmt_status status = HMT_OK;

    for (size_t i = 0; i < e->plan->step_count && status == HMT_OK; ++i) {
        const operation *o = operation_of(e->plan->steps[i].kind);

        if (o->link != NULL)
            status = o->link(e, (int32_t)i);
    }
    return status;
}

/* ---------------------------------------------------------------------------- entries ----------
 */

hmt_status exec_create(void *opened, const hmt_plan *plan, void *home, void **out)
{
    device *d = opened;
    void *block;
    exec *e;
    hmt_status status = device_enter(d);

    if (status == HMT_OK)
        status = device_host_memory(d, 1, sizeof *e, "a prepared plan", &block);
    if (status != HMT_OK)
        return status;
    e = block;
    e->device = d;
    e->plan = plan;
    e->weights = home;
    status = make_arrays(e);
    if (status == HMT_OK)
        status = order_decide(e);
    if (status == HMT_OK)
        status = make_handles(e);
    if (status == HMT_OK)
        status = prepare_steps(e);
    if (status == HMT_OK)
        status = take_weights(e);
    if (status == HMT_OK)
        status = allocate(e);
    if (status == HMT_OK)
        status = choose(e);
    if (status != HMT_OK) {
        exec_destroy(e);
        return status;
    }
    *out = e;
    return HMT_OK;
}

static void drop_handles(exec *e)
{
    device_exclusive_begin();
    if (e->dnn != NULL)
        (void)cudnnDestroy(e->dnn);
    if (e->blas != NULL)
        (void)cublasLtDestroy(e->blas);
    device_exclusive_end();
    if (e->before != NULL)
        (void)cudaEventDestroy(e->before);
    if (e->after != NULL)
        (void)cudaEventDestroy(e->after);
    if (e->copy != NULL)
        (void)cudaStreamDestroy(e->copy);
    if (e->compute != NULL)
        (void)cudaStreamDestroy(e->compute);
    (void)cudaGetLastError();
}

/* Waits for whatever a failure left on the streams before memory goes. */
static void settle(exec *e)
{
    (void)cudaSetDevice(e->device->index);
    if (e->compute != NULL)
        (void)cudaStreamSynchronize(e->compute);
    if (e->copy != NULL)
        (void)cudaStreamSynchronize(e->copy);
    (void)cudaGetLastError();
}

void exec_destroy(void *prepared)
{
    exec *e = prepared;

    if (e == NULL)
        return;
    settle(e);
    exec_forget(e); /* first: a captured all-reduce needs NCCL even to be destroyed */
    group_leave(e);
    (void)cudaSetDevice(e->device->index); /* NCCL may have changed it */
    for (size_t i = 0; e->states != NULL && i < e->plan->step_count; ++i)
        if (e->states[i] != NULL)
            operation_of(e->plan->steps[i].kind)->release(e, (int32_t)i);
    for (size_t i = 0; e->held != NULL && i < e->plan->weight_count; ++i)
        if (e->held[i] != NULL)
            weights_release(e->weights, e->held[i]);
    io_destroy(e);
    device_memory_free(e->arena);
    device_memory_free(e->scratch);
    device_memory_free(e->workspace);
    drop_handles(e);
    device_host_free(e->device, e->tensors);
    device_host_free(e->device, e->weight_order);
    device_host_free(e->device, e->held);
    device_host_free(e->device, e->states);
    device_host_free(e->device, e);
}

const char *exec_kernel(void *prepared, int32_t step)
{
    const exec *e = prepared;
    const operation *o = operation_of(e->plan->steps[step].kind);

    return o->kernel != NULL ? o->kernel(e, step) : NULL;
}
