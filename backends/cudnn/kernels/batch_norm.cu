// Batch norm and other things that take sums over all rows (N,H,W) of a channel. A sum has two
// passes: each thread adds up every chunks-th row of one channel, then one thread for each channel
// adds up the chunks; both in a fixed order and in double, as in backends/reference. Neighbouring
// threads read neighbouring channels.
#include "launch.h"

#include "element.h"
#include "objective/statistics.h"

enum { MOST_CHUNKS = 512, LEAST_ROWS = 16, ENOUGH_THREADS = 1 << 17 };

static int32_t chunks_of(int64_t rows, int32_t channels)
{
    int64_t chunks = rows / LEAST_ROWS;

    if (chunks > ENOUGH_THREADS / channels)
        chunks = ENOUGH_THREADS / channels;
    if (chunks > MOST_CHUNKS)
        chunks = MOST_CHUNKS;
    return static_cast<int32_t>(chunks < 1 ? 1 : chunks);
}

uint64_t kernel_sums_scratch(int64_t rows, int32_t channels)
{
    return static_cast<uint64_t>(chunks_of(rows, channels)) * channels * 2;
}

// Two sums of one channel.
struct alignas(16) sums {
    double a, b;
};

// Adds up what the chunks of channel c left.
__device__ __forceinline__ sums gather(const sums *part, int32_t c, int32_t channels,
                                       int32_t chunks)
{
    sums all = {0.0, 0.0};

    for (int32_t k = 0; k < chunks; ++k) {
        all.a += part[k * channels + c].a;
        all.b += part[k * channels + c].b;
    }
    return all;
}

// Sums of x and x*x, both less the channel's first value, which keeps the variance exact.
template <typename T>
__global__ void moment_sums(const T *x, uint32_t rows, int32_t channels, int32_t chunks, sums *part)
{
    const uint32_t i = thread_index();

    if (i >= static_cast<uint32_t>(channels) * chunks)
        return;
    const uint32_t step = static_cast<uint32_t>(channels) * chunks;
    const double shift = element_value(x[i % channels]);
    sums all = {0.0, 0.0};

    for (uint32_t row = i / channels, at = i; row < rows; row += chunks, at += step) {
        const double off = element_value(x[at]) - shift;

        all.a += off;
        all.b += off * off;
    }
    part[i] = all;
}

template <typename T>
__global__ void moments(const T *x, const sums *part, uint32_t rows, int32_t channels,
                        int32_t chunks, norm_vectors n, int32_t *bad)
{
    const int32_t c = static_cast<int32_t>(thread_index());

    if (c >= channels)
        return;
    const sums all = gather(part, c, channels, chunks);
    const double off = all.a / rows, mean = element_value(x[c]) + off;
    double variance = all.b / rows - off * off;

    variance = variance < 0.0 ? 0.0 : variance; // keeps NaN
    n.mean[c] = static_cast<float>(mean);
    n.variance[c] = static_cast<float>(variance);
    n.slope[c] = static_cast<float>(
        statistics_slope(n.gamma ? n.gamma[c] : 1.0f, variance, static_cast<double>(n.epsilon)));
    if (!statistics_finite(&n.mean[c], &n.variance[c], 1))
        *bad = 1; // whoever writes writes the same
}

__global__ void slopes(int32_t channels, norm_vectors n)
{
    const int32_t c = static_cast<int32_t>(thread_index());

    if (c < channels)
        n.slope[c] = static_cast<float>(statistics_slope(n.gamma ? n.gamma[c] : 1.0f, n.variance[c],
                                                         static_cast<double>(n.epsilon)));
}

template <typename T, int W>
__global__ void normalise(const T *x, T *y, uint32_t packs, int32_t channels, norm_vectors n)
{
    const uint32_t i = thread_index();

    if (i >= packs)
        return;
    const uint32_t first = i * W % channels;
    float v[W];

    load<T, W>(x, i, v);
    for (int k = 0; k < W; ++k) {
        const uint32_t c = first + k;

        v[k] = (v[k] - n.mean[c]) * n.slope[c] + (n.beta ? n.beta[c] : 0.0f);
        v[k] = n.relu ? rectify(v[k]) : v[k];
    }
    store<T, W>(y, i, v);
}

// Sums of dy and of dy * (x - mean), where the relu behind let something pass.
template <typename T>
__global__ void backward_sums(const T *dy, const T *x, const T *y, uint32_t rows, int32_t channels,
                              int32_t chunks, const float *means, sums *part)
{
    const uint32_t i = thread_index();

    if (i >= static_cast<uint32_t>(channels) * chunks)
        return;
    const uint32_t step = static_cast<uint32_t>(channels) * chunks;
    const float mean = means[i % channels];
    sums all = {0.0, 0.0};

    for (uint32_t row = i / channels, at = i; row < rows; row += chunks, at += step) {
        const float passed = !y || element_value(y[at]) > 0.0f ? element_value(dy[at]) : 0.0f;

        all.a += passed;
        all.b += static_cast<double>(passed) * (element_value(x[at]) - mean);
    }
    part[i] = all;
}

// dgamma, dbeta and, for each channel, what dx is made with: slope, dbeta / M, dgamma / sd / M.
__global__ void backward_factors(const sums *part, uint32_t rows, int32_t channels, int32_t chunks,
                                 norm_vectors n, float *dgamma, float *dbeta, float *factors)
{
    const int32_t c = static_cast<int32_t>(thread_index());

    if (c >= channels)
        return;
    const sums all = gather(part, c, channels, chunks);
    const double inverse = statistics_slope(1.0, n.variance[c], static_cast<double>(n.epsilon));

    if (dgamma)
        dgamma[c] = static_cast<float>(all.b * inverse);
    if (dbeta)
        dbeta[c] = static_cast<float>(all.a);
    factors[c] = static_cast<float>(inverse * (n.gamma ? n.gamma[c] : 1.0f));
    factors[channels + c] = static_cast<float>(all.a / rows);
    factors[2 * channels + c] = static_cast<float>(all.b * inverse * inverse / rows);
}

// dx = slope * (dy - dbeta / M - u * dgamma / M) with u = (x - mean) / sd.
template <typename T, int W>
__global__ void norm_backward(const T *dy, const T *x, const T *y, T *dx, uint32_t packs,
                              int32_t channels, const float *mean, const float *factors)
{
    const uint32_t i = thread_index();

    if (i >= packs)
        return;
    const uint32_t first = i * W % channels;
    float g[W], v[W], passed[W];

    load<T, W>(dy, i, g);
    load<T, W>(x, i, v);
    if (y)
        load<T, W>(y, i, passed);
    for (int k = 0; k < W; ++k) {
        const uint32_t c = first + k;
        const float own = !y || passed[k] > 0.0f ? g[k] : 0.0f;

        g[k] = factors[c] *
               (own - factors[channels + c] - (v[k] - mean[c]) * factors[2 * channels + c]);
    }
    store<T, W>(dx, i, g);
}

template <typename T, int W>
__global__ void scale_channels(const T *dy, T *dx, uint32_t packs, int32_t channels,
                               const float *slope)
{
    const uint32_t i = thread_index();
    float v[W];

    if (i >= packs)
        return;
    load<T, W>(dy, i, v);
    for (int k = 0; k < W; ++k)
        v[k] *= slope[i * W % channels + k];
    store<T, W>(dx, i, v);
}

template <typename T>
__global__ void plain_sums(const T *x, uint32_t rows, int32_t channels, int32_t chunks, sums *part)
{
    const uint32_t i = thread_index();

    if (i >= static_cast<uint32_t>(channels) * chunks)
        return;
    const uint32_t step = static_cast<uint32_t>(channels) * chunks;
    sums all = {0.0, 0.0};

    for (uint32_t row = i / channels, at = i; row < rows; row += chunks, at += step)
        all.a += element_value(x[at]);
    part[i] = all;
}

__global__ void finish_sums(const sums *part, int32_t channels, int32_t chunks, float *out)
{
    const int32_t c = static_cast<int32_t>(thread_index());

    if (c < channels)
        out[c] = static_cast<float>(gather(part, c, channels, chunks).a);
}

static sums *parts(double *scratch)
{
    return reinterpret_cast<sums *>(scratch);
}

void kernel_moments(map x, int64_t rows, int32_t channels, const norm_vectors *n, double *scratch,
                    int32_t *bad, cudaStream_t stream)
{
    const int32_t chunks = chunks_of(rows, channels);
    const uint32_t all = static_cast<uint32_t>(rows);
    sums *part = parts(scratch);

    WITH_TYPE(x.type, {
        HMT_LAUNCH(moment_sums<T>, grid_for(static_cast<uint64_t>(channels) * chunks), THREADS,
                   stream, at<T>(x), all, channels, chunks, part);
        HMT_LAUNCH(moments<T>, grid_for(channels), THREADS, stream, at<T>(x), part, all, channels,
                   chunks, *n, bad);
    });
}

void kernel_slope(int32_t channels, const norm_vectors *n, cudaStream_t stream)
{
    HMT_LAUNCH(slopes, grid_for(channels), THREADS, stream, channels, *n);
}

void kernel_normalise(map x, map y, int64_t rows, int32_t channels, const norm_vectors *n,
                      cudaStream_t stream)
{
    const uint32_t count = static_cast<uint32_t>(rows * channels);

    WITH_TYPE(y.type, WITH_WIDTH(in_fours(channels, at<T>(x), at<T>(y)),
                                 HMT_LAUNCH((normalise<T, W>), grid_for(count / W), THREADS, stream,
                                            at<T>(x), at<T>(y), count / W, channels, *n)));
}

void kernel_norm_backward(map dy, map x, map y, map dx, int64_t rows, int32_t channels,
                          const norm_vectors *n, float *dgamma, float *dbeta, double *scratch,
                          float *coefficients, cudaStream_t stream)
{
    const int32_t chunks = chunks_of(rows, channels);
    const uint32_t all = static_cast<uint32_t>(rows);
    const uint32_t count = static_cast<uint32_t>(rows * channels);
    sums *part = parts(scratch);

    WITH_TYPE(dy.type,
              HMT_LAUNCH(backward_sums<T>, grid_for(static_cast<uint64_t>(channels) * chunks),
                         THREADS, stream, at<T>(dy), at<T>(x), at<T>(y), all, channels, chunks,
                         n->mean, part));
    HMT_LAUNCH(backward_factors, grid_for(channels), THREADS, stream, part, all, channels, chunks,
               *n, dgamma, dbeta, coefficients);
    if (dx.at)
        WITH_TYPE(dy.type,
                  WITH_WIDTH(in_fours(channels, at<T>(dy), at<T>(x), at<T>(y), at<T>(dx)),
                             HMT_LAUNCH((norm_backward<T, W>), grid_for(count / W), THREADS, stream,
                                        at<T>(dy), at<T>(x), at<T>(y), at<T>(dx), count / W,
                                        channels, n->mean, coefficients)));
}

void kernel_scale_channels(map dy, map dx, int64_t rows, int32_t channels, const float *slope,
                           cudaStream_t stream)
{
    const uint32_t count = static_cast<uint32_t>(rows * channels);

    WITH_TYPE(dx.type,
              WITH_WIDTH(in_fours(channels, at<T>(dy), at<T>(dx)),
                         HMT_LAUNCH((scale_channels<T, W>), grid_for(count / W), THREADS, stream,
                                    at<T>(dy), at<T>(dx), count / W, channels, slope)));
}

void kernel_channel_sums(map x, int64_t rows, int32_t channels, float *out, double *scratch,
                         cudaStream_t stream)
{
    const int32_t chunks = chunks_of(rows, channels);
    sums *part = parts(scratch);

    WITH_TYPE(x.type,
              HMT_LAUNCH(plain_sums<T>, grid_for(static_cast<uint64_t>(channels) * chunks), THREADS,
                         stream, at<T>(x), static_cast<uint32_t>(rows), channels, chunks, part));
    HMT_LAUNCH(finish_sums, grid_for(channels), THREADS, stream, part, channels, chunks, out);
}
