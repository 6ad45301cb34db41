/*
 * Building operation graphs with cuDNN's backend descriptors, and asking the heuristics how to run
 * them. An engine is refused if its numerical notes do not fit the precision, if it is not
 * deterministic, or if it wants more workspace than our bound.
 */
#include "conv_graph.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN = 24 }; /* configurations asked for, of each kind of heuristics */

/* ---------------------------------------------------------------------------- descriptors ------
 */

#define GRAPH_CALL(g, function, ...)                                                               \
    ((g)->status == HMT_OK                                                                         \
         ? ((g)->status = CUDNN_CALL((g)->device, (g)->where, function, __VA_ARGS__))              \
         : (g)->status)

static cudnnBackendDescriptor_t make(conv_graph *g, cudnnBackendDescriptorType_t type)
{
    cudnnBackendDescriptor_t made = NULL;

    GRAPH_CALL(g, cudnnBackendCreateDescriptor, type, &made);
    if (g->status != HMT_OK)
        return NULL;
    g->made[g->made_count++] = made;
    return made;
}

static void set(conv_graph *g, cudnnBackendDescriptor_t of, cudnnBackendAttributeName_t name,
                cudnnBackendAttributeType_t type, int64_t count, const void *values)
{
    GRAPH_CALL(g, cudnnBackendSetAttribute, of, name, type, count, values);
}

static void set_descriptor(conv_graph *g, cudnnBackendDescriptor_t of,
                           cudnnBackendAttributeName_t name, cudnnBackendDescriptor_t value)
{
    set(g, of, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

static void finish(conv_graph *g, cudnnBackendDescriptor_t of)
{
    GRAPH_CALL(g, cudnnBackendFinalize, of);
}

/* A tensor with N,C,H,W dimensions that lies N,H,W,C in memory. A virtual one has no memory. */
static cudnnBackendDescriptor_t tensor(conv_graph *g, int64_t id, const int64_t dims[4],
                                       int is_virtual)
{
    const int64_t strides[4] = {dims[1] * dims[2] * dims[3], 1, dims[3] * dims[1], dims[1]};
    const cudnnDataType_t type = is_virtual                            ? CUDNN_DATA_FLOAT
                                 : g->problem.type == STORAGE_BFLOAT16 ? CUDNN_DATA_BFLOAT16
                                                                       : CUDNN_DATA_FLOAT;
    const int64_t alignment = 16;
    const bool yes = true;
    cudnnBackendDescriptor_t t = make(g, CUDNN_BACKEND_TENSOR_DESCRIPTOR);

    set(g, t, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &id);
    set(g, t, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(g, t, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dims);
    set(g, t, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides);
    set(g, t, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    if (is_virtual)
        set(g, t, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &yes);
    finish(g, t);
    return t;
}

/* Padding behind: what the output size needs, or the one in front where that gives the same size,
 * because symmetric padding is what most engines know. */
static int64_t padding_behind(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t pad)
{
    const int64_t needed = (out - 1) * stride + kernel - in - pad;

    if ((in + 2 * pad - kernel) / stride + 1 == out)
        return pad;
    return needed > 0 ? needed : 0;
}

static cudnnBackendDescriptor_t convolution(conv_graph *g)
{
    const hmt_window *w = &g->problem.window;
    const extent x = g->problem.x, y = g->problem.y;
    const int64_t spatial = 2, dilations[2] = {1, 1};
    const int64_t strides[2] = {w->stride[0], w->stride[1]};
    const int64_t before[2] = {w->pad[0], w->pad[1]};
    const int64_t behind[2] = {padding_behind(x.h, y.h, w->kernel[0], w->stride[0], w->pad[0]),
                               padding_behind(x.w, y.w, w->kernel[1], w->stride[1], w->pad[1])};
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    cudnnBackendDescriptor_t c = make(g, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);

    set(g, c, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &spatial);
    set(g, c, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &type);
    set(g, c, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    set(g, c, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, before);
    set(g, c, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, behind);
    set(g, c, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, dilations);
    set(g, c, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, strides);
    finish(g, c);
    return c;
}

/* ---------------------------------------------------------------------------- operations -------
 */

/* What a kind of convolution is called, and its attributes in the order conv, x, w, y. */
typedef struct names {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t alpha, beta, conv, x, w, y;
} names;

static const names kinds[] = {
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY},
};

static void operation(conv_graph *g, cudnnBackendDescriptor_t made)
{
    finish(g, made);
    g->operations[g->operation_count++] = made;
}

static void convolve(conv_graph *g, cudnnBackendDescriptor_t x, cudnnBackendDescriptor_t w,
                     cudnnBackendDescriptor_t y)
{
    const names *n = &kinds[g->problem.kind];
    const float one = 1.0f, zero = 0.0f;
    cudnnBackendDescriptor_t how = convolution(g), o = make(g, n->type);

    set_descriptor(g, o, n->conv, how);
    set_descriptor(g, o, n->x, x);
    set_descriptor(g, o, n->w, w);
    set_descriptor(g, o, n->y, y);
    set(g, o, n->alpha, CUDNN_TYPE_FLOAT, 1, &one);
    set(g, o, n->beta, CUDNN_TYPE_FLOAT, 1, &zero);
    operation(g, o);
}

/* y = x + b, or with b NULL y = max(0, x). */
static void pointwise(conv_graph *g, cudnnBackendDescriptor_t x, cudnnBackendDescriptor_t b,
                      cudnnBackendDescriptor_t y)
{
    const cudnnPointwiseMode_t mode = b != NULL ? CUDNN_POINTWISE_ADD : CUDNN_POINTWISE_RELU_FWD;
    const cudnnDataType_t type = CUDNN_DATA_FLOAT;
    cudnnBackendDescriptor_t what = make(g, CUDNN_BACKEND_POINTWISE_DESCRIPTOR), o;

    set(g, what, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    set(g, what, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &type);
    finish(g, what);
    o = make(g, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
    set_descriptor(g, o, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, what);
    set_descriptor(g, o, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    if (b != NULL)
        set_descriptor(g, o, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
    set_descriptor(g, o, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    operation(g, o);
}

/* The convolution and, forward, what is fused behind it; tensors between them are virtual. */
static void operations(conv_graph *g)
{
    const conv_problem *p = &g->problem;
    const int64_t x[4] = {p->x.n, p->x.c, p->x.h, p->x.w}, y[4] = {p->y.n, p->y.c, p->y.h, p->y.w};
    const int64_t w[4] = {p->y.c, p->x.c / p->window.groups, p->window.kernel[0],
                          p->window.kernel[1]};
    const int64_t b[4] = {1, p->y.c, 1, 1};
    const int64_t between = CONV_OPERANDS + 1;
    cudnnBackendDescriptor_t from = tensor(g, CONV_X, x, 0), filter = tensor(g, CONV_W, w, 0);
    cudnnBackendDescriptor_t last = tensor(g, CONV_Y, y, 0), sum = last, product = last;

    if (p->relu)
        sum = product = tensor(g, between, y, 1);
    if (p->bias)
        product = tensor(g, between + 1, y, 1);
    convolve(g, from, filter, product);
    if (p->bias)
        pointwise(g, product, tensor(g, CONV_BIAS, b, 0), sum);
    if (p->relu)
        pointwise(g, sum, NULL, last);
    g->graph = make(g, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    set(g, g->graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
        g->operation_count, g->operations);
    set(g, g->graph, CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &g->handle);
    finish(g, g->graph);
}

/* ---------------------------------------------------------------------------- candidates -------
 */

static void drop(cudnnBackendDescriptor_t *descriptor)
{
    if (*descriptor != NULL)
        (void)cudnnBackendDestroyDescriptor(*descriptor);
    *descriptor = NULL;
}

static void drop_candidate(conv_candidate *c)
{
    drop(&c->plan);
    drop(&c->config);
}

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

/* What asking the heuristics keeps in mind. */
typedef struct inquiry {
    int32_t wanted; /* name, or -1 */
    int32_t seen;   /* configurations of any kind */
    int64_t engines[2 * SHOWN];
} inquiry;

/* Names a configuration: its engine, and how many of that engine's came before. */
static int32_t name_in(inquiry *q, int64_t engine)
{
    int32_t before = 0;

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
    if (c.plan == NULL || (uint64_t)workspace > DEVICE_WORKSPACE) {
        drop_candidate(&c);
        return;
    }
    c.workspace = (uint64_t)workspace;
    c.kernel = kernel_name(notes);
    g->candidates[g->candidate_count++] = c;
}

/* Considers what one kind of heuristics gives, until there are `most` candidates. */
static void ask(conv_graph *g, cudnnBackendHeurMode_t mode, int32_t most, inquiry *q)
{
    cudnnBackendDescriptor_t configs[SHOWN] = {NULL}, heuristics = NULL;
    const cudnnBackendDescriptorType_t type = CUDNN_BACKEND_ENGINECFG_DESCRIPTOR;
    int64_t count = 0;

    GRAPH_CALL(g, cudnnBackendCreateDescriptor, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &heuristics);
    set_descriptor(g, heuristics, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, g->graph);
    set(g, heuristics, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    for (int i = 0; i < SHOWN && g->status == HMT_OK; ++i)
        GRAPH_CALL(g, cudnnBackendCreateDescriptor, type, &configs[i]);
    /* A pattern that no engine knows is refused here. */
    if (g->status == HMT_OK) {
        cudnnStatus_t status = cudnnBackendFinalize(heuristics);

        if (status == CUDNN_STATUS_SUCCESS)
            status =
                cudnnBackendGetAttribute(heuristics, CUDNN_ATTR_ENGINEHEUR_RESULTS,
                                         CUDNN_TYPE_BACKEND_DESCRIPTOR, SHOWN, &count, configs);
        if (status != CUDNN_STATUS_SUCCESS) {
            count = 0;
            snprintf(g->text, sizeof g->text, ": %s", cudnnGetErrorString(status));
        }
    }
    for (int64_t i = 0; i < count && i < SHOWN && g->candidate_count < most; ++i) {
        consider(g, configs[i], q);
        configs[i] = NULL;
    }
    for (int i = 0; i < SHOWN; ++i)
        drop(&configs[i]);
    drop(&heuristics);
}

hmt_status conv_graph_build(conv_graph *g, const device *d, const char *where, cudnnHandle_t handle,
                            const conv_problem *problem, int32_t name, int32_t most)
{
    inquiry q = {.wanted = name};

    *g = (conv_graph){.device = d, .where = where, .handle = handle, .problem = *problem};
    if (name >= 0)
        most = 1;
    operations(g);
    ask(g, CUDNN_HEUR_MODE_A, most, &q);
    if (name < 0 || g->candidate_count == 0)
        ask(g, CUDNN_HEUR_MODE_FALLBACK, g->candidate_count + 2, &q);
    return g->status;
}

void conv_graph_clear(conv_graph *g)
{
    drop(&g->pack);
    for (int32_t i = 0; i < g->candidate_count; ++i)
        drop_candidate(&g->candidates[i]);
    while (g->made_count > 0)
        drop(&g->made[--g->made_count]);
    memset(g, 0, sizeof *g);
}

/* ---------------------------------------------------------------------------- running ----------
 */

hmt_status conv_graph_pack(conv_graph *g, void *const operands[CONV_OPERANDS], void *workspace,
                           cudnnBackendDescriptor_t *pack)
{
    const int64_t ids[CONV_OPERANDS] = {CONV_X, CONV_W, CONV_Y, CONV_BIAS};
    const int64_t count = g->problem.bias ? CONV_OPERANDS : CONV_OPERANDS - 1;

    *pack = NULL;
    GRAPH_CALL(g, cudnnBackendCreateDescriptor, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, pack);
    set(g, *pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, ids);
    set(g, *pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, operands);
    set(g, *pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    if (g->status == HMT_OK)
        finish(g, *pack);
    if (g->status != HMT_OK)
        drop(pack);
    return g->status;
}

void conv_graph_choose(conv_graph *g, int32_t i)
{
    conv_candidate chosen = g->candidates[i];

    for (int32_t k = 0; k < g->candidate_count; ++k)
        if (k != i)
            drop_candidate(&g->candidates[k]);
    g->candidates[0] = chosen;
    g->candidate_count = 1;
}
