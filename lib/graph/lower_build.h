/*
 * What the parts of the lowering share: the plan under construction. Private to lib/graph.
 */
#ifndef HMT_GRAPH_LOWER_BUILD_H
#define HMT_GRAPH_LOWER_BUILD_H

#include "graph/lower.h"

/* The plan's arrays while they grow, and what is known of each node. */
typedef struct build {
    const graph *g;
    const lower_options *options;
    const hmt_allocator *allocator;
    hmt_status status; /* of the first failure; every function below does nothing after it */

    hmt_plan_tensor *tensors;
    int32_t tensor_count, tensor_room;
    hmt_plan_weight *weights;
    int32_t weight_count, weight_room;
    hmt_plan_step *steps;
    int32_t step_count, step_room;

    bool *needed;         /* by node: leads to a head or tap that was asked for */
    bool *kept;           /* by node: is a head or tap, so its value must exist as it is */
    int32_t *tensor_of;   /* by node: its value, -1 until made */
    int32_t *consumer;    /* by node: the one needed node that reads it; -1 none, -2 several */
    bool *learns;         /* by node: it or one before it has a parameter that is trained */
    float *weight_scale;  /* by node: factor that was moved into its weights */
    float *value_scale;   /* by node: factor of an aggregator that was moved elsewhere: 1 / count,
                             else 1 */
    int32_t *gradient_of; /* by forward tensor: its gradient where that is to be read, else -1; NULL
                             without gradients */
    int32_t head_task[HMT_TASK_COUNT]; /* by hmt_task */
    int32_t task_count;
} build;

int32_t build_tensor(build *b, const char *name, int64_t n, int64_t c, int64_t h, int64_t w);

/* Index of a weight in the plan, made once for equal fields. `fold` is a batch norm node, or NULL.
 */
int32_t build_weight(build *b, int32_t param, bool is_bias, const graph_node *fold, float scale,
                     int64_t length);

/* The optimiser's group of a parameter, -1: it is not trained. */
int32_t build_group(const build *b, int32_t param);

/* Appends a step with all operands absent; NULL after a failure. */
hmt_plan_step *build_step(build *b, hmt_step_kind kind, const char *name);

/* Whether the plan has backward steps: of training, or of gradients to be read. */
bool build_is_backward(const build *b);

/* lower_forward.c: forward steps and losses. lower_backward.c: gradients and updates. */
void build_forward(build *b);
void build_backward(build *b);

#endif
