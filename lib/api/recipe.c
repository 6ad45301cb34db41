/*
 * Recipes (see recipe.h). A group stands for one rule, or for none, with or without weight decay.
 */
#include "api/recipe.h"

#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "format/json.h"

enum {
    MOST_BATCH = 4096,
    MOST_RULES = 256,
    MOST_PREFIX = GRAPH_NAME,
    MOST_ACCUMULATED = 65536,
    MOST_AVERAGE_EVERY = 1000000
};

const char *const recipe_task_names[HMT_TASK_COUNT] = {"gender", "race", "attractiveness"};

static hmt_status check_rules(const hmt_trainer_options *o)
{
    if (o->rule_count > MOST_RULES || (o->rule_count > 0 && o->rules == NULL))
        return status_fail(HMT_ERROR_ARGUMENT,
                           "options: rules is NULL, or their count %zu is above %d", o->rule_count,
                           MOST_RULES);
    for (size_t i = 0; i < o->rule_count; ++i) {
        const hmt_param_rule *rule = &o->rules[i];

        if (rule->prefix == NULL || strlen(rule->prefix) >= MOST_PREFIX ||
            !json_utf8_valid(rule->prefix, strlen(rule->prefix)))
            return status_fail(HMT_ERROR_ARGUMENT,
                               "options: rule %zu has no prefix, or it is not a name", i);
        if (!(rule->rate >= 0.0) || !isfinite(rule->rate))
            return status_fail(HMT_ERROR_ARGUMENT, "options: the rate of rule %zu (%s) is %g", i,
                               rule->prefix, rule->rate);
    }
    return HMT_OK;
}

hmt_status recipe_check(const hmt_trainer_options *o)
{
    bool any = false;

    if (o->batch < 2 || o->batch > MOST_BATCH)
        return status_fail(HMT_ERROR_ARGUMENT, "options: batch is %d, not in 2..%d", o->batch,
                           MOST_BATCH);
    if (!(o->learning_rate >= 0.0) || !isfinite(o->learning_rate))
        return status_fail(HMT_ERROR_ARGUMENT, "options: learning_rate is %g", o->learning_rate);
    if (!(o->momentum >= 0.0 && o->momentum < 1.0))
        return status_fail(HMT_ERROR_ARGUMENT, "options: momentum is %g, not in [0, 1)",
                           o->momentum);
    if (!(o->weight_decay >= 0.0) || !isfinite(o->weight_decay))
        return status_fail(HMT_ERROR_ARGUMENT, "options: weight_decay is %g", o->weight_decay);
    for (int task = 0; task < HMT_TASK_COUNT; ++task) {
        if (!(o->alpha[task] >= 0.0) || !isfinite(o->alpha[task]))
            return status_fail(HMT_ERROR_ARGUMENT, "options: alpha of %s is %g",
                               recipe_task_names[task], o->alpha[task]);
        any = any || o->alpha[task] > 0.0;
    }
    if (!any)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "options: every alpha is 0, there is nothing to train");
    if ((int)o->loss < HMT_LOSS_SMOOTH_HUBER || o->loss > HMT_LOSS_SMOOTH_L1)
        return status_fail(HMT_ERROR_ARGUMENT, "options: no loss has the number %d", (int)o->loss);
    if (!(o->delta > 0.0) || !isfinite(o->delta))
        return status_fail(HMT_ERROR_ARGUMENT, "options: delta is %g, not above 0", o->delta);
    if (!(o->label_smoothing >= 0.0 && o->label_smoothing < 1.0))
        return status_fail(HMT_ERROR_ARGUMENT, "options: label_smoothing is %g, not in [0, 1)",
                           o->label_smoothing);
    if (o->accumulate < 1 || o->accumulate > MOST_ACCUMULATED)
        return status_fail(HMT_ERROR_ARGUMENT, "options: accumulate is %d, not in 1..%d",
                           o->accumulate, MOST_ACCUMULATED);
    if (o->accumulate > 1 && o->nesterov)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "options: nesterov cannot be combined with accumulate %d",
                           o->accumulate);
    if (!(o->average >= 0.0 && o->average < 1.0))
        return status_fail(HMT_ERROR_ARGUMENT, "options: average is %g, not in [0, 1)", o->average);
    if (o->average_every < 1 || o->average_every > MOST_AVERAGE_EVERY)
        return status_fail(HMT_ERROR_ARGUMENT, "options: average_every is %d, not in 1..%d",
                           o->average_every, MOST_AVERAGE_EVERY);
    return check_rules(o);
}

/* The number of the first rule that fits, from 1; 0 if none does. */
static size_t rule_of(const hmt_trainer_options *o, const char *name)
{
    for (size_t i = 0; i < o->rule_count; ++i)
        if (strncmp(name, o->rules[i].prefix, strlen(o->rules[i].prefix)) == 0)
            return i + 1;
    return 0;
}

/* Group 2r: what rule r says; group 2r + 1: the same without weight decay. */
static void assign_groups(const hmt_trainer_options *o, const graph *g, recipe *r)
{
    for (size_t i = 0; i <= o->rule_count; ++i)
        for (size_t bare = 0; bare < 2; ++bare) {
            r->rate[2 * i + bare] = i > 0 ? o->rules[i - 1].rate : 1.0;
            r->decay[2 * i + bare] = bare ? 0.0 : o->weight_decay;
        }
    for (int32_t p = 0; p < g->param_count; ++p) {
        size_t rule = rule_of(o, g->params[p].name);
        bool bare = o->decay_weights_only && g->params[p].dimensions == 1;

        r->group[p] = r->rate[2 * rule] > 0.0 ? (int32_t)(2 * rule + bare) : -1;
    }
}

hmt_status recipe_check_rules(const hmt_trainer_options *o, const graph *g)
{
    for (size_t i = 0; i < o->rule_count; ++i) {
        size_t length = strlen(o->rules[i].prefix);
        bool fits = false;

        for (int32_t p = 0; p < g->param_count && !fits; ++p)
            fits = strncmp(g->params[p].name, o->rules[i].prefix, length) == 0;
        if (!fits)
            return status_fail(HMT_ERROR_NOT_FOUND,
                               "options: rule %zu: no parameter's name begins with %s", i,
                               o->rules[i].prefix);
    }
    return HMT_OK;
}

static void put_member(json_writer *json, const char *key)
{
    json_put(json, ",\"");
    json_put(json, key);
    json_put(json, "\":");
}

static void put_number(json_writer *json, const char *key, double value)
{
    put_member(json, key);
    json_put_double(json, value);
}

static void put_integer(json_writer *json, const char *key, int64_t value)
{
    put_member(json, key);
    json_put_int64(json, value);
}

/* The learning rate is not in it: it changes from step to step and is the host's. */
static void put_recipe(json_writer *json, const hmt_trainer_options *o)
{
    json_put(json, "{\"version\":1");
    put_integer(json, "batch", o->batch);
    put_number(json, "momentum", o->momentum);
    put_integer(json, "nesterov", o->nesterov != 0);
    put_number(json, "weight_decay", o->weight_decay);
    put_integer(json, "decay_weights_only", o->decay_weights_only != 0);
    put_member(json, "alpha");
    for (int task = 0; task < HMT_TASK_COUNT; ++task) {
        json_put(json, task == 0 ? "[" : ",");
        json_put_double(json, o->alpha[task]);
    }
    json_put(json, "]");
    put_integer(json, "loss", o->loss);
    put_number(json, "delta", o->delta);
    put_number(json, "label_smoothing", o->label_smoothing);
    put_integer(json, "accumulate", o->accumulate);
    put_integer(json, "seed", (int64_t)o->seed);
    if (o->device_count > 1) /* each has the batch norm statistics of its part */
        put_integer(json, "devices", o->device_count);
    if (o->average > 0.0) {
        put_number(json, "average", o->average);
        put_integer(json, "average_every", o->average_every);
    }
    put_member(json, "rules");
    json_put(json, "[");
    for (size_t i = 0; i < o->rule_count; ++i) {
        json_put(json, i == 0 ? "[" : ",[");
        json_put_string(json, o->rules[i].prefix, strlen(o->rules[i].prefix));
        json_put(json, ",");
        json_put_double(json, o->rules[i].rate);
        json_put(json, "]");
    }
    json_put(json, "]}");
}

static hmt_status write_text(const hmt_allocator *allocator, const hmt_trainer_options *o,
                             recipe *r)
{
    json_writer measure = {NULL, 0, 0}, json;
    void *block;
    hmt_status status;

    put_recipe(&measure, o);
    status = memory_zeroed(allocator, measure.size + 1, 1, "a recipe", &block);
    if (status != HMT_OK)
        return status;
    json = (json_writer){block, measure.size, 0};
    put_recipe(&json, o);
    r->text = block;
    return HMT_OK;
}

hmt_status recipe_make(const hmt_allocator *allocator, const hmt_trainer_options *options,
                       const graph *g, recipe *out)
{
    const size_t groups = 2 * (options->rule_count + 1);
    recipe r = {.group_count = (int32_t)groups};
    void *block;
    hmt_status status = memory_zeroed(
        allocator, groups * 2 * sizeof(double) + (size_t)g->param_count * sizeof(int32_t), 1,
        "a recipe", &block);

    if (status == HMT_OK) {
        r.rate = block;
        r.decay = r.rate + groups;
        r.group = (int32_t *)(r.decay + groups);
        assign_groups(options, g, &r);
        status = write_text(allocator, options, &r);
    }
    if (status != HMT_OK) {
        recipe_clear(allocator, &r);
        return status;
    }
    *out = r;
    return HMT_OK;
}

void recipe_clear(const hmt_allocator *allocator, recipe *r)
{
    memory_free(allocator, r->rate);
    memory_free(allocator, r->text);
    *r = (recipe){.group_count = 0};
}

void recipe_groups(const recipe *r, const hmt_trainer_options *options, uint64_t step,
                   hmt_sgd *groups)
{
    const uint64_t part = step % (uint64_t)options->accumulate;
    const bool first = part == 0, last = part + 1 == (uint64_t)options->accumulate;

    for (int32_t i = 0; i < r->group_count; ++i)
        groups[i] =
            (hmt_sgd){.learning_rate = last ? (float)(options->learning_rate * r->rate[i]) : 0.0f,
                      .momentum = first ? (float)options->momentum : 1.0f,
                      .weight_decay = first ? (float)r->decay[i] : 0.0f,
                      .nesterov = options->nesterov != 0};
}
