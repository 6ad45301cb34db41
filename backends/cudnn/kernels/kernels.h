/*
 * The module's own kernels, as C functions that start them on a stream. Maps are (N,H,W,C), float
 * or bfloat16; vectors are float; a map has less than 2^31 elements. Nothing here allocates or
 * waits; the caller asks cudaGetLastError() afterwards. All sums are taken in a fixed order.
 */
#ifndef HMT_CUDNN_KERNELS_H
#define HMT_CUDNN_KERNELS_H

#include <cuda_runtime_api.h>
#include <hmtnet/backend.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum storage { STORAGE_FLOAT = 0, STORAGE_BFLOAT16 = 1 } storage;

/* Elements in device memory. */
typedef struct map {
    void *at;
    storage type;
} map;

/* Samples, and the order of a sample's elements in memory: h, w, c, the last fastest. */
typedef struct extent {
    int32_t n, c, h, w;
} extent;

/* What changes from run to run, in device memory. images: where the input was uploaded to, floats
 * (N,C,H,W), or with `levels` non-zero bytes (N,H,W,3). */
typedef struct run_block {
    uint64_t seed;
    const void *images;
    int32_t levels;
    float pixel_scale[3];
    float pixel_shift[3];
} run_block;

/* layout.cu: the same elements in N,C,H,W order, from one extent's order and type to another's.
 * {n, c*h*w, 1, 1} is the dense N,C,H,W order. */
void kernel_reorder(map from, extent a, map to, extent b, cudaStream_t stream);
/* The run's images, normalised if they are levels. */
void kernel_images(const run_block *run, map to, extent e, cudaStream_t stream);

/* pool.cu */
void kernel_max_pool(map x, extent in, map y, extent out, const hmt_window *window,
                     cudaStream_t stream);
void kernel_max_pool_backward(map dy, map x, map y, map dx, extent in, extent out,
                              const hmt_window *window, cudaStream_t stream);
void kernel_average_pool(map x, extent in, map y, extent out, const hmt_window *window,
                         cudaStream_t stream);
void kernel_average_pool_backward(map dy, map dx, extent in, extent out, const hmt_window *window,
                                  cudaStream_t stream);

/* batch_norm.cu: rows = n*h*w. gamma and beta may be NULL. */
typedef struct norm_vectors {
    const float *gamma, *beta; /* (C) */
    float *mean, *variance;    /* (C) */
    float *slope;              /* (C) scratch: gamma / sqrt(variance + epsilon) */
    float epsilon;
    int32_t relu;
} norm_vectors;
/* Doubles of scratch that sums over rows need. */
uint64_t kernel_sums_scratch(int64_t rows, int32_t channels);
/* Mean, biased variance and slope of x; *bad becomes 1 if one is not finite. */
void kernel_moments(map x, int64_t rows, int32_t channels, const norm_vectors *n, double *scratch,
                    int32_t *bad, cudaStream_t stream);
/* slope from variance. */
void kernel_slope(int32_t channels, const norm_vectors *n, cudaStream_t stream);
/* y = (x - mean) * slope + beta, relu. */
void kernel_normalise(map x, map y, int64_t rows, int32_t channels, const norm_vectors *n,
                      cudaStream_t stream);
/* dx.at, dgamma, dbeta and y.at may be NULL; y only without relu. `coefficients`: (4,C) scratch. */
void kernel_norm_backward(map dy, map x, map y, map dx, int64_t rows, int32_t channels,
                          const norm_vectors *n, float *dgamma, float *dbeta, double *scratch,
                          float *coefficients, cudaStream_t stream);
/* dx = dy * slope; dx may be dy. */
void kernel_scale_channels(map dy, map dx, int64_t rows, int32_t channels, const float *slope,
                           cudaStream_t stream);
/* sums[c] = the sum of x over rows. */
void kernel_channel_sums(map x, int64_t rows, int32_t channels, float *sums, double *scratch,
                         cudaStream_t stream);

/* elementwise.cu: y may be the first input. */
void kernel_relu(map x, map y, int64_t count, cudaStream_t stream);
void kernel_relu_backward(map dy, map y, map dx, int64_t count, cudaStream_t stream);
/* All inputs have y's type. */
void kernel_sum(const void *const *x, const float *scale, int32_t inputs, map y, int64_t count,
                int32_t relu, cudaStream_t stream);
/* y = y + bias, relu. */
void kernel_bias(map y, int64_t rows, int32_t channels, const float *bias, int32_t relu,
                 cudaStream_t stream);
/* Copies `channels` channels of each row: those of `from` from from_first on. */
void kernel_channels(map from, int32_t from_channels, int32_t from_first, map to,
                     int32_t to_channels, int32_t to_first, int32_t channels, int64_t rows,
                     cudaStream_t stream);
void kernel_dropout(const run_block *run, map x, map y, extent e, int32_t salt, float drop,
                    cudaStream_t stream);

/* losses.cu: logits (N,K). part: (N) doubles of scratch; *sum receives the loss. gradient may be
 * NULL. */
void kernel_cross_entropy(const float *logits, int32_t n, int32_t classes, const int32_t *labels,
                          const float *scale, float smoothing, float *gradient, double *part,
                          double *sum, cudaStream_t stream);
void kernel_regression(const float *predictions, int32_t n, const float *targets,
                       const float *scale, hmt_loss loss, float delta, float *gradient,
                       double *part, double *sum, cudaStream_t stream);
void kernel_one_hot(map y, int32_t n, int32_t classes, const int32_t *labels, cudaStream_t stream);

/* update.cu: copy, if not NULL, receives the new values in bfloat16. */
void kernel_sgd(float *values, float *momentum, void *copy, map gradient, int64_t count,
                const hmt_sgd *group, cudaStream_t stream);
/* share: what mean and variance are multiplied by first, 1 / devices. */
void kernel_statistics(float *running_mean, float *running_variance, const float *mean,
                       const float *variance, int32_t channels, int64_t samples, float momentum,
                       float share, cudaStream_t stream);

#ifdef __cplusplus
}
#endif

#endif
