/*
 * The gradients under way while the backward steps are made. Private to lib/graph.
 */
#ifndef HMT_GRAPH_LOWER_FLOW_H
#define HMT_GRAPH_LOWER_FLOW_H

#include "graph/lower_build.h"

/* The gradients that reach one forward tensor; summed when the step that made it comes up. */
typedef struct inflow {
    int32_t tensor[HMT_STEP_INPUTS];
    float scale[HMT_STEP_INPUTS];
    bool own[HMT_STEP_INPUTS]; /* nobody else reads that tensor: it may be overwritten */
    int32_t count;
} inflow;

typedef struct backward {
    build *b;
    inflow *inflows; /* by forward tensor */
    bool *wanted;    /* by forward tensor: what needs its gradient lies before it, or is it */
    bool *target;    /* by forward tensor: its gradient is to be read */
} backward;

/* A backward step that belongs to step `forward`; NULL after a failure. */
hmt_plan_step *flow_step(backward *w, hmt_step_kind kind, int32_t forward);

/* A new tensor of another's shape; a tensor's elements. */
int32_t flow_like(backward *w, int32_t tensor);
double flow_size(const backward *w, int32_t tensor);

/* Notes that `tensor` times `scale` is part of the gradient of forward tensor `of`. */
void flow_add(backward *w, int32_t of, int32_t tensor, float scale, bool own, int32_t forward);

/* The whole gradient of forward tensor `of`, -1 if none reached it. *own tells whether it may be
 * overwritten. The inflow starts anew: an in-place step's input has the same number. */
int32_t flow_take(backward *w, int32_t of, int32_t forward, bool *own);

#endif
