/*
 * Models in files: loading (mapped, read or from memory) in every format that format/tensors.h
 * knows, and saving as safetensors with the config in the metadata. A tensor is only allocated once
 * the file has been seen to hold it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/checkpoint.h"
#include "api/model.h"
#include "api/options.h"
#include "core/memory.h"
#include "core/status.h"
#include "format/config_json.h"
#include "format/safetensors.h"
#include "models/models.h"

/* Where a model comes from: a file's or buffer's index, and what keeps its bytes. */
typedef struct source_file {
    const char *what; /* for messages: the path */
    file_map map;     /* moves into the model */
    unsigned char *copy;
    tensors_index index;
} source_file;

/* The length of dimension `axis` of a tensor; 0 if it is not there. */
static int64_t length_of(const tensors_index *index, const char *name, int axis)
{
    const tensors_entry *entry = tensors_find(index, name);

    return entry != NULL && axis < entry->rank ? entry->shape[axis] : 0;
}

/* A file without our config: what the shapes of HMTNet's tensors tell. */
static hmt_status deduce_config(const source_file *file, hmt_model_config *config)
{
    const tensors_index *index = &file->index;
    int64_t trunk = length_of(index, "conv1.weight", 0),
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

/* Scales of 8-bit weights are a tensor beside them, the weights' name with this behind it. */
#define SCALES "_scale"
enum { SCALES_NAME_SIZE = GRAPH_NAME + sizeof SCALES };

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
        (*scales)->shape[0] != param->shape[0] || (*scales)->strided || entry->strided)
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

/* One parameter: used where it lies in a mapped file, weights also in 16 and 8 bits; else converted
 * into memory of ours. */
static hmt_status load_param(hmt_model *model, const source_file *file, int32_t index)
{
    const graph_param *param = &model->graph.params[index];
    const tensors_entry *entry = tensors_find(&file->index, param->name), *scales;
    const float *mapped, *factors = NULL;
    const void *narrow;
    hmt_status status;

    if (entry == NULL)
        return status_fail(HMT_ERROR_FORMAT, "%s: has no tensor %s, which the network needs",
                           file->what, param->name);
    status = check_shape(file, param, entry);
    if (status == HMT_OK)
        status = find_scales(file, param, entry, &scales);
    if (status != HMT_OK)
        return status;
    mapped = file->map.data != NULL ? tensors_in_place(&file->index, entry) : NULL;
    if (mapped != NULL) {
        model->values[index] = (float *)(void *)(file->map.data + entry->offset);
        return HMT_OK;
    }
    /* By the network's dimensions: a vector may have more in the file. */
    narrow = file->map.data != NULL && param->dimensions > 1 ? tensors_narrow(&file->index, entry)
                                                             : NULL;
    if (scales != NULL)
        factors = tensors_in_place(&file->index, scales);
    if (narrow != NULL && (scales == NULL || factors != NULL)) {
        model->narrow[index] =
            (model_narrow){.data = narrow, .dtype = narrow_dtype(entry->dtype), .scales = factors};
        return HMT_OK;
    }
    status = model_allocate(model, index);
    if (status != HMT_OK || scales == NULL)
        return status == HMT_OK ? tensors_read(&file->index, entry, model->values[index]) : status;
    tensors_read_scaled(&file->index, entry, scales, model->values[index]);
    return HMT_OK;
}

/* Whether tensor `name` is a trainer's value or momentum of one of the network's parameters. */
static bool is_slot(const hmt_model *model, const source_file *file, const char *name)
{
    const char *param = checkpoint_param_of(&file->index, name);

    return param != NULL && graph_find_param(&model->graph, param) >= 0;
}

/* Tensors that the network does not have are an error, but for scales of its weights, what a
 * trainer adds in a checkpoint, and a counter that PyTorch adds to each batch norm. */
static hmt_status check_strangers(const hmt_model *model, const source_file *file)
{
    static const char counter[] = ".num_batches_tracked";

    for (size_t i = 0; i < file->index.count; ++i) {
        const char *name = file->index.entries[i].name;
        size_t length = strlen(name);

        /* is_slot() goes through all metadata, so it is asked last: few tensors can come there. */
        if (graph_find_param(&model->graph, name) < 0 && !is_scales(model, file, name) &&
            (length < sizeof counter ||
             strcmp(name + length - (sizeof counter - 1), counter) != 0) &&
            !is_slot(model, file, name))
            return status_fail(HMT_ERROR_FORMAT, "%s: tensor %s is not part of the network",
                               file->what, name);
    }
    return HMT_OK;
}

/* Makes the model of an opened file. */
static hmt_status load(hmt_context *context, source_file *file, const hmt_load_options *o,
                       hmt_model **out)
{
    hmt_model_config config;
    hmt_model *model = NULL;
    hmt_status status = find_config(file, o, &config);

    if (status == HMT_OK)
        status = model_make(context, &config, &model);
    if (status == HMT_OK)
        status = check_strangers(model, file);
    for (int32_t i = 0; status == HMT_OK && i < model->graph.param_count; ++i) {
        status = context_progress(model->context, "load", (uint64_t)i,
                                  (uint64_t)model->graph.param_count);
        if (status == HMT_OK)
            status = load_param(model, file, i);
    }
    if (status != HMT_OK) {
        model_release(model);
        return status;
    }
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

hmt_status hmt_model_load(hmt_context *context, const char *path, const hmt_load_options *options,
                          hmt_model **model)
{
    hmt_load_options o = HMT_LOAD_OPTIONS_INIT;
    hmt_context *held = NULL;
    source_file file = {.what = path};
    const unsigned char *data;
    size_t size;
    hmt_status status;

    status_clear();
    if (path == NULL || model == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_model_load: path or model is NULL");
    status = begin(context, options, &o, &held);
    if (status != HMT_OK)
        return status;
    if (o.copy) {
        status = file_read(&held->allocator, path, UINT64_MAX, &file.copy, &size);
        data = file.copy;
    } else {
        status = file_map_open(path, &file.map);
        data = file.map.data;
        size = file.map.size;
    }
    if (status == HMT_OK)
        status = tensors_open(&held->allocator, data, size, path, &file.index);
    if (status == HMT_OK) {
        status = load(held, &file, &o, model);
        tensors_close(&file.index);
    }
    file_map_close(&file.map);
    memory_free(&held->allocator, file.copy);
    context_release(held);
    return status;
}

hmt_status hmt_model_load_memory(hmt_context *context, const void *data, size_t size,
                                 const hmt_load_options *options, hmt_model **model)
{
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
    status = tensors_open(&held->allocator, data, size, file.what, &file.index);
    if (status == HMT_OK) {
        status = load(held, &file, &o, model);
        tensors_close(&file.index);
    }
    context_release(held);
    return status;
}

/* float32 first, so that it can be used in place, and the largest first, so that those lie on cache
 * lines. */
static int file_order(const void *left, const void *right)
{
    const safetensors_tensor *a = left, *b = right;
    uint64_t elements_a = 1, elements_b = 1;

    if ((a->dtype == TENSORS_F32) != (b->dtype == TENSORS_F32))
        return a->dtype == TENSORS_F32 ? -1 : 1;
    for (int i = 0; i < 4; ++i) {
        elements_a *= (uint64_t)a->shape[i];
        elements_b *= (uint64_t)b->shape[i];
    }
    if (elements_a != elements_b)
        return elements_a > elements_b ? -1 : 1;
    return strcmp(a->name, b->name);
}

/* What will stand in a file. */
typedef struct contents {
    safetensors_tensor *tensors;
    size_t count;
    float *scales; /* of all 8-bit weights, one after another */
    char (*names)[SCALES_NAME_SIZE];
} contents;

static bool is_quantised(const graph_param *param, hmt_dtype dtype)
{
    return dtype == HMT_DTYPE_I8 && param->dimensions > 1;
}

static void contents_free(const hmt_allocator *allocator, contents *c)
{
    memory_free(allocator, c->tensors);
    memory_free(allocator, c->scales);
    memory_free(allocator, c->names);
}

static hmt_status contents_allocate(const hmt_model *model, hmt_dtype dtype, contents *c)
{
    static const char what[] = "a file's header";
    const hmt_allocator *allocator = &model->context->allocator;
    size_t scales = 0, vectors = 0;
    void *tensors = NULL, *factors = NULL, *names = NULL;
    hmt_status status;

    for (int32_t i = 0; i < model->graph.param_count; ++i)
        if (is_quantised(&model->graph.params[i], dtype)) {
            scales += (size_t)model->graph.params[i].shape[0];
            ++vectors;
        }
    status = memory_zeroed(allocator, (size_t)model->graph.param_count + vectors,
                           sizeof *c->tensors, what, &tensors);
    if (status == HMT_OK && vectors > 0)
        status = memory_uninitialised(allocator, scales, sizeof *c->scales, what, &factors);
    if (status == HMT_OK && vectors > 0)
        status = memory_uninitialised(allocator, vectors, sizeof *c->names, what, &names);
    *c = (contents){tensors, 0, factors, names};
    return status;
}

/* For each output the step of 127 to either side of 0 that reaches its largest weight. */
static void find_steps(const graph_param *param, const float *values, float *scales)
{
    const int64_t row = param->count / param->shape[0];

    for (int64_t o = 0; o < param->shape[0]; ++o) {
        float most = 0.0f;

        for (int64_t i = 0; i < row; ++i)
            most = fmaxf(most, fabsf(values[o * row + i]));
        scales[o] = most / 127.0f;
    }
}

/* Describes the tensors of the file, in the order in which they will stand there. */
static void describe(const hmt_model *model, hmt_dtype dtype, contents *c)
{
    static const tensors_dtype stored[] = {TENSORS_F32, TENSORS_F16, TENSORS_BF16, TENSORS_I8};
    float *scales = c->scales;
    char(*name)[SCALES_NAME_SIZE] = c->names;

    for (int32_t i = 0; i < model->graph.param_count; ++i) {
        const graph_param *param = &model->graph.params[i];
        safetensors_tensor *tensor = &c->tensors[c->count++];

        *tensor = (safetensors_tensor){.name = param->name,
                                       .dtype = param->dimensions > 1 ? stored[dtype] : TENSORS_F32,
                                       .rank = param->dimensions,
                                       .shape = {1, 1, 1, 1, 1, 1, 1, 1},
                                       .values = model->values[i]};
        memcpy(tensor->shape, param->shape, sizeof param->shape);
        if (!is_quantised(param, dtype))
            continue;
        find_steps(param, model->values[i], scales);
        tensor->scales = scales;
        snprintf(*name, sizeof *name, "%s" SCALES, param->name);
        c->tensors[c->count++] =
            (safetensors_tensor){.name = *name,
                                 .dtype = TENSORS_F32,
                                 .rank = 1,
                                 .shape = {param->shape[0], 1, 1, 1, 1, 1, 1, 1},
                                 .values = scales};
        scales += param->shape[0];
        ++name;
    }
    qsort(c->tensors, c->count, sizeof *c->tensors, file_order);
}

static hmt_status write(hmt_model *model, uint64_t generation, const char *path, const contents *c,
                        const char *config)
{
    const hmt_context *context = model->context;
    const tensors_pair metadata[] = {{"format", "pt", 2},
                                     {CONFIG_JSON_KEY, config, strlen(config)}};
    const safetensors_job job = {.tensors = c->tensors,
                                 .tensor_count = c->count,
                                 .metadata = metadata,
                                 .metadata_count = 2,
                                 .progress = context->options.progress,
                                 .progress_user = context->options.progress_user};
    file_writer writer = {0};
    hmt_status status = file_writer_open(&writer, &context->allocator, path);

    if (status == HMT_OK)
        status = safetensors_write(&writer, &context->allocator, &job);
    if (status == HMT_OK)
        status = model_read_end(model, generation);
    if (status == HMT_OK)
        status = file_writer_commit(&writer);
    file_writer_discard(&writer);
    return status;
}

hmt_status hmt_model_save(hmt_model *model, const char *path, hmt_dtype dtype)
{
    const hmt_allocator *allocator;
    contents c = {NULL, 0, NULL, NULL};
    void *config = NULL;
    uint64_t generation;
    hmt_status status;

    status_clear();
    if (model == NULL || path == NULL || (int)dtype < HMT_DTYPE_F32 || dtype > HMT_DTYPE_I8)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "hmt_model_save: model or path is NULL, or no dtype has the number %d",
                           (int)dtype);
    allocator = &model->context->allocator;
    status = model_read_begin(model, &generation);
    if (status == HMT_OK)
        status = model_widen(model, false);
    if (status == HMT_OK)
        status = contents_allocate(model, dtype, &c);
    if (status == HMT_OK)
        status = memory_zeroed(allocator, CONFIG_JSON_SIZE, 1, "a file's header", &config);
    if (status == HMT_OK)
        status = config_to_json(&model->config, config, CONFIG_JSON_SIZE);
    if (status == HMT_OK) {
        describe(model, dtype, &c);
        status = write(model, generation, path, &c, config);
    }
    contents_free(allocator, &c);
    memory_free(allocator, config);
    return status;
}
