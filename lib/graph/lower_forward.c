/*
 * Lowering, forward half: one step for each node or chain of nodes, and the losses. What is merged
 * here: a batch norm into the convolution before it (inference), a relu into what comes before it,
 * an aggregator's factor into the weights after it (inference); dropout vanishes at inference, and
 * a convolution that covers its whole input becomes linear.
 */
#include <string.h>

#include "core/status.h"
#include "graph/lower_build.h"

/* A factor is moved into weights only where they are small or copied for a batch norm anyway: a
 * scaled copy of a large weight would cost more memory than the multiplication it saves. */
enum { SMALL_WEIGHT = 1 << 18 };

/* The only reader of node `i`, if it is of `kind` and nobody else needs i's value; else -1. */
static int32_t sole_reader(const build *b, int32_t i, graph_kind kind)
{
    int32_t reader = b->consumer[i];

    return reader >= 0 && !b->kept[i] && b->g->nodes[reader].kind == kind ? reader : -1;
}

/* The batch norm to fold into convolution or linear node `i`; -1 if there is none or it is not
 * legal. */
static int32_t foldable_norm(const build *b, int32_t i)
{
    return b->options->fold && !b->options->training ? sole_reader(b, i, GRAPH_BATCH_NORM) : -1;
}

/* Whether a factor on node i's value can be moved into all the weights that read it. */
static bool scale_can_move(const build *b, int32_t i)
{
    bool any = false;

    if (b->kept[i])
        return false;
    for (int32_t k = 0; k < b->g->node_count; ++k) {
        const graph_node *node = &b->g->nodes[k];
        bool reads = false;

        for (int32_t j = 0; j < node->in_count; ++j)
            reads = reads || node->in[j] == i;
        if (!b->needed[k] || !reads)
            continue;
        any = true;
        switch (node->kind) {
        case GRAPH_CONV:
        case GRAPH_LINEAR:
            if (foldable_norm(b, k) < 0 && b->g->params[node->param[0]].count > SMALL_WEIGHT)
                return false;
            break;
        case GRAPH_MAX_POOL: /* a positive factor commutes with these */
        case GRAPH_AVERAGE_POOL:
        case GRAPH_GLOBAL_POOL:
        case GRAPH_RELU:
        case GRAPH_FLATTEN:
        case GRAPH_DROPOUT:
            if (!scale_can_move(b, k))
                return false;
            break;
        default:
            return false;
        }
    }
    return any;
}

static void move_scale(build *b, int32_t i, float scale)
{
    for (int32_t k = 0; k < b->g->node_count; ++k) {
        const graph_node *node = &b->g->nodes[k];

        if (!b->needed[k] || node->in_count < 1 || node->in[0] != i)
            continue;
        if (node->kind == GRAPH_CONV || node->kind == GRAPH_LINEAR)
            b->weight_scale[k] *= scale;
        else
            move_scale(b, k, scale);
    }
}

/* Moves the 1 / count of each aggregator into the weights that follow, where that is legal and
 * pays. */
static void move_aggregator_scales(build *b)
{
    for (int32_t i = 0; i < b->g->node_count; ++i) {
        const graph_node *node = &b->g->nodes[i];

        if (!b->needed[i] || node->kind != GRAPH_AVERAGE)
            continue;
        b->value_scale[i] = 1.0f / (float)node->in_count;
        if (b->options->fold && !b->options->training && scale_can_move(b, i)) {
            move_scale(b, i, b->value_scale[i]);
            b->value_scale[i] = 1.0f;
        }
    }
}

/* The value of node i, as a new tensor. */
static int32_t value(build *b, int32_t i)
{
    const graph_node *node = &b->g->nodes[i];

    return build_tensor(b, node->name, b->options->batch, node->shape[0], node->shape[1],
                        node->shape[2]);
}

static double elements(const build *b, const graph_node *node)
{
    return (double)b->options->batch * (double)node->shape[0] * (double)node->shape[1] *
           (double)node->shape[2];
}

/* Lets the relu after node i, if there is one and nobody else reads i, be done by i's step. Returns
 * the node whose value the step then makes. */
static int32_t absorb_relu(build *b, int32_t i, hmt_plan_step *step)
{
    int32_t relu = sole_reader(b, i, GRAPH_RELU);

    if (relu < 0)
        return i;
    step->relu = 1;
    return relu;
}

/* Convolution or linear layer, with the batch norm folded into it where that is legal. */
static void emit_weighted(build *b, int32_t i)
{
    const graph_node *node = &b->g->nodes[i], *in = &b->g->nodes[node->in[0]];
    const graph_param *weight = &b->g->params[node->param[0]];
    const hmt_window *w = &node->window;
    bool linear = node->kind == GRAPH_LINEAR ||
                  (w->groups == 1 && w->pad[0] == 0 && w->pad[1] == 0 &&
                   w->kernel[0] == in->shape[1] && w->kernel[1] == in->shape[2]);
    hmt_plan_step *step = build_step(b, linear ? HMT_STEP_LINEAR : HMT_STEP_CONV, node->name);
    int32_t norm = foldable_norm(b, i), last = norm >= 0 ? norm : i;
    const graph_node *fold = norm >= 0 ? &b->g->nodes[norm] : NULL;

    if (step == NULL)
        return;
    step->window = *w;
    step->in[0] = b->tensor_of[node->in[0]];
    step->weight[0] = build_weight(b, node->param[0], false, fold, b->weight_scale[i], 0);
    if (node->param[1] >= 0 || fold != NULL)
        step->weight[1] = build_weight(b, node->param[1], true, fold, 1.0f, node->shape[0]);
    step->flops = 2.0 * elements(b, node) * (double)(weight->count / weight->shape[0]);
    if (!b->options->training)
        last = absorb_relu(b, last, step);
    step->out[0] = value(b, last);
    /* Nothing reads the values that were merged away, but their nodes are done too. */
    b->tensor_of[i] = b->tensor_of[last] = step->out[0];
    if (norm >= 0)
        b->tensor_of[norm] = step->out[0];
}

static void emit_batch_norm(build *b, int32_t i)
{
    const graph_node *node = &b->g->nodes[i];
    /* Frozen, after nothing but what is frozen: it works as in inference. */
    bool training = b->options->training && b->learns[i];
    hmt_plan_step *step =
        build_step(b, training ? HMT_STEP_BATCH_NORM_TRAIN : HMT_STEP_BATCH_NORM, node->name);
    int32_t last;

    if (step == NULL)
        return;
    step->in[0] = b->tensor_of[node->in[0]];
    step->epsilon = node->epsilon;
    step->momentum = node->momentum;
    step->flops = elements(b, node) * (training ? 6.0 : 2.0);
    for (int k = 0; k < (training ? 2 : 4); ++k)
        if (node->param[k] >= 0)
            step->weight[k] = build_weight(b, node->param[k], k != 0, NULL, 1.0f, node->shape[0]);
    last = absorb_relu(b, i, step);
    step->out[0] = b->tensor_of[last] = value(b, last);
    if (training) {
        step->out[1] = build_tensor(b, node->name, 1, node->shape[0], 1, 1);
        step->out[2] = build_tensor(b, node->name, 1, node->shape[0], 1, 1);
    }
}

/* A relu or dropout that no other step does: in place if nobody else needs its input. */
static void emit_in_place(build *b, int32_t i, hmt_step_kind kind)
{
    const graph_node *node = &b->g->nodes[i];
    int32_t in = node->in[0];
    bool in_place = b->consumer[in] == i && !b->kept[in] && b->g->nodes[in].kind != GRAPH_INPUT;
    hmt_plan_step *step;

    /* A max pool's backward pass may read its output again; a dropout left out shares its input's
     * tensor. */
    if ((build_is_backward(b) && b->g->nodes[in].kind == GRAPH_MAX_POOL) ||
        (!b->options->training && b->g->nodes[in].kind == GRAPH_DROPOUT))
        in_place = false;
    step = build_step(b, kind, node->name);
    if (step == NULL)
        return;
    step->in[0] = b->tensor_of[in];
    step->out[0] = b->tensor_of[i] = in_place ? b->tensor_of[in] : value(b, i);
    step->drop = node->drop;
    step->salt = i;
    step->flops = elements(b, node);
}

static void emit_pool(build *b, int32_t i)
{
    const graph_node *node = &b->g->nodes[i];
    hmt_plan_step *step = build_step(
        b, node->kind == GRAPH_MAX_POOL ? HMT_STEP_MAX_POOL : HMT_STEP_AVERAGE_POOL, node->name);

    if (step == NULL)
        return;
    step->in[0] = b->tensor_of[node->in[0]];
    step->out[0] = b->tensor_of[i] = value(b, i);
    step->window = node->window;
    step->flops = elements(b, node) * node->window.kernel[0] * node->window.kernel[1];
}

static void emit_combination(build *b, int32_t i)
{
    const graph_node *node = &b->g->nodes[i];
    hmt_plan_step *step =
        build_step(b, node->kind == GRAPH_CONCAT ? HMT_STEP_CONCAT : HMT_STEP_SUM, node->name);
    int32_t last = i;

    if (step == NULL)
        return;
    step->in_count = node->in_count;
    for (int32_t k = 0; k < node->in_count; ++k) {
        step->in[k] = b->tensor_of[node->in[k]];
        step->scale[k] = b->value_scale[i];
    }
    step->flops = node->kind == GRAPH_CONCAT ? 0.0 : elements(b, node) * node->in_count;
    if (node->kind != GRAPH_CONCAT && !b->options->training)
        last = absorb_relu(b, i, step);
    step->out[0] = b->tensor_of[last] = value(b, last);
}

static void emit_reshape(build *b, int32_t i)
{
    const graph_node *node = &b->g->nodes[i];
    hmt_plan_step *step = build_step(b, HMT_STEP_RESHAPE, node->name);

    if (step == NULL)
        return;
    step->in[0] = b->tensor_of[node->in[0]];
    step->out[0] = b->tensor_of[i] = value(b, i);
}

static void emit(build *b, int32_t i)
{
    switch (b->g->nodes[i].kind) {
    case GRAPH_INPUT:
        b->tensor_of[i] = value(b, i);
        if (b->status == HMT_OK)
            b->tensors[b->tensor_of[i]].flags |= HMT_TENSOR_INPUT;
        break;
    case GRAPH_CONV:
    case GRAPH_LINEAR:
        emit_weighted(b, i);
        break;
    case GRAPH_BATCH_NORM:
        emit_batch_norm(b, i);
        break;
    case GRAPH_RELU:
        emit_in_place(b, i, HMT_STEP_RELU);
        break;
    case GRAPH_DROPOUT:
        if (b->options->training)
            emit_in_place(b, i, HMT_STEP_DROPOUT);
        else
            b->tensor_of[i] = b->tensor_of[b->g->nodes[i].in[0]];
        break;
    case GRAPH_MAX_POOL:
    case GRAPH_AVERAGE_POOL:
    case GRAPH_GLOBAL_POOL:
        emit_pool(b, i);
        break;
    case GRAPH_ADD:
    case GRAPH_AVERAGE:
    case GRAPH_CONCAT:
        emit_combination(b, i);
        break;
    case GRAPH_FLATTEN:
        emit_reshape(b, i);
        break;
    }
}

/* The loss of one head, and in training its gradient if the task is trained. */
static void emit_loss(build *b, const graph_head *head)
{
    const graph_node *node = &b->g->nodes[head->node];
    bool wants_gradient = b->options->training && (b->options->trained_tasks & (1u << head->task));
    hmt_plan_step *step = build_step(
        b, head->classes > 0 ? HMT_STEP_CROSS_ENTROPY : HMT_STEP_REGRESSION_LOSS, node->name);

    if (step == NULL)
        return;
    step->in[0] = b->tensor_of[head->node];
    step->task = b->head_task[head->task] = b->task_count++;
    step->loss = b->options->loss;
    step->delta = b->options->delta;
    step->smoothing = b->options->label_smoothing;
    if (wants_gradient)
        step->out[0] = value(b, head->node);
}

/* A batch norm without scale and shift counts as its convolution does. */
static void find_learning(build *b)
{
    for (int32_t i = 0; i < b->g->node_count; ++i) {
        const graph_node *node = &b->g->nodes[i];

        for (int32_t k = 0; k < 2; ++k)
            b->learns[i] =
                b->learns[i] || (node->param[k] >= 0 && build_group(b, node->param[k]) >= 0);
        for (int32_t k = 0; k < node->in_count; ++k)
            b->learns[i] = b->learns[i] || b->learns[node->in[k]];
    }
}

void build_forward(build *b)
{
    find_learning(b);
    move_aggregator_scales(b);
    for (int32_t i = 0; i < b->g->node_count && b->status == HMT_OK; ++i)
        if (b->needed[i] && b->tensor_of[i] < 0)
            emit(b, i);
    for (int32_t i = 0; i < b->g->node_count && b->status == HMT_OK; ++i)
        if (b->kept[i])
            b->tensors[b->tensor_of[i]].flags |= HMT_TENSOR_OUTPUT;
    for (int32_t i = 0; i < b->g->head_count && b->status == HMT_OK; ++i)
        if ((b->options->losses || b->options->training) &&
            (b->options->tasks & (1u << b->g->heads[i].task)))
            emit_loss(b, &b->g->heads[i]);
}
