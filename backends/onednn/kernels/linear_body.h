/*
 * Inner products with weights as the model stores them, row by row: sums of IMAGES x FEATURES dot
 * products stay in registers. With one image nothing but the reading of the weights counts.
 */
#include "vectors.h"

/* A piece of FEATURES rows stays in the first-level cache while all images pass by. */
enum { PIECE = 1024 };

KERNEL float element(const hmt_dtype stored, const void *array, int64_t at)
{
    union {
        vec v;
        float f[LANES];
    } one;
    uint16_t half[LANES] = {0};

    if (stored == HMT_DTYPE_F32)
        return ((const float *)array)[at];
    half[0] = ((const uint16_t *)array)[at];
    one.v = load_stored(stored, half, 0);
    return one.f[0];
}

KERNEL void linear_block(const hmt_dtype stored, const int images, const int features, int64_t k,
                         const float *x, int64_t x_row, const void *w, int64_t w_row, float *y,
                         int64_t y_row)
{
    union {
        vec v[IMAGES][FEATURES];
        float f[IMAGES][FEATURES][LANES];
    } sum;
    vec part[IMAGES][FEATURES];
    int64_t i = 0;

#pragma GCC unroll 16
    for (int n = 0; n < images; ++n)
#pragma GCC unroll 16
        for (int o = 0; o < features; ++o)
            part[n][o] = (vec){0};
    /* Narrow rows are asked for ahead, a cache line at a time; those of float32 are read ahead by
     * the processor itself, and faster. */
    for (; images == 1 && stored != HMT_DTYPE_F32 && i + 2 * LANES <= k; i += 2 * LANES) {
        const vec x0 = load(x + i), x1 = load(x + i + LANES);

#pragma GCC unroll 16
        for (int o = 0; o < features; ++o) {
            const int64_t at = o * w_row + i;

            __builtin_prefetch((const char *)w + at * width(stored) + WEIGHTS_AHEAD);
            part[0][o] += load_stored(stored, w, at) * x0;
            part[0][o] += load_stored(stored, w, at + LANES) * x1;
        }
    }
    for (; i + LANES <= k; i += LANES) {
        vec xs[IMAGES];

#pragma GCC unroll 16
        for (int n = 0; n < images; ++n)
            xs[n] = load(x + n * x_row + i);
#pragma GCC unroll 16
        for (int o = 0; o < features; ++o) {
            const vec wo = load_stored(stored, w, o * w_row + i);

#pragma GCC unroll 16
            for (int n = 0; n < images; ++n)
                part[n][o] += wo * xs[n];
        }
    }
    for (int n = 0; n < images; ++n)
        for (int o = 0; o < features; ++o) {
            float all_lanes = 0.0f;

            sum.v[n][o] = part[n][o];
            for (int lane = 0; lane < LANES; ++lane)
                all_lanes += sum.f[n][o][lane];
            for (int64_t rest = i; rest < k; ++rest)
                all_lanes += x[n * x_row + rest] * element(stored, w, o * w_row + rest);
            y[n * y_row + o] += all_lanes;
        }
}

/* What linear() has to read, at one place. */
typedef struct linear_operands {
    const void *x;
    const float *steps;
    const void *w;
    const float *scales;
} linear_operands;

/* y(images,features) += from image `image` and element `from` on, `length` elements of k. */
KERNEL void linear_piece(const hmt_dtype stored, const int images, const int features,
                         linear_operands in, int64_t image, int64_t from, int64_t length, int64_t k,
                         float *y, int64_t y_row)
{
    const int64_t at = image * k + from;
    const void *w = (const char *)in.w + from * width(stored);

    y += image * y_row;
    if (stored == HMT_DTYPE_I8)
        integer_block(images, features, length, (const int16_t *)in.x + at, in.steps + image, k,
                      (const int8_t *)w, in.scales, k, y, y_row);
    else
        linear_block(stored, images, features, length, (const float *)in.x + at, k, w, k, y, y_row);
}

KERNEL void linear_features(const hmt_dtype stored, const int features, int64_t n, int64_t k,
                            linear_operands in, const float *bias, int relu, float *y,
                            int64_t y_row)
{
    const int64_t piece = stored == HMT_DTYPE_I8 ? LONGEST : n <= IMAGES ? k : PIECE;

    for (int64_t i = 0; i < n; ++i)
        for (int o = 0; o < features; ++o)
            y[i * y_row + o] = bias != NULL ? bias[o] : 0.0f;
    for (int64_t from = 0; from < k; from += piece) {
        const int64_t length = k - from < piece ? k - from : piece;
        int64_t i = 0;

        for (; i + IMAGES <= n; i += IMAGES)
            linear_piece(stored, IMAGES, features, in, i, from, length, k, y, y_row);
        if (i + 2 <= n) {
            linear_piece(stored, 2, features, in, i, from, length, k, y, y_row);
            i += 2;
        }
        for (; i < n; ++i)
            linear_piece(stored, 1, features, in, i, from, length, k, y, y_row);
    }
    for (int64_t i = 0; relu && i < n; ++i)
        for (int o = 0; o < features; ++o)
            y[i * y_row + o] = y[i * y_row + o] > 0.0f ? y[i * y_row + o] : 0.0f;
}

KERNEL void linear_stored(const hmt_dtype stored, int64_t n, int64_t k, linear_operands in,
                          int64_t rows, const float *bias, int relu, float *y, int64_t y_row)
{
    for (int64_t o = 0, step; o < rows; o += step) {
        const linear_operands at = {in.x, in.steps, (const char *)in.w + o * k * width(stored),
                                    in.scales != NULL ? in.scales + o : NULL};
        const float *shift = bias != NULL ? bias + o : NULL;

        step = o + FEATURES <= rows ? FEATURES : 1;
        if (step == FEATURES)
            linear_features(stored, FEATURES, n, k, at, shift, relu, y + o, y_row);
        else
            linear_features(stored, 1, n, k, at, shift, relu, y + o, y_row);
    }
}

static void linear(hmt_dtype stored, int64_t n, int64_t k, const void *x, const float *steps,
                   const void *w, const float *scales, int64_t rows, const float *bias, int relu,
                   float *y, int64_t y_row)
{
    const linear_operands in = {x, steps, w, scales};

    if (stored == HMT_DTYPE_F32)
        linear_stored(HMT_DTYPE_F32, n, k, in, rows, bias, relu, y, y_row);
    else if (stored == HMT_DTYPE_F16)
        linear_stored(HMT_DTYPE_F16, n, k, in, rows, bias, relu, y, y_row);
    else if (stored == HMT_DTYPE_BF16)
        linear_stored(HMT_DTYPE_BF16, n, k, in, rows, bias, relu, y, y_row);
    else
        linear_stored(HMT_DTYPE_I8, n, k, in, rows, bias, relu, y, y_row);
}
