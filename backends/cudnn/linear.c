/*
 * Linear layers, forward and backward, as matrix products of cuBLASLt. It counts columns first, so
 * a map (N,L) is an L x N matrix to it, and a weight (O,L) an L x O one:
 *     y(O,N) = w' x,   dx(L,N) = w dy,   dw(L,O) = x dy'.
 * Bias and relu are the product's epilogue where cuBLASLt offers that, and follow in a kernel of
 * ours where it does not; a bias's gradient is a sum of ours.
 */
#include <string.h>

#include "choice.h"
#include "exec.h"

enum { PRODUCTS = 16, KIND = 100 };

typedef struct linear_state {
    cublasLtMatmulDesc_t product;
    cublasLtMatrixLayout_t a, b, d;
    cublasLtMatmulHeuristicResult_t candidates[PRODUCTS];
    int32_t count, chosen;
    bool separate; /* bias and relu come behind */
    choice_key key;
    const void *from[2];
    void *to;
} linear_state;

/* Rows, columns of the result and the length of its sums; how the factors enter. */
typedef struct shape {
    int32_t m, n, k;
    bool turn_a, turn_b;
    storage result;
} shape;

static int32_t length_of(extent e)
{
    return e.c * e.h * e.w;
}

static shape shape_of(const exec *e, const hmt_plan_step *s)
{
    if (s->kind == HMT_STEP_LINEAR) {
        const extent x = exec_extent(e, s->in[0]), y = exec_extent(e, s->out[0]);

        return (shape){y.c, y.n, length_of(x), true, false, e->tensors[s->out[0]].type};
    }
    if (s->kind == HMT_STEP_LINEAR_BACKWARD_DATA) {
        const extent dx = exec_extent(e, s->out[0]), dy = exec_extent(e, s->in[0]);

        return (shape){length_of(dx), dx.n, dy.c, false, false, e->tensors[s->out[0]].type};
    }
    return (shape){length_of(exec_extent(e, s->in[1])),
                   exec_extent(e, s->in[0]).c,
                   exec_extent(e, s->in[0]).n,
                   false,
                   true,
                   e->tensors[s->out[0]].type};
}

static cudaDataType_t cuda_type(storage type)
{
    return type == STORAGE_BFLOAT16 ? CUDA_R_16BF : CUDA_R_32F;
}

/* ---------------------------------------------------------------------------- preparing --------
 */

#define SET(desc, name, value)                                                                     \
    if (status == HMT_OK)                                                                          \
    status = CUBLAS_CALL(e->device, where, cublasLtMatmulDescSetAttribute, (desc), (name),         \
                         &(value), sizeof(value))

/* The product with its epilogue; the bias's address comes when there is memory. */
static hmt_status describe_product(const exec *e, const hmt_plan_step *s, linear_state *l,
                                   const shape *p)
{
    const char *where = s->name;
    const bool bias = s->kind == HMT_STEP_LINEAR && s->weight[1] >= 0;
    const bool relu = s->kind == HMT_STEP_LINEAR && s->relu;
    const cublasComputeType_t compute = e->device->precision == HMT_PRECISION_TF32
                                            ? CUBLAS_COMPUTE_32F_FAST_TF32
                                            : CUBLAS_COMPUTE_32F;
    const cublasOperation_t a = p->turn_a ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasOperation_t b = p->turn_b ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasLtEpilogue_t epilogue =
        bias ? (relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS)
             : (relu ? CUBLASLT_EPILOGUE_RELU : CUBLASLT_EPILOGUE_DEFAULT);
    const cudaDataType_t bias_type = cuda_type(p->result);
    const int32_t bias_format = (int32_t)bias_type;
    hmt_status status =
        CUBLAS_CALL(e->device, where, cublasLtMatmulDescCreate, &l->product, compute, CUDA_R_32F);

    SET(l->product, CUBLASLT_MATMUL_DESC_TRANSA, a);
    SET(l->product, CUBLASLT_MATMUL_DESC_TRANSB, b);
    SET(l->product, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue);
    if (bias)
        SET(l->product, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, bias_format);
    return status;
}

static hmt_status describe_matrix(const exec *e, const char *where, storage type, int32_t rows,
                                  int32_t columns, cublasLtMatrixLayout_t *out)
{
    return CUBLAS_CALL(e->device, where, cublasLtMatrixLayoutCreate, out, cuda_type(type),
                       (uint64_t)rows, (uint64_t)columns, rows);
}

/* What the heuristics offer within `most` bytes of workspace; it may be nothing. Partial sums stay
 * float32 whatever the result is stored as. */
static hmt_status ask(const exec *e, const char *where, linear_state *l, uint64_t most)
{
    const uint32_t sums = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    cublasLtMatmulPreference_t preference = NULL;
    int count = 0;
    hmt_status status = CUBLAS_CALL(e->device, where, cublasLtMatmulPreferenceCreate, &preference);

    if (status == HMT_OK)
        status = CUBLAS_CALL(e->device, where, cublasLtMatmulPreferenceSetAttribute, preference,
                             CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most, sizeof most);
    if (status == HMT_OK)
        status = CUBLAS_CALL(e->device, where, cublasLtMatmulPreferenceSetAttribute, preference,
                             CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &sums, sizeof sums);
    if (status == HMT_OK)
        status =
            CUBLAS_CALL(e->device, where, cublasLtMatmulAlgoGetHeuristic, e->blas, l->product, l->a,
                        l->b, l->d, l->d, preference, e->device->candidates, l->candidates, &count);
    if (preference != NULL)
        (void)cublasLtMatmulPreferenceDestroy(preference);
    for (int i = 0; i < count && status == HMT_OK; ++i)
        if (l->candidates[i].state == CUBLAS_STATUS_SUCCESS)
            l->candidates[l->count++] = l->candidates[i];
    return status;
}

static bool has_epilogue(const hmt_plan_step *s)
{
    return s->kind == HMT_STEP_LINEAR && (s->relu || s->weight[1] >= 0);
}

static choice_key key_of(const exec *e, const hmt_plan_step *s, const shape *p)
{
    choice_key key;

    memset(&key, 0, sizeof key);
    key.kind = KIND + (int32_t)s->kind;
    memcpy(key.numbers,
           (const int32_t[]){p->m, p->n, p->k, (int32_t)e->device->type, (int32_t)p->result,
                             s->relu, s->weight[1] >= 0},
           7 * sizeof(int32_t));
    return key;
}

/* Bias and relu become a kernel of ours. */
static hmt_status separate(const exec *e, const hmt_plan_step *s, linear_state *l, uint64_t most)
{
    const cublasLtEpilogue_t none = CUBLASLT_EPILOGUE_DEFAULT;
    const char *where = s->name;
    hmt_status status = HMT_OK;

    l->separate = true;
    l->count = 0;
    l->key.numbers[7] = 1;
    SET(l->product, CUBLASLT_MATMUL_DESC_EPILOGUE, none);
    return status == HMT_OK ? ask(e, where, l, most) : status;
}

static hmt_status none_left(const exec *e, const hmt_plan_step *s)
{
    return e->device->host->fail(HMT_ERROR_UNSUPPORTED,
                                 "%s: cuBLASLt has no way to compute this product", s->name);
}

hmt_status linear_prepare(exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);
    const shape p = shape_of(e, s);
    const storage type = e->device->type;
    linear_state *l;
    void *block;
    hmt_status status = device_host_memory(e->device, 1, sizeof *l, "a linear layer", &block);

    if (status != HMT_OK)
        return status;
    l = e->states[step] = block;
    l->key = key_of(e, s, &p);
    status = describe_product(e, s, l, &p);
    if (status == HMT_OK)
        status =
            describe_matrix(e, s->name, type, p.turn_a ? p.k : p.m, p.turn_a ? p.m : p.k, &l->a);
    if (status == HMT_OK)
        status =
            describe_matrix(e, s->name, type, p.turn_b ? p.n : p.k, p.turn_b ? p.k : p.n, &l->b);
    if (status == HMT_OK)
        status = describe_matrix(e, s->name, p.result, p.m, p.n, &l->d);
    if (status == HMT_OK)
        status = ask(e, s->name, l, e->device->workspace);
    if (status == HMT_OK && l->count == 0 && has_epilogue(s))
        status = separate(e, s, l, e->device->workspace);
    if (status == HMT_OK && l->count == 0)
        status = none_left(e, s);
    for (int32_t i = 0; i < l->count && status == HMT_OK; ++i)
        exec_workspace(e, l->candidates[i].workspaceSize);
    if (s->kind == HMT_STEP_LINEAR_BACKWARD_WEIGHTS && s->out[1] >= 0)
        exec_scratch(e, kernel_sums_scratch(p.k, p.n) * sizeof(double));
    return status;
}

/* ---------------------------------------------------------------------------- choosing ---------
 */

static cublasStatus_t multiply(const exec *e, const linear_state *l, int32_t i)
{
    const float one = 1.0f, zero = 0.0f;

    return cublasLtMatmul(e->blas, l->product, &one, l->from[0], l->a, l->from[1], l->b, &zero,
                          l->to, l->d, l->to, l->d, &l->candidates[i].algo, e->workspace,
                          e->workspace_bytes, e->compute);
}

typedef struct trial {
    const exec *e;
    const linear_state *state;
} trial;

static bool try_candidate(void *user, int32_t i)
{
    const trial *t = user;

    return multiply(t->e, t->state, i) == CUBLAS_STATUS_SUCCESS;
}

/* *best -1: none of the candidates runs. */
static hmt_status measure(exec *e, int32_t step, int32_t *best)
{
    linear_state *l = e->states[step];
    trial t = {e, l};
    hmt_status status = linear_link(e, step);

    return status == HMT_OK
               ? choice_measure(e->device, exec_step(e, step)->name, e->compute, e->before,
                                e->after, l->count, e->device->candidates, try_candidate, &t, best)
               : status;
}

hmt_status linear_choose(exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);
    linear_state *l = e->states[step];
    int32_t best = choice_find(e->device, &l->key);
    hmt_status status = HMT_OK;

    if (best >= 0 && best < l->count) {
        l->chosen = best;
        return HMT_OK;
    }
    status = measure(e, step, &best);
    if (status == HMT_OK && best < 0 && has_epilogue(s) && !l->separate) {
        status = separate(e, s, l, e->workspace_bytes); /* offered, but not to be had */
        if (status == HMT_OK)
            status = measure(e, step, &best);
    }
    if (status != HMT_OK)
        return status;
    if (best < 0)
        return none_left(e, s);
    choice_keep(e->device, &l->key, best);
    l->chosen = best;
    return HMT_OK;
}

hmt_status linear_link(exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);
    linear_state *l = e->states[step];
    const char *where = s->name;
    hmt_status status = HMT_OK;

    exec_workspace(e, l->candidates[l->chosen].workspaceSize);
    l->to = exec_map(e, s->out[0]).at;
    if (s->kind == HMT_STEP_LINEAR_BACKWARD_WEIGHTS) {
        l->from[0] = exec_map(e, s->in[1]).at;
        l->from[1] = exec_map(e, s->in[0]).at;
    } else {
        l->from[0] = exec_factor(e, s->weight[0]);
        l->from[1] = exec_map(e, s->in[0]).at;
    }
    if (s->kind == HMT_STEP_LINEAR && s->weight[1] >= 0 && !l->separate) {
        const void *bias = e->tensors[s->out[0]].type == STORAGE_FLOAT
                               ? (const void *)exec_values(e, s->weight[1])
                               : exec_factor(e, s->weight[1]);

        SET(l->product, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
    }
    return status;
}

/* ---------------------------------------------------------------------------- running ----------
 */

hmt_status linear_run(exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);
    const linear_state *l = e->states[step];
    hmt_status status =
        status_cublas(e->device, s->name, "cublasLtMatmul", multiply(e, l, l->chosen));

    if (status == HMT_OK && l->separate) {
        const extent y = exec_extent(e, s->out[0]);

        kernel_bias(exec_map(e, s->out[0]), y.n, y.c, exec_values(e, s->weight[1]), s->relu,
                    e->compute);
    }
    if (status == HMT_OK && s->kind == HMT_STEP_LINEAR_BACKWARD_WEIGHTS && s->out[1] >= 0) {
        const extent dy = exec_extent(e, s->in[0]);

        kernel_channel_sums(exec_map(e, s->in[0]), dy.n, dy.c, exec_floats(e, s->out[1]),
                            (double *)(void *)e->scratch, e->compute);
    }
    return status;
}

void linear_release(exec *e, int32_t step)
{
    linear_state *l = e->states[step];

    if (l->a != NULL)
        (void)cublasLtMatrixLayoutDestroy(l->a);
    if (l->b != NULL)
        (void)cublasLtMatrixLayoutDestroy(l->b);
    if (l->d != NULL)
        (void)cublasLtMatrixLayoutDestroy(l->d);
    if (l->product != NULL)
        (void)cublasLtMatmulDescDestroy(l->product);
    device_host_free(e->device, l);
}

const char *linear_kernel(const exec *e, int32_t step)
{
    (void)e;
    (void)step;
    return "cublasLt";
}
