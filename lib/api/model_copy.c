/*
 * Copies of models: the same config and parameters in another context, and so on another device.
 */
#include <string.h>

#include "api/model.h"
#include "core/float_mode.h"
#include "core/memory.h"
#include "core/status.h"

/* A narrow parameter and its scales. */
static hmt_status copy_narrow(const hmt_model *model, int32_t param, hmt_model *copy)
{
    const model_narrow *from = &model->narrow[param];
    hmt_status status = model_allocate_narrow(copy, param, from->dtype);

    if (status != HMT_OK)
        return status;
    memcpy(copy->narrow[param].block, from->data, model_narrow_bytes(model, param));
    if (from->scales != NULL)
        memcpy(copy->narrow[param].scales, from->scales,
               (size_t)model->graph.params[param].shape[0] * sizeof(float));
    return HMT_OK;
}

static hmt_status copy_param(const hmt_model *model, int32_t param, hmt_model *copy)
{
    hmt_status status;

    if (model->narrow[param].data != NULL)
        return copy_narrow(model, param, copy);
    status = model_allocate(copy, param);
    if (status == HMT_OK)
        memcpy(copy->values[param], model->values[param],
               (size_t)model->graph.params[param].count * sizeof(float));
    return status;
}

hmt_status hmt_model_copy(hmt_model *model, hmt_context *context, hmt_model **out)
{
    FLOAT_MODE_DEFAULT;
    hmt_model *copy = NULL;
    uint64_t generation;
    hmt_status status;

    status_clear();
    if (model == NULL || out == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_model_copy: model or copy is NULL");
    status = model_read_begin(model, &generation);
    if (status == HMT_OK)
        status = model_make(context, &model->config, &copy);
    if (status == HMT_OK)
        copy->allow_nonfinite = model->allow_nonfinite;
    for (int32_t i = 0; status == HMT_OK && i < model->graph.param_count; ++i)
        status = copy_param(model, i, copy);
    if (status == HMT_OK)
        status = model_read_end(model, generation);
    if (status != HMT_OK) {
        model_release(copy);
        return status;
    }
    *out = copy;
    return HMT_OK;
}
