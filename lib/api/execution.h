/*
 * A plan and its exec on a device: what sessions and trainers have in common.
 */
#ifndef HMT_API_EXECUTION_H
#define HMT_API_EXECUTION_H

#include "api/model.h"
#include "graph/lower.h"

enum { EXECUTION_KIND = 48 };

typedef struct execution {
    const hmt_model *model;
    lowered *lowered;
    void *exec;                    /* the backend's */
    double *milliseconds;          /* by step, of the last run; NULL if not profiled */
    char (*kinds)[EXECUTION_KIND]; /* by step: what hmt_step_profile.kind shows */
} execution;

/* The images of a forward run: one of the two, the other is NULL. */
typedef struct run_input {
    const float *images;  /* (N,3,224,224), normalised */
    const uint8_t *crops; /* (N,224,224,3); only where execution_takes_crops() */
} run_input;

/* Lowers the model's graph and prepares the plan on `device` with `weights`, both the backend's. On
 * failure the execution is empty. */
hmt_status execution_create(execution *e, const hmt_model *model, const lower_options *options,
                            void *device, void *weights, bool profile);
/* Releases what it holds; nothing happens to an empty one. */
void execution_clear(execution *e);

/* Whether the backend normalises 8-bit crops itself, and whether staging has an effect. */
bool execution_takes_crops(const hmt_model *model);
bool execution_stages(const hmt_model *model);

/* Runs one phase; the arguments are those of hmt_run. `input` is NULL but for a forward run. */
hmt_status execution_run(execution *e, hmt_phase phase, const run_input *input, hmt_run_task *tasks,
                         const hmt_sgd *groups, uint64_t seed);
/* Hands over a later forward run's input; nothing happens where that has no effect. */
hmt_status execution_stage(const execution *e, const run_input *input);
hmt_status execution_read(const execution *e, int32_t tensor, float *values);

/* Fills in all but staging's share of sessions and trainers. */
hmt_status execution_memory(const execution *e, void *weights, hmt_memory *memory);
hmt_status execution_profile(const execution *e, hmt_step_profile *steps, size_t capacity,
                             size_t *count);

#endif
