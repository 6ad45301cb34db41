/*
 * The matrix product's micro-kernel: ROWS x 2 vectors of sums stay in registers while a row of b
 * is read and ROWS values of a are spread over it.
 */
#include "vectors.h"

/* b's part that is used over and over: DEPTH x 2 vectors stay in the first-level cache. */
enum { DEPTH = 256, AHEAD = 2048 };

KERNEL int64_t width(hmt_dtype stored)
{
    return stored == HMT_DTYPE_F32 ? 4 : stored == HMT_DTYPE_I8 ? 1 : 2;
}

KERNEL void gemm_block(const hmt_dtype stored, const int rows, int64_t k, const float *a,
                       int64_t a_row, int64_t a_step, const void *b, int64_t b_step, float *c,
                       int64_t c_row, int add)
{
    vec sum[ROWS][2];

#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i) {
        sum[i][0] = add ? load(c + i * c_row) : (vec){0};
        sum[i][1] = add ? load(c + i * c_row + LANES) : (vec){0};
    }
    for (int64_t p = 0; p < k; ++p) {
        vec b0 = load_stored(stored, b, p * b_step),
            b1 = load_stored(stored, b, p * b_step + LANES);

        __builtin_prefetch((const char *)b + p * b_step * width(stored) + AHEAD);
#pragma GCC unroll 16
        for (int i = 0; i < rows; ++i) {
            vec ai = all(a[i * a_row]);

            sum[i][0] += ai * b0;
            sum[i][1] += ai * b1;
        }
        a += a_step;
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i) {
        store(c + i * c_row, sum[i][0]);
        store(c + i * c_row + LANES, sum[i][1]);
    }
}

/* The rows that are left over. */
KERNEL void gemm_rest(const hmt_dtype stored, int64_t rows, int64_t k, const float *a,
                      int64_t a_row, int64_t a_step, const void *b, int64_t b_step, float *c,
                      int64_t c_row, int add)
{
    int64_t i = 0;

    for (; i + 4 <= rows && ROWS > 4; i += 4)
        gemm_block(stored, ROWS > 4 ? 4 : 1, k, a + i * a_row, a_row, a_step, b, b_step,
                   c + i * c_row, c_row, add);
    for (; i + 2 <= rows; i += 2)
        gemm_block(stored, 2, k, a + i * a_row, a_row, a_step, b, b_step, c + i * c_row, c_row,
                   add);
    if (i < rows)
        gemm_block(stored, 1, k, a + i * a_row, a_row, a_step, b, b_step, c + i * c_row, c_row,
                   add);
}

KERNEL void gemm_stored(const hmt_dtype stored, int64_t m, int64_t k, const float *a, int64_t a_row,
                        int64_t a_step, const void *b, int64_t b_step, float *c, int64_t c_row,
                        int add)
{
    const int64_t parts = (k + DEPTH - 1) / DEPTH;

    for (int64_t part = 0; part < parts; ++part) {
        const int64_t from = k * part / parts, depth = k * (part + 1) / parts - from;
        const float *ap = a + from * a_step;
        const void *bp = (const char *)b + from * b_step * width(stored);
        int64_t i = 0;

        for (; i + ROWS <= m; i += ROWS)
            gemm_block(stored, ROWS, depth, ap + i * a_row, a_row, a_step, bp, b_step,
                       c + i * c_row, c_row, add || part > 0);
        gemm_rest(stored, m - i, depth, ap + i * a_row, a_row, a_step, bp, b_step, c + i * c_row,
                  c_row, add || part > 0);
    }
}

static void gemm(hmt_dtype stored, int64_t m, int64_t k, const float *a, int64_t a_row,
                 int64_t a_step, const void *b, int64_t b_step, float *c, int64_t c_row, int add)
{
    if (stored == HMT_DTYPE_F32)
        gemm_stored(HMT_DTYPE_F32, m, k, a, a_row, a_step, b, b_step, c, c_row, add);
    else if (stored == HMT_DTYPE_F16)
        gemm_stored(HMT_DTYPE_F16, m, k, a, a_row, a_step, b, b_step, c, c_row, add);
    else
        gemm_stored(HMT_DTYPE_BF16, m, k, a, a_row, a_step, b, b_step, c, c_row, add);
}
