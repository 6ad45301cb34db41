/*
 * The stand-in for cuBLASLt: products of odd sizes with every transpose, epilogue and type against
 * their definition in double, and the rules for descriptors, algorithms and memory.
 */
#include <cublasLt.h>

#include "standin_rig.h"

#define BLAS(call) CHECK((call) == CUBLAS_STATUS_SUCCESS)

static cublasLtHandle_t handle;
static cudaStream_t stream;

struct product {
    size_t m, n, k;
    int turn_a, turn_b, bfloat16, tf32;
    cublasLtEpilogue_t epilogue;
    float alpha, beta;
};

struct described {
    cublasLtMatmulDesc_t matmul;
    cublasLtMatrixLayout_t a, b, d;
};

static struct described describe(const struct product *p, const void *bias)
{
    struct described s = {0};
    const int32_t turn_a = p->turn_a ? CUBLAS_OP_T : CUBLAS_OP_N,
                  turn_b = p->turn_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cudaDataType_t type = p->bfloat16 ? CUDA_R_16BF : CUDA_R_32F;
    const uint32_t epilogue = p->epilogue;
    size_t a_rows = p->turn_a ? p->k : p->m, b_rows = p->turn_b ? p->n : p->k;

    BLAS(cublasLtMatmulDescCreate(
        &s.matmul, p->tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F));
    BLAS(cublasLtMatmulDescSetAttribute(s.matmul, CUBLASLT_MATMUL_DESC_TRANSA, &turn_a,
                                        sizeof turn_a));
    BLAS(cublasLtMatmulDescSetAttribute(s.matmul, CUBLASLT_MATMUL_DESC_TRANSB, &turn_b,
                                        sizeof turn_b));
    BLAS(cublasLtMatmulDescSetAttribute(s.matmul, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue,
                                        sizeof epilogue));
    BLAS(cublasLtMatmulDescSetAttribute(s.matmul, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias,
                                        sizeof bias));
    BLAS(cublasLtMatrixLayoutCreate(&s.a, type, a_rows, p->turn_a ? p->m : p->k, (int64_t)a_rows));
    BLAS(cublasLtMatrixLayoutCreate(&s.b, type, b_rows, p->turn_b ? p->k : p->n, (int64_t)b_rows));
    BLAS(cublasLtMatrixLayoutCreate(&s.d, type, p->m, p->n, (int64_t)p->m + 3));
    return s;
}

static void drop(struct described *s)
{
    BLAS(cublasLtMatmulDescDestroy(s->matmul));
    BLAS(cublasLtMatrixLayoutDestroy(s->a));
    BLAS(cublasLtMatrixLayoutDestroy(s->b));
    BLAS(cublasLtMatrixLayoutDestroy(s->d));
}

static int ask_with(const struct described *s, uint64_t workspace, uint32_t reductions,
                    cublasLtMatmulHeuristicResult_t *results)
{
    cublasLtMatmulPreference_t preference;
    int count = 0;
    BLAS(cublasLtMatmulPreferenceCreate(&preference));
    BLAS(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                              &workspace, sizeof workspace));
    BLAS(cublasLtMatmulPreferenceSetAttribute(
        preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reductions, sizeof reductions));
    BLAS(cublasLtMatmulAlgoGetHeuristic(handle, s->matmul, s->a, s->b, s->d, s->d, preference, 8,
                                        results, &count));
    BLAS(cublasLtMatmulPreferenceDestroy(preference));
    return count;
}

/* Without sums in the result's type. */
static int ask(const struct described *s, uint64_t workspace,
               cublasLtMatmulHeuristicResult_t *results)
{
    return ask_with(s, workspace, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE, results);
}

static float *numbers(unsigned seed, size_t count, int bfloat16)
{
    float *values = malloc(count * sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = bfloat16 ? round_bfloat16(rig_number(seed, i)) : rig_number(seed, i);
    return values;
}

/* D, column-major with the leading dimension m + 3; what lies between stays as it was. */
static void define(const struct product *p, const float *a, const float *b, const float *c,
                   const float *bias, double *d)
{
    for (size_t j = 0; j < p->n; j++)
        for (size_t i = 0; i < p->m + 3; i++) {
            double sum = 0;
            size_t at = j * (p->m + 3) + i;
            if (i >= p->m) {
                d[at] = c[at];
                continue;
            }
            for (size_t l = 0; l < p->k; l++)
                sum += (double)a[p->turn_a ? i * p->k + l : l * p->m + i] *
                       b[p->turn_b ? l * p->n + j : j * p->k + l];
            sum = p->alpha * sum + p->beta * c[at] +
                  (p->epilogue & CUBLASLT_EPILOGUE_BIAS ? bias[i] : 0);
            d[at] = (p->epilogue & CUBLASLT_EPILOGUE_RELU) && sum < 0 ? 0 : sum;
        }
}

static void check_product(struct product p)
{
    size_t d_count = (p.m + 3) * p.n;
    float *a = numbers(1, p.m * p.k, p.bfloat16), *b = numbers(2, p.k * p.n, p.bfloat16);
    float *c = numbers(3, d_count, p.bfloat16), *bias = numbers(4, p.m, p.bfloat16),
          *got = malloc(d_count * sizeof *got);
    double *wanted = malloc(d_count * sizeof *wanted), limit = p.bfloat16 ? 5e-3
                                                               : p.tf32   ? 1e-3
                                                                          : 2e-6;
    void *am = rig_upload(a, p.m * p.k, p.bfloat16, stream),
         *bm = rig_upload(b, p.k * p.n, p.bfloat16, stream);
    void *biasm = rig_upload(bias, p.m, p.bfloat16, stream), *workspace = NULL;
    struct described s = describe(&p, biasm);
    cublasLtMatmulHeuristicResult_t results[8];
    int count = ask(&s, 1 << 22, results), ran = 0;

    define(&p, a, b, c, bias, wanted);
    OK(cudaMalloc(&workspace, 1 << 22));
    for (int i = 0; i < count; i++) {
        void *dm = rig_upload(c, d_count, p.bfloat16, stream);
        cublasStatus_t status =
            cublasLtMatmul(handle, s.matmul, &p.alpha, am, s.a, bm, s.b, &p.beta, dm, s.d, dm, s.d,
                           &results[i].algo, workspace, 1 << 22, stream);
        CHECK(status == results[i].state);
        if (status == CUBLAS_STATUS_SUCCESS) {
            double difference;
            rig_download(got, dm, d_count, p.bfloat16, stream);
            difference = rig_difference(got, wanted, d_count);
            CHECK(difference < limit && (!p.tf32 || difference > 1e-6));
            ++ran;
        }
        OK(cudaFree(dm));
    }
    CHECK(ran == 2);
    CHECK(ask_with(&s, 1 << 22, CUBLASLT_REDUCTION_SCHEME_MASK, results) == 3 + p.bfloat16);
    CHECK(ask(&s, 0, results) == 2); /* the one with workspace is left out */
    drop(&s);
    OK(cudaFree(am));
    OK(cudaFree(bm));
    OK(cudaFree(biasm));
    OK(cudaFree(workspace));
    free(a);
    free(b);
    free(c);
    free(bias);
    free(got);
    free(wanted);
}

static void test_rules(void)
{
    struct product p = {5, 4, 3, 0, 0, 0, 0, CUBLASLT_EPILOGUE_DEFAULT, 1, 0}, other = p;
    struct described s = describe(&p, NULL), t;
    cublasLtMatmulHeuristicResult_t results[8];
    cublasLtMatrixLayout_t layout;
    float one = 1, zero = 0;
    void *memory, *small, *large;
    int count = ask(&s, 1 << 22, results), with_workspace = 0;
    int64_t wide = 1;
    char *at;

#define MATMUL(how, left, right, to, algo, workspace, bytes, on)                                   \
    cublasLtMatmul(handle, how, &one, left, s.a, right, s.b, &zero, to, s.d, to, s.d, algo,        \
                   workspace, bytes, on)
    while (with_workspace < count && results[with_workspace].workspaceSize == 0)
        ++with_workspace;
    OK(cudaMalloc(&memory, 4096));
    OK(cudaMalloc(&small, 16));
    OK(cudaMalloc(&large, 1 << 20));
    at = memory;
    BLAS(MATMUL(s.matmul, at, at + 512, at + 1024, NULL, NULL, 0, stream));
    CHECK(MATMUL(s.matmul, at, at + 512, at + 512, NULL, NULL, 0, stream) ==
          CUBLAS_STATUS_INVALID_VALUE);
    CHECK(MATMUL(s.matmul, at, at + 512, small, NULL, NULL, 0, stream) ==
          CUBLAS_STATUS_INVALID_VALUE);
    CHECK(MATMUL(s.matmul, at, at + 512, at + 1024, NULL, NULL, 0, NULL) ==
          CUBLAS_STATUS_INVALID_VALUE);
    CHECK(MATMUL(s.matmul, at, at + 512, at + 1024, &results[with_workspace].algo, NULL, 0,
                 stream) == CUBLAS_STATUS_INVALID_VALUE);
    CHECK(MATMUL(s.matmul, at + 16, at + 512, at + 1024, &results[0].algo, NULL, 0, stream) ==
          CUBLAS_STATUS_INVALID_VALUE);
    CHECK(MATMUL(s.matmul, at, at + 512, at + 1024, &results[with_workspace].algo, large,
                 (1 << 20) - 1, stream) == CUBLAS_STATUS_INVALID_VALUE);
    BLAS(MATMUL(s.matmul, at, at + 512, at + 1024, &results[with_workspace].algo, large, 1 << 20,
                stream));
    other.turn_a = 1;
    other.m = other.k = 4;
    t = describe(&other, NULL);
    ask(&t, 0, results);
    CHECK(MATMUL(s.matmul, at, at + 512, at + 1024, &results[0].algo, NULL, 0, stream) ==
          CUBLAS_STATUS_INVALID_VALUE);
    CHECK(cublasLtMatmul(handle, s.matmul, &one, at, s.a, at + 512, t.b, &zero, at + 1024, s.d,
                         at + 1024, s.d, NULL, NULL, 0, stream) == CUBLAS_STATUS_INVALID_VALUE);
    CHECK(cublasLtMatmulDescSetAttribute(s.matmul, CUBLASLT_MATMUL_DESC_TRANSA, &wide,
                                         sizeof wide) == CUBLAS_STATUS_INVALID_VALUE);
    CHECK(cublasLtMatrixLayoutCreate(&layout, CUDA_R_32F, 5, 4, 4) == CUBLAS_STATUS_INVALID_VALUE);
    OK(cudaStreamSynchronize(stream));
    drop(&s);
    drop(&t);
    CHECK(cublasLtMatmulDescDestroy(s.matmul) == CUBLAS_STATUS_INVALID_VALUE);
    OK(cudaFree(memory));
    OK(cudaFree(small));
    OK(cudaFree(large));
}

int main(void)
{
    size_t before = standin_leaks(NULL);
    static const struct product products[] = {
        {5, 4, 3, 0, 0, 0, 0, CUBLASLT_EPILOGUE_DEFAULT, 1, 0},
        {33, 17, 401, 1, 0, 0, 0, CUBLASLT_EPILOGUE_RELU_BIAS, 1, 0},
        {20, 31, 65, 0, 1, 0, 0, CUBLASLT_EPILOGUE_DEFAULT, 2, 0.5},
        {1, 7, 40, 1, 1, 0, 0, CUBLASLT_EPILOGUE_BIAS, 1, 0},
        {40, 3, 90, 1, 0, 0, 1, CUBLASLT_EPILOGUE_RELU, 1, 0},
        {24, 9, 80, 1, 0, 1, 0, CUBLASLT_EPILOGUE_RELU_BIAS, 1, 0}};

    standin_set("STANDIN_QUIET", getenv("STANDIN_QUIET") != NULL ? getenv("STANDIN_QUIET") : "1");
    stream = rig_stream();
    BLAS(cublasLtCreate(&handle));
    for (size_t i = 0; i < sizeof products / sizeof products[0]; i++)
        check_product(products[i]);
    test_rules();
    BLAS(cublasLtDestroy(handle));
    OK(cudaStreamDestroy(stream));
    CHECK(standin_leaks(stdout) == before);
    return test_finish();
}
