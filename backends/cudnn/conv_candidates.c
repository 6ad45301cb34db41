/*
 * Asking cuDNN's heuristics how to run an operation graph. An engine is refused if its numerical
 * notes do not fit the precision, if it is not deterministic, or if it wants more workspace than
 * our bound.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "conv_descriptor.h"

/* The bits (1 << note) of an engine configuration's numerical notes, and the engine's number. */
static cudnnStatus_t notes_of(cudnnBackendDescriptor_t config, uint32_t *notes, int64_t *index)
{
    cudnnBackendNumericalNote_t list[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    cudnnBackendDescriptor_t engine = NULL;
    int64_t count = 0;
    cudnnStatus_t status = cudnnBackendCreateDescriptor(CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine);

    *notes = 0;
    *index = 0;
    if (status == CUDNN_STATUS_SUCCESS)
        status = cudnnBackendGetAttribute(config, CUDNN_ATTR_ENGINECFG_ENGINE,
                                          CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &engine);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                          CUDNN_TYPE_NUMERICAL_NOTE,
                                          CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count, list);
    if (count > CUDNN_NUMERICAL_NOTE_TYPE_COUNT) /* a newer cuDNN may have more */
        count = CUDNN_NUMERICAL_NOTE_TYPE_COUNT;
    for (int64_t i = 0; status == CUDNN_STATUS_SUCCESS && i < count; ++i)
        *notes |= 1u << list[i];
    if (status == CUDNN_STATUS_SUCCESS)
        status = cudnnBackendGetAttribute(engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64,
                                          1, &count, index);
    drop(&engine);
    return status;
}

#define NOTE(name) (1u << CUDNN_NUMERICAL_NOTE_##name)

/* Whether the precision allows an engine. Sums in less than float32 never are, nor inputs rounded
 * below their type (TF32 does not count as that); Winograd beyond 4x4 tiles loses too many digits;
 * float32 that goes through tensor cores is TF32. */
static int allowed(const device *d, uint32_t notes)
{
    uint32_t refused = NOTE(NONDETERMINISTIC) | NOTE(REDUCED_PRECISION_REDUCTION) |
                       NOTE(DOWN_CONVERT_INPUTS) | NOTE(WINOGRAD_TILE_6x6) |
                       NOTE(WINOGRAD_TILE_13x13);

    if (d->precision == HMT_PRECISION_FLOAT32)
        refused |= NOTE(TENSOR_CORE);
    return (notes & refused) == 0;
}

static const char *kernel_name(uint32_t notes)
{
    if (notes & NOTE(WINOGRAD))
        return notes & NOTE(TENSOR_CORE) ? "winograd, tensor cores" : "winograd";
    if (notes & NOTE(FFT))
        return "fft";
    return notes & NOTE(TENSOR_CORE) ? "tensor cores" : "direct";
}

/* Makes an execution plan of a configuration; *plan stays NULL if cuDNN cannot. */
static cudnnStatus_t plan_of(const conv_graph *g, cudnnBackendDescriptor_t config,
                             cudnnBackendDescriptor_t *plan, int64_t *workspace)
{
    int64_t count = 0;
    cudnnStatus_t status =
        cudnnBackendCreateDescriptor(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, plan);

    if (status == CUDNN_STATUS_SUCCESS)
        status = cudnnBackendSetAttribute(*plan, CUDNN_ATTR_EXECUTION_PLAN_HANDLE,
                                          CUDNN_TYPE_HANDLE, 1, &g->handle);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cudnnBackendSetAttribute(*plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG,
                                          CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &config);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cudnnBackendFinalize(*plan);
    if (status == CUDNN_STATUS_SUCCESS)
        status = cudnnBackendGetAttribute(*plan, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE,
                                          CUDNN_TYPE_INT64, 1, &count, workspace);
    if (status != CUDNN_STATUS_SUCCESS)
        drop(plan);
    return status;
}

/* Names a configuration: its engine, and how many of that engine's came before in the same kind of
 * heuristics. The kinds count apart: how much of the first is seen depends on what is looked for.
 */
static int32_t name_in(inquiry *q, int64_t engine)
{
    int32_t before = q->first;

    for (int32_t i = 0; i < q->seen; ++i)
        before += q->engines[i] == engine;
    q->engines[q->seen++] = engine;
    return (int32_t)engine * 2 * SHOWN + before;
}

/* Adds a configuration to the candidates if it will do; takes it over either way. Whatever cuDNN
 * says against one configuration is only a reason to look at the next. */
static void consider(conv_graph *g, cudnnBackendDescriptor_t config, inquiry *q)
{
    conv_candidate c = {.config = config};
    int64_t workspace = 0, engine;
    uint32_t notes;
    cudnnStatus_t status = notes_of(config, &notes, &engine);

    c.name = name_in(q, engine);
    if (status == CUDNN_STATUS_SUCCESS && allowed(g->device, notes) &&
        (q->wanted < 0 || q->wanted == c.name))
        status = plan_of(g, config, &c.plan, &workspace);
    if (status != CUDNN_STATUS_SUCCESS)
        snprintf(g->text, sizeof g->text, "; the last one: %s", cudnnGetErrorString(status));
    if (c.plan == NULL || (uint64_t)workspace > g->device->workspace) {
        drop_candidate(&c);
        return;
    }
    c.workspace = (uint64_t)workspace;
    c.kernel = kernel_name(notes);
    g->candidates[g->candidate_count++] = c;
}

/* The configurations that finalised heuristics have, first to last; *count of them, at most SHOWN.
 */
static cudnnStatus_t list_configs(conv_graph *g, cudnnBackendDescriptor_t heuristics,
                                  cudnnBackendDescriptor_t configs[SHOWN], int64_t *count)
{
    const cudnnBackendAttributeName_t name = CUDNN_ATTR_ENGINEHEUR_RESULTS;
    int64_t given = 0;
    cudnnStatus_t status =
        cudnnBackendGetAttribute(heuristics, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, &given, NULL);

    *count = 0;
    if (status != CUDNN_STATUS_SUCCESS || given == 0)
        return status;
    *count = given < SHOWN ? given : SHOWN;
    for (int64_t i = 0; i < *count && g->status == HMT_OK; ++i)
        GRAPH_CALL(g, cudnnBackendCreateDescriptor, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR,
                   &configs[i]);
    return g->status == HMT_OK
               ? cudnnBackendGetAttribute(heuristics, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, *count,
                                          &given, configs)
               : CUDNN_STATUS_SUCCESS;
}

void conv_candidates_ask(conv_graph *g, cudnnBackendHeurMode_t mode, int32_t most, inquiry *q)
{
    cudnnBackendDescriptor_t configs[SHOWN] = {NULL}, heuristics = NULL;
    int64_t count = 0;

    q->seen = 0;
    q->first = mode == CUDNN_HEUR_MODE_FALLBACK ? SHOWN : 0;
    GRAPH_CALL(g, cudnnBackendCreateDescriptor, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &heuristics);
    set_descriptor(g, heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, g->graph);
    set(g, heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    if (g->status == HMT_OK) {
        /* A pattern that no engine knows is refused here. */
        cudnnStatus_t status = cudnnBackendFinalize(heuristics);

        if (status == CUDNN_STATUS_SUCCESS)
            status = list_configs(g, heuristics, configs, &count);
        if (status != CUDNN_STATUS_SUCCESS)
            snprintf(g->text, sizeof g->text, ": %s", cudnnGetErrorString(status));
        if (status != CUDNN_STATUS_SUCCESS || g->status != HMT_OK)
            count = 0;
    }
    for (int64_t i = 0; i < count && g->candidate_count < most; ++i) {
        consider(g, configs[i], q);
        configs[i] = NULL;
    }
    for (int i = 0; i < SHOWN; ++i)
        drop(&configs[i]);
    drop(&heuristics);
}
