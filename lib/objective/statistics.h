/*
 * Batch norm: the running statistics that inference uses, and folding them into the convolution
 * before.
 */
#ifndef HMT_OBJECTIVE_STATISTICS_H
#define HMT_OBJECTIVE_STATISTICS_H

#include "objective/inline.h"

/* Moves a running mean and variance towards a batch's. `variance` is the biased one over `samples`
 * values; the running one is unbiased, as PyTorch keeps it. */
OBJECTIVE_INLINE void statistics_update(float *running_mean, float *running_variance, float mean,
                                        float variance, int64_t samples, float momentum)
{
    double unbiased = samples > 1 ? variance * ((double)samples / (double)(samples - 1)) : variance;

    *running_mean = (float)((1.0 - momentum) * *running_mean + momentum * mean);
    *running_variance = (float)((1.0 - momentum) * *running_variance + momentum * unbiased);
}

/* Whether a batch's statistics are all finite. */
OBJECTIVE_INLINE int statistics_finite(const float *mean, const float *variance, int64_t channels)
{
    int64_t c;

    for (c = 0; c < channels; ++c)
        if (!isfinite(mean[c]) || !isfinite(variance[c]))
            return 0;
    return 1;
}

/* A batch norm with fixed statistics is y = x * slope + offset. */
OBJECTIVE_INLINE double statistics_slope(double gamma, double variance, double epsilon)
{
    return gamma / sqrt(variance + epsilon);
}

OBJECTIVE_INLINE double statistics_offset(double beta, double mean, double slope)
{
    return beta - mean * slope;
}

#endif
