/*
 * Parameters on their way home from the device that trains them. The model's values are always
 * those of one step: what comes from a device is gathered first and only then put in their place.
 */
#include <string.h>

#include "api/trainer.h"
#include "core/memory.h"
#include "core/status.h"

static hmt_status read_source(void *user, const hmt_plan_weight *weight, int64_t first,
                              int64_t count, float *values)
{
    const hmt_source *source = &((hmt_trainer *)user)->live->source;

    return source->read(source->user, weight, first, count, values);
}

static float *view_source(void *user, const hmt_plan_weight *weight)
{
    hmt_trainer *trainer = user;
    const hmt_source *source = &trainer->live->source;
    float *values = source->view(source->user, weight);

    if (values != NULL)
        trainer->in_place[weight->param] = true;
    return values;
}

static const void *stored_source(void *user, const hmt_plan_weight *weight, hmt_dtype *dtype,
                                 const float **scales)
{
    const hmt_source *source = &((hmt_trainer *)user)->live->source;

    return source->stored(source->user, weight, dtype, scales);
}

hmt_status home_prepare(hmt_trainer *trainer)
{
    const hmt_model *model = trainer->model;
    void *block;
    hmt_status status = memory_zeroed(&model->context->allocator, (size_t)model->graph.param_count,
                                      sizeof(bool), "a trainer", &block);

    trainer->in_place = block;
    trainer->source =
        (hmt_source){sizeof trainer->source, trainer, read_source, view_source, stored_source};
    return status;
}

bool home_spoiled(const hmt_trainer *trainer)
{
    const hmt_plan *plan = &trainer->train.lowered->plan;
    const bool behind = trainer->home_steps != trainer->steps; /* those that are not in place */
    bool in_place = false, apart = false;

    if (average_is_on(trainer))
        return false;
    for (size_t i = 0; i < plan->weight_count; ++i)
        if (plan->weights[i].trained) {
            in_place = in_place || trainer->in_place[plan->weights[i].param];
            apart = apart || !trainer->in_place[plan->weights[i].param];
        }
    return in_place && (trainer->broken || (behind && apart));
}

/* Elements of the trained parameters that are changed on a device, not in place. */
static size_t count_elements(const hmt_trainer *trainer)
{
    const hmt_plan *plan = &trainer->train.lowered->plan;
    size_t count = 0;

    for (size_t i = 0; i < plan->weight_count; ++i)
        if (plan->weights[i].trained && !trainer->in_place[plan->weights[i].param])
            count += (size_t)trainer->model->graph.params[plan->weights[i].param].count;
    return count;
}

/* Where parameter `param` is gathered: where it lies in the values that the backend changes in
 * place, with averaging in the trainer's own model, else in *room, which moves on. */
static float *gathering_place(const hmt_trainer *trainer, int32_t param, float **room)
{
    float *place = *room;

    if (average_is_on(trainer) || trainer->in_place[param])
        return trainer->live->values[param];
    *room += trainer->model->graph.params[param].count;
    return place;
}

hmt_status home_gather(hmt_trainer *trainer, float *room)
{
    const hmt_plan *plan = &trainer->train.lowered->plan;
    hmt_status status = HMT_OK;

    for (size_t i = 0; i < plan->weight_count && status == HMT_OK; ++i)
        if (plan->weights[i].trained)
            status = trainer->model->context->backend->weights_get(
                trainer->weights, &plan->weights[i], HMT_SLOT_VALUE,
                gathering_place(trainer, plan->weights[i].param, &room));
    return status;
}

/* Puts what has been gathered into the model's values. */
static void put(hmt_trainer *trainer, float *room)
{
    const hmt_model *model = trainer->model;
    const hmt_plan *plan = &trainer->train.lowered->plan;

    for (size_t i = 0; i < plan->weight_count; ++i) {
        const int32_t param = plan->weights[i].param;
        const float *values;

        if (!plan->weights[i].trained)
            continue;
        values = gathering_place(trainer, param, &room);
        if (values != model->values[param])
            memcpy(model->values[param], values,
                   (size_t)model->graph.params[param].count * sizeof *values);
    }
}

hmt_status home_bring(hmt_trainer *trainer)
{
    const hmt_allocator *allocator = &trainer->model->context->allocator;
    const size_t elements = average_is_on(trainer) ? 0 : count_elements(trainer);
    const uint64_t generation = model_generation(trainer->model);
    void *room = NULL;
    hmt_status status = HMT_OK;

    if (trainer->broken)
        return status_fail(HMT_ERROR_STATE, "step %llu failed half-way",
                           (unsigned long long)trainer->steps + 1);
    if (average_has_begun(trainer)) {
        trainer->home_steps = trainer->steps;
        return HMT_OK;
    }
    if (elements > 0)
        status = memory_uninitialised(allocator, elements, sizeof(float),
                                      "parameters on their way home", &room);
    if (status == HMT_OK)
        status = home_gather(trainer, room);
    if (status == HMT_OK)
        status = model_read_end(trainer->model, generation);
    if (status == HMT_OK)
        put(trainer, room);
    memory_free(allocator, room);
    if (status == HMT_OK)
        trainer->home_steps = trainer->steps;
    return status;
}

/* ---- the model ---- */

/* Adds to the message what the model is left with. */
static hmt_status fail_not_home(hmt_status status, const hmt_trainer *trainer)
{
    char why[STATUS_SIZE];

    status_keep(why);
    if (home_spoiled(trainer))
        return status_fail(status, "%s: the model's own memory is half changed, load it again",
                           why);
    return status_fail(status,
                       "%s: the parameters do not come home; the model keeps those of step %llu",
                       why, (unsigned long long)trainer->home_steps);
}

hmt_status model_sync(hmt_model *model)
{
    hmt_status status = HMT_OK;

    pthread_mutex_lock(&model->lock);
    if (model->spoiled) {
        status = model_fail_spoiled();
    } else if (model_generation(model) % 2 != 0) {
        status = model_fail_changing();
    } else if (model->stale && model->trainer != NULL) {
        status = home_bring(model->trainer);
        if (status == HMT_OK)
            model->stale = false;
        else
            fail_not_home(status, model->trainer);
    }
    pthread_mutex_unlock(&model->lock);
    return status;
}

hmt_status hmt_model_sync(hmt_model *model)
{
    status_clear();
    return model != NULL ? model_sync(model)
                         : status_fail(HMT_ERROR_ARGUMENT, "hmt_model_sync: model is NULL");
}
