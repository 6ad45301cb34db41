/*
 * Lowering, backward half: walks the forward steps in reverse. In training it updates each
 * parameter as soon as its gradient is complete and nothing reads its old value any more. A plan
 * for explanation starts from single logits instead of losses, updates nothing, and keeps the
 * gradients of the taps and the images.
 */
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "graph/lower_flow.h"

/* Whether a weight of the plan is changed by training. */
static bool learns(const backward *w, int32_t weight)
{
    return weight >= 0 && build_group(w->b, w->b->weights[weight].param) >= 0;
}

static void update(backward *w, int32_t gradient, int32_t weight, int32_t forward)
{
    hmt_plan_step *step;

    if (w->b->status != HMT_OK || !learns(w, weight))
        return;
    step = flow_step(w, HMT_STEP_SGD, forward);
    if (step == NULL)
        return;
    step->group = build_group(w->b, w->b->weights[weight].param);
    step->in[0] = gradient;
    step->weight[0] = weight;
    step->flops = 5.0 * flow_size(w, gradient);
    w->b->weights[weight].trained = 1;
}

/* Convolution and linear: data first, since the update changes the weight that it reads. */
static void weighted(backward *w, int32_t forward, int32_t dy)
{
    const hmt_plan_step f = w->b->steps[forward]; /* a copy: the array moves as it grows */
    bool linear = f.kind == HMT_STEP_LINEAR;
    const int64_t *shape = w->b->weights[f.weight[0]].shape;
    const int64_t outputs = shape[0], inputs = shape[1], height = shape[2], width = shape[3];
    hmt_plan_step *step;
    int32_t dw, db = -1;

    if (w->wanted[f.in[0]]) {
        int32_t dx = flow_like(w, f.in[0]);

        step = flow_step(w, linear ? HMT_STEP_LINEAR_BACKWARD_DATA : HMT_STEP_CONV_BACKWARD_DATA,
                         forward);
        if (step == NULL)
            return;
        step->in[0] = dy;
        step->out[0] = dx;
        step->weight[0] = f.weight[0];
        step->window = f.window;
        step->flops = f.flops;
        flow_add(w, f.in[0], dx, 1.0f, true, forward);
    }
    if (!learns(w, f.weight[0]) && !learns(w, f.weight[1]))
        return;
    dw = build_tensor(w->b, f.name, outputs, inputs, height, width);
    if (learns(w, f.weight[1]))
        db = build_tensor(w->b, f.name, 1, outputs, 1, 1);
    step = flow_step(w, linear ? HMT_STEP_LINEAR_BACKWARD_WEIGHTS : HMT_STEP_CONV_BACKWARD_WEIGHTS,
                     forward);
    if (step == NULL)
        return;
    step->in[0] = dy;
    step->in[1] = f.in[0];
    step->out[0] = dw;
    step->out[1] = db;
    step->window = f.window;
    step->flops = f.flops;
    update(w, dw, f.weight[0], forward);
    if (db >= 0)
        update(w, db, f.weight[1], forward);
}

/* With running statistics a batch norm is a factor for each channel. */
static void fixed_norm(backward *w, int32_t forward, int32_t dy, bool own)
{
    const hmt_plan_step f = w->b->steps[forward];
    int32_t dx = own ? dy : flow_like(w, f.in[0]);
    hmt_plan_step *step = flow_step(w, HMT_STEP_BATCH_NORM_BACKWARD_DATA, forward);

    if (step == NULL)
        return;
    step->in[0] = dy;
    step->out[0] = dx;
    memcpy(step->weight, f.weight, sizeof step->weight);
    step->epsilon = f.epsilon;
    step->flops = flow_size(w, dx);
    flow_add(w, f.in[0], dx, 1.0f, true, forward);
}

static void batch_norm(backward *w, int32_t forward, int32_t dy)
{
    const hmt_plan_step f = w->b->steps[forward];
    const int64_t channels = w->b->tensors[f.out[1]].shape[1];
    bool wanted = w->wanted[f.in[0]];
    int32_t dx = -1, dgamma = -1, dbeta = -1;
    hmt_plan_step *step;

    if (wanted)
        dx = flow_like(w, f.in[0]);
    if (learns(w, f.weight[0]))
        dgamma = build_tensor(w->b, f.name, 1, channels, 1, 1);
    if (learns(w, f.weight[1]))
        dbeta = build_tensor(w->b, f.name, 1, channels, 1, 1);
    step = flow_step(w, HMT_STEP_BATCH_NORM_BACKWARD, forward);
    if (step == NULL)
        return;
    step->in[0] = dy;
    step->in[1] = f.in[0];
    step->in[2] = f.out[1];
    step->in[3] = f.out[2];
    step->in[4] = f.relu ? f.out[0] : -1;
    step->out[0] = dx;
    step->out[1] = dgamma;
    step->out[2] = dbeta;
    memcpy(step->weight, f.weight, sizeof step->weight);
    step->epsilon = f.epsilon;
    step->relu = f.relu;
    step->flops = 10.0 * flow_size(w, f.in[0]);
    if (wanted)
        flow_add(w, f.in[0], dx, 1.0f, true, forward);
    if (dgamma >= 0)
        update(w, dgamma, f.weight[0], forward);
    if (dbeta >= 0)
        update(w, dbeta, f.weight[1], forward);
}

/* Relu and dropout: one gradient in, one out, in place if the incoming one is ours. */
static void masked(backward *w, int32_t forward, int32_t dy, bool own)
{
    const hmt_plan_step f = w->b->steps[forward];
    int32_t dx = own ? dy : flow_like(w, f.in[0]);
    hmt_plan_step *step = flow_step(
        w, f.kind == HMT_STEP_RELU ? HMT_STEP_RELU_BACKWARD : HMT_STEP_DROPOUT_BACKWARD, forward);

    if (step == NULL)
        return;
    step->in[0] = dy;
    step->in[1] = f.kind == HMT_STEP_RELU ? f.out[0] : -1;
    step->out[0] = dx;
    step->drop = f.drop;
    step->salt = f.salt;
    step->flops = f.flops;
    flow_add(w, f.in[0], dx, 1.0f, true, forward);
}

static void pool(backward *w, int32_t forward, int32_t dy)
{
    const hmt_plan_step f = w->b->steps[forward];
    bool max = f.kind == HMT_STEP_MAX_POOL;
    int32_t dx = flow_like(w, f.in[0]);
    hmt_plan_step *step =
        flow_step(w, max ? HMT_STEP_MAX_POOL_BACKWARD : HMT_STEP_AVERAGE_POOL_BACKWARD, forward);

    if (step == NULL)
        return;
    step->in[0] = dy;
    step->in[1] = max ? f.in[0] : -1;
    step->in[2] = max ? f.out[0] : -1;
    step->out[0] = dx;
    step->window = f.window;
    step->flops = f.flops;
    flow_add(w, f.in[0], dx, 1.0f, true, forward);
}

/* A sum hands its gradient on, scaled; nothing is computed until somebody needs the result. */
static void sum(backward *w, int32_t forward, int32_t dy)
{
    const hmt_plan_step f = w->b->steps[forward];

    for (int32_t i = 0; i < f.in_count; ++i)
        if (w->wanted[f.in[i]])
            flow_add(w, f.in[i], dy, f.scale[i], false, forward);
}

static void concat(backward *w, int32_t forward, int32_t dy)
{
    const hmt_plan_step f = w->b->steps[forward];
    int32_t channel = 0;

    for (int32_t i = 0; i < f.in_count; ++i) {
        if (w->wanted[f.in[i]]) {
            int32_t dx = flow_like(w, f.in[i]);
            hmt_plan_step *step = flow_step(w, HMT_STEP_SLICE, forward);

            if (step == NULL)
                return;
            step->in[0] = dy;
            step->out[0] = dx;
            step->channel = channel;
            flow_add(w, f.in[i], dx, 1.0f, true, forward);
        }
        channel += (int32_t)w->b->tensors[f.in[i]].shape[1];
    }
}

static void reshape(backward *w, int32_t forward, int32_t dy)
{
    const hmt_plan_step f = w->b->steps[forward];
    int32_t dx = flow_like(w, f.in[0]);
    hmt_plan_step *step = flow_step(w, HMT_STEP_RESHAPE, forward);

    if (step == NULL)
        return;
    step->in[0] = dy;
    step->out[0] = dx;
    flow_add(w, f.in[0], dx, 1.0f, true, forward);
}

/* Before the step itself, the relu that it does to its output. */
static int32_t merged_relu(backward *w, int32_t forward, int32_t dy, bool *own)
{
    int32_t y = w->b->steps[forward].out[0], dx = *own ? dy : flow_like(w, y);
    hmt_plan_step *step = flow_step(w, HMT_STEP_RELU_BACKWARD, forward);

    if (step == NULL)
        return -1;
    step->in[0] = dy;
    step->in[1] = y;
    step->out[0] = dx;
    step->flops = flow_size(w, dx);
    *own = true;
    return dx;
}

/* Whether anything before a step, or its own weights, needs a gradient. */
static bool goes_on(const backward *w, const hmt_plan_step *f)
{
    bool wanted = learns(w, f->weight[0]) || learns(w, f->weight[1]);

    for (int i = 0; i < HMT_STEP_INPUTS; ++i)
        wanted = wanted || (f->in[i] >= 0 && w->wanted[f->in[i]]);
    return wanted;
}

/* The gradient of the value of one forward step, kept if it is to be read; -1 if there is none. An
 * in-place step's input has the same tensor: the last step that writes it makes the value. */
static int32_t arriving(backward *w, int32_t tensor, int32_t forward, bool *own)
{
    int32_t dy = flow_take(w, tensor, forward, own);

    if (dy >= 0 && w->target[tensor] && w->b->gradient_of[tensor] < 0) {
        w->b->gradient_of[tensor] = dy;
        w->b->tensors[dy].flags |= HMT_TENSOR_OUTPUT;
        *own = false;
    }
    return dy;
}

/* The backward steps of one forward step. */
static void reverse(backward *w, int32_t forward)
{
    const hmt_plan_step f = w->b->steps[forward];
    bool own = false;
    int32_t dy;

    if (f.kind == HMT_STEP_CROSS_ENTROPY || f.kind == HMT_STEP_REGRESSION_LOSS) {
        if (f.out[0] >= 0)
            flow_add(w, f.in[0], f.out[0], 1.0f, true, forward);
        return;
    }
    if (!w->wanted[f.out[0]])
        return;
    dy = arriving(w, f.out[0], forward, &own);
    if (dy < 0 || !goes_on(w, &f))
        return;
    if (f.relu && f.kind != HMT_STEP_BATCH_NORM_TRAIN)
        dy = merged_relu(w, forward, dy, &own);
    if (f.kind == HMT_STEP_CONV || f.kind == HMT_STEP_LINEAR)
        weighted(w, forward, dy);
    else if (f.kind == HMT_STEP_BATCH_NORM_TRAIN)
        batch_norm(w, forward, dy);
    else if (f.kind == HMT_STEP_BATCH_NORM)
        fixed_norm(w, forward, dy, own);
    else if (f.kind == HMT_STEP_SUM)
        sum(w, forward, dy);
    else if (f.kind == HMT_STEP_CONCAT)
        concat(w, forward, dy);
    else if (f.kind == HMT_STEP_RELU || f.kind == HMT_STEP_DROPOUT)
        masked(w, forward, dy, own);
    else if (f.kind == HMT_STEP_RESHAPE)
        reshape(w, forward, dy);
    else
        pool(w, forward, dy);
}

/* A tensor's gradient is wanted if it is to be read, or its step has trained parameters or reads a
 * tensor whose gradient is wanted. */
static void find_wanted(backward *w, int32_t forward_count)
{
    for (int32_t s = 0; s < forward_count; ++s) {
        const hmt_plan_step *step = &w->b->steps[s];

        if (step->out[0] >= 0)
            w->wanted[step->out[0]] = w->wanted[step->out[0]] || goes_on(w, step);
    }
}

/* A plan for explanation: which gradients are to be read. */
static void find_targets(backward *w, int32_t tensors)
{
    const lower_options *o = w->b->options;

    for (int32_t i = 0; i < o->tap_count; ++i)
        w->target[w->b->tensor_of[o->taps[i]]] = true;
    for (int32_t i = 0; o->input_gradient && i < tensors; ++i)
        if (w->b->tensors[i].flags & HMT_TENSOR_INPUT)
            w->target[i] = true;
    memcpy(w->wanted, w->target, (size_t)tensors * sizeof *w->wanted);
}

/* Where its gradients come from: one logit of each image. */
static void start_from_logits(backward *w)
{
    build *b = w->b;

    for (int32_t i = 0; i < b->g->head_count && b->status == HMT_OK; ++i) {
        const graph_head *head = &b->g->heads[i];
        const int32_t logits = b->tensor_of[head->node];
        hmt_plan_step *step;
        int32_t gradient;

        if (!(b->options->tasks & (1u << head->task)))
            continue;
        gradient = flow_like(w, logits);
        step = build_step(b, HMT_STEP_ONE_HOT, b->g->nodes[head->node].name);
        if (step == NULL)
            return;
        step->phase = HMT_PHASE_BACKWARD;
        step->task = b->head_task[head->task] = b->task_count++;
        step->out[0] = gradient;
        flow_add(w, logits, gradient, 1.0f, true, 0);
    }
}

/* Running statistics move first: they need nothing from the backward pass. */
static void move_statistics(backward *w, int32_t forward_count)
{
    for (int32_t s = 0; s < forward_count; ++s) {
        const hmt_plan_step f = w->b->steps[s];
        const graph_node *node;
        const int64_t *shape;
        hmt_plan_step *step;
        int64_t samples;

        if (f.kind != HMT_STEP_BATCH_NORM_TRAIN)
            continue;
        shape = w->b->tensors[f.in[0]].shape;
        samples = shape[0] * shape[2] * shape[3];
        node = &w->b->g->nodes[graph_find_node(w->b->g, f.name)];
        step = flow_step(w, HMT_STEP_STATISTICS, s);
        if (step == NULL)
            return;
        step->in[0] = f.out[1];
        step->in[1] = f.out[2];
        for (int i = 0; i < 2; ++i) {
            step->weight[i] =
                build_weight(w->b, node->param[2 + i], true, NULL, 1.0f, node->shape[0]);
            if (step->weight[i] >= 0)
                w->b->weights[step->weight[i]].trained = 1;
        }
        step->momentum = f.momentum;
        step->samples = samples;
    }
}

void build_backward(build *b)
{
    int32_t forward_count = b->step_count, tensors = b->tensor_count;
    backward w = {.b = b};
    void *block;

    if (b->status == HMT_OK)
        b->status = memory_zeroed(b->allocator, (size_t)tensors, sizeof(inflow) + 2 * sizeof(bool),
                                  "a plan", &block);
    if (b->status != HMT_OK)
        return;
    w.inflows = block;
    w.wanted = (bool *)(w.inflows + tensors);
    w.target = w.wanted + tensors;
    if (b->options->gradients) {
        find_targets(&w, tensors);
        start_from_logits(&w);
    }
    find_wanted(&w, forward_count);
    move_statistics(&w, forward_count);
    for (int32_t s = forward_count - 1; s >= 0 && b->status == HMT_OK; --s)
        reverse(&w, s);
    for (int32_t i = 0; i < tensors && b->status == HMT_OK; ++i)
        if (b->tensors[i].flags & HMT_TENSOR_INPUT) {
            bool own;

            arriving(&w, i, 0, &own); /* no step makes it */
        }
    memory_free(b->allocator, block);
}
