/*
 * graphs.c - what a capture gave: instantiated, launched as one operation of a stream that runs its
 * nodes one at a time, in a seeded order that their dependencies allow.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

struct CUgraphExec_st {
    struct CUgraph_st graph;
    int references; /* the handle's, and one for each launch that is queued */
};

/* One launch: its own copy of every node's arguments, since a node may keep its progress there. */
struct launch {
    struct CUgraphExec_st *exec;
    void **args; /* made at the first step; an entry is NULL when the node is done */
    char *done;
    size_t left;
};

int node_copy(struct node *to, const struct node *from)
{
    void *args = malloc(from->work.bytes > 0 ? from->work.bytes : 1);
    int *needs = malloc((from->need_count > 0 ? from->need_count : 1) * sizeof *needs);

    if (args == NULL || needs == NULL) {
        free(args);
        free(needs);
        return 0;
    }
    if (from->work.bytes > 0)
        memcpy(args, from->work.args, from->work.bytes);
    if (from->need_count > 0)
        memcpy(needs, from->needs, from->need_count * sizeof *needs);
    *to = *from;
    to->work.args = args;
    to->needs = needs;
    if (to->work.copied != NULL)
        to->work.copied(args);
    return 1;
}

void node_clear(struct node *node)
{
    if (node->work.forget != NULL)
        node->work.forget((void *)node->work.args);
    free((void *)node->work.args);
    free(node->needs);
}

static void nodes_free(struct CUgraph_st *graph)
{
    for (size_t i = 0; i < graph->count; i++)
        node_clear(&graph->nodes[i]);
    free(graph->nodes);
}

void graph_free(struct CUgraph_st *graph)
{
    nodes_free(graph);
    free(graph);
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    cudaError_t error = call_begin("cudaGraphDestroy");
    if (standin_alive(STANDIN_GRAPH, graph)) {
        standin_died(graph);
        graph_free(graph);
    } else if (error == cudaSuccess) {
        error = cudaErrorInvalidValue;
    }
    return call_end(error);
}

static void release(struct CUgraphExec_st *exec)
{
    if (--exec->references > 0)
        return;
    nodes_free(&exec->graph);
    free(exec);
}

static cudaError_t instantiate(cudaGraphExec_t *out, cudaGraph_t graph, unsigned long long flags)
{
    struct CUgraphExec_st *exec;

    if (out == NULL || !standin_alive(STANDIN_GRAPH, graph) || flags != 0)
        return cudaErrorInvalidValue;
    *out = NULL;
    exec = calloc(1, sizeof *exec);
    if (exec == NULL ||
        (exec->graph.nodes = calloc(graph->count + 1, sizeof *exec->graph.nodes)) == NULL) {
        free(exec);
        return cudaErrorMemoryAllocation;
    }
    exec->references = 1;
    for (; exec->graph.count < graph->count; exec->graph.count++)
        if (!node_copy(&exec->graph.nodes[exec->graph.count], &graph->nodes[exec->graph.count])) {
            release(exec);
            return cudaErrorMemoryAllocation;
        }
    standin_born(STANDIN_GRAPH_EXEC, exec, exec->graph.count);
    *out = exec;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags)
{
    cudaError_t error = call_begin("cudaGraphInstantiate");
    if (error == cudaSuccess)
        error = standin_unsafe_in_capture();
    return call_end(error == cudaSuccess ? instantiate(exec, graph, flags) : error);
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    cudaError_t error = call_begin("cudaGraphExecDestroy");
    if (standin_alive(STANDIN_GRAPH_EXEC, exec)) {
        standin_died(exec);
        release(exec);
    } else if (error == cudaSuccess) {
        error = cudaErrorInvalidValue;
    }
    return call_end(error);
}

static void launch_copied(void *args)
{
    ++((struct launch *)args)->exec->references;
}

static void launch_forget(void *args)
{
    struct launch *launch = args;
    for (size_t i = 0; launch->args != NULL && i < launch->exec->graph.count; i++) {
        const standin_work *work = &launch->exec->graph.nodes[i].work;
        if (launch->args[i] != NULL && work->forget != NULL)
            work->forget(launch->args[i]);
        free(launch->args[i]);
    }
    free(launch->args);
    free(launch->done);
    release(launch->exec);
}

/* Memory runs out here only if the machine's does. */
static void launch_start(struct launch *launch)
{
    const struct CUgraph_st *graph = &launch->exec->graph;
    launch->args = calloc(graph->count + 1, sizeof *launch->args);
    launch->done = calloc(graph->count + 1, 1);
    if (launch->args == NULL || launch->done == NULL)
        abort();
    for (size_t i = 0; i < graph->count; i++) {
        const standin_work *work = &graph->nodes[i].work;
        launch->args[i] = malloc(work->bytes > 0 ? work->bytes : 1);
        if (launch->args[i] == NULL)
            abort();
        memcpy(launch->args[i], work->args, work->bytes);
        if (work->copied != NULL)
            work->copied(launch->args[i]);
    }
    launch->left = graph->count;
}

static int ready(const struct launch *launch, size_t i)
{
    const struct node *node = &launch->exec->graph.nodes[i];
    if (launch->done[i])
        return 0;
    for (size_t j = 0; j < node->need_count; j++)
        if (!launch->done[node->needs[j]])
            return 0;
    return 1;
}

/* Runs one node: begins at a random ready one, goes on to the next if that is blocked. */
static standin_progress launch_run(void *args)
{
    struct launch *launch = args;
    size_t count = launch->exec->graph.count, first;

    if (launch->args == NULL)
        launch_start(launch);
    if (launch->left == 0)
        return STANDIN_DONE;
    first = standin_random((uint32_t)count);
    for (size_t k = 0; k < count; k++) {
        size_t i = (first + k) % count;
        const struct node *node = &launch->exec->graph.nodes[i];
        standin_progress result;
        if (!ready(launch, i))
            continue;
        memory_view(node->work.all_devices ? MEMORY_ALL : node->device);
        memory_running(node->work.name);
        result = node->work.run(launch->args[i]);
        if (result == STANDIN_BLOCKED)
            continue;
        if (result == STANDIN_DONE) {
            launch->done[i] = 1;
            --launch->left;
            scheduler_tick();
        }
        return launch->left == 0 ? STANDIN_DONE : STANDIN_AGAIN;
    }
    return STANDIN_BLOCKED;
}

static cudaError_t launch(cudaGraphExec_t exec, cudaStream_t stream)
{
    struct launch args = {.exec = exec};
    standin_work work = {.name = "graph",
                         .run = launch_run,
                         .forget = launch_forget,
                         .copied = launch_copied,
                         .args = &args,
                         .bytes = sizeof args};

    if (!standin_alive(STANDIN_GRAPH_EXEC, exec))
        return cudaErrorInvalidValue;
    if (standin_stream_device(stream) >= 0 && standin_stream_capturing(stream)) {
        standin_complain("the stand-in does not put graphs into graphs");
        return cudaErrorNotSupported;
    }
    return standin_queue(stream, &work);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    cudaError_t error = call_begin("cudaGraphLaunch");
    return call_end(error == cudaSuccess ? launch(exec, stream) : error);
}
