/*
 * cudnn_engines [--verbose] LIBRARY: whether the real cuDNN (libcudnn.so, 9.8 or later) has engines
 * that our rules allow, for every convolution of HMTNet and some odd ones, on GPUs that are
 * described to it. conv_graph.c and conv_candidates.c of the backend ask it, as they are. Plans are
 * made and none is run: what is shown is that a convolution is not refused, and what is offered.
 */
#include <stdio.h>
#include <string.h>

#include "../check.h"
#include "conformance_rig.h"
#include "core/memory.h"
#include "cudnn/conv_graph.h"
#include "described_gpu.h"
#include "models/models.h"

/* NVIDIA's datasheets, and the tables of the CUDA programming guide by compute capability. */
static const gpu_description gpus[] = {
    {.name = "NVIDIA A100-SXM4-80GB",
     .capability = 80,
     .multiprocessors = 108,
     .clock = 1410000,
     .memory_clock = 1593000,
     .cache = 40 << 20,
     .shared = 163 << 10,
     .shared_by_system = 1 << 10,
     .threads = 2048,
     .blocks = 32,
     .memory = 80LL << 30},
    {.name = "NVIDIA H100 80GB HBM3",
     .capability = 90,
     .multiprocessors = 132,
     .clock = 1980000,
     .memory_clock = 2619000,
     .cache = 50 << 20,
     .shared = 227 << 10,
     .shared_by_system = 1 << 10,
     .threads = 2048,
     .blocks = 32,
     .memory = 80LL << 30},
    {.name = "Tesla T4",
     .capability = 75,
     .multiprocessors = 40,
     .clock = 1590000,
     .memory_clock = 5001000,
     .cache = 4 << 20,
     .shared = 64 << 10,
     .shared_by_system = 0,
     .threads = 1024,
     .blocks = 16,
     .memory = 16LL << 30},
};

static const struct {
    const char *name;
    hmt_precision precision;
    storage type;
    int capability; /* from which on there is such a thing */
} precisions[] = {
    {"float32", HMT_PRECISION_FLOAT32, STORAGE_FLOAT, 75},
    {"TF32", HMT_PRECISION_TF32, STORAGE_FLOAT, 80},
    {"bfloat16", HMT_PRECISION_BFLOAT16, STORAGE_BFLOAT16, 80},
};

static const struct {
    const char *name;
    conv_kind kind;
    int bias, relu;
} kinds[] = {
    {"forward", CONV_FORWARD, 0, 0},
    {"forward, bias", CONV_FORWARD, 1, 0},
    {"forward, bias, relu", CONV_FORWARD, 1, 1},
    {"backward data", CONV_DATA, 0, 0},
    {"backward weights", CONV_FILTER, 0, 0},
};

static const int32_t batches[] = {1, 32, 256};
enum { USUAL_BATCH = 32 };

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* ---------------------------------------------------------------------------- layers -----------
 */

/* A convolution of some network; the batch comes later. */
typedef struct layer {
    char name[GRAPH_NAME];
    extent x, y;
    hmt_window window;
    bool wide; /* of the network at width 1, where tensor cores are worth having */
} layer;

enum { LAYERS = 64 };

typedef struct layers {
    layer of[LAYERS];
    size_t count;
} layers;

static bool same(const layer *a, const layer *b)
{
    return memcmp(&a->x, &b->x, sizeof a->x) == 0 && memcmp(&a->y, &b->y, sizeof a->y) == 0 &&
           memcmp(&a->window, &b->window, sizeof a->window) == 0;
}

/* Adds a layer unless one is equal. */
static void add(layers *all, const layer *new)
{
    for (size_t i = 0; i < all->count; ++i)
        if (same(&all->of[i], new))
            return;
    CHECK(all->count < LAYERS);
    if (all->count < LAYERS)
        all->of[all->count++] = *new;
}

static extent extent_of(const int64_t shape[4])
{
    return (extent){(int32_t)shape[0], (int32_t)shape[1], (int32_t)shape[2], (int32_t)shape[3]};
}

/* The convolutions that a plan for training leaves to the backend; what became a matrix product is
 * not among them. */
static void add_plan(layers *all, const hmt_plan *plan, double width)
{
    for (size_t i = 0; i < plan->step_count; ++i) {
        const hmt_plan_step *s = &plan->steps[i];
        layer l = {.wide = width >= 1.0};

        if (s->kind != HMT_STEP_CONV)
            continue;
        snprintf(l.name, sizeof l.name, "%s", s->name);
        l.x = extent_of(plan->tensors[s->in[0]].shape);
        l.y = extent_of(plan->tensors[s->out[0]].shape);
        l.window = s->window;
        add(all, &l);
    }
}

static void add_hmtnet(layers *all, double width, hmt_aggregator aggregator, int32_t classes)
{
    const lower_options options = {.batch = 1,
                                   .training = true,
                                   .tasks = HMT_TASKS_ALL,
                                   .trained_tasks = HMT_TASKS_ALL,
                                   .delta = 1.0f};
    hmt_model_config config;
    lowered *low = NULL;
    graph g;

    models_config_defaults(&config);
    config.width = width;
    config.aggregator = aggregator;
    config.race_classes = classes;
    graph_init(&g, &memory_default);
    CHECK_STATUS(models_build(&config, &g), HMT_OK);
    CHECK_STATUS(lower(&g, &options, &low), HMT_OK);
    if (low != NULL)
        add_plan(all, &low->plan, width);
    lower_free(low);
    graph_clear(&g);
}

/* Channels of which nothing is a multiple, strides that leave a rest, groups. */
static void add_odd(layers *all)
{
    static const struct {
        int32_t in, out, size, kernel, stride, pad, groups;
    } odd[] = {
        {1, 1, 13, 1, 1, 0, 1},  {3, 5, 31, 7, 2, 3, 1},   {7, 7, 15, 3, 2, 1, 1},
        {13, 3, 13, 1, 2, 0, 1}, {17, 33, 13, 3, 1, 1, 1}, {6, 10, 13, 3, 1, 1, 2},
    };

    for (size_t i = 0; i < COUNT(odd); ++i) {
        const int32_t pad = odd[i].pad, kernel = odd[i].kernel, stride = odd[i].stride;
        const int32_t out = (odd[i].size + 2 * pad - kernel) / stride + 1;
        layer l = {.x = {1, odd[i].in, odd[i].size, odd[i].size},
                   .y = {1, odd[i].out, out, out},
                   .window = {.kernel = {kernel, kernel},
                              .stride = {stride, stride},
                              .pad = {pad, pad},
                              .groups = odd[i].groups}};

        snprintf(l.name, sizeof l.name, "odd%zu", i + 1);
        add(all, &l);
    }
}

/* ---------------------------------------------------------------------------- asking -----------
 */

/* One convolution on one GPU; indices into the tables above. */
typedef struct question {
    const layer *layer;
    size_t gpu, kind, precision;
    int32_t batch;
} question;

static bool verbose;

static void print(const question *q, const conv_graph *g)
{
    const extent x = q->layer->x, y = q->layer->y;

    printf("%-15s %4d x %3d x %3d -> %3d  %-19s %3d  %-8s  %2d", q->layer->name, x.c, x.h, x.w, y.c,
           kinds[q->kind].name, q->batch, precisions[q->precision].name, g->candidate_count);
    if (g->candidate_count > 0)
        printf("  %-12s %7.1f", g->candidates[0].kernel,
               (double)g->candidates[0].workspace / (1 << 20));
    printf("%s\n", g->candidate_count == 0 ? g->text : "");
}

static void expect(const question *q, const conv_graph *g, bool holds, const char *what)
{
    test_note(holds, __FILE__, __LINE__, what);
    if (!holds) {
        printf("  %s: ", gpus[q->gpu].name);
        print(q, g);
    }
}

static int32_t on_tensor_cores(const conv_graph *g)
{
    int32_t count = 0;

    for (int32_t i = 0; i < g->candidate_count; ++i)
        count += strstr(g->candidates[i].kernel, "tensor cores") != NULL;
    return count;
}

/* The device as device_open() leaves it; it allows no less workspace on these GPUs. */
static device device_of(const question *q, const hmt_host *host)
{
    return (device){.host = host,
                    .capability = gpus[q->gpu].capability,
                    .precision = precisions[q->precision].precision,
                    .type = precisions[q->precision].type,
                    .candidates = 4,
                    .workspace = (uint64_t)gpus[q->gpu].memory / 40};
}

static conv_problem problem_of(const question *q)
{
    conv_problem p = {.kind = kinds[q->kind].kind,
                      .x = q->layer->x,
                      .y = q->layer->y,
                      .window = q->layer->window,
                      .type = precisions[q->precision].type,
                      .bias = kinds[q->kind].bias,
                      .relu = kinds[q->kind].relu};

    p.x.n = p.y.n = q->batch;
    return p;
}

/* A candidate that was kept is found again by its name, as for a shape that was measured before. */
static void find_again(const question *q, const device *d, const conv_candidate *kept)
{
    const conv_problem p = problem_of(q);
    conv_graph g = {0};

    CHECK_STATUS(conv_graph_build(&g, d, q->layer->name, NULL, &p, kept->name, 1), HMT_OK);
    expect(q, &g,
           g.candidate_count > 0 && g.candidates[0].name == kept->name &&
               g.candidates[0].workspace == kept->workspace &&
               strcmp(g.candidates[0].kernel, kept->kernel) == 0,
           "not found again by its name");
    conv_graph_clear(&g);
}

static void ask(const question *q)
{
    const conv_problem p = problem_of(q);
    conv_graph g = {0};
    hmt_host host;
    device d;

    rig_host(&host, 1, precisions[q->precision].precision);
    d = device_of(q, &host);
    CHECK_STATUS(conv_graph_build(&g, &d, q->layer->name, NULL, &p, -1, d.candidates), HMT_OK);
    if (verbose)
        print(q, &g);
    expect(q, &g, g.candidate_count > 0, "no engine");
    if (d.precision == HMT_PRECISION_FLOAT32)
        expect(q, &g, on_tensor_cores(&g) == 0, "tensor cores in float32");
    else if (q->layer->wide && q->batch >= USUAL_BATCH)
        expect(q, &g, on_tensor_cores(&g) > 0, "no tensor cores");
    if (q->batch == USUAL_BATCH && g.candidate_count > 0)
        find_again(q, &d, &g.candidates[g.candidate_count - 1]);
    conv_graph_clear(&g);
}

static void ask_all(const layers *all, size_t gpu)
{
    question q = {.gpu = gpu};

    if (verbose)
        printf("\n%s\nlayer             C     H     W      K  kind              batch  precision  "
               "engines: first, workspace in MiB\n",
               gpus[gpu].name);
    for (q.precision = 0; q.precision < COUNT(precisions); ++q.precision)
        for (size_t l = 0; l < all->count; ++l)
            for (size_t b = 0; b < COUNT(batches); ++b)
                for (q.kind = 0; q.kind < COUNT(kinds); ++q.kind) {
                    q.layer = &all->of[l];
                    q.batch = batches[b];
                    if (gpus[gpu].capability >= precisions[q.precision].capability)
                        ask(&q);
                }
}

/* ---------------------------------------------------------------------------- main -------------
 */

int main(int argc, char **argv)
{
    static layers all;
    char why[512];

    verbose = argc > 2 && strcmp(argv[1], "--verbose") == 0;
    if (argc != (verbose ? 3 : 2)) {
        fputs("usage: cudnn_engines [--verbose] LIBRARY\n", stderr);
        return 2;
    }
    if (!described_open(argv[argc - 1], why, sizeof why)) {
        printf("%s\n", why);
        return TEST_SKIPPED;
    }
    for (size_t i = 0; i < 2; ++i) {
        const double width = i == 0 ? 1.0 : 0.25;

        add_hmtnet(&all, width, HMT_AGGREGATOR_AVERAGE, 2);
        add_hmtnet(&all, width, HMT_AGGREGATOR_CONCATENATE, 5);
    }
    CHECK(all.count >= 16);
    add_odd(&all);
    printf("cuDNN %zu, %zu convolutions\n", described_version(), all.count);
    for (size_t i = 0; i < COUNT(gpus); ++i) {
        const cudnnStatus_t status = described_use(&gpus[i]);

        CHECK(status == CUDNN_STATUS_SUCCESS);
        if (status == CUDNN_STATUS_SUCCESS)
            ask_all(&all, i);
        else
            printf("%s cannot be described: %s\n", gpus[i].name, cudnnGetErrorString(status));
    }
    described_close();
    return test_finish();
}
