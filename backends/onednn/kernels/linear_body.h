/*
 * Inner products with weights as the model stores them, row by row: sums of IMAGES x FEATURES dot
 * products stay in registers. With one image nothing but the reading of the weights counts.
 */
#include "vectors.h"

/* Of many images: a piece of MANY rows stays in the first-level cache while all images pass by, and
 * theirs in the second-level cache while all rows do. */
enum { MANY = LANES >= 16 ? 8 : FEATURES, PIECE = 1024 };

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

/* Rows of a weight that will be read next, an element of each at a time. */
typedef struct coming_rows {
    const char *at;
    int count;
} coming_rows;

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
                         int64_t y_row, coming_rows next)
{
    vec part[IMAGES][MANY];
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

        for (int row = 0; row < next.count; ++row)
            __builtin_prefetch(next.at + (row * w_row + i) * width(stored), 0, 2);
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
            y[i * y_row + o] = y[i * y_row + o] > 0.0f ? y[i * y_row + o] : 0.0f;
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
        linear_block(stored, images, features, length, (const float *)in.x + at, k, w, k, y, y_row,
                     (coming_rows){NULL, 0});
}

/* Few images, or 8 bits: some rows, whole. */
KERNEL void linear_features(const hmt_dtype stored, const int features, int64_t n, int64_t k,
                            linear_operands in, const float *bias, int relu, float *y,
                            int64_t y_row)
{
    const int64_t piece = stored == HMT_DTYPE_I8 ? LONGEST : k;

    begin_sums(n, features, bias, y, y_row);
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
    end_sums(n, features, relu, y, y_row);
}

/* All images by `features` rows' piece; meanwhile `next`, as many rows of another piece, come into
 * the second-level cache, a share of them beside each block of images. */
KERNEL void linear_pass(const hmt_dtype stored, const int features, int64_t n, int64_t k,
                        const float *x, const char *w, int64_t length, float *y, int64_t y_row,
                        const char *next)
{
    const int64_t blocks = (n + IMAGES - 1) / IMAGES;

    for (int64_t block = 0, i = 0; block < blocks; ++block) {
        const int64_t end = n * (block + 1) / blocks, first = features * block / blocks;
        const coming_rows rows = {next + first * k * width(stored),
                                  (int)(features * (block + 1) / blocks - first)};

        if (end - i == IMAGES)
            linear_block(stored, IMAGES, features, length, x + i * k, k, w, k, y + i * y_row, y_row,
                         rows);
        else if (end - i == 2)
            linear_block(stored, 2, features, length, x + i * k, k, w, k, y + i * y_row, y_row,
                         rows);
        else
            linear_block(stored, 1, features, length, x + i * k, k, w, k, y + i * y_row, y_row,
                         rows);
        i = end;
    }
}

/* Many images: all rows, a piece at a time. */
KERNEL void linear_many(const hmt_dtype stored, int64_t n, int64_t k, const float *x, const char *w,
                        int64_t rows, const float *bias, int relu, float *y, int64_t y_row)
{
    const int64_t row = k * width(stored);

    begin_sums(n, rows, bias, y, y_row);
    for (int64_t from = 0; from < k; from += PIECE) {
        const int64_t length = k - from < PIECE ? k - from : PIECE;
        const char *piece = w + from * width(stored);
        int64_t o = 0;

        for (; o + MANY <= rows; o += MANY)
            linear_pass(stored, MANY, n, k, x + from, piece + o * row, length, y + o, y_row,
                        o + 2 * MANY <= rows ? piece + (o + MANY) * row
                                             : piece + PIECE * width(stored));
        for (; o < rows; ++o)
            linear_pass(stored, 1, n, k, x + from, piece + o * row, length, y + o, y_row,
                        piece + (o + 1) * row);
    }
    end_sums(n, rows, relu, y, y_row);
}

KERNEL void linear_stored(const hmt_dtype stored, int64_t n, int64_t k, linear_operands in,
                          int64_t rows, const float *bias, int relu, float *y, int64_t y_row)
{
    if (stored != HMT_DTYPE_I8 && n > IMAGES) {
        linear_many(stored, n, k, (const float *)in.x, (const char *)in.w, rows, bias, relu, y,
                    y_row);
        return;
    }
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
