/*
 * Golden regression losses: through the formulas that every backend shares, and through a plan of
 * one step on the backend.
 */
#include <math.h>
#include <stdlib.h>

#include "conformance_rig.h"
#include "fill.h"
#include "golden.h"
#include "objective/losses.h"

enum { MOST = 1024 };
#define DELTA 0.6

static const struct {
    const char *name;
    hmt_loss loss;
} kinds[] = {{"smooth_huber_0_6", HMT_LOSS_SMOOTH_HUBER},
             {"mse", HMT_LOSS_MSE},
             {"l1", HMT_LOSS_L1},
             {"smooth_l1", HMT_LOSS_SMOOTH_L1}};

static void check(golden *f, const char *quantity, const char *name, double value,
                  const float *gradient, int count)
{
    const cJSON *want = golden_get(f->json, name), *cell;
    double expected = golden_number(want, "value", NAN), most = 0.0, worst = 0.0;
    int i = 0;

    cJSON_ArrayForEach(cell, golden_get(want, "grad")) most = fmax(most, fabs(cell->valuedouble));
    cJSON_ArrayForEach(cell, golden_get(want, "grad"))
    {
        double error = i < count ? fabs(gradient[i++] - cell->valuedouble) / most : INFINITY;

        worst = error <= worst ? worst : error;
    }
    golden_note(f, quantity, name, fmax(worst, fabs(value - expected) / expected), 1e-6);
}

static void formulas(golden *f, int kind, const float *values, const float *targets, int count)
{
    float gradient[MOST];
    double sum = 0.0;

    for (int i = 0; i < count; ++i) {
        double error = (double)values[i] - (double)targets[i];

        sum += losses_regression(kinds[kind].loss, DELTA, error);
        gradient[i] = (float)(losses_regression_slope(kinds[kind].loss, DELTA, error) / count);
    }
    check(f, "formulas", kinds[kind].name, sum / count, gradient, count);
}

/* predictions -> gradient, nothing else. */
static void plan(golden *f, int kind, const float *values, const float *targets, int count)
{
    const hmt_plan_tensor tensors[2] = {
        {"predictions", {count, 1, 1, 1}, HMT_TENSOR_INPUT, -1, 0, 0},
        {"gradient", {count, 1, 1, 1}, HMT_TENSOR_OUTPUT, 0, 1, MOST * sizeof(float)}};
    const hmt_plan_step step = {.kind = HMT_STEP_REGRESSION_LOSS,
                                .name = "loss",
                                .in = {0, -1, -1, -1, -1},
                                .out = {1, -1, -1},
                                .weight = {-1, -1, -1, -1},
                                .loss = kinds[kind].loss,
                                .delta = (float)DELTA,
                                .forward = -1};
    const hmt_plan p = {.struct_size = sizeof p,
                        .batch = count,
                        .tensors = tensors,
                        .tensor_count = 2,
                        .steps = &step,
                        .step_count = 1,
                        .task_count = 1,
                        .arena_bytes = 2 * MOST * sizeof(float)};
    const hmt_source source = {.struct_size = sizeof source};
    hmt_run_task task = {.targets = targets, .scale = 1.0f / (float)count};
    hmt_run run = {.struct_size = sizeof run, .input = values, .tasks = &task, .bad_step = -1};
    void *device = NULL, *weights = NULL, *exec = NULL;
    float gradient[MOST];
    hmt_host host;

    rig_host(&host, 1, HMT_PRECISION_FLOAT32);
    if (golden_ok(f, "device_open", f->backend->device_open(0, &host, &device)) &&
        golden_ok(f, "weights", f->backend->weights_create(device, &source, &weights)) &&
        golden_ok(f, "exec", f->backend->exec_create(device, &p, weights, &exec)) &&
        golden_ok(f, "run", f->backend->exec_run(exec, &run)) &&
        golden_ok(f, "read", f->backend->exec_read(exec, 1, gradient)))
        check(f, "on the backend", kinds[kind].name, task.loss_sum / count, gradient, count);
    if (exec)
        f->backend->exec_destroy(exec);
    if (weights)
        f->backend->weights_destroy(weights);
    if (device)
        f->backend->device_close(device);
}

void golden_losses(golden *f)
{
    float values[MOST], targets[MOST];

    for (int kind = 0; kind < 4; ++kind) {
        const cJSON *gradient = golden_get(golden_get(f->json, kinds[kind].name), "grad");
        int64_t count = cJSON_GetArraySize(gradient);

        if (count < 1 || count > MOST) {
            golden_note(f, "formulas", kinds[kind].name, INFINITY, 0.0);
            continue;
        }
        fill_tensor(golden_text(f->json, "pred"), 1, &count, values);
        fill_tensor(golden_text(f->json, "target"), 1, &count, targets);
        formulas(f, kind, values, targets, (int)count);
        plan(f, kind, values, targets, (int)count);
    }
}
