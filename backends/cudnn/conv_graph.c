/*
 * Building operation graphs with cuDNN's backend descriptors, and binding the chosen way to run one
 * to memory. conv_candidates.c asks for the ways.
 */
#include <stdbool.h>
#include <string.h>

#include "conv_descriptor.h"

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

hmt_status conv_graph_build(conv_graph *g, const device *d, const char *where, cudnnHandle_t handle,
                            const conv_problem *problem, int32_t name, int32_t most)
{
    inquiry q = {.wanted = name};

    *g = (conv_graph){.device = d, .where = where, .handle = handle, .problem = *problem};
    if (name >= 0)
        most = 1;
    operations(g);
    conv_candidates_ask(g, CUDNN_HEUR_MODE_A, most, &q);
    if (name < 0 || g->candidate_count == 0)
        conv_candidates_ask(g, CUDNN_HEUR_MODE_FALLBACK, g->candidate_count + 2, &q);
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

void conv_graph_bound(conv_graph *g, uint64_t bytes)
{
    int32_t kept = 0;

    for (int32_t i = 0; i < g->candidate_count; ++i)
        if (g->candidates[i].workspace > bytes)
            drop_candidate(&g->candidates[i]);
        else
            g->candidates[kept++] = g->candidates[i];
    g->candidate_count = kept;
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
