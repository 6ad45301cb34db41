/*
 * copies.c - cudaMemcpyAsync and cudaMemsetAsync: the operation reads and writes host memory when
 * it runs. Pageable memory is refused, since the real call may block there and may not be captured.
 */
#include <string.h>

#include "runtime.h"

struct copy {
    void *to;
    const void *from;
    size_t bytes;
    int value;
};

static standin_progress run_copy(void *args)
{
    const struct copy *copy = args;
    memcpy(copy->to, copy->from, copy->bytes);
    return STANDIN_DONE;
}

static standin_progress run_fill(void *args)
{
    const struct copy *copy = args;
    memset(copy->to, copy->value, copy->bytes);
    return STANDIN_DONE;
}

static cudaError_t check_device_side(const char *what, const void *address, size_t bytes,
                                     cudaStream_t stream)
{
    if (standin_memory_holds(stream->device, address, bytes))
        return cudaSuccess;
    if (standin_memory_device(address) < 0)
        standin_complain("the %s %p is not in device memory", what, address);
    else
        standin_complain("the %s, %zu bytes at %p, is not inside one allocation of device %d", what,
                         bytes, address, stream->device);
    return cudaErrorInvalidValue;
}

static cudaError_t check_host_side(const char *what, const void *address, size_t bytes)
{
    if (standin_pinned_holds(address, bytes))
        return cudaSuccess;
    if (standin_memory_device(address) >= 0)
        standin_complain("the %s %p is in device memory", what, address);
    else
        standin_complain("the %s, %zu bytes at %p, is not pinned host memory", what, bytes,
                         address);
    return cudaErrorInvalidValue;
}

static cudaError_t queue_copy(const struct copy *copy, enum cudaMemcpyKind kind,
                              cudaStream_t stream)
{
    standin_work work = {.name = "copy", .run = run_copy, .args = copy, .bytes = sizeof *copy};
    cudaError_t error = cudaSuccess;

    if (copy->bytes == 0)
        return cudaSuccess;
    if (standin_stream_device(stream) < 0)
        return cudaErrorInvalidResourceHandle;
    switch (kind) {
    case cudaMemcpyHostToDevice:
        error = check_device_side("target", copy->to, copy->bytes, stream);
        return error != cudaSuccess ||
                       (error = check_host_side("source", copy->from, copy->bytes)) != cudaSuccess
                   ? error
                   : standin_queue(stream, &work);
    case cudaMemcpyDeviceToHost:
        error = check_device_side("source", copy->from, copy->bytes, stream);
        return error != cudaSuccess ||
                       (error = check_host_side("target", copy->to, copy->bytes)) != cudaSuccess
                   ? error
                   : standin_queue(stream, &work);
    case cudaMemcpyDeviceToDevice:
        error = check_device_side("source", copy->from, copy->bytes, stream);
        return error != cudaSuccess || (error = check_device_side("target", copy->to, copy->bytes,
                                                                  stream)) != cudaSuccess
                   ? error
                   : standin_queue(stream, &work);
    default:
        standin_complain("direction %d is not one that says where both sides are", (int)kind);
        return cudaErrorInvalidMemcpyDirection;
    }
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    cudaError_t error = call_begin("cudaMemcpyAsync");
    struct copy copy = {.to = to, .from = from, .bytes = bytes};
    return call_end(error == cudaSuccess ? queue_copy(&copy, kind, stream) : error);
}

static cudaError_t queue_fill(const struct copy *fill, cudaStream_t stream)
{
    standin_work work = {.name = "fill", .run = run_fill, .args = fill, .bytes = sizeof *fill};
    cudaError_t error;

    if (fill->bytes == 0)
        return cudaSuccess;
    if (standin_stream_device(stream) < 0)
        return cudaErrorInvalidResourceHandle;
    error = check_device_side("target", fill->to, fill->bytes, stream);
    return error == cudaSuccess ? standin_queue(stream, &work) : error;
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream)
{
    cudaError_t error = call_begin("cudaMemsetAsync");
    struct copy fill = {.to = to, .value = value, .bytes = bytes};
    return call_end(error == cudaSuccess ? queue_fill(&fill, stream) : error);
}
