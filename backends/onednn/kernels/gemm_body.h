/*
 * The matrix product's micro-kernel: up to ROWS x 2 vectors of sums stay in registers while a row
 * of b is read and as many values of a are spread over it. Meanwhile what will be read of b next
 * comes into the second-level cache, so that reading overlaps with computing.
 */
#ifndef HMT_ONEDNN_GEMM_BODY_H
#define HMT_ONEDNN_GEMM_BODY_H

#include "vectors.h"

/* b's part that is used over and over: DEPTH x 2 vectors stay in the first-level cache. Rows of it
 * in a turn of the loop: where a row is one cache line, turns of two need fewer instructions, and
 * the processor foresees the next lines by itself. */
enum {
    DEPTH = 256,
    WIDE_DEPTH = DEPTH * 8 / LANES,
    AHEAD = 2048,
    LINE = 64,
    TURN = LANES < 16 ? 2 : 1
};

/* What is fetched while a block is computed: in each turn `step` bytes, of which the second line
 * lies `apart` bytes behind the first. */
typedef struct coming {
    const char *at;
    int64_t step, apart;
} coming;

KERNEL void fetch(coming *next)
{
    __builtin_prefetch(next->at, 0, 2);
    if (next->step > LINE)
        __builtin_prefetch(next->at + next->apart, 0, 2);
    next->at += next->step;
}

/* Row p of b by as many values of a. */
KERNEL void gemm_row(const hmt_dtype stored, const int rows, int64_t p, const float *a,
                     int64_t a_row, const void *b, int64_t b_step, vec (*sum)[2])
{
    const vec b0 = load_stored(stored, b, p * b_step),
              b1 = load_stored(stored, b, p * b_step + LANES);

    UNROLL
    for (int i = 0; i < rows; ++i) {
        const vec ai = all(a[i * a_row]);

        sum[i][0] += ai * b0;
        sum[i][1] += ai * b1;
    }
}

/* In turns of two inlined with a_row or a_step a constant 1: steps that are all variables would not
 * fit the registers. */
KERNEL void gemm_block(const hmt_dtype stored, const int rows, int64_t k, const float *a,
                       int64_t a_row, int64_t a_step, const void *b, int64_t b_step, float *c,
                       int64_t c_row, int add, coming next)
{
    vec sum[ROWS][2];
    int64_t p = 0;

    UNROLL
    for (int i = 0; i < rows; ++i) {
        sum[i][0] = add ? load(c + i * c_row) : (vec){0};
        sum[i][1] = add ? load(c + i * c_row + LANES) : (vec){0};
    }
    for (; p + TURN <= k; p += TURN, a += TURN * a_step) {
        if (TURN == 1)
            __builtin_prefetch((const char *)b + p * b_step * stored_width(stored) + AHEAD);
        fetch(&next);
        gemm_row(stored, rows, p, a, a_row, b, b_step, sum);
        if (TURN > 1)
            gemm_row(stored, rows, p + 1, a + a_step, a_row, b, b_step, sum);
    }
    if (TURN > 1 && p < k)
        gemm_row(stored, rows, p, a, a_row, b, b_step, sum);
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

/* A part's rows of b, at bp, by all of a. */
KERNEL void gemm_part(const hmt_dtype stored, int64_t m, int64_t depth, const float *a,
                      int64_t a_row, int64_t a_step, const void *bp, int64_t b_step, float *c,
                      int64_t c_row, int add, const char *next, int64_t share)
{
    const int64_t blocks = (m + ROWS - 1) / ROWS;

    for (int64_t block = 0; block < blocks; ++block) {
        const int64_t i = m * block / blocks, rows = m * (block + 1) / blocks - i;

        gemm_rows(stored, rows, depth, a + i * a_row, a_row, a_step, bp, b_step, c + i * c_row,
                  c_row, add, (coming){next + block * share, TURN * share / depth, LINE});
    }
}

static void gemm(hmt_dtype stored, int64_t m, int64_t k, const float *a, int64_t a_row,
                 int64_t a_step, const void *b, int64_t b_step, float *c, int64_t c_row, int add,
                 int64_t behind)
{
    const int64_t row = b_step * stored_width(stored), blocks = (m + ROWS - 1) / ROWS;
    const int widens = stored == HMT_DTYPE_BF16 || (stored == HMT_DTYPE_F16 && !LOADS_F16);
    const int64_t most = widens ? WIDE_DEPTH : DEPTH, parts = (k + most - 1) / most;
    float wide[WIDE_DEPTH * 2 * LANES] __attribute__((aligned(64)));

    for (int64_t part = 0; part < parts; ++part, add = 1) {
        const int64_t from = k * part / parts, depth = k * (part + 1) / parts - from;
        const int64_t left = (k - from - depth) * row + behind, size = depth * row;
        const int64_t share = (left < size ? left : size) / blocks;
        const char *bp = (const char *)b + from * row, *next = bp + size;
        const float *ap = a + from * a_step;

        if (stored == HMT_DTYPE_F16 && LOADS_F16) {
            gemm_part(HMT_DTYPE_F16, m, depth, ap, a_row, 1, bp, b_step, c, c_row, add, next,
                      share);
            continue;
        }
        if (widens)
            widen(stored, depth, bp, b_step, wide);
        if (TURN > 1 && a_step == 1)
            gemm_part(HMT_DTYPE_F32, m, depth, ap, a_row, 1, widens ? (const char *)wide : bp,
                      widens ? 2 * LANES : b_step, c, c_row, add, next, share);
        else
            gemm_part(HMT_DTYPE_F32, m, depth, ap, TURN > 1 ? 1 : a_row, a_step,
                      widens ? (const char *)wide : bp, widens ? 2 * LANES : b_step, c, c_row, add,
                      next, share);
    }
}

#endif
