/*
 * Gradients of the backend under test against difference quotients of the reference's losses. Each
 * parameter is moved by h both ways; where the slopes above and below disagree a relu or a max pool
 * has switched in between, and the element is left out. A third of the elements at least must
 * remain.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "conformance.h"
#include "reference/reference.h"

/* Elements tried of each parameter; steps h as shares of its largest value; how far the slopes may
 * differ, as a share of the largest gradient. */
enum { TRIES = 6 };
#define SETTLED 0.04
static const double steps[] = {0.004, 0.008, 0.002, 0.016};

/* The slopes of the loss above and below an element's value: (loss(v + h) - loss(v)) / h. */
static hmt_status slopes(rig_plan *p, float *element, float h, double *above, double *below)
{
    float before = *element, up = before + h, down = before - h;
    hmt_status status = rig_run(p, HMT_PHASE_FORWARD, NULL);
    double middle = rig_loss(p);

    *element = up;
    if (status == HMT_OK)
        status = rig_run(p, HMT_PHASE_FORWARD, NULL);
    *above = (rig_loss(p) - middle) / ((double)up - (double)before);
    *element = down;
    if (status == HMT_OK)
        status = rig_run(p, HMT_PHASE_FORWARD, NULL);
    *below = (middle - rig_loss(p)) / ((double)before - (double)down);
    *element = before;
    return status;
}

static double largest(const float *values, int64_t count)
{
    double most = 0.0;

    for (int64_t i = 0; i < count; ++i)
        most = fmax(most, fabs((double)values[i]));
    return most;
}

/* The element with the largest gradient first, then some spread over the tensor. */
static int64_t pick(const float *gradient, int64_t count, int number)
{
    int64_t best = 0;

    if (number > 0)
        return (count - 1) * (number - 1) / (TRIES - 1);
    for (int64_t i = 1; i < count; ++i)
        if (fabsf(gradient[i]) > fabsf(gradient[best]))
            best = i;
    return best;
}

/* The error of one element's gradient, at the step that suits it best: a large one may meet kinks,
 * a small one rounding. A wrong gradient agrees at none. -1 if the slopes agree at no step. */
static double error_of(rig_plan *p, float *element, double gradient, double size, double scale,
                       hmt_status *status)
{
    double best = -1.0;

    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; ++i) {
        double above, below, error;

        *status = slopes(p, element, (float)(steps[i] * size), &above, &below);
        if (*status != HMT_OK)
            break;
        error = fabs((above + below) / 2.0 - gradient) / scale;
        if (fabs(above - below) <= SETTLED * scale && (best < 0.0 || error < best))
            best = error;
        if (best >= 0.0 && best <= CONFORMANCE_DIFFERENCES / 2)
            break;
    }
    return best;
}

/* Compares one parameter's gradient; adds to the elements tried and used. */
static void check_param(conformance *c, rig_plan *p, const hmt_plan_weight *w,
                        const float *gradient, double all, int *tried, int *used)
{
    float *values = p->r->params[w->param];
    int64_t count = rig_count(w->shape);
    double scale = fmax(largest(gradient, count), 0.02 * all);
    double size = fmax(largest(values, count), 0.1);
    hmt_status status = HMT_OK;

    for (int i = 0; i < TRIES && i <= count && status == HMT_OK; ++i) {
        int64_t at = pick(gradient, count, i);
        double error = error_of(p, &values[at], (double)gradient[at], size, scale, &status);

        ++*tried;
        if (error < 0.0)
            continue;
        ++*used;
        conformance_result(c, "difference quotient of", w->name, error, CONFORMANCE_DIFFERENCES);
    }
    conformance_status(c, "forward", status);
}

/* The gradients that `tested` computes, against differences on `p`, the same plan on the reference.
 */
static void check_all(conformance *c, rig_plan *tested, rig_plan *p)
{
    const hmt_plan *plan = &p->low->plan;
    float **gradients = calloc(plan->weight_count, sizeof *gradients);
    hmt_status status = HMT_OK;
    int tried = 0, used = 0;
    double all = 0.0;

    for (size_t i = 0; i < plan->weight_count && status == HMT_OK; ++i) {
        const hmt_plan_weight *w = &plan->weights[i];

        if (!w->trained || !graph_param_trainable(&p->r->g->params[w->param]))
            continue;
        gradients[i] = rig_slot(tested, i, HMT_SLOT_MOMENTUM, &status);
        if (gradients[i])
            all = fmax(all, largest(gradients[i], rig_count(w->shape)));
    }
    conformance_status(c, "gradients", status);
    for (size_t i = 0; i < plan->weight_count; ++i) {
        if (gradients[i])
            check_param(c, p, &plan->weights[i], gradients[i], all, &tried, &used);
        free(gradients[i]);
    }
    free(gradients);
    conformance_result(c, "elements whose slopes agree", "", 3 * used < tried ? 1.0 : 0.0, 0.0);
}

void conformance_differences(conformance *c, const graph *g, const conformance_case *k)
{
    const hmt_sgd none = {0.0f, 0.0f, 0.0f, 0};
    const lower_options options = {.batch = k->batch,
                                   .training = true,
                                   .tasks = HMT_TASKS_ALL,
                                   .loss = k->loss,
                                   .delta = k->delta,
                                   .trained_tasks = k->trained_tasks};
    rig tested = {0}, reference = {0};
    rig_plan a = {0}, b = {0};
    hmt_status status = rig_open(&reference, &backend_reference, g, 1, HMT_PRECISION_FLOAT32, true);

    if (status == HMT_OK)
        status = rig_open(&tested, c->backend, g, c->options.threads, c->options.precision, false);
    if (status == HMT_OK)
        status = rig_prepare(&reference, &options, &b);
    if (status == HMT_OK)
        status = rig_prepare(&tested, &options, &a);
    for (int32_t i = 0; status == HMT_OK && i < g->head_count; ++i)
        if (!(k->trained_tasks & (1u << g->heads[i].task)))
            b.tasks[b.low->head_task[g->heads[i].task]].scale =
                0.0f; /* its loss is computed, but nothing follows from it */
    if (status == HMT_OK)
        status = rig_step(&a, &none);
    conformance_status(c, "training step", status);
    if (status == HMT_OK)
        check_all(c, &a, &b);
    if (a.exec)
        rig_release(&a);
    if (b.exec)
        rig_release(&b);
    if (tested.device)
        rig_close(&tested);
    if (reference.device)
        rig_close(&reference);
}
