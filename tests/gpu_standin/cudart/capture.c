/*
 * capture.c - streams that record instead of queueing: nodes with the ones they depend on, through
 * forks and joins by events. What may not be done meanwhile gives the documented error and spoils
 * the capture.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

static struct capture *captures;

static struct capture *live(uint64_t id)
{
    struct capture *each = captures;
    while (each != NULL && each->id != id)
        each = each->next;
    return each;
}

int event_captured(cudaEvent_t event)
{
    return event->capture_id != 0 && live(event->capture_id) != NULL;
}

void capture_invalidate(struct capture *capture)
{
    capture->invalid = 1;
}

cudaError_t standin_unsafe_in_capture(void)
{
    cudaError_t error = cudaSuccess;
    for (struct capture *each = captures; each != NULL; each = each->next)
        if (each->mode == cudaStreamCaptureModeGlobal ||
            (each->mode == cudaStreamCaptureModeThreadLocal &&
             each->thread == (unsigned long)pthread_self())) {
            standin_complain("not permitted while a stream captures");
            capture_invalidate(each);
            error = cudaErrorStreamCaptureUnsupported;
        }
    return error;
}

static int copy_numbers(int **to, size_t *to_count, const int *from, size_t count)
{
    int *copy = malloc((count > 0 ? count : 1) * sizeof *copy);
    if (copy == NULL)
        return 0;
    if (count > 0)
        memcpy(copy, from, count * sizeof *copy);
    free(*to);
    *to = copy;
    *to_count = count;
    return 1;
}

/* The stream's next node depends on these besides. */
static int add_numbers(int **to, size_t *to_count, const int *from, size_t count)
{
    int *grown = realloc(*to, (*to_count + count + 1) * sizeof *grown);
    if (grown == NULL)
        return 0;
    *to = grown;
    for (size_t i = 0; i < count; i++) {
        size_t j = 0;
        while (j < *to_count && grown[j] != from[i])
            ++j;
        if (j == *to_count)
            grown[(*to_count)++] = from[i];
    }
    return 1;
}

cudaError_t capture_add(cudaStream_t stream, const standin_work *work)
{
    struct CUgraph_st *graph = stream->capture->graph;
    struct node *nodes, node = {.work = *work, .device = stream->device};
    int number = (int)graph->count;

    if (stream->capture->invalid)
        return cudaErrorStreamCaptureInvalidated;
    nodes = realloc(graph->nodes, (graph->count + 1) * sizeof *nodes);
    if (nodes == NULL)
        return cudaErrorMemoryAllocation;
    graph->nodes = nodes;
    if (!copy_numbers(&node.needs, &node.need_count, stream->frontier, stream->frontier_count) ||
        !node_copy(&nodes[graph->count], &node)) {
        free(node.needs);
        return cudaErrorMemoryAllocation;
    }
    free(node.needs);
    ++graph->count;
    return copy_numbers(&stream->frontier, &stream->frontier_count, &number, 1)
               ? cudaSuccess
               : cudaErrorMemoryAllocation;
}

cudaError_t capture_record(cudaEvent_t event, cudaStream_t stream)
{
    if (stream->capture->invalid)
        return cudaErrorStreamCaptureInvalidated;
    if (!copy_numbers(&event->nodes, &event->node_count, stream->frontier, stream->frontier_count))
        return cudaErrorMemoryAllocation;
    event->capture = stream->capture;
    event->capture_id = stream->capture->id;
    marker_release(event->marker);
    event->marker = NULL;
    return cudaSuccess;
}

cudaError_t capture_wait(cudaStream_t stream, cudaEvent_t event)
{
    struct capture *of_event = event_captured(event) ? event->capture : NULL;

    if (of_event == NULL) {
        standin_complain("the event was recorded outside of the capture");
        capture_invalidate(stream->capture);
        return cudaErrorStreamCaptureIsolation;
    }
    if (of_event->invalid)
        return cudaErrorStreamCaptureInvalidated;
    if (stream->capture != NULL && stream->capture != of_event) {
        capture_invalidate(stream->capture);
        capture_invalidate(of_event);
        return cudaErrorStreamCaptureMerge;
    }
    if (stream->capture == NULL)
        stream->frontier_count = 0;
    stream->capture = of_event;
    return add_numbers(&stream->frontier, &stream->frontier_count, event->nodes, event->node_count)
               ? cudaSuccess
               : cudaErrorMemoryAllocation;
}

void capture_stream_gone(cudaStream_t stream)
{
    if (stream->capture == NULL)
        return;
    standin_complain("a stream is destroyed while it captures");
    capture_invalidate(stream->capture);
    if (stream->capture->origin == stream)
        stream->capture->origin = NULL;
    stream->capture = NULL;
}

static cudaError_t begin(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
    static uint64_t id;
    struct capture *capture;

    if (standin_stream_device(stream) < 0)
        return cudaErrorInvalidResourceHandle;
    if (device_error(stream->device) != cudaSuccess)
        return device_error(stream->device);
    if (stream->capture != NULL) {
        standin_complain("the stream captures already");
        return cudaErrorIllegalState;
    }
    capture = calloc(1, sizeof *capture);
    if (capture == NULL || (capture->graph = calloc(1, sizeof *capture->graph)) == NULL) {
        free(capture);
        return cudaErrorMemoryAllocation;
    }
    capture->id = ++id;
    capture->origin = stream;
    capture->mode = mode;
    capture->thread = (unsigned long)pthread_self();
    capture->next = captures;
    captures = capture;
    stream->capture = capture;
    stream->frontier_count = 0;
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
    cudaError_t error = call_begin("cudaStreamBeginCapture");
    return call_end(error == cudaSuccess ? begin(stream, mode) : error);
}

static void mark_before(const struct CUgraph_st *graph, char *marked, const int *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!marked[from[i]]) {
            marked[from[i]] = 1;
            mark_before(graph, marked, graph->nodes[from[i]].needs,
                        graph->nodes[from[i]].need_count);
        }
}

/* Does the origin depend, at the end, on all that the other streams did? */
static int all_joined(const struct capture *capture)
{
    char *marked = calloc(capture->graph->count + 1, 1);
    int joined = marked != NULL;

    if (joined)
        mark_before(capture->graph, marked, capture->origin->frontier,
                    capture->origin->frontier_count);
    for (const struct CUstream_st *each = streams; each != NULL && joined; each = each->next)
        for (size_t i = 0; each->capture == capture && i < each->frontier_count; i++)
            joined = joined && marked[each->frontier[i]];
    free(marked);
    return joined;
}

/* All streams of the capture are ordinary again. */
static void finish(struct capture *capture)
{
    struct capture **link = &captures;
    for (struct CUstream_st *each = streams; each != NULL; each = each->next)
        if (each->capture == capture)
            each->capture = NULL;
    while (*link != capture)
        link = &(*link)->next;
    *link = capture->next;
    free(capture);
}

static cudaError_t end(cudaStream_t stream, cudaGraph_t *out)
{
    struct capture *capture;
    cudaError_t error = cudaSuccess;

    if (out == NULL)
        return cudaErrorInvalidValue;
    *out = NULL;
    if (standin_stream_device(stream) < 0)
        return cudaErrorInvalidResourceHandle;
    capture = stream->capture;
    if (capture == NULL) {
        standin_complain("the stream does not capture");
        return cudaErrorIllegalState;
    }
    if (capture->mode != cudaStreamCaptureModeRelaxed &&
        capture->thread != (unsigned long)pthread_self())
        return cudaErrorStreamCaptureWrongThread;
    if (capture->origin != stream) {
        capture_invalidate(capture);
        return cudaErrorStreamCaptureUnmatched;
    }
    if (capture->invalid)
        error = cudaErrorStreamCaptureInvalidated;
    else if (!all_joined(capture))
        error = cudaErrorStreamCaptureUnjoined;
    if (error == cudaSuccess) {
        *out = capture->graph;
        standin_born(STANDIN_GRAPH, capture->graph, capture->graph->count);
    } else {
        graph_free(capture->graph);
    }
    finish(capture);
    return error;
}

/* A planned fault ends the capture without a graph. */
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    cudaError_t planned = call_begin("cudaStreamEndCapture"), error;
    if (planned != cudaSuccess && standin_alive(STANDIN_STREAM, stream) && stream->capture != NULL)
        capture_invalidate(stream->capture);
    error = end(stream, graph);
    return call_end(planned != cudaSuccess ? planned : error);
}
