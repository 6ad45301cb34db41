/*
 * devices.c - the runtime's calls for devices, memory and copies.
 */
#include <stdio.h>
#include <string.h>

#include "runtime.h"

static _Thread_local int current;

int standin_device_count(void)
{
    return settings.devices > 0 ? settings.devices : 0;
}

int standin_current_device(void)
{
    return current;
}

int standin_capability(void)
{
    return settings.capability;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    cudaError_t error = call_begin("cudaGetDeviceCount");
    if (error == cudaErrorECCUncorrectable) /* counting needs no device */
        error = cudaSuccess;
    if (count != NULL)
        *count = error == cudaSuccess ? standin_device_count() : 0;
    else
        error = cudaErrorInvalidValue;
    return call_end(error);
}

/* A lost current device must not keep the thread from going to another. */
cudaError_t cudaSetDevice(int device)
{
    cudaError_t error = call_begin("cudaSetDevice");
    if (error == cudaErrorECCUncorrectable)
        error = cudaSuccess;
    if (error == cudaSuccess && (device < 0 || device >= standin_device_count()))
        error = cudaErrorInvalidDevice;
    if (error == cudaSuccess)
        error = device_error(device);
    if (error == cudaSuccess)
        current = device;
    return call_end(error);
}

cudaError_t cudaGetDevice(int *device)
{
    cudaError_t error = call_begin("cudaGetDevice");
    if (error == cudaErrorECCUncorrectable)
        error = cudaSuccess;
    if (error == cudaSuccess && device != NULL)
        *device = current;
    return call_end(error);
}

static cudaError_t attribute(int *value, enum cudaDeviceAttr name, int device)
{
    if (value == NULL)
        return cudaErrorInvalidValue;
    if (device < 0 || device >= standin_device_count())
        return cudaErrorInvalidDevice;
    switch (name) {
    case cudaDevAttrComputeCapabilityMajor:
        *value = settings.capability / 10;
        return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
        *value = settings.capability % 10;
        return cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
        *value = 4;
        return cudaSuccess;
    case cudaDevAttrMaxThreadsPerBlock:
        *value = 1024;
        return cudaSuccess;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
        *value = 2048;
        return cudaSuccess;
    case cudaDevAttrWarpSize:
        *value = 32;
        return cudaSuccess;
    case cudaDevAttrClockRate:
        *value = 1000000;
        return cudaSuccess;
    case cudaDevAttrAsyncEngineCount:
        *value = 2;
        return cudaSuccess;
    case cudaDevAttrMemoryPoolsSupported:
    case cudaDevAttrIntegrated:
        *value = 0;
        return cudaSuccess;
    default:
        standin_complain("the stand-in knows no device attribute %d", (int)name);
        return cudaErrorInvalidValue;
    }
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr name, int device)
{
    cudaError_t error = call_begin("cudaDeviceGetAttribute");
    return call_end(error == cudaSuccess ? attribute(value, name, device) : error);
}

/* CUDA 12's header renames the call with a macro, and so does this file's compilation. */
cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device)
{
    cudaError_t error = call_begin("cudaGetDeviceProperties");
    if (error == cudaSuccess && (device < 0 || device >= standin_device_count()))
        error = cudaErrorInvalidDevice;
    if (error == cudaSuccess && properties == NULL)
        error = cudaErrorInvalidValue;
    if (error == cudaSuccess) {
        memset(properties, 0, sizeof *properties);
        snprintf(properties->name, sizeof properties->name, "Stand-in %d", device);
        properties->totalGlobalMem = settings.memory;
        properties->major = settings.capability / 10;
        properties->minor = settings.capability % 10;
        properties->multiProcessorCount = 4;
        properties->maxThreadsPerBlock = 1024;
        properties->warpSize = 32;
    }
    return call_end(error);
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total)
{
    cudaError_t error = call_begin("cudaMemGetInfo");
    if (error == cudaSuccess && (free_bytes == NULL || total == NULL))
        error = cudaErrorInvalidValue;
    if (error == cudaSuccess) {
        *free_bytes = memory_free_bytes(current);
        *total = settings.memory;
    }
    return call_end(error);
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = settings.devices < 0 ? 0 : CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **address, size_t bytes)
{
    cudaError_t error = call_begin("cudaMalloc");
    if (error == cudaSuccess)
        error = standin_unsafe_in_capture();
    if (error == cudaSuccess && address == NULL)
        error = cudaErrorInvalidValue;
    return call_end(error == cudaSuccess ? memory_allocate(current, bytes, address) : error);
}

/* Waits for the device, like the real one. A planned fault and a lost device free all the same. */
cudaError_t cudaFree(void *address)
{
    cudaError_t planned = call_begin("cudaFree"), error = standin_unsafe_in_capture();
    int device = standin_memory_device(address);

    if (error == cudaSuccess && address != NULL) {
        if (device >= 0 && device != current)
            standin_complain("frees memory of device %d while device %d is current", device,
                             current);
        error = device >= 0 ? device_drain(device) : cudaSuccess;
        if (error == cudaSuccess)
            error = memory_free(address, &device);
        if (error == cudaErrorInvalidValue)
            standin_complain("%p was not allocated, or was freed before", address);
    }
    return call_end(planned != cudaSuccess ? planned : error);
}

cudaError_t cudaMallocHost(void **address, size_t bytes)
{
    cudaError_t error = call_begin("cudaMallocHost");
    if (error == cudaSuccess)
        error = standin_unsafe_in_capture();
    if (error == cudaSuccess && address == NULL)
        error = cudaErrorInvalidValue;
    return call_end(error == cudaSuccess ? pinned_allocate(bytes, address) : error);
}

cudaError_t cudaFreeHost(void *address)
{
    cudaError_t planned = call_begin("cudaFreeHost"), error = standin_unsafe_in_capture();

    for (int device = 0; device < standin_device_count() && error == cudaSuccess && address != NULL;
         device++)
        error = device_drain(device);
    if (error == cudaSuccess && address != NULL) {
        error = pinned_free(address);
        if (error != cudaSuccess)
            standin_complain("%p was not allocated by cudaMallocHost, or was freed before",
                             address);
    }
    return call_end(planned != cudaSuccess ? planned : error);
}
