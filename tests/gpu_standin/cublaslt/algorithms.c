/*
 * algorithms.c - cublasLtMatmulAlgoGetHeuristic: algorithms with and without workspace, one that
 * turns out not to be supported, one that adds up in the result's type where the caller allows that
 * and the type is bfloat16, in an order that depends on the seed. An algorithm is bound to the
 * product it was asked for.
 */
#include <string.h>

#include "product.h"

enum { MAGIC = 0x5441, ALGORITHMS = 4, COARSE = 3 };

static const struct {
    size_t workspace;
    cublasStatus_t state;
} algorithms[ALGORITHMS] = {{0, CUBLAS_STATUS_SUCCESS},
                            {(size_t)1 << 20, CUBLAS_STATUS_SUCCESS},
                            {0, CUBLAS_STATUS_NOT_SUPPORTED},
                            [COARSE] = {0, CUBLAS_STATUS_SUCCESS}};

/* What the algorithm must have been made for. */
static struct algorithm describe(const struct product *p, uint32_t number)
{
    struct algorithm a;
    memset(&a, 0, sizeof a);
    a.magic = MAGIC;
    a.number = number;
    a.m = (uint32_t)p->m;
    a.n = (uint32_t)p->n;
    a.k = (uint32_t)p->k;
    a.types[0] = (uint16_t)p->a_layout.type;
    a.types[1] = (uint16_t)p->b_layout.type;
    a.types[2] = (uint16_t)p->d_layout.type;
    a.compute = (uint16_t)p->matmul.compute;
    a.epilogue = (uint16_t)p->matmul.epilogue;
    a.transposes = (uint16_t)(16 * p->matmul.transpose_a + p->matmul.transpose_b);
    return a;
}

static int fused(const struct product *p)
{
    return p->matmul.epilogue != CUBLASLT_EPILOGUE_DEFAULT;
}

static int is_offered(const struct product *p, const struct preference *preference, uint32_t number)
{
    if (fused(p) && standin_fuses() == STANDIN_NOT_FUSED)
        return 0;
    if (number == COARSE && (p->d_layout.type != CUDA_R_16BF ||
                             !(preference->reductions & CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE)))
        return 0;
    return algorithms[number].workspace <= preference->workspace;
}

cublasStatus_t algorithm_check(struct product *p, const cublasLtMatmulAlgo_t *algo)
{
    const void *const operands[4] = {p->a, p->b, p->c, p->d};
    struct algorithm given, wanted;

    p->workspace_bytes = 0;
    p->coarse = 0;
    if (algo == NULL) /* chosen inside: assumes nothing */
        return CUBLAS_STATUS_SUCCESS;
    memcpy(&given, algo, sizeof given);
    if (given.magic != MAGIC || given.number >= ALGORITHMS) {
        standin_complain("the algorithm did not come from the heuristics");
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    wanted = describe(p, given.number);
    memcpy(wanted.alignment, given.alignment, sizeof wanted.alignment);
    if (memcmp(&given, &wanted, sizeof given) != 0) {
        standin_complain("the algorithm was made for another product");
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    for (int i = 0; i < 4; i++)
        if ((uintptr_t)operands[i] % given.alignment[i] != 0) {
            standin_complain(
                "operand %c at %p is not aligned to the %u bytes that the algorithm was asked for",
                "abcd"[i], operands[i], given.alignment[i]);
            return CUBLAS_STATUS_INVALID_VALUE;
        }
    p->workspace_bytes = algorithms[given.number].workspace;
    p->coarse = given.number == COARSE;
    if (fused(p) && standin_fuses() == STANDIN_OFFERED)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    return algorithms[given.number].state;
}

static void swap(cublasLtMatmulHeuristicResult_t *a, cublasLtMatmulHeuristicResult_t *b)
{
    cublasLtMatmulHeuristicResult_t kept = *a;
    *a = *b;
    *b = kept;
}

static int list(const struct product *p, const struct preference *preference, int most,
                cublasLtMatmulHeuristicResult_t *results)
{
    int count = 0;
    for (uint32_t number = 0; number < ALGORITHMS && count < most; number++) {
        struct algorithm algorithm = describe(p, number);
        if (!is_offered(p, preference, number))
            continue;
        for (int i = 0; i < 4; i++)
            algorithm.alignment[i] = (uint16_t)preference->alignment[i];
        memset(&results[count], 0, sizeof results[count]);
        memcpy(&results[count].algo, &algorithm, sizeof algorithm);
        results[count].workspaceSize = algorithms[number].workspace;
        results[count].state = algorithms[number].state;
        results[count].wavesCount = 1;
        for (int i = count; i > 0 && standin_random(2) == 0; i--)
            swap(&results[i], &results[i - 1]);
        ++count;
    }
    return count;
}

static cublasStatus_t heuristic(cublasLtHandle_t handle, struct product *p,
                                cublasLtMatmulPreference_t preference, int most,
                                cublasLtMatmulHeuristicResult_t *results, int *count)
{
    cublasStatus_t status;

    if (!standin_alive(STANDIN_CUBLASLT_HANDLE, handle) ||
        !standin_alive(STANDIN_CUBLASLT_PREFERENCE, preference) || most <= 0 || results == NULL ||
        count == NULL)
        return CUBLAS_STATUS_INVALID_VALUE;
    *count = 0;
    status = product_check(p);
    if (status == CUBLAS_STATUS_SUCCESS)
        *count = list(p, (const struct preference *)(void *)preference, most, results);
    return status;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t matmul,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int most,
                                              cublasLtMatmulHeuristicResult_t *results, int *count)
{
    cublasStatus_t status = blas_begin("cublasLtMatmulAlgoGetHeuristic");
    struct product p = {0};

    if (status == CUBLAS_STATUS_SUCCESS &&
        (!standin_alive(STANDIN_CUBLASLT_MATMUL, matmul) ||
         !standin_alive(STANDIN_CUBLASLT_LAYOUT, a) || !standin_alive(STANDIN_CUBLASLT_LAYOUT, b) ||
         !standin_alive(STANDIN_CUBLASLT_LAYOUT, c) || !standin_alive(STANDIN_CUBLASLT_LAYOUT, d)))
        status = CUBLAS_STATUS_INVALID_VALUE;
    if (status != CUBLAS_STATUS_SUCCESS)
        return blas_end(status);
    p.matmul = *(const struct matmul *)(void *)matmul;
    p.a_layout = *(const struct layout *)(void *)a;
    p.b_layout = *(const struct layout *)(void *)b;
    p.c_layout = *(const struct layout *)(void *)c;
    p.d_layout = *(const struct layout *)(void *)d;
    return blas_end(heuristic(handle, &p, preference, most, results, count));
}
