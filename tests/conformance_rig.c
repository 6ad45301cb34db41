/* The suite's host, model and runs. All memory is malloc's: the suite may print and leak nothing.
 */
#include "conformance_rig.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "fill.h"
#include "graph/arena.h"
#include "objective/statistics.h"

/* ---------------------------------------------------------------------------- host --------------
 */

static hmt_status host_fail(hmt_status status, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    status = status_fail_v(status, format, arguments);
    va_end(arguments);
    return status;
}

static void host_log(const hmt_host *host, hmt_log_level level, const char *message)
{
    (void)host;
    (void)level;
    (void)message;
}

static hmt_status host_place(const hmt_host *host, hmt_interval *intervals, size_t count,
                             uint64_t *total)
{
    return arena_place(&host->allocator, intervals, count, total);
}

void rig_host(hmt_host *host, int32_t threads, hmt_precision precision)
{
    *host = (hmt_host){.struct_size = sizeof *host,
                       .allocator = memory_default,
                       .threads = threads,
                       .fail = host_fail,
                       .log = host_log,
                       .place = host_place,
                       .precision = precision};
}

/* ---------------------------------------------------------------------------- parameters --------
 */

static float *view(void *user, const hmt_plan_weight *weight)
{
    rig *r = user;
    bool unchanged = weight->fold[2] < 0 && (weight->is_bias || weight->scale == 1.0f);

    return r->in_place && unchanged && weight->param >= 0 ? r->params[weight->param] : NULL;
}

static double of_param(const rig *r, int32_t param, int64_t i, double otherwise)
{
    return param >= 0 ? (double)r->params[param][i] : otherwise;
}

static hmt_status read_weight(void *user, const hmt_plan_weight *weight, int64_t first,
                              int64_t outputs, float *values)
{
    const rig *r = user;
    const int64_t inner = rig_count(weight->shape) / weight->shape[0];

    for (int64_t i = first * inner; i < (first + outputs) * inner; ++i) {
        double value = of_param(r, weight->param, i, 0.0);
        const int32_t *fold = weight->fold;

        if (fold[2] >= 0) {
            int64_t o = i / inner;
            double slope = statistics_slope(of_param(r, fold[0], o, 1.0), r->params[fold[3]][o],
                                            (double)weight->epsilon);

            value = weight->is_bias
                        ? value * slope + statistics_offset(of_param(r, fold[1], o, 0.0),
                                                            r->params[fold[2]][o], slope)
                        : value * slope;
        }
        *values++ = (float)(weight->is_bias ? value : value * (double)weight->scale);
    }
    return HMT_OK;
}

hmt_status rig_open(rig *r, const hmt_backend *backend, const graph *g, int32_t threads,
                    hmt_precision precision, bool in_place)
{
    hmt_status status;

    memset(r, 0, sizeof *r);
    r->backend = backend;
    r->g = g;
    r->in_place = in_place;
    rig_host(&r->host, threads, precision);
    r->source = (hmt_source){sizeof r->source, r, read_weight, view, NULL};
    r->params = calloc((size_t)g->param_count + 1, sizeof *r->params);
    for (int32_t i = 0; i < g->param_count; ++i) {
        const graph_param *p = &g->params[i];

        r->params[i] = malloc((size_t)p->count * sizeof(float));
        fill_tensor(p->name, p->dimensions, p->shape, r->params[i]);
    }
    status = backend->device_open(0, &r->host, &r->device);
    if (status == HMT_OK)
        status = backend->weights_create(r->device, &r->source, &r->weights);
    if (status != HMT_OK)
        rig_close(r);
    return status;
}

void rig_close(rig *r)
{
    if (r->weights)
        r->backend->weights_destroy(r->weights);
    if (r->device)
        r->backend->device_close(r->device);
    for (int32_t i = 0; r->params && i < r->g->param_count; ++i)
        free(r->params[i]);
    free(r->params);
    memset(r, 0, sizeof *r);
}

/* ---------------------------------------------------------------------------- plans -------------
 */

int64_t rig_count(const int64_t shape[4])
{
    return shape[0] * shape[1] * shape[2] * shape[3];
}

/* Classes of the head behind a task index of the plan; 0 for a regression. */
static int32_t classes_of(const rig_plan *p, int32_t task)
{
    for (int32_t i = 0; i < p->r->g->head_count; ++i)
        if (p->low->head_task[p->r->g->heads[i].task] == task)
            return p->r->g->heads[i].classes;
    return 0;
}

/* Every row has a label but one of each kind, so that masking is seen to work. */
static void label(rig_plan *p)
{
    const hmt_plan *plan = &p->low->plan;
    int32_t batch = plan->batch;

    for (int32_t n = 0; n < batch; ++n) {
        p->labels[n] = batch > 1 && n == 1 ? -1 : n % 2;
        p->targets[n] = batch > 1 && n == 0 ? NAN : 0.5f * (float)n - 0.7f;
    }
    for (size_t t = 0; t < plan->task_count; ++t) {
        bool regression = classes_of(p, (int32_t)t) == 0;

        p->tasks[t].labels = regression && !p->explains ? NULL : p->labels;
        p->tasks[t].targets = regression ? p->targets : NULL;
        p->tasks[t].scale = (float)(t + 1) / (float)(batch > 1 ? batch - 1 : 1);
    }
}

hmt_status rig_prepare(rig *r, const lower_options *options, rig_plan *p)
{
    const hmt_plan *plan;
    const int64_t *shape;
    hmt_status status;

    memset(p, 0, sizeof *p);
    p->r = r;
    p->explains = options->gradients;
    status = lower(r->g, options, &p->low);
    if (status != HMT_OK)
        return status;
    plan = &p->low->plan;
    shape = plan->tensors[plan->input].shape;
    p->input = malloc((size_t)rig_count(shape) * sizeof(float));
    p->labels = malloc((size_t)plan->batch * sizeof(int32_t));
    p->targets = malloc((size_t)plan->batch * sizeof(float));
    p->tasks = calloc(plan->task_count + 1, sizeof *p->tasks);
    p->milliseconds = calloc(plan->step_count + 1, sizeof *p->milliseconds);
    fill_tensor("input.conformance", 4, shape, p->input);
    label(p);
    status = r->backend->exec_create(r->device, plan, r->weights, &p->exec);
    if (status != HMT_OK)
        rig_release(p);
    return status;
}

void rig_release(rig_plan *p)
{
    if (p->exec)
        p->r->backend->exec_destroy(p->exec);
    lower_free(p->low);
    free(p->input);
    free(p->labels);
    free(p->targets);
    free(p->tasks);
    free(p->milliseconds);
    memset(p, 0, sizeof *p);
}

hmt_status rig_run(rig_plan *p, hmt_phase phase, const hmt_sgd *sgd)
{
    hmt_run run = {.struct_size = sizeof run,
                   .phase = phase,
                   .input = phase == HMT_PHASE_FORWARD ? p->input : NULL,
                   .tasks = p->tasks,
                   .groups = sgd,
                   .seed = 20191,
                   .bad_step = -1,
                   .milliseconds = p->timed ? p->milliseconds : NULL};
    hmt_status status;

    for (size_t t = 0; t < p->low->plan.task_count && phase == HMT_PHASE_FORWARD; ++t)
        p->tasks[t].loss_sum = 0.0;
    status = p->r->backend->exec_run(p->exec, &run);
    if (phase == HMT_PHASE_FORWARD)
        p->bad_step = run.bad_step;
    return status;
}

hmt_status rig_step(rig_plan *p, const hmt_sgd *sgd)
{
    hmt_status status = rig_run(p, HMT_PHASE_FORWARD, sgd);

    if (status == HMT_OK && p->low->plan.training)
        status = rig_run(p, HMT_PHASE_BACKWARD, sgd);
    return status;
}

double rig_loss(const rig_plan *p)
{
    double loss = 0.0;

    for (size_t t = 0; t < p->low->plan.task_count; ++t)
        loss += (double)p->tasks[t].scale * p->tasks[t].loss_sum;
    return loss;
}

float *rig_read(rig_plan *p, int32_t tensor, hmt_status *status)
{
    float *values = malloc((size_t)rig_count(p->low->plan.tensors[tensor].shape) * sizeof(float));

    *status = p->r->backend->exec_read(p->exec, tensor, values);
    if (*status != HMT_OK) {
        free(values);
        return NULL;
    }
    return values;
}

float *rig_slot(rig_plan *p, size_t weight, hmt_slot slot, hmt_status *status)
{
    const hmt_plan_weight *w = &p->low->plan.weights[weight];
    float *values = malloc((size_t)rig_count(w->shape) * sizeof(float));

    *status = p->r->backend->weights_get(p->r->weights, w, slot, values);
    if (*status != HMT_OK) {
        free(values);
        return NULL;
    }
    return values;
}
