/*
 * execute.c - cudnnBackendExecute: the variant pack is checked against the plan, then the
 * convolution goes into the handle's stream.
 */
#include "calls.h"
#include "descriptor.h"

/* Looks a tensor's memory up in the pack and checks it. */
static cudnnStatus_t find_memory(const struct descriptor *pack, int device,
                                 const struct problem_tensor *t, const void **out)
{
    int64_t count = value_of(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS)->count, i = 0;

    while (i < count && integer_of(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, i, 0) != t->uid)
        ++i;
    if (i == count) {
        standin_complain("the variant pack lacks the tensor with id %lld", (long long)t->uid);
        return CUDNN_STATUS_BAD_PARAM;
    }
    *out = pointer_of(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, i);
    if ((uintptr_t)*out % (uintptr_t)t->alignment != 0) {
        standin_complain("tensor %lld is not aligned to %lld bytes", (long long)t->uid,
                         (long long)t->alignment);
        return CUDNN_STATUS_BAD_PARAM_MISALIGNED_POINTER;
    }
    if (!standin_memory_holds(device, *out, problem_tensor_bytes(t))) {
        standin_complain("tensor %lld, %zu bytes at %p, is not inside one allocation of device %d",
                         (long long)t->uid, problem_tensor_bytes(t), *out, device);
        return CUDNN_STATUS_BAD_PARAM;
    }
    return CUDNN_STATUS_SUCCESS;
}

static int overlap(const void *a, size_t a_bytes, const void *b, size_t b_bytes)
{
    return (const char *)a < (const char *)b + b_bytes &&
           (const char *)b < (const char *)a + a_bytes;
}

/* What is written lies apart from what is read. */
static cudnnStatus_t check_apart(const struct convolution *c)
{
    const struct problem *p = &c->problem;
    const void *const memory[] = {c->x, c->w, c->y};
    const struct problem_tensor *const tensors[] = {&p->x, &p->w, &p->y},
                                       *output = problem_output(p);
    const void *written = output == &p->x ? c->x : output == &p->w ? c->w : c->y;

    for (int i = 0; i < 3; i++)
        if (tensors[i] != output && overlap(memory[i], problem_tensor_bytes(tensors[i]), written,
                                            problem_tensor_bytes(output))) {
            standin_complain("the output overlaps tensor %lld", (long long)tensors[i]->uid);
            return CUDNN_STATUS_BAD_PARAM;
        }
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t find_workspace(const struct descriptor *pack, int device,
                                    struct convolution *c)
{
    c->workspace = pointer_of(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, 0);
    if (c->workspace_bytes == 0)
        return CUDNN_STATUS_SUCCESS;
    if (c->workspace == NULL) {
        standin_complain("the plan needs a workspace");
        return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
    }
    if (!standin_memory_holds(device, c->workspace, c->workspace_bytes)) {
        standin_complain(
            "the workspace, %zu bytes at %p, is not inside one allocation of device %d",
            c->workspace_bytes, c->workspace, device);
        return CUDNN_STATUS_BAD_PARAM_SIZE_INSUFFICIENT;
    }
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t gather(const struct descriptor *plan, const struct descriptor *pack,
                            struct convolution *c)
{
    const struct problem *p = &c->problem;
    int64_t wanted = p->bias.uid >= 0 ? 4 : 3,
            given = value_of(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS)->count;
    cudnnStatus_t status = find_memory(pack, plan->device, &p->x, &c->x);

    if (status == CUDNN_STATUS_SUCCESS)
        status = find_memory(pack, plan->device, &p->w, &c->w);
    if (status == CUDNN_STATUS_SUCCESS)
        status = find_memory(pack, plan->device, &p->y, &c->y);
    if (status == CUDNN_STATUS_SUCCESS && p->bias.uid >= 0)
        status = find_memory(pack, plan->device, &p->bias, &c->bias);
    if (status == CUDNN_STATUS_SUCCESS)
        status = check_apart(c);
    if (status == CUDNN_STATUS_SUCCESS)
        status = find_workspace(pack, plan->device, c);
    if (status == CUDNN_STATUS_SUCCESS && given != wanted) {
        standin_complain("the variant pack has %lld tensors, the plan %lld", (long long)given,
                         (long long)wanted);
        status = CUDNN_STATUS_BAD_PARAM;
    }
    return status;
}

static const struct descriptor *finalized(cudnnBackendDescriptor_t handle,
                                          cudnnBackendDescriptorType_t type)
{
    const struct descriptor *d = handle;
    if (!standin_alive(STANDIN_CUDNN_DESCRIPTOR, handle) || d->table->type != type ||
        !d->finalized) {
        standin_complain("%p is no finalised descriptor of type %s", handle,
                         attribute_table_of(type)->name);
        return NULL;
    }
    return d;
}

/* The current device, the handle, its stream and the plan belong together. */
static cudnnStatus_t check_handle(cudnnHandle_t handle, const struct descriptor *plan)
{
    if (!standin_alive(STANDIN_CUDNN_HANDLE, handle) || handle->device != plan->device) {
        standin_complain("the handle is none, or of another device than the plan");
        return CUDNN_STATUS_BAD_PARAM;
    }
    if (standin_current_device() != handle->device) {
        standin_complain("device %d is current, the handle is of device %d",
                         standin_current_device(), handle->device);
        return CUDNN_STATUS_BAD_PARAM;
    }
    return standin_stream_device(handle->stream) == handle->device
               ? CUDNN_STATUS_SUCCESS
               : CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH;
}

static cudnnStatus_t execute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan_handle,
                             cudnnBackendDescriptor_t pack_handle)
{
    const struct descriptor *plan = finalized(plan_handle, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    const struct descriptor *pack = finalized(pack_handle, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
    struct convolution c = {0};
    standin_work work = {
        .name = "convolution", .run = convolution_run, .args = &c, .bytes = sizeof c};
    cudnnStatus_t status;

    if (plan == NULL || pack == NULL)
        return CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED;
    c.problem = plan->problem;
    c.how = engine_how(plan->engine);
    c.workspace_bytes = engine_workspace(plan->engine, &plan->problem);
    status = check_handle(handle, plan);
    if (status == CUDNN_STATUS_SUCCESS)
        status = gather(plan, pack, &c);
    if (status == CUDNN_STATUS_SUCCESS)
        status = engine_execute(plan->engine, &plan->problem);
    if (status != CUDNN_STATUS_SUCCESS)
        return status;
    return standin_queue(handle->stream, &work) == cudaSuccess
               ? CUDNN_STATUS_SUCCESS
               : CUDNN_STATUS_EXECUTION_FAILED_CUDART;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan,
                                  cudnnBackendDescriptor_t pack)
{
    cudnnStatus_t status = dnn_begin("cudnnBackendExecute");
    return dnn_end(status == CUDNN_STATUS_SUCCESS ? execute(handle, plan, pack) : status);
}
