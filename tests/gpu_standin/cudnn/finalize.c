/*
 * finalize.c - the rules that a descriptor's values must meet together, by type.
 */
#include <string.h>

#include "descriptor.h"

static cudnnStatus_t bad(const char *sentence)
{
    standin_complain("%s", sentence);
    return CUDNN_STATUS_BAD_PARAM;
}

static int type_known(int type)
{
    return type == CUDNN_DATA_FLOAT || type == CUDNN_DATA_BFLOAT16;
}

static cudnnStatus_t finalize_tensor(const struct descriptor *d)
{
    const struct value *dims = value_of(d, CUDNN_ATTR_TENSOR_DIMENSIONS),
                       *strides = value_of(d, CUDNN_ATTR_TENSOR_STRIDES);
    int64_t alignment = integer_of(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 0, 0), elements = 1;
    int type = choice_of(d, CUDNN_ATTR_TENSOR_DATA_TYPE, -1);

    if (!type_known(type)) {
        standin_complain("the stand-in has float and bfloat16 tensors, not type %d", type);
        return CUDNN_STATUS_NOT_SUPPORTED_DATA_TYPE;
    }
    if (dims->count != strides->count)
        return bad("a tensor has as many strides as dimensions");
    if (alignment <= 0 || (alignment & (alignment - 1)) != 0 ||
        alignment < (type == CUDNN_DATA_FLOAT ? 4 : 2))
        return bad("a tensor's alignment is a power of two and holds an element");
    for (int64_t i = 0; i < dims->count; i++) {
        int64_t dim = ((const int64_t *)dims->data)[i],
                stride = ((const int64_t *)strides->data)[i];
        if (dim <= 0 || stride <= 0)
            return bad("a tensor's dimensions and strides are positive");
        if (dim > INT32_MAX || elements * dim > INT32_MAX)
            return bad("a tensor has fewer than 2^31 elements");
        elements *= dim;
    }
    if (integer_of(d, CUDNN_ATTR_TENSOR_VECTOR_COUNT, 0, 1) != 1 ||
        flag_of(d, CUDNN_ATTR_TENSOR_IS_BY_VALUE, 0)) {
        standin_complain("the stand-in has no vectorised tensors and none by value");
        return CUDNN_STATUS_NOT_SUPPORTED;
    }
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t finalize_convolution(const struct descriptor *d)
{
    static const cudnnBackendAttributeName_t lists[] = {
        CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES,
        CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS};
    int64_t spatial = integer_of(d, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 0, 0);

    if (spatial != 2 ||
        choice_of(d, CUDNN_ATTR_CONVOLUTION_CONV_MODE, -1) != CUDNN_CROSS_CORRELATION ||
        choice_of(d, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, -1) != CUDNN_DATA_FLOAT) {
        standin_complain("the stand-in has cross-correlations in two dimensions with float sums");
        return CUDNN_STATUS_NOT_SUPPORTED;
    }
    for (int i = 0; i < 4; i++) {
        if (value_of(d, lists[i])->count != spatial)
            return bad(
                "a convolution has as many strides, dilations and paddings as spatial dimensions");
        for (int64_t j = 0; j < spatial; j++)
            if (integer_of(d, lists[i], j, 0) < (i < 2 ? 1 : 0))
                return bad("strides and dilations are positive, paddings not negative");
    }
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t finalize_pointwise(const struct descriptor *d)
{
    int mode = choice_of(d, CUDNN_ATTR_POINTWISE_MODE, -1);

    if ((mode != CUDNN_POINTWISE_ADD && mode != CUDNN_POINTWISE_RELU_FWD) ||
        choice_of(d, CUDNN_ATTR_POINTWISE_MATH_PREC, -1) != CUDNN_DATA_FLOAT ||
        number_of(d, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP, 0) != 0 ||
        number_of(d, CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP_SLOPE, 0) != 0 ||
        value_of(d, CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP) != NULL) {
        standin_complain("the stand-in has additions and plain relus in float");
        return CUDNN_STATUS_NOT_SUPPORTED;
    }
    return CUDNN_STATUS_SUCCESS;
}

/* A tensor of an operation as plain data. */
static cudnnStatus_t read_tensor(const struct descriptor *tensor, struct problem_tensor *out)
{
    if (value_of(tensor, CUDNN_ATTR_TENSOR_DIMENSIONS)->count != 4) {
        standin_complain("the stand-in's operations have tensors with four dimensions");
        return CUDNN_STATUS_NOT_SUPPORTED;
    }
    out->uid = integer_of(tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID, 0, 0);
    out->type = (cudnnDataType_t)choice_of(tensor, CUDNN_ATTR_TENSOR_DATA_TYPE, 0);
    out->alignment = integer_of(tensor, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 0, 0);
    for (int i = 0; i < 4; i++) {
        out->dims[i] = integer_of(tensor, CUDNN_ATTR_TENSOR_DIMENSIONS, i, 0);
        out->strides[i] = integer_of(tensor, CUDNN_ATTR_TENSOR_STRIDES, i, 0);
    }
    return CUDNN_STATUS_SUCCESS;
}

/* Do image, filter and output fit together? */
static cudnnStatus_t check_shapes(const struct problem *p)
{
    if (p->w.dims[1] > p->x.dims[1] || p->x.dims[1] % p->w.dims[1] != 0 ||
        p->w.dims[0] % p->groups != 0 || p->y.dims[0] != p->x.dims[0] ||
        p->y.dims[1] != p->w.dims[0]) {
        standin_complain("the channels or images of x, w and y do not fit");
        return CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH;
    }
    for (int i = 0; i < 2; i++) {
        int64_t kernel = (p->w.dims[2 + i] - 1) * p->dilation[i] + 1,
                room = p->x.dims[2 + i] + p->pre[i] + p->post[i];
        if (room < kernel || p->y.dims[2 + i] != (room - kernel) / p->stride[i] + 1) {
            standin_complain("y has %lld cells on axis %d, the convolution gives %lld",
                             (long long)p->y.dims[2 + i], i,
                             (long long)(room < kernel ? 0 : (room - kernel) / p->stride[i] + 1));
            return CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH;
        }
    }
    return CUDNN_STATUS_SUCCESS;
}

/* Attribute names of the three convolution operations, in the order x, w, y, convolution, alpha,
 * beta. */
static cudnnStatus_t read_convolution(const struct descriptor *d,
                                      const cudnnBackendAttributeName_t *names, struct problem *p)
{
    struct problem_tensor *const tensors[] = {&p->x, &p->w, &p->y};
    const struct descriptor *window = child_of(d, names[3], 0);
    cudnnStatus_t status;

    for (int i = 0; i < 3; i++)
        if ((status = read_tensor(child_of(d, names[i], 0), tensors[i])) != CUDNN_STATUS_SUCCESS)
            return status;
    for (int i = 0; i < 2; i++) {
        p->pre[i] = integer_of(window, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, i, 0);
        p->post[i] = integer_of(window, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, i, 0);
        p->stride[i] = integer_of(window, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, i, 1);
        p->dilation[i] = integer_of(window, CUDNN_ATTR_CONVOLUTION_DILATIONS, i, 1);
    }
    p->groups = p->x.dims[1] / p->w.dims[1];
    p->alpha = number_of(d, names[4], 1);
    p->beta = number_of(d, names[5], 0);
    p->bias.uid = -1;
    if (p->groups < 1) {
        standin_complain("the filter has more channels than the image");
        return CUDNN_STATUS_BAD_PARAM_SHAPE_MISMATCH;
    }
    return check_shapes(p);
}

static cudnnStatus_t finalize_operation(struct descriptor *d)
{
    static const cudnnBackendAttributeName_t
        forward[] = {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA},
        data[] = {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                  CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA},
        filter[] = {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                    CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};

    switch (d->table->type) {
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
        d->problem.kind = PROBLEM_FORWARD;
        return read_convolution(d, forward, &d->problem);
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
        d->problem.kind = PROBLEM_DATA;
        return read_convolution(d, data, &d->problem);
    default:
        d->problem.kind = PROBLEM_FILTER;
        return read_convolution(d, filter, &d->problem);
    }
}

/* y has the shape of x; the second operand of an addition that, or 1 where it is repeated. */
static cudnnStatus_t finalize_pointwise_operation(const struct descriptor *d)
{
    const struct descriptor *b = child_of(d, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, 0);
    int mode = choice_of(child_of(d, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, 0),
                         CUDNN_ATTR_POINTWISE_MODE, -1);
    struct problem_tensor x, y, second;

    if (read_tensor(child_of(d, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, 0), &x) !=
            CUDNN_STATUS_SUCCESS ||
        read_tensor(child_of(d, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, 0), &y) !=
            CUDNN_STATUS_SUCCESS)
        return CUDNN_STATUS_NOT_SUPPORTED;
    if ((b != NULL) != (mode == CUDNN_POINTWISE_ADD))
        return bad("an addition has a second operand, a relu has none");
    for (int i = 0; i < 4; i++)
        if (x.dims[i] != y.dims[i])
            return bad("a pointwise operation keeps the shape");
    if (b == NULL)
        return CUDNN_STATUS_SUCCESS;
    if (read_tensor(b, &second) != CUDNN_STATUS_SUCCESS)
        return CUDNN_STATUS_NOT_SUPPORTED;
    for (int i = 0; i < 4; i++)
        if (second.dims[i] != 1 && second.dims[i] != x.dims[i])
            return bad("the second operand's dimensions are 1 or those of x");
    if (number_of(d, CUDNN_ATTR_OPERATION_POINTWISE_ALPHA1, 1) != 1 ||
        number_of(d, CUDNN_ATTR_OPERATION_POINTWISE_ALPHA2, 1) != 1) {
        standin_complain("the stand-in adds without factors");
        return CUDNN_STATUS_NOT_SUPPORTED;
    }
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t read_handle(struct descriptor *d, cudnnBackendAttributeName_t name)
{
    cudnnHandle_t handle = pointer_of(d, name, 0);
    if (!standin_alive(STANDIN_CUDNN_HANDLE, handle))
        return bad("the handle is none, or was destroyed");
    d->device = handle->device;
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t finalize_graph(struct descriptor *d)
{
    cudnnStatus_t status = read_handle(d, CUDNN_ATTR_OPERATIONGRAPH_HANDLE);
    return status == CUDNN_STATUS_SUCCESS ? pattern_match(d, &d->problem) : status;
}

static cudnnStatus_t finalize_heuristics(struct descriptor *d)
{
    const struct descriptor *graph = child_of(d, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, 0);
    d->problem = graph->problem;
    d->device = graph->device;
    return engine_list(&d->problem,
                       (cudnnBackendHeurMode_t)choice_of(d, CUDNN_ATTR_ENGINEHEUR_MODE, -1),
                       d->engines, &d->engine_count);
}

static cudnnStatus_t finalize_engine(struct descriptor *d)
{
    const struct descriptor *graph = child_of(d, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, 0);
    int64_t engine = integer_of(d, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 0, -1);

    if (engine < 0 || engine >= engine_count())
        return CUDNN_STATUS_BAD_PARAM_OUT_OF_BOUND;
    d->problem = graph->problem;
    d->device = graph->device;
    d->engine = (int)engine;
    return engine_supports(d->engine, &d->problem);
}

static cudnnStatus_t finalize_configuration(struct descriptor *d)
{
    const struct descriptor *engine = child_of(d, CUDNN_ATTR_ENGINECFG_ENGINE, 0);
    d->problem = engine->problem;
    d->device = engine->device;
    d->engine = engine->engine;
    return CUDNN_STATUS_SUCCESS;
}

/* Plans load code, so that they are not made while a stream captures. */
static cudnnStatus_t finalize_plan(struct descriptor *d)
{
    const struct descriptor *configuration =
        child_of(d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, 0);
    cudnnStatus_t status = read_handle(d, CUDNN_ATTR_EXECUTION_PLAN_HANDLE);

    if (status != CUDNN_STATUS_SUCCESS)
        return status;
    if (d->device != configuration->device)
        return bad("the plan's handle is of another device than the operation graph's");
    if (standin_unsafe_in_capture() != cudaSuccess)
        return CUDNN_STATUS_INTERNAL_ERROR;
    d->problem = configuration->problem;
    d->engine = configuration->engine;
    return engine_plan(d->engine, &d->problem);
}

static cudnnStatus_t finalize_pack(const struct descriptor *d)
{
    const struct value *uids = value_of(d, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    const struct value *pointers = value_of(d, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);

    if (uids->count != pointers->count)
        return bad("a variant pack has as many pointers as ids");
    for (int64_t i = 0; i < uids->count; i++) {
        if (((void *const *)pointers->data)[i] == NULL)
            return bad("a pointer of the variant pack is NULL");
        for (int64_t j = 0; j < i; j++)
            if (((const int64_t *)uids->data)[i] == ((const int64_t *)uids->data)[j]) {
                standin_complain("the variant pack has an id twice");
                return CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES;
            }
    }
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t descriptor_finalize(struct descriptor *d)
{
    switch (d->table->type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR:
        return finalize_tensor(d);
    case CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR:
        return finalize_convolution(d);
    case CUDNN_BACKEND_POINTWISE_DESCRIPTOR:
        return finalize_pointwise(d);
    case CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR:
        return finalize_pointwise_operation(d);
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
        return finalize_graph(d);
    case CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR:
        return finalize_heuristics(d);
    case CUDNN_BACKEND_ENGINE_DESCRIPTOR:
        return finalize_engine(d);
    case CUDNN_BACKEND_ENGINECFG_DESCRIPTOR:
        return finalize_configuration(d);
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:
        return finalize_plan(d);
    case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR:
        return finalize_pack(d);
    default:
        return finalize_operation(d);
    }
}
