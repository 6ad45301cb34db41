/*
 * product.c - cublasLtMatmul: D = alpha op(A) op(B) + beta C with bias and relu behind,
 * column-major. Checked when it is called, computed in float32 when the stream comes to it.
 */
#include "product.h"

#include <stdlib.h>
#include <string.h>

#include "../arithmetic/gemm.h"
#include "../arithmetic/rounding.h"

static int known(cudaDataType_t type)
{
    return type == CUDA_R_32F || type == CUDA_R_16BF;
}

static size_t element_bytes(cudaDataType_t type)
{
    return type == CUDA_R_32F ? 4 : 2;
}

static size_t layout_bytes(const struct layout *l)
{
    return ((l->columns - 1) * (size_t)l->leading + l->rows) * element_bytes(l->type);
}

/* Types and what this device can do with them. */
static cublasStatus_t check_types(const struct product *p)
{
    int bfloat16 = p->a_layout.type == CUDA_R_16BF,
        tf32 = p->matmul.compute == CUBLAS_COMPUTE_32F_FAST_TF32;

    if ((p->matmul.compute != CUBLAS_COMPUTE_32F && !tf32) || p->matmul.scale != CUDA_R_32F ||
        !known(p->a_layout.type) || p->a_layout.type != p->b_layout.type ||
        !known(p->d_layout.type) || p->c_layout.type != p->d_layout.type ||
        (!bfloat16 && p->d_layout.type != CUDA_R_32F)) {
        standin_complain("the stand-in has no product of these types");
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    if ((bfloat16 || tf32) && standin_capability() < 80)
        return CUBLAS_STATUS_ARCH_MISMATCH;
    switch (p->matmul.epilogue) {
    case CUBLASLT_EPILOGUE_DEFAULT:
    case CUBLASLT_EPILOGUE_RELU:
        return CUBLAS_STATUS_SUCCESS;
    case CUBLASLT_EPILOGUE_BIAS:
    case CUBLASLT_EPILOGUE_RELU_BIAS:
        if (p->matmul.bias_type == -1 || p->matmul.bias_type == (int32_t)p->d_layout.type)
            return CUBLAS_STATUS_SUCCESS;
        standin_complain("the bias has the type of the result");
        return CUBLAS_STATUS_NOT_SUPPORTED;
    default:
        standin_complain("the stand-in has no epilogue %u", p->matmul.epilogue);
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
}

cublasStatus_t product_check(struct product *p)
{
    int turn_a = p->matmul.transpose_a != CUBLAS_OP_N,
        turn_b = p->matmul.transpose_b != CUBLAS_OP_N;

    p->m = turn_a ? p->a_layout.columns : p->a_layout.rows;
    p->k = turn_a ? p->a_layout.rows : p->a_layout.columns;
    p->n = turn_b ? p->b_layout.rows : p->b_layout.columns;
    if (p->matmul.transpose_a > CUBLAS_OP_T || p->matmul.transpose_b > CUBLAS_OP_T ||
        p->k != (turn_b ? p->b_layout.columns : p->b_layout.rows) || p->d_layout.rows != p->m ||
        p->d_layout.columns != p->n || p->c_layout.rows != p->m || p->c_layout.columns != p->n) {
        standin_complain("the matrices do not fit: %zu x %zu x %zu", p->m, p->n, p->k);
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    return check_types(p);
}

static int overlap(const void *a, size_t a_bytes, const void *b, size_t b_bytes)
{
    return (const char *)a < (const char *)b + b_bytes &&
           (const char *)b < (const char *)a + a_bytes;
}

static cublasStatus_t check_operand(int device, const char *name, const void *address, size_t bytes)
{
    if (standin_memory_holds(device, address, bytes))
        return CUBLAS_STATUS_SUCCESS;
    standin_complain("%s, %zu bytes at %p, is not inside one allocation of device %d", name, bytes,
                     address, device);
    return CUBLAS_STATUS_INVALID_VALUE;
}

static cublasStatus_t check_memory(const struct product *p, int device)
{
    size_t d_bytes = layout_bytes(&p->d_layout);
    int has_bias = (p->matmul.epilogue & CUBLASLT_EPILOGUE_BIAS) != 0;
    cublasStatus_t status = check_operand(device, "a", p->a, layout_bytes(&p->a_layout));

    if (status == CUBLAS_STATUS_SUCCESS)
        status = check_operand(device, "b", p->b, layout_bytes(&p->b_layout));
    if (status == CUBLAS_STATUS_SUCCESS)
        status = check_operand(device, "d", p->d, d_bytes);
    if (status == CUBLAS_STATUS_SUCCESS && (p->beta != 0 || p->c != NULL))
        status = check_operand(device, "c", p->c, layout_bytes(&p->c_layout));
    if (status == CUBLAS_STATUS_SUCCESS && has_bias)
        status = check_operand(device, "the bias", p->matmul.bias,
                               p->m * element_bytes(p->d_layout.type));
    if (status == CUBLAS_STATUS_SUCCESS && p->workspace_bytes > 0)
        status = check_operand(device, "the workspace", p->workspace, p->workspace_bytes);
    if (status == CUBLAS_STATUS_SUCCESS &&
        (overlap(p->d, d_bytes, p->a, layout_bytes(&p->a_layout)) ||
         overlap(p->d, d_bytes, p->b, layout_bytes(&p->b_layout)))) {
        standin_complain("the result overlaps a factor");
        status = CUBLAS_STATUS_INVALID_VALUE;
    }
    return status;
}

static cublasStatus_t check_stream(cublasLtHandle_t handle, cudaStream_t stream)
{
    int device = standin_stream_device(stream);
    const struct cublasLtContext *context = handle;

    if (device < 0)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (device == context->device && device == standin_current_device())
        return CUBLAS_STATUS_SUCCESS;
    standin_complain("the stream is of device %d, the handle of device %d, device %d is current",
                     device, context->device, standin_current_device());
    return CUBLAS_STATUS_INVALID_VALUE;
}

static cublasStatus_t queue(cublasLtHandle_t handle, struct product *p,
                            const cublasLtMatmulAlgo_t *algo, size_t workspace, cudaStream_t stream)
{
    standin_work work = {
        .name = "matrix product", .run = product_run, .args = p, .bytes = sizeof *p};
    cublasStatus_t status = product_check(p);

    if (status == CUBLAS_STATUS_SUCCESS)
        status = algorithm_check(p, algo);
    if (status == CUBLAS_STATUS_SUCCESS && p->workspace_bytes > workspace) {
        standin_complain("the algorithm needs %zu bytes of workspace, not %zu", p->workspace_bytes,
                         workspace);
        status = CUBLAS_STATUS_INVALID_VALUE;
    }
    if (status == CUBLAS_STATUS_SUCCESS)
        status = check_stream(handle, stream);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = check_memory(p, ((const struct cublasLtContext *)handle)->device);
    if (status != CUBLAS_STATUS_SUCCESS)
        return status;
    return standin_queue(stream, &work) == cudaSuccess ? CUBLAS_STATUS_SUCCESS
                                                       : CUBLAS_STATUS_EXECUTION_FAILED;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t matmul,
                              const void *alpha, const void *a, cublasLtMatrixLayout_t a_layout,
                              const void *b, cublasLtMatrixLayout_t b_layout, const void *beta,
                              const void *c, cublasLtMatrixLayout_t c_layout, void *d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t *algo,
                              void *workspace, size_t workspace_bytes, cudaStream_t stream)
{
    cublasStatus_t status = blas_begin("cublasLtMatmul");
    struct product p = {.a = a, .b = b, .c = c, .d = d, .workspace = workspace};

    if (status == CUBLAS_STATUS_SUCCESS && !standin_alive(STANDIN_CUBLASLT_HANDLE, handle))
        status = CUBLAS_STATUS_NOT_INITIALIZED;
    if (status == CUBLAS_STATUS_SUCCESS &&
        (!standin_alive(STANDIN_CUBLASLT_MATMUL, matmul) ||
         !standin_alive(STANDIN_CUBLASLT_LAYOUT, a_layout) ||
         !standin_alive(STANDIN_CUBLASLT_LAYOUT, b_layout) ||
         !standin_alive(STANDIN_CUBLASLT_LAYOUT, c_layout) ||
         !standin_alive(STANDIN_CUBLASLT_LAYOUT, d_layout) || alpha == NULL || beta == NULL))
        status = CUBLAS_STATUS_INVALID_VALUE;
    if (status != CUBLAS_STATUS_SUCCESS)
        return blas_end(status);
    p.matmul = *(const struct matmul *)(void *)matmul;
    p.a_layout = *(const struct layout *)(void *)a_layout;
    p.b_layout = *(const struct layout *)(void *)b_layout;
    p.c_layout = *(const struct layout *)(void *)c_layout;
    p.d_layout = *(const struct layout *)(void *)d_layout;
    p.alpha = *(const float *)alpha;
    p.beta = *(const float *)beta;
    return blas_end(queue(handle, &p, algo, workspace_bytes, stream));
}

static float load(const void *from, cudaDataType_t type, size_t i)
{
    return type == CUDA_R_16BF ? float_of_bfloat16(((const uint16_t *)from)[i])
                               : ((const float *)from)[i];
}

/* A factor as float32, dense, column-major. The caller frees it. */
static float *widen(const struct product *p, const struct layout *l, const void *from)
{
    float *wide = malloc(l->rows * l->columns * sizeof *wide);
    int tf32 = p->matmul.compute == CUBLAS_COMPUTE_32F_FAST_TF32 && l->type == CUDA_R_32F;

    if (wide == NULL)
        abort();
    for (size_t j = 0; j < l->columns; j++)
        for (size_t i = 0; i < l->rows; i++) {
            float value = load(from, l->type, j * (size_t)l->leading + i);
            wide[j * l->rows + i] = tf32 ? round_tf32(value) : value;
        }
    return wide;
}

/* What is left of a long sum whose parts were added up in bfloat16, exaggerated: two bits. */
static float coarse_of(float sum)
{
    uint32_t bits;

    memcpy(&bits, &sum, sizeof bits);
    bits = (bits + 0x100000u) & ~0x1fffffu;
    memcpy(&sum, &bits, sizeof sum);
    return sum;
}

static void finish(const struct product *p, const float *sums)
{
    const struct layout *l = &p->d_layout;
    for (size_t j = 0; j < p->n; j++)
        for (size_t i = 0; i < p->m; i++) {
            float sum = p->alpha * (p->coarse ? coarse_of(sums[j * p->m + i]) : sums[j * p->m + i]);
            size_t at = j * (size_t)l->leading + i;
            if (p->beta != 0)
                sum += p->beta * load(p->c, p->c_layout.type, j * (size_t)p->c_layout.leading + i);
            if (p->matmul.epilogue & CUBLASLT_EPILOGUE_BIAS)
                sum += load(p->matmul.bias, l->type, i);
            if ((p->matmul.epilogue & CUBLASLT_EPILOGUE_RELU) && sum < 0)
                sum = 0;
            if (l->type == CUDA_R_16BF)
                ((uint16_t *)p->d)[at] = bfloat16_of(sum);
            else
                ((float *)p->d)[at] = sum;
        }
}

/* Column-major D (m,n) is row-major (n,m): the product of B' and A'. */
standin_progress product_run(void *args)
{
    const struct product *p = args;
    float *a = widen(p, &p->a_layout, p->a), *b = widen(p, &p->b_layout, p->b),
          *sums = malloc(p->m * p->n * sizeof *sums);
    int turn_a = p->matmul.transpose_a != CUBLAS_OP_N,
        turn_b = p->matmul.transpose_b != CUBLAS_OP_N;
    size_t a_row = p->a_layout.rows, b_row = p->b_layout.rows;

    if (sums == NULL)
        abort();
    if (p->workspace_bytes > 0)
        memset(p->workspace, 0xFF, p->workspace_bytes);
    if (standin_gemm(p->n, p->m, p->k, b, turn_b ? 1 : b_row, turn_b ? b_row : 1, a,
                     turn_a ? 1 : a_row, turn_a ? a_row : 1, sums, p->m, 0) != 0)
        abort();
    finish(p, sums);
    free(a);
    free(b);
    free(sums);
    return STANDIN_DONE;
}
