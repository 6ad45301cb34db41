// Batch norm and other things that take sums over all rows (N,H,W) of a channel. A sum has three
// passes: a thread adds up every chunks-th row of a pack of channels, FOLDED threads for each
// channel add up every FOLDED-th chunk, and one thread for each channel what those left; all in a
// fixed order and in double, as in backends/reference. Neighbouring threads read neighbours.
#include "launch.h"

#include "element.h"
#include "objective/statistics.h"

enum { MOST_CHUNKS = 2048, LEAST_ROWS = 16, ENOUGH_THREADS = 1 << 17, FOLDED = 32 };
// Rows that a thread loads before it adds the first of them. That takes registers, which the
// compiler saves unless it is told that two blocks are enough for a multiprocessor.
enum { AHEAD = 4, BLOCKS = 2 };

static int32_t chunks_of(int64_t rows, int32_t channels)
{
    const int32_t packs = channels % 4 == 0 ? channels / 4 : channels;
    int64_t chunks = rows / LEAST_ROWS;

    if (chunks > ENOUGH_THREADS / packs)
        chunks = ENOUGH_THREADS / packs;
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

// Adds up the chunks. Terms::take() loads what belongs to pack `at` of the map, Terms::add() adds
// that up; Terms::begin() is told which pack of channels a thread has.
template <typename Terms>
__global__ __launch_bounds__(THREADS, BLOCKS) void row_sums(Terms terms, uint32_t rows,
                                                            uint32_t packs, uint32_t chunks,
                                                            sums *part)
{
    const int W = Terms::width;
    const uint32_t i = thread_index(), step = packs * chunks;
    uint32_t row = i / packs, at = i;
    sums all[W] = {};

    if (i >= step)
        return;
    terms.begin(i % packs);
    for (; row + (AHEAD - 1) * chunks < rows; row += AHEAD * chunks, at += AHEAD * step) {
        typename Terms::taken v[AHEAD];

#pragma unroll
        for (int k = 0; k < AHEAD; ++k)
            v[k] = terms.take(at + k * step);
#pragma unroll
        for (int k = 0; k < AHEAD; ++k)
            terms.add(v[k], all);
    }
    for (; row < rows; row += chunks, at += step)
        terms.add(terms.take(at), all);
    for (int k = 0; k < W; ++k)
        part[i * W + k] = all[k];
}

// The sum of part[0], part[step] and so on, `count` of them.
__device__ __forceinline__ sums gather(const sums *part, uint32_t step, uint32_t count)
{
    sums all = {0.0, 0.0};

#pragma unroll 8
    for (uint32_t k = 0; k < count; ++k) {
        all.a += part[k * step].a;
        all.b += part[k * step].b;
    }
    return all;
}

// Chunk k becomes the sum of chunks k, k + FOLDED and so on, which no other thread reads.
__global__ __launch_bounds__(THREADS, BLOCKS) void fold_chunks(sums *part, uint32_t channels,
                                                               uint32_t chunks)
{
    const uint32_t i = thread_index(), k = i / channels;

    if (k < FOLDED)
        part[i] = gather(part + i, FOLDED * channels, (chunks - k + FOLDED - 1) / FOLDED);
}

static sums *parts(double *scratch)
{
    return reinterpret_cast<sums *>(scratch);
}

// Sums of all rows; returns how many chunks are left to be gathered.
template <typename Terms>
static int32_t add_rows(Terms terms, int64_t rows, int32_t channels, sums *part,
                        cudaStream_t stream)
{
    const uint32_t chunks = static_cast<uint32_t>(chunks_of(rows, channels));
    const uint32_t packs = static_cast<uint32_t>(channels) / Terms::width;

    HMT_LAUNCH(row_sums<Terms>, grid_for(packs * chunks), THREADS, stream, terms,
               static_cast<uint32_t>(rows), packs, chunks, part);
    if (chunks <= FOLDED)
        return static_cast<int32_t>(chunks);
    HMT_LAUNCH(fold_chunks, grid_for(static_cast<uint32_t>(channels) * FOLDED), THREADS, stream,
               part, static_cast<uint32_t>(channels), chunks);
    return FOLDED;
}

// Sums of x and x*x, both less the channel's first value, which keeps the variance exact.
template <typename T, int W> struct moment_terms {
    enum { width = W };
    struct taken {
        float x[W];
    };
    const T *x;
    float shift[W];

    __device__ __forceinline__ void begin(uint32_t pack)
    {
        load<T, W>(x, pack, shift);
    }
    __device__ __forceinline__ taken take(uint32_t at) const
    {
        taken v;

        load<T, W>(x, at, v.x);
        return v;
    }
    __device__ __forceinline__ void add(const taken &v, sums (&all)[W]) const
    {
        for (int k = 0; k < W; ++k) {
            const double off = static_cast<double>(v.x[k]) - static_cast<double>(shift[k]);

            all[k].a += off;
            all[k].b += off * off;
        }
    }
};

template <typename T>
__global__ __launch_bounds__(THREADS, BLOCKS) void moments(const T *x, const sums *part,
                                                           uint32_t rows, int32_t channels,
                                                           int32_t chunks, norm_vectors n,
                                                           int32_t *bad)
{
    const int32_t c = static_cast<int32_t>(thread_index());

    if (c >= channels)
        return;
    const sums all = gather(part + c, channels, chunks);
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
    const uint32_t i = thread_index(), c = i % (channels / W);
    float v[W], mean[W], slope[W], beta[W] = {};

    if (i >= packs)
        return;
    load<T, W>(x, i, v);
    load<float, W>(n.mean, c, mean);
    load<float, W>(n.slope, c, slope);
    if (n.beta)
        load<float, W>(n.beta, c, beta);
    for (int k = 0; k < W; ++k) {
        v[k] = (v[k] - mean[k]) * slope[k] + beta[k];
        v[k] = n.relu ? rectify(v[k]) : v[k];
    }
    store<T, W>(y, i, v);
}

// Sums of dy and of dy * (x - mean), where the relu behind let something pass.
template <typename T, int W> struct backward_terms {
    enum { width = W };
    struct taken {
        float dy[W], x[W], y[W];
    };
    const T *dy, *x, *y;
    const float *means;
    float mean[W];

    __device__ __forceinline__ void begin(uint32_t pack)
    {
        load<float, W>(means, pack, mean);
    }
    __device__ __forceinline__ taken take(uint32_t at) const
    {
        taken v = {};

        load<T, W>(dy, at, v.dy);
        load<T, W>(x, at, v.x);
        if (y)
            load<T, W>(y, at, v.y);
        return v;
    }
    __device__ __forceinline__ void add(const taken &v, sums (&all)[W]) const
    {
        for (int k = 0; k < W; ++k) {
            const float passed = !y || v.y[k] > 0.0f ? v.dy[k] : 0.0f;

            all[k].a += passed;
            all[k].b += static_cast<double>(passed) * (v.x[k] - mean[k]);
        }
    }
};

// dgamma, dbeta and, for each channel, what dx is made with: slope, dbeta / M, dgamma / sd / M.
__global__ __launch_bounds__(THREADS, BLOCKS) void backward_factors(const sums *part, uint32_t rows,
                                                                    int32_t channels,
                                                                    int32_t chunks, norm_vectors n,
                                                                    float *dgamma, float *dbeta,
                                                                    float *factors)
{
    const int32_t c = static_cast<int32_t>(thread_index());

    if (c >= channels)
        return;
    const sums all = gather(part + c, channels, chunks);
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
    const uint32_t i = thread_index(), c = i % (channels / W);

    if (i >= packs)
        return;
    float g[W], v[W], passed[W], centre[W], slope[W], offset[W], tilt[W];

    load<T, W>(dy, i, g);
    load<T, W>(x, i, v);
    if (y)
        load<T, W>(y, i, passed);
    load<float, W>(mean, c, centre);
    load<float, W>(factors, c, slope);
    load<float, W>(factors + channels, c, offset);
    load<float, W>(factors + 2 * channels, c, tilt);
    for (int k = 0; k < W; ++k) {
        const float own = !y || passed[k] > 0.0f ? g[k] : 0.0f;

        g[k] = slope[k] * (own - offset[k] - (v[k] - centre[k]) * tilt[k]);
    }
    store<T, W>(dx, i, g);
}

template <typename T, int W>
__global__ void scale_channels(const T *dy, T *dx, uint32_t packs, int32_t channels,
                               const float *slope)
{
    const uint32_t i = thread_index();
    float v[W], s[W];

    if (i >= packs)
        return;
    load<T, W>(dy, i, v);
    load<float, W>(slope, i % (channels / W), s);
    for (int k = 0; k < W; ++k)
        v[k] *= s[k];
    store<T, W>(dx, i, v);
}

template <typename T, int W> struct plain_terms {
    enum { width = W };
    struct taken {
        float x[W];
    };
    const T *x;

    __device__ __forceinline__ void begin(uint32_t)
    {
    }
    __device__ __forceinline__ taken take(uint32_t at) const
    {
        taken v;

        load<T, W>(x, at, v.x);
        return v;
    }
    __device__ __forceinline__ void add(const taken &v, sums (&all)[W]) const
    {
        for (int k = 0; k < W; ++k)
            all[k].a += v.x[k];
    }
};

__global__ __launch_bounds__(THREADS, BLOCKS) void finish_sums(const sums *part, int32_t channels,
                                                               int32_t chunks, float *out)
{
    const int32_t c = static_cast<int32_t>(thread_index());

    if (c < channels)
        out[c] = static_cast<float>(gather(part + c, channels, chunks).a);
}

void kernel_moments(map x, int64_t rows, int32_t channels, const norm_vectors *n, double *scratch,
                    int32_t *bad, cudaStream_t stream)
{
    sums *part = parts(scratch);
    int32_t left;

    WITH_TYPE(x.type, {
        WITH_WIDTH(in_fours(channels, at<T>(x)),
                   left = add_rows(moment_terms<T, W>{at<T>(x), {}}, rows, channels, part, stream));
        HMT_LAUNCH(moments<T>, grid_for(channels), THREADS, stream, at<T>(x), part,
                   static_cast<uint32_t>(rows), channels, left, *n, bad);
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

    WITH_TYPE(y.type, WITH_WIDTH(in_fours(channels, at<T>(x), at<T>(y)) &&
                                     in_fours(channels, n->mean, n->slope, n->beta),
                                 HMT_LAUNCH((normalise<T, W>), grid_for(count / W), THREADS, stream,
                                            at<T>(x), at<T>(y), count / W, channels, *n)));
}

void kernel_norm_backward(map dy, map x, map y, map dx, int64_t rows, int32_t channels,
                          const norm_vectors *n, float *dgamma, float *dbeta, double *scratch,
                          float *coefficients, cudaStream_t stream)
{
    const uint32_t count = static_cast<uint32_t>(rows * channels);
    const bool vectors = in_fours(channels, n->mean, coefficients);
    sums *part = parts(scratch);
    int32_t left;

    WITH_TYPE(
        dy.type,
        WITH_WIDTH(in_fours(channels, at<T>(dy), at<T>(x), at<T>(y)) && vectors,
                   left = add_rows(backward_terms<T, W>{at<T>(dy), at<T>(x), at<T>(y), n->mean, {}},
                                   rows, channels, part, stream)));
    HMT_LAUNCH(backward_factors, grid_for(channels), THREADS, stream, part,
               static_cast<uint32_t>(rows), channels, left, *n, dgamma, dbeta, coefficients);
    if (dx.at)
        WITH_TYPE(
            dy.type,
            WITH_WIDTH(in_fours(channels, at<T>(dy), at<T>(x), at<T>(y), at<T>(dx)) && vectors,
                       HMT_LAUNCH((norm_backward<T, W>), grid_for(count / W), THREADS, stream,
                                  at<T>(dy), at<T>(x), at<T>(y), at<T>(dx), count / W, channels,
                                  n->mean, coefficients)));
}

void kernel_scale_channels(map dy, map dx, int64_t rows, int32_t channels, const float *slope,
                           cudaStream_t stream)
{
    const uint32_t count = static_cast<uint32_t>(rows * channels);

    WITH_TYPE(dx.type,
              WITH_WIDTH(in_fours(channels, at<T>(dy), at<T>(dx)) && in_fours(channels, slope),
                         HMT_LAUNCH((scale_channels<T, W>), grid_for(count / W), THREADS, stream,
                                    at<T>(dy), at<T>(dx), count / W, channels, slope)));
}

void kernel_channel_sums(map x, int64_t rows, int32_t channels, float *out, double *scratch,
                         cudaStream_t stream)
{
    sums *part = parts(scratch);
    int32_t left;

    WITH_TYPE(x.type, WITH_WIDTH(in_fours(channels, at<T>(x)),
                                 left = add_rows(plain_terms<T, W>{at<T>(x)}, rows, channels, part,
                                                 stream)));
    HMT_LAUNCH(finish_sums, grid_for(channels), THREADS, stream, part, channels, left, out);
}
