/*
 * One network on the backend under test and on the reference: inference as it is and with
 * everything folded, gradients of logits, evaluation, and two training steps, after which every
 * parameter, statistic and momentum is compared.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance.h"
#include "reference/reference.h"

/* The same network twice. */
typedef struct pair {
    conformance *c;
    rig tested, reference;
    rig_plan a, b; /* a plan on each */
} pair;

static double largest(const float *values, int64_t count)
{
    double most = 0.0;

    for (int64_t i = 0; i < count; ++i)
        if (!(fabs((double)values[i]) <= most))
            most = fabs((double)values[i]);
    return most;
}

/* The largest difference as a share of the largest value, or of `floor` if that is more. */
static double distance(const float *got, const float *want, int64_t count, double floor)
{
    double most = 0.0, scale = fmax(largest(want, count), floor);

    for (int64_t i = 0; i < count; ++i) {
        double off = fabs((double)got[i] - (double)want[i]);

        if (!(off <= most)) /* also when it is NaN */
            most = off;
    }
    return most == 0.0 ? 0.0 : most / scale;
}

/* The L2 norm of the difference as a share of the norm, or of `floor` for each element. */
static double distance_l2(const float *got, const float *want, int64_t count, double floor)
{
    double off = 0.0, norm = 0.0;

    for (int64_t i = 0; i < count; ++i) {
        off += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        norm += (double)want[i] * want[i];
    }
    norm = fmax(norm, floor * floor * (double)count);
    return off == 0.0 ? 0.0 : sqrt(off / norm);
}

static bool prepare(pair *p, const lower_options *options, const char *what)
{
    hmt_status status = rig_prepare(&p->reference, options, &p->b);

    conformance_status(p->c, what, status);
    if (status != HMT_OK)
        return false;
    status = rig_prepare(&p->tested, options, &p->a);
    conformance_status(p->c, what, status);
    if (status != HMT_OK) {
        rig_release(&p->b);
        return false;
    }
    for (size_t i = 0; i < p->a.low->plan.step_count; ++i)
        p->c->seen[p->a.low->plan.steps[i].kind] = true;
    return true;
}

static void release(pair *p)
{
    rig_release(&p->a);
    rig_release(&p->b);
}

static bool step(pair *p, const hmt_sgd *sgd, const char *what)
{
    hmt_status status = rig_step(&p->b, sgd);

    conformance_status(p->c, what, status);
    if (status != HMT_OK)
        return false;
    status = rig_step(&p->a, sgd);
    conformance_status(p->c, what, status);
    return status == HMT_OK;
}

static void compare_tensor(pair *p, int32_t tensor, const char *what, double tolerance)
{
    const hmt_plan_tensor *t = &p->a.low->plan.tensors[tensor];
    hmt_status status_a, status_b;
    float *got = rig_read(&p->a, tensor, &status_a), *want = rig_read(&p->b, tensor, &status_b);

    conformance_status(p->c, what, status_a != HMT_OK ? status_a : status_b);
    if (got && want)
        conformance_result(p->c, what, t->name, distance(got, want, rig_count(t->shape), 0.0),
                           tolerance);
    free(got);
    free(want);
}

static void compare_outputs(pair *p, const char *what)
{
    for (size_t i = 0; i < p->a.low->plan.tensor_count; ++i)
        if (p->a.low->plan.tensors[i].flags & HMT_TENSOR_OUTPUT)
            compare_tensor(p, (int32_t)i, what, CONFORMANCE_VALUES);
}

static void compare_losses(pair *p, const char *what)
{
    for (size_t t = 0; t < p->a.low->plan.task_count; ++t) {
        double got = p->a.tasks[t].loss_sum, want = p->b.tasks[t].loss_sum;

        conformance_result(p->c, what, "loss", fabs(got - want) / fmax(fabs(want), 1e-2),
                           CONFORMANCE_LOSSES);
    }
}

/* The largest element of the gradient of the weight that stands before bias `w` in the plan, or of
 * any weight for w < 0. Gradients are what the momentum holds after a first step without any. */
static double gradient_scale(rig_plan *b, int32_t w)
{
    const hmt_plan *plan = &b->low->plan;
    double most = 0.0;

    for (size_t i = 0; i < plan->step_count; ++i) {
        const hmt_plan_step *s = &plan->steps[i];
        hmt_status status;
        float *values;

        if (s->phase != HMT_PHASE_FORWARD || s->weight[0] < 0 || (w >= 0 && s->weight[1] != w))
            continue;
        values = rig_slot(b, (size_t)s->weight[0], HMT_SLOT_MOMENTUM, &status);
        if (values)
            most = fmax(most, largest(values, rig_count(plan->weights[s->weight[0]].shape)));
        free(values);
    }
    return most;
}

static void compare_gradients(pair *p, bool network)
{
    const hmt_plan *plan = &p->a.low->plan;
    double all = gradient_scale(&p->b, -1);

    for (size_t i = 0; i < plan->weight_count; ++i) {
        const hmt_plan_weight *w = &plan->weights[i];
        double floor = CONFORMANCE_GRADIENT_FLOOR * all;
        int64_t count = rig_count(w->shape);
        hmt_status status_a, status_b;
        float *got, *want;

        if (!w->trained || !graph_param_trainable(&p->a.r->g->params[w->param]))
            continue;
        if (w->is_bias)
            floor = fmax(floor, gradient_scale(&p->b, (int32_t)i));
        got = rig_slot(&p->a, i, HMT_SLOT_MOMENTUM, &status_a);
        want = rig_slot(&p->b, i, HMT_SLOT_MOMENTUM, &status_b);
        conformance_status(p->c, "gradient", status_a != HMT_OK ? status_a : status_b);
        if (got && want) {
            conformance_result(p->c, "gradient of", w->name, distance(got, want, count, floor),
                               network ? CONFORMANCE_NETWORK_GRADIENT : CONFORMANCE_GRADIENT);
            conformance_result(p->c, "gradient (L2) of", w->name,
                               distance_l2(got, want, count, floor),
                               network ? CONFORMANCE_NETWORK_GRADIENT_L2 : CONFORMANCE_GRADIENT_L2);
        }
        free(got);
        free(want);
    }
}

static void compare_parameters(pair *p, const char *what, double tolerance)
{
    const hmt_plan *plan = &p->a.low->plan;

    for (size_t i = 0; i < plan->weight_count; ++i) {
        const hmt_plan_weight *w = &plan->weights[i];
        hmt_status status_a, status_b;
        float *got, *want;

        if (!w->trained)
            continue;
        got = rig_slot(&p->a, i, HMT_SLOT_VALUE, &status_a);
        want = rig_slot(&p->b, i, HMT_SLOT_VALUE, &status_b);
        conformance_status(p->c, what, status_a != HMT_OK ? status_a : status_b);
        if (got && want)
            conformance_result(p->c, what, w->name, distance(got, want, rig_count(w->shape), 1e-3),
                               tolerance);
        free(got);
        free(want);
    }
}

static void infer(pair *p, lower_options options, bool fold)
{
    const char *what = fold ? "folded inference" : "inference";

    options.fold = fold;
    if (!prepare(p, &options, what))
        return;
    if (step(p, NULL, what))
        compare_outputs(p, what);
    options.tap_count = 0; /* now the tested node's relu and scale may be merged */
    release(p);
    if (!prepare(p, &options, what))
        return;
    if (step(p, NULL, what) && step(p, NULL, what)) /* twice: a run leaves nothing behind */
        compare_outputs(p, what);
    release(p);
}

/* Gradients of single logits by the tested node, if there is one, and by the input. */
static void explain(pair *p, lower_options options, bool fold, bool network)
{
    const char *what = fold ? "explanation, folded" : "explanation";
    const double tolerance = network ? CONFORMANCE_NETWORK_GRADIENT : CONFORMANCE_GRADIENT;

    options.fold = fold;
    options.gradients = options.input_gradient = true;
    if (!prepare(p, &options, what))
        return;
    if (step(p, NULL, what) && step(p, NULL, what)) { /* twice, as above */
        if (options.tap_count > 0)
            compare_tensor(p, p->a.low->tap_gradient[0], what, tolerance);
        compare_tensor(p, p->a.low->input_gradient, what, tolerance);
    }
    release(p);
}

/* The momentum of every trained parameter is zero before the first step. */
static void check_fresh_momentum(pair *p)
{
    const hmt_plan *plan = &p->a.low->plan;

    for (size_t i = 0; i < plan->weight_count; ++i) {
        const hmt_plan_weight *w = &plan->weights[i];
        hmt_status status;
        float *values;

        if (!w->trained || !graph_param_trainable(&p->a.r->g->params[w->param]))
            continue;
        values = rig_slot(&p->a, i, HMT_SLOT_MOMENTUM, &status);
        conformance_status(p->c, "momentum", status);
        if (values)
            conformance_result(p->c, "momentum before a step:", w->name,
                               largest(values, rig_count(w->shape)), 0.0);
        free(values);
    }
}

/* A forward run that meets an infinite pixel must name a batch norm whose statistics are no longer
 * finite, and one that does not meet any must name none. */
static void poison(pair *p)
{
    const hmt_plan *plan = &p->a.low->plan;
    float pixel = p->a.input[0];
    bool norms = false;

    for (size_t i = 0; i < plan->step_count; ++i)
        norms = norms || plan->steps[i].kind == HMT_STEP_BATCH_NORM_TRAIN;
    conformance_result(p->c, "bad_step", "finite run", p->a.bad_step == -1 ? 0.0 : 1.0, 0.0);
    p->a.input[0] = INFINITY;
    conformance_status(p->c, "poisoned run", rig_run(&p->a, HMT_PHASE_FORWARD, NULL));
    p->a.input[0] = pixel;
    if (norms)
        conformance_result(p->c, "bad_step", "infinite input",
                           p->a.bad_step >= 0 && (size_t)p->a.bad_step < plan->step_count &&
                                   plan->steps[p->a.bad_step].kind == HMT_STEP_BATCH_NORM_TRAIN
                               ? 0.0
                               : 1.0,
                           0.0);
}

static void train(pair *p, const lower_options *options, bool network)
{
    const hmt_sgd gradient = {0.0f, 0.0f, 0.0f, 0}, real = {0.01f, 0.9f, 0.05f, 0};

    if (!prepare(p, options, "training"))
        return;
    check_fresh_momentum(p);
    if (step(p, &gradient, "training")) {
        compare_outputs(p, "training forward");
        compare_losses(p, "training");
        compare_gradients(p, network);
    }
    if (step(p, &real, "training"))
        compare_parameters(p, "parameters after a step:",
                           network ? CONFORMANCE_NETWORK_PARAMETERS : CONFORMANCE_VALUES);
    poison(p);
    release(p);
}

void conformance_network(conformance *c, const graph *g, const conformance_case *k, bool in_place)
{
    lower_options options = {.batch = k->batch,
                             .tasks = HMT_TASKS_ALL,
                             .taps = &k->tested,
                             .tap_count = k->tested >= 0,
                             .loss = k->loss,
                             .delta = k->delta,
                             .trained_tasks = k->trained_tasks};
    pair p = {.c = c};
    hmt_status status =
        rig_open(&p.reference, &backend_reference, g, 1, HMT_PRECISION_FLOAT32, true);

    conformance_status(c, "open", status);
    if (status == HMT_OK) {
        status =
            rig_open(&p.tested, c->backend, g, c->options.threads, c->options.precision, in_place);
        conformance_status(c, "open", status);
    }
    if (status == HMT_OK) {
        infer(&p, options, false);
        infer(&p, options, true);
        explain(&p, options, false, k->network);
        explain(&p, options, true, k->network);
        options.tasks = HMT_TASKS_ATTRACTIVENESS;
        infer(&p, options, true);
        options.tasks = HMT_TASKS_ALL;
        options.losses = true;
        if (prepare(&p, &options, "evaluation")) {
            if (step(&p, NULL, "evaluation"))
                compare_losses(&p, "evaluation");
            release(&p);
        }
        options.training = true;
        train(&p, &options, k->network);
    }
    if (p.tested.device)
        rig_close(&p.tested);
    if (p.reference.device)
        rig_close(&p.reference);
}
