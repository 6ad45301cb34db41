/*
 * gpu_paths MODULE: what the conformance suite does not reach in the GPU backend, through the
 * stand-ins: 8-bit pixels, staged batches, sessions on several threads, two GPUs that train as one,
 * and arrays that do not begin where four elements could be read at once.
 */
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "../check.h"
#include "../load_module.h"
#include "conformance.h"
#include "core/memory.h"
#include "core/status.h"
#include "reference/reference.h"
#include "standin.h"

static const hmt_backend *backend;
static size_t excused; /* complaints about what is freed on a device that is lost */

static void build(graph *g, int64_t channels)
{
    int32_t x = graph_input(g, "input", channels, 9, 7);

    x = graph_conv(g, "conv", x, 8, 3, 1, 1, 1, true);
    x = graph_relu(g, "relu", graph_batch_norm(g, "norm", x, true));
    x = graph_max_pool(g, "pool", x, 3, 2, 0, true);
    x = graph_linear(g, "linear", x, 12, true);
    graph_head_add(g, HMT_TASK_GENDER, graph_linear(g, "logits", x, 3, true), 3);
    graph_head_add(g, HMT_TASK_ATTRACTIVENESS, graph_linear(g, "score", x, 1, true), 0);
}

static lower_options inference(int32_t batch)
{
    return (lower_options){.batch = batch, .tasks = HMT_TASKS_ALL, .fold = true};
}

static double distance(const float *a, const float *b, int64_t count)
{
    double most = 0.0, largest = 1e-6;

    for (int64_t i = 0; i < count; ++i) {
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
        largest = fmax(largest, fabs((double)b[i]));
    }
    return most / largest;
}

/* The largest difference of the outputs of two plans after their last runs. */
static double outputs_differ(rig_plan *a, rig_plan *b)
{
    const hmt_plan *plan = &a->low->plan;
    double most = 0.0;

    for (size_t i = 0; i < plan->tensor_count; ++i)
        if (plan->tensors[i].flags & HMT_TENSOR_OUTPUT) {
            hmt_status one, two;
            float *x = rig_read(a, (int32_t)i, &one), *y = rig_read(b, (int32_t)i, &two);

            CHECK_STATUS(one, HMT_OK);
            CHECK_STATUS(two, HMT_OK);
            if (x != NULL && y != NULL)
                most = fmax(most, distance(x, y, rig_count(plan->tensors[i].shape)));
            free(x);
            free(y);
        }
    return most;
}

/* ---------------------------------------------------------------------------- images -----------
 */

static hmt_status run_images(rig_plan *p, const float *input, const uint8_t *pixels)
{
    hmt_run run = {.struct_size = sizeof run,
                   .phase = HMT_PHASE_FORWARD,
                   .input = input,
                   .pixels = pixels,
                   .pixel_scale = {0.01f, 0.02f, 0.03f},
                   .pixel_shift = {-1.0f, 0.5f, 0.25f},
                   .bad_step = -1};

    return p->r->backend->exec_run(p->exec, &run);
}

static hmt_status stage(rig_plan *p, const float *input, const uint8_t *pixels)
{
    const hmt_run run = {
        .struct_size = sizeof run, .phase = HMT_PHASE_FORWARD, .input = input, .pixels = pixels};

    return p->r->backend->exec_stage(p->exec, &run);
}

/* Levels to what input holds: (N,H,W,3) to (N,3,H,W). */
static void normalise(const uint8_t *pixels, float *input, int32_t batch, int64_t area)
{
    static const float scale[3] = {0.01f, 0.02f, 0.03f}, shift[3] = {-1.0f, 0.5f, 0.25f};

    for (int32_t n = 0; n < batch; ++n)
        for (int64_t i = 0; i < area; ++i)
            for (int c = 0; c < 3; ++c)
                input[(n * 3 + c) * area + i] =
                    (float)pixels[(n * area + i) * 3 + c] * scale[c] + shift[c];
}

enum { BATCH = 3, AREA = 9 * 7, COUNT = BATCH * 3 * AREA, BATCHES = 5 };

/* Several batches in every way that they can arrive; each must give what the reference gives. */
static void images(void)
{
    static uint8_t pixels[BATCHES][COUNT];
    static float values[BATCHES][COUNT];
    const lower_options options = inference(BATCH);
    rig tested, reference;
    rig_plan a, b;
    graph g;

    graph_init(&g, &memory_default);
    build(&g, 3);
    for (int i = 0; i < BATCHES; ++i) {
        for (int k = 0; k < COUNT; ++k)
            pixels[i][k] = (uint8_t)((k * 37 + i * 101) % 256);
        normalise(pixels[i], values[i], BATCH, AREA);
    }
    CHECK_STATUS(rig_open(&tested, backend, &g, 1, HMT_PRECISION_FLOAT32, false), HMT_OK);
    CHECK_STATUS(rig_open(&reference, &backend_reference, &g, 1, HMT_PRECISION_FLOAT32, true),
                 HMT_OK);
    CHECK_STATUS(rig_prepare(&tested, &options, &a), HMT_OK);
    CHECK_STATUS(rig_prepare(&reference, &options, &b), HMT_OK);
    /* Pixels staged one ahead, two ahead, and one that is replaced by a third. */
    CHECK_STATUS(stage(&a, NULL, pixels[0]), HMT_OK);
    for (int i = 0; i < BATCHES; ++i) {
        if (i + 1 < BATCHES)
            CHECK_STATUS(stage(&a, NULL, pixels[i + 1]), HMT_OK);
        if (i == 2)
            CHECK_STATUS(stage(&a, values[4], NULL), HMT_OK);
        CHECK_STATUS(run_images(&a, NULL, pixels[i]), HMT_OK);
        CHECK_STATUS(run_images(&b, values[i], NULL), HMT_OK);
        CHECK(outputs_differ(&a, &b) < 2e-5);
    }
    for (int i = 0; i < BATCHES; ++i) { /* floats, some of them staged */
        if (i % 2)
            CHECK_STATUS(stage(&a, values[i], NULL), HMT_OK);
        CHECK_STATUS(run_images(&a, values[i], NULL), HMT_OK);
        CHECK_STATUS(run_images(&b, values[i], NULL), HMT_OK);
        CHECK(outputs_differ(&a, &b) < 2e-5);
    }
    CHECK_STATUS(run_images(&a, NULL, NULL), HMT_ERROR_ARGUMENT);
    status_clear();
    rig_release(&a);
    rig_release(&b);
    rig_close(&tested);
    rig_close(&reference);
    graph_clear(&g);
}

/* ---------------------------------------------------------------------------- threads ----------
 */

enum { THREADS = 4, ROUNDS = 12 };

typedef struct job {
    rig *r;
    int32_t batch;
    double error;
    hmt_status status;
} job;

static void *infer(void *user)
{
    job *j = user;
    const lower_options options = inference(j->batch);
    rig_plan p;
    float *first = NULL;
    int32_t output = -1;

    j->status = rig_prepare(j->r, &options, &p);
    if (j->status != HMT_OK)
        return NULL;
    for (size_t i = 0; i < p.low->plan.tensor_count; ++i)
        if (p.low->plan.tensors[i].flags & HMT_TENSOR_OUTPUT)
            output = (int32_t)i;
    for (int i = 0; i < ROUNDS && j->status == HMT_OK; ++i) {
        float *now = NULL;

        j->status = rig_step(&p, NULL);
        if (j->status == HMT_OK)
            now = rig_read(&p, output, &j->status);
        if (first == NULL)
            first = now;
        else if (now != NULL)
            j->error =
                fmax(j->error, distance(now, first, rig_count(p.low->plan.tensors[output].shape)));
        if (now != first)
            free(now);
    }
    free(first);
    rig_release(&p);
    return NULL;
}

/* Sessions of one model on threads of their own, made and freed at the same time. */
static void threads(void)
{
    pthread_t thread[THREADS];
    job jobs[THREADS];
    graph g;
    rig r;

    graph_init(&g, &memory_default);
    build(&g, 2);
    CHECK_STATUS(rig_open(&r, backend, &g, 1, HMT_PRECISION_TF32, false), HMT_OK);
    for (int i = 0; i < THREADS; ++i) {
        jobs[i] = (job){&r, 1 + i % 3, 0.0, HMT_OK};
        CHECK(pthread_create(&thread[i], NULL, infer, &jobs[i]) == 0);
    }
    for (int i = 0; i < THREADS; ++i) {
        pthread_join(thread[i], NULL);
        CHECK(jobs[i].status == HMT_OK);
        CHECK(jobs[i].error == 0.0); /* the same run gives the same bits */
    }
    rig_close(&r);
    graph_clear(&g);
}

/* ---------------------------------------------------------------------------- groups -----------
 */

static const lower_options training = {.batch = 4,
                                       .tasks = HMT_TASKS_ALL,
                                       .delta = 0.6f,
                                       .trained_tasks = HMT_TASKS_ALL,
                                       .losses = true,
                                       .training = true};
static const hmt_sgd rate = {0.01f, 0.9f, 0.01f, 0};

static hmt_status open_second(int32_t device, const hmt_host *host, void **opened)
{
    return backend->device_open(device + 1, host, opened);
}

typedef struct half {
    rig_plan *plan;
    hmt_status status;
} half;

static void *backward(void *user)
{
    half *h = user;

    h->status = rig_run(h->plan, HMT_PHASE_BACKWARD, &rate);
    return NULL;
}

/* One step of both members, backward at the same time. */
static void step_both(rig_plan p[2], hmt_status status[2])
{
    half halves[2] = {{&p[0], HMT_OK}, {&p[1], HMT_OK}};
    pthread_t thread;

    for (int i = 0; i < 2; ++i)
        CHECK_STATUS(rig_run(&p[i], HMT_PHASE_FORWARD, NULL), HMT_OK);
    CHECK(pthread_create(&thread, NULL, backward, &halves[1]) == 0);
    backward(&halves[0]);
    pthread_join(thread, NULL);
    status[0] = halves[0].status;
    status[1] = halves[1].status;
}

static double parameters_differ(rig_plan *a, rig_plan *b)
{
    double most = 0.0;

    for (size_t i = 0; i < a->low->plan.weight_count; ++i) {
        hmt_status one, two;
        float *x = rig_slot(a, i, HMT_SLOT_VALUE, &one), *y = rig_slot(b, i, HMT_SLOT_VALUE, &two);

        CHECK_STATUS(one, HMT_OK);
        CHECK_STATUS(two, HMT_OK);
        if (x != NULL && y != NULL)
            most = fmax(most, distance(x, y, rig_count(a->low->plan.weights[i].shape)));
        free(x);
        free(y);
    }
    return most;
}

/* Two GPUs with the same batch: the sum of their gradients is that of the reference with losses
 * that count twice; their parameters stay equal to the bit. Then one fails, and both end. */
static void group(hmt_precision precision, double tolerance)
{
    hmt_backend second = *backend;
    const hmt_backend *backends[2] = {backend, &second};
    rig r[2], reference;
    rig_plan p[2], b;
    hmt_status status[2];
    graph g;

    second.device_open = open_second;
    graph_init(&g, &memory_default);
    build(&g, 2);
    CHECK_STATUS(rig_open(&reference, &backend_reference, &g, 1, HMT_PRECISION_FLOAT32, false),
                 HMT_OK);
    CHECK_STATUS(rig_prepare(&reference, &training, &b), HMT_OK);
    for (size_t t = 0; t < b.low->plan.task_count; ++t)
        b.tasks[t].scale *= 2;
    for (int i = 0; i < 2; ++i) {
        CHECK_STATUS(rig_open(&r[i], backends[i], &g, 1, precision, false), HMT_OK);
        CHECK_STATUS(rig_prepare(&r[i], &training, &p[i]), HMT_OK);
    }
    CHECK_STATUS(backend->exec_join((void *const[]){p[0].exec, p[1].exec}, 2), HMT_OK);
    for (int i = 0; i < 4; ++i) { /* forward as a graph from the second on */
        step_both(p, status);
        CHECK_STATUS(status[0], HMT_OK);
        CHECK_STATUS(status[1], HMT_OK);
        CHECK_STATUS(rig_step(&b, &rate), HMT_OK);
        CHECK(parameters_differ(&p[0], &p[1]) == 0.0);
        CHECK(parameters_differ(&p[0], &b) < tolerance);
    }
    for (int i = 0; i < 2; ++i)
        CHECK_STATUS(rig_run(&p[i], HMT_PHASE_FORWARD, NULL), HMT_OK);
    CHECK(standin_complaints() == excused);
    standin_lose_device(1);
    {
        half halves[2] = {{&p[0], HMT_OK}, {&p[1], HMT_OK}};
        pthread_t thread;

        CHECK(pthread_create(&thread, NULL, backward, &halves[1]) == 0);
        backward(&halves[0]);
        pthread_join(thread, NULL);
        CHECK(halves[0].status != HMT_OK);
        CHECK(halves[1].status != HMT_OK);
    }
    status_clear();
    CHECK_STATUS(rig_run(&p[0], HMT_PHASE_FORWARD, NULL), HMT_ERROR_STATE);
    status_clear();
    for (int i = 0; i < 2; ++i) {
        rig_release(&p[i]);
        rig_close(&r[i]);
    }
    standin_reset();
    excused = standin_complaints();
    rig_release(&b);
    rig_close(&reference);
    graph_clear(&g);
}

/* ---------------------------------------------------------------------------- alignment --------
 */

/* fc7 at width 0.3: its second chunk of weights begins at an odd element and has a multiple of four
 * of them. What comes back is what went in, and what was trained goes in. */
static void odd_chunks(hmt_precision precision)
{
    enum { FEATURES = 1229 };
    rig r;
    rig_plan p;
    graph g;

    graph_init(&g, &memory_default);
    graph_head_add(&g, HMT_TASK_GENDER,
                   graph_linear(&g, "logits",
                                graph_linear(&g, "fc7", graph_input(&g, "input", FEATURES, 1, 1),
                                             FEATURES, true),
                                3, true),
                   3);
    CHECK_STATUS(rig_open(&r, backend, &g, 1, precision, false), HMT_OK);
    CHECK_STATUS(rig_prepare(&r, &training, &p), HMT_OK);
    for (size_t i = 0; i < p.low->plan.weight_count; ++i) {
        const hmt_plan_weight *w = &p.low->plan.weights[i];
        const int64_t count = rig_count(w->shape);
        float *given = r.params[w->param];
        hmt_status status;

        for (int round = 0; round < 2; ++round) {
            float *got = rig_slot(&p, i, HMT_SLOT_VALUE, &status);

            CHECK_STATUS(status, HMT_OK);
            CHECK(got != NULL && memcmp(got, given, (size_t)count * sizeof *got) == 0);
            free(got);
            for (int64_t k = 0; k < count; ++k)
                given[k] = 0.5f - given[k];
            CHECK_STATUS(backend->weights_set(r.weights, w, HMT_SLOT_VALUE, given), HMT_OK);
        }
    }
    rig_release(&p);
    rig_close(&r);
    graph_clear(&g);
}

/* A loss of an odd batch and four classes, whose logits and gradient pass through scratch. */
static void odd_loss(void)
{
    lower_options options = training;
    rig r, reference;
    rig_plan p, b;
    graph g;

    options.batch = 5;
    graph_init(&g, &memory_default);
    graph_head_add(&g, HMT_TASK_GENDER,
                   graph_linear(&g, "logits", graph_input(&g, "input", 8, 1, 1), 4, true), 4);
    CHECK_STATUS(rig_open(&r, backend, &g, 1, HMT_PRECISION_BFLOAT16, false), HMT_OK);
    CHECK_STATUS(rig_open(&reference, &backend_reference, &g, 1, HMT_PRECISION_FLOAT32, false),
                 HMT_OK);
    CHECK_STATUS(rig_prepare(&r, &options, &p), HMT_OK);
    CHECK_STATUS(rig_prepare(&reference, &options, &b), HMT_OK);
    CHECK_STATUS(rig_step(&p, &rate), HMT_OK);
    CHECK_STATUS(rig_step(&b, &rate), HMT_OK);
    CHECK(fabs(rig_loss(&p) - rig_loss(&b)) < 0.02 * rig_loss(&b));
    CHECK(parameters_differ(&p, &b) < 0.01);
    rig_release(&p);
    rig_release(&b);
    rig_close(&r);
    rig_close(&reference);
    graph_clear(&g);
}

int main(int argc, char **argv)
{
    size_t leaks;

    backend = argc > 1 ? load_module(argv[1]) : NULL;
    if (backend == NULL)
        return 2;
    leaks = standin_leaks(NULL);
    CHECK(standin_set("STANDIN_DEVICES", "2") == 0);
    images();
    threads();
    group(HMT_PRECISION_FLOAT32, 1e-4);
    group(HMT_PRECISION_BFLOAT16, 0.2);
    odd_chunks(HMT_PRECISION_FLOAT32);
    odd_chunks(HMT_PRECISION_BFLOAT16);
    odd_loss();
    CHECK(standin_leaks(stdout) == leaks);
    CHECK(standin_complaints() == excused);
    return test_finish();
}
