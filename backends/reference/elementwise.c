/*
 * Steps that treat every element by itself, or only move elements. Where the plan allows it, y may
 * be the same memory as the first input: each element is read before it is written.
 */
#include "internal.h"

#include <string.h>

#include "objective/dropout.h"

void reference_relu(const reference_operands *o)
{
    int64_t count = reference_count(&o->out[0]);

    for (int64_t i = 0; i < count; ++i)
        o->out[0].at[i] = reference_rectify(o->in[0].at[i]);
}

void reference_relu_backward(const reference_operands *o)
{
    int64_t count = reference_count(&o->out[0]);

    for (int64_t i = 0; i < count; ++i)
        o->out[0].at[i] = o->in[1].at[i] > 0.0f ? o->in[0].at[i] : 0.0f;
}

void reference_sum(const reference_operands *o)
{
    int64_t count = reference_count(&o->out[0]);

    for (int64_t i = 0; i < count; ++i) {
        float sum = 0.0f;

        for (int32_t k = 0; k < o->step->in_count; ++k)
            sum += o->step->scale[k] * o->in[k].at[i];
        o->out[0].at[i] = o->step->relu ? reference_rectify(sum) : sum;
    }
}

void reference_concat(const reference_operands *o)
{
    const reference_tensor *y = &o->out[0];
    int64_t area = y->h * y->w;
    float *to = y->at;

    for (int64_t n = 0; n < y->n; ++n)
        for (int32_t k = 0; k < o->step->in_count; ++k) {
            int64_t block = o->in[k].c * area;

            memcpy(to, o->in[k].at + n * block, (size_t)block * sizeof(float));
            to += block;
        }
}

void reference_slice(const reference_operands *o)
{
    const reference_tensor *x = &o->in[0], *y = &o->out[0];
    int64_t area = y->h * y->w, block = y->c * area;

    for (int64_t n = 0; n < y->n; ++n)
        memmove(y->at + n * block, x->at + (n * x->c + o->step->channel) * area,
                (size_t)block * sizeof(float));
}

void reference_reshape(const reference_operands *o)
{
    memmove(o->out[0].at, o->in[0].at, (size_t)reference_count(&o->out[0]) * sizeof(float));
}

/* Forward and backward: the same factors. */
void reference_dropout(const reference_operands *o)
{
    int64_t count = reference_count(&o->out[0]);

    for (int64_t i = 0; i < count; ++i)
        o->out[0].at[i] =
            o->in[0].at[i] * dropout_factor(o->run->seed, o->step->salt, i, o->step->drop);
}
