/*
 * The stand-in for the CUDA runtime: memory that the host may not touch, streams that run late,
 * events, capture and replay, faults, lost devices, leaks.
 */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "../check.h"
#include "standin.h"

#define OK(call) CHECK((call) == cudaSuccess)

static cudaStream_t new_stream(void)
{
    cudaStream_t stream = NULL;
    OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    return stream;
}

static cudaEvent_t new_event(unsigned flags)
{
    cudaEvent_t event = NULL;
    OK(cudaEventCreateWithFlags(&event, flags));
    return event;
}

static int *new_memory(size_t count)
{
    void *memory = NULL;
    OK(cudaMalloc(&memory, count * sizeof(int)));
    return memory;
}

static int *new_pinned(size_t count)
{
    void *memory = NULL;
    OK(cudaMallocHost(&memory, count * sizeof(int)));
    return memory;
}

/* A kernel by hand: *to = *from + add. */
struct addition {
    int *to;
    const int *from;
    int add;
};

static standin_progress add(void *args)
{
    struct addition *a = args;
    *a->to = *a->from + a->add;
    return STANDIN_DONE;
}

static void launch_add(int *to, const int *from, int number, cudaStream_t stream)
{
    struct addition args = {to, from, number};
    standin_work work = {.name = "add", .run = add, .args = &args, .bytes = sizeof args};
    dim3 one = {1, 1, 1};
    standin_launch(one, one, stream, &work);
}

/* Runs in a child: 0 if it returned, the signal that ended it, or -1. What it said on stderr is
 * kept. */
static char said[4096];

static int in_child(void (*run)(void))
{
    int ends[2], status = 0;
    pid_t child;
    ssize_t got = 0, part;

    fflush(NULL);
    if (pipe(ends) != 0 || (child = fork()) < 0)
        return -1;
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        run();
        _exit(0);
    }
    close(ends[1]);
    while (got < (ssize_t)sizeof said - 1 &&
           (part = read(ends[0], said + got, sizeof said - 1 - (size_t)got)) > 0)
        got += part;
    said[got] = '\0';
    close(ends[0]);
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static void host_reads(void)
{
    volatile int *memory = new_memory(4);
    (void)memory[1];
}

/* Open while the device works, closed again when the host goes on. */
static void host_reads_after_work(void)
{
    int *memory = new_memory(4);
    cudaStream_t stream = new_stream();
    cudaMemsetAsync(memory, 0, 16, stream);
    cudaStreamSynchronize(stream);
    (void)*(volatile int *)memory;
}

static void host_writes_freed(void)
{
    int *memory = new_memory(4);
    cudaFree(memory);
    *(volatile int *)memory = 1;
}

static void kernel_reads_past_the_end(void)
{
    int *memory = new_memory(64);
    cudaStream_t stream = new_stream();
    launch_add(memory, memory + 64, 1, stream);
    cudaStreamSynchronize(stream);
}

static void kernel_reads_other_device(void)
{
    int *here = new_memory(1), *there;
    cudaStream_t stream = new_stream();
    cudaSetDevice(1);
    there = new_memory(1);
    cudaSetDevice(0);
    launch_add(here, there, 1, stream);
    cudaStreamSynchronize(stream);
}

static void test_memory(void)
{
    size_t before, after, total;
    int *memory, *host = new_pinned(2);
    cudaStream_t stream = new_stream();

    CHECK(in_child(host_reads) == SIGABRT &&
          strstr(said, "host access to memory of device 0") != NULL);
    CHECK(strstr(said, "byte 4 of the 16") != NULL);
    CHECK(in_child(host_reads_after_work) == SIGABRT && strstr(said, "byte 0 of the 16") != NULL);
    CHECK(in_child(host_writes_freed) == SIGABRT && strstr(said, "freed") != NULL);
    CHECK(in_child(kernel_reads_past_the_end) == SIGABRT &&
          strstr(said, "operation add touched memory") != NULL);
    CHECK(in_child(kernel_reads_other_device) == SIGABRT &&
          strstr(said, "memory of device 1") != NULL);

    OK(cudaMemGetInfo(&before, &total));
    memory = new_memory(1000);
    CHECK((uintptr_t)memory % 256 == 0);
    OK(cudaMemGetInfo(&after, &total));
    CHECK(before - after >= 4000 && before - after < 5000);
    OK(cudaMemcpyAsync(host, memory, 8, cudaMemcpyDeviceToHost, stream)); /* fresh memory is NaN */
    OK(cudaStreamSynchronize(stream));
    CHECK(host[0] == -1 && host[1] == -1);
    OK(cudaFree(memory));
    CHECK(cudaFree(memory) == cudaErrorInvalidValue);
    CHECK(cudaFree(host) == cudaErrorInvalidValue);
    OK(cudaFree(NULL));
    CHECK(standin_set("STANDIN_MEMORY", "1m") == 0);
    CHECK(cudaMalloc((void **)&memory, 1 << 20 | 1) == cudaErrorMemoryAllocation && memory == NULL);
    CHECK(cudaGetLastError() == cudaErrorMemoryAllocation && cudaGetLastError() == cudaSuccess);
    CHECK(standin_set("STANDIN_MEMORY", "4g") == 0);
    OK(cudaFreeHost(host));
    OK(cudaStreamDestroy(stream));
}

static void write_past(void)
{
    int *memory = new_memory(1);
    cudaStream_t stream = new_stream();
    launch_add(memory + 1, memory, 1, stream);
    cudaStreamSynchronize(stream);
    cudaFree(memory);
    _exit(standin_complaints() == 1 ? 9 : 0);
}

static int mappings(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    int lines = 0, c;
    while (maps != NULL && (c = fgetc(maps)) != EOF)
        lines += c == '\n';
    if (maps != NULL)
        fclose(maps);
    return lines;
}

/* The kernel allows a process 65530 mappings: what was freed leaves none behind. */
static void test_many_allocations(void)
{
    int before;

    OK(cudaFree(new_memory(1)));
    before = mappings();
    for (int i = 0; i < 500; i++)
        OK(cudaFree(new_memory(1)));
    CHECK(mappings() < before + 20);
}

/* A small overrun stays on the page, and shows when the memory is freed. */
static void test_slack(void)
{
    CHECK(in_child(write_past) == 9 && strstr(said, "wrote at byte 4 of the 4") != NULL);
}

static void test_copies(void)
{
    int *memory = new_memory(4), *host = new_pinned(4), pageable = 1;
    cudaStream_t stream = new_stream();

    /* Queued work reads pinned memory when it runs. */
    host[0] = 1;
    OK(cudaMemcpyAsync(memory, host, 4, cudaMemcpyHostToDevice, stream));
    host[0] = 2;
    OK(cudaMemcpyAsync(host + 1, memory, 4, cudaMemcpyDeviceToHost, stream));
    CHECK(host[1] == -1);
    OK(cudaStreamSynchronize(stream));
    CHECK(host[1] == 2);
    OK(cudaMemsetAsync(memory, 7, 16, stream));
    OK(cudaMemcpyAsync(host, memory, 16, cudaMemcpyDeviceToHost, stream));
    OK(cudaStreamSynchronize(stream));
    CHECK(host[3] == 0x07070707);

    standin_reset();
    CHECK(cudaMemcpyAsync(memory, &pageable, 4, cudaMemcpyHostToDevice, stream) ==
          cudaErrorInvalidValue);
    CHECK(cudaMemcpyAsync(host, memory, 4, cudaMemcpyHostToDevice, stream) ==
          cudaErrorInvalidValue);
    CHECK(cudaMemcpyAsync(host, memory, 20, cudaMemcpyDeviceToHost, stream) ==
          cudaErrorInvalidValue);
    CHECK(cudaMemcpyAsync(memory, host + 1, 16, cudaMemcpyHostToDevice, stream) ==
          cudaErrorInvalidValue);
    CHECK(cudaMemcpyAsync(memory, host, 4, cudaMemcpyDefault, stream) ==
          cudaErrorInvalidMemcpyDirection);
    CHECK(cudaMemcpyAsync(memory, host, 4, cudaMemcpyHostToDevice, NULL) ==
          cudaErrorInvalidResourceHandle);
    CHECK(cudaMemsetAsync(host, 0, 4, stream) == cudaErrorInvalidValue);
    CHECK(standin_complaints() == 7);
    cudaGetLastError();
    OK(cudaFree(memory));
    OK(cudaFreeHost(host));
    OK(cudaStreamDestroy(stream));
}

/* Without the event the other stream's value is often late; with it, never. */
static int race(int with_event)
{
    int *memory = new_memory(2), *host = new_pinned(1), result;
    cudaStream_t first = new_stream(), second = new_stream();
    cudaEvent_t event = new_event(cudaEventDisableTiming);

    OK(cudaMemsetAsync(memory, 0, 8, first));
    OK(cudaStreamSynchronize(first));
    launch_add(memory, memory, 5, first);
    OK(cudaEventRecord(event, first));
    if (with_event)
        OK(cudaStreamWaitEvent(second, event, 0));
    OK(cudaMemcpyAsync(host, memory, 4, cudaMemcpyDeviceToHost, second));
    OK(cudaStreamSynchronize(second));
    result = host[0];
    OK(cudaStreamDestroy(first));
    OK(cudaStreamDestroy(second));
    OK(cudaEventDestroy(event));
    OK(cudaFree(memory));
    OK(cudaFreeHost(host));
    return result;
}

static void test_events(void)
{
    static const char *const orders[] = {"late", "random", "reverse", "eager"};
    int late = 0;

    for (int i = 0; i < 4; i++) {
        CHECK(standin_set("STANDIN_ORDER", orders[i]) == 0);
        for (int round = 0; round < 20; round++)
            CHECK(race(1) == 5);
    }
    CHECK(standin_set("STANDIN_ORDER", "late") == 0);
    CHECK(race(0) == 0);
    CHECK(standin_set("STANDIN_ORDER", "random") == 0);
    for (int round = 0; round < 20; round++)
        late += race(0) == 0;
    CHECK(late > 0 && late < 20);
}

/* The wait is for what was recorded when it was called; times grow and are the same for the same
 * seed. */
static void test_event_rules(void)
{
    cudaStream_t stream = new_stream();
    cudaEvent_t start = new_event(0), end = new_event(0), plain = new_event(cudaEventDisableTiming);
    int *memory = new_memory(1);
    float time = -1;

    OK(cudaEventRecord(start, stream));
    OK(cudaMemsetAsync(memory, 0, 4, stream));
    OK(cudaEventRecord(end, stream));
    CHECK(cudaEventElapsedTime(&time, start, end) == cudaErrorNotReady &&
          cudaPeekAtLastError() == cudaSuccess);
    OK(cudaEventSynchronize(end));
    OK(cudaEventElapsedTime(&time, start, end));
    CHECK(time > 0 && time < 1);
    OK(cudaEventRecord(plain, stream));
    OK(cudaEventSynchronize(plain));
    CHECK(cudaEventElapsedTime(&time, start, plain) == cudaErrorInvalidResourceHandle);
    OK(cudaEventDestroy(plain));
    CHECK(cudaEventRecord(plain, stream) == cudaErrorInvalidResourceHandle);
    CHECK(cudaEventRecord(end, NULL) == cudaErrorInvalidResourceHandle);
    CHECK(cudaStreamSynchronize(NULL) == cudaErrorInvalidResourceHandle);
    OK(cudaEventDestroy(start));
    OK(cudaEventDestroy(end));
    OK(cudaStreamDestroy(stream));
    CHECK(cudaStreamDestroy(stream) == cudaErrorInvalidResourceHandle);
    OK(cudaFree(memory));
    cudaGetLastError();
}

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
    cudaStream_t stream = new_stream(), side = new_stream();
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
    cudaStream_t stream = new_stream();
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
    cudaStream_t other = new_stream();
    cudaError_t error;
    cudaEventRecord(event, other);
    error = cudaStreamWaitEvent(stream, event, 0);
    cudaEventDestroy(event);
    cudaStreamDestroy(other);
    return error;
}

static void test_capture_rules(void)
{
    cudaStream_t stream = new_stream();
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

/* The rules for launches, and for what belongs to which device. */
static void test_launches(void)
{
    cudaStream_t stream = new_stream();
    standin_work work = {.name = "nothing", .run = add};
    dim3 none = {0, 1, 1}, many = {2048, 1, 1}, one = {1, 1, 1};
    cudaEvent_t event;

    standin_launch(none, one, stream, &work);
    CHECK(cudaGetLastError() == cudaErrorInvalidConfiguration);
    standin_launch(one, many, stream, &work);
    CHECK(cudaPeekAtLastError() == cudaErrorInvalidConfiguration &&
          cudaGetLastError() == cudaErrorInvalidConfiguration);
    standin_launch(one, one, NULL, &work);
    CHECK(cudaGetLastError() == cudaErrorInvalidResourceHandle);
    OK(cudaSetDevice(1));
    standin_launch(one, one, stream, &work);
    CHECK(cudaGetLastError() == cudaErrorInvalidResourceHandle);
    event = new_event(cudaEventDisableTiming);
    CHECK(cudaEventRecord(event, stream) == cudaErrorInvalidResourceHandle);
    OK(cudaEventDestroy(event));
    OK(cudaSetDevice(0));
    OK(cudaStreamDestroy(stream));
    CHECK(cudaSetDevice(2) == cudaErrorInvalidDevice);
    cudaGetLastError();
}

/* A round of everything, for the fault tests: the first error, objects freed all the same. */
static cudaError_t round_trip(void)
{
    void *memory = NULL, *host = NULL;
    cudaStream_t stream = NULL;
    cudaEvent_t event = NULL;
    cudaError_t error = cudaMalloc(&memory, 4);

    if (error == cudaSuccess)
        error = cudaMallocHost(&host, 4);
    if (error == cudaSuccess)
        error = cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    if (error == cudaSuccess)
        error = cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    if (error == cudaSuccess)
        error = cudaMemsetAsync(memory, 0, 4, stream);
    if (error == cudaSuccess) {
        launch_add(memory, memory, 1, stream);
        error = cudaGetLastError();
    }
    if (error == cudaSuccess)
        error = cudaEventRecord(event, stream);
    if (error == cudaSuccess)
        error = cudaMemcpyAsync(host, memory, 4, cudaMemcpyDeviceToHost, stream);
    if (error == cudaSuccess)
        error = cudaStreamSynchronize(stream);
    if (stream != NULL && cudaStreamDestroy(stream) != cudaSuccess)
        error = cudaErrorUnknown;
    if (event != NULL && cudaEventDestroy(event) != cudaSuccess)
        error = cudaErrorUnknown;
    if (memory != NULL && cudaFree(memory) != cudaSuccess)
        error = cudaErrorUnknown;
    if (host != NULL && cudaFreeHost(host) != cudaSuccess)
        error = cudaErrorUnknown;
    cudaGetLastError();
    return error;
}

static void test_faults(void)
{
    size_t before = standin_leaks(NULL), calls;

    standin_reset();
    CHECK(round_trip() == cudaSuccess && standin_failed_call() == NULL);
    calls = standin_calls();
    CHECK(calls == 13);
    for (size_t n = 1; n <= calls; n++) {
        standin_reset();
        standin_fail_at(n);
        CHECK(round_trip() != cudaSuccess);
        CHECK(standin_failed_call() != NULL);
        CHECK(standin_leaks(NULL) == before);
    }
    for (size_t n = 1; n <= calls; n++) {
        standin_reset();
        standin_lose_at(n);
        CHECK(round_trip() != cudaSuccess);
        CHECK(standin_leaks(NULL) == before);
    }
    standin_reset();
    CHECK(round_trip() == cudaSuccess);
}

static void test_lost_device(void)
{
    cudaStream_t stream = new_stream(), other;
    int *memory = new_memory(1);
    void *more = NULL;

    OK(cudaMemsetAsync(memory, 0, 4, stream));
    standin_lose_device(0);
    CHECK(cudaStreamSynchronize(stream) == cudaErrorECCUncorrectable);
    CHECK(cudaMalloc(&more, 4) == cudaErrorECCUncorrectable && more == NULL);
    CHECK(cudaGetLastError() == cudaErrorECCUncorrectable &&
          cudaGetLastError() == cudaErrorECCUncorrectable);
    OK(cudaSetDevice(1));
    other = new_stream();
    OK(cudaStreamSynchronize(other));
    OK(cudaStreamDestroy(other));
    CHECK(cudaSetDevice(0) != cudaSuccess);
    standin_reset();
    OK(cudaSetDevice(0));
    OK(cudaStreamDestroy(stream));
    OK(cudaFree(memory));
    cudaGetLastError();
}

static void test_devices(void)
{
    int count = -1, value = -1;
    struct cudaDeviceProp properties;

    OK(cudaGetDeviceCount(&count));
    CHECK(count == 2);
    OK(cudaDeviceGetAttribute(&value, cudaDevAttrComputeCapabilityMajor, 1));
    CHECK(value == 8);
    OK(cudaGetDeviceProperties(&properties, 1));
    CHECK(strcmp(properties.name, "Stand-in 1") == 0 && properties.totalGlobalMem == (size_t)4
                                                                                         << 30);
    CHECK(standin_set("STANDIN_DEVICES", "0") == 0);
    CHECK(cudaGetDeviceCount(&count) == cudaErrorNoDevice && count == 0);
    CHECK(standin_set("STANDIN_DEVICES", "nodriver") == 0);
    CHECK(cudaGetDeviceCount(&count) == cudaErrorInsufficientDriver && count == 0);
    CHECK(standin_set("STANDIN_DEVICES", "2") == 0);
    CHECK(standin_set("STANDIN_DEVICES", "many") == -1 && standin_set("STANDIN_SPEED", "1") == -1);
    CHECK(standin_set("STANDIN_CAPABILITY", "7.5") == 0);
    OK(cudaDeviceGetAttribute(&value, cudaDevAttrComputeCapabilityMinor, 0));
    CHECK(value == 5);
    CHECK(strcmp(cudaGetErrorName(cudaErrorMemoryAllocation), "cudaErrorMemoryAllocation") == 0);
    cudaGetLastError();
}

static void test_leaks(void)
{
    size_t before = standin_leaks(NULL);
    int *memory = new_memory(3);
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);

    CHECK(standin_leaks(out) == before + 1);
    fclose(out);
    CHECK(strstr(text, "device memory") != NULL && strstr(text, "12 bytes") != NULL &&
          strstr(text, "cudaMalloc") != NULL);
    free(text);
    OK(cudaFree(memory));
    CHECK(standin_leaks(NULL) == before);
}

int main(void)
{
    standin_set("STANDIN_QUIET", getenv("STANDIN_QUIET") != NULL ? getenv("STANDIN_QUIET") : "1");
    standin_set("STANDIN_DEVICES", "2");
    standin_set("STANDIN_LEAKS", "fail");
    test_memory();
    test_many_allocations();
    test_copies();
    test_events();
    test_event_rules();
    test_capture();
    test_capture_rules();
    test_launches();
    test_faults();
    test_lost_device();
    test_leaks();
    standin_set("STANDIN_QUIET", "0");
    test_slack();
    test_devices();
    return test_finish();
}
