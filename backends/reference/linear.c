/*
 * Inner product, forward and backward: y[n,o] = bias[o] + sum over i of weight[o,i] * x[n,i], where
 * i runs over C,H,W. The weight, which may be hundreds of megabytes, is walked once per batch.
 */
#include "internal.h"

#include <string.h>

/* Length of a piece of a dot product, and the partial sums within it (vector lanes). */
enum { PIECE = 1024, LANES = 16 };

static float dot(const float *a, const float *b, int64_t count)
{
    float lane[LANES] = {0.0f}, sum = 0.0f;
    int64_t i = 0;

    for (; i + LANES <= count; i += LANES)
        for (int j = 0; j < LANES; ++j)
            lane[j] += a[i + j] * b[i + j];
    for (; i < count; ++i)
        sum += a[i] * b[i];
    for (int j = 0; j < LANES; ++j)
        sum += lane[j];
    return sum;
}

void reference_linear(const reference_operands *o)
{
    const reference_tensor *x = &o->in[0], *y = &o->out[0];
    int64_t length = x->c * x->h * x->w;

    for (int64_t row = 0; row < y->c; ++row) {
        const float *weight = o->weight[0] + row * length;

        for (int64_t n = 0; n < y->n; ++n)
            y->at[n * y->c + row] = o->weight[1] ? o->weight[1][row] : 0.0f;
        for (int64_t i = 0; i < length; i += PIECE)
            for (int64_t n = 0; n < y->n; ++n)
                y->at[n * y->c + row] += dot(weight + i, x->at + n * length + i,
                                             length - i < PIECE ? length - i : PIECE);
        for (int64_t n = 0; n < y->n && o->step->relu; ++n)
            y->at[n * y->c + row] = reference_rectify(y->at[n * y->c + row]);
    }
}

void reference_linear_backward_data(const reference_operands *o)
{
    const reference_tensor *dy = &o->in[0], *dx = &o->out[0];
    int64_t length = dx->c * dx->h * dx->w;

    memset(dx->at, 0, (size_t)reference_count(dx) * sizeof(float));
    reference_product(dy->n, dy->c, length, dy->at, dy->c, 1, o->weight[0], length, dx->at, length);
}

void reference_linear_backward_weights(const reference_operands *o)
{
    const reference_tensor *dy = &o->in[0], *x = &o->in[1];
    int64_t length = x->c * x->h * x->w;

    memset(o->out[0].at, 0, (size_t)(dy->c * length) * sizeof(float));
    reference_product(dy->c, dy->n, length, dy->at, 1, dy->c, x->at, length, o->out[0].at, length);
    if (o->out[1].at)
        for (int64_t row = 0; row < dy->c; ++row) {
            double sum = 0.0;

            for (int64_t n = 0; n < dy->n; ++n)
                sum += dy->at[n * dy->c + row];
            o->out[1].at[row] = (float)sum;
        }
}
