/*
 * errors.c - the runtime's last error of each thread, and names and sentences of errors.
 */
#include "runtime.h"

cudaError_t cudaGetLastError(void)
{
    cudaError_t error = device_error(standin_current_device());
    if (error == cudaSuccess) {
        error = last_error;
        last_error = cudaSuccess;
    }
    return error;
}

cudaError_t cudaPeekAtLastError(void)
{
    cudaError_t error = device_error(standin_current_device());
    return error == cudaSuccess ? last_error : error;
}

#define ERRORS(E)                                                                                  \
    E(cudaSuccess, "no error")                                                                     \
    E(cudaErrorInvalidValue, "an argument is not valid")                                           \
    E(cudaErrorMemoryAllocation, "not enough memory")                                              \
    E(cudaErrorInvalidConfiguration, "the grid or block is not valid")                             \
    E(cudaErrorInvalidMemcpyDirection, "the copy's direction is not valid")                        \
    E(cudaErrorInsufficientDriver, "the driver is missing or older than the runtime")              \
    E(cudaErrorNoDevice, "there is no device")                                                     \
    E(cudaErrorInvalidDevice, "there is no such device")                                           \
    E(cudaErrorECCUncorrectable, "the device's memory failed")                                     \
    E(cudaErrorOperatingSystem, "the operating system refused")                                    \
    E(cudaErrorInvalidResourceHandle, "the handle is not valid here")                              \
    E(cudaErrorNotReady, "not finished yet")                                                       \
    E(cudaErrorIllegalAddress, "a kernel touched memory that is not its own")                      \
    E(cudaErrorLaunchOutOfResources, "the launch needs more than the device has")                  \
    E(cudaErrorLaunchTimeout, "the work did not finish in time")                                   \
    E(cudaErrorLaunchFailure, "a kernel failed")                                                   \
    E(cudaErrorNotSupported, "not supported")                                                      \
    E(cudaErrorStreamCaptureUnsupported, "not permitted while a stream captures")                  \
    E(cudaErrorStreamCaptureInvalidated, "the capture was invalidated before")                     \
    E(cudaErrorStreamCaptureMerge, "two captures would be joined")                                 \
    E(cudaErrorStreamCaptureUnmatched, "the capture did not begin in this stream")                 \
    E(cudaErrorStreamCaptureUnjoined, "a stream that the capture forked was not joined")           \
    E(cudaErrorStreamCaptureIsolation, "the capture would depend on work outside of it")           \
    E(cudaErrorStreamCaptureImplicit, "the default stream would be drawn into the capture")        \
    E(cudaErrorCapturedEvent, "the event was recorded in a capture")                               \
    E(cudaErrorStreamCaptureWrongThread, "another thread began the capture")                       \
    E(cudaErrorUnknown, "unknown error")

const char *cudaGetErrorName(cudaError_t error)
{
#define NAME(code, text)                                                                           \
    case code:                                                                                     \
        return #code;
    switch (error) {
        ERRORS(NAME)
    default:
        return "unrecognized error code";
    }
}

const char *cudaGetErrorString(cudaError_t error)
{
#define TEXT(code, text)                                                                           \
    case code:                                                                                     \
        return text;
    switch (error) {
        ERRORS(TEXT)
    default:
        return "unrecognized error code";
    }
}
