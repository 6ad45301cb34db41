/*
 * Taking parameters over from a file of another network: hmt_model_import(). Everything that can
 * fail is done before the first parameter changes.
 */
#include <string.h>

#include "api/model.h"
#include "core/float_mode.h"
#include "core/memory.h"
#include "core/status.h"
#include "format/tensors.h"

/* The file's tensor for parameter i; NULL if there is none that fits. */
static const tensors_entry *fitting(const hmt_model *model, const tensors_index *index, int32_t i)
{
    const graph_param *param = &model->graph.params[i];
    const tensors_entry *entry = tensors_find(index, param->name);

    return entry != NULL && tensors_has_shape(entry, param->shape) ? entry : NULL;
}

/* Can all that fits be read, and is there any? */
static hmt_status check(const hmt_model *model, const tensors_index *index)
{
    bool some = false;

    for (int32_t i = 0; i < model->graph.param_count; ++i) {
        const tensors_entry *entry = fitting(model, index, i);
        hmt_status status = entry != NULL ? tensors_check_dtype(index, entry) : HMT_OK;

        if (status != HMT_OK)
            return status;
        some = some || entry != NULL;
    }
    if (some)
        return HMT_OK;
    return status_fail(HMT_ERROR_FORMAT,
                       "%s: has no tensor with a name and shape of the network's parameters",
                       index->what);
}

/* What is taken, before it is: values by parameter, NULL for those that are left. */
static hmt_status stage(const hmt_model *model, const tensors_index *index, float **staged)
{
    hmt_status status = HMT_OK;

    for (int32_t i = 0; i < model->graph.param_count && status == HMT_OK; ++i) {
        const graph_param *param = &model->graph.params[i];
        const tensors_entry *entry = fitting(model, index, i);
        void *block = NULL;

        if (entry == NULL)
            continue;
        status = memory_uninitialised(&model->context->allocator, (size_t)param->count,
                                      sizeof(float), param->name, &block);
        staged[i] = block;
        if (status == HMT_OK)
            status = tensors_read(index, entry, staged[i]);
        if (status == HMT_OK && !model->allow_nonfinite)
            status = model_check_values(param, param->name, staged[i], index->what);
    }
    return status;
}

static hmt_status take(hmt_model *model, float *const *staged, int32_t *taken)
{
    hmt_status status;

    pthread_mutex_lock(&model->lock);
    status = model_check_writable(model);
    if (status == HMT_OK) {
        model_change_begin(model);
        for (int32_t i = 0; i < model->graph.param_count; ++i) {
            if (staged[i] != NULL)
                memcpy(model->values[i], staged[i],
                       (size_t)model->graph.params[i].count * sizeof(float));
            if (taken != NULL)
                taken[i] = staged[i] != NULL;
        }
        model_change_end(model);
    }
    pthread_mutex_unlock(&model->lock);
    return status;
}

static hmt_status import(hmt_model *model, const file_reader *file, const tensors_index *index,
                         int32_t *taken)
{
    const hmt_allocator *allocator = &model->context->allocator;
    void *block = NULL;
    float **staged;
    hmt_status status = check(model, index);

    if (status == HMT_OK)
        status = memory_zeroed(allocator, (size_t)model->graph.param_count, sizeof *staged,
                               "an import", &block);
    if (status != HMT_OK)
        return status;
    staged = block;
    status = stage(model, index, staged);
    if (status == HMT_OK)
        status = file_reader_check(file);
    if (status == HMT_OK)
        status = model_widen(model);
    if (status == HMT_OK)
        status = take(model, staged, taken);
    for (int32_t i = 0; i < model->graph.param_count; ++i)
        memory_free(allocator, staged[i]);
    memory_free(allocator, staged);
    return status;
}

hmt_status hmt_model_import(hmt_model *model, const char *path, int32_t *taken, size_t count)
{
    FLOAT_MODE_DEFAULT;
    file_reader file;
    tensors_index index;
    hmt_status status;

    status_clear();
    if (model == NULL || path == NULL ||
        (taken != NULL && count != (size_t)model->graph.param_count))
        return status_fail(HMT_ERROR_ARGUMENT,
                           "hmt_model_import: model or path is NULL, or taken has room for another "
                           "number of parameters");
    status = file_reader_open(path, &file);
    if (status != HMT_OK)
        return status;
    status = tensors_open_file(&model->context->allocator, &file, NULL, &index);
    if (status == HMT_OK)
        status = tensors_strip(&index, model->graph.params[0].name);
    if (status == HMT_OK)
        status = import(model, &file, &index, taken);
    tensors_close(&index);
    file_reader_close(&file);
    return status;
}
