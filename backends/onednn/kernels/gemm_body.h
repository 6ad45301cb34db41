/*
 * The matrix product's micro-kernel: up to ROWS x 2 vectors of sums stay in registers while a row
 * of b is read and as many values of a are spread over it. Meanwhile what will be read of b next
 * comes into the second-level cache, so that reading overlaps with computing.
 */
#ifndef HMT_ONEDNN_GEMM_BODY_H
#define HMT_ONEDNN_GEMM_BODY_H

#include "vectors.h"

/* b's part that is used over and over: DEPTH x 2 vectors stay in the first-level cache. */
enum { DEPTH = 256, AHEAD = 2048 };

/* What is fetched while a block is computed: `step` bytes, at most two cache lines, for each row of
 * b. */
typedef struct coming {
    const char *at;
    int64_t step;
} coming;

KERNEL void fetch(coming *next)
{
    enum { LINE = 64 };

    __builtin_prefetch(next->at, 0, 2);
    if (next->step > LINE)
        __builtin_prefetch(next->at + LINE, 0, 2);
    next->at += next->step;
}

KERNEL int64_t width(hmt_dtype stored)
{
    return stored == HMT_DTYPE_F32 ? 4 : stored == HMT_DTYPE_I8 ? 1 : 2;
}

KERNEL void gemm_block(const hmt_dtype stored, const int rows, int64_t k, const float *a,
                       int64_t a_row, int64_t a_step, const void *b, int64_t b_step, float *c,
                       int64_t c_row, int add, coming next)
{
    vec sum[ROWS][2];

    UNROLL
    for (int i = 0; i < rows; ++i) {
        sum[i][0] = add ? load(c + i * c_row) : (vec){0};
        sum[i][1] = add ? load(c + i * c_row + LANES) : (vec){0};
    }
    for (int64_t p = 0; p < k; ++p) {
        vec b0 = load_stored(stored, b, p * b_step),
            b1 = load_stored(stored, b, p * b_step + LANES);

        __builtin_prefetch((const char *)b + p * b_step * width(stored) + AHEAD);
        fetch(&next);
        UNROLL
        for (int i = 0; i < rows; ++i) {
            vec ai = all(a[i * a_row]);

            sum[i][0] += ai * b0;
            sum[i][1] += ai * b1;
        }
        a += a_step;
    }
    UNROLL
    for (int i = 0; i < rows; ++i) {
        store(c + i * c_row, sum[i][0]);
        store(c + i * c_row + LANES, sum[i][1]);
    }
}

/* A block of as many rows as its number says. */
KERNEL void gemm_rows(const hmt_dtype stored, int64_t rows, int64_t k, const float *a,
                      int64_t a_row, int64_t a_step, const void *b, int64_t b_step, float *c,
                      int64_t c_row, int add, coming next)
{
#define BLOCK(n)                                                                                   \
    case n:                                                                                        \
        gemm_block(stored, n, k, a, a_row, a_step, b, b_step, c, c_row, add, next);                \
        break

    switch (rows) {
        BLOCK(1);
        BLOCK(2);
        BLOCK(3);
#if ROWS >= 6
        BLOCK(4);
        BLOCK(5);
        BLOCK(6);
#endif
#if ROWS >= 14
        BLOCK(7);
        BLOCK(8);
        BLOCK(9);
        BLOCK(10);
        BLOCK(11);
        BLOCK(12);
        BLOCK(13);
        BLOCK(14);
#endif
    }
#undef BLOCK
}

/* A part's rows of 16 bits as float32. */
static void widen(hmt_dtype stored, int64_t rows, const void *b, int64_t b_step, float *to)
{
    for (int64_t p = 0; p < rows; ++p)
        for (int half = 0; half < 2; ++half, to += LANES)
            store(to, stored == HMT_DTYPE_F16
                          ? load_stored(HMT_DTYPE_F16, b, p * b_step + half * LANES)
                          : load_stored(HMT_DTYPE_BF16, b, p * b_step + half * LANES));
}

static void gemm(hmt_dtype stored, int64_t m, int64_t k, const float *a, int64_t a_row,
                 int64_t a_step, const void *b, int64_t b_step, float *c, int64_t c_row, int add,
                 int64_t behind)
{
    const int64_t parts = (k + DEPTH - 1) / DEPTH, blocks = (m + ROWS - 1) / ROWS;
    const int64_t row = b_step * width(stored);
    const int widens = stored == HMT_DTYPE_BF16 || (stored == HMT_DTYPE_F16 && !LOADS_F16);
    float wide[DEPTH * 2 * LANES] __attribute__((aligned(64)));

    for (int64_t part = 0; part < parts; ++part) {
        const int64_t from = k * part / parts, depth = k * (part + 1) / parts - from;
        const int64_t left = (k - from - depth) * row + behind, size = depth * row;
        const int64_t share = (left < size ? left : size) / blocks;
        const char *bp = (const char *)b + from * row;

        if (widens)
            widen(stored, depth, bp, b_step, wide);
        for (int64_t block = 0; block < blocks; ++block) {
            const int64_t i = m * block / blocks, rows = m * (block + 1) / blocks - i;
            const coming next = {bp + size + block * share, share / depth};
            const float *ap = a + from * a_step + i * a_row;

            if (stored == HMT_DTYPE_F16 && LOADS_F16)
                gemm_rows(HMT_DTYPE_F16, rows, depth, ap, a_row, a_step, bp, b_step, c + i * c_row,
                          c_row, add || part > 0, next);
            else
                gemm_rows(HMT_DTYPE_F32, rows, depth, ap, a_row, a_step,
                          widens ? (const char *)wide : bp, widens ? 2 * LANES : b_step,
                          c + i * c_row, c_row, add || part > 0, next);
        }
    }
}

#endif
