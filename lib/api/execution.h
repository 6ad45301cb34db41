/*
 * A plan and its exec on the context's device: what sessions and trainers have in common.
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
    char (*kinds)[EXECUTION_KIND]; /* by step, likewise: what hmt_step_profile.kind shows */
} execution;

/* Lowers the model's graph and prepares the plan with `weights`, the backend's. On failure the
 * execution is empty. */
hmt_status execution_create(execution *e, const hmt_model *model, const lower_options *options,
                            void *weights, bool profile);
/* Releases what it holds; nothing happens to an empty one. */
void execution_clear(execution *e);

/* Runs one phase; the arguments are those of hmt_run. */
hmt_status execution_run(execution *e, hmt_phase phase, const float *input, hmt_run_task *tasks,
                         const hmt_sgd *groups, uint64_t seed);
hmt_status execution_read(const execution *e, int32_t tensor, float *values);

/* Fills in all but staging's share of sessions and trainers. */
hmt_status execution_memory(const execution *e, void *weights, hmt_memory *memory);
hmt_status execution_profile(const execution *e, hmt_step_profile *steps, size_t capacity,
                             size_t *count);

#endif
