/*
 * Statuses of CUDA, cuDNN and cuBLAS as hmt_status, with the call's name and the library's own
 * words. Out of memory is a status of its own. A GPU that is lost stays lost for this process; the
 * process and the host's other backends go on.
 */
#include <string.h>

#include "device.h"

static hmt_status failed(const device *d, hmt_status code, const char *where, const char *call,
                         const char *name, const char *text)
{
    return d->host->fail(code, "%s%s%s: %s (%s)", where != NULL ? where : "",
                         where != NULL ? ": " : "", call, name, text);
}

hmt_status status_cuda(const device *d, const char *where, const char *call, cudaError_t error)
{
    if (error == cudaSuccess)
        return HMT_OK;
    (void)cudaGetLastError(); /* so that a later launch does not see it again */
    return failed(d, error == cudaErrorMemoryAllocation ? HMT_ERROR_MEMORY : HMT_ERROR_BACKEND,
                  where, call, cudaGetErrorName(error), cudaGetErrorString(error));
}

hmt_status status_launch(const device *d, const char *where)
{
    return status_cuda(d, where, "a kernel's launch", cudaGetLastError());
}

hmt_status status_cudnn(const device *d, const char *where, const char *call, cudnnStatus_t status)
{
    char text[256] = "";
    hmt_status code = HMT_ERROR_BACKEND;

    if (status == CUDNN_STATUS_SUCCESS)
        return HMT_OK;
    if (status == CUDNN_STATUS_ALLOC_FAILED ||
        status == CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED ||
        status == CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED)
        code = HMT_ERROR_MEMORY;
    cudnnGetLastErrorString(text, sizeof text);
    text[sizeof text - 1] = '\0';
    text[strcspn(text, "\r\n")] = '\0';
    (void)cudaGetLastError();
    return failed(d, code, where, call, cudnnGetErrorString(status),
                  text[0] != '\0' ? text : "no further text");
}

hmt_status status_cublas(const device *d, const char *where, const char *call,
                         cublasStatus_t status)
{
    if (status == CUBLAS_STATUS_SUCCESS)
        return HMT_OK;
    (void)cudaGetLastError();
    return failed(d, status == CUBLAS_STATUS_ALLOC_FAILED ? HMT_ERROR_MEMORY : HMT_ERROR_BACKEND,
                  where, call, cublasLtGetStatusString(status), "cuBLASLt");
}
