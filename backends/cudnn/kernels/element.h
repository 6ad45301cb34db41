/*
 * Loads and stores of elements, one or four at a time, as float whatever they are stored as; and
 * how a launcher picks the template for a map's type. For .cu files only, after launch.h.
 */
#ifndef HMT_CUDNN_ELEMENT_H
#define HMT_CUDNN_ELEMENT_H

#include <stdint.h>

#include "kernels.h"

enum { THREADS = 256 };

template <typename T, int W> struct alignas(sizeof(T) * W) pack {
    T at[W];
};

__device__ __forceinline__ float element_value(float v)
{
    return v;
}
__device__ __forceinline__ float element_value(__nv_bfloat16 v)
{
    return __bfloat162float(v);
}
__device__ __forceinline__ void element_set(float *to, float v)
{
    *to = v;
}
__device__ __forceinline__ void element_set(__nv_bfloat16 *to, float v)
{
    *to = __float2bfloat16(v);
}

/* Elements i*W to i*W + W - 1. The address must be a multiple of a pack's size. */
template <typename T, int W>
__device__ __forceinline__ void load(const T *from, uint32_t i, float (&v)[W])
{
    HMT_ALIGNED(from, sizeof(pack<T, W>));
    const pack<T, W> p = reinterpret_cast<const pack<T, W> *>(from)[i];

    for (int k = 0; k < W; ++k)
        v[k] = element_value(p.at[k]);
}
template <typename T, int W>
__device__ __forceinline__ void store(T *to, uint32_t i, const float (&v)[W])
{
    pack<T, W> p;

    for (int k = 0; k < W; ++k)
        element_set(&p.at[k], v[k]);
    HMT_ALIGNED(to, sizeof(pack<T, W>));
    reinterpret_cast<pack<T, W> *>(to)[i] = p;
}

/* max(0, v) that keeps NaN, so that a loss shows it. */
__device__ __forceinline__ float rectify(float v)
{
    return v < 0.0f ? 0.0f : v;
}

__device__ __forceinline__ uint32_t thread_index()
{
    return blockIdx.x * blockDim.x + threadIdx.x;
}

static inline dim3 grid_for(uint64_t threads)
{
    return dim3(static_cast<unsigned>((threads + THREADS - 1) / THREADS), 1, 1);
}

/* Whether arrays divide into packs of four: by their length, and by where each of them begins.
 * Arrays that are not there (NULL) do. */
template <typename... T> static inline bool in_fours(uint64_t length, const T *...arrays)
{
    return length % 4 == 0 &&
           ((reinterpret_cast<uintptr_t>(arrays) % sizeof(pack<T, 4>) == 0) && ...);
}

/* Runs a statement with T the element type; with W 4 for packs of four, 1 otherwise. */
#define WITH_TYPE(type, ...)                                                                       \
    do {                                                                                           \
        if ((type) == STORAGE_BFLOAT16) {                                                          \
            typedef __nv_bfloat16 T;                                                               \
            __VA_ARGS__;                                                                           \
        } else {                                                                                   \
            typedef float T;                                                                       \
            __VA_ARGS__;                                                                           \
        }                                                                                          \
    } while (0)
#define WITH_WIDTH(fours, ...)                                                                     \
    do {                                                                                           \
        if (fours) {                                                                               \
            const int W = 4;                                                                       \
            __VA_ARGS__;                                                                           \
        } else {                                                                                   \
            const int W = 1;                                                                       \
            __VA_ARGS__;                                                                           \
        }                                                                                          \
    } while (0)

template <typename T> static inline T *at(map m)
{
    return static_cast<T *>(m.at);
}

#endif
