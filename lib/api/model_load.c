/*
 * Loading models: copied from a file or from memory, or mapped where a host asks for that, in every
 * format that format/tensors.h knows. A tensor is only allocated once the file has been seen to
 * hold it.
 */
#include <stdio.h>
#include <string.h>

#include "api/checkpoint.h"
#include "api/model.h"
#include "api/model_file.h"
#include "api/options.h"
#include "core/float_mode.h"
#include "core/status.h"
#include "format/config_json.h"
#include "models/models.h"

/* Where a model comes from: a file's or buffer's index, and what its bytes are read from. */
typedef struct source_file {
    const char *what;   /* for messages: the path */
    file_map map;       /* moves into the model */
    file_reader reader; /* of a file that is not mapped */
    tensors_index index;
} source_file;

/* The length of dimension `axis` of a tensor; 0 if it is not there. */
static int64_t length_of(const tensors_index *index, const char *name, int axis)
{
    const tensors_entry *entry = tensors_find(index, name);

    return entry != NULL && axis < entry->rank ? entry->shape[axis] : 0;
}

/* Tells whether all names of a file begin with more than the network's. */
static const char first_tensor[] = "conv1.weight";

/* A file without our config: what the shapes of HMTNet's tensors tell. */
static hmt_status deduce_config(const source_file *file, hmt_model_config *config)
{
    const tensors_index *index = &file->index;
    int64_t trunk = length_of(index, first_tensor, 0),
            genders = length_of(index, "gbranch.gconv3.weight", 0);
    int64_t races = length_of(index, "rbranch.rconv3.weight", 0);
    int64_t last = length_of(index, "conv5.weight", 0), pooled = length_of(index, "fc6.weight", 1);
    int64_t widest = length_of(index, "fc6.weight", 0);

    if (trunk < 1 || trunk > 4 * 96 || genders < 2 || genders > HMT_MAX_CLASSES || races < 2 ||
        races > HMT_MAX_CLASSES || last < 1 || last > 4 * 512 || widest < 1 || widest > 4 * 4096)
        return status_fail(
            HMT_ERROR_FORMAT,
            "%s: has neither our config in its metadata nor the tensors of an HMTNet", file->what);
    config->width = (double)widest / 4096.0; /* the layer that tells it most exactly */
    config->gender_classes = (int32_t)genders;
    config->race_classes = (int32_t)races;
    config->aggregator = pooled == 2 * last ? HMT_AGGREGATOR_CONCATENATE : HMT_AGGREGATOR_AVERAGE;
    return HMT_OK;
}

static hmt_status find_config(const source_file *file, const hmt_load_options *o,
                              hmt_model_config *config)
{
    const tensors_pair *pair = tensors_metadata(&file->index, CONFIG_JSON_KEY);
    hmt_status status;

    models_config_defaults(config);
    if (pair != NULL)
        status = config_from_json(pair->value, pair->value_size, config);
    else if (o->config != NULL)
        status = options_copy(config, sizeof *config, o->config, "hmt_model_config");
    else
        status = deduce_config(file, config);
    if (status != HMT_OK)
        return status;
    return models_config_check(config);
}

static hmt_status check_shape(const source_file *file, const graph_param *param,
                              const tensors_entry *entry)
{
    if (tensors_has_shape(entry, param->shape))
        return HMT_OK;
    return status_fail(
        HMT_ERROR_FORMAT,
        "%s: tensor %s is %lld x %lld x %lld x %lld, the network needs %lld x %lld x %lld x %lld",
        file->what, param->name, (long long)entry->shape[0], (long long)entry->shape[1],
        (long long)entry->shape[2], (long long)entry->shape[3], (long long)param->shape[0],
        (long long)param->shape[1], (long long)param->shape[2], (long long)param->shape[3]);
}

/* The scales of an 8-bit weight's tensor; NULL for any other. */
static hmt_status find_scales(const source_file *file, const graph_param *param,
                              const tensors_entry *entry, const tensors_entry **scales)
{
    char name[SCALES_NAME_SIZE];

    *scales = NULL;
    if (entry->dtype != TENSORS_I8 || param->dimensions < 2)
        return HMT_OK;
    snprintf(name, sizeof name, "%s" SCALES, param->name);
    *scales = tensors_find(&file->index, name);
    if (*scales == NULL)
        return status_fail(HMT_ERROR_FORMAT, "%s: tensor %s has dtype I8 but no scales, %s",
                           file->what, param->name, name);
    if ((*scales)->dtype != TENSORS_F32 || (*scales)->rank != 1 ||
        (*scales)->shape[0] != param->shape[0] || (*scales)->strided || entry->strided ||
        entry->negated)
        return status_fail(HMT_ERROR_FORMAT, "%s: tensor %s is not a vector of %lld float32 scales",
                           file->what, name, (long long)param->shape[0]);
    return HMT_OK;
}

/* Whether tensor `name` holds the scales of one of the network's weights. */
static bool is_scales(const hmt_model *model, const source_file *file, const char *name)
{
    const size_t length = strlen(name), suffix = sizeof SCALES - 1;
    char base[SCALES_NAME_SIZE];
    const tensors_entry *weight;

    if (length <= suffix || length - suffix >= sizeof base ||
        strcmp(name + length - suffix, SCALES) != 0)
        return false;
    snprintf(base, sizeof base, "%.*s", (int)(length - suffix), name);
    weight = tensors_find(&file->index, base);
    return weight != NULL && weight->dtype == TENSORS_I8 &&
           graph_find_param(&model->graph, base) >= 0;
}

static hmt_dtype narrow_dtype(tensors_dtype dtype)
{
    return dtype == TENSORS_I8    ? HMT_DTYPE_I8
           : dtype == TENSORS_F16 ? HMT_DTYPE_F16
                                  : HMT_DTYPE_BF16;
}

/* Weights in 16 and 8 bits stay so: where they lie in a map, else in memory of the model. */
static hmt_status load_narrow(hmt_model *model, const source_file *file, int32_t index,
                              const tensors_entry *entry, const tensors_entry *scales)
{
    const hmt_dtype dtype = narrow_dtype(entry->dtype);
    model_narrow *narrow = &model->narrow[index];
    const void *mapped = file->map.data != NULL ? tensors_narrow(&file->index, entry) : NULL;
    float *factors =
        mapped != NULL && scales != NULL ? (float *)tensors_in_place(&file->index, scales) : NULL;
    hmt_status status;

    if (mapped != NULL && (scales == NULL || factors != NULL)) {
        *narrow = (model_narrow){.data = mapped, .dtype = dtype, .scales = factors};
        return HMT_OK;
    }
    status = model_allocate_narrow(model, index, dtype);
    if (status == HMT_OK)
        status = tensors_copy(&file->index, entry, narrow->block);
    if (status == HMT_OK && scales != NULL)
        status = tensors_read(&file->index, scales, narrow->scales);
    return status;
}

/* One parameter: float32 where it lies in a map, narrow weights as they are, all else converted. */
static hmt_status load_param(hmt_model *model, const source_file *file, int32_t index)
{
    const graph_param *param = &model->graph.params[index];
    const tensors_entry *entry = tensors_find(&file->index, param->name), *scales;
    hmt_status status;

    if (entry == NULL)
        return status_fail(HMT_ERROR_FORMAT, "%s: has no tensor %s, which the network needs",
                           file->what, param->name);
    status = check_shape(file, param, entry);
    if (status == HMT_OK)
        status = find_scales(file, param, entry, &scales);
    if (status != HMT_OK)
        return status;
    /* By the network's dimensions: a vector may have more in the file. */
    if (param->dimensions > 1 && tensors_is_narrow(entry))
        return load_narrow(model, file, index, entry, scales);
    if (file->map.data != NULL && tensors_in_place(&file->index, entry) != NULL) {
        model->values[index] = (float *)(void *)(file->map.data + entry->offset);
        return HMT_OK;
    }
    status = model_allocate(model, index);
    if (status == HMT_OK)
        status = scales == NULL
                     ? tensors_read(&file->index, entry, model->values[index])
                     : tensors_read_scaled(&file->index, entry, scales, model->values[index]);
    return status;
}

/* Whether tensor `name` is a trainer's value or momentum of one of the network's parameters. */
static bool is_slot(const hmt_model *model, const char *name)
{
    const char *param = checkpoint_param_of(name);

    return param != NULL && graph_find_param(&model->graph, param) >= 0;
}

/* Whether a tensor is for the network: a parameter, scales of one, what a trainer adds in a
 * checkpoint, or a counter that PyTorch adds to each batch norm. */
static bool is_known(const hmt_model *model, const source_file *file, bool checkpoint,
                     const char *name)
{
    static const char counter[] = ".num_batches_tracked";
    const size_t length = strlen(name);

    return graph_find_param(&model->graph, name) >= 0 || is_scales(model, file, name) ||
           (length >= sizeof counter &&
            strcmp(name + length - (sizeof counter - 1), counter) == 0) ||
           (checkpoint && is_slot(model, name));
}

/* Tells the host what of the file is not in the model, and which state dict was taken. */
static void tell_left(const hmt_model *model, const source_file *file)
{
    enum { NAMED = 3 };
    const hmt_host *host = &model->context->host;
    const tensors_index *index = &file->index;
    const bool checkpoint = tensors_metadata(index, CHECKPOINT_STATE) != NULL;
    char line[512], names[256] = "";
    size_t left = 0;

    for (size_t i = 0; i < index->count; ++i) {
        const char *name = index->entries[i].name;
        const size_t used = strlen(names);

        if (is_known(model, file, checkpoint, name))
            continue;
        if (++left <= NAMED)
            snprintf(names + used, sizeof names - used, "%s%.60s", left > 1 ? ", " : "", name);
    }
    if (left > 0) {
        snprintf(line, sizeof line,
                 "%.120s: %zu tensors are not part of the network and were left: %s%s", file->what,
                 left, names, left > NAMED ? ", ..." : "");
        host->log(host, HMT_LOG_WARNING, line);
    }
    if (index->others[0] != '\0') {
        snprintf(line, sizeof line, "%.120s: took the state dict \"%s\"; it also has %s",
                 file->what, index->state_dict, index->others);
        host->log(host, HMT_LOG_WARNING, line);
    }
}

/* Makes the model of an opened file. */
static hmt_status load(hmt_context *context, source_file *file, const hmt_load_options *o,
                       hmt_model **out)
{
    hmt_model_config config;
    hmt_model *model = NULL;
    hmt_status status = tensors_strip(&file->index, first_tensor);

    if (status == HMT_OK)
        status = find_config(file, o, &config);
    if (status == HMT_OK)
        status = model_make(context, &config, &model);
    for (int32_t i = 0; status == HMT_OK && i < model->graph.param_count; ++i) {
        status = context_progress(model->context, "load", (uint64_t)i,
                                  (uint64_t)model->graph.param_count);
        if (status == HMT_OK)
            status = load_param(model, file, i);
        if (status == HMT_OK && !o->allow_nonfinite)
            status = model_check_param(model, i, file->what);
    }
    if (status == HMT_OK && file->reader.open)
        status = file_reader_check(&file->reader);
    if (status != HMT_OK) {
        model_release(model);
        return status;
    }
    tell_left(model, file);
    model->allow_nonfinite = o->allow_nonfinite != 0;
    model->map = file->map;
    file->map = (file_map){NULL, 0};
    *out = model;
    return HMT_OK;
}

/* The options, and a context that is held for the whole of a load. */
static hmt_status begin(hmt_context *context, const hmt_load_options *options, hmt_load_options *o,
                        hmt_context **held)
{
    hmt_status status = options_copy(o, sizeof *o, options, "hmt_load_options");

    return status == HMT_OK ? context_acquire(context, held) : status;
}

static hmt_status open_file(const hmt_allocator *allocator, const hmt_load_options *o,
                            const char *path, source_file *file)
{
    hmt_status status =
        o->map ? file_map_open(path, &file->map) : file_reader_open(path, &file->reader);

    if (status != HMT_OK)
        return status;
    return o->map ? tensors_open(allocator, file->map.data, file->map.size, path, o->state_dict,
                                 &file->index)
                  : tensors_open_file(allocator, &file->reader, o->state_dict, &file->index);
}

hmt_status hmt_model_load(hmt_context *context, const char *path, const hmt_load_options *options,
                          hmt_model **model)
{
    FLOAT_MODE_DEFAULT;
    hmt_load_options o = HMT_LOAD_OPTIONS_INIT;
    hmt_context *held = NULL;
    source_file file = {.what = path};
    hmt_status status;

    status_clear();
    if (path == NULL || model == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_model_load: path or model is NULL");
    status = begin(context, options, &o, &held);
    if (status != HMT_OK)
        return status;
    status = open_file(&held->allocator, &o, path, &file);
    if (status == HMT_OK)
        status = load(held, &file, &o, model);
    tensors_close(&file.index);
    file_reader_close(&file.reader);
    file_map_close(&file.map);
    context_release(held);
    return status;
}

hmt_status hmt_model_load_memory(hmt_context *context, const void *data, size_t size,
                                 const hmt_load_options *options, hmt_model **model)
{
    FLOAT_MODE_DEFAULT;
    hmt_load_options o = HMT_LOAD_OPTIONS_INIT;
    hmt_context *held = NULL;
    source_file file = {.what = "model in memory"};
    hmt_status status;

    status_clear();
    if (data == NULL || model == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_model_load_memory: data or model is NULL");
    status = begin(context, options, &o, &held);
    if (status != HMT_OK)
        return status;
    status = tensors_open(&held->allocator, data, size, file.what, o.state_dict, &file.index);
    if (status == HMT_OK)
        status = load(held, &file, &o, model);
    tensors_close(&file.index);
    context_release(held);
    return status;
}
