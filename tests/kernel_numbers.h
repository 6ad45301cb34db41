/*
 * What tests of single kernels share: made-up numbers in (-1,1), and comparing arrays.
 */
#ifndef HMT_TESTS_KERNEL_NUMBERS_H
#define HMT_TESTS_KERNEL_NUMBERS_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

static inline float *numbers(int64_t count, uint32_t seed)
{
    float *values = malloc(((count > 0 ? (size_t)count : 0) + 1) * sizeof *values);

    for (int64_t i = 0; i < count; ++i) {
        seed = seed * 1664525u + 1013904223u;
        values[i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
    }
    return values;
}

static inline bool near(const float *a, const float *b, int64_t count, double tolerance)
{
    for (int64_t i = 0; i < count; ++i)
        if (!(fabs((double)a[i] - b[i]) <= tolerance))
            return false;
    return true;
}

#endif
