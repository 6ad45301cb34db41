/*
 * What the conformance suite runs a backend in: a host, a device, a model's parameters (the fixed
 * fill) and the plans lowered from a graph. The parameters' folding stands here a second time, so
 * that the suite does not depend on the library's own.
 */
#ifndef HMT_TESTS_CONFORMANCE_RIG_H
#define HMT_TESTS_CONFORMANCE_RIG_H

#include <stdbool.h>

#include "graph/lower.h"

/* What a backend may ask of its host, with malloc's memory and no log. */
void rig_host(hmt_host *host, int32_t threads, hmt_precision precision);

typedef struct rig {
    const hmt_backend *backend;
    const graph *g;
    hmt_host host;
    hmt_source source;
    void *device;
    void *weights;
    float **params; /* by graph parameter */
    bool in_place;  /* the source shows the parameters' storage, as a model does */
} rig;

/* Opens the backend and fills the parameters of `g`, which must outlive the rig. */
hmt_status rig_open(rig *r, const hmt_backend *backend, const graph *g, int32_t threads,
                    hmt_precision precision, bool in_place);
void rig_close(rig *r);

/* A prepared plan with labels for its heads and an input, made from the fixed fill. */
typedef struct rig_plan {
    rig *r;
    lowered *low;
    void *exec;
    float *input;         /* (N,C,H,W) */
    int32_t *labels;      /* (N), for every classifier; row 1 has none */
    float *targets;       /* (N), for regressions; row 0 has none */
    hmt_run_task *tasks;  /* (task_count) */
    bool timed;           /* runs go step by step, which a graph of launches does not */
    double *milliseconds; /* (step_count) of the last timed run */
    bool explains;        /* made for gradients of logits: a score's row with label 0 counts */
    int32_t bad_step;     /* of the last forward run: where it was not finite, or -1 */
} rig_plan;

hmt_status rig_prepare(rig *r, const lower_options *options, rig_plan *p);
void rig_release(rig_plan *p);

/* One run of a phase. */
hmt_status rig_run(rig_plan *p, hmt_phase phase, const hmt_sgd *sgd);
/* Forward, then, in a training plan, backward. */
hmt_status rig_step(rig_plan *p, const hmt_sgd *sgd);
/* The sum of alpha times mean loss of the last run. */
double rig_loss(const rig_plan *p);

int64_t rig_count(const int64_t shape[4]);
/* A tensor, or a slot of a parameter, as a new array; NULL with the status set on failure. */
float *rig_read(rig_plan *p, int32_t tensor, hmt_status *status);
float *rig_slot(rig_plan *p, size_t weight, hmt_slot slot, hmt_status *status);

#endif
