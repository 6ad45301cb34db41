/* tier: quick
 * The graph's shapes and errors, and what lowering promises: pruning, folding, merging, each
 * parameter updated once and late enough, and an arena in which nothing that lives at the same time
 * overlaps.
 */
#include <string.h>

#include "check.h"
#include "core/memory.h"
#include "core/status.h"
#include "graph/arena.h"
#include "graph/lower.h"
#include "models/models.h"

static void build_hmtnet(graph *g, hmt_wiring wiring, hmt_aggregator aggregator)
{
    hmt_model_config config;

    models_config_defaults(&config);
    config.width = 0.125;
    config.wiring = wiring;
    config.aggregator = aggregator;
    graph_init(g, &memory_default);
    CHECK_STATUS(models_build(&config, g), HMT_OK);
}

static size_t count_steps(const lowered *l, hmt_step_kind kind)
{
    size_t count = 0;

    for (size_t i = 0; i < l->plan.step_count; ++i)
        count += l->plan.steps[i].kind == kind;
    return count;
}

static const hmt_plan_step *find_step(const lowered *l, hmt_step_kind kind, const char *name)
{
    for (size_t i = 0; i < l->plan.step_count; ++i)
        if (l->plan.steps[i].kind == kind && strcmp(l->plan.steps[i].name, name) == 0)
            return &l->plan.steps[i];
    return NULL;
}

static void shapes(void)
{
    graph g;
    const int64_t expected[][3] = {
        {12, 109, 109}, {12, 54, 54}, {32, 13, 13}, {64, 6, 6}, {512, 1, 1}};
    const char *names[] = {"conv1", "pool1", "pool2", "pool5", "fc6"};

    build_hmtnet(&g, HMT_WIRING_RELEASED, HMT_AGGREGATOR_AVERAGE);
    for (int i = 0; i < 5; ++i) {
        int32_t node = graph_find_node(&g, names[i]);

        CHECK(node >= 0 && memcmp(g.nodes[node].shape, expected[i], sizeof expected[i]) == 0);
    }
    CHECK(g.param_count == 78 && g.head_count == 3);
    graph_clear(&g);
}

/* Each mistake names its layer. */
static void mistakes(void)
{
    static const char *const layer[] = {"wide", "uneven", "pool", "sum", "twice", "drop", "head"};

    for (int i = 0; i < 7; ++i) {
        graph g;
        int32_t in, other[2];

        status_clear();
        graph_init(&g, &memory_default);
        in = graph_input(&g, "input", 6, 8, 8);
        other[0] = in;
        other[1] = graph_max_pool(&g, "half", in, 2, 2, 0, false);
        if (i == 0)
            graph_conv(&g, "wide", in, 4, 9, 1, 0, 1, true);
        else if (i == 1)
            graph_conv(&g, "uneven", in, 4, 3, 1, 1, 4, true);
        else if (i == 2)
            graph_average_pool(&g, "pool", in, 3, 0, 1, false, false);
        else if (i == 3)
            graph_add(&g, "sum", other, 2);
        else if (i == 4)
            graph_relu(&g, "twice", graph_relu(&g, "twice", in));
        else if (i == 5)
            graph_dropout(&g, "drop", in, 1.0f);
        else
            graph_head_add(&g, HMT_TASK_GENDER, graph_relu(&g, "head", in), 2);
        CHECK_STATUS(graph_finish(&g), HMT_ERROR_ARGUMENT);
        CHECK(strstr(hmt_last_error(), layer[i]) != NULL);
        graph_clear(&g);
    }
}

/* Ceil pools as PyTorch's: the last window must begin inside the image. */
static void pool_sizes(void)
{
    static const struct {
        int64_t side;
        int32_t kernel, stride, pad;
        bool ceil;
        int64_t out;
    } pool[] = {{26, 3, 2, 0, false, 12}, {26, 3, 2, 0, true, 13}, {5, 2, 2, 0, true, 3},
                {4, 2, 2, 1, true, 3},    {5, 2, 2, 1, true, 3},   {6, 3, 3, 1, true, 3},
                {7, 2, 3, 0, true, 3},    {3, 3, 3, 0, true, 1}};

    for (size_t i = 0; i < sizeof pool / sizeof pool[0]; ++i) {
        graph g;
        int32_t node;

        graph_init(&g, &memory_default);
        node = graph_max_pool(&g, "pool", graph_input(&g, "input", 1, pool[i].side, pool[i].side),
                              pool[i].kernel, pool[i].stride, pool[i].pad, pool[i].ceil);
        CHECK(node >= 0 && g.nodes[node].shape[1] == pool[i].out);
        graph_clear(&g);
    }
}

/* No two tensors that are alive at one step share a byte, unless they are one. */
static void check_arena(const lowered *l)
{
    for (size_t a = 0; a < l->plan.tensor_count; ++a)
        for (size_t b = a + 1; b < l->plan.tensor_count; ++b) {
            const hmt_plan_tensor *s = &l->plan.tensors[a], *t = &l->plan.tensors[b];
            uint64_t size_s = 4, size_t_ = 4;

            if (s->last_step < t->first_step || t->last_step < s->first_step)
                continue;
            for (int i = 0; i < 4; ++i) {
                size_s *= (uint64_t)s->shape[i];
                size_t_ *= (uint64_t)t->shape[i];
            }
            CHECK(s->offset + size_s <= t->offset || t->offset + size_t_ <= s->offset);
            CHECK(s->offset + size_s <= l->plan.arena_bytes &&
                  t->offset + size_t_ <= l->plan.arena_bytes);
        }
}

static void inference_plans(void)
{
    graph g;
    lowered *l = NULL;
    lower_options o = {.batch = 2, .tasks = HMT_TASKS_ALL, .fold = true};
    const hmt_plan_step *step;
    uint64_t arena;

    build_hmtnet(&g, HMT_WIRING_RELEASED, HMT_AGGREGATOR_AVERAGE);
    CHECK_STATUS(lower(&g, &o, &l), HMT_OK);
    /* conv3, fc6 and fc7 are also read raw, by the aggregators; all other batch norms are folded.
     */
    CHECK(count_steps(l, HMT_STEP_BATCH_NORM) == 3);
    CHECK(find_step(l, HMT_STEP_BATCH_NORM, "bn51") != NULL);
    CHECK(count_steps(l, HMT_STEP_RELU) == 0);
    /* A kernel that covers its input is an inner product. */
    CHECK(count_steps(l, HMT_STEP_LINEAR) == 3 && find_step(l, HMT_STEP_LINEAR, "fc6") != NULL);
    CHECK(count_steps(l, HMT_STEP_CONV) == 11);
    /* Aggregator 2's third has moved into fc8's weight; aggregator 1's stays, for fc6's is too
     * large to copy. */
    step = find_step(l, HMT_STEP_LINEAR, "fc8");
    CHECK(step != NULL && l->plan.weights[step->weight[0]].scale == 1.0f / 3.0f);
    CHECK(step != NULL && l->plan.weights[step->weight[1]].scale == 1.0f);
    step = find_step(l, HMT_STEP_SUM, "agg2");
    CHECK(step != NULL && step->scale[0] == 1.0f);
    step = find_step(l, HMT_STEP_SUM, "agg1");
    CHECK(step != NULL && step->scale[2] == 1.0f / 3.0f);
    check_arena(l);
    arena = l->plan.arena_bytes;
    lower_free(l);

    o.tasks = HMT_TASKS_GENDER; /* GNet needs the trunk up to relu3 only */
    CHECK_STATUS(lower(&g, &o, &l), HMT_OK);
    CHECK(count_steps(l, HMT_STEP_CONV) == 6 && count_steps(l, HMT_STEP_LINEAR) == 0);
    CHECK(count_steps(l, HMT_STEP_BATCH_NORM) == 0); /* nobody reads conv3 raw any more */
    CHECK(l->head_tensor[HMT_TASK_RACE] == -1 && l->head_tensor[HMT_TASK_GENDER] >= 0);
    CHECK(l->plan.arena_bytes <= arena);
    lower_free(l);

    o.fold = false;
    o.tasks = HMT_TASKS_ALL;
    CHECK_STATUS(lower(&g, &o, &l), HMT_OK);
    CHECK(count_steps(l, HMT_STEP_BATCH_NORM) == 13);
    for (size_t i = 0; i < l->plan.weight_count; ++i)
        CHECK(l->plan.weights[i].fold[2] < 0 && l->plan.weights[i].scale == 1.0f);
    lower_free(l);
    o.tasks = 0;
    CHECK_STATUS(lower(&g, &o, &l), HMT_ERROR_ARGUMENT);
    graph_clear(&g);
}

static void training_plans(hmt_wiring wiring, hmt_aggregator aggregator)
{
    graph g;
    lowered *l = NULL;
    lower_options o = {
        .batch = 4, .training = true, .tasks = HMT_TASKS_ALL, .trained_tasks = HMT_TASKS_ALL};
    int32_t trainable = 0;

    status_clear();
    build_hmtnet(&g, wiring, aggregator);
    for (int32_t i = 0; i < g.param_count; ++i)
        trainable += graph_param_trainable(&g.params[i]);
    CHECK_STATUS(lower(&g, &o, &l), HMT_OK);
    CHECK(count_steps(l, HMT_STEP_SGD) == (size_t)trainable);
    CHECK(count_steps(l, HMT_STEP_STATISTICS) == 13);
    check_arena(l);
    for (size_t s = 0; s < l->plan.step_count; ++s) {
        const hmt_plan_step *step = &l->plan.steps[s];

        /* Phases do not mix, and nothing reads a weight after its update. */
        CHECK(s == 0 || step->phase >= l->plan.steps[s - 1].phase);
        if (step->kind != HMT_STEP_SGD)
            continue;
        CHECK(step->phase == HMT_PHASE_BACKWARD && l->plan.weights[step->weight[0]].trained);
        for (size_t later = s + 1; later < l->plan.step_count; ++later)
            for (int i = 0; i < 4; ++i)
                CHECK(l->plan.steps[later].weight[i] != step->weight[0] ||
                      l->plan.steps[later].kind == HMT_STEP_BATCH_NORM_BACKWARD);
        /* The gradient is freed as soon as it has been used. */
        CHECK(l->plan.tensors[step->in[0]].last_step == (int32_t)s);
    }
    lower_free(l);

    o.trained_tasks = HMT_TASKS_GENDER; /* what leads to GNet alone */
    CHECK_STATUS(lower(&g, &o, &l), HMT_OK);
    CHECK(find_step(l, HMT_STEP_SGD, "gbranch.gconv1") != NULL &&
          find_step(l, HMT_STEP_SGD, "conv3") != NULL);
    CHECK(find_step(l, HMT_STEP_SGD, "conv4") == NULL && find_step(l, HMT_STEP_SGD, "fc6") == NULL);
    lower_free(l);
    graph_clear(&g);
}

static void arenas(void)
{
    hmt_interval block[4] = {
        {100, 0, 1, 0}, {100, 1, 2, 0}, {100, 2, 3, 0}, {UINT64_MAX / 2, 5, 5, 0}};
    uint64_t total = 0;

    CHECK_STATUS(arena_place(&memory_default, block, 3, &total), HMT_OK);
    CHECK(total == 228); /* the third takes the place of the first */
    CHECK(block[0].offset == block[2].offset && block[1].offset % 64 == 0);
    block[2].bytes = UINT64_MAX / 2;
    status_clear();
    CHECK_STATUS(arena_place(&memory_default, block, 4, &total), HMT_ERROR_LIMIT);
}

int main(void)
{
    shapes();
    mistakes();
    pool_sizes();
    inference_plans();
    training_plans(HMT_WIRING_RELEASED, HMT_AGGREGATOR_AVERAGE);
    training_plans(HMT_WIRING_PAPER, HMT_AGGREGATOR_AVERAGE);
    training_plans(HMT_WIRING_RELEASED, HMT_AGGREGATOR_CONCATENATE);
    arenas();
    return test_finish();
}
