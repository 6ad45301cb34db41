/*
 * Devices: counting, naming, opening, and memory of each kind. Without a driver or a GPU the count
 * is 0 and nothing is printed.
 */
#include "device.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "choice.h"

enum { CANDIDATES = 4, MOST_CANDIDATES = 16, OLDEST_CUDNN = 90000 };

/* A workspace is at most this part of the GPU's memory, within bounds. Gradients of conv1's weights
 * on tensor cores want 1.3 GB for 256 photos, and no engine with tensor cores wants less. */
#define WORKSPACE_SHARE 32
#define LEAST_WORKSPACE ((uint64_t)256 << 20)
#define MOST_WORKSPACE ((uint64_t)2 << 30)

int32_t device_count(void)
{
    int count = 0;

    if (cudaGetDeviceCount(&count) != cudaSuccess) {
        (void)cudaGetLastError();
        return 0;
    }
    return count;
}

hmt_status device_info(int32_t index, hmt_device_info *info)
{
    struct cudaDeviceProp properties;

    memset(&properties, 0, sizeof properties);
    if (cudaGetDeviceProperties(&properties, index) != cudaSuccess) {
        (void)cudaGetLastError();
        return HMT_ERROR_NOT_FOUND; /* no host to give a sentence to */
    }
    snprintf(info->name, sizeof info->name, "%.127s", properties.name);
    info->memory = properties.totalGlobalMem;
    info->threads = 0;
    return HMT_OK;
}

static hmt_precision precision_asked(const hmt_host *host)
{
    return host->struct_size >= offsetof(hmt_host, precision) + sizeof host->precision
               ? host->precision
               : HMT_PRECISION_AUTO;
}

/* TF32 and bfloat16 came with compute capability 8.0. */
static hmt_status choose_precision(device *d)
{
    hmt_precision asked = precision_asked(d->host);

    if (asked == HMT_PRECISION_AUTO)
        asked = d->capability >= 80 ? HMT_PRECISION_TF32 : HMT_PRECISION_FLOAT32;
    if (asked != HMT_PRECISION_FLOAT32 && asked != HMT_PRECISION_TF32 &&
        asked != HMT_PRECISION_BFLOAT16)
        return d->host->fail(HMT_ERROR_UNSUPPORTED, "the cudnn backend knows no precision %d",
                             (int)asked);
    if (asked != HMT_PRECISION_FLOAT32 && d->capability < 80)
        return d->host->fail(
            HMT_ERROR_UNSUPPORTED,
            "GPU %d has compute capability %d.%d; %s needs 8.0 or later: use float32", d->index,
            d->capability / 10, d->capability % 10,
            asked == HMT_PRECISION_TF32 ? "TF32" : "bfloat16");
    d->precision = asked;
    d->type = asked == HMT_PRECISION_BFLOAT16 ? STORAGE_BFLOAT16 : STORAGE_FLOAT;
    return HMT_OK;
}

static uint64_t workspace_of(uint64_t memory)
{
    const uint64_t share = memory / WORKSPACE_SHARE;

    if (share < LEAST_WORKSPACE)
        return LEAST_WORKSPACE;
    return share > MOST_WORKSPACE ? MOST_WORKSPACE : share;
}

static hmt_status look(device *d)
{
    int major = 0, minor = 0;
    size_t free_bytes = 0, total = 0;
    hmt_status status = device_enter(d);

    if (status == HMT_OK)
        status = CUDA_CALL(d, NULL, cudaDeviceGetAttribute, &major,
                           cudaDevAttrComputeCapabilityMajor, d->index);
    if (status == HMT_OK)
        status = CUDA_CALL(d, NULL, cudaDeviceGetAttribute, &minor,
                           cudaDevAttrComputeCapabilityMinor, d->index);
    if (status == HMT_OK)
        status = CUDA_CALL(d, NULL, cudaMemGetInfo, &free_bytes, &total);
    d->capability = major * 10 + minor;
    d->workspace = workspace_of(total);
    if (status == HMT_OK && cudnnGetVersion() < OLDEST_CUDNN)
        status = d->host->fail(HMT_ERROR_UNSUPPORTED,
                               "cuDNN %zu was loaded; the cudnn backend needs 9.0 or later",
                               cudnnGetVersion());
    if (status == HMT_OK)
        status = choose_precision(d);
    return status;
}

/* HMT_CUDNN_CANDIDATES: 1 takes the heuristics' first choice, so that nothing depends on times. */
static int32_t candidates(void)
{
    const char *text = getenv("HMT_CUDNN_CANDIDATES");
    const int value = text != NULL ? atoi(text) : 0;

    return value >= 1 && value <= MOST_CANDIDATES ? value : CANDIDATES;
}

hmt_status device_open(int32_t index, const hmt_host *host, void **opened)
{
    device *d;
    void *block = host->allocator.allocate(host->allocator.user, sizeof *d, 64);
    hmt_status status;

    if (block == NULL)
        return host->fail(HMT_ERROR_MEMORY, "out of memory: %zu bytes for a device", sizeof *d);
    d = memset(block, 0, sizeof *d);
    d->host = host;
    d->index = index;
    d->candidates = candidates();
    status = look(d);
    if (status == HMT_OK && pthread_mutex_init(&d->lock, NULL) != 0)
        status = host->fail(HMT_ERROR_MEMORY, "cannot make a mutex for the device");
    if (status != HMT_OK) {
        device_host_free(d, d);
        return status;
    }
    *opened = d;
    return HMT_OK;
}

void device_close(void *opened)
{
    device *d = opened;

    if (d == NULL)
        return;
    choice_clear(d);
    pthread_mutex_destroy(&d->lock);
    device_host_free(d, d);
}

/* One for the process: several contexts may use the same GPU. */
static pthread_mutex_t exclusive = PTHREAD_MUTEX_INITIALIZER;

void device_exclusive_begin(void)
{
    pthread_mutex_lock(&exclusive);
}

void device_exclusive_end(void)
{
    pthread_mutex_unlock(&exclusive);
}

hmt_status device_enter(const device *d)
{
    (void)cudaGetLastError(); /* what others left behind in this thread is not ours */
    return CUDA_CALL(d, NULL, cudaSetDevice, d->index);
}

hmt_status device_host_memory(const device *d, uint64_t count, uint64_t size, const char *what,
                              void **out)
{
    const hmt_allocator *a = &d->host->allocator;
    uint64_t bytes;

    *out = NULL;
    if (__builtin_mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX)
        return d->host->fail(HMT_ERROR_MEMORY, "out of memory: %s is beyond this machine", what);
    bytes = bytes > 0 ? bytes : 1;
    *out = a->allocate(a->user, (size_t)bytes, 64);
    if (*out == NULL)
        return d->host->fail(HMT_ERROR_MEMORY, "out of memory: %llu bytes for %s",
                             (unsigned long long)bytes, what);
    memset(*out, 0, (size_t)bytes);
    return HMT_OK;
}

void device_host_free(const device *d, void *pointer)
{
    if (pointer != NULL)
        d->host->allocator.release(d->host->allocator.user, pointer);
}

hmt_status device_memory(const device *d, uint64_t bytes, const char *what, void **out)
{
    size_t free_bytes = 0, total = 0;
    cudaError_t error;

    *out = NULL;
    if (bytes == 0)
        return HMT_OK;
    error = cudaMalloc(out, (size_t)bytes);
    if (error == cudaSuccess)
        return HMT_OK;
    *out = NULL;
    if (error != cudaErrorMemoryAllocation)
        return status_cuda(d, what, "cudaMalloc", error);
    (void)cudaGetLastError();
    if (cudaMemGetInfo(&free_bytes, &total) != cudaSuccess)
        (void)cudaGetLastError();
    return d->host->fail(
        HMT_ERROR_MEMORY,
        "out of memory on GPU %d: cudaMalloc of %llu bytes for %s, %zu of %zu are free", d->index,
        (unsigned long long)bytes, what, free_bytes, total);
}

void device_memory_free(void *pointer)
{
    if (pointer != NULL && cudaFree(pointer) != cudaSuccess)
        (void)cudaGetLastError();
}

hmt_status device_pinned(const device *d, uint64_t bytes, const char *what, void **out)
{
    cudaError_t error;

    *out = NULL;
    if (bytes == 0)
        return HMT_OK;
    error = cudaMallocHost(out, (size_t)bytes);
    if (error == cudaSuccess)
        return HMT_OK;
    *out = NULL;
    if (error != cudaErrorMemoryAllocation)
        return status_cuda(d, what, "cudaMallocHost", error);
    (void)cudaGetLastError();
    return d->host->fail(HMT_ERROR_MEMORY, "out of memory: cudaMallocHost of %llu bytes for %s",
                         (unsigned long long)bytes, what);
}

void device_pinned_free(void *pointer)
{
    if (pointer != NULL && cudaFreeHost(pointer) != cudaSuccess)
        (void)cudaGetLastError();
}
