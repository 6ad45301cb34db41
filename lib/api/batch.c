/*
 * What a trainer does with a batch's labels before a run, and with its sums of losses afterwards.
 */
#include <math.h>
#include <string.h>

#include "api/trainer.h"
#include "core/memory.h"
#include "core/status.h"

hmt_status batch_allocate(hmt_trainer *trainer)
{
    const hmt_allocator *allocator = &trainer->model->context->allocator;
    size_t batch = (size_t)trainer->options.batch;
    void *block;
    hmt_status status =
        memory_zeroed(allocator, batch, 3 * sizeof(int32_t) + 2 * sizeof(float), "labels", &block);

    if (status != HMT_OK)
        return status;
    trainer->no_labels = block;
    trainer->labels[0] = trainer->no_labels + batch;
    trainer->labels[1] = trainer->labels[0] + batch;
    trainer->no_scores = (float *)(trainer->labels[1] + batch);
    trainer->scores = trainer->no_scores + batch;
    for (size_t i = 0; i < batch; ++i) {
        trainer->no_labels[i] = -1;
        trainer->no_scores[i] = NAN;
    }
    return HMT_OK;
}

/* Classes of a task's head; 0 for regression. */
static int32_t classes_of(const hmt_model *model, int task)
{
    for (int32_t i = 0; i < model->graph.head_count; ++i)
        if ((int)model->graph.heads[i].task == task)
            return model->graph.heads[i].classes;
    return 0;
}

hmt_status batch_check(const hmt_trainer *trainer, const hmt_batch *batch)
{
    const int32_t *labels[2] = {batch->gender, batch->race};

    if (batch->images == NULL || batch->count < 1 || batch->count > (size_t)trainer->options.batch)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "batch: images is NULL, or its count %zu is not in 1..%d", batch->count,
                           trainer->options.batch);
    for (int task = 0; task < 2; ++task) {
        int32_t classes = classes_of(trainer->model, task);

        for (size_t i = 0; labels[task] != NULL && i < batch->count; ++i)
            if (labels[task][i] >= classes)
                return status_fail(HMT_ERROR_ARGUMENT,
                                   "batch: %s label %d of image %zu, there are %d classes",
                                   recipe_task_names[task], labels[task][i], i, classes);
    }
    for (size_t i = 0; batch->score != NULL && i < batch->count; ++i)
        if (isinf(batch->score[i]))
            return status_fail(HMT_ERROR_ARGUMENT, "batch: the score of image %zu is infinite", i);
    return HMT_OK;
}

void batch_fill_tasks(hmt_trainer *trainer, const lowered *plan, const hmt_batch *batch,
                      hmt_run_task tasks[HMT_TASK_COUNT], hmt_losses *losses)
{
    const int32_t *given[2] = {batch->gender, batch->race};
    size_t size = (size_t)trainer->options.batch;

    for (int task = 0; task < HMT_TASK_COUNT; ++task) {
        hmt_run_task *t;
        int64_t known = 0;

        if (plan->head_task[task] < 0)
            continue;
        t = &tasks[plan->head_task[task]];
        if (task == HMT_TASK_ATTRACTIVENESS) {
            memcpy(trainer->scores, trainer->no_scores, size * sizeof(float));
            for (size_t i = 0; batch->score != NULL && i < batch->count; ++i) {
                trainer->scores[i] = batch->score[i];
                known += !isnan(batch->score[i]);
            }
            t->targets = trainer->scores;
        } else {
            memcpy(trainer->labels[task], trainer->no_labels, size * sizeof(int32_t));
            for (size_t i = 0; given[task] != NULL && i < batch->count; ++i) {
                trainer->labels[task][i] = given[task][i];
                known += given[task][i] >= 0;
            }
            t->labels = trainer->labels[task];
        }
        t->scale = known > 0 ? (float)(trainer->options.alpha[task] /
                                       ((double)known * trainer->options.accumulate))
                             : 0.0f;
        losses->labelled[task] = known;
    }
}

hmt_status batch_add_up(const hmt_trainer *trainer, const lowered *plan,
                        const hmt_run_task tasks[HMT_TASK_COUNT], hmt_losses *losses)
{
    for (int task = 0; task < HMT_TASK_COUNT; ++task) {
        if (plan->head_task[task] < 0 || losses->labelled[task] == 0)
            continue;
        losses->task[task] = tasks[plan->head_task[task]].loss_sum / (double)losses->labelled[task];
        losses->total += trainer->options.alpha[task] * losses->task[task];
        if (!isfinite(losses->task[task]))
            return status_fail(HMT_ERROR_NONFINITE,
                               "step %llu: the %s loss is %g; no parameter was changed",
                               (unsigned long long)trainer->steps + 1, recipe_task_names[task],
                               losses->task[task]);
    }
    return HMT_OK;
}
