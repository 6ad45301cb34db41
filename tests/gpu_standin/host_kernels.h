/*
 * host_kernels.h - compiles .cu files for the host: with HMT_HOST_KERNELS defined, a C++17 compiler
 * and the stand-ins, a kernel is an ordinary function and HMT_LAUNCH queues loops over its grid and
 * blocks. Threads run one after the other, so kernels may not wait for each other; shared memory,
 * warps and atomics are not there. HMT_ALIGNED(address, bytes) ends the process where a GPU would
 * refuse a vector access; a CPU forgives it.
 */
#ifndef GPU_STANDIN_HOST_KERNELS_H
#define GPU_STANDIN_HOST_KERNELS_H

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <tuple>
#include <type_traits>
#include <utility>

#include <cuda_runtime.h>

#include <cuda_bf16.h>

#include "standin.h"

/* NVIDIA's headers only declare these. Each .cu file has its own; one kernel runs at a time. */
static dim3 standin_grid, standin_block;
static uint3 standin_block_index, standin_thread_index;
static const char *standin_kernel;
#define gridDim standin_grid
#define blockDim standin_block
#define blockIdx standin_block_index
#define threadIdx standin_thread_index

#undef __global__
#undef __device__
#undef __host__
#undef __constant__
#define __global__
#define __device__
#define __host__
#define __constant__
#undef __launch_bounds__
#define __launch_bounds__(...)

template <class Type> static inline Type __ldg(const Type *address)
{
    return *address;
}

static inline void standin_aligned(const void *address, std::size_t bytes)
{
    if (reinterpret_cast<std::uintptr_t>(address) % bytes == 0)
        return;
    std::fprintf(stderr, "standin: kernel %s: %p is read or written %zu bytes at a time\n",
                 standin_kernel, address, bytes);
    std::abort();
}
#define HMT_ALIGNED(address, bytes) standin_aligned(address, bytes)

/* What is queued: the kernel, its grid, its arguments by value. */
template <class... Parameters> struct standin_kernel_call {
    void (*kernel)(Parameters...);
    const char *name;
    dim3 grid, block;
    std::tuple<std::decay_t<Parameters>...> parameters;
};

template <class... Parameters> static standin_progress standin_run_kernel(void *args)
{
    auto *call = static_cast<standin_kernel_call<Parameters...> *>(args);

    standin_grid = call->grid;
    standin_block = call->block;
    standin_kernel = call->name;
    for (std::size_t block = 0; block < std::size_t(call->grid.x) * call->grid.y * call->grid.z;
         block++) {
        standin_block_index.x = unsigned(block % call->grid.x);
        standin_block_index.y = unsigned(block / call->grid.x % call->grid.y);
        standin_block_index.z = unsigned(block / call->grid.x / call->grid.y);
        for (unsigned z = 0; z < call->block.z; z++)
            for (unsigned y = 0; y < call->block.y; y++)
                for (unsigned x = 0; x < call->block.x; x++) {
                    standin_thread_index.x = x;
                    standin_thread_index.y = y;
                    standin_thread_index.z = z;
                    std::apply(call->kernel, call->parameters);
                }
    }
    return STANDIN_DONE;
}

template <class... Parameters, class... Arguments>
static inline void standin_launch_kernel(const char *name, void (*kernel)(Parameters...), dim3 grid,
                                         dim3 block, cudaStream_t stream, Arguments &&...arguments)
{
    static_assert((std::is_trivially_copyable_v<std::decay_t<Parameters>> && ...),
                  "kernel arguments are copied as bytes");
    static_assert(!(std::is_reference_v<Parameters> || ...), "kernel arguments are values");
    standin_kernel_call<Parameters...> call{
        kernel, name, grid, block, {Parameters(std::forward<Arguments>(arguments))...}};
    standin_work work{};

    work.name = name;
    work.run = standin_run_kernel<Parameters...>;
    work.args = &call;
    work.bytes = sizeof call;
    standin_launch(grid, block, stream, &work);
}

#define HMT_LAUNCH(kernel, grid, block, stream, ...)                                               \
    standin_launch_kernel(#kernel, kernel, grid, block, stream, __VA_ARGS__)

#endif
