/*
 * A model's parameters: how they are stored, as float32 or narrow, what they are called, and
 * reading and writing them. Values that are not finite stay out, unless the model was loaded with
 * them.
 */
#include <math.h>
#include <string.h>

#include "api/model.h"
#include "api/options.h"
#include "core/float_mode.h"
#include "core/memory.h"
#include "core/status.h"
#include "format/finite.h"
#include "format/half.h"

void model_read_values(const hmt_model *model, int32_t param, int64_t from, int64_t count,
                       float *values)
{
    const model_narrow *narrow = &model->narrow[param];
    const graph_param *shape = &model->graph.params[param];

    if (narrow->data == NULL)
        memcpy(values, model->values[param] + from, (size_t)count * sizeof(float));
    else if (narrow->dtype == HMT_DTYPE_F16)
        half_array_from_f16((const uint16_t *)narrow->data + from, values, (size_t)count);
    else if (narrow->dtype == HMT_DTYPE_BF16)
        half_array_from_bf16((const uint16_t *)narrow->data + from, values, (size_t)count);
    else
        for (int64_t i = 0; i < count; ++i)
            values[i] = (float)((const int8_t *)narrow->data)[from + i] *
                        narrow->scales[(from + i) / (shape->count / shape->shape[0])];
}

size_t model_narrow_bytes(const hmt_model *model, int32_t param)
{
    const size_t width = model->narrow[param].dtype == HMT_DTYPE_I8 ? 1 : sizeof(uint16_t);

    return (size_t)model->graph.params[param].count * width;
}

uint64_t model_param_bytes(const hmt_model *model, int32_t index)
{
    const uint64_t count = (uint64_t)model->graph.params[index].count;

    return (model->narrow[index].data != NULL ? model_narrow_bytes(model, index) : 0) +
           (model->values[index] != NULL ? count * sizeof(float) : 0);
}

hmt_status model_allocate(hmt_model *model, int32_t index)
{
    const graph_param *param = &model->graph.params[index];
    void *block;
    hmt_status status = memory_uninitialised(&model->context->allocator, (size_t)param->count,
                                             sizeof(float), param->name, &block);

    if (status == HMT_OK) {
        model->values[index] = block;
        model->owned[index] = true;
    }
    return status;
}

hmt_status model_allocate_narrow(hmt_model *model, int32_t index, hmt_dtype dtype)
{
    const graph_param *param = &model->graph.params[index];
    model_narrow *narrow = &model->narrow[index];
    const size_t bytes = (size_t)param->count * (dtype == HMT_DTYPE_I8 ? 1 : sizeof(uint16_t));
    const size_t data = (bytes + MEMORY_ALIGNMENT - 1) / MEMORY_ALIGNMENT * MEMORY_ALIGNMENT;
    const size_t scales = dtype == HMT_DTYPE_I8 ? (size_t)param->shape[0] * sizeof(float) : 0;
    void *block;
    hmt_status status =
        memory_uninitialised(&model->context->allocator, data + scales, 1, param->name, &block);

    if (status == HMT_OK)
        *narrow =
            (model_narrow){.data = block,
                           .dtype = dtype,
                           .scales = scales > 0 ? (float *)(void *)((char *)block + data) : NULL,
                           .block = block};
    return status;
}

/* ---- numbers that are not finite ---- */

hmt_status model_check_values(const graph_param *param, const char *name, const float *values,
                              const char *what)
{
    const size_t count = (size_t)param->count, bad = finite_first_bad_32(values, count);

    if (bad < count)
        return status_fail(HMT_ERROR_NONFINITE, "%s: element %zu of %s is %g, not a finite number",
                           what, bad, name, (double)values[bad]);
    for (size_t i = 0; param->role == GRAPH_ROLE_VARIANCE && i < count; ++i)
        if (values[i] < 0.0f)
            return status_fail(HMT_ERROR_NONFINITE,
                               "%s: element %zu of %s is %g: no variance is negative", what, i,
                               name, (double)values[i]);
    return HMT_OK;
}

/* Scales whose products with 127 are not finite; the number of scales if there are none. */
static size_t first_bad_scale(const float *scales, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        if (!isfinite(127.0f * scales[i]))
            return i;
    return count;
}

hmt_status model_check_param(const hmt_model *model, int32_t index, const char *what)
{
    const graph_param *param = &model->graph.params[index];
    const model_narrow *narrow = &model->narrow[index];
    const size_t count = (size_t)param->count, outputs = (size_t)param->shape[0];
    size_t bad;
    float value;

    if (narrow->data == NULL)
        return model_check_values(param, param->name, model->values[index], what);
    if (narrow->dtype == HMT_DTYPE_I8) {
        bad = first_bad_scale(narrow->scales, outputs);
        return bad == outputs
                   ? HMT_OK
                   : status_fail(HMT_ERROR_NONFINITE,
                                 "%s: scale %zu of %s is %g, too large or not a finite number",
                                 what, bad, param->name, (double)narrow->scales[bad]);
    }
    bad = finite_first_bad_16(narrow->data, count,
                              narrow->dtype == HMT_DTYPE_F16 ? FINITE_F16 : FINITE_BF16);
    if (bad == count)
        return HMT_OK;
    model_read_values(model, index, (int64_t)bad, 1, &value);
    return status_fail(HMT_ERROR_NONFINITE, "%s: element %zu of %s is %g, not a finite number",
                       what, bad, param->name, (double)value);
}

/* ---- widening ---- */

hmt_status model_widen(hmt_model *model)
{
    hmt_status status = HMT_OK;

    pthread_mutex_lock(&model->lock);
    for (int32_t i = 0; status == HMT_OK && i < model->graph.param_count; ++i) {
        if (model->narrow[i].data != NULL && model->values[i] == NULL) {
            status = model_allocate(model, i);
            if (status == HMT_OK)
                model_read_values(model, i, 0, model->graph.params[i].count, model->values[i]);
        }
    }
    for (int32_t i = 0; status == HMT_OK && i < model->graph.param_count; ++i) {
        model->narrow[i].data = NULL;
        model->narrow[i].scales = NULL;
        if (model->weights == NULL) { /* else a session may still point there */
            memory_free(&model->context->allocator, model->narrow[i].block);
            model->narrow[i].block = NULL;
        }
    }
    pthread_mutex_unlock(&model->lock);
    return status;
}

/* ---- for hosts ---- */

size_t hmt_model_param_count(const hmt_model *model)
{
    return model != NULL ? (size_t)model->graph.param_count : 0;
}

static hmt_status check_index(const hmt_model *model, size_t index)
{
    if (model == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "the model is NULL");
    if (index >= (size_t)model->graph.param_count)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "the model has %d parameters, none has the number %zu",
                           model->graph.param_count, index);
    return HMT_OK;
}

hmt_status hmt_model_param_info(const hmt_model *model, size_t index, hmt_param_info *info)
{
    hmt_param_info all = HMT_PARAM_INFO_INIT;
    const graph_param *param;
    hmt_status status;

    status_clear();
    status = check_index(model, index);
    if (status != HMT_OK)
        return status;
    param = &model->graph.params[index];
    all.name = param->name;
    all.dimensions = param->dimensions;
    memcpy(all.shape, param->shape, sizeof all.shape);
    all.count = param->count;
    all.trainable = graph_param_trainable(param);
    return options_give(info, &all, sizeof all, "hmt_param_info");
}

hmt_status hmt_model_param_find(const hmt_model *model, const char *name, size_t *index)
{
    int32_t found;

    status_clear();
    if (model == NULL || name == NULL || index == NULL)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "hmt_model_param_find: model, name or index is NULL");
    found = graph_find_param(&model->graph, name);
    if (found < 0)
        return status_fail(HMT_ERROR_NOT_FOUND, "the network has no parameter \"%s\"", name);
    *index = (size_t)found;
    return HMT_OK;
}

/* Checks the arguments of a read or write of all of one parameter. */
static hmt_status check_transfer(const hmt_model *model, size_t index, const float *values,
                                 size_t count)
{
    hmt_status status = check_index(model, index);

    if (status != HMT_OK)
        return status;
    if (values == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "parameter %s: values is NULL",
                           model->graph.params[index].name);
    if (count != (size_t)model->graph.params[index].count)
        return status_fail(HMT_ERROR_ARGUMENT, "parameter %s has %lld elements, not %zu",
                           model->graph.params[index].name,
                           (long long)model->graph.params[index].count, count);
    return HMT_OK;
}

hmt_status hmt_model_param_read(const hmt_model *model, size_t index, float *values, size_t count)
{
    FLOAT_MODE_DEFAULT;
    uint64_t generation;
    hmt_status status;

    status_clear();
    status = check_transfer(model, index, values, count);
    if (status == HMT_OK)
        status = model_read_begin((hmt_model *)model, &generation);
    if (status != HMT_OK)
        return status;
    model_read_values(model, (int32_t)index, 0, (int64_t)count, values);
    return model_read_end((hmt_model *)model, generation);
}

hmt_status hmt_model_param_write(hmt_model *model, size_t index, const float *values, size_t count)
{
    FLOAT_MODE_DEFAULT;
    hmt_status status;

    status_clear();
    status = check_transfer(model, index, values, count);
    if (status == HMT_OK && !model->allow_nonfinite)
        status = model_check_values(&model->graph.params[index], model->graph.params[index].name,
                                    values, "hmt_model_param_write");
    if (status == HMT_OK)
        status = model_widen(model);
    if (status != HMT_OK)
        return status;
    pthread_mutex_lock(&model->lock);
    status = model_check_writable(model);
    if (status == HMT_OK) {
        model_change_begin(model);
        memcpy(model->values[index], values, count * sizeof(float));
        model_change_end(model);
    }
    pthread_mutex_unlock(&model->lock);
    return status;
}
