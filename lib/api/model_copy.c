/*
 * Copies of models: the same config and parameters in another context, and so on another device.
 */
#include <string.h>

#include "api/model.h"
#include "core/memory.h"
#include "core/status.h"

/* A narrow parameter and its scales, in one block of the copy's own. */
static hmt_status copy_narrow(const hmt_model *model, int32_t param, hmt_model *copy)
{
    const model_narrow *from = &model->narrow[param];
    const size_t bytes = model_narrow_bytes(model, param);
    const size_t data = (bytes + MEMORY_ALIGNMENT - 1) / MEMORY_ALIGNMENT * MEMORY_ALIGNMENT;
    const size_t scales =
        from->scales != NULL ? (size_t)model->graph.params[param].shape[0] * sizeof(float) : 0;
    model_narrow *to = &copy->narrow[param];
    hmt_status status = memory_uninitialised(&copy->context->allocator, data + scales, 1,
                                             model->graph.params[param].name, &to->block);

    if (status != HMT_OK)
        return status;
    memcpy(to->block, from->data, bytes);
    if (scales > 0) {
        float *place = (float *)(void *)((char *)to->block + data);

        memcpy(place, from->scales, scales);
        to->scales = place;
    }
    to->dtype = from->dtype;
    to->data = to->block;
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
    hmt_model *copy = NULL;
    uint64_t generation;
    hmt_status status;

    status_clear();
    if (model == NULL || out == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_model_copy: model or copy is NULL");
    status = model_read_begin(model, &generation);
    if (status == HMT_OK)
        status = model_make(context, &model->config, &copy);
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
