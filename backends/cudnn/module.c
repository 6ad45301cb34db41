/*
 * The table of functions, and the one symbol that this shared library exports. What the library
 * has to know about versions it finds in the table; nothing is checked here.
 */
#include "exec.h"

static hmt_status memory(void *home, void *prepared, hmt_backend_memory *out)
{
    const exec *e = prepared;

    out->packed = home != NULL ? weights_bytes(home) : 0;
    out->arena = e != NULL ? e->arena_bytes + e->scratch_bytes + e->workspace_bytes : 0;
    out->staging = e != NULL ? io_bytes(e) : 0;
    return HMT_OK;
}

static const hmt_backend table = {
    .struct_size = sizeof table,
    .abi = HMT_BACKEND_ABI,
    .name = "cudnn",
    .description = "NVIDIA GPUs: cuDNN, cuBLASLt and kernels of ours",
    .device_count = device_count,
    .device_info = device_info,
    .device_open = device_open,
    .device_close = device_close,
    .weights_create = weights_create,
    .weights_destroy = weights_destroy,
    .weights_get = weights_get,
    .weights_set = weights_set,
    .exec_create = exec_create,
    .exec_destroy = exec_destroy,
    .exec_run = exec_run,
    .exec_read = io_read,
    .memory = memory,
    .step_kernel = exec_kernel,
    .features = HMT_FEATURE_PIXELS | HMT_FEATURE_TF32 | HMT_FEATURE_BFLOAT16,
    .exec_stage = io_stage,
    .exec_join = group_join,
};

__attribute__((visibility("default"))) const hmt_backend *hmt_backend_module(void);

const hmt_backend *hmt_backend_module(void)
{
    return &table;
}
