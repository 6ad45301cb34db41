// Steps that treat every element by itself, or only move channels. y may be the first input: each
// thread reads its elements before it writes them.
#include "launch.h"

#include "element.h"
#include "objective/dropout.h"

template <typename T, int W> __global__ void relu(const T *x, T *y, uint32_t packs)
{
    const uint32_t i = thread_index();
    float v[W];

    if (i >= packs)
        return;
    load<T, W>(x, i, v);
    for (int k = 0; k < W; ++k)
        v[k] = rectify(v[k]);
    store<T, W>(y, i, v);
}

void kernel_relu(map x, map y, int64_t count, cudaStream_t stream)
{
    const uint32_t all = static_cast<uint32_t>(count);

    WITH_TYPE(y.type, WITH_WIDTH(in_fours(all, at<T>(x), at<T>(y)),
                                 HMT_LAUNCH((relu<T, W>), grid_for(all / W), THREADS, stream,
                                            at<T>(x), at<T>(y), all / W)));
}

template <typename T, int W>
__global__ void relu_backward(const T *dy, const T *y, T *dx, uint32_t packs)
{
    const uint32_t i = thread_index();
    float g[W], v[W];

    if (i >= packs)
        return;
    load<T, W>(dy, i, g);
    load<T, W>(y, i, v);
    for (int k = 0; k < W; ++k)
        g[k] = v[k] > 0.0f ? g[k] : 0.0f;
    store<T, W>(dx, i, g);
}

void kernel_relu_backward(map dy, map y, map dx, int64_t count, cudaStream_t stream)
{
    const uint32_t all = static_cast<uint32_t>(count);

    WITH_TYPE(dx.type, WITH_WIDTH(in_fours(all, at<T>(dy), at<T>(y), at<T>(dx)),
                                  HMT_LAUNCH((relu_backward<T, W>), grid_for(all / W), THREADS,
                                             stream, at<T>(dy), at<T>(y), at<T>(dx), all / W)));
}

struct addends {
    const void *x[HMT_STEP_INPUTS];
    float scale[HMT_STEP_INPUTS];
    int32_t count;
    int32_t relu;
};

template <typename T> static bool addends_in_fours(const addends &a, uint64_t count)
{
    bool all = true;

    for (int32_t i = 0; i < a.count; ++i)
        all = all && in_fours(count, static_cast<const T *>(a.x[i]));
    return all;
}

template <typename T, int W> __global__ void sum(addends a, T *y, uint32_t packs)
{
    const uint32_t i = thread_index();
    float all[W] = {}, v[W];

    if (i >= packs)
        return;
#pragma unroll
    for (int32_t n = 0; n < HMT_STEP_INPUTS; ++n) {
        if (n >= a.count)
            break;
        load<T, W>(static_cast<const T *>(a.x[n]), i, v);
        for (int k = 0; k < W; ++k)
            all[k] += a.scale[n] * v[k];
    }
    for (int k = 0; k < W; ++k)
        all[k] = a.relu ? rectify(all[k]) : all[k];
    store<T, W>(y, i, all);
}

void kernel_sum(const void *const *x, const float *scale, int32_t inputs, map y, int64_t count,
                int32_t relu, cudaStream_t stream)
{
    const uint32_t all = static_cast<uint32_t>(count);
    addends a = {};

    for (int32_t i = 0; i < inputs; ++i) {
        a.x[i] = x[i];
        a.scale[i] = scale[i];
    }
    a.count = inputs;
    a.relu = relu;
    WITH_TYPE(y.type, WITH_WIDTH(in_fours(all, at<T>(y)) && addends_in_fours<T>(a, all),
                                 HMT_LAUNCH((sum<T, W>), grid_for(all / W), THREADS, stream, a,
                                            at<T>(y), all / W)));
}

template <typename T, int W>
__global__ void add_bias(T *y, uint32_t packs, int32_t channels, const float *bias, int32_t relu)
{
    const uint32_t i = thread_index();
    float v[W], b[W] = {};

    if (i >= packs)
        return;
    load<T, W>(y, i, v);
    if (bias)
        load<float, W>(bias, i % (channels / W), b);
    for (int k = 0; k < W; ++k) {
        v[k] += b[k];
        v[k] = relu ? rectify(v[k]) : v[k];
    }
    store<T, W>(y, i, v);
}

void kernel_bias(map y, int64_t rows, int32_t channels, const float *bias, int32_t relu,
                 cudaStream_t stream)
{
    const uint32_t count = static_cast<uint32_t>(rows * channels);

    WITH_TYPE(y.type, WITH_WIDTH(in_fours(channels, at<T>(y), bias),
                                 HMT_LAUNCH((add_bias<T, W>), grid_for(count / W), THREADS, stream,
                                            at<T>(y), count / W, channels, bias, relu)));
}

template <typename T>
__global__ void move_channels(const T *from, int32_t from_channels, T *to, int32_t to_channels,
                              int32_t channels, uint32_t count)
{
    const uint32_t i = thread_index();

    if (i < count)
        to[i / channels * to_channels + i % channels] =
            from[i / channels * from_channels + i % channels];
}

void kernel_channels(map from, int32_t from_channels, int32_t from_first, map to,
                     int32_t to_channels, int32_t to_first, int32_t channels, int64_t rows,
                     cudaStream_t stream)
{
    const uint32_t count = static_cast<uint32_t>(rows * channels);

    WITH_TYPE(to.type, HMT_LAUNCH(move_channels<T>, grid_for(count), THREADS, stream,
                                  at<T>(from) + from_first, from_channels, at<T>(to) + to_first,
                                  to_channels, channels, count));
}

template <typename T>
__global__ void dropout(const run_block *run, const T *x, T *y, extent e, int32_t salt, float drop,
                        uint32_t count)
{
    const uint32_t i = thread_index();

    if (i >= count)
        return;
    // The mask is defined on the N,C,H,W order.
    const uint32_t c = i % e.c, w = i / e.c % e.w, h = i / e.c / e.w % e.h, n = i / e.c / e.w / e.h;
    const int64_t index = ((static_cast<int64_t>(n) * e.c + c) * e.h + h) * e.w + w;

    element_set(&y[i], element_value(x[i]) * dropout_factor(run->seed, salt, index, drop));
}

void kernel_dropout(const run_block *run, map x, map y, extent e, int32_t salt, float drop,
                    cudaStream_t stream)
{
    const uint32_t count = static_cast<uint32_t>(e.n) * e.c * e.h * e.w;

    WITH_TYPE(y.type, HMT_LAUNCH(dropout<T>, grid_for(count), THREADS, stream, run, at<T>(x),
                                 at<T>(y), e, salt, drop, count));
}
