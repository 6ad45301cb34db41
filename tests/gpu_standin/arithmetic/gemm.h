/*
 * gemm.h - the matrix product behind the stand-ins' convolutions and cuBLASLt.
 */
#ifndef GPU_STANDIN_GEMM_H
#define GPU_STANDIN_GEMM_H

#include <stddef.h>

/* c (m,n) = a (m,k) times b (k,n), added to c if `add`. Row-major; element (i,j) of a is at a[i *
 * a_row + j * a_column], so that transposes are a matter of strides. 0, or -1 if memory is short.
 */
int standin_gemm(size_t m, size_t n, size_t k, const float *a, size_t a_row, size_t a_column,
                 const float *b, size_t b_row, size_t b_column, float *c, size_t c_row, int add);

#endif
