/*
 * pattern.c - recognises an operation graph: one convolution, for the forward one also an addition
 * of a bias and a relu behind it. Tensors in between are virtual, everything else is not.
 */
#include "descriptor.h"

static const struct descriptor *tensor_at(const struct descriptor *operation,
                                          cudnnBackendAttributeName_t name)
{
    return child_of(operation, name, 0);
}

static int64_t uid_of(const struct descriptor *tensor)
{
    return integer_of(tensor, CUDNN_ATTR_TENSOR_UNIQUE_ID, 0, -1);
}

static int is_virtual(const struct descriptor *tensor)
{
    return flag_of(tensor, CUDNN_ATTR_TENSOR_IS_VIRTUAL, 0);
}

static cudnnStatus_t bad(const char *sentence)
{
    standin_complain("%s", sentence);
    return CUDNN_STATUS_BAD_PARAM;
}

static cudnnStatus_t no_pattern(const char *sentence)
{
    standin_complain("%s", sentence);
    return CUDNN_STATUS_NOT_SUPPORTED_GRAPH_PATTERN;
}

static void list_tensors(const struct descriptor *operation, const struct descriptor **tensors,
                         int *count)
{
    for (int i = 0; i < operation->table->count; i++) {
        const struct attribute *attribute = &operation->table->attributes[i];
        if (attribute->child == (int)CUDNN_BACKEND_TENSOR_DESCRIPTOR &&
            operation->values[i].count > 0)
            tensors[(*count)++] = child_of(operation, attribute->name, 0);
    }
}

static int same_tensor(const struct descriptor *a, const struct descriptor *b)
{
    if (choice_of(a, CUDNN_ATTR_TENSOR_DATA_TYPE, 0) !=
            choice_of(b, CUDNN_ATTR_TENSOR_DATA_TYPE, 0) ||
        is_virtual(a) != is_virtual(b))
        return 0;
    for (int i = 0; i < 4; i++)
        if (integer_of(a, CUDNN_ATTR_TENSOR_DIMENSIONS, i, 0) !=
                integer_of(b, CUDNN_ATTR_TENSOR_DIMENSIONS, i, 0) ||
            integer_of(a, CUDNN_ATTR_TENSOR_STRIDES, i, 0) !=
                integer_of(b, CUDNN_ATTR_TENSOR_STRIDES, i, 0))
            return 0;
    return 1;
}

/* An id names one tensor in the whole graph. */
static cudnnStatus_t check_ids(const struct descriptor *graph, int64_t operations)
{
    const struct descriptor *tensors[4 * 64];
    int count = 0;

    for (int64_t i = 0; i < operations; i++)
        list_tensors(child_of(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, i), tensors, &count);
    for (int i = 0; i < count; i++)
        for (int j = 0; j < i; j++)
            if (uid_of(tensors[i]) == uid_of(tensors[j]) && !same_tensor(tensors[i], tensors[j])) {
                standin_complain("two different tensors have the id %lld",
                                 (long long)uid_of(tensors[i]));
                return CUDNN_STATUS_BAD_PARAM_DUPLICATED_ENTRIES;
            }
    return CUDNN_STATUS_SUCCESS;
}

/* The pointwise operation that reads the tensor; NULL if there is none. */
static const struct descriptor *reader_of(const struct descriptor *graph, int64_t operations,
                                          int64_t uid)
{
    for (int64_t i = 0; i < operations; i++) {
        const struct descriptor *operation = child_of(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, i);
        if (operation->table->type == CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR &&
            uid_of(tensor_at(operation, CUDNN_ATTR_OPERATION_POINTWISE_XDESC)) == uid)
            return operation;
    }
    return NULL;
}

static const struct descriptor *convolution_of(const struct descriptor *graph, int64_t operations)
{
    const struct descriptor *found = NULL;
    for (int64_t i = 0; i < operations; i++) {
        const struct descriptor *operation = child_of(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, i);
        if (operation->table->type == CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR)
            continue;
        if (found != NULL)
            return NULL;
        found = operation;
    }
    return found;
}

/* What an operation writes. */
static const struct descriptor *output_of(const struct descriptor *operation)
{
    switch (operation->table->type) {
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
        return tensor_at(operation, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y);
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
        return tensor_at(operation, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX);
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:
        return tensor_at(operation, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW);
    default:
        return tensor_at(operation, CUDNN_ATTR_OPERATION_POINTWISE_YDESC);
    }
}

/* Adds a pointwise operation to the problem; the order is bias, then relu. */
static cudnnStatus_t append(const struct descriptor *operation, struct problem *p)
{
    const struct descriptor *b = tensor_at(operation, CUDNN_ATTR_OPERATION_POINTWISE_BDESC);

    if (p->relu || (b != NULL && p->bias.uid >= 0))
        return no_pattern("behind a convolution there is at most one addition, then one relu");
    if (b == NULL) {
        p->relu = 1;
        return CUDNN_STATUS_SUCCESS;
    }
    p->bias.uid = uid_of(b);
    p->bias.type = (cudnnDataType_t)choice_of(b, CUDNN_ATTR_TENSOR_DATA_TYPE, 0);
    p->bias.alignment = integer_of(b, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 0, 0);
    for (int i = 0; i < 4; i++) {
        p->bias.dims[i] = integer_of(b, CUDNN_ATTR_TENSOR_DIMENSIONS, i, 0);
        p->bias.strides[i] = integer_of(b, CUDNN_ATTR_TENSOR_STRIDES, i, 0);
        if (p->bias.dims[i] != (i == 1 ? p->y.dims[1] : 1))
            return no_pattern("the stand-in adds a bias of shape (1,K,1,1) alone");
    }
    return CUDNN_STATUS_SUCCESS;
}

/* The last operation's output takes y's place. */
static void replace_output(const struct descriptor *tensor, struct problem *p)
{
    p->y.uid = uid_of(tensor);
    p->y.type = (cudnnDataType_t)choice_of(tensor, CUDNN_ATTR_TENSOR_DATA_TYPE, 0);
    p->y.alignment = integer_of(tensor, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, 0, 0);
    for (int i = 0; i < 4; i++)
        p->y.strides[i] = integer_of(tensor, CUDNN_ATTR_TENSOR_STRIDES, i, 0);
}

/* Everything that is read from outside or written to it has memory. */
static cudnnStatus_t check_virtual(const struct descriptor *graph, int64_t operations, int64_t last)
{
    const struct descriptor *tensors[4 * 64];
    int count = 0;

    for (int64_t i = 0; i < operations; i++)
        list_tensors(child_of(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, i), tensors, &count);
    for (int i = 0; i < count; i++) {
        int inner = 0;
        for (int64_t j = 0; j < operations; j++) {
            int64_t uid = uid_of(output_of(child_of(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, j)));
            inner = inner || (uid == uid_of(tensors[i]) && uid != last);
        }
        if (is_virtual(tensors[i]) && !inner)
            return bad("a virtual tensor is made by no operation, or read by none");
        if (!is_virtual(tensors[i]) && inner)
            return no_pattern("a tensor between two operations is not virtual");
    }
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t pattern_match(const struct descriptor *graph, struct problem *p)
{
    int64_t operations = value_of(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS)->count, used = 1;
    const struct descriptor *first = convolution_of(graph, operations), *each, *output;
    cudnnStatus_t status = check_ids(graph, operations);

    if (status != CUDNN_STATUS_SUCCESS)
        return status;
    if (first == NULL)
        return no_pattern("there is not one convolution in the graph");
    *p = first->problem;
    output = output_of(first);
    while ((each = reader_of(graph, operations, uid_of(output))) != NULL && used < operations) {
        if (p->kind != PROBLEM_FORWARD)
            return no_pattern("nothing follows a backward convolution");
        if ((status = append(each, p)) != CUDNN_STATUS_SUCCESS)
            return status;
        output = output_of(each);
        ++used;
    }
    if (used != operations)
        return no_pattern("the operations are not one chain");
    if (used > 1)
        replace_output(output, p);
    return check_virtual(graph, operations, uid_of(output));
}
