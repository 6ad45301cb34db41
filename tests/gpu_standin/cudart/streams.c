/*
 * streams.c - the runtime's calls for streams and events. The default stream is refused everywhere:
 * the module uses streams of its own that do not wait for it.
 */
#include <stdlib.h>

#include "runtime.h"

int standin_stream_device(cudaStream_t stream)
{
    if (standin_alive(STANDIN_STREAM, stream))
        return stream->device;
    if (stream == NULL || stream == cudaStreamLegacy || stream == cudaStreamPerThread)
        standin_complain("the default stream is used");
    else
        standin_complain("%p is no stream, or was destroyed", (void *)stream);
    return -1;
}

int standin_stream_capturing(cudaStream_t stream)
{
    return stream->capture != NULL;
}

/* The stream's own trouble, before anything is done with it. */
static cudaError_t check_stream(cudaStream_t stream)
{
    int device = standin_stream_device(stream);
    return device < 0 ? cudaErrorInvalidResourceHandle : device_error(device);
}

static cudaError_t check_event(cudaEvent_t event)
{
    if (standin_alive(STANDIN_EVENT, event))
        return device_error(event->device);
    standin_complain("%p is no event, or was destroyed", (void *)event);
    return cudaErrorInvalidResourceHandle;
}

cudaError_t standin_queue(cudaStream_t stream, const standin_work *work)
{
    cudaError_t error = check_stream(stream);
    if (error != cudaSuccess)
        return error;
    return stream->capture != NULL ? capture_add(stream, work)
                                   : stream_push(stream, work, NULL, NULL);
}

static cudaError_t stream_create(cudaStream_t *out, unsigned flags)
{
    static size_t age;
    cudaStream_t stream;

    if (out == NULL || flags > cudaStreamNonBlocking)
        return cudaErrorInvalidValue;
    if (flags != cudaStreamNonBlocking)
        standin_complain("the stream would wait for the default stream; make it non-blocking");
    stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return cudaErrorMemoryAllocation;
    stream->device = standin_current_device();
    stream->age = ++age;
    stream->next = streams;
    streams = stream;
    standin_born(STANDIN_STREAM, stream, sizeof *stream);
    *out = stream;
    return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags)
{
    cudaError_t error = call_begin("cudaStreamCreateWithFlags");
    return call_end(error == cudaSuccess ? stream_create(stream, flags) : error);
}

/* What is queued still runs, as with the real one. */
static cudaError_t stream_destroy(cudaStream_t stream)
{
    struct CUstream_st **link = &streams;
    cudaError_t error;

    if (standin_stream_device(stream) < 0)
        return cudaErrorInvalidResourceHandle;
    capture_stream_gone(stream);
    error = stream_drain(stream);
    stream_discard(stream);
    while (*link != stream)
        link = &(*link)->next;
    *link = stream->next;
    standin_died(stream);
    free(stream->frontier);
    free(stream);
    return error;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    cudaError_t planned = call_begin("cudaStreamDestroy"), error = stream_destroy(stream);
    return call_end(planned != cudaSuccess ? planned : error);
}

static cudaError_t synchronize(cudaStream_t stream)
{
    cudaError_t error = check_stream(stream);
    if (error == cudaSuccess && stream->capture != NULL) {
        capture_invalidate(stream->capture);
        error = cudaErrorStreamCaptureUnsupported;
    }
    if (error == cudaSuccess)
        error = standin_unsafe_in_capture();
    if (error == cudaSuccess)
        error = stream_drain(stream);
    return error == cudaSuccess ? device_error(stream->device) : error;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    cudaError_t error = call_begin("cudaStreamSynchronize");
    return call_end(error == cudaSuccess ? synchronize(stream) : error);
}

static cudaError_t event_create(cudaEvent_t *out, unsigned flags)
{
    cudaEvent_t event;
    if (out == NULL || (flags & ~(unsigned)(cudaEventBlockingSync | cudaEventDisableTiming)) != 0)
        return cudaErrorInvalidValue;
    event = calloc(1, sizeof *event);
    if (event == NULL)
        return cudaErrorMemoryAllocation;
    event->device = standin_current_device();
    event->flags = flags;
    standin_born(STANDIN_EVENT, event, sizeof *event);
    *out = event;
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags)
{
    cudaError_t error = call_begin("cudaEventCreateWithFlags");
    return call_end(error == cudaSuccess ? event_create(event, flags) : error);
}

static cudaError_t event_destroy(cudaEvent_t event)
{
    if (!standin_alive(STANDIN_EVENT, event))
        return check_event(event);
    marker_release(event->marker);
    free(event->nodes);
    standin_died(event);
    free(event);
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    cudaError_t planned = call_begin("cudaEventDestroy"), error = event_destroy(event);
    return call_end(planned != cudaSuccess ? planned : error);
}

static cudaError_t record(cudaEvent_t event, cudaStream_t stream)
{
    cudaError_t error = check_stream(stream);
    struct marker *marker;

    if (error == cudaSuccess)
        error = check_event(event);
    if (error != cudaSuccess)
        return error;
    if (event->device != stream->device) {
        standin_complain("event of device %d, stream of device %d", event->device, stream->device);
        return cudaErrorInvalidResourceHandle;
    }
    if (stream->capture != NULL)
        return capture_record(event, stream);
    event->capture = NULL;
    marker = marker_create(stream);
    if (marker == NULL)
        return cudaErrorMemoryAllocation;
    marker_release(event->marker);
    event->marker = marker;
    return stream_push(stream, NULL, NULL, marker);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    cudaError_t error = call_begin("cudaEventRecord");
    return call_end(error == cudaSuccess ? record(event, stream) : error);
}

static cudaError_t wait_event(cudaStream_t stream, cudaEvent_t event, unsigned flags)
{
    cudaError_t error = check_stream(stream);
    if (error == cudaSuccess)
        error = check_event(event);
    if (error != cudaSuccess)
        return error;
    if (flags != 0)
        return cudaErrorInvalidValue;
    if (stream->capture != NULL || event_captured(event))
        return capture_wait(stream, event);
    if (event->marker == NULL) /* never recorded: nothing to wait for, and hardly what was meant */
        standin_complain("the event was never recorded");
    return event->marker == NULL || event->marker->done
               ? cudaSuccess
               : stream_push(stream, NULL, event->marker, NULL);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags)
{
    cudaError_t error = call_begin("cudaStreamWaitEvent");
    return call_end(error == cudaSuccess ? wait_event(stream, event, flags) : error);
}

static int marker_done(void *marker)
{
    return ((struct marker *)marker)->done;
}

static cudaError_t event_synchronize(cudaEvent_t event)
{
    cudaError_t error = check_event(event);
    struct marker *marker;

    if (error == cudaSuccess && event_captured(event)) {
        capture_invalidate(event->capture);
        error = cudaErrorCapturedEvent;
    }
    if (error == cudaSuccess)
        error = standin_unsafe_in_capture();
    if (error != cudaSuccess || event->marker == NULL)
        return error;
    marker = event->marker;
    marker_hold(marker);
    for (struct CUstream_st *each = streams; each != NULL; each = each->next)
        each->needed = each == marker->stream;
    error = standin_run_until(marker_done, marker);
    marker_release(marker);
    return error;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    cudaError_t error = call_begin("cudaEventSynchronize");
    if (error == cudaSuccess)
        error = event_synchronize(event);
    return call_end(error);
}

static cudaError_t elapsed(float *milliseconds, cudaEvent_t start, cudaEvent_t end)
{
    cudaError_t error = check_event(start);
    if (error == cudaSuccess)
        error = check_event(end);
    if (error != cudaSuccess)
        return error;
    if (milliseconds == NULL)
        return cudaErrorInvalidValue;
    if (((start->flags | end->flags) & cudaEventDisableTiming) != 0 || start->marker == NULL ||
        end->marker == NULL || start->device != end->device)
        return cudaErrorInvalidResourceHandle;
    if (!start->marker->done || !end->marker->done)
        return cudaErrorNotReady;
    *milliseconds = (float)((end->marker->time - start->marker->time) / 1000);
    return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t start, cudaEvent_t end)
{
    cudaError_t error = call_begin("cudaEventElapsedTime");
    return call_end(error == cudaSuccess ? elapsed(milliseconds, start, end) : error);
}
