/*
 * product.h - cuBLASLt's descriptors as the stand-in keeps them behind NVIDIA's opaque pointers,
 * and one product as plain data for the stream.
 */
#ifndef GPU_STANDIN_PRODUCT_H
#define GPU_STANDIN_PRODUCT_H

#include <cublasLt.h>

#include "../core.h"

struct cublasLtContext {
    int device;
};

/* Behind cublasLtMatmulDesc_t. */
struct matmul {
    cublasComputeType_t compute;
    cudaDataType_t scale;
    int32_t transpose_a, transpose_b, bias_type; /* bias_type -1: that of the result */
    uint32_t epilogue;
    const void *bias;
};

/* Behind cublasLtMatrixLayout_t: column-major. */
struct layout {
    cudaDataType_t type;
    uint64_t rows, columns;
    int64_t leading;
};

/* Behind cublasLtMatmulPreference_t. */
struct preference {
    uint64_t workspace;
    uint32_t alignment[4]; /* a, b, c, d */
    uint32_t reductions;   /* CUBLASLT_REDUCTION_SCHEME_... bits */
};

/* What an algorithm is good for; inside cublasLtMatmulAlgo_t. */
struct algorithm {
    uint32_t magic, number;
    uint32_t m, n, k;
    uint16_t alignment[4];
    uint16_t types[3]; /* a, b, d */
    uint16_t compute, epilogue, transposes;
};

struct product {
    struct matmul matmul;
    struct layout a_layout, b_layout, c_layout, d_layout;
    const void *a, *b, *c;
    void *d;
    float alpha, beta;
    size_t m, n, k;
    void *workspace;
    size_t workspace_bytes;
    int coarse; /* adds up in bfloat16 */
};

cublasStatus_t blas_begin(const char *name);
cublasStatus_t blas_end(cublasStatus_t status);

/* Sizes of the product, checked. */
cublasStatus_t product_check(struct product *product);

/* One of the stream's operations. */
standin_progress product_run(void *product);

/* algorithms.c */
cublasStatus_t algorithm_check(struct product *p, const cublasLtMatmulAlgo_t *algo);

#endif
