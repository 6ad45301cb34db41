/*
 * Lowering, backward half: walks the forward steps in reverse, adds up the gradients that reach
 * each tensor, and updates each parameter as soon as its gradient is complete and nothing reads its
 * old value any more.
 */
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "graph/lower_build.h"

/* The gradients that reach one forward tensor; summed when the step that made it comes up. */
typedef struct inflow {
    int32_t tensor[HMT_STEP_INPUTS];
    float scale[HMT_STEP_INPUTS];
    bool own[HMT_STEP_INPUTS]; /* nobody else reads that tensor: it may be overwritten */
    int32_t count;
} inflow;

typedef struct backward {
    build *b;
    inflow *inflows; /* by forward tensor */
    bool *wanted;    /* by forward tensor: a trained parameter lies before it */
} backward;

static hmt_plan_step *step_of(backward *w, hmt_step_kind kind, int32_t forward)
{
    hmt_plan_step *step = build_step(w->b, kind, w->b->steps[forward].name);

    if (step == NULL)
        return NULL;
    step->phase = HMT_PHASE_BACKWARD;
    step->forward = forward;
    return step;
}

static int32_t like(backward *w, int32_t tensor)
{
    const hmt_plan_tensor *t = &w->b->tensors[tensor];
    const int64_t shape[4] = {t->shape[0], t->shape[1], t->shape[2], t->shape[3]};

    return build_tensor(w->b, t->name, shape[0], shape[1], shape[2], shape[3]);
}

static double size_of(const backward *w, int32_t tensor)
{
    const int64_t *shape = w->b->tensors[tensor].shape;

    return (double)shape[0] * (double)shape[1] * (double)shape[2] * (double)shape[3];
}

static void swap(inflow *in, int32_t i, int32_t k)
{
    inflow old = *in;

    in->tensor[i] = old.tensor[k], in->tensor[k] = old.tensor[i];
    in->scale[i] = old.scale[k], in->scale[k] = old.scale[i];
    in->own[i] = old.own[k], in->own[k] = old.own[i];
}

/* Adds up an inflow's entries into one tensor: into one of them if it is ours and unscaled. */
static void gather(backward *w, inflow *in, int32_t forward)
{
    int32_t into = -1;
    hmt_plan_step *step;

    for (int32_t i = 0; i < in->count && into < 0; ++i)
        if (in->own[i] && in->scale[i] == 1.0f) {
            into = in->tensor[i];
            swap(in, 0, i);
        }
    if (into < 0)
        into = like(w, in->tensor[0]);
    step = step_of(w, HMT_STEP_SUM, forward);
    if (step == NULL || into < 0)
        return;
    memcpy(step->in, in->tensor, (size_t)in->count * sizeof in->tensor[0]);
    memcpy(step->scale, in->scale, (size_t)in->count * sizeof in->scale[0]);
    step->in_count = in->count;
    step->out[0] = into;
    step->flops = size_of(w, into) * in->count;
    *in = (inflow){.tensor = {into}, .scale = {1.0f}, .own = {true}, .count = 1};
}

/* Notes that `tensor` times `scale` is part of the gradient of forward tensor `of`. */
static void flow(backward *w, int32_t of, int32_t tensor, float scale, bool own, int32_t forward)
{
    inflow *in = &w->inflows[of];

    if (w->b->status != HMT_OK)
        return;
    if (in->count == HMT_STEP_INPUTS)
        gather(w, in, forward);
    in->tensor[in->count] = tensor;
    in->scale[in->count] = scale;
    in->own[in->count++] = own;
}

/* The whole gradient of forward tensor `of`, -1 if none reached it. *own tells whether it may be
 * overwritten. The inflow starts anew: an in-place step's input has the same number. */
static int32_t take(backward *w, int32_t of, int32_t forward, bool *own)
{
    inflow *in = &w->inflows[of];
    int32_t tensor;

    if (in->count == 0)
        return -1;
    if (in->count > 1 || in->scale[0] != 1.0f)
        gather(w, in, forward);
    tensor = in->tensor[0];
    *own = in->own[0];
    in->count = 0;
    return w->b->status == HMT_OK ? tensor : -1;
}

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
    step = step_of(w, HMT_STEP_SGD, forward);
    if (step == NULL)
        return;
    step->group = build_group(w->b, w->b->weights[weight].param);
    step->in[0] = gradient;
    step->weight[0] = weight;
    step->flops = 5.0 * size_of(w, gradient);
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
        int32_t dx = like(w, f.in[0]);

        step = step_of(w, linear ? HMT_STEP_LINEAR_BACKWARD_DATA : HMT_STEP_CONV_BACKWARD_DATA,
                       forward);
        if (step == NULL)
            return;
        step->in[0] = dy;
        step->out[0] = dx;
        step->weight[0] = f.weight[0];
        step->window = f.window;
        step->flops = f.flops;
        flow(w, f.in[0], dx, 1.0f, true, forward);
    }
    if (!learns(w, f.weight[0]) && !learns(w, f.weight[1]))
        return;
    dw = build_tensor(w->b, f.name, outputs, inputs, height, width);
    if (learns(w, f.weight[1]))
        db = build_tensor(w->b, f.name, 1, outputs, 1, 1);
    step = step_of(w, linear ? HMT_STEP_LINEAR_BACKWARD_WEIGHTS : HMT_STEP_CONV_BACKWARD_WEIGHTS,
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

static void batch_norm(backward *w, int32_t forward, int32_t dy)
{
    const hmt_plan_step f = w->b->steps[forward];
    const int64_t channels = w->b->tensors[f.out[1]].shape[1];
    bool wanted = w->wanted[f.in[0]];
    int32_t dx = -1, dgamma = -1, dbeta = -1;
    hmt_plan_step *step;

    if (wanted)
        dx = like(w, f.in[0]);
    if (learns(w, f.weight[0]))
        dgamma = build_tensor(w->b, f.name, 1, channels, 1, 1);
    if (learns(w, f.weight[1]))
        dbeta = build_tensor(w->b, f.name, 1, channels, 1, 1);
    step = step_of(w, HMT_STEP_BATCH_NORM_BACKWARD, forward);
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
    step->flops = 10.0 * size_of(w, f.in[0]);
    if (wanted)
        flow(w, f.in[0], dx, 1.0f, true, forward);
    if (dgamma >= 0)
        update(w, dgamma, f.weight[0], forward);
    if (dbeta >= 0)
        update(w, dbeta, f.weight[1], forward);
}

/* Relu and dropout: one gradient in, one out, in place if the incoming one is ours. */
static void masked(backward *w, int32_t forward, int32_t dy, bool own)
{
    const hmt_plan_step f = w->b->steps[forward];
    int32_t dx = own ? dy : like(w, f.in[0]);
    hmt_plan_step *step = step_of(
        w, f.kind == HMT_STEP_RELU ? HMT_STEP_RELU_BACKWARD : HMT_STEP_DROPOUT_BACKWARD, forward);

    if (step == NULL)
        return;
    step->in[0] = dy;
    step->in[1] = f.kind == HMT_STEP_RELU ? f.out[0] : -1;
    step->out[0] = dx;
    step->drop = f.drop;
    step->salt = f.salt;
    step->flops = f.flops;
    flow(w, f.in[0], dx, 1.0f, true, forward);
}

static void pool(backward *w, int32_t forward, int32_t dy)
{
    const hmt_plan_step f = w->b->steps[forward];
    bool max = f.kind == HMT_STEP_MAX_POOL;
    int32_t dx = like(w, f.in[0]);
    hmt_plan_step *step =
        step_of(w, max ? HMT_STEP_MAX_POOL_BACKWARD : HMT_STEP_AVERAGE_POOL_BACKWARD, forward);

    if (step == NULL)
        return;
    step->in[0] = dy;
    step->in[1] = max ? f.in[0] : -1;
    step->in[2] = max ? f.out[0] : -1;
    step->out[0] = dx;
    step->window = f.window;
    step->flops = f.flops;
    flow(w, f.in[0], dx, 1.0f, true, forward);
}

/* A sum hands its gradient on, scaled; nothing is computed until somebody needs the result. */
static void sum(backward *w, int32_t forward, int32_t dy)
{
    const hmt_plan_step f = w->b->steps[forward];

    for (int32_t i = 0; i < f.in_count; ++i)
        if (w->wanted[f.in[i]])
            flow(w, f.in[i], dy, f.scale[i], false, forward);
}

static void concat(backward *w, int32_t forward, int32_t dy)
{
    const hmt_plan_step f = w->b->steps[forward];
    int32_t channel = 0;

    for (int32_t i = 0; i < f.in_count; ++i) {
        if (w->wanted[f.in[i]]) {
            int32_t dx = like(w, f.in[i]);
            hmt_plan_step *step = step_of(w, HMT_STEP_SLICE, forward);

            if (step == NULL)
                return;
            step->in[0] = dy;
            step->out[0] = dx;
            step->channel = channel;
            flow(w, f.in[i], dx, 1.0f, true, forward);
        }
        channel += (int32_t)w->b->tensors[f.in[i]].shape[1];
    }
}

static void reshape(backward *w, int32_t forward, int32_t dy)
{
    const hmt_plan_step f = w->b->steps[forward];
    int32_t dx = like(w, f.in[0]);
    hmt_plan_step *step = step_of(w, HMT_STEP_RESHAPE, forward);

    if (step == NULL)
        return;
    step->in[0] = dy;
    step->out[0] = dx;
    flow(w, f.in[0], dx, 1.0f, true, forward);
}

/* The backward steps of one forward step. */
static void reverse(backward *w, int32_t forward)
{
    const hmt_plan_step f = w->b->steps[forward];
    bool own = false;
    int32_t dy;

    if (f.kind == HMT_STEP_CROSS_ENTROPY || f.kind == HMT_STEP_REGRESSION_LOSS) {
        if (f.out[0] >= 0)
            flow(w, f.in[0], f.out[0], 1.0f, true, forward);
        return;
    }
    if (!w->wanted[f.out[0]])
        return;
    dy = take(w, f.out[0], forward, &own);
    if (dy < 0)
        return;
    if (f.kind == HMT_STEP_CONV || f.kind == HMT_STEP_LINEAR)
        weighted(w, forward, dy);
    else if (f.kind == HMT_STEP_BATCH_NORM_TRAIN)
        batch_norm(w, forward, dy);
    else if (f.kind == HMT_STEP_SUM)
        sum(w, forward, dy);
    else if (f.kind == HMT_STEP_CONCAT)
        concat(w, forward, dy);
    else if (!w->wanted[f.in[0]])
        return;
    else if (f.kind == HMT_STEP_RELU || f.kind == HMT_STEP_DROPOUT)
        masked(w, forward, dy, own);
    else if (f.kind == HMT_STEP_RESHAPE)
        reshape(w, forward, dy);
    else
        pool(w, forward, dy);
}

/* A tensor's gradient is wanted if its step has trained parameters or reads a tensor whose gradient
 * is wanted. */
static void find_wanted(backward *w, int32_t forward_count)
{
    for (int32_t s = 0; s < forward_count; ++s) {
        const hmt_plan_step *step = &w->b->steps[s];
        bool wanted = learns(w, step->weight[0]) || learns(w, step->weight[1]);

        for (int i = 0; i < HMT_STEP_INPUTS; ++i)
            wanted = wanted || (step->in[i] >= 0 && w->wanted[step->in[i]]);
        if (step->out[0] >= 0)
            w->wanted[step->out[0]] = wanted;
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
        step = step_of(w, HMT_STEP_STATISTICS, s);
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
        b->status = memory_zeroed(b->allocator, (size_t)tensors, sizeof(inflow) + sizeof(bool),
                                  "a plan", &block);
    if (b->status != HMT_OK)
        return;
    w.inflows = block;
    w.wanted = (bool *)(w.inflows + tensors);
    find_wanted(&w, forward_count);
    move_statistics(&w, forward_count);
    for (int32_t s = forward_count - 1; s >= 0 && b->status == HMT_OK; --s)
        reverse(&w, s);
    memory_free(b->allocator, block);
}
