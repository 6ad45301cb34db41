/*
 * In which order a tensor's elements lie in memory. Maps lie N,H,W,C; a linear layer that reads a
 * flattened map can read it as it lies if its weight lies that way too, so that flattening moves
 * nothing. Tensors and weights that must lie alike form classes; where two members of a class
 * cannot agree, each keeps its own order and RESHAPE steps move the elements.
 *
 * Also as what type: in bfloat16 statistics, gradients of vectors, and what only losses read stay
 * float.
 */
#include "exec.h"

/* Tensors 0..T-1, then weights. */
typedef struct classes {
    const hmt_plan *plan;
    int32_t *parent;
    bool *fixed;    /* must lie in its own order */
    int32_t *owner; /* by class: a fixed member, -1 none, -2 they disagree */
    int32_t tensors, count;
} classes;

static const int64_t *shape_of(const classes *k, int32_t i)
{
    return i < k->tensors ? k->plan->tensors[i].shape : k->plan->weights[i - k->tensors].shape;
}

static int32_t top(const classes *k, int32_t i)
{
    while (k->parent[i] != i)
        i = k->parent[i];
    return i;
}

static void unite(const classes *k, int32_t a, int32_t b)
{
    if (a >= 0 && b >= 0)
        k->parent[top(k, a)] = top(k, b);
}

static int32_t weight_at(const classes *k, int32_t weight)
{
    return weight < 0 ? -1 : k->tensors + weight;
}

static void fix(const classes *k, int32_t i)
{
    if (i >= 0)
        k->fixed[i] = true;
}

/* What one step asks of the orders of its operands. */
static void constrain(const classes *k, const hmt_plan_step *s)
{
    switch (s->kind) {
    case HMT_STEP_RESHAPE:
    case HMT_STEP_RELU:
    case HMT_STEP_RELU_BACKWARD:
    case HMT_STEP_DROPOUT:
    case HMT_STEP_DROPOUT_BACKWARD:
    case HMT_STEP_SUM:
        for (int i = 0; i < HMT_STEP_INPUTS; ++i)
            unite(k, s->in[i], s->out[0]);
        return;
    case HMT_STEP_LINEAR:
        unite(k, s->in[0], weight_at(k, s->weight[0]));
        fix(k, s->out[0]);
        return;
    case HMT_STEP_LINEAR_BACKWARD_DATA:
        unite(k, s->out[0], weight_at(k, s->weight[0]));
        fix(k, s->in[0]);
        return;
    case HMT_STEP_LINEAR_BACKWARD_WEIGHTS:
        unite(k, s->in[1], s->out[0]);
        fix(k, s->in[0]);
        fix(k, s->out[1]);
        return;
    case HMT_STEP_SGD: /* vectors have but one order */
        if (k->plan->weights[s->weight[0]].dimensions != 1)
            unite(k, s->in[0], weight_at(k, s->weight[0]));
        return;
    default:
        for (int i = 0; i < HMT_STEP_INPUTS; ++i)
            fix(k, s->in[i]);
        for (int i = 0; i < HMT_STEP_OUTPUTS; ++i)
            fix(k, s->out[i]);
        for (int i = 0; i < 4; ++i)
            fix(k, weight_at(k, s->weight[i]));
    }
}

static bool same_sample(const int64_t *a, const int64_t *b)
{
    return a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

/* One fixed member for each class, or the finding that they disagree. */
static void find_owners(const classes *k)
{
    for (int32_t i = 0; i < k->count; ++i)
        k->owner[i] = -1;
    for (int32_t i = 0; i < k->count; ++i) {
        int32_t *owner = &k->owner[top(k, i)];

        if (!k->fixed[i] || *owner == -2)
            continue;
        if (*owner < 0)
            *owner = i;
        else if (!same_sample(shape_of(k, *owner), shape_of(k, i)))
            *owner = -2;
    }
    /* A class without a fixed member lies as its first member does. */
    for (int32_t i = 0; i < k->count; ++i)
        if (k->owner[top(k, i)] == -1)
            k->owner[top(k, i)] = i;
}

static extent extent_of(const int64_t *samples, const int64_t *shape)
{
    return (extent){(int32_t)samples[0], (int32_t)shape[1], (int32_t)shape[2], (int32_t)shape[3]};
}

static extent order_of(const classes *k, int32_t i)
{
    const int64_t *own = shape_of(k, i);
    const int32_t owner = k->owner[top(k, i)];

    return extent_of(own, owner >= 0 ? shape_of(k, owner) : own);
}

/* Where a class disagrees, a linear layer's weight and its gradient still lie as its input does. */
static void follow_inputs(exec *e)
{
    for (size_t i = 0; i < e->plan->step_count; ++i) {
        const hmt_plan_step *s = &e->plan->steps[i];
        extent *to = NULL, from;

        if (s->kind == HMT_STEP_LINEAR) {
            to = &e->weight_order[s->weight[0]];
            from = e->tensors[s->in[0]].order;
        } else if (s->kind == HMT_STEP_LINEAR_BACKWARD_WEIGHTS) {
            to = &e->tensors[s->out[0]].order;
            from = e->tensors[s->in[1]].order;
        } else {
            continue;
        }
        *to = (extent){to->n, from.c, from.h, from.w};
    }
}

/* Whether only losses read a tensor that a linear layer or a mean makes. */
static bool only_for_losses(const hmt_plan *plan, int32_t index)
{
    bool made = false;

    for (size_t i = 0; i < plan->step_count; ++i) {
        const hmt_plan_step *s = &plan->steps[i];

        if (s->out[0] == index) {
            if (s->kind != HMT_STEP_LINEAR && s->kind != HMT_STEP_AVERAGE_POOL)
                return false;
            made = true;
        }
        for (int k = 0; k < HMT_STEP_INPUTS; ++k)
            if (s->in[k] == index && s->kind != HMT_STEP_CROSS_ENTROPY &&
                s->kind != HMT_STEP_REGRESSION_LOSS)
                return false;
    }
    return made;
}

/* Vectors: statistics, and gradients of biases and of a batch norm's scale and shift. */
static void keep_vectors_float(exec *e)
{
    for (size_t i = 0; i < e->plan->step_count; ++i) {
        const hmt_plan_step *s = &e->plan->steps[i];
        const bool has = s->kind == HMT_STEP_BATCH_NORM_TRAIN ||
                         s->kind == HMT_STEP_BATCH_NORM_BACKWARD ||
                         s->kind == HMT_STEP_CONV_BACKWARD_WEIGHTS ||
                         s->kind == HMT_STEP_LINEAR_BACKWARD_WEIGHTS;

        for (int k = 1; k < HMT_STEP_OUTPUTS && has; ++k)
            if (s->out[k] >= 0)
                e->tensors[s->out[k]].type = STORAGE_FLOAT;
    }
}

/* A flattened map that lies as the map did, which nobody needs afterwards, is the same memory. */
static void share_reshaped(exec *e)
{
    for (size_t i = 0; i < e->plan->step_count; ++i) {
        const hmt_plan_step *s = &e->plan->steps[i];
        const hmt_plan_tensor *x;
        const tensor *from;
        tensor *to;

        if (s->kind != HMT_STEP_RESHAPE || s->in[0] == s->out[0])
            continue;
        x = &e->plan->tensors[s->in[0]];
        from = &e->tensors[s->in[0]];
        to = &e->tensors[s->out[0]];
        if (x->last_step == (int32_t)i && !(x->flags & HMT_TENSOR_OUTPUT) &&
            from->order.c == to->order.c && from->order.h == to->order.h &&
            from->order.w == to->order.w && from->type == to->type)
            to->root = from->root;
    }
}

static hmt_status check_size(const exec *e, const hmt_plan_tensor *t)
{
    int64_t count = 1;

    for (int i = 0; i < 4; ++i)
        if (t->shape[i] < 1 || __builtin_mul_overflow(count, t->shape[i], &count) ||
            count > INT32_MAX)
            return e->device->host->fail(
                HMT_ERROR_LIMIT, "%s: the cudnn backend takes maps of fewer than 2^31 elements",
                t->name);
    return HMT_OK;
}

static void settle(exec *e, const classes *k)
{
    for (int32_t i = 0; i < k->tensors; ++i) {
        tensor *t = &e->tensors[i];

        t->order = order_of(k, i);
        t->type = only_for_losses(e->plan, i) ? STORAGE_FLOAT : e->device->type;
        t->root = i;
        t->count = (int64_t)t->order.n * t->order.c * t->order.h * t->order.w;
    }
    for (int32_t i = k->tensors; i < k->count; ++i)
        e->weight_order[i - k->tensors] = order_of(k, i);
    follow_inputs(e);
    keep_vectors_float(e);
    share_reshaped(e);
}

hmt_status order_decide(exec *e)
{
    const hmt_plan *plan = e->plan;
    classes k = {.plan = plan,
                 .tensors = (int32_t)plan->tensor_count,
                 .count = (int32_t)(plan->tensor_count + plan->weight_count)};
    void *block = NULL;
    hmt_status status = HMT_OK;

    for (size_t i = 0; i < plan->tensor_count && status == HMT_OK; ++i)
        status = check_size(e, &plan->tensors[i]);
    if (status == HMT_OK)
        status = device_host_memory(e->device, (uint64_t)k.count,
                                    2 * sizeof(int32_t) + sizeof(bool), "a prepared plan", &block);
    if (status != HMT_OK)
        return status;
    k.parent = block;
    k.owner = k.parent + k.count;
    k.fixed = (bool *)(k.owner + k.count);
    for (int32_t i = 0; i < k.count; ++i)
        k.parent[i] = i;
    if (plan->input >= 0)
        fix(&k, plan->input);
    for (size_t i = 0; i < plan->step_count; ++i)
        constrain(&k, &plan->steps[i]);
    find_owners(&k);
    settle(e, &k);
    device_host_free(e->device, block);
    return HMT_OK;
}
