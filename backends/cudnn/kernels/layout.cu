// Elements from one order and type to another: dense N,C,H,W at the border, (N,H,W,C) inside.
// Images come in through here, weights and outputs go through here both ways.
#include "launch.h"

#include "element.h"

// Position in memory of element `i` in N,C,H,W order of a sample with extent e.
__device__ __forceinline__ uint32_t place_of(uint32_t i, extent e)
{
    const uint32_t w = i % e.w, h = i / e.w % e.h, c = i / e.w / e.h;

    return (h * e.w + w) * e.c + c;
}

// The other way: position in memory to N,C,H,W order.
__device__ __forceinline__ uint32_t rank_of(uint32_t i, extent e)
{
    const uint32_t c = i % e.c, w = i / e.c % e.w, h = i / e.c / e.w;

    return (c * e.h + h) * e.w + w;
}

template <typename A, typename B>
__global__ void reorder(const A *from, extent a, B *to, extent b, uint32_t count)
{
    const uint32_t i = thread_index(), sample = static_cast<uint32_t>(b.c) * b.h * b.w;

    if (i < count) {
        const uint32_t n = i / sample, rank = rank_of(i % sample, b);

        element_set(&to[i], element_value(from[n * sample + place_of(rank, a)]));
    }
}

template <typename A, typename B, int W>
__global__ void convert(const A *from, B *to, uint32_t packs)
{
    const uint32_t i = thread_index();
    float v[W];

    if (i < packs) {
        load<A, W>(from, i, v);
        store<B, W>(to, i, v);
    }
}

template <typename A, typename B>
static void reorder_typed(map from, extent a, map to, extent b, cudaStream_t stream)
{
    const uint32_t count = static_cast<uint32_t>(b.n) * b.c * b.h * b.w;
    const bool same = a.c == b.c && a.h == b.h && a.w == b.w;

    if (!same)
        HMT_LAUNCH((reorder<A, B>), grid_for(count), THREADS, stream, at<A>(from), a, at<B>(to), b,
                   count);
    else
        WITH_WIDTH(in_fours(count, at<A>(from), at<B>(to)),
                   HMT_LAUNCH((convert<A, B, W>), grid_for(count / W), THREADS, stream, at<A>(from),
                              at<B>(to), count / W));
}

void kernel_reorder(map from, extent a, map to, extent b, cudaStream_t stream)
{
    if (from.type == STORAGE_BFLOAT16)
        WITH_TYPE(to.type, reorder_typed<__nv_bfloat16, T>(from, a, to, b, stream));
    else
        WITH_TYPE(to.type, reorder_typed<float, T>(from, a, to, b, stream));
}

template <typename T> __global__ void images(const run_block *run, T *to, extent e, uint32_t count)
{
    const uint32_t i = thread_index(), sample = static_cast<uint32_t>(e.c) * e.h * e.w;

    if (i >= count)
        return;
    if (run->levels) {
        const uint32_t c = i % 3;
        const float level = static_cast<const uint8_t *>(run->images)[i];

        element_set(&to[i], level * run->pixel_scale[c] + run->pixel_shift[c]);
    } else {
        const float *values = static_cast<const float *>(run->images);

        element_set(&to[i], values[i / sample * sample + rank_of(i % sample, e)]);
    }
}

void kernel_images(const run_block *run, map to, extent e, cudaStream_t stream)
{
    const uint32_t count = static_cast<uint32_t>(e.n) * e.c * e.h * e.w;

    WITH_TYPE(to.type,
              HMT_LAUNCH(images<T>, grid_for(count), THREADS, stream, run, at<T>(to), e, count));
}
