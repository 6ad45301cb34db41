/*
 * From a graph to a plan: what to do, in order, for one purpose. All algebra is done here, once,
 * for every backend.
 */
#ifndef HMT_GRAPH_LOWER_H
#define HMT_GRAPH_LOWER_H

#include "graph/graph.h"

typedef struct lower_options {
    int32_t batch;       /* images at once */
    bool training;       /* backward and update too */
    uint32_t tasks;      /* HMT_TASKS_... bits: heads to run; the rest is pruned */
    const int32_t *taps; /* nodes whose values must be readable */
    int32_t tap_count;
    bool fold;     /* inference: fold batch norms into convolutions, and scales into weights */
    bool losses;   /* inference: also compute the losses (evaluation); training always does */
    hmt_loss loss; /* of regression heads */
    float delta;   /* Smooth Huber's */
    uint32_t trained_tasks; /* training: heads whose loss has a gradient; the others are evaluated
                               only */
    float label_smoothing;  /* of classification heads */
    bool gradients;         /* inference: also the gradients of single logits by the taps */
    bool input_gradient;    /* with gradients: by the images too */
    const int32_t *group;   /* training: the optimiser's group of each parameter, -1: frozen; NULL:
                               all   in group 0 */
} lower_options;

/* A plan and what the session needs to find its way in it. */
typedef struct lowered {
    hmt_plan plan;
    int32_t head_tensor[HMT_TASK_COUNT]; /* logits; -1 if the head was not asked for */
    int32_t head_task[HMT_TASK_COUNT];   /* index into hmt_run.tasks; -1 likewise or without losses
                                          and gradients */
    int32_t *tap_tensor;                 /* (tap_count) */
    int32_t *tap_gradient;     /* (tap_count) likewise; -1 if it is 0: no head reads the tap */
    int32_t input_gradient;    /* -1 if it was not asked for */
    char (*names)[GRAPH_NAME]; /* what the name pointers of the plan point to */
    const hmt_allocator *allocator;
} lowered;

/* The plan is freed with lower_free, and independent of the graph's lifetime. */
hmt_status lower(const graph *g, const lower_options *options, lowered **out);
void lower_free(lowered *plan);

/* A step kind's name for reports, e.g. "conv_backward_data". */
const char *lower_kind_name(hmt_step_kind kind);

#endif
