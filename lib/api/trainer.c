/*
 * Trainers: a training plan prepared on the context's device, with the parameters and momentum it
 * changes. A step is forward, a look at the losses, and only then backward with the updates, so
 * that a bad loss changes nothing.
 */
#include "api/trainer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/execution.h"
#include "api/model.h"
#include "api/options.h"
#include "api/predictions.h"
#include "core/memory.h"
#include "core/random.h"
#include "core/status.h"

enum { MOST_BATCH = 4096, CROP = 224 };

struct hmt_trainer {
    hmt_model *model;
    hmt_trainer_options options;
    void *weights; /* the backend's home of the parameters in training */
    execution train;
    execution evaluation; /* empty until the first hmt_evaluate() */
    uint64_t steps;       /* done so far */

    /* For labels that were not given, and images of a short evaluation batch. */
    int32_t *no_labels; /* (batch) of -1 */
    int32_t *labels[2]; /* (batch) each */
    float *no_scores;   /* (batch) of NaN */
    float *scores;      /* (batch) */
    float *staging;     /* (batch,3,224,224); made with evaluation */
    float *logits;      /* by task, (batch,classes); likewise */
};

static const char *const task_names[HMT_TASK_COUNT] = {"gender", "race", "attractiveness"};
static const size_t image_elements = (size_t)3 * CROP * CROP;

static hmt_status check_options(const hmt_trainer_options *o)
{
    bool any = false;

    if (o->batch < 2 || o->batch > MOST_BATCH)
        return status_fail(HMT_ERROR_ARGUMENT, "options: batch is %d, not in 2..%d", o->batch,
                           MOST_BATCH);
    if (!(o->learning_rate >= 0.0) || !isfinite(o->learning_rate))
        return status_fail(HMT_ERROR_ARGUMENT, "options: learning_rate is %g", o->learning_rate);
    if (!(o->momentum >= 0.0 && o->momentum < 1.0))
        return status_fail(HMT_ERROR_ARGUMENT, "options: momentum is %g, not in [0, 1)",
                           o->momentum);
    if (!(o->weight_decay >= 0.0) || !isfinite(o->weight_decay))
        return status_fail(HMT_ERROR_ARGUMENT, "options: weight_decay is %g", o->weight_decay);
    for (int task = 0; task < HMT_TASK_COUNT; ++task) {
        if (!(o->alpha[task] >= 0.0) || !isfinite(o->alpha[task]))
            return status_fail(HMT_ERROR_ARGUMENT, "options: alpha of %s is %g", task_names[task],
                               o->alpha[task]);
        any = any || o->alpha[task] > 0.0;
    }
    if (!any)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "options: every alpha is 0, there is nothing to train");
    if ((int)o->loss < HMT_LOSS_SMOOTH_HUBER || o->loss > HMT_LOSS_SMOOTH_L1)
        return status_fail(HMT_ERROR_ARGUMENT, "options: no loss has the number %d", (int)o->loss);
    if (!(o->delta > 0.0) || !isfinite(o->delta))
        return status_fail(HMT_ERROR_ARGUMENT, "options: delta is %g, not above 0", o->delta);
    return HMT_OK;
}

static hmt_status allocate_labels(hmt_trainer *trainer)
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

static hmt_status plan_training(hmt_trainer *trainer)
{
    const hmt_context *context = trainer->model->context;
    const hmt_trainer_options *o = &trainer->options;
    lower_options options = {.batch = o->batch,
                             .training = true,
                             .tasks = HMT_TASKS_ALL,
                             .loss = o->loss,
                             .delta = (float)o->delta};
    hmt_status status;

    for (int task = 0; task < HMT_TASK_COUNT; ++task)
        if (o->alpha[task] > 0.0)
            options.trained_tasks |= 1u << task;
    status = context->backend->weights_create(context->device, &trainer->model->source,
                                              &trainer->weights);
    if (status == HMT_OK)
        status = execution_create(&trainer->train, trainer->model, &options, trainer->weights,
                                  o->profile != 0);
    return status;
}

/* Makes the trainer the model's one and only. */
static hmt_status attach(hmt_model *model, hmt_trainer *trainer)
{
    hmt_status status = HMT_OK;

    pthread_mutex_lock(&model->lock);
    if (model->trainer != NULL)
        status = status_fail(HMT_ERROR_STATE, "the model has a trainer already");
    else
        model->trainer = trainer;
    pthread_mutex_unlock(&model->lock);
    return status;
}

static void destroy(hmt_trainer *trainer)
{
    hmt_model *model = trainer->model;
    const hmt_context *context = model->context;

    execution_clear(&trainer->evaluation);
    execution_clear(&trainer->train);
    if (trainer->weights != NULL)
        context->backend->weights_destroy(trainer->weights);
    memory_free(&context->allocator, trainer->no_labels);
    memory_free(&context->allocator, trainer->staging);
    memory_free(&context->allocator, trainer->logits);
    memory_free(&context->allocator, trainer);
    model_release(model);
}

hmt_status hmt_trainer_create(hmt_model *model, const hmt_trainer_options *options,
                              hmt_trainer **out)
{
    hmt_trainer_options o = HMT_TRAINER_OPTIONS_INIT;
    hmt_trainer *trainer;
    void *block;
    hmt_status status;

    status_clear();
    if (model == NULL || out == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_trainer_create: model or trainer is NULL");
    status = options_copy(&o, sizeof o, options, "hmt_trainer_options");
    if (status == HMT_OK)
        status = check_options(&o);
    if (status == HMT_OK)
        status = context_progress(model->context, "prepare", 0, 1);
    if (status == HMT_OK)
        status = memory_zeroed(&model->context->allocator, 1, sizeof *trainer, "a trainer", &block);
    if (status != HMT_OK)
        return status;
    trainer = block;
    status = model_widen(model, true);
    if (status == HMT_OK)
        status = attach(model, trainer);
    if (status != HMT_OK) {
        memory_free(&model->context->allocator, trainer);
        return status;
    }
    model_acquire(model);
    trainer->model = model;
    trainer->options = o;
    status = allocate_labels(trainer);
    if (status == HMT_OK)
        status = plan_training(trainer);
    if (status == HMT_OK)
        status = context_progress(model->context, "prepare", 1, 1);
    if (status != HMT_OK) { /* nothing has been trained: the model keeps its values */
        pthread_mutex_lock(&model->lock);
        model->trainer = NULL;
        pthread_mutex_unlock(&model->lock);
        destroy(trainer);
        return status;
    }
    *out = trainer;
    return HMT_OK;
}

hmt_status trainer_sync(hmt_trainer *trainer)
{
    const hmt_model *model = trainer->model;
    const hmt_plan *plan = &trainer->train.lowered->plan;
    hmt_status status = HMT_OK;

    for (size_t i = 0; i < plan->weight_count && status == HMT_OK; ++i)
        if (plan->weights[i].trained)
            status = model->context->backend->weights_get(trainer->weights, &plan->weights[i],
                                                          HMT_SLOT_VALUE,
                                                          model->values[plan->weights[i].param]);
    return status;
}

void hmt_trainer_free(hmt_trainer *trainer)
{
    hmt_model *model;

    if (trainer == NULL)
        return;
    model = trainer->model;
    if (model_sync(model) != HMT_OK && model->context->options.log != NULL)
        model->context->options.log(model->context->options.log_user, HMT_LOG_ERROR,
                                    hmt_last_error());
    pthread_mutex_lock(&model->lock);
    model->trainer = NULL;
    model->stale = false;
    pthread_mutex_unlock(&model->lock);
    destroy(trainer);
}

/* Classes of a task's head; 0 for regression. */
static int32_t classes_of(const hmt_model *model, int task)
{
    for (int32_t i = 0; i < model->graph.head_count; ++i)
        if ((int)model->graph.heads[i].task == task)
            return model->graph.heads[i].classes;
    return 0;
}

static hmt_status check_batch(const hmt_trainer *trainer, const hmt_batch *batch)
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
                                   task_names[task], labels[task][i], i, classes);
    }
    for (size_t i = 0; batch->score != NULL && i < batch->count; ++i)
        if (isinf(batch->score[i]))
            return status_fail(HMT_ERROR_ARGUMENT, "batch: the score of image %zu is infinite", i);
    return HMT_OK;
}

/* Fills in the tasks of a run: labels (padded where the batch is short), how many there are, and
 * the gradient's factor. */
static void fill_tasks(hmt_trainer *trainer, const lowered *plan, const hmt_batch *batch,
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
        t->scale = known > 0 ? (float)(trainer->options.alpha[task] / (double)known) : 0.0f;
        losses->labelled[task] = known;
    }
}

/* Turns the runs' sums into means and their weighted total; refuses what is not finite. */
static hmt_status add_up(const hmt_trainer *trainer, const lowered *plan,
                         const hmt_run_task tasks[HMT_TASK_COUNT], hmt_losses *losses)
{
    for (int task = 0; task < HMT_TASK_COUNT; ++task) {
        if (plan->head_task[task] < 0 || losses->labelled[task] == 0)
            continue;
        losses->task[task] = tasks[plan->head_task[task]].loss_sum / (double)losses->labelled[task];
        losses->total += trainer->options.alpha[task] * losses->task[task];
        if (!isfinite(losses->task[task]))
            return status_fail(
                HMT_ERROR_NONFINITE, "step %llu: the %s loss is %g; no parameter was changed",
                (unsigned long long)trainer->steps + 1, task_names[task], losses->task[task]);
    }
    return HMT_OK;
}

hmt_status hmt_train_step(hmt_trainer *trainer, const hmt_batch *batch, hmt_losses *out)
{
    hmt_run_task tasks[HMT_TASK_COUNT] = {{NULL, NULL, 0.0f, 0.0}};
    hmt_batch b = HMT_BATCH_INIT;
    hmt_losses losses = HMT_LOSSES_INIT;
    hmt_sgd sgd;
    uint64_t seed;
    hmt_status status;

    status_clear();
    if (trainer == NULL || batch == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_train_step: trainer or batch is NULL");
    status = options_copy(&b, sizeof b, batch, "hmt_batch");
    if (status == HMT_OK)
        status = check_batch(trainer, &b);
    if (status == HMT_OK && b.count != (size_t)trainer->options.batch)
        status = status_fail(HMT_ERROR_ARGUMENT, "batch: %zu images, the trainer was made for %d",
                             b.count, trainer->options.batch);
    if (status == HMT_OK)
        status = context_progress(trainer->model->context, "train", 0, 2);
    if (status != HMT_OK)
        return status;
    seed = random_split(trainer->options.seed, trainer->steps);
    fill_tasks(trainer, trainer->train.lowered, &b, tasks, &losses);
    status = execution_run(&trainer->train, HMT_PHASE_FORWARD, b.images, tasks, NULL, seed);
    if (status == HMT_ERROR_NONFINITE) {
        char step[32];

        snprintf(step, sizeof step, "step %llu", (unsigned long long)trainer->steps + 1);
        return status_fail_at(status, step);
    }
    if (status == HMT_OK)
        status = add_up(trainer, trainer->train.lowered, tasks, &losses);
    if (status == HMT_OK)
        status = context_progress(trainer->model->context, "train", 1, 2);
    if (status != HMT_OK)
        return status;
    sgd = (hmt_sgd){.learning_rate = (float)trainer->options.learning_rate,
                    .momentum = (float)trainer->options.momentum,
                    .weight_decay = (float)trainer->options.weight_decay};
    trainer->model->stale = true;
    atomic_fetch_add(&trainer->model->generation, 1);
    status = execution_run(&trainer->train, HMT_PHASE_BACKWARD, NULL, tasks, &sgd, seed);
    if (status != HMT_OK)
        return status;
    losses.step = ++trainer->steps;
    return out != NULL ? options_give(out, &losses, sizeof losses, "hmt_losses") : HMT_OK;
}

/* Prepares evaluation when it is first asked for: training alone need not hold its memory. */
static hmt_status prepare_evaluation(hmt_trainer *trainer)
{
    const hmt_allocator *allocator = &trainer->model->context->allocator;
    const hmt_trainer_options *o = &trainer->options;
    const lower_options options = {.batch = o->batch,
                                   .tasks = HMT_TASKS_ALL,
                                   .losses = true,
                                   .loss = o->loss,
                                   .delta = (float)o->delta};
    size_t batch = (size_t)o->batch;
    void *block;
    hmt_status status = HMT_OK;

    if (trainer->staging == NULL) {
        status = memory_zeroed(allocator, batch * image_elements, sizeof(float),
                               "images to evaluate", &block);
        trainer->staging = block;
    }
    if (status == HMT_OK && trainer->logits == NULL) {
        status = memory_zeroed(allocator, batch * HMT_TASK_COUNT * HMT_MAX_CLASSES, sizeof(float),
                               "logits", &block);
        trainer->logits = block;
    }
    if (status == HMT_OK && trainer->evaluation.model == NULL)
        status = execution_create(&trainer->evaluation, trainer->model, &options, trainer->weights,
                                  false);
    return status;
}

/* Predictions of the evaluation that has just run. */
static hmt_status read_predictions(hmt_trainer *trainer, size_t count, hmt_prediction *predictions)
{
    const lowered *plan = trainer->evaluation.lowered;
    size_t head_room = (size_t)trainer->options.batch * HMT_MAX_CLASSES;

    for (int task = 0; task < HMT_TASK_COUNT; ++task) {
        hmt_status status = HMT_OK;

        if (plan->head_tensor[task] >= 0)
            status = execution_read(&trainer->evaluation, plan->head_tensor[task],
                                    trainer->logits + (size_t)task * head_room);
        if (status != HMT_OK)
            return status;
    }
    for (size_t i = 0; i < count; ++i) {
        const float *rows[HMT_TASK_COUNT] = {NULL, NULL, NULL};

        for (int task = 0; task < HMT_TASK_COUNT; ++task)
            if (plan->head_tensor[task] >= 0)
                rows[task] = trainer->logits + (size_t)task * head_room +
                             i * (size_t)plan->plan.tensors[plan->head_tensor[task]].shape[1];
        predictions_from_logits(trainer->model, rows, &predictions[i]);
    }
    return HMT_OK;
}

hmt_status hmt_evaluate(hmt_trainer *trainer, const hmt_batch *batch, hmt_losses *out,
                        hmt_prediction *predictions)
{
    hmt_run_task tasks[HMT_TASK_COUNT] = {{NULL, NULL, 0.0f, 0.0}};
    hmt_batch b = HMT_BATCH_INIT;
    hmt_losses losses = HMT_LOSSES_INIT;
    const float *images;
    hmt_status status;

    status_clear();
    if (trainer == NULL || batch == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_evaluate: trainer or batch is NULL");
    status = options_copy(&b, sizeof b, batch, "hmt_batch");
    if (status == HMT_OK)
        status = check_batch(trainer, &b);
    if (status == HMT_OK)
        status = prepare_evaluation(trainer);
    if (status != HMT_OK)
        return status;
    images = b.images;
    if (b.count < (size_t)trainer->options
                      .batch) { /* the other rows keep what they had: nothing reads them */
        memcpy(trainer->staging, b.images, b.count * image_elements * sizeof(float));
        images = trainer->staging;
    }
    fill_tasks(trainer, trainer->evaluation.lowered, &b, tasks, &losses);
    status = execution_run(&trainer->evaluation, HMT_PHASE_FORWARD, images, tasks, NULL, 0);
    if (status == HMT_OK && predictions != NULL)
        status = read_predictions(trainer, b.count, predictions);
    if (status == HMT_OK)
        status = add_up(trainer, trainer->evaluation.lowered, tasks, &losses);
    if (status == HMT_OK && out != NULL)
        status = options_give(out, &losses, sizeof losses, "hmt_losses");
    return status;
}

hmt_status hmt_trainer_set_learning_rate(hmt_trainer *trainer, double learning_rate)
{
    status_clear();
    if (trainer == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_trainer_set_learning_rate: trainer is NULL");
    if (!(learning_rate >= 0.0) || !isfinite(learning_rate))
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_trainer_set_learning_rate: the rate is %g",
                           learning_rate);
    trainer->options.learning_rate = learning_rate;
    return HMT_OK;
}

hmt_status hmt_trainer_momentum_read(hmt_trainer *trainer, size_t index, float *values,
                                     size_t count)
{
    const hmt_plan *plan;
    const graph *g;

    status_clear();
    if (trainer == NULL || values == NULL)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "hmt_trainer_momentum_read: trainer or values is NULL");
    g = &trainer->model->graph;
    if (index >= (size_t)g->param_count)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "the model has %d parameters, none has the number %zu", g->param_count,
                           index);
    if (count != (size_t)g->params[index].count)
        return status_fail(HMT_ERROR_ARGUMENT, "parameter %s has %lld elements, not %zu",
                           g->params[index].name, (long long)g->params[index].count, count);
    plan = &trainer->train.lowered->plan;
    for (size_t i = 0; i < plan->weight_count && graph_param_trainable(&g->params[index]); ++i)
        if (plan->weights[i].trained && plan->weights[i].param == (int32_t)index)
            return trainer->model->context->backend->weights_get(
                trainer->weights, &plan->weights[i], HMT_SLOT_MOMENTUM, values);
    return status_fail(HMT_ERROR_NOT_FOUND, "parameter %s is not trained", g->params[index].name);
}

hmt_status hmt_trainer_memory(const hmt_trainer *trainer, hmt_memory *memory)
{
    hmt_memory all = HMT_MEMORY_INIT, evaluation = HMT_MEMORY_INIT;
    hmt_status status;

    status_clear();
    if (trainer == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_trainer_memory: trainer is NULL");
    status = execution_memory(&trainer->train, trainer->weights, &all);
    if (status == HMT_OK && trainer->evaluation.model != NULL) {
        status = execution_memory(&trainer->evaluation, trainer->weights, &evaluation);
        all.arena += evaluation.arena;
        all.staging +=
            evaluation.staging + (uint64_t)trainer->options.batch * image_elements * sizeof(float);
    }
    return status == HMT_OK ? options_give(memory, &all, sizeof all, "hmt_memory") : status;
}

hmt_status hmt_trainer_profile(const hmt_trainer *trainer, hmt_step_profile *steps, size_t capacity,
                               size_t *count)
{
    status_clear();
    if (trainer == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_trainer_profile: trainer is NULL");
    return execution_profile(&trainer->train, steps, capacity, count);
}
