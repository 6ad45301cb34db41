/*
 * The speed of each step of one HMTNet training step and of one inference, and of each kind of step
 * altogether: milliseconds (the best of three runs) and GFLOP/s.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance.h"
#include "core/memory.h"
#include "models/models.h"

enum { RUNS = 3, KINDS = 64 };

static void line(const char *name, const char *kind, double milliseconds, double flops)
{
    printf("%-18s %-24s %10.3f ms %8.1f GFLOP/s\n", name, kind, milliseconds,
           milliseconds > 0.0 ? flops / milliseconds * 1e-6 : 0.0);
}

static void report(const rig_plan *p, const double *best)
{
    const hmt_plan *plan = &p->low->plan;
    double time[KINDS] = {0.0}, flops[KINDS] = {0.0}, all_time = 0.0, all_flops = 0.0;

    for (size_t i = 0; i < plan->step_count; ++i) {
        const hmt_plan_step *s = &plan->steps[i];

        line(s->name, lower_kind_name(s->kind), best[i], s->flops);
        time[s->kind] += best[i];
        flops[s->kind] += s->flops;
        all_time += best[i];
        all_flops += s->flops;
    }
    for (int kind = 0; kind < KINDS; ++kind)
        if (time[kind] > 0.0)
            line("all of", lower_kind_name((hmt_step_kind)kind), time[kind], flops[kind]);
    line("all", "", all_time, all_flops);
}

static hmt_status measure(rig_plan *p, double *best)
{
    const hmt_sgd sgd = {1e-4f, 0.9f, 0.0f, 0};
    hmt_status status = HMT_OK;

    p->timed = true;
    for (int run = 0; run < RUNS && status == HMT_OK; ++run) {
        status = rig_step(p, &sgd);
        for (size_t i = 0; i < p->low->plan.step_count; ++i)
            if (run == 0 || p->milliseconds[i] < best[i])
                best[i] = p->milliseconds[i];
    }
    return status;
}

static void speed_of(conformance *c, const graph *g, bool training)
{
    lower_options options = {.batch = c->options.batch,
                             .training = training,
                             .tasks = HMT_TASKS_ALL,
                             .fold = !training,
                             .delta = 0.6f,
                             .trained_tasks = HMT_TASKS_ALL};
    double *best = NULL;
    rig_plan p = {0};
    rig r;
    hmt_status status = rig_open(&r, c->backend, g, c->options.threads, c->options.precision, true);

    if (status == HMT_OK) {
        status = rig_prepare(&r, &options, &p);
        if (status == HMT_OK) {
            best = calloc(p.low->plan.step_count, sizeof *best);
            status = measure(&p, best);
        }
        if (status == HMT_OK) {
            printf("%s: %s, HMTNet of width %g, batch %d, %d thread(s)\n", c->backend->name,
                   training ? "training" : "inference", c->options.width, (int)options.batch,
                   (int)c->options.threads);
            report(&p, best);
        }
        free(best);
        if (p.exec)
            rig_release(&p);
        rig_close(&r);
    }
    conformance_status(c, "speed", status);
}

void conformance_speed(conformance *c)
{
    hmt_model_config config;
    graph g;

    c->name = "speed";
    models_config_defaults(&config);
    config.width = c->options.width;
    graph_init(&g, &memory_default);
    conformance_status(c, "network", models_build(&config, &g));
    if (graph_finish(&g) == HMT_OK) {
        speed_of(c, &g, false);
        speed_of(c, &g, true);
    }
    graph_clear(&g);
}
