/* The stand-in for the CUDA runtime: capture and replay, and what may not be called meanwhile. */
#include <string.h>

#include "runtime_rig.h"

/* value[0] = pinned; fork: [1] = [0] + 1 and, beside it, [2] = [0] + 2; join: [3] = [1] + [2] by
 * two steps. */
static cudaGraphExec_t capture(cudaStream_t stream, cudaStream_t side, int *memory, int *host,
                               int join, cudaError_t *error)
{
    cudaEvent_t fork_point = new_event(cudaEventDisableTiming),
                join_point = new_event(cudaEventDisableTiming);
    cudaGraph_t graph = NULL;
    cudaGraphExec_t exec = NULL;

    OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
    OK(cudaMemcpyAsync(memory, host, 4, cudaMemcpyHostToDevice, stream));
    OK(cudaEventRecord(fork_point, stream));
    OK(cudaStreamWaitEvent(side, fork_point, 0));
    launch_add(memory + 2, memory, 2, side);
    launch_add(memory + 1, memory, 1, stream);
    OK(cudaEventRecord(join_point, side));
    if (join)
        OK(cudaStreamWaitEvent(stream, join_point, 0));
    launch_add(memory + 3, memory + 2, 10, stream);
    OK(cudaMemcpyAsync(host + 1, memory, 16, cudaMemcpyDeviceToHost, stream));
    *error = cudaStreamEndCapture(stream, &graph);
    if (*error == cudaSuccess) {
        OK(cudaGraphInstantiate(&exec, graph, 0));
        OK(cudaGraphDestroy(graph));
    }
    OK(cudaEventDestroy(fork_point));
    OK(cudaEventDestroy(join_point));
    return exec;
}

static void test_capture(void)
{
    int *memory = new_memory(4), *host = new_pinned(5);
    cudaStream_t stream = rig_stream(), side = rig_stream();
    cudaError_t error;
    cudaGraphExec_t exec = capture(stream, side, memory, host, 1, &error);

    CHECK(error == cudaSuccess);
    CHECK(host[1] == -1); /* nothing ran */
    for (int i = 0; i < 20; i++) {
        host[0] = 100 * i;
        OK(cudaGraphLaunch(exec, stream));
        OK(cudaStreamSynchronize(stream));
        CHECK(host[1] == 100 * i && host[2] == 100 * i + 1 && host[3] == 100 * i + 2 &&
              host[4] == 100 * i + 12);
    }
    OK(cudaGraphLaunch(exec, stream)); /* destroyed while it waits to run */
    OK(cudaGraphExecDestroy(exec));
    OK(cudaStreamSynchronize(stream));
    CHECK(cudaGraphLaunch(exec, stream) == cudaErrorInvalidValue);
    CHECK(capture(stream, side, memory, host, 0, &error) == NULL &&
          error == cudaErrorStreamCaptureUnjoined);
    OK(cudaStreamSynchronize(side));
    OK(cudaFree(memory));
    OK(cudaFreeHost(host));
    OK(cudaStreamDestroy(stream));
    OK(cudaStreamDestroy(side));
    cudaGetLastError();
}

/* Each forbidden call spoils the capture. */
static void check_forbidden(cudaError_t wanted, cudaError_t (*call)(cudaStream_t stream))
{
    cudaStream_t stream = rig_stream();
    cudaGraph_t graph = NULL;

    OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
    CHECK(call(stream) == wanted);
    CHECK(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureInvalidated &&
          graph == NULL);
    OK(cudaStreamSynchronize(stream));
    OK(cudaStreamDestroy(stream));
}

static cudaError_t forbidden_malloc(cudaStream_t stream)
{
    void *memory;
    (void)stream;
    return cudaMalloc(&memory, 4);
}

static cudaError_t forbidden_pinned(cudaStream_t stream)
{
    void *memory;
    (void)stream;
    return cudaMallocHost(&memory, 4);
}

static cudaError_t forbidden_event(cudaStream_t stream)
{
    cudaEvent_t event = new_event(cudaEventDisableTiming);
    cudaError_t error;
    cudaEventRecord(event, stream);
    error = cudaEventSynchronize(event);
    cudaEventDestroy(event);
    return error;
}

static cudaError_t outside_event(cudaStream_t stream)
{
    cudaEvent_t event = new_event(cudaEventDisableTiming);
    cudaStream_t other = rig_stream();
    cudaError_t error;
    cudaEventRecord(event, other);
    error = cudaStreamWaitEvent(stream, event, 0);
    cudaEventDestroy(event);
    cudaStreamDestroy(other);
    return error;
}

static void test_capture_rules(void)
{
    cudaStream_t stream = rig_stream();
    cudaGraph_t graph;

    check_forbidden(cudaErrorStreamCaptureUnsupported, forbidden_malloc);
    check_forbidden(cudaErrorStreamCaptureUnsupported, forbidden_pinned);
    check_forbidden(cudaErrorStreamCaptureUnsupported, cudaStreamSynchronize);
    check_forbidden(cudaErrorCapturedEvent, forbidden_event);
    check_forbidden(cudaErrorStreamCaptureIsolation, outside_event);
    CHECK(cudaStreamEndCapture(stream, &graph) == cudaErrorIllegalState);
    OK(cudaStreamDestroy(stream));
    cudaGetLastError();
}

int main(void)
{
    standin_set("STANDIN_QUIET", getenv("STANDIN_QUIET") != NULL ? getenv("STANDIN_QUIET") : "1");
    standin_set("STANDIN_DEVICES", "2");
    standin_set("STANDIN_LEAKS", "fail");
    test_capture();
    test_capture_rules();
    return test_finish();
}
