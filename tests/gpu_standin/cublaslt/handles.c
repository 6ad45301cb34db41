/*
 * handles.c - cuBLASLt's handle, version, errors, and the descriptors with their attributes.
 */
#include <stdlib.h>
#include <string.h>

#include "product.h"

cublasStatus_t blas_begin(const char *name)
{
    switch (standin_enter(name)) {
    case STANDIN_FAIL:
        return strstr(name, "Create") != NULL ? CUBLAS_STATUS_ALLOC_FAILED
                                              : CUBLAS_STATUS_INTERNAL_ERROR;
    case STANDIN_LOST:
        return CUBLAS_STATUS_EXECUTION_FAILED;
    default:
        return standin_device_count() > 0 ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED;
    }
}

cublasStatus_t blas_end(cublasStatus_t status)
{
    standin_leave();
    return status;
}

size_t cublasLtGetVersion(void)
{
    return CUBLAS_VERSION;
}

const char *cublasLtGetStatusString(cublasStatus_t status)
{
    switch (status) {
    case CUBLAS_STATUS_SUCCESS:
        return "no error";
    case CUBLAS_STATUS_NOT_INITIALIZED:
        return "not initialised";
    case CUBLAS_STATUS_ALLOC_FAILED:
        return "not enough memory";
    case CUBLAS_STATUS_INVALID_VALUE:
        return "a parameter is not valid";
    case CUBLAS_STATUS_ARCH_MISMATCH:
        return "the device lacks a feature";
    case CUBLAS_STATUS_EXECUTION_FAILED:
        return "execution failed";
    case CUBLAS_STATUS_INTERNAL_ERROR:
        return "internal error";
    case CUBLAS_STATUS_NOT_SUPPORTED:
        return "not supported";
    default:
        return "unknown status";
    }
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *out)
{
    cublasStatus_t status = blas_begin("cublasLtCreate");
    struct cublasLtContext *handle;

    if (status == CUBLAS_STATUS_SUCCESS && out == NULL)
        status = CUBLAS_STATUS_INVALID_VALUE;
    if (status == CUBLAS_STATUS_SUCCESS && standin_unsafe_in_capture() != cudaSuccess)
        status = CUBLAS_STATUS_INTERNAL_ERROR;
    if (status != CUBLAS_STATUS_SUCCESS)
        return blas_end(status);
    handle = calloc(1, sizeof *handle);
    if (handle == NULL)
        return blas_end(CUBLAS_STATUS_ALLOC_FAILED);
    handle->device = standin_current_device();
    standin_born(STANDIN_CUBLASLT_HANDLE, handle, sizeof *handle);
    *out = handle;
    return blas_end(CUBLAS_STATUS_SUCCESS);
}

static cublasStatus_t destroy(standin_kind kind, void *object)
{
    if (!standin_alive(kind, object)) {
        standin_complain("%p is not what it should be, or was destroyed", object);
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    standin_died(object);
    free(object);
    return CUBLAS_STATUS_SUCCESS;
}

/* A planned fault destroys all the same. */
static cublasStatus_t destroy_call(const char *name, standin_kind kind, void *object)
{
    cublasStatus_t planned = blas_begin(name), status = destroy(kind, object);
    return blas_end(planned != CUBLAS_STATUS_SUCCESS ? planned : status);
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle)
{
    return destroy_call("cublasLtDestroy", STANDIN_CUBLASLT_HANDLE, handle);
}

/* A new object with these bytes. */
static cublasStatus_t create_call(const char *name, standin_kind kind, const void *value,
                                  size_t bytes, int valid, void *out)
{
    cublasStatus_t status = blas_begin(name);
    void *object;

    if (status == CUBLAS_STATUS_SUCCESS && (out == NULL || !valid))
        status = CUBLAS_STATUS_INVALID_VALUE;
    if (status != CUBLAS_STATUS_SUCCESS)
        return blas_end(status);
    object = malloc(bytes);
    if (object == NULL)
        return blas_end(CUBLAS_STATUS_ALLOC_FAILED);
    memcpy(object, value, bytes);
    standin_born(kind, object, bytes);
    memcpy(out, &object, sizeof object);
    return blas_end(CUBLAS_STATUS_SUCCESS);
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *out, cublasComputeType_t compute,
                                        cudaDataType_t scale)
{
    const struct matmul matmul = {.compute = compute,
                                  .scale = scale,
                                  .transpose_a = CUBLAS_OP_N,
                                  .transpose_b = CUBLAS_OP_N,
                                  .bias_type = -1,
                                  .epilogue = CUBLASLT_EPILOGUE_DEFAULT};
    return create_call("cublasLtMatmulDescCreate", STANDIN_CUBLASLT_MATMUL, &matmul, sizeof matmul,
                       1, out);
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t matmul)
{
    return destroy_call("cublasLtMatmulDescDestroy", STANDIN_CUBLASLT_MATMUL, matmul);
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *out, cudaDataType type,
                                          uint64_t rows, uint64_t columns, int64_t leading)
{
    const struct layout layout = {type, rows, columns, leading};
    int valid = rows > 0 && columns > 0 && leading >= (int64_t)rows;
    return create_call("cublasLtMatrixLayoutCreate", STANDIN_CUBLASLT_LAYOUT, &layout,
                       sizeof layout, valid, out);
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout)
{
    return destroy_call("cublasLtMatrixLayoutDestroy", STANDIN_CUBLASLT_LAYOUT, layout);
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *out)
{
    const struct preference preference = {0, {256, 256, 256, 256}, CUBLASLT_REDUCTION_SCHEME_MASK};
    return create_call("cublasLtMatmulPreferenceCreate", STANDIN_CUBLASLT_PREFERENCE, &preference,
                       sizeof preference, 1, out);
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference)
{
    return destroy_call("cublasLtMatmulPreferenceDestroy", STANDIN_CUBLASLT_PREFERENCE, preference);
}

/* Where an attribute is kept, and its size; NULL if the stand-in has no such attribute. */
static void *matmul_attribute(struct matmul *m, cublasLtMatmulDescAttributes_t name, size_t *bytes)
{
    *bytes = 4;
    switch (name) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
        return &m->transpose_a;
    case CUBLASLT_MATMUL_DESC_TRANSB:
        return &m->transpose_b;
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
        return &m->epilogue;
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
        return &m->bias_type;
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
        *bytes = sizeof m->bias;
        return &m->bias;
    default:
        return NULL;
    }
}

static void *preference_attribute(struct preference *p, cublasLtMatmulPreferenceAttributes_t name,
                                  size_t *bytes)
{
    *bytes = 4;
    switch (name) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
        *bytes = 8;
        return &p->workspace;
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
        return &p->reductions;
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
        return &p->alignment[0];
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
        return &p->alignment[1];
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
        return &p->alignment[2];
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
        return &p->alignment[3];
    default:
        return NULL;
    }
}

static cublasStatus_t set(void *place, size_t bytes, int name, const void *value, size_t given)
{
    if (place == NULL) {
        standin_complain("the stand-in has no attribute %d", name);
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    if (value == NULL || given != bytes) {
        standin_complain("attribute %d has %zu bytes, not %zu", name, bytes, given);
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    memcpy(place, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t matmul,
                                              cublasLtMatmulDescAttributes_t name,
                                              const void *value, size_t given)
{
    cublasStatus_t status = blas_begin("cublasLtMatmulDescSetAttribute");
    size_t bytes = 0;
    void *place;

    if (status == CUBLAS_STATUS_SUCCESS && !standin_alive(STANDIN_CUBLASLT_MATMUL, matmul))
        status = CUBLAS_STATUS_INVALID_VALUE;
    if (status != CUBLAS_STATUS_SUCCESS)
        return blas_end(status);
    place = matmul_attribute((struct matmul *)(void *)matmul, name, &bytes);
    return blas_end(set(place, bytes, (int)name, value, given));
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t name,
                                                    const void *value, size_t given)
{
    cublasStatus_t status = blas_begin("cublasLtMatmulPreferenceSetAttribute");
    size_t bytes = 0;
    void *place;

    if (status == CUBLAS_STATUS_SUCCESS && !standin_alive(STANDIN_CUBLASLT_PREFERENCE, preference))
        status = CUBLAS_STATUS_INVALID_VALUE;
    if (status != CUBLAS_STATUS_SUCCESS)
        return blas_end(status);
    place = preference_attribute((struct preference *)(void *)preference, name, &bytes);
    return blas_end(set(place, bytes, (int)name, value, given));
}
