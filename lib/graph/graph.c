/*
 * The layer graph: adding nodes, inferring their shapes, declaring their parameters. No numbers and
 * no plan here.
 */
#include "graph/graph.h"

#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"

enum { LARGEST_SIDE = 1 << 16, LARGEST_CHANNELS = 1 << 20 };

void graph_init(graph *g, const hmt_allocator *allocator)
{
    memset(g, 0, sizeof *g);
    g->allocator = allocator;
}

void graph_clear(graph *g)
{
    memory_free(g->allocator, g->nodes);
    memory_free(g->allocator, g->params);
    graph_init(g, g->allocator);
}

hmt_status graph_finish(const graph *g)
{
    return g->status;
}

int32_t graph_find_node(const graph *g, const char *name)
{
    for (int32_t i = 0; i < g->node_count; ++i)
        if (strcmp(g->nodes[i].name, name) == 0)
            return i;
    return -1;
}

int32_t graph_find_param(const graph *g, const char *name)
{
    for (int32_t i = 0; i < g->param_count; ++i)
        if (strcmp(g->params[i].name, name) == 0)
            return i;
    return -1;
}

bool graph_param_trainable(const graph_param *param)
{
    return param->role != GRAPH_ROLE_MEAN && param->role != GRAPH_ROLE_VARIANCE;
}

/* Makes room for one more element of an array that grows by doubling. */
static hmt_status grow(const hmt_allocator *allocator, void **array, int32_t count, int32_t *room,
                       size_t size)
{
    void *larger;
    int32_t wanted = *room > 0 ? *room * 2 : 64;
    hmt_status status;

    if (count < *room)
        return HMT_OK;
    status = memory_zeroed(allocator, (size_t)wanted, size, "the layer graph", &larger);
    if (status != HMT_OK)
        return status;
    if (count > 0)
        memcpy(larger, *array, (size_t)count * size);
    memory_free(allocator, *array);
    *array = larger;
    *room = wanted;
    return HMT_OK;
}

/* Records a failure at the node called `name`; gives the index to return. */
static int32_t fail(graph *g, const char *name, const char *why)
{
    if (g->status == HMT_OK)
        g->status = status_fail(HMT_ERROR_ARGUMENT, "layer %s: %s", name, why);
    return -1;
}

/* Adds a node that reads in[0..count); NULL on failure, now or earlier. Its shape starts as its
 * first input's. */
static graph_node *add(graph *g, const char *name, graph_kind kind, const int32_t *in,
                       int32_t count)
{
    graph_node *node;
    void *array = g->nodes;

    if (g->status != HMT_OK)
        return NULL;
    if (strlen(name) >= GRAPH_NAME || graph_find_node(g, name) >= 0)
        return fail(g, name, "its name is too long or taken"), NULL;
    if (count > GRAPH_INPUTS || (kind != GRAPH_INPUT && count < 1))
        return fail(g, name, "wrong number of inputs"), NULL;
    for (int32_t i = 0; i < count; ++i)
        if (in[i] < 0 || in[i] >= g->node_count)
            return fail(g, name, "reads a layer that does not exist"), NULL;
    g->status = grow(g->allocator, &array, g->node_count, &g->node_room, sizeof *g->nodes);
    if (g->status != HMT_OK)
        return NULL;
    g->nodes = array;
    node = &g->nodes[g->node_count++];
    memset(node, 0, sizeof *node);
    snprintf(node->name, sizeof node->name, "%s", name);
    node->kind = kind;
    node->in_count = count;
    for (int32_t i = 0; i < GRAPH_INPUTS; ++i)
        node->in[i] = i < count ? in[i] : -1;
    for (int i = 0; i < 4; ++i)
        node->param[i] = -1;
    if (count > 0)
        memcpy(node->shape, g->nodes[in[0]].shape, sizeof node->shape);
    return node;
}

static int32_t index_of(const graph *g, const graph_node *node)
{
    return node != NULL && g->status == HMT_OK ? (int32_t)(node - g->nodes) : -1;
}

/* Declares parameter NODE.SUFFIX with a shape of 4 dimensions, or of 1 if rest is NULL. */
static int32_t declare(graph *g, const graph_node *node, const char *suffix, graph_role role,
                       int64_t length, const int64_t *rest)
{
    graph_param *param;
    void *array = g->params;

    g->status = grow(g->allocator, &array, g->param_count, &g->param_room, sizeof *g->params);
    if (g->status != HMT_OK)
        return -1;
    g->params = array;
    param = &g->params[g->param_count];
    memset(param, 0, sizeof *param);
    if ((size_t)snprintf(param->name, sizeof param->name, "%s.%s", node->name, suffix) >=
        sizeof param->name)
        return fail(g, node->name, "its name is too long");
    param->role = role;
    param->node = (int32_t)(node - g->nodes);
    param->dimensions = rest != NULL ? 4 : 1;
    param->shape[0] = length;
    param->count = length;
    for (int i = 0; i < 3; ++i) {
        param->shape[i + 1] = rest != NULL ? rest[i] : 1;
        if (__builtin_mul_overflow(param->count, param->shape[i + 1], &param->count))
            return fail(g, node->name, "its weight is too large");
    }
    return g->param_count++;
}

/* Number of positions of a window along one side; 0 if it does not fit. */
static int64_t positions(int64_t side, int32_t kernel, int32_t stride, int32_t pad, bool ceil)
{
    int64_t room = side + 2 * (int64_t)pad - kernel, count;

    if (room < 0)
        return 0;
    count = (room + (ceil ? stride - 1 : 0)) / stride + 1;
    if (ceil && (count - 1) * stride >=
                    side + pad) /* a window must begin inside the image or its left padding */
        --count;
    return count;
}

/* Sets a node's window and the height and width of its value. */
static bool slide(graph *g, graph_node *node, int32_t kernel, int32_t stride, int32_t pad,
                  bool ceil)
{
    hmt_window window = {{kernel, kernel}, {stride, stride}, {pad, pad}, 1, 0};

    if (kernel < 1 || stride < 1 || pad < 0 || pad >= kernel)
        return fail(g, node->name, "kernel and stride must be at least 1, and 0 <= pad < kernel"),
               false;
    node->window = window;
    node->ceil = ceil;
    for (int i = 1; i <= 2; ++i) {
        int64_t count = positions(node->shape[i], kernel, stride, pad, ceil);

        if (count < 1) {
            char why[96];
            snprintf(why, sizeof why,
                     "a window of %d does not fit a map of %lld x %lld with padding %d", kernel,
                     (long long)node->shape[1], (long long)node->shape[2], pad);
            return fail(g, node->name, why), false;
        }
        node->shape[i] = count;
    }
    return true;
}

int32_t graph_input(graph *g, const char *name, int64_t channels, int64_t height, int64_t width)
{
    graph_node *node = add(g, name, GRAPH_INPUT, NULL, 0);

    if (node == NULL)
        return -1;
    if (channels < 1 || height < 1 || width < 1 || channels > LARGEST_CHANNELS ||
        height > LARGEST_SIDE || width > LARGEST_SIDE)
        return fail(g, name, "channels, height and width must be at least 1 and not absurd");
    node->shape[0] = channels;
    node->shape[1] = height;
    node->shape[2] = width;
    return index_of(g, node);
}

int32_t graph_conv(graph *g, const char *name, int32_t in, int64_t channels, int32_t kernel,
                   int32_t stride, int32_t pad, int32_t groups, bool bias)
{
    graph_node *node = add(g, name, GRAPH_CONV, &in, 1);
    int64_t rest[3];

    if (node == NULL)
        return -1;
    if (channels < 1 || channels > LARGEST_CHANNELS || groups < 1 || node->shape[0] % groups != 0 ||
        channels % groups != 0)
        return fail(g, name, "groups must divide the channels of input and output");
    rest[0] = node->shape[0] / groups;
    rest[1] = rest[2] = kernel;
    if (!slide(g, node, kernel, stride, pad, false))
        return -1;
    node->window.groups = groups;
    node->shape[0] = channels;
    node->param[0] = declare(g, node, "weight", GRAPH_ROLE_WEIGHT, channels, rest);
    if (bias && g->status == HMT_OK)
        node->param[1] = declare(g, node, "bias", GRAPH_ROLE_BIAS, channels, NULL);
    return index_of(g, node);
}

int32_t graph_batch_norm(graph *g, const char *name, int32_t in, bool affine)
{
    static const struct {
        const char *suffix;
        graph_role role;
    } part[4] = {{"weight", GRAPH_ROLE_GAMMA},
                 {"bias", GRAPH_ROLE_BETA},
                 {"running_mean", GRAPH_ROLE_MEAN},
                 {"running_var", GRAPH_ROLE_VARIANCE}};
    graph_node *node = add(g, name, GRAPH_BATCH_NORM, &in, 1);

    if (node == NULL)
        return -1;
    node->epsilon = 1e-5f;
    node->momentum = 0.1f;
    for (int i = affine ? 0 : 2; i < 4 && g->status == HMT_OK; ++i)
        node->param[i] = declare(g, node, part[i].suffix, part[i].role, node->shape[0], NULL);
    return index_of(g, node);
}

int32_t graph_relu(graph *g, const char *name, int32_t in)
{
    return index_of(g, add(g, name, GRAPH_RELU, &in, 1));
}

int32_t graph_max_pool(graph *g, const char *name, int32_t in, int32_t kernel, int32_t stride,
                       int32_t pad, bool ceil)
{
    graph_node *node = add(g, name, GRAPH_MAX_POOL, &in, 1);

    if (node == NULL || !slide(g, node, kernel, stride, pad, ceil))
        return -1;
    return index_of(g, node);
}

int32_t graph_average_pool(graph *g, const char *name, int32_t in, int32_t kernel, int32_t stride,
                           int32_t pad, bool ceil, bool exclude_padding)
{
    graph_node *node = add(g, name, GRAPH_AVERAGE_POOL, &in, 1);

    if (node == NULL || !slide(g, node, kernel, stride, pad, ceil))
        return -1;
    node->window.exclude_padding = exclude_padding;
    return index_of(g, node);
}

int32_t graph_global_pool(graph *g, const char *name, int32_t in)
{
    graph_node *node = add(g, name, GRAPH_GLOBAL_POOL, &in, 1);

    if (node == NULL)
        return -1;
    for (int i = 0; i < 2; ++i) {
        node->window.kernel[i] = (int32_t)node->shape[i + 1];
        node->window.stride[i] = 1;
        node->shape[i + 1] = 1;
    }
    node->window.groups = 1;
    return index_of(g, node);
}

int32_t graph_linear(graph *g, const char *name, int32_t in, int64_t channels, bool bias)
{
    graph_node *node = add(g, name, GRAPH_LINEAR, &in, 1);
    int64_t rest[3];

    if (node == NULL)
        return -1;
    if (channels < 1 || channels > LARGEST_CHANNELS)
        return fail(g, name, "a linear layer needs at least one output");
    memcpy(rest, node->shape, sizeof rest);
    node->shape[0] = channels;
    node->shape[1] = node->shape[2] = 1;
    node->param[0] = declare(g, node, "weight", GRAPH_ROLE_WEIGHT, channels, rest);
    if (bias && g->status == HMT_OK)
        node->param[1] = declare(g, node, "bias", GRAPH_ROLE_BIAS, channels, NULL);
    return index_of(g, node);
}

int32_t graph_dropout(graph *g, const char *name, int32_t in, float drop)
{
    graph_node *node = add(g, name, GRAPH_DROPOUT, &in, 1);

    if (node == NULL)
        return -1;
    if (!(drop >= 0.0f && drop < 1.0f))
        return fail(g, name, "the share to drop must be in [0, 1)");
    node->drop = drop;
    return index_of(g, node);
}

/* Nodes that combine maps of one height and width, and except for concat of one channel count. */
static int32_t combine(graph *g, const char *name, graph_kind kind, const int32_t *in,
                       int32_t count)
{
    graph_node *node = add(g, name, kind, in, count);

    if (node == NULL)
        return -1;
    for (int32_t i = 1; i < count; ++i) {
        const int64_t *other = g->nodes[in[i]].shape;

        if (other[1] != node->shape[1] || other[2] != node->shape[2] ||
            (kind != GRAPH_CONCAT && other[0] != node->shape[0])) {
            char why[288];
            snprintf(why, sizeof why, "input %s is %lld x %lld x %lld, input %s %lld x %lld x %lld",
                     g->nodes[in[0]].name, (long long)node->shape[0], (long long)node->shape[1],
                     (long long)node->shape[2], g->nodes[in[i]].name, (long long)other[0],
                     (long long)other[1], (long long)other[2]);
            return fail(g, name, why);
        }
        if (kind == GRAPH_CONCAT)
            node->shape[0] += other[0];
    }
    return index_of(g, node);
}

int32_t graph_add(graph *g, const char *name, const int32_t *in, int32_t count)
{
    return combine(g, name, GRAPH_ADD, in, count);
}

int32_t graph_average(graph *g, const char *name, const int32_t *in, int32_t count)
{
    return combine(g, name, GRAPH_AVERAGE, in, count);
}

int32_t graph_concat(graph *g, const char *name, const int32_t *in, int32_t count)
{
    return combine(g, name, GRAPH_CONCAT, in, count);
}

int32_t graph_flatten(graph *g, const char *name, int32_t in)
{
    graph_node *node = add(g, name, GRAPH_FLATTEN, &in, 1);

    if (node == NULL)
        return -1;
    node->shape[0] *= node->shape[1] * node->shape[2];
    node->shape[1] = node->shape[2] = 1;
    return index_of(g, node);
}

void graph_head_add(graph *g, hmt_task task, int32_t node, int32_t classes)
{
    const graph_node *n;

    if (g->status != HMT_OK || node < 0)
        return;
    n = &g->nodes[node];
    if (n->shape[1] != 1 || n->shape[2] != 1 || n->shape[0] != (classes > 0 ? classes : 1))
        fail(g, n->name, "a head needs one value a class and nothing else");
    else if (g->head_count == HMT_TASK_COUNT)
        fail(g, n->name, "too many heads");
    else
        g->heads[g->head_count++] = (graph_head){task, node, classes};
}
