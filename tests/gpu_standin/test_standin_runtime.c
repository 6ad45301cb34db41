/*
 * The stand-in for the CUDA runtime: memory that the host may not touch, copies, streams that run
 * late, events, launches.
 */
#include <signal.h>
#include <string.h>

#include "runtime_rig.h"

static char said[4096];

static int in_child(void (*run)(void))
{
    return rig_child(run, said, sizeof said);
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
    cudaStream_t stream = rig_stream();
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
    cudaStream_t stream = rig_stream();
    launch_add(memory, memory + 64, 1, stream);
    cudaStreamSynchronize(stream);
}

static void kernel_reads_other_device(void)
{
    int *here = new_memory(1), *there;
    cudaStream_t stream = rig_stream();
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
    cudaStream_t stream = rig_stream();

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
    size_t before = standin_complaints();
    int *memory = new_memory(1);
    cudaStream_t stream = rig_stream();
    launch_add(memory + 1, memory, 1, stream);
    cudaStreamSynchronize(stream);
    cudaFree(memory);
    _exit(standin_complaints() == before + 1 ? 9 : 0);
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
    cudaStream_t stream = rig_stream();

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
    cudaStream_t first = rig_stream(), second = rig_stream();
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
    cudaStream_t stream = rig_stream();
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

/* The rules for launches, and for what belongs to which device. */
static void test_launches(void)
{
    cudaStream_t stream = rig_stream();
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
    test_launches();
    standin_set("STANDIN_QUIET", "0");
    test_slack();
    return test_finish();
}
