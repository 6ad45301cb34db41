/*
 * Saving models as safetensors with the config in the metadata. Parameters are converted on the
 * way, piece by piece: a model keeps the storage that it has.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/model.h"
#include "api/model_file.h"
#include "core/float_mode.h"
#include "core/memory.h"
#include "core/status.h"
#include "format/config_json.h"
#include "format/safetensors.h"

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
    const hmt_model *model;
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
    *c = (contents){model, tensors, 0, factors, names};
    return status;
}

/* For each output the step of 127 to either side of 0 that reaches its largest weight. */
static void find_steps(const hmt_model *model, int32_t index, float *scales)
{
    enum { PIECE = 512 };
    const graph_param *param = &model->graph.params[index];
    const int64_t row = param->count / param->shape[0];
    float piece[PIECE];

    for (int64_t o = 0; o < param->shape[0]; ++o) {
        float most = 0.0f;

        for (int64_t i = 0, n; i < row; i += n) {
            n = row - i < PIECE ? row - i : PIECE;
            model_read_values(model, index, o * row + i, n, piece);
            for (int64_t k = 0; k < n; ++k)
                most = fmaxf(most, fabsf(piece[k]));
        }
        scales[o] = most / 127.0f;
        if (!isfinite(127.0f * scales[o])) /* the largest floats, rounded upwards */
            scales[o] = nextafterf(scales[o], 0.0f);
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

        *tensor =
            (safetensors_tensor){.name = param->name,
                                 .dtype = param->dimensions > 1 ? stored[dtype] : TENSORS_F32,
                                 .rank = param->dimensions,
                                 .shape = {1, 1, 1, 1, 1, 1, 1, 1},
                                 .values = model->narrow[i].data == NULL ? model->values[i] : NULL};
        memcpy(tensor->shape, param->shape, sizeof param->shape);
        if (!is_quantised(param, dtype))
            continue;
        find_steps(model, i, scales);
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

/* safetensors_job.fetch: what is narrow has no values yet. */
static hmt_status fetch(void *user, size_t index, uint64_t first, size_t count, float *room,
                        const float **values)
{
    const contents *c = user;
    const safetensors_tensor *tensor = &c->tensors[index];

    if (tensor->values != NULL) {
        *values = tensor->values + first;
        return HMT_OK;
    }
    model_read_values(c->model, graph_find_param(&c->model->graph, tensor->name), (int64_t)first,
                      (int64_t)count, room);
    *values = room;
    return HMT_OK;
}

static hmt_status write(hmt_model *model, uint64_t generation, const char *path, contents *c,
                        const char *config)
{
    const hmt_context *context = model->context;
    const tensors_pair metadata[] = {{"format", "pt", 2},
                                     {CONFIG_JSON_KEY, config, strlen(config)}};
    const safetensors_job job = {.tensors = c->tensors,
                                 .tensor_count = c->count,
                                 .metadata = metadata,
                                 .metadata_count = 2,
                                 .fetch = fetch,
                                 .fetch_user = c,
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
    FLOAT_MODE_DEFAULT;
    const hmt_allocator *allocator;
    contents c = {NULL, NULL, 0, NULL, NULL};
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
    for (int32_t i = 0; status == HMT_OK && !model->allow_nonfinite && i < model->graph.param_count;
         ++i)
        status = model_check_param(model, i, path);
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
