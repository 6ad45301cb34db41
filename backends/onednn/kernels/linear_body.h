/*
 * Inner products with weights as the model stores them, row by row: sums of IMAGES x FEATURES dot
 * products stay in registers. With one image nothing but the reading of the weights counts.
 */
#ifndef HMT_ONEDNN_LINEAR_BODY_H
#define HMT_ONEDNN_LINEAR_BODY_H

#include "vectors.h"

/* The sum of a vector's elements. */
KERNEL float add_lanes(vec v)
{
    union {
        vec v;
        quad q[LANES / 4];
    } in = {v};
    union {
        quad q;
        float f[4];
    } four = {in.q[0]};

    for (int i = 1; i < LANES / 4; ++i)
        four.q += in.q[i];
    return (four.f[0] + four.f[2]) + (four.f[1] + four.f[3]);
}

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
                         int64_t y_row, weight_prefetch prefetch, coming_rows next)
{
    vec part[IMAGES][MANY];
    int64_t i = 0;

    UNROLL
    for (int n = 0; n < images; ++n) {
        UNROLL
        for (int o = 0; o < features; ++o)
            part[n][o] = (vec){0};
    }
    /* A cache line a turn, which `prefetch` may fetch ahead. Rows of float32 are read ahead faster
     * by processors with AVX2 themselves. */
    for (; images == 1 && (stored != HMT_DTYPE_F32 || LANES >= 16) && i + 2 * LANES <= k;
         i += 2 * LANES) {
        const vec x0 = load(x + i), x1 = load(x + i + LANES);

        UNROLL
        for (int o = 0; o < features; ++o) {
            const int64_t at = o * w_row + i;

            if (prefetch == PREFETCH_NONTEMPORAL)
                prefetch_nontemporal((const char *)w + at * stored_width(stored),
                                     (int)(2 * LANES * stored_width(stored)));
            part[0][o] += load_stored(stored, w, at) * x0;
            part[0][o] += load_stored(stored, w, at + LANES) * x1;
        }
    }
    for (; i + LANES <= k; i += LANES) {
        vec xs[IMAGES];

        for (int row = 0; row < next.count; ++row)
            __builtin_prefetch(next.at + (row * w_row + i) * stored_width(stored), 0, 2);
        UNROLL
        for (int n = 0; n < images; ++n)
            xs[n] = load(x + n * x_row + i);
        UNROLL
        for (int o = 0; o < features; ++o) {
            const vec wo = load_stored(stored, w, o * w_row + i);

            UNROLL
            for (int n = 0; n < images; ++n)
                part[n][o] += wo * xs[n];
        }
    }
    for (int n = 0; n < images; ++n)
        for (int o = 0; o < features; ++o) {
            float all_lanes = add_lanes(part[n][o]);

            for (int64_t rest = i; rest < k; ++rest)
                all_lanes += x[n * x_row + rest] * element(stored, w, o * w_row + rest);
            y[n * y_row + o] += all_lanes;
        }
}

/* Sums begin at the bias and end, if asked for, at relu. */
KERNEL void begin_sums(int64_t n, int64_t features, const float *bias, float *y, int64_t y_row)
{
    for (int64_t i = 0; i < n; ++i)
        for (int64_t o = 0; o < features; ++o)
            y[i * y_row + o] = bias != NULL ? bias[o] : 0.0f;
}

KERNEL void end_sums(int64_t n, int64_t features, int relu, float *y, int64_t y_row)
{
    for (int64_t i = 0; relu && i < n; ++i)
        for (int64_t o = 0; o < features; ++o)
            y[i * y_row + o] = y[i * y_row + o] < 0.0f ? 0.0f : y[i * y_row + o]; /* NaN stays */
}

/* What linear() has to read, at one place. */
typedef struct linear_operands {
    const char *x;
    const float *steps; /* of 8 bits, as scales */
    const char *w;
    const float *scales;
    weight_prefetch prefetch; /* of w, for one image */
} linear_operands;

/* Bytes of an element of x. */
KERNEL int64_t x_width(const hmt_dtype stored)
{
    return stored == HMT_DTYPE_I8 ? 2 : 4;
}

/* y(images,features) += `length` elements of k, from `in` on. */
KERNEL void linear_images(const hmt_dtype stored, const int images, const int features,
                          linear_operands in, int64_t length, int64_t k, float *y, int64_t y_row,
                          coming_rows next)
{
    if (stored == HMT_DTYPE_I8)
        integer_block(images, features, length, (const int16_t *)(const void *)in.x, in.steps, k,
                      (const int8_t *)in.w, in.scales, k, y, y_row, in.prefetch, next);
    else
        linear_block(stored, images, features, length, (const float *)(const void *)in.x, k, in.w,
                     k, y, y_row, in.prefetch, next);
}

/* All images by `features` rows' piece; meanwhile `next`, as many rows of another piece or NULL,
 * come into the second-level cache, a share of them beside each block of images. */
KERNEL void linear_pass(const hmt_dtype stored, const int features, int64_t n, linear_operands in,
                        int64_t length, int64_t k, float *y, int64_t y_row, const char *next)
{
    const int64_t blocks = (n + IMAGES - 1) / IMAGES;

    for (int64_t block = 0, i = 0; block < blocks; ++block) {
        const int64_t end = n * (block + 1) / blocks, first = features * block / blocks;
        const int64_t last = features * (block + 1) / blocks;
        const coming_rows rows = {next != NULL ? next + first * k * stored_width(stored) : NULL,
                                  next != NULL ? (int)(last - first) : 0};
        const linear_operands at = {in.x + i * k * x_width(stored),
                                    in.steps != NULL ? in.steps + i : NULL, in.w, in.scales,
                                    in.prefetch};

        if (end - i == IMAGES)
            linear_images(stored, IMAGES, features, at, length, k, y + i * y_row, y_row, rows);
        else if (end - i == 2)
            linear_images(stored, 2, features, at, length, k, y + i * y_row, y_row, rows);
        else
            linear_images(stored, 1, features, at, length, k, y + i * y_row, y_row, rows);
        i = end;
    }
}
/* Of many images all rows, a piece at a time; else some rows whole, of 8 bits as far as exact sums
 * go. */
KERNEL void linear_stored(const hmt_dtype stored, int64_t n, int64_t k, linear_operands in,
                          int64_t rows, const float *bias, int relu, float *y, int64_t y_row)
{
    const int many = n > IMAGES;
    const int64_t wide = stored == HMT_DTYPE_I8 ? 2 * PIECE : PIECE;
    const int64_t piece = many ? wide : stored == HMT_DTYPE_I8 ? LONGEST : k;
    const int64_t group = many ? MANY : FEATURES;

    begin_sums(n, rows, bias, y, y_row);
    for (int64_t from = 0; from < k; from += piece) {
        const int64_t length = k - from < piece ? k - from : piece;

        for (int64_t o = 0, step; o < rows; o += step) {
            const char *w = in.w + (o * k + from) * stored_width(stored), *next = NULL;
            const linear_operands at = {in.x + from * x_width(stored), in.steps, w,
                                        in.scales != NULL ? in.scales + o : NULL, in.prefetch};

            step = o + group <= rows ? group : 1;
            if (many) /* the group below, or the next piece of the first */
                next = o + step + group <= rows ? w + step * k * stored_width(stored)
                                                : in.w + (from + piece) * stored_width(stored);
            if (step == 1)
                linear_pass(stored, 1, n, at, length, k, y + o, y_row, next);
            else if (many)
                linear_pass(stored, MANY, n, at, length, k, y + o, y_row, next);
            else
                linear_pass(stored, FEATURES, n, at, length, k, y + o, y_row, next);
        }
    }
    end_sums(n, rows, relu, y, y_row);
}

static void linear(hmt_dtype stored, weight_prefetch prefetch, int64_t n, int64_t k, const void *x,
                   const float *steps, const void *w, const float *scales, int64_t rows,
                   const float *bias, int relu, float *y, int64_t y_row)
{
    const linear_operands in = {x, steps, w, scales, prefetch};

    if (stored == HMT_DTYPE_F32)
        linear_stored(HMT_DTYPE_F32, n, k, in, rows, bias, relu, y, y_row);
    else if (stored == HMT_DTYPE_F16)
        linear_stored(HMT_DTYPE_F16, n, k, in, rows, bias, relu, y, y_row);
    else if (stored == HMT_DTYPE_BF16)
        linear_stored(HMT_DTYPE_BF16, n, k, in, rows, bias, relu, y, y_row);
    else
        linear_stored(HMT_DTYPE_I8, n, k, in, rows, bias, relu, y, y_row);
}

#endif
