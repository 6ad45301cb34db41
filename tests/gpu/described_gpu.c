/* Loading the library, the description as cuDNN reads it, and the calls that go through here. */
#include "described_gpu.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

enum { OLDEST = 90800 };

/* The functions of cuDNN that the sources under test call. */
static struct {
    size_t (*version)(void);
    cudnnStatus_t (*create)(cudnnBackendDescriptorType_t, cudnnBackendDescriptor_t *);
    cudnnStatus_t (*destroy)(cudnnBackendDescriptor_t);
    cudnnStatus_t (*set)(cudnnBackendDescriptor_t, cudnnBackendAttributeName_t,
                         cudnnBackendAttributeType_t, int64_t, const void *);
    cudnnStatus_t (*get)(cudnnBackendDescriptor_t, cudnnBackendAttributeName_t,
                         cudnnBackendAttributeType_t, int64_t, int64_t *, void *);
    cudnnStatus_t (*finalize)(cudnnBackendDescriptor_t);
    const char *(*name)(cudnnStatus_t);
    void (*last)(char *, size_t);
} real;

static cudnnBackendDescriptor_t described;

/* ---------------------------------------------------------------------------- the library ------
 */

static bool find(void *library, const char *name, void *function)
{
    void *found = dlsym(library, name);

    *(void **)function = found;
    return found != NULL;
}

/* Where there is no driver cuDNN 9.19 loads the compiler beside it for each plan, 100 MB, and lets
 * it go again. One that is held needs not be mapped anew: 4 times as fast, with the same plans. */
static void hold_compiler(const char *library)
{
    const char *end = strrchr(library, '/');
    char path[4096];
    const int length = snprintf(path, sizeof path, "%.*slibnvrtc.so",
                                end != NULL ? (int)(end - library) + 1 : 0, library);

    if (length > 0 && (size_t)length < sizeof path)
        (void)dlopen(path, RTLD_LAZY | RTLD_LOCAL);
}

bool described_open(const char *library, char *why, size_t size)
{
    void *opened = dlopen(library, RTLD_NOW | RTLD_LOCAL);

    if (opened == NULL) {
        snprintf(why, size, "cuDNN cannot be loaded: %s", dlerror());
        return false;
    }
    if (!find(opened, "cudnnGetVersion", &real.version) || real.version() < OLDEST) {
        snprintf(why, size, "%s is cuDNN %zu; GPUs can be described from 9.8 on", library,
                 real.version != NULL ? real.version() : 0);
        return false;
    }
    if (!find(opened, "cudnnBackendCreateDescriptor", &real.create) ||
        !find(opened, "cudnnBackendDestroyDescriptor", &real.destroy) ||
        !find(opened, "cudnnBackendSetAttribute", &real.set) ||
        !find(opened, "cudnnBackendGetAttribute", &real.get) ||
        !find(opened, "cudnnBackendFinalize", &real.finalize) ||
        !find(opened, "cudnnGetErrorString", &real.name) ||
        !find(opened, "cudnnGetLastErrorString", &real.last)) {
        snprintf(why, size, "%s lacks a function: %s", library, dlerror());
        return false;
    }
    hold_compiler(library);
    return true;
}

size_t described_version(void)
{
    return real.version();
}

/* ---------------------------------------------------------------------------- the description --
 */

/* The names that cuDNN looks for: without one of them it takes no description. */
static int write_json(const gpu_description *gpu, char *text, size_t size)
{
    return snprintf(
        text, size,
        "{\"cudaDeviceId\":0,\"pciDeviceId\":0,\"isTccDriver\":0,\"supportCoopLaunch\":1,"
        "\"driverVer\":13000,\"warpSize\":32,\"maxThreadsPerBlock\":1024,"
        "\"maxBlockSize\":[1024,1024,64],\"maxGridSize\":[2147483647,65535,65535],"
        "\"regsPerBlock\":65536,\"maxRegistersPerSM\":65536,\"maxSharedMemoryPerBlock\":49152,"
        "\"deviceName\":\"%s\",\"deviceVer\":%d,"
        "\"multiProcessorCount\":%d,\"smClockRateKHz\":%d,\"memClockRateKHz\":%d,"
        "\"l2CacheSize\":%d,\"maxSharedMemoryPerBlockOptin\":%d,\"reservedSharedMemoryPerBlock\":%"
        "d,"
        "\"maxThreadsPerSM\":%d,\"maxCtasPerSM\":%d,\"totalGlobalMem\":%lld}",
        gpu->name, gpu->capability * 10, gpu->multiprocessors, gpu->clock, gpu->memory_clock,
        gpu->cache, gpu->shared, gpu->shared_by_system, gpu->threads, gpu->blocks, gpu->memory);
}

cudnnStatus_t described_use(const gpu_description *gpu)
{
    char text[1024];
    const int length = write_json(gpu, text, sizeof text);
    cudnnStatus_t status;

    if (length < 0 || (size_t)length >= sizeof text)
        return CUDNN_STATUS_BAD_PARAM;
    described_close();
    status = real.create(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &described);
    if (status == CUDNN_STATUS_SUCCESS)
        status = real.set(described, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                          length, text);
    return status == CUDNN_STATUS_SUCCESS ? real.finalize(described) : status;
}

void described_close(void)
{
    if (described != NULL)
        (void)real.destroy(described);
    described = NULL;
}

/* ---------------------------------------------------------------------------- the calls --------
 */

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type,
                                           cudnnBackendDescriptor_t *descriptor)
{
    return real.create(type, descriptor);
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor)
{
    return real.destroy(descriptor);
}

/* A graph needs no handle; heuristics and plans take the description where they would find one. */
cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count,
                                       const void *values)
{
    const cudnnBackendAttributeType_t is_descriptor = CUDNN_TYPE_BACKEND_DESCRIPTOR;
    cudnnStatus_t status;

    if (name == CUDNN_ATTR_OPERATIONGRAPH_HANDLE)
        return CUDNN_STATUS_SUCCESS;
    if (name == CUDNN_ATTR_EXECUTION_PLAN_HANDLE)
        return real.set(descriptor, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, is_descriptor, 1,
                        &described);
    status = real.set(descriptor, name, type, count, values);
    if (status == CUDNN_STATUS_SUCCESS && name == CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH)
        status =
            real.set(descriptor, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, is_descriptor, 1, &described);
    return status;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const descriptor,
                                       cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t asked,
                                       int64_t *count, void *values)
{
    return real.get(descriptor, name, type, asked, count, values);
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor)
{
    return real.finalize(descriptor);
}

const char *cudnnGetErrorString(cudnnStatus_t status)
{
    return real.name(status);
}

void cudnnGetLastErrorString(char *message, size_t size)
{
    real.last(message, size);
}

/* In place of status.c, which asks CUDA's runtime too. */
hmt_status status_cudnn(const device *d, const char *where, const char *call, cudnnStatus_t status)
{
    char text[256] = "";

    if (status == CUDNN_STATUS_SUCCESS)
        return HMT_OK;
    real.last(text, sizeof text);
    return d->host->fail(HMT_ERROR_BACKEND, "%s: %s: %s (%.255s)", where, call, real.name(status),
                         text);
}
