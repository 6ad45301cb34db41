/*
 * Evaluation by a trainer: losses and predictions with the running statistics, nothing changed. Its
 * plan is made when it is first asked for, with averaging once for each state of the average.
 */
#include <string.h>

#include "api/options.h"
#include "api/predictions.h"
#include "api/trainer.h"
#include "core/float_mode.h"
#include "core/memory.h"
#include "core/status.h"

/* What evaluation computes with: the trainer's own weights or, with averaging, the model's as they
 * are now, for which a plan of an earlier step is given up. */
static hmt_status choose_weights(hmt_trainer *trainer, void **weights)
{
    hmt_model *model = trainer->model;
    uint64_t generation;
    hmt_status status;

    *weights = trainer->weights;
    if (!average_is_on(trainer))
        return HMT_OK;
    status = model_read_begin(model, &generation);
    if (trainer->evaluated != NULL &&
        (status != HMT_OK || trainer->evaluated->generation != generation)) {
        execution_clear(&trainer->evaluation);
        model_weights_release(model, trainer->evaluated);
        trainer->evaluated = NULL;
    }
    if (status == HMT_OK && trainer->evaluated == NULL)
        status = model_weights_acquire(model, generation, &trainer->evaluated);
    if (status == HMT_OK)
        *weights = trainer->evaluated->weights;
    return status;
}

/* Prepares evaluation when it is first asked for: training alone need not hold its memory. */
static hmt_status prepare_evaluation(hmt_trainer *trainer)
{
    const hmt_allocator *allocator = &trainer->model->context->allocator;
    const hmt_trainer_options *o = &trainer->options;
    const lower_options options = {.batch = o->batch,
                                   .tasks = HMT_TASKS_ALL,
                                   .losses = true,
                                   .label_smoothing = (float)o->label_smoothing,
                                   .loss = o->loss,
                                   .delta = (float)o->delta};
    size_t batch = (size_t)o->batch;
    void *block, *weights;
    hmt_status status = choose_weights(trainer, &weights);

    if (status == HMT_OK && trainer->staging == NULL) {
        status = memory_zeroed(allocator, batch * trainer_image_elements, sizeof(float),
                               "images to evaluate", &block);
        trainer->staging = block;
    }
    if (status == HMT_OK && trainer->logits == NULL) {
        status = memory_zeroed(allocator, batch * HMT_TASK_COUNT * HMT_MAX_CLASSES, sizeof(float),
                               "logits", &block);
        trainer->logits = block;
    }
    if (status == HMT_OK && trainer->evaluation.model == NULL)
        status = execution_create(&trainer->evaluation, trainer->model, &options,
                                  trainer->model->context->device, weights, false);
    return status;
}

/* Predictions of the evaluation that has just run on `batch`; may be NULL. HMT_ERROR_NONFINITE if
 * an image has none. */
static hmt_status read_predictions(hmt_trainer *trainer, const hmt_batch *batch,
                                   hmt_prediction *predictions)
{
    const lowered *plan = trainer->evaluation.lowered;
    size_t head_room = (size_t)trainer->options.batch * HMT_MAX_CLASSES;
    predictions_outcome o = {.stopped = HMT_OK};

    for (int task = 0; task < HMT_TASK_COUNT; ++task) {
        hmt_status status = HMT_OK;

        if (plan->head_tensor[task] >= 0)
            status = execution_read(&trainer->evaluation, plan->head_tensor[task],
                                    trainer->logits + (size_t)task * head_room);
        if (status != HMT_OK)
            return status;
    }
    for (size_t i = 0; i < batch->count; ++i) {
        const float *rows[HMT_TASK_COUNT] = {NULL, NULL, NULL};
        hmt_prediction one, *to = predictions != NULL ? &predictions[i] : &one;
        hmt_status status = predictions_check_image(batch->images + i * trainer_image_elements,
                                                    trainer_image_elements);

        for (int task = 0; task < HMT_TASK_COUNT; ++task)
            if (plan->head_tensor[task] >= 0)
                rows[task] = trainer->logits + (size_t)task * head_room +
                             i * (size_t)plan->plan.tensors[plan->head_tensor[task]].shape[1];
        if (status == HMT_OK)
            status = predictions_from_logits(trainer->model, rows, to);
        else
            predictions_fail(to, status);
        predictions_note(&o, status, i, batch->count);
    }
    return predictions_end(&o, batch->count, batch->count, predictions);
}

/* The images of a part-filled batch with zeros behind them: nothing of an earlier one is left. */
static const float *fill_up(hmt_trainer *trainer, const hmt_batch *batch)
{
    const size_t used = batch->count * trainer_image_elements;
    const size_t all = (size_t)trainer->options.batch * trainer_image_elements;

    memcpy(trainer->staging, batch->images, used * sizeof(float));
    memset(trainer->staging + used, 0, (all - used) * sizeof(float));
    return trainer->staging;
}

hmt_status hmt_evaluate(hmt_trainer *trainer, const hmt_batch *batch, hmt_losses *out,
                        hmt_prediction *predictions)
{
    FLOAT_MODE_DEFAULT;
    hmt_run_task tasks[HMT_TASK_COUNT] = {{NULL, NULL, 0.0f, 0.0}};
    hmt_batch b = HMT_BATCH_INIT;
    hmt_losses losses = HMT_LOSSES_INIT;
    run_input input = {.images = NULL};
    hmt_status status;

    status_clear();
    if (trainer == NULL || batch == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_evaluate: trainer or batch is NULL");
    status = options_copy(&b, sizeof b, batch, "hmt_batch");
    if (status == HMT_OK && out != NULL)
        status = options_check(out, "hmt_losses");
    if (status == HMT_OK)
        status = trainer_check_whole(trainer);
    if (status == HMT_OK)
        status = batch_check(trainer, &b);
    if (status == HMT_OK)
        status = prepare_evaluation(trainer);
    if (status != HMT_OK)
        return status;
    input.images = b.images;
    if (b.count < (size_t)trainer->options.batch)
        input.images = fill_up(trainer, &b);
    batch_fill_tasks(trainer, trainer->evaluation.lowered, &b, tasks, &losses);
    status = execution_run(&trainer->evaluation, HMT_PHASE_FORWARD, &input, tasks, NULL, 0);
    if (status == HMT_OK)
        status = read_predictions(trainer, &b, predictions);
    if (status == HMT_OK)
        status = batch_add_up(trainer, trainer->evaluation.lowered, tasks, &losses);
    if (status == HMT_OK && out != NULL)
        status = options_give(out, &losses, sizeof losses, "hmt_losses");
    return status;
}
