/*
 * launch.c - how kernels get into a stream: host_kernels.h makes the loop over the grid, this
 * checks the launch as the runtime would.
 */
#include "runtime.h"

static int configuration_valid(dim3 grid, dim3 block)
{
    unsigned long long threads = (unsigned long long)block.x * block.y * block.z;
    return grid.x > 0 && grid.y > 0 && grid.z > 0 && grid.x <= 0x7FFFFFFFu && grid.y <= 65535 &&
           grid.z <= 65535 && threads > 0 && threads <= 1024 && block.z <= 64;
}

static cudaError_t launch(dim3 grid, dim3 block, cudaStream_t stream, const standin_work *work)
{
    int device = standin_stream_device(stream);

    if (device < 0)
        return cudaErrorInvalidResourceHandle;
    if (device != standin_current_device()) {
        standin_complain("%s: the stream is of device %d, device %d is current", work->name, device,
                         standin_current_device());
        return cudaErrorInvalidResourceHandle;
    }
    if (!configuration_valid(grid, block)) {
        standin_complain("%s: grid (%u,%u,%u), block (%u,%u,%u)", work->name, grid.x, grid.y,
                         grid.z, block.x, block.y, block.z);
        return cudaErrorInvalidConfiguration;
    }
    return standin_queue(stream, work);
}

void standin_launch(dim3 grid, dim3 block, cudaStream_t stream, const standin_work *work)
{
    cudaError_t error = call_begin("kernel launch");
    call_end(error == cudaSuccess ? launch(grid, block, stream, work) : error);
}
