/* A plan and its exec on a device (see execution.h). */
#include "api/execution.h"

#include <stdio.h>
#include <string.h>

#include "api/backends.h"
#include "core/memory.h"
#include "core/status.h"

/* Names each step's kind, and its kernel where the backend says it. */
static hmt_status name_kinds(execution *e)
{
    const hmt_backend *backend = e->model->context->backend;
    const hmt_plan *plan = &e->lowered->plan;
    const bool tells = BACKEND_HAS(backend, step_kernel) && backend->step_kernel != NULL;
    void *block;
    hmt_status status = memory_zeroed(&e->model->context->allocator, plan->step_count,
                                      sizeof *e->kinds, "a profile", &block);

    if (status != HMT_OK)
        return status;
    e->kinds = block;
    for (size_t i = 0; i < plan->step_count; ++i) {
        const char *kernel = tells ? backend->step_kernel(e->exec, (int32_t)i) : NULL;

        snprintf(e->kinds[i], sizeof e->kinds[i], "%s%s%s", lower_kind_name(plan->steps[i].kind),
                 kernel != NULL ? ", " : "", kernel != NULL ? kernel : "");
    }
    return HMT_OK;
}

hmt_status execution_create(execution *e, const hmt_model *model, const lower_options *options,
                            void *device, void *weights, bool profile)
{
    const hmt_context *context = model->context;
    void *block;
    hmt_status status;

    memset(e, 0, sizeof *e);
    e->model = model;
    status = lower(&model->graph, options, &e->lowered);
    if (status == HMT_OK && profile) {
        status = memory_zeroed(&context->allocator, e->lowered->plan.step_count, sizeof(double),
                               "a profile", &block);
        e->milliseconds = block;
    }
    if (status == HMT_OK)
        status = context->backend->exec_create(device, &e->lowered->plan, weights, &e->exec);
    if (status == HMT_OK)
        status = name_kinds(e);
    if (status != HMT_OK)
        execution_clear(e);
    return status;
}

void execution_clear(execution *e)
{
    if (e->model == NULL)
        return;
    if (e->exec != NULL)
        e->model->context->backend->exec_destroy(e->exec);
    memory_free(&e->model->context->allocator, e->milliseconds);
    memory_free(&e->model->context->allocator, e->kinds);
    lower_free(e->lowered);
    memset(e, 0, sizeof *e);
}

bool execution_takes_crops(const hmt_model *model)
{
    return backend_features(model->context->backend) & HMT_FEATURE_PIXELS;
}

bool execution_stages(const hmt_model *model)
{
    const hmt_backend *backend = model->context->backend;

    return BACKEND_HAS(backend, exec_stage) && backend->exec_stage != NULL;
}

/* level / 255 normalised by the model's mean and deviation, as one product and one sum. */
static void set_input(const hmt_model *model, const run_input *input, hmt_run *run)
{
    const hmt_model_config *config = &model->config;

    if (input == NULL)
        return;
    run->input = input->images;
    run->pixels = input->crops;
    for (int c = 0; c < 3; ++c) {
        run->pixel_scale[c] = (float)(1.0 / (255.0 * config->deviation[c]));
        run->pixel_shift[c] = (float)(-(double)config->mean[c] / config->deviation[c]);
    }
}

hmt_status execution_stage(const execution *e, const run_input *input)
{
    hmt_run run = {.struct_size = sizeof run, .phase = HMT_PHASE_FORWARD, .bad_step = -1};

    if (!execution_stages(e->model))
        return HMT_OK;
    set_input(e->model, input, &run);
    return e->model->context->backend->exec_stage(e->exec, &run);
}

hmt_status execution_run(execution *e, hmt_phase phase, const run_input *input, hmt_run_task *tasks,
                         const hmt_sgd *groups, uint64_t seed)
{
    hmt_run run = {.struct_size = sizeof run,
                   .phase = phase,
                   .tasks = tasks,
                   .groups = groups,
                   .bad_step = -1,
                   .seed = seed,
                   .milliseconds = e->milliseconds};
    hmt_status status;

    set_input(e->model, input, &run);
    status = e->model->context->backend->exec_run(e->exec, &run);
    if (status == HMT_OK && run.bad_step >= 0)
        status =
            status_fail(HMT_ERROR_NONFINITE,
                        "the batch statistics of layer %s are not finite; no parameter was changed",
                        e->lowered->plan.steps[run.bad_step].name);
    return status;
}

hmt_status execution_read(const execution *e, int32_t tensor, float *values)
{
    return e->model->context->backend->exec_read(e->exec, tensor, values);
}

hmt_status execution_memory(const execution *e, void *weights, hmt_memory *memory)
{
    hmt_backend_memory used = {.struct_size = sizeof used};
    hmt_status status = e->model->context->backend->memory(weights, e->exec, &used);

    if (status != HMT_OK)
        return status;
    for (int32_t i = 0; i < e->model->graph.param_count; ++i)
        memory->parameters += model_param_bytes(e->model, (int32_t)i);
    memory->packed = used.packed;
    memory->arena = used.arena;
    memory->staging = used.staging;
    return HMT_OK;
}

static uint64_t elements(const int64_t shape[4])
{
    return (uint64_t)(shape[0] * shape[1] * shape[2] * shape[3]);
}

/* Bytes of a step's operands, each counted once. */
static uint64_t operand_bytes(const hmt_plan *plan, const hmt_plan_step *step)
{
    uint64_t count = 0;

    for (int i = 0; i < HMT_STEP_INPUTS; ++i)
        if (step->in[i] >= 0)
            count += elements(plan->tensors[step->in[i]].shape);
    for (int i = 0; i < HMT_STEP_OUTPUTS; ++i)
        if (step->out[i] >= 0)
            count += elements(plan->tensors[step->out[i]].shape);
    for (int i = 0; i < 4; ++i)
        if (step->weight[i] >= 0) /* an update reads and writes a parameter and its momentum */
            count += elements(plan->weights[step->weight[i]].shape) *
                     (step->kind == HMT_STEP_SGD ? 4 : 1);
    return count * sizeof(float);
}

hmt_status execution_profile(const execution *e, hmt_step_profile *steps, size_t capacity,
                             size_t *count)
{
    const hmt_plan *plan = &e->lowered->plan;

    if (count == NULL || (steps == NULL && capacity > 0))
        return status_fail(HMT_ERROR_ARGUMENT, "a profile needs room for its steps and a count");
    for (size_t i = 0; i < plan->step_count && i < capacity; ++i)
        steps[i] =
            (hmt_step_profile){.name = plan->steps[i].name,
                               .kind = e->kinds[i],
                               .milliseconds = e->milliseconds != NULL ? e->milliseconds[i] : 0.0,
                               .flops = plan->steps[i].flops,
                               .bytes = operand_bytes(plan, &plan->steps[i])};
    *count = plan->step_count;
    return HMT_OK;
}
