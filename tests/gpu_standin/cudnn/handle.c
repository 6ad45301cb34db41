/*
 * handle.c - cuDNN's handle, version and errors. A handle belongs to the device that was current
 * when it was made.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calls.h"
#include "descriptor.h"

static _Thread_local char last_message[512];

cudnnStatus_t dnn_begin(const char *name)
{
    switch (standin_enter(name)) {
    case STANDIN_FAIL:
        return strstr(name, "Create") != NULL ? CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED
               : strstr(name, "Execute") != NULL ? CUDNN_STATUS_EXECUTION_FAILED
                                                 : CUDNN_STATUS_INTERNAL_ERROR;
    case STANDIN_LOST:
        return CUDNN_STATUS_EXECUTION_FAILED_CUDART;
    default:
        return standin_device_count() > 0 ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_INITIALIZED;
    }
}

cudnnStatus_t dnn_end(cudnnStatus_t status)
{
    if (status != CUDNN_STATUS_SUCCESS)
        snprintf(last_message, sizeof last_message, "%s: %s", standin_call_name(),
                 cudnnGetErrorString(status));
    standin_leave();
    return status;
}

size_t cudnnGetVersion(void)
{
    return CUDNN_VERSION;
}

const char *cudnnGetErrorString(cudnnStatus_t status)
{
    switch (CUDNN_STATUS_CATEGORY(status)) {
    case CUDNN_STATUS_SUCCESS:
        return status == CUDNN_STATUS_SUCCESS ? "no error" : "not initialised";
    case 1000:
        return "not initialised";
    case CUDNN_STATUS_BAD_PARAM:
        return "bad parameter";
    case CUDNN_STATUS_NOT_SUPPORTED:
        return "not supported";
    case CUDNN_STATUS_INTERNAL_ERROR:
        return "internal error";
    case CUDNN_STATUS_EXECUTION_FAILED:
        return "execution failed";
    default:
        return "unknown status";
    }
}

/* Gives the last error of the thread once. */
void cudnnGetLastErrorString(char *message, size_t size)
{
    if (message == NULL || size == 0)
        return;
    snprintf(message, size, "%s", last_message);
    last_message[0] = '\0';
}

static cudnnStatus_t create(cudnnHandle_t *out)
{
    cudnnHandle_t handle;
    if (out == NULL)
        return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
    if (standin_unsafe_in_capture() != cudaSuccess)
        return CUDNN_STATUS_INTERNAL_ERROR;
    handle = calloc(1, sizeof *handle);
    if (handle == NULL)
        return CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED;
    handle->device = standin_current_device();
    standin_born(STANDIN_CUDNN_HANDLE, handle, sizeof *handle);
    *out = handle;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnCreate(cudnnHandle_t *handle)
{
    cudnnStatus_t status = dnn_begin("cudnnCreate");
    return dnn_end(status == CUDNN_STATUS_SUCCESS ? create(handle) : status);
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle)
{
    cudnnStatus_t planned = dnn_begin("cudnnDestroy");
    if (!standin_alive(STANDIN_CUDNN_HANDLE, handle)) {
        standin_complain("%p is no handle, or was destroyed", (void *)handle);
        return dnn_end(CUDNN_STATUS_BAD_PARAM);
    }
    standin_died(handle);
    free(handle);
    return dnn_end(planned);
}

static cudnnStatus_t set_stream(cudnnHandle_t handle, cudaStream_t stream)
{
    int device;
    if (!standin_alive(STANDIN_CUDNN_HANDLE, handle))
        return CUDNN_STATUS_BAD_PARAM;
    device = standin_stream_device(stream);
    if (device != handle->device) {
        if (device >= 0)
            standin_complain("the stream is of device %d, the handle of device %d", device,
                             handle->device);
        return CUDNN_STATUS_BAD_PARAM_STREAM_MISMATCH;
    }
    handle->stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream)
{
    cudnnStatus_t status = dnn_begin("cudnnSetStream");
    return dnn_end(status == CUDNN_STATUS_SUCCESS ? set_stream(handle, stream) : status);
}
