/*
 * Dot products of 8-bit weights and 16-bit activations. Their 32-bit sums are exact: LONGEST
 * products of 2^7 and 2^15 - 1, shared out to LANES sums, do not reach 2^31.
 */
#ifndef HMT_ONEDNN_INTEGER_BODY_H
#define HMT_ONEDNN_INTEGER_BODY_H

#include <math.h>

#include "vectors.h"

typedef int32_t ints __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef int16_t shorts __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef int16_t loose_shorts
    __attribute__((vector_size(LANES * sizeof(int32_t)), aligned(2), may_alias));
typedef int8_t loose_bytes
    __attribute__((vector_size(2 * LANES * sizeof(int8_t)), aligned(1), may_alias));

enum { PAIRS = 2 * LANES, LONGEST = 512 * LANES, MOST_STEPS = 32767 };

#ifndef MADD
#define MADD(a, b) add_pairs(a, b)

/* Products of neighbours, added. */
KERNEL ints add_pairs(shorts a, shorts b)
{
    const ints x = (ints)a, y = (ints)b;

    return (x >> 16) * (y >> 16) + (x << 16 >> 16) * (y << 16 >> 16);
}
#endif

#ifndef MADD_TO
#define MADD_TO(sum, a, b) ((sum) + MADD(a, b))
#endif

/* y(images,features) += of k elements, at most LONGEST; meanwhile `next` is fetched. */
KERNEL void integer_block(const int images, const int features, int64_t k, const int16_t *x,
                          const float *steps, int64_t x_row, const int8_t *w, const float *scales,
                          int64_t w_row, float *y, int64_t y_row, weight_prefetch prefetch,
                          coming_rows next)
{
    ints part[IMAGES][MANY];
    int64_t i = 0;

    UNROLL
    for (int n = 0; n < images; ++n) {
        UNROLL
        for (int o = 0; o < features; ++o)
            part[n][o] = (ints){0};
    }
    for (; i + PAIRS <= k; i += PAIRS) {
        shorts xs[IMAGES];

        for (int row = 0; row < next.count; ++row)
            __builtin_prefetch(next.at + row * w_row + i, 0, 2);
        UNROLL
        for (int n = 0; n < images; ++n)
            xs[n] = *(const loose_shorts *)(x + n * x_row + i);
        UNROLL
        for (int o = 0; o < features; ++o) {
            const shorts wo =
                __builtin_convertvector(*(const loose_bytes *)(w + o * w_row + i), shorts);

            if (images == 1 && prefetch == PREFETCH_NONTEMPORAL)
                prefetch_nontemporal(w + o * w_row + i, PAIRS);
            UNROLL
            for (int n = 0; n < images; ++n)
                part[n][o] = MADD_TO(part[n][o], xs[n], wo);
        }
    }
    for (int n = 0; n < images; ++n)
        for (int o = 0; o < features; ++o) {
            int64_t sum = 0;

            for (int lane = 0; lane < LANES; ++lane)
                sum += part[n][o][lane];
            for (int64_t rest = i; rest < k; ++rest)
                sum += (int32_t)x[n * x_row + rest] * w[o * w_row + rest];
            y[n * y_row + o] += (float)sum * (steps[n] * scales[o]);
        }
}

static float quantise(int64_t k, const float *x, int16_t *to)
{
    float most = 0.0f, finite = 0.0f, factor;

    for (int64_t i = 0; i < k; ++i) {
        const float magnitude = fabsf(x[i]);

        most = magnitude > most ? magnitude : most;
        finite += x[i] - x[i]; /* NaN of an infinity or NaN */
    }
    factor = most > 0.0f && finite == 0.0f ? MOST_STEPS / most : 0.0f;
    if (!isfinite(factor)) /* all but zero */
        factor = 0.0f;
    for (int64_t i = 0; i < k; ++i)
        to[i] = factor > 0.0f ? (int16_t)(x[i] * factor + (x[i] < 0.0f ? -0.5f : 0.5f)) : 0;
    return finite == 0.0f ? most / MOST_STEPS : finite;
}

#endif
