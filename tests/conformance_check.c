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
#include "conformance_noise.h"
#include "reference/reference.h"

/* The same network twice, and, below float32, on the reference with rounded parameters. */
typedef struct pair {
    conformance *c;
    rig tested, reference;
    rig_plan a, b; /* a plan on each */
    noise n;
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

/* What can be read after a run: a tensor, or a slot of a parameter. */
typedef struct place {
    bool is_tensor;
    int32_t index;
    hmt_slot slot;
} place;

static place tensor_at(int32_t index)
{
    return (place){.is_tensor = true, .index = index};
}

static place slot_at(size_t weight, hmt_slot slot)
{
    return (place){.index = (int32_t)weight, .slot = slot};
}

static float *read_place(rig_plan *p, place at, hmt_status *status)
{
    return at.is_tensor ? rig_read(p, at.index, status)
                        : rig_slot(p, (size_t)at.index, at.slot, status);
}

typedef double (*measure)(const float *got, const float *want, int64_t count, double floor);

/* How far roundings carry what is read there. */
static double spread(pair *p, place at, measure distance_of, const float *want, int64_t count,
                     double floor)
{
    double most = 0.0;

    for (int i = 0; i < p->n.count; ++i) {
        hmt_status status;
        float *moved = read_place(&p->n.plans[i], at, &status);

        conformance_status(p->c, "read", status);
        if (moved)
            most = fmax(most, distance_of(moved, want, count, floor));
        free(moved);
    }
    return most;
}

/* A tolerance in the precision under test. */
static double allowed(const pair *p, double tolerance, double noise)
{
    return p->n.count == 0
               ? tolerance
               : CONFORMANCE_SHARE * noise + fmax(tolerance, CONFORMANCE_UNITS * p->n.unit);
}

static void compare(pair *p, place at, measure distance_of, const char *what, double floor,
                    double tolerance)
{
    const hmt_plan *plan = &p->a.low->plan;
    const char *name = at.is_tensor ? plan->tensors[at.index].name : plan->weights[at.index].name;
    const int64_t count =
        rig_count(at.is_tensor ? plan->tensors[at.index].shape : plan->weights[at.index].shape);
    hmt_status status_a, status_b;
    float *got = read_place(&p->a, at, &status_a), *want = read_place(&p->b, at, &status_b);

    conformance_status(p->c, what, status_a != HMT_OK ? status_a : status_b);
    if (got && want)
        conformance_result(p->c, what, name, distance_of(got, want, count, floor),
                           allowed(p, tolerance, spread(p, at, distance_of, want, count, floor)));
    free(got);
    free(want);
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
    status = noise_prepare(&p->n, options);
    conformance_status(p->c, what, status);
    if (status != HMT_OK) {
        rig_release(&p->a);
        rig_release(&p->b);
        noise_release(&p->n);
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
    noise_release(&p->n);
}

static bool step(pair *p, const hmt_sgd *sgd, const char *what)
{
    hmt_status status = rig_step(&p->b, sgd);

    if (status == HMT_OK)
        status = noise_step(&p->n, sgd);
    conformance_status(p->c, what, status);
    if (status != HMT_OK)
        return false;
    status = rig_step(&p->a, sgd);
    conformance_status(p->c, what, status);
    return status == HMT_OK;
}

static void compare_outputs(pair *p, const char *what)
{
    for (size_t i = 0; i < p->a.low->plan.tensor_count; ++i)
        if (p->a.low->plan.tensors[i].flags & HMT_TENSOR_OUTPUT)
            compare(p, tensor_at((int32_t)i), distance, what, 0.0, CONFORMANCE_VALUES);
}

static void compare_losses(pair *p, const char *what)
{
    for (size_t t = 0; t < p->a.low->plan.task_count; ++t) {
        const double want = p->b.tasks[t].loss_sum, scale = fmax(fabs(want), 1e-2);
        double noise = 0.0;

        for (int i = 0; i < p->n.count; ++i)
            noise = fmax(noise, fabs(p->n.plans[i].tasks[t].loss_sum - want) / scale);
        conformance_result(p->c, what, "loss", fabs(p->a.tasks[t].loss_sum - want) / scale,
                           allowed(p, CONFORMANCE_LOSSES, noise));
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

        if (!w->trained || !graph_param_trainable(&p->a.r->g->params[w->param]))
            continue;
        if (w->is_bias)
            floor = fmax(floor, gradient_scale(&p->b, (int32_t)i));
        compare(p, slot_at(i, HMT_SLOT_MOMENTUM), distance, "gradient of", floor,
                network ? CONFORMANCE_NETWORK_GRADIENT : CONFORMANCE_GRADIENT);
        compare(p, slot_at(i, HMT_SLOT_MOMENTUM), distance_l2, "gradient (L2) of", floor,
                network ? CONFORMANCE_NETWORK_GRADIENT_L2 : CONFORMANCE_GRADIENT_L2);
    }
}

static void compare_parameters(pair *p, const char *what, double tolerance)
{
    const hmt_plan *plan = &p->a.low->plan;

    for (size_t i = 0; i < plan->weight_count; ++i)
        if (plan->weights[i].trained)
            compare(p, slot_at(i, HMT_SLOT_VALUE), distance, what, 1e-3, tolerance);
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
            compare(p, tensor_at(p->a.low->tap_gradient[0]), distance, what, 0.0, tolerance);
        compare(p, tensor_at(p->a.low->input_gradient), distance, what, 0.0, tolerance);
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
        status = noise_open(&p.n, g, c->options.precision);
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
    noise_close(&p.n);
    if (p.tested.device)
        rig_close(&p.tested);
    if (p.reference.device)
        rig_close(&p.reference);
}
