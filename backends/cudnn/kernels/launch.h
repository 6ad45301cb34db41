/*
 * How a kernel is started, and nothing else: included first in every .cu file, so that the same
 * file compiles for the device (nvcc) and, in the tests, for the host, where a launch is a loop.
 */
#ifndef HMT_CUDNN_LAUNCH_H
#define HMT_CUDNN_LAUNCH_H

#ifdef HMT_HOST_KERNELS
#include "host_kernels.h"
#else
#include <cuda_bf16.h>
#include <cuda_runtime.h>
/* Here the hardware checks; the host must be told to. */
#define HMT_ALIGNED(address, bytes) static_cast<void>(0)
#define HMT_LAUNCH(kernel, grid, block, stream, ...)                                               \
    kernel<<<(grid), (block), 0, (stream)>>>(__VA_ARGS__)
#endif

#endif
