/*
 * Trainers (see trainer.h): creation, steps. A step is forward, a look at the losses, and only then
 * backward with the updates, so that a bad loss changes nothing.
 */
#include "api/trainer.h"

#include <math.h>
#include <stdio.h>

#include "api/options.h"
#include "core/float_mode.h"
#include "core/memory.h"
#include "core/random.h"
#include "core/status.h"

const size_t trainer_image_elements = (size_t)3 * 224 * 224;

static hmt_status plan_training(hmt_trainer *trainer, const hmt_trainer_options *o)
{
    const hmt_context *context = trainer->model->context;
    const int32_t parts = o->device_count > 1 ? o->device_count : 1;
    lower_options options = {.batch = o->batch / parts,
                             .training = true,
                             .tasks = HMT_TASKS_ALL,
                             .loss = o->loss,
                             .delta = (float)o->delta,
                             .label_smoothing = (float)o->label_smoothing,
                             .group = trainer->recipe.group};
    hmt_status status;

    for (int task = 0; task < HMT_TASK_COUNT; ++task)
        if (o->alpha[task] > 0.0)
            options.trained_tasks |= 1u << task;
    status = home_prepare(trainer);
    if (status == HMT_OK)
        status =
            context->backend->weights_create(context->device, &trainer->source, &trainer->weights);
    if (status == HMT_OK)
        status = execution_create(&trainer->train, trainer->live, &options, context->device,
                                  trainer->weights, o->profile != 0);
    if (status == HMT_OK && parts > 1)
        status = devices_open(trainer->model, o, &options, &trainer->train, &trainer->devices);
    return status;
}

static hmt_status make_recipe(hmt_trainer *trainer, const hmt_trainer_options *o)
{
    const hmt_allocator *allocator = &trainer->model->context->allocator;
    void *block;
    hmt_status status = recipe_make(allocator, o, &trainer->model->graph, &trainer->recipe);

    if (status != HMT_OK)
        return status;
    status = memory_zeroed(allocator, (size_t)trainer->recipe.group_count, sizeof(hmt_sgd),
                           "the optimiser's groups", &block);
    if (status == HMT_OK)
        trainer->sgd = block;
    return status;
}

/* Makes the trainer the model's one and only. */
static hmt_status attach(hmt_model *model, hmt_trainer *trainer)
{
    hmt_status status = HMT_OK;

    pthread_mutex_lock(&model->lock);
    if (model->trainer != NULL)
        status = status_fail(HMT_ERROR_STATE, "the model has a trainer already");
    else if (model->spoiled)
        status = model_fail_spoiled();
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
    devices_close(trainer->devices);
    model_weights_release(model, trainer->evaluated);
    execution_clear(&trainer->train);
    if (trainer->weights != NULL)
        context->backend->weights_destroy(trainer->weights);
    memory_free(&context->allocator, trainer->no_labels);
    memory_free(&context->allocator, trainer->staging);
    memory_free(&context->allocator, trainer->logits);
    memory_free(&context->allocator, trainer->sgd);
    memory_free(&context->allocator, trainer->in_place);
    recipe_clear(&context->allocator, &trainer->recipe);
    average_free(trainer);
    memory_free(&context->allocator, trainer);
    model_release(model);
}

hmt_status hmt_trainer_create(hmt_model *model, const hmt_trainer_options *options,
                              hmt_trainer **out)
{
    FLOAT_MODE_DEFAULT;
    hmt_trainer_options o = HMT_TRAINER_OPTIONS_INIT;
    hmt_trainer *trainer;
    void *block;
    hmt_status status;

    status_clear();
    if (model == NULL || out == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_trainer_create: model or trainer is NULL");
    status = options_copy(&o, sizeof o, options, "hmt_trainer_options");
    if (status == HMT_OK)
        status = recipe_check(&o);
    if (status == HMT_OK)
        status = recipe_check_rules(&o, &model->graph);
    if (status == HMT_OK)
        status = devices_check(model->context, &o);
    if (status == HMT_OK)
        status = context_progress(model->context, "prepare", 0, 1);
    if (status == HMT_OK)
        status = memory_zeroed(&model->context->allocator, 1, sizeof *trainer, "a trainer", &block);
    if (status != HMT_OK)
        return status;
    trainer = block;
    status = model_widen(model);
    if (status == HMT_OK)
        status = attach(model, trainer);
    if (status != HMT_OK) {
        memory_free(&model->context->allocator, trainer);
        return status;
    }
    model_acquire(model);
    trainer->model = model;
    trainer->options = o;
    trainer->options.rules = NULL; /* the caller's; what they say is in the recipe */
    trainer->options.rule_count = 0;
    trainer->options.devices = NULL;
    status = make_recipe(trainer, &o);
    if (status == HMT_OK)
        status = average_create(trainer);
    if (status == HMT_OK)
        status = batch_allocate(trainer);
    if (status == HMT_OK)
        status = plan_training(trainer, &o);
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

void hmt_trainer_free(hmt_trainer *trainer)
{
    char message[STATUS_SIZE];
    hmt_model *model;

    if (trainer == NULL)
        return;
    status_keep(message);
    model = trainer->model;
    if (model_sync(model) != HMT_OK && model->context->options.log != NULL)
        model->context->options.log(model->context->options.log_user, HMT_LOG_ERROR,
                                    hmt_last_error());
    pthread_mutex_lock(&model->lock);
    model->trainer = NULL;
    model->stale = false;
    model->spoiled = model->spoiled || home_spoiled(trainer);
    pthread_mutex_unlock(&model->lock);
    destroy(trainer);
    status_restore(message);
}

int trainer_tell(void *trainer, const char *what, uint64_t done, uint64_t total)
{
    hmt_trainer *t = trainer;

    return context_progress_busy(t->model->context, &t->busy, what, done, total);
}

hmt_status trainer_check_whole(const hmt_trainer *trainer)
{
    if (!trainer->broken)
        return context_check_busy(trainer->busy, "trainer");
    return status_fail(HMT_ERROR_STATE,
                       "step %llu failed half-way: the trainer can only be freed, and the model "
                       "%s",
                       (unsigned long long)trainer->steps + 1,
                       home_spoiled(trainer) ? "is to be loaded again" : "has earlier parameters");
}

/* The second half of a step, from which on the model's parameters are not what they were. */
static hmt_status change_parameters(hmt_trainer *trainer, hmt_run_task tasks[HMT_TASK_COUNT],
                                    uint64_t seed)
{
    hmt_model *model = trainer->model;
    hmt_status status;

    pthread_mutex_lock(&model->lock);
    model->stale = true;
    model_change_begin(model);
    pthread_mutex_unlock(&model->lock);
    status = devices_run(trainer->devices, &trainer->train, HMT_PHASE_BACKWARD, NULL, tasks,
                         trainer->sgd, seed);
    if (status == HMT_OK) {
        ++trainer->steps;
        status = average_step(trainer);
    }
    trainer->broken = status != HMT_OK;
    model_change_end(model);
    return status;
}

static hmt_status progress(hmt_trainer *trainer, uint64_t done)
{
    return context_progress_busy(trainer->model->context, &trainer->busy, "train", done, 2);
}

hmt_status hmt_train_step(hmt_trainer *trainer, const hmt_batch *batch, hmt_losses *out)
{
    FLOAT_MODE_DEFAULT;
    hmt_run_task tasks[HMT_TASK_COUNT] = {{NULL, NULL, 0.0f, 0.0}};
    hmt_batch b = HMT_BATCH_INIT;
    hmt_losses losses = HMT_LOSSES_INIT;
    run_input input = {.images = NULL};
    uint64_t seed;
    hmt_status status;

    status_clear();
    if (trainer == NULL || batch == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_train_step: trainer or batch is NULL");
    status = options_copy(&b, sizeof b, batch, "hmt_batch");
    if (status == HMT_OK && out != NULL)
        status = options_check(out, "hmt_losses");
    if (status == HMT_OK)
        status = trainer_check_whole(trainer);
    if (status == HMT_OK)
        status = batch_check(trainer, &b);
    if (status == HMT_OK && b.count != (size_t)trainer->options.batch)
        status = status_fail(HMT_ERROR_ARGUMENT, "batch: %zu images, the trainer was made for %d",
                             b.count, trainer->options.batch);
    if (status == HMT_OK)
        status = progress(trainer, 0);
    if (status != HMT_OK)
        return status;
    seed = random_split(trainer->options.seed, trainer->steps);
    batch_fill_tasks(trainer, trainer->train.lowered, &b, tasks, &losses);
    input.images = b.images;
    status = devices_run(trainer->devices, &trainer->train, HMT_PHASE_FORWARD, &input, tasks, NULL,
                         seed);
    if (status == HMT_ERROR_NONFINITE) {
        char step[32];

        snprintf(step, sizeof step, "step %llu", (unsigned long long)trainer->steps + 1);
        return status_fail_at(status, step);
    }
    if (status == HMT_OK)
        status = batch_add_up(trainer, trainer->train.lowered, tasks, &losses);
    if (status == HMT_OK)
        status = progress(trainer, 1);
    if (status != HMT_OK)
        return status;
    recipe_groups(&trainer->recipe, &trainer->options, trainer->steps, trainer->sgd);
    status = change_parameters(trainer, tasks, seed);
    losses.step = trainer->steps;
    if (status != HMT_OK)
        return status;
    for (int task = 0; task < HMT_TASK_COUNT && trainer->model->config.trained != 0; ++task)
        if (losses.labelled[task] > 0 && trainer->options.alpha[task] > 0.0)
            trainer->model->config.trained |= 1u << task;
    return out != NULL ? options_give(out, &losses, sizeof losses, "hmt_losses") : HMT_OK;
}

hmt_status hmt_trainer_stage(hmt_trainer *trainer, const hmt_batch *batch)
{
    hmt_batch b = HMT_BATCH_INIT;
    run_input input = {.images = NULL};
    hmt_status status;

    status_clear();
    if (trainer == NULL || batch == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_trainer_stage: trainer or batch is NULL");
    status = options_copy(&b, sizeof b, batch, "hmt_batch");
    if (status == HMT_OK)
        status = trainer_check_whole(trainer);
    if (status == HMT_OK && (b.images == NULL || b.count != (size_t)trainer->options.batch))
        status = status_fail(HMT_ERROR_ARGUMENT,
                             "batch: images is NULL, or there are %zu, the trainer was made for %d",
                             b.count, trainer->options.batch);
    input.images = b.images;
    return status == HMT_OK ? devices_stage(trainer->devices, &trainer->train, &input) : status;
}

int32_t hmt_trainer_stages(const hmt_trainer *trainer)
{
    return trainer != NULL && execution_stages(trainer->model);
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
    if (trainer_check_whole(trainer) != HMT_OK)
        return HMT_ERROR_STATE;
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
    if (status == HMT_OK)
        status = devices_memory(trainer->devices, &all);
    for (int32_t i = 0; average_is_on(trainer) && i < trainer->model->graph.param_count; ++i)
        all.parameters += model_param_bytes(trainer->model, i);
    if (status == HMT_OK && trainer->evaluation.model != NULL) {
        status = execution_memory(&trainer->evaluation,
                                  trainer->evaluated != NULL ? trainer->evaluated->weights
                                                             : trainer->weights,
                                  &evaluation);
        if (trainer->evaluated != NULL)
            all.packed += evaluation.packed;
        all.arena += evaluation.arena;
        all.staging += evaluation.staging +
                       (uint64_t)trainer->options.batch * trainer_image_elements * sizeof(float);
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
