/*
 * Taking parameters over from a file of another network: hmt_model_import(). Everything that can
 * fail is done before the first parameter changes.
 */
#include "api/model.h"
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

static hmt_status take(hmt_model *model, const tensors_index *index, int32_t *taken)
{
    hmt_status status = HMT_OK;

    pthread_mutex_lock(&model->lock);
    status = model_check_writable(model);
    if (status != HMT_OK) {
        pthread_mutex_unlock(&model->lock);
        return status;
    }
    model_change_begin(model);
    for (int32_t i = 0; i < model->graph.param_count && status == HMT_OK; ++i) {
        const tensors_entry *entry = fitting(model, index, i);

        if (entry != NULL)
            status = tensors_read(index, entry, model->values[i]);
        if (taken != NULL)
            taken[i] = entry != NULL;
    }
    model_change_end(model);
    pthread_mutex_unlock(&model->lock);
    return status;
}

hmt_status hmt_model_import(hmt_model *model, const char *path, int32_t *taken, size_t count)
{
    file_map map = {NULL, 0};
    tensors_index index;
    hmt_status status;

    status_clear();
    if (model == NULL || path == NULL ||
        (taken != NULL && count != (size_t)model->graph.param_count))
        return status_fail(HMT_ERROR_ARGUMENT,
                           "hmt_model_import: model or path is NULL, or taken has room for another "
                           "number of parameters");
    status = file_map_open(path, &map);
    if (status != HMT_OK)
        return status;
    status = tensors_open(&model->context->allocator, map.data, map.size, path, &index);
    if (status == HMT_OK) {
        status = check(model, &index);
        if (status == HMT_OK)
            status = model_widen(model, true);
        if (status == HMT_OK)
            status = take(model, &index, taken);
        tensors_close(&index);
    }
    file_map_close(&map);
    return status;
}
