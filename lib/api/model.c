/*
 * Models in memory: creation, reference counts, parameters, and the source from which backends read
 * them. Files are model_file.c's.
 */
#include "api/model.h"

#include <math.h>
#include <string.h>

#include "api/options.h"
#include "core/float_mode.h"
#include "core/memory.h"
#include "core/random.h"
#include "core/status.h"
#include "format/half.h"
#include "models/models.h"
#include "objective/statistics.h"

/* The dense values of the parameter, if the weight is that parameter as it is (hmt_source.view). */
static float *source_view(void *user, const hmt_plan_weight *weight)
{
    const hmt_model *model = user;

    return weight->param >= 0 && weight->fold[2] < 0 && weight->scale == 1.0f
               ? model->values[weight->param]
               : NULL;
}

/* How the weight's parameter is stored, and where if narrow (hmt_source.stored). */
static const void *source_stored(void *user, const hmt_plan_weight *weight, hmt_dtype *dtype,
                                 const float **scales)
{
    static const model_narrow none = {NULL, HMT_DTYPE_F32, NULL, NULL};
    const hmt_model *model = user;
    const model_narrow *narrow = weight->param >= 0 ? &model->narrow[weight->param] : &none;

    *dtype = narrow->data != NULL ? narrow->dtype : HMT_DTYPE_F32;
    *scales = narrow->scales;
    return weight->fold[2] < 0 && weight->scale == 1.0f ? narrow->data : NULL;
}

/* What a backend has copied need not stay in memory, if the file still has it: the model has not
 * been changed and has no trainer, which might change it in place. */
static void forget(hmt_model *model, int32_t param)
{
    const model_narrow *narrow = &model->narrow[param];
    const size_t count = (size_t)model->graph.params[param].count;

    /* A backend calls this with a lock of its own, which whoever holds the model's may be waiting
     * for; it is only a wish. */
    if (pthread_mutex_trylock(&model->lock) != 0)
        return;
    if (model->trainer == NULL && atomic_load(&model->generation) == MODEL_UNCHANGED) {
        if (narrow->data != NULL && narrow->block == NULL)
            file_map_forget(&model->map, narrow->data, model_narrow_bytes(model, param));
        else if (narrow->data == NULL && !model->owned[param])
            file_map_forget(&model->map, model->values[param], count * sizeof(float));
    }
    pthread_mutex_unlock(&model->lock);
}

/* Values with the weight's batch norm folded in and its scale applied (hmt_source.read). */
static hmt_status source_read(void *user, const hmt_plan_weight *weight, int64_t first,
                              int64_t count, float *values)
{
    hmt_model *model = user;
    const float *raw = weight->param >= 0 && weight->is_bias ? model->values[weight->param] : NULL;
    const float *gamma = weight->fold[0] >= 0 ? model->values[weight->fold[0]] : NULL;
    const float *beta = weight->fold[1] >= 0 ? model->values[weight->fold[1]] : NULL;
    const float *mean = weight->fold[2] >= 0 ? model->values[weight->fold[2]] : NULL;
    const float *variance = weight->fold[3] >= 0 ? model->values[weight->fold[3]] : NULL;
    int64_t row = weight->shape[1] * weight->shape[2] * weight->shape[3];

    for (int64_t o = first; o < first + count; ++o) {
        double slope = 1.0, offset = 0.0;

        if (mean != NULL) {
            slope = statistics_slope(gamma != NULL ? gamma[o] : 1.0, variance[o], weight->epsilon);
            offset = statistics_offset(beta != NULL ? beta[o] : 0.0, mean[o], slope);
        }
        if (weight->is_bias)
            *values++ = (float)((raw != NULL ? raw[o] * slope : 0.0) + offset);
        else {
            model_read_values(model, weight->param, o * row, row, values);
            for (int64_t i = 0; i < row; ++i)
                values[i] = (float)(values[i] * slope * weight->scale);
            values += row;
        }
    }
    if (!weight->is_bias && first + count == weight->shape[0])
        forget(model, weight->param);
    return HMT_OK;
}

hmt_status model_make(hmt_context *context, const hmt_model_config *config, hmt_model **out)
{
    hmt_context *held = NULL;
    hmt_model *model = NULL;
    void *block;
    hmt_status status = context_acquire(context, &held);

    if (status != HMT_OK)
        return status;
    status = memory_zeroed(&held->allocator, 1, sizeof *model, "a model", &block);
    if (status != HMT_OK) {
        context_release(held);
        return status;
    }
    model = block;
    atomic_init(&model->references, 1);
    atomic_init(&model->generation, MODEL_UNCHANGED);
    pthread_mutex_init(&model->lock, NULL);
    model->context = held;
    model->config = *config;
    model->source =
        (hmt_source){sizeof model->source, model, source_read, source_view, source_stored};
    graph_init(&model->graph, &held->allocator);
    status = models_build(config, &model->graph);
    if (status == HMT_OK)
        status = memory_zeroed(&held->allocator, (size_t)model->graph.param_count,
                               sizeof *model->values + sizeof *model->narrow + sizeof *model->owned,
                               "a model", &block);
    if (status != HMT_OK) {
        model_release(model);
        return status;
    }
    model->values = block;
    model->narrow = (model_narrow *)(void *)(model->values + model->graph.param_count);
    model->owned = (bool *)(model->narrow + model->graph.param_count);
    *out = model;
    return HMT_OK;
}

void model_acquire(hmt_model *model)
{
    atomic_fetch_add(&model->references, 1);
}

void model_release(hmt_model *model)
{
    hmt_context *context;

    if (model == NULL || atomic_fetch_sub(&model->references, 1) != 1)
        return;
    context = model->context;
    for (int32_t i = 0; model->values != NULL && i < model->graph.param_count; ++i) {
        if (model->owned[i])
            memory_free(&context->allocator, model->values[i]);
        memory_free(&context->allocator, model->narrow[i].block);
    }
    memory_free(&context->allocator, model->values);
    file_map_close(&model->map);
    graph_clear(&model->graph);
    pthread_mutex_destroy(&model->lock);
    memory_free(&context->allocator, model);
    context_release(context);
}

void hmt_model_free(hmt_model *model)
{
    model_release(model);
}

/* First values of one parameter. He et al. 2015: normal with variance 2 / fan_in. */
static void initialise(const graph_param *param, uint64_t seed, float *values)
{
    double deviation = sqrt(2.0 / (double)(param->count / param->shape[0]));

    for (int64_t i = 0; i < param->count; ++i)
        values[i] = param->role == GRAPH_ROLE_WEIGHT
                        ? (float)(deviation * random_normal(seed, (uint64_t)i))
                    : param->role == GRAPH_ROLE_GAMMA    ? 1.0f
                    : param->role == GRAPH_ROLE_VARIANCE ? 1.0f
                                                         : 0.0f;
}

/* The score head starts at the mean score: its last layer's bias is set to it. */
static void start_score(hmt_model *model)
{
    for (int32_t i = 0; i < model->graph.head_count; ++i) {
        const graph_head *head = &model->graph.heads[i];
        int32_t bias = model->graph.nodes[head->node].param[1];

        if (head->classes == 0 && bias >= 0)
            model->values[bias][0] = model->config.score_mean;
    }
}

hmt_status hmt_model_create(hmt_context *context, const hmt_model_config *config, uint64_t seed,
                            hmt_model **out)
{
    FLOAT_MODE_DEFAULT;
    hmt_model_config c;
    hmt_model *model = NULL;
    hmt_status status;

    status_clear();
    if (out == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_model_create: model is NULL");
    models_config_defaults(&c);
    status = options_copy(&c, sizeof c, config, "hmt_model_config");
    if (status == HMT_OK)
        status = models_config_check(&c);
    if (status == HMT_OK)
        status = model_make(context, &c, &model);
    for (int32_t i = 0; status == HMT_OK && i < model->graph.param_count; ++i) {
        status = model_allocate(model, i);
        if (status == HMT_OK)
            initialise(&model->graph.params[i], random_split(seed, (uint64_t)i), model->values[i]);
    }
    if (status != HMT_OK) {
        model_release(model);
        return status;
    }
    start_score(model);
    *out = model;
    return HMT_OK;
}

void hmt_model_config_init(hmt_model_config *config)
{
    if (config != NULL)
        models_config_defaults(config);
}

hmt_status hmt_model_get_config(const hmt_model *model, hmt_model_config *config)
{
    status_clear();
    if (model == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_model_get_config: model is NULL");
    return options_give(config, &model->config, sizeof model->config, "hmt_model_config");
}

const char *hmt_model_label(const hmt_model *model, hmt_task task, int32_t label)
{
    if (model == NULL || label < 0)
        return NULL;
    if (task == HMT_TASK_GENDER && label < model->config.gender_classes)
        return model->config.gender_labels[label];
    if (task == HMT_TASK_RACE && label < model->config.race_classes)
        return model->config.race_labels[label];
    return NULL;
}

hmt_status model_weights_acquire(hmt_model *model, uint64_t generation, model_weights **out)
{
    const hmt_context *context = model->context;
    void *block = NULL;
    hmt_status status = HMT_OK;

    pthread_mutex_lock(&model->lock);
    if (model->weights == NULL || model->weights->generation != generation) {
        status = memory_zeroed(&context->allocator, 1, sizeof *model->weights, "a model's weights",
                               &block);
        if (status == HMT_OK) {
            model_weights *made = block;

            made->generation = generation;
            status =
                context->backend->weights_create(context->device, &model->source, &made->weights);
            if (status == HMT_OK)
                model->weights = made;
            else
                memory_free(&context->allocator, made);
        }
    }
    if (status == HMT_OK) {
        ++model->weights->references;
        *out = model->weights;
    }
    pthread_mutex_unlock(&model->lock);
    return status;
}

void model_weights_release(hmt_model *model, model_weights *weights)
{
    bool last;

    if (weights == NULL)
        return;
    pthread_mutex_lock(&model->lock);
    last = --weights->references == 0;
    if (last && model->weights == weights)
        model->weights = NULL;
    pthread_mutex_unlock(&model->lock);
    if (last) {
        model->context->backend->weights_destroy(weights->weights);
        memory_free(&model->context->allocator, weights);
    }
}
