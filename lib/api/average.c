/*
 * Averaged training (hmt_trainer_options.average): the model holds the moving average of what the
 * trainer changes, and the trainer trains a model of its own that nobody else sees. Backends know
 * nothing of it. Until the average begins the model has the trainer's values.
 */
#include <math.h>
#include <string.h>

#include "api/trainer.h"
#include "core/memory.h"
#include "objective/average.h"

bool average_is_on(const hmt_trainer *trainer)
{
    return trainer->live != trainer->model;
}

/* Training steps from one move of the average to the next. */
static uint64_t period(const hmt_trainer *trainer)
{
    return (uint64_t)trainer->options.accumulate * (uint64_t)trainer->options.average_every;
}

bool average_has_begun(const hmt_trainer *trainer)
{
    return average_is_on(trainer) && trainer->steps >= period(trainer);
}

hmt_status average_create(hmt_trainer *trainer)
{
    hmt_model *model = trainer->model, *live = NULL;
    hmt_status status;

    trainer->live = model;
    if (trainer->options.average == 0.0)
        return HMT_OK;
    status = model_make(model->context, &model->config, &live);
    for (int32_t i = 0; status == HMT_OK && i < model->graph.param_count; ++i) {
        status = model_allocate(live, i);
        if (status == HMT_OK)
            memcpy(live->values[i], model->values[i],
                   (size_t)model->graph.params[i].count * sizeof(float));
    }
    if (status != HMT_OK) {
        model_release(live);
        return status;
    }
    trainer->live = live;
    return HMT_OK;
}

void average_free(hmt_trainer *trainer)
{
    if (trainer->live != NULL && average_is_on(trainer))
        model_release(trainer->live);
    trainer->live = NULL;
}

hmt_status average_step(hmt_trainer *trainer)
{
    const hmt_plan *plan = &trainer->train.lowered->plan;
    hmt_model *model = trainer->model, *live = trainer->live;
    hmt_status status;
    float share;

    if (!average_is_on(trainer) || trainer->steps % period(trainer) != 0)
        return HMT_OK;
    share =
        (float)average_share(pow(trainer->options.average, (double)trainer->options.average_every),
                             trainer->steps / period(trainer));
    status = home_gather(trainer, NULL); /* all, before the average moves at all */
    if (status != HMT_OK)
        return status;
    for (size_t i = 0; i < plan->weight_count; ++i) {
        const int32_t param = plan->weights[i].param;
        const float *values = live->values[param];
        float *average = model->values[param];

        for (int64_t k = 0; plan->weights[i].trained && k < model->graph.params[param].count; ++k)
            average[k] = average_move(average[k], values[k], share);
    }
    return HMT_OK;
}
