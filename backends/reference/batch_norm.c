/*
 * Batch norm: y = (x - mean) / sqrt(variance + epsilon) * gamma + beta, per channel over N,H,W. At
 * inference with running statistics, in training with the batch's own (the variance is the biased
 * one). Statistics and sums are taken in double.
 */
#include "internal.h"

#include "objective/statistics.h"

static float value_or(const float *values, int64_t c, float otherwise)
{
    return values ? values[c] : otherwise;
}

/* y = x * slope + offset for one channel, then relu. */
static void apply(const reference_operands *o, int64_t c, double mean, double slope, double beta)
{
    const reference_tensor *x = &o->in[0], *y = &o->out[0];
    int64_t area = x->h * x->w;

    for (int64_t n = 0; n < x->n; ++n)
        for (int64_t p = 0, at = (n * x->c + c) * area; p < area; ++p, ++at) {
            float value = (float)((x->at[at] - mean) * slope + beta);

            y->at[at] = o->step->relu ? reference_rectify(value) : value;
        }
}

void reference_batch_norm(const reference_operands *o)
{
    for (int64_t c = 0; c < o->in[0].c; ++c) {
        double slope = statistics_slope(value_or(o->weight[0], c, 1.0f), o->weight[3][c],
                                        (double)o->step->epsilon);

        apply(o, c, o->weight[2][c], slope, value_or(o->weight[1], c, 0.0f));
    }
}

void reference_batch_norm_train(const reference_operands *o)
{
    const reference_tensor *x = &o->in[0];
    int64_t area = x->h * x->w;
    double samples = (double)(x->n * area);

    for (int64_t c = 0; c < x->c; ++c) {
        double mean = 0.0, variance = 0.0, slope;

        for (int64_t n = 0; n < x->n; ++n)
            for (int64_t p = 0; p < area; ++p)
                mean += x->at[(n * x->c + c) * area + p];
        mean /= samples;
        for (int64_t n = 0; n < x->n; ++n)
            for (int64_t p = 0; p < area; ++p) {
                double off = x->at[(n * x->c + c) * area + p] - mean;

                variance += off * off;
            }
        variance /= samples;
        o->out[1].at[c] = (float)mean;
        o->out[2].at[c] = (float)variance;
        slope =
            statistics_slope(value_or(o->weight[0], c, 1.0f), variance, (double)o->step->epsilon);
        apply(o, c, mean, slope, value_or(o->weight[1], c, 0.0f));
    }
    if (o->run->bad_step < 0 && !statistics_finite(o->out[1].at, o->out[2].at, x->c))
        o->run->bad_step = o->index;
}

/*
 * With u = (x - mean) / sqrt(variance + epsilon) and M = N*H*W:
 *     dbeta = sum dy,  dgamma = sum dy * u,
 *     dx = gamma / sqrt(variance + epsilon) * (dy - dbeta / M - u * dgamma / M)
 * where dy is first set to 0 where the relu behind cut y off.
 */
void reference_batch_norm_backward(const reference_operands *o)
{
    const reference_tensor *x = &o->in[1];
    const float *dy = o->in[0].at, *y = o->step->relu ? o->in[4].at : NULL;
    float *dx = o->out[0].at;
    int64_t area = x->h * x->w;
    double samples = (double)(x->n * area);

    for (int64_t c = 0; c < x->c; ++c) {
        double mean = o->in[2].at[c], dbeta = 0.0, dgamma = 0.0;
        double inverse = statistics_slope(1.0, o->in[3].at[c], (double)o->step->epsilon);
        double slope = inverse * value_or(o->weight[0], c, 1.0f);

        for (int64_t n = 0; n < x->n; ++n)
            for (int64_t p = 0, at = (n * x->c + c) * area; p < area; ++p, ++at)
                if (!y || y[at] > 0.0f) {
                    dbeta += dy[at];
                    dgamma += dy[at] * (x->at[at] - mean) * inverse;
                }
        for (int64_t n = 0; n < x->n && dx; ++n)
            for (int64_t p = 0, at = (n * x->c + c) * area; p < area; ++p, ++at) {
                double u = (x->at[at] - mean) * inverse;
                double passed = !y || y[at] > 0.0f ? dy[at] : 0.0;

                dx[at] = (float)(slope * (passed - (dbeta + u * dgamma) / samples));
            }
        if (o->out[1].at)
            o->out[1].at[c] = (float)dgamma;
        if (o->out[2].at)
            o->out[2].at[c] = (float)dbeta;
    }
}

void reference_batch_norm_backward_data(const reference_operands *o)
{
    const reference_tensor *dy = &o->in[0];
    int64_t area = dy->h * dy->w;

    for (int64_t c = 0; c < dy->c; ++c) {
        double slope = statistics_slope(value_or(o->weight[0], c, 1.0f), o->weight[3][c],
                                        (double)o->step->epsilon);

        for (int64_t n = 0; n < dy->n; ++n)
            for (int64_t p = 0, at = (n * dy->c + c) * area; p < area; ++p, ++at)
                o->out[0].at[at] = (float)(dy->at[at] * slope);
    }
}
