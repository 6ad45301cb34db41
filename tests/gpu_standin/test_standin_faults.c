/*
 * The stand-in for the CUDA runtime: calls that fail, lost devices, leaks, and the devices and
 * settings that there are.
 */
#include <string.h>

#include "runtime_rig.h"

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
    cudaStream_t stream = rig_stream(), other;
    int *memory = new_memory(1);
    void *more = NULL;

    OK(cudaMemsetAsync(memory, 0, 4, stream));
    standin_lose_device(0);
    CHECK(cudaStreamSynchronize(stream) == cudaErrorECCUncorrectable);
    CHECK(cudaMalloc(&more, 4) == cudaErrorECCUncorrectable && more == NULL);
    CHECK(cudaGetLastError() == cudaErrorECCUncorrectable &&
          cudaGetLastError() == cudaErrorECCUncorrectable);
    OK(cudaSetDevice(1));
    other = rig_stream();
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
    test_faults();
    test_lost_device();
    test_leaks();
    standin_set("STANDIN_QUIET", "0");
    test_devices();
    return test_finish();
}
