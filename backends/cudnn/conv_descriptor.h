/*
 * cuDNN's backend descriptors as conv_graph.c and conv_candidates.c make them: the first failure
 * stays in conv_graph.status, and nothing is called after it.
 */
#ifndef HMT_CUDNN_CONV_DESCRIPTOR_H
#define HMT_CUDNN_CONV_DESCRIPTOR_H

#include "conv_graph.h"

#define GRAPH_CALL(g, function, ...)                                                               \
    ((g)->status == HMT_OK                                                                         \
         ? ((g)->status = CUDNN_CALL((g)->device, (g)->where, function, __VA_ARGS__))              \
         : (g)->status)

static inline cudnnBackendDescriptor_t make(conv_graph *g, cudnnBackendDescriptorType_t type)
{
    cudnnBackendDescriptor_t made = NULL;

    GRAPH_CALL(g, cudnnBackendCreateDescriptor, type, &made);
    if (g->status != HMT_OK)
        return NULL;
    g->made[g->made_count++] = made;
    return made;
}

static inline void set(conv_graph *g, cudnnBackendDescriptor_t of, cudnnBackendAttributeName_t name,
                       cudnnBackendAttributeType_t type, int64_t count, const void *values)
{
    GRAPH_CALL(g, cudnnBackendSetAttribute, of, name, type, count, values);
}

static inline void set_descriptor(conv_graph *g, cudnnBackendDescriptor_t of,
                                  cudnnBackendAttributeName_t name, cudnnBackendDescriptor_t value)
{
    set(g, of, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

static inline void finish(conv_graph *g, cudnnBackendDescriptor_t of)
{
    GRAPH_CALL(g, cudnnBackendFinalize, of);
}

static inline void drop(cudnnBackendDescriptor_t *descriptor)
{
    if (*descriptor != NULL)
        (void)cudnnBackendDestroyDescriptor(*descriptor);
    *descriptor = NULL;
}

static inline void drop_candidate(conv_candidate *c)
{
    drop(&c->plan);
    drop(&c->config);
}

/* Configurations asked for, of each kind of heuristics: those with tensor cores come first, up to
 * 40 of them. */
enum { SHOWN = 128 };

/* What asking the heuristics keeps in mind. */
typedef struct inquiry {
    int32_t wanted; /* name, or -1 */
    int32_t seen;   /* configurations, of the kind of heuristics that is being asked */
    int32_t first;  /* number of an engine's first configuration of that kind */
    int64_t engines[SHOWN];
} inquiry;

/* Adds candidates that one kind of heuristics gives, until there are `most`. */
void conv_candidates_ask(conv_graph *g, cudnnBackendHeurMode_t mode, int32_t most, inquiry *q);

#endif
