/*
 * The layer graph: what a network is. Nodes in the order in which they were added (each reads
 * earlier ones only), their shapes, their parameters by name, and the heads whose values are the
 * network's answers.
 *
 * Builders in lib/models add nodes; lib/graph/lower.c turns a graph into a plan. The graph holds no
 * numbers: parameters' values live in the model. A builder need not check each call: the first
 * failure sticks and graph_finish() returns it.
 */
#ifndef HMT_GRAPH_GRAPH_H
#define HMT_GRAPH_GRAPH_H

#include <stdbool.h>

#include <hmtnet/backend.h>

enum { GRAPH_NAME = 64, GRAPH_INPUTS = HMT_STEP_INPUTS };

typedef enum graph_kind {
    GRAPH_INPUT,
    GRAPH_CONV,
    GRAPH_BATCH_NORM,
    GRAPH_RELU,
    GRAPH_MAX_POOL,
    GRAPH_AVERAGE_POOL,
    GRAPH_GLOBAL_POOL, /* average over the whole map */
    GRAPH_LINEAR,
    GRAPH_DROPOUT,
    GRAPH_ADD,     /* sum, residual networks */
    GRAPH_AVERAGE, /* aggregator: mean of its inputs */
    GRAPH_CONCAT,  /* aggregator: depth-wise */
    GRAPH_FLATTEN
} graph_kind;

/* What a parameter is for: decides its first value, and whether it is trained. */
typedef enum graph_role {
    GRAPH_ROLE_WEIGHT, /* He initialisation over fan_in */
    GRAPH_ROLE_BIAS,
    GRAPH_ROLE_GAMMA,
    GRAPH_ROLE_BETA,
    GRAPH_ROLE_MEAN,
    GRAPH_ROLE_VARIANCE
} graph_role;

typedef struct graph_param {
    char name[GRAPH_NAME];
    graph_role role;
    int32_t dimensions; /* 4 for weights, 1 for vectors */
    int64_t shape[4];
    int64_t count;
    int32_t node; /* the node it belongs to */
} graph_param;

typedef struct graph_node {
    char name[GRAPH_NAME];
    graph_kind kind;
    int32_t in[GRAPH_INPUTS]; /* node indices */
    int32_t in_count;
    int64_t shape[3];  /* C,H,W of its value */
    hmt_window window; /* convolutions and pools */
    bool ceil;         /* pools: output size rounded up */
    float drop;        /* dropout */
    float epsilon;     /* batch norms */
    float momentum;    /* batch norms */
    int32_t param[4];  /* conv, linear: weight, bias; batch norm: gamma, beta, mean, variance; -1
                          absent */
} graph_node;

typedef struct graph_head {
    hmt_task task;
    int32_t node;    /* logits or prediction, (N,classes,1,1) */
    int32_t classes; /* 0: regression */
} graph_head;

typedef struct graph {
    const hmt_allocator *allocator;
    graph_node *nodes;
    int32_t node_count, node_room;
    graph_param *params;
    int32_t param_count, param_room;
    graph_head heads[HMT_TASK_COUNT];
    int32_t head_count;
    hmt_status status; /* of the first failed call */
} graph;

/* An empty graph. graph_clear releases what it holds (not the struct). */
void graph_init(graph *g, const hmt_allocator *allocator);
void graph_clear(graph *g);

/*
 * Each adds a node and returns its index, or -1 with g->status set and a message that names the
 * node. Negative input indices (from an earlier failure) are passed on silently. Names must be
 * unique; parameters are named NAME.weight, NAME.bias, NAME.running_mean, NAME.running_var.
 */
int32_t graph_input(graph *g, const char *name, int64_t channels, int64_t height, int64_t width);
int32_t graph_conv(graph *g, const char *name, int32_t in, int64_t channels, int32_t kernel,
                   int32_t stride, int32_t pad, int32_t groups, bool bias);
int32_t graph_batch_norm(graph *g, const char *name, int32_t in, bool affine);
int32_t graph_relu(graph *g, const char *name, int32_t in);
int32_t graph_max_pool(graph *g, const char *name, int32_t in, int32_t kernel, int32_t stride,
                       int32_t pad, bool ceil);
int32_t graph_average_pool(graph *g, const char *name, int32_t in, int32_t kernel, int32_t stride,
                           int32_t pad, bool ceil, bool exclude_padding);
int32_t graph_global_pool(graph *g, const char *name, int32_t in);
int32_t graph_linear(graph *g, const char *name, int32_t in, int64_t channels, bool bias);
int32_t graph_dropout(graph *g, const char *name, int32_t in, float drop);
int32_t graph_add(graph *g, const char *name, const int32_t *in, int32_t count);
int32_t graph_average(graph *g, const char *name, const int32_t *in, int32_t count);
int32_t graph_concat(graph *g, const char *name, const int32_t *in, int32_t count);
int32_t graph_flatten(graph *g, const char *name, int32_t in);

/* Makes a node's value a head. classes 0: regression, and the node must have one channel. */
void graph_head_add(graph *g, hmt_task task, int32_t node, int32_t classes);

/* The status of all calls so far. */
hmt_status graph_finish(const graph *g);

/* Index of a node or parameter by name, -1 if there is none. */
int32_t graph_find_node(const graph *g, const char *name);
int32_t graph_find_param(const graph *g, const char *name);
bool graph_param_trainable(const graph_param *param);

#endif
