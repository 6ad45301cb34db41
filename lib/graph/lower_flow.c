/*
 * Lowering, backward half: how gradients that reach one forward tensor from several readers become
 * one. Nothing is computed until somebody needs the sum, and then in place where that is possible.
 */
#include "graph/lower_flow.h"

#include <string.h>

hmt_plan_step *flow_step(backward *w, hmt_step_kind kind, int32_t forward)
{
    hmt_plan_step *step = build_step(w->b, kind, w->b->steps[forward].name);

    if (step == NULL)
        return NULL;
    step->phase = HMT_PHASE_BACKWARD;
    step->forward = forward;
    return step;
}

int32_t flow_like(backward *w, int32_t tensor)
{
    const hmt_plan_tensor *t = &w->b->tensors[tensor];
    const int64_t shape[4] = {t->shape[0], t->shape[1], t->shape[2], t->shape[3]};

    return build_tensor(w->b, t->name, shape[0], shape[1], shape[2], shape[3]);
}

double flow_size(const backward *w, int32_t tensor)
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
        into = flow_like(w, in->tensor[0]);
    step = flow_step(w, HMT_STEP_SUM, forward);
    if (step == NULL || into < 0)
        return;
    memcpy(step->in, in->tensor, (size_t)in->count * sizeof in->tensor[0]);
    memcpy(step->scale, in->scale, (size_t)in->count * sizeof in->scale[0]);
    step->in_count = in->count;
    step->out[0] = into;
    step->flops = flow_size(w, into) * in->count;
    *in = (inflow){.tensor = {into}, .scale = {1.0f}, .own = {true}, .count = 1};
}

void flow_add(backward *w, int32_t of, int32_t tensor, float scale, bool own, int32_t forward)
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

int32_t flow_take(backward *w, int32_t of, int32_t forward, bool *own)
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
