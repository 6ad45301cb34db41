/*
 * The matrix product behind convolutions and inner products. Blocked so that a piece of b stays in
 * the cache while all rows of c pass over it; four rows of b at a time, which the compiler turns
 * into vector code and which keeps rounding errors small.
 */
#include "internal.h"

/* Floats of a row, and rows, of the piece of b: 256 * 64 floats are 64 KiB. */
enum { BLOCK_N = 256, BLOCK_K = 64 };

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* c(n) += a[0..k) times the rows of b(k,n); elements of a are `step` apart. */
static void add_rows(int64_t k, int64_t n, const float *a, int64_t step, const float *b,
                     int64_t b_row, float *restrict c)
{
    int64_t i = 0, j;

    for (; i + 4 <= k; i += 4, b += 4 * b_row) {
        const float *restrict b0 = b, *restrict b1 = b + b_row;
        const float *restrict b2 = b + 2 * b_row, *restrict b3 = b + 3 * b_row;
        float a0 = a[i * step], a1 = a[(i + 1) * step];
        float a2 = a[(i + 2) * step], a3 = a[(i + 3) * step];

        for (j = 0; j < n; ++j)
            c[j] += (a0 * b0[j] + a1 * b1[j]) + (a2 * b2[j] + a3 * b3[j]);
    }
    for (; i < k; ++i, b += b_row) {
        float a0 = a[i * step];

        for (j = 0; j < n; ++j)
            c[j] += a0 * b[j];
    }
}

void reference_product(int64_t m, int64_t k, int64_t n, const float *a, int64_t a_row,
                       int64_t a_column, const float *b, int64_t b_row, float *c, int64_t c_row)
{
    for (int64_t j = 0; j < n; j += BLOCK_N)
        for (int64_t i = 0; i < k; i += BLOCK_K)
            for (int64_t row = 0; row < m; ++row)
                add_rows(least(BLOCK_K, k - i), least(BLOCK_N, n - j),
                         a + row * a_row + i * a_column, a_column, b + i * b_row + j, b_row,
                         c + row * c_row + j);
}
