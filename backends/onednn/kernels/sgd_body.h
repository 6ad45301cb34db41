/*
 * SGD with momentum, a vector at a time: the arithmetic is objective/sgd.h's.
 */
#include "objective/sgd.h"

static void sgd(hmt_sgd how, int64_t count, const float *restrict gradient, float *restrict value,
                float *restrict momentum)
{
    for (int64_t i = 0; i < count; ++i)
        sgd_update(&value[i], &momentum[i], gradient[i], how);
}
