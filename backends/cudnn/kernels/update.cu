// Updates: parameters by their gradients, running statistics by the batch's. A parameter, its
// momentum, its gradient and its bfloat16 copy are walked once.
#include "launch.h"

#include "element.h"
#include "objective/sgd.h"
#include "objective/statistics.h"

template <typename T, int W>
__global__ void sgd(float *values, float *momentum, __nv_bfloat16 *copy, const T *gradient,
                    uint32_t packs, const hmt_sgd *group)
{
    const uint32_t i = thread_index();
    float p[W], v[W], g[W];

    if (i >= packs)
        return;
    load<float, W>(values, i, p);
    load<float, W>(momentum, i, v);
    load<T, W>(gradient, i, g);
    for (int k = 0; k < W; ++k)
        sgd_update(&p[k], &v[k], g[k], *group);
    store<float, W>(values, i, p);
    store<float, W>(momentum, i, v);
    if (copy)
        store<__nv_bfloat16, W>(copy, i, p);
}

void kernel_sgd(float *values, float *momentum, void *copy, map gradient, int64_t count,
                const hmt_sgd *group, cudaStream_t stream)
{
    const uint32_t all = static_cast<uint32_t>(count);
    __nv_bfloat16 *rounded = static_cast<__nv_bfloat16 *>(copy);

    WITH_TYPE(gradient.type,
              WITH_WIDTH(in_fours(all, values, momentum, rounded, at<T>(gradient)),
                         HMT_LAUNCH((sgd<T, W>), grid_for(all / W), THREADS, stream, values,
                                    momentum, rounded, at<T>(gradient), all / W, group)));
}

__global__ void statistics(float *running_mean, float *running_variance, const float *mean,
                           const float *variance, int32_t channels, int64_t samples, float momentum,
                           float share)
{
    const int32_t c = static_cast<int32_t>(thread_index());

    if (c < channels)
        statistics_update(&running_mean[c], &running_variance[c], mean[c] * share,
                          variance[c] * share, samples, momentum);
}

void kernel_statistics(float *running_mean, float *running_variance, const float *mean,
                       const float *variance, int32_t channels, int64_t samples, float momentum,
                       float share, cudaStream_t stream)
{
    HMT_LAUNCH(statistics, grid_for(channels), THREADS, stream, running_mean, running_variance,
               mean, variance, channels, samples, momentum, share);
}
