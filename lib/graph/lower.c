/*
 * Lowering: pruning, the plan's tables, liveness and arena. The steps themselves are made by
 * lower_forward.c and lower_backward.c.
 */
#include "graph/lower.h"

#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "graph/arena.h"
#include "graph/lower_build.h"

/* Makes room for one more element in an array that grows by doubling; NULL after a failure. */
static void *room(build *b, void **array, int32_t *count, int32_t *capacity, size_t size)
{
    void *larger;

    if (b->status != HMT_OK)
        return NULL;
    if (*count == *capacity) {
        int32_t wanted = *capacity > 0 ? *capacity * 2 : 128;

        b->status = memory_zeroed(b->allocator, (size_t)wanted, size, "a plan", &larger);
        if (b->status != HMT_OK)
            return NULL;
        if (*count > 0)
            memcpy(larger, *array, (size_t)*count * size);
        memory_free(b->allocator, *array);
        *array = larger;
        *capacity = wanted;
    }
    return (char *)*array + (size_t)(*count)++ * size;
}

int32_t build_group(const build *b, int32_t param)
{
    if (!b->options->training)
        return -1;
    return b->options->group != NULL ? b->options->group[param] : 0;
}

bool build_is_backward(const build *b)
{
    return b->options->training || b->options->gradients;
}

int32_t build_tensor(build *b, const char *name, int64_t n, int64_t c, int64_t h, int64_t w)
{
    void *array = b->tensors;
    hmt_plan_tensor *tensor = room(b, &array, &b->tensor_count, &b->tensor_room, sizeof *tensor);

    b->tensors = array;
    if (tensor == NULL)
        return -1;
    *tensor =
        (hmt_plan_tensor){.name = name, .shape = {n, c, h, w}, .first_step = -1, .last_step = -1};
    return b->tensor_count - 1;
}

static bool same_weight(const hmt_plan_weight *a, const hmt_plan_weight *b)
{
    return a->param == b->param && a->is_bias == b->is_bias && a->scale == b->scale &&
           a->shape[0] == b->shape[0] && memcmp(a->fold, b->fold, sizeof a->fold) == 0;
}

int32_t build_weight(build *b, int32_t param, bool is_bias, const graph_node *fold, float scale,
                     int64_t length)
{
    hmt_plan_weight weight = {.name = fold != NULL ? fold->name : "",
                              .shape = {length, 1, 1, 1},
                              .dimensions = 1,
                              .param = param,
                              .is_bias = is_bias,
                              .fold = {-1, -1, -1, -1},
                              .scale = scale};
    hmt_plan_weight *added;
    void *array = b->weights;

    if (param >= 0) {
        const graph_param *p = &b->g->params[param];

        weight.name = p->name;
        weight.dimensions = p->dimensions;
        memcpy(weight.shape, p->shape, sizeof weight.shape);
    }
    if (fold != NULL) {
        memcpy(weight.fold, fold->param, sizeof weight.fold);
        weight.epsilon = fold->epsilon;
    }
    for (int32_t i = 0; i < b->weight_count; ++i)
        if (same_weight(&b->weights[i], &weight))
            return i;
    added = room(b, &array, &b->weight_count, &b->weight_room, sizeof *added);
    b->weights = array;
    if (added == NULL)
        return -1;
    *added = weight;
    return b->weight_count - 1;
}

hmt_plan_step *build_step(build *b, hmt_step_kind kind, const char *name)
{
    void *array = b->steps;
    hmt_plan_step *step = room(b, &array, &b->step_count, &b->step_room, sizeof *step);

    b->steps = array;
    if (step == NULL)
        return NULL;
    memset(step, 0, sizeof *step);
    step->kind = kind;
    step->phase = HMT_PHASE_FORWARD;
    step->name = name;
    for (int i = 0; i < HMT_STEP_INPUTS; ++i)
        step->in[i] = -1;
    for (int i = 0; i < HMT_STEP_OUTPUTS; ++i)
        step->out[i] = -1;
    for (int i = 0; i < 4; ++i)
        step->weight[i] = -1;
    step->forward = -1;
    return step;
}

/* Marks what leads to the heads and taps that were asked for, and who reads whom. */
static hmt_status prune(build *b)
{
    const graph *g = b->g;

    for (int32_t i = 0; i < g->head_count; ++i)
        if (b->options->tasks & (1u << g->heads[i].task))
            b->kept[g->heads[i].node] = true;
    for (int32_t i = 0; i < b->options->tap_count; ++i)
        b->kept[b->options->taps[i]] = true;
    for (int32_t i = g->node_count - 1; i >= 0; --i) {
        b->tensor_of[i] = b->consumer[i] = -1;
        b->weight_scale[i] = b->value_scale[i] = 1.0f;
        b->needed[i] = b->needed[i] || b->kept[i];
        for (int32_t k = 0; b->needed[i] && k < g->nodes[i].in_count; ++k)
            b->needed[g->nodes[i].in[k]] = true;
    }
    for (int32_t i = 0; i < g->node_count; ++i)
        for (int32_t k = 0; b->needed[i] && k < g->nodes[i].in_count; ++k) {
            int32_t *consumer = &b->consumer[g->nodes[i].in[k]];

            *consumer = *consumer == -1 ? i : -2;
        }
    for (int32_t i = 0; i < g->node_count; ++i)
        if (b->kept[i])
            return HMT_OK;
    return status_fail(HMT_ERROR_ARGUMENT, "no head of this network and no tap was asked for");
}

static void touch(build *b, int32_t tensor, int32_t step)
{
    hmt_plan_tensor *t;

    if (tensor < 0)
        return;
    t = &b->tensors[tensor];
    if (t->first_step < 0 && !(t->flags & HMT_TENSOR_INPUT))
        t->first_step = step;
    t->last_step = step;
}

/* Sets each tensor's lifetime and its place in the arena. */
static void place(build *b, uint64_t *total)
{
    hmt_interval *intervals;
    void *block;

    for (int32_t s = 0; s < b->step_count; ++s) {
        for (int i = 0; i < HMT_STEP_INPUTS; ++i)
            touch(b, b->steps[s].in[i], s);
        for (int i = 0; i < HMT_STEP_OUTPUTS; ++i)
            touch(b, b->steps[s].out[i], s);
    }
    if (b->status == HMT_OK)
        b->status = memory_zeroed(b->allocator, (size_t)b->tensor_count, sizeof *intervals,
                                  "a plan", &block);
    if (b->status != HMT_OK)
        return;
    intervals = block;
    for (int32_t i = 0; i < b->tensor_count; ++i) {
        hmt_plan_tensor *t = &b->tensors[i];
        int64_t elements = 1, bytes = 0;

        if (t->flags & HMT_TENSOR_OUTPUT)
            t->last_step = b->step_count;
        for (int k = 0; k < 4; ++k)
            if (__builtin_mul_overflow(elements, t->shape[k], &elements))
                b->status = status_fail(HMT_ERROR_LIMIT, "layer %s: its map is too large", t->name);
        if (__builtin_mul_overflow(elements, (int64_t)sizeof(float), &bytes))
            b->status = status_fail(HMT_ERROR_LIMIT, "layer %s: its map is too large", t->name);
        intervals[i] = (hmt_interval){(uint64_t)bytes, t->first_step, t->last_step, 0};
    }
    if (b->status == HMT_OK)
        b->status = arena_place(b->allocator, intervals, (size_t)b->tensor_count, total);
    for (int32_t i = 0; b->status == HMT_OK && i < b->tensor_count; ++i)
        b->tensors[i].offset = intervals[i].offset;
    memory_free(b->allocator, block);
}

/* Names in steps and tensors point into the graph; the plan must outlive it, so they move into one
 * block of ours. */
static hmt_status own_names(lowered *plan, build *b)
{
    size_t used = 0, count = (size_t)(b->tensor_count + b->weight_count + b->step_count);
    void *block;
    hmt_status status = memory_zeroed(b->allocator, count, GRAPH_NAME, "a plan", &block);

    if (status != HMT_OK)
        return status;
    plan->names = block;
    for (int32_t i = 0; i < b->tensor_count; ++i) {
        snprintf(plan->names[used], GRAPH_NAME, "%s", b->tensors[i].name);
        b->tensors[i].name = plan->names[used++];
    }
    for (int32_t i = 0; i < b->weight_count; ++i) {
        snprintf(plan->names[used], GRAPH_NAME, "%s", b->weights[i].name);
        b->weights[i].name = plan->names[used++];
    }
    for (int32_t i = 0; i < b->step_count; ++i) {
        snprintf(plan->names[used], GRAPH_NAME, "%s", b->steps[i].name);
        b->steps[i].name = plan->names[used++];
    }
    return HMT_OK;
}

/* Hands the arrays over to the finished plan. */
static void finish(lowered *plan, build *b, uint64_t arena)
{
    const graph *g = b->g;

    plan->plan = (hmt_plan){.struct_size = sizeof plan->plan,
                            .training = build_is_backward(b),
                            .batch = b->options->batch,
                            .input = -1,
                            .tensors = b->tensors,
                            .tensor_count = (size_t)b->tensor_count,
                            .weights = b->weights,
                            .weight_count = (size_t)b->weight_count,
                            .steps = b->steps,
                            .step_count = (size_t)b->step_count,
                            .task_count = (size_t)b->task_count,
                            .arena_bytes = arena};
    b->tensors = NULL;
    b->weights = NULL;
    b->steps = NULL;
    plan->input_gradient = -1;
    for (int32_t i = 0; i < b->tensor_count; ++i)
        if (plan->plan.tensors[i].flags & HMT_TENSOR_INPUT) {
            plan->plan.input = i;
            if (b->gradient_of != NULL)
                plan->input_gradient = b->gradient_of[i];
        }
    for (int32_t task = 0; task < HMT_TASK_COUNT; ++task) {
        plan->head_tensor[task] = -1;
        plan->head_task[task] = b->head_task[task];
    }
    for (int32_t i = 0; i < g->head_count; ++i)
        if (b->options->tasks & (1u << g->heads[i].task))
            plan->head_tensor[g->heads[i].task] = b->tensor_of[g->heads[i].node];
    for (int32_t i = 0; i < b->options->tap_count; ++i) {
        plan->tap_tensor[i] = b->tensor_of[b->options->taps[i]];
        plan->tap_gradient[i] = b->gradient_of != NULL ? b->gradient_of[plan->tap_tensor[i]] : -1;
    }
}

/* The forward steps are there: their tensors have numbers. */
static void gradient_table(build *b)
{
    void *block;

    if (b->status != HMT_OK || !b->options->gradients)
        return;
    b->status = memory_zeroed(b->allocator, (size_t)b->tensor_count, sizeof *b->gradient_of,
                              "a plan", &block);
    if (b->status != HMT_OK)
        return;
    b->gradient_of = block;
    for (int32_t i = 0; i < b->tensor_count; ++i)
        b->gradient_of[i] = -1;
}

/* The arrays indexed by node, all in one block. */
static hmt_status node_tables(build *b, void **block)
{
    size_t n = (size_t)b->g->node_count;
    hmt_status status = memory_zeroed(b->allocator, n, 4 * sizeof(int32_t) + 3, "a plan", block);

    if (status != HMT_OK)
        return status;
    b->tensor_of = *block;
    b->consumer = b->tensor_of + n;
    b->weight_scale = (float *)(b->consumer + n);
    b->value_scale = b->weight_scale + n;
    b->needed = (bool *)(b->value_scale + n);
    b->kept = b->needed + n;
    b->learns = b->kept + n;
    return HMT_OK;
}

hmt_status lower(const graph *g, const lower_options *options, lowered **out)
{
    build b = {.g = g, .options = options, .allocator = g->allocator, .head_task = {-1, -1, -1}};
    lowered *plan = NULL;
    void *tables = NULL, *block;
    uint64_t arena = 0;

    b.status = node_tables(&b, &tables);
    if (b.status == HMT_OK)
        b.status = memory_zeroed(b.allocator, 1, sizeof *plan, "a plan", &block);
    if (b.status != HMT_OK)
        goto fail;
    plan = block;
    plan->allocator = b.allocator;
    b.status = memory_zeroed(b.allocator, (size_t)options->tap_count, 2 * sizeof(int32_t), "a plan",
                             &block);
    if (b.status != HMT_OK)
        goto fail;
    plan->tap_tensor = block;
    plan->tap_gradient = plan->tap_tensor + options->tap_count;
    b.status = prune(&b);
    if (b.status != HMT_OK)
        goto fail;
    build_forward(&b);
    gradient_table(&b);
    if (build_is_backward(&b))
        build_backward(&b);
    place(&b, &arena);
    if (b.status == HMT_OK)
        b.status = own_names(plan, &b);
    if (b.status != HMT_OK)
        goto fail;
    finish(plan, &b, arena);
    memory_free(b.allocator, tables);
    memory_free(b.allocator, b.gradient_of);
    *out = plan;
    return HMT_OK;

fail:
    memory_free(b.allocator, b.tensors);
    memory_free(b.allocator, b.weights);
    memory_free(b.allocator, b.steps);
    memory_free(b.allocator, tables);
    memory_free(b.allocator, b.gradient_of);
    lower_free(plan);
    return b.status;
}

void lower_free(lowered *plan)
{
    if (plan == NULL)
        return;
    memory_free(plan->allocator, (void *)plan->plan.tensors);
    memory_free(plan->allocator, (void *)plan->plan.weights);
    memory_free(plan->allocator, (void *)plan->plan.steps);
    memory_free(plan->allocator, plan->names);
    memory_free(plan->allocator, plan->tap_tensor);
    memory_free(plan->allocator, plan);
}

const char *lower_kind_name(hmt_step_kind kind)
{
    static const struct {
        hmt_step_kind kind;
        const char *name;
    } table[] = {
        {HMT_STEP_CONV, "conv"},
        {HMT_STEP_LINEAR, "linear"},
        {HMT_STEP_BATCH_NORM, "batch_norm"},
        {HMT_STEP_BATCH_NORM_TRAIN, "batch_norm_train"},
        {HMT_STEP_RELU, "relu"},
        {HMT_STEP_MAX_POOL, "max_pool"},
        {HMT_STEP_AVERAGE_POOL, "average_pool"},
        {HMT_STEP_SUM, "sum"},
        {HMT_STEP_CONCAT, "concat"},
        {HMT_STEP_SLICE, "slice"},
        {HMT_STEP_RESHAPE, "reshape"},
        {HMT_STEP_DROPOUT, "dropout"},
        {HMT_STEP_CROSS_ENTROPY, "cross_entropy"},
        {HMT_STEP_REGRESSION_LOSS, "regression_loss"},
        {HMT_STEP_CONV_BACKWARD_DATA, "conv_backward_data"},
        {HMT_STEP_CONV_BACKWARD_WEIGHTS, "conv_backward_weights"},
        {HMT_STEP_LINEAR_BACKWARD_DATA, "linear_backward_data"},
        {HMT_STEP_LINEAR_BACKWARD_WEIGHTS, "linear_backward_weights"},
        {HMT_STEP_BATCH_NORM_BACKWARD, "batch_norm_backward"},
        {HMT_STEP_RELU_BACKWARD, "relu_backward"},
        {HMT_STEP_MAX_POOL_BACKWARD, "max_pool_backward"},
        {HMT_STEP_AVERAGE_POOL_BACKWARD, "average_pool_backward"},
        {HMT_STEP_DROPOUT_BACKWARD, "dropout_backward"},
        {HMT_STEP_BATCH_NORM_BACKWARD_DATA, "batch_norm_backward_data"},
        {HMT_STEP_ONE_HOT, "one_hot"},
        {HMT_STEP_SGD, "sgd"},
        {HMT_STEP_STATISTICS, "statistics"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; ++i)
        if (table[i].kind == kind)
            return table[i].name;
    return "unknown";
}
