/*
 * The matrix product's micro-kernel: ROWS x 2 vectors of sums stay in registers while a row of b
 * is read and ROWS values of a are spread over it.
 */
#include "vectors.h"

/* b's part that is used over and over: DEPTH x 2 vectors stay in the first-level cache. */
enum { DEPTH = 256, AHEAD = 32 * 2 * LANES };

KERNEL void gemm_block(const int rows, int64_t k, const float *a, int64_t a_row, int64_t a_step,
                       const float *b, int64_t b_step, float *c, int64_t c_row, int add)
{
    vec sum[ROWS][2];

#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i) {
        sum[i][0] = add ? load(c + i * c_row) : (vec){0};
        sum[i][1] = add ? load(c + i * c_row + LANES) : (vec){0};
    }
    for (int64_t p = 0; p < k; ++p) {
        vec b0 = load(b), b1 = load(b + LANES);

        __builtin_prefetch(b + AHEAD);
#pragma GCC unroll 16
        for (int i = 0; i < rows; ++i) {
            vec ai = all(a[i * a_row]);

            sum[i][0] += ai * b0;
            sum[i][1] += ai * b1;
        }
        a += a_step;
        b += b_step;
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; ++i) {
        store(c + i * c_row, sum[i][0]);
        store(c + i * c_row + LANES, sum[i][1]);
    }
}

/* The rows that are left over. */
static void gemm_rest(int64_t rows, int64_t k, const float *a, int64_t a_row, int64_t a_step,
                      const float *b, int64_t b_step, float *c, int64_t c_row, int add)
{
    int64_t i = 0;

    for (; i + 4 <= rows && ROWS > 4; i += 4)
        gemm_block(ROWS > 4 ? 4 : 1, k, a + i * a_row, a_row, a_step, b, b_step, c + i * c_row,
                   c_row, add);
    for (; i + 2 <= rows; i += 2)
        gemm_block(2, k, a + i * a_row, a_row, a_step, b, b_step, c + i * c_row, c_row, add);
    if (i < rows)
        gemm_block(1, k, a + i * a_row, a_row, a_step, b, b_step, c + i * c_row, c_row, add);
}

static void gemm(int64_t m, int64_t k, const float *a, int64_t a_row, int64_t a_step,
                 const float *b, int64_t b_step, float *c, int64_t c_row, int add)
{
    const int64_t parts = (k + DEPTH - 1) / DEPTH;

    for (int64_t part = 0; part < parts; ++part) {
        const int64_t from = k * part / parts, depth = k * (part + 1) / parts - from;
        const float *ap = a + from * a_step, *bp = b + from * b_step;
        int64_t i = 0;

        for (; i + ROWS <= m; i += ROWS)
            gemm_block(ROWS, depth, ap + i * a_row, a_row, a_step, bp, b_step, c + i * c_row, c_row,
                       add || part > 0);
        gemm_rest(m - i, depth, ap + i * a_row, a_row, a_step, bp, b_step, c + i * c_row, c_row,
                  add || part > 0);
    }
}
