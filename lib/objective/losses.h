/*
 * The losses of the three heads and their derivatives, for one sample. Means over the batch and the
 * task weights are taken by the caller (paper, section 3.3, equations 3 and 4).
 */
#ifndef HMT_OBJECTIVE_LOSSES_H
#define HMT_OBJECTIVE_LOSSES_H

#include <hmtnet/hmtnet.h>

#include "objective/inline.h"

/* log cosh e without overflow: |e| + log(1 + exp(-2|e|)) - log 2. */
OBJECTIVE_INLINE double losses_log_cosh(double e)
{
    double a = fabs(e);
    return a + log1p(exp(-2.0 * a)) - 0.69314718055994530942;
}

/* The regression loss of e = prediction - label. */
OBJECTIVE_INLINE double losses_regression(hmt_loss loss, double delta, double e)
{
    double a = fabs(e);

    if (loss == HMT_LOSS_MSE)
        return e * e;
    if (loss == HMT_LOSS_L1)
        return a;
    if (loss == HMT_LOSS_SMOOTH_L1)
        return a < 1.0 ? 0.5 * e * e : a - 0.5;
    return a <= delta ? losses_log_cosh(e) : a;
}

/* Its derivative by the prediction. At the kink of |e| in 0 it is 0. */
OBJECTIVE_INLINE double losses_regression_slope(hmt_loss loss, double delta, double e)
{
    double a = fabs(e);
    double sign = e > 0.0 ? 1.0 : (e < 0.0 ? -1.0 : e); /* keeps NaN */

    if (loss == HMT_LOSS_MSE)
        return 2.0 * e;
    if (loss == HMT_LOSS_L1)
        return sign;
    if (loss == HMT_LOSS_SMOOTH_L1)
        return a < 1.0 ? e : sign;
    return a <= delta ? tanh(e) : sign;
}

/* The logarithm of the sum of exp(logits[i * stride]) over i < classes. */
OBJECTIVE_INLINE double losses_log_sum_exp(const float *logits, int32_t classes, int64_t stride)
{
    double largest = logits[0], sum = 0.0;
    int32_t i;

    for (i = 1; i < classes; ++i)
        if (logits[i * stride] > largest)
            largest = logits[i * stride];
    for (i = 0; i < classes; ++i)
        sum += exp(logits[i * stride] - largest);
    return largest + log(sum);
}

/* Softmax of one row of logits. */
OBJECTIVE_INLINE void losses_softmax(const float *logits, int32_t classes, float *probabilities)
{
    double all = losses_log_sum_exp(logits, classes, 1);
    int32_t i;

    for (i = 0; i < classes; ++i)
        probabilities[i] = (float)exp(logits[i] - all);
}

/*
 * Cross entropy of one row of logits against a target that gives class `label` (0 <= label <
 * classes) 1 - smoothing and spreads smoothing evenly over all classes. If gradient is not NULL it
 * receives (softmax - target) * scale.
 */
OBJECTIVE_INLINE double losses_cross_entropy(const float *logits, int32_t classes, int32_t label,
                                             double smoothing, double scale, float *gradient)
{
    double all = losses_log_sum_exp(logits, classes, 1), loss = 0.0;
    int32_t i;

    for (i = 0; i < classes; ++i) {
        double target = smoothing / classes + (i == label ? 1.0 - smoothing : 0.0);

        if (target > 0.0)
            loss += target * (all - logits[i]);
        if (gradient)
            gradient[i] = (float)(scale * (exp(logits[i] - all) - target));
    }
    return loss;
}

#endif
