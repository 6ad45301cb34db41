/*
 * engines.c - the ways to do a convolution that the stand-in offers, on purpose an odd collection:
 * rounding ones with notes, one that wants a huge workspace, ones that fail when planned or
 * executed. A caller must choose by notes and survive the rest.
 */
#include "descriptor.h"

#define KIB ((size_t)1024)
#define NOTE(name) (1u << CUDNN_NUMERICAL_NOTE_##name)

enum {
    PLAIN,
    TENSOR_CORE,
    HUGE_WORKSPACE,
    DOWN_CONVERT,
    WINOGRAD,
    NONDETERMINISTIC,
    REDUCED,
    FAILS_PLANNED,
    FAILS_EXECUTED,
    ENGINES
};

static const struct {
    unsigned notes, how;
    size_t workspace;
} engines[ENGINES] = {
    [PLAIN] = {0, 0, 0},
    [TENSOR_CORE] = {NOTE(TENSOR_CORE), ROUND_TF32, 64 * KIB},
    [HUGE_WORKSPACE] = {0, 0, 32 * KIB *KIB *KIB},
    [DOWN_CONVERT] = {NOTE(TENSOR_CORE) | NOTE(DOWN_CONVERT_INPUTS), ROUND_BFLOAT16, 4 * KIB},
    [WINOGRAD] = {NOTE(WINOGRAD) | NOTE(WINOGRAD_TILE_4x4), 0, 256 * KIB},
    [NONDETERMINISTIC] = {NOTE(NONDETERMINISTIC), ANY_ORDER, 0},
    [REDUCED] = {NOTE(TENSOR_CORE) | NOTE(REDUCED_PRECISION_REDUCTION), ROUND_TF32 | ROUND_SUMS, 0},
    [FAILS_PLANNED] = {0, 0, 16 * KIB},
    [FAILS_EXECUTED] = {0, 0, 16},
};

size_t problem_tensor_bytes(const struct problem_tensor *t)
{
    int64_t last = 0;
    for (int i = 0; i < 4; i++)
        last += (t->dims[i] - 1) * t->strides[i];
    return (size_t)(last + 1) * (t->type == CUDNN_DATA_FLOAT ? 4 : 2);
}

const struct problem_tensor *problem_output(const struct problem *p)
{
    return p->kind == PROBLEM_FORWARD ? &p->y : p->kind == PROBLEM_DATA ? &p->x : &p->w;
}

int engine_count(void)
{
    return ENGINES;
}

unsigned engine_how(int engine)
{
    return engines[engine].how;
}

size_t engine_workspace(int engine, const struct problem *p)
{
    size_t bytes = engines[engine].workspace;
    return engine == TENSOR_CORE ? bytes + problem_tensor_bytes(problem_output(p)) / 256 * 256
                                 : bytes;
}

static int is_bfloat16(const struct problem *p)
{
    return p->x.type == CUDNN_DATA_BFLOAT16 || p->w.type == CUDNN_DATA_BFLOAT16 ||
           p->y.type == CUDNN_DATA_BFLOAT16;
}

/* With bfloat16 tensors every engine multiplies on tensor cores. */
int engine_notes(int engine, const struct problem *p, cudnnBackendNumericalNote_t *notes)
{
    unsigned bits = engines[engine].notes | (is_bfloat16(p) ? NOTE(TENSOR_CORE) : 0);
    int count = 0;
    for (int i = 0; i < CUDNN_NUMERICAL_NOTE_TYPE_COUNT; i++)
        if (bits >> i & 1)
            notes[count++] = (cudnnBackendNumericalNote_t)i;
    return count;
}

static int multiple_of(const struct problem *p, int64_t n)
{
    return p->w.dims[1] % n == 0 && p->w.dims[0] / p->groups % n == 0;
}

/* A dimension of size 1 may have any stride. */
static int strides_are(const struct problem_tensor *t, const int64_t *dense)
{
    for (int i = 0; i < 4; i++)
        if (t->dims[i] != 1 && t->strides[i] != dense[i])
            return 0;
    return 1;
}

static int channels_last(const struct problem_tensor *t)
{
    const int64_t dense[4] = {t->dims[1] * t->dims[2] * t->dims[3], 1, t->dims[1] * t->dims[3],
                              t->dims[1]};
    return strides_are(t, dense);
}

/* What no engine can do. */
static cudnnStatus_t check_any(const struct problem *p)
{
    cudnnDataType_t in = p->kind == PROBLEM_DATA ? p->y.type : p->x.type;
    cudnnDataType_t second = p->kind == PROBLEM_FILTER ? p->y.type : p->w.type,
                    out = problem_output(p)->type;

    if (!channels_last(&p->x) || !channels_last(&p->w) || !channels_last(&p->y))
        return CUDNN_STATUS_NOT_SUPPORTED_LAYOUT;
    if (in != second || (in == CUDNN_DATA_FLOAT && out != CUDNN_DATA_FLOAT))
        return CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE;
    if (is_bfloat16(p) && standin_capability() < 80)
        return CUDNN_STATUS_NOT_SUPPORTED_ARCH_MISMATCH;
    if ((p->relu || p->bias.uid >= 0) &&
        (!multiple_of(p, is_bfloat16(p) ? 8 : 4) || standin_fuses() == STANDIN_NOT_FUSED))
        return CUDNN_STATUS_NOT_SUPPORTED_SHAPE;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t engine_supports(int engine, const struct problem *p)
{
    cudnnStatus_t status = check_any(p);

    if (status != CUDNN_STATUS_SUCCESS)
        return status;
    switch (engine) {
    case TENSOR_CORE:
    case DOWN_CONVERT:
    case REDUCED:
        if (standin_capability() < 80)
            return CUDNN_STATUS_NOT_SUPPORTED_ARCH_MISMATCH;
        return multiple_of(p, is_bfloat16(p) ? 8 : 4) ? status : CUDNN_STATUS_NOT_SUPPORTED_SHAPE;
    case WINOGRAD:
        return p->w.dims[2] == 3 && p->w.dims[3] == 3 && p->stride[0] == 1 && p->stride[1] == 1 &&
                       p->dilation[0] == 1 && p->dilation[1] == 1 && p->groups == 1 &&
                       !is_bfloat16(p)
                   ? status
                   : CUDNN_STATUS_NOT_SUPPORTED_SHAPE;
    case NONDETERMINISTIC:
        return p->kind == PROBLEM_FORWARD ? CUDNN_STATUS_NOT_SUPPORTED : status;
    default:
        return status;
    }
}

cudnnStatus_t engine_plan(int engine, const struct problem *p)
{
    return engine == FAILS_PLANNED ? CUDNN_STATUS_NOT_SUPPORTED_SHARED_MEMORY_INSUFFICIENT
                                   : engine_supports(engine, p);
}

/* Some shapes turn out too late to be too much. */
cudnnStatus_t engine_execute(int engine, const struct problem *p)
{
    if ((p->relu || p->bias.uid >= 0) && standin_fuses() == STANDIN_OFFERED)
        return CUDNN_STATUS_NOT_SUPPORTED;
    return engine == FAILS_EXECUTED && (p->y.dims[0] + p->y.dims[2]) % 2 == 0
               ? CUDNN_STATUS_NOT_SUPPORTED_BAD_LAUNCH_PARAM
               : CUDNN_STATUS_SUCCESS;
}

/* Mode A: whatever claims to support the problem, in an order that depends on the seed; the plain
 * one may be missing. FALLBACK: the plain one alone. */
cudnnStatus_t engine_list(const struct problem *p, cudnnBackendHeurMode_t mode, int *list,
                          int *count)
{
    *count = 0;
    if (mode == CUDNN_HEUR_MODE_FALLBACK) {
        if (engine_supports(PLAIN, p) != CUDNN_STATUS_SUCCESS)
            return engine_supports(PLAIN, p);
        list[(*count)++] = PLAIN;
        return CUDNN_STATUS_SUCCESS;
    }
    if (mode != CUDNN_HEUR_MODE_A && mode != CUDNN_HEUR_MODE_B && mode != CUDNN_HEUR_MODE_INSTANT)
        return CUDNN_STATUS_BAD_PARAM;
    for (int engine = 0; engine < ENGINES; engine++) {
        if (engine_supports(engine, p) != CUDNN_STATUS_SUCCESS ||
            (engine == PLAIN && standin_random(2) == 0))
            continue;
        list[*count] = engine;
        for (int i = *count; i > 0 && standin_random(2) == 0; i--) {
            int other = list[i - 1];
            list[i - 1] = list[i];
            list[i] = other;
        }
        ++*count;
    }
    return CUDNN_STATUS_SUCCESS;
}
