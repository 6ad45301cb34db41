/*
 * One convolution as cuDNN's graph API sees it: an operation graph, the ways that the heuristics
 * offer to run it and that our precision and workspace allow, and the one that was chosen, bound to
 * memory. Nothing here knows execs or plans.
 */
#ifndef HMT_CUDNN_CONV_GRAPH_H
#define HMT_CUDNN_CONV_GRAPH_H

#include "device.h"

typedef enum conv_kind { CONV_FORWARD = 0, CONV_DATA = 1, CONV_FILTER = 2 } conv_kind;

/* x(n,c,h,w), y(n,k,oh,ow), both NHWC in memory; weights (k,c/groups,r,s), KRSC in memory. */
typedef struct conv_problem {
    conv_kind kind;
    extent x, y;
    hmt_window window;
    storage type;
    int32_t bias; /* forward: (1,k,1,1) is added */
    int32_t relu; /* forward: behind the bias */
} conv_problem;

/* The operands' unique ids in graph and variant pack. */
enum { CONV_X = 1, CONV_W = 2, CONV_Y = 3, CONV_BIAS = 4, CONV_OPERANDS = 4 };

enum { CONV_DESCRIPTORS = 24, CONV_CANDIDATES = 18 }; /* 16 and two fallbacks */

/* A way to run it. */
typedef struct conv_candidate {
    cudnnBackendDescriptor_t config, plan;
    int32_t name; /* the engine, and which of its configurations in the heuristics' order */
    uint64_t workspace;
    const char *kernel;
} conv_candidate;

typedef struct conv_graph {
    const device *device;
    const char *where;
    cudnnHandle_t handle;
    conv_problem problem;
    hmt_status status; /* the first failure; the functions of a build do nothing after it */
    cudnnBackendDescriptor_t made[CONV_DESCRIPTORS];
    int32_t made_count;
    cudnnBackendDescriptor_t operations[3];
    int32_t operation_count;
    cudnnBackendDescriptor_t graph;
    conv_candidate candidates[CONV_CANDIDATES];
    int32_t candidate_count;
    cudnnBackendDescriptor_t pack; /* of the chosen candidate, number 0 from then on */
    char text[192];                /* why the last candidate was refused, for the message */
} conv_graph;

/* Fills g, which the caller has zeroed and clears whatever comes of it, with at most `most`
 * candidates and some fallbacks behind them. A problem that cuDNN cannot do leaves candidate_count
 * 0 and no failure. `name` >= 0 asks for that candidate alone, if the heuristics still give it. */
hmt_status conv_graph_build(conv_graph *g, const device *d, const char *where, cudnnHandle_t handle,
                            const conv_problem *problem, int32_t name, int32_t most);
void conv_graph_clear(conv_graph *g);

/* A variant pack of operands (indexed by unique id - 1) and workspace. */
hmt_status conv_graph_pack(conv_graph *g, void *const operands[CONV_OPERANDS], void *workspace,
                           cudnnBackendDescriptor_t *pack);
/* Drops candidates that want more workspace than `bytes`. */
void conv_graph_bound(conv_graph *g, uint64_t bytes);
/* Keeps candidate i alone, as number 0. */
void conv_graph_choose(conv_graph *g, int32_t i);

#endif
