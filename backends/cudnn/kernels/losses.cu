// The losses of one task: one thread for each row leaves its loss and gradient, one thread adds the
// rows up in their order. The formulas are those of lib/objective.
#include "launch.h"

#include "element.h"
#include "objective/losses.h"

__global__ void cross_entropy(const float *logits, int32_t n, int32_t classes,
                              const int32_t *labels, const float *scale, float smoothing,
                              float *gradient, double *part)
{
    const int32_t row = static_cast<int32_t>(thread_index());

    if (row >= n)
        return;
    const int32_t label = labels[row];
    float *to = gradient ? gradient + row * classes : nullptr;

    part[row] = 0.0;
    if (label >= 0 && label < classes)
        part[row] =
            losses_cross_entropy(logits + row * classes, classes, label,
                                 static_cast<double>(smoothing), static_cast<double>(*scale), to);
    else if (to)
        for (int32_t i = 0; i < classes; ++i)
            to[i] = 0.0f;
}

__global__ void regression(const float *predictions, int32_t n, const float *targets,
                           const float *scale, hmt_loss loss, float delta, float *gradient,
                           double *part)
{
    const int32_t row = static_cast<int32_t>(thread_index());

    if (row >= n)
        return;
    const float target = targets[row];
    const bool known = target == target;
    const double error =
        known ? static_cast<double>(predictions[row]) - static_cast<double>(target) : 0.0;
    const double d = static_cast<double>(delta);

    part[row] = known ? losses_regression(loss, d, error) : 0.0;
    if (gradient)
        gradient[row] = known ? static_cast<float>(static_cast<double>(*scale) *
                                                   losses_regression_slope(loss, d, error))
                              : 0.0f;
}

__global__ void add_rows(const double *part, int32_t n, double *sum)
{
    double all = 0.0;

    if (thread_index() > 0)
        return;
    for (int32_t i = 0; i < n; ++i)
        all += part[i];
    *sum = all;
}

void kernel_cross_entropy(const float *logits, int32_t n, int32_t classes, const int32_t *labels,
                          const float *scale, float smoothing, float *gradient, double *part,
                          double *sum, cudaStream_t stream)
{
    HMT_LAUNCH(cross_entropy, grid_for(n), THREADS, stream, logits, n, classes, labels, scale,
               smoothing, gradient, part);
    HMT_LAUNCH(add_rows, 1, 1, stream, part, n, sum);
}

void kernel_regression(const float *predictions, int32_t n, const float *targets,
                       const float *scale, hmt_loss loss, float delta, float *gradient,
                       double *part, double *sum, cudaStream_t stream)
{
    HMT_LAUNCH(regression, grid_for(n), THREADS, stream, predictions, n, targets, scale, loss,
               delta, gradient, part);
    HMT_LAUNCH(add_rows, 1, 1, stream, part, n, sum);
}

template <typename T>
__global__ void one_hot(T *y, int32_t classes, const int32_t *labels, uint32_t count)
{
    const uint32_t i = thread_index();

    if (i < count)
        element_set(&y[i], static_cast<int32_t>(i % classes) == labels[i / classes] ? 1.0f : 0.0f);
}

void kernel_one_hot(map y, int32_t n, int32_t classes, const int32_t *labels, cudaStream_t stream)
{
    const uint32_t count = static_cast<uint32_t>(n) * classes;

    WITH_TYPE(y.type, HMT_LAUNCH(one_hot<T>, grid_for(count), THREADS, stream, at<T>(y), classes,
                                 labels, count));
}
