/* tier: quick */
/*
 * The reference backend against the definitions of its forward steps, written out as plainly as
 * they can be; and as a good guest: refused plans, failed allocations, weights shared by threads.
 * Gradients are checked by differences in conformance_gradient.c.
 */
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "check.h"
#include "fill.h"
#include "reference/reference.h"

/* ---------------------------------------------------------------------------- a host ------------
 */

static atomic_long blocks, allocations, fail_at = -1; /* fail_at: that allocation fails; -1 none */

static void *allocate(void *user, size_t size, size_t alignment)
{
    void *block = NULL;

    (void)user;
    if (atomic_fetch_add(&allocations, 1) == fail_at ||
        posix_memalign(&block, alignment, size) != 0)
        return NULL;
    atomic_fetch_add(&blocks, 1);
    memset(block, 0xFF, size); /* NaN: what is read before it is written shows */
    return block;
}

static void release(void *user, void *block)
{
    (void)user;
    atomic_fetch_sub(&blocks, 1);
    free(block);
}

static hmt_status fail(hmt_status status, const char *format, ...)
{
    (void)format;
    return status;
}

static const hmt_host host = {
    .struct_size = sizeof host, .allocator = {allocate, release, NULL}, .threads = 1, .fail = fail};

/* The reference backend reads weights whole. */
static hmt_status read_weight(void *user, const hmt_plan_weight *weight, int64_t first,
                              int64_t count, float *values)
{
    (void)user;
    if (first != 0 || count != weight->shape[0])
        return HMT_ERROR_ARGUMENT;
    fill_tensor(weight->name, weight->dimensions, weight->shape, values);
    return HMT_OK;
}

static float *no_view(void *user, const hmt_plan_weight *weight)
{
    (void)user;
    (void)weight;
    return NULL;
}

static const hmt_source source = {sizeof source, NULL, read_weight, no_view, NULL};

/* ---------------------------------------------------------------------------- one step ----------
 */

enum { MOST = 8192 };

/* A plan of one step: x -> y, with a weight and a bias if it is a convolution. */
typedef struct one {
    hmt_plan plan;
    hmt_plan_tensor tensors[2];
    hmt_plan_weight weights[2];
    hmt_plan_step step;
    float x[MOST], y[MOST], weight[MOST], bias[64];
} one;

static int64_t count_of(const int64_t shape[4])
{
    return shape[0] * shape[1] * shape[2] * shape[3];
}

static void set_up(one *o, hmt_step_kind kind, const int64_t in[4], const int64_t out[4],
                   hmt_window window)
{
    memset(o, 0, sizeof *o);
    memcpy(o->tensors[0].shape, in, sizeof o->tensors[0].shape);
    memcpy(o->tensors[1].shape, out, sizeof o->tensors[1].shape);
    o->tensors[0].flags = HMT_TENSOR_INPUT;
    o->tensors[1].flags = HMT_TENSOR_OUTPUT;
    o->tensors[1].offset = MOST * sizeof(float);
    o->step = (hmt_plan_step){.kind = kind,
                              .name = "step",
                              .in = {0, -1, -1, -1, -1},
                              .out = {1, -1, -1},
                              .weight = {-1, -1, -1, -1},
                              .window = window,
                              .forward = -1};
    o->plan = (hmt_plan){.struct_size = sizeof o->plan,
                         .batch = (int32_t)in[0],
                         .tensors = o->tensors,
                         .tensor_count = 2,
                         .weights = o->weights,
                         .steps = &o->step,
                         .step_count = 1,
                         .arena_bytes = 2 * MOST * sizeof(float)};
    fill_tensor("input.reference", 4, in, o->x);
}

static void add_weights(one *o, int64_t outputs, int64_t inputs, int64_t kh, int64_t kw)
{
    o->weights[0] = (hmt_plan_weight){.name = "step.weight",
                                      .shape = {outputs, inputs, kh, kw},
                                      .dimensions = 4,
                                      .param = 0,
                                      .fold = {-1, -1, -1, -1},
                                      .scale = 1.0f};
    o->weights[1] = o->weights[0];
    o->weights[1].name = "step.bias";
    o->weights[1].dimensions = 1;
    o->weights[1].param = o->weights[1].is_bias = 1;
    o->weights[1].shape[1] = o->weights[1].shape[2] = o->weights[1].shape[3] = 1;
    o->plan.weight_count = 2;
    o->step.weight[0] = 0;
    o->step.weight[1] = 1;
    read_weight(NULL, &o->weights[0], 0, (&o->weights[0])->shape[0], o->weight);
    read_weight(NULL, &o->weights[1], 0, (&o->weights[1])->shape[0], o->bias);
}

static hmt_status run_with(void *device, one *o, void *weights)
{
    hmt_run run = {.struct_size = sizeof run, .input = o->x};
    void *exec = NULL;
    hmt_status status = backend_reference.exec_create(device, &o->plan, weights, &exec);

    if (status != HMT_OK)
        return status;
    status = backend_reference.exec_run(exec, &run);
    if (status == HMT_OK)
        status = backend_reference.exec_read(exec, 1, o->y);
    backend_reference.exec_destroy(exec);
    return status;
}

static hmt_status run_one(one *o)
{
    void *device = NULL, *weights = NULL;
    hmt_status status = backend_reference.device_open(0, &host, &device);

    if (status == HMT_OK)
        status = backend_reference.weights_create(device, &source, &weights);
    if (status == HMT_OK)
        status = run_with(device, o, weights);
    backend_reference.weights_destroy(weights);
    backend_reference.device_close(device);
    return status;
}

/* Element (n,c,y,x) of a tensor, or `outside` beyond its edges. */
static double at(const float *values, const int64_t s[4], int64_t n, int64_t c, int64_t y,
                 int64_t x, double outside)
{
    bool inside = y >= 0 && y < s[2] && x >= 0 && x < s[3];

    return inside ? (double)values[((n * s[1] + c) * s[2] + y) * s[3] + x] : outside;
}

/* ---------------------------------------------------------------------------- definitions -------
 */

static double conv_at(const one *o, int64_t n, int64_t c, int64_t oy, int64_t ox)
{
    const hmt_window *w = &o->step.window;
    const int64_t *in = o->tensors[0].shape, *shape = o->weights[0].shape;
    int64_t first = c / (shape[0] / w->groups) * shape[1]; /* the group's first input channel */
    double sum = o->bias[c];

    for (int64_t i = 0; i < shape[1]; ++i)
        for (int64_t ky = 0; ky < shape[2]; ++ky)
            for (int64_t kx = 0; kx < shape[3]; ++kx)
                sum += at(o->weight, shape, c, i, ky, kx, 0.0) *
                       at(o->x, in, n, first + i, oy * w->stride[0] - w->pad[0] + ky,
                          ox * w->stride[1] - w->pad[1] + kx, 0.0);
    return o->step.relu && sum < 0.0 ? 0.0 : sum;
}

static double pool_at(const one *o, int64_t n, int64_t c, int64_t oy, int64_t ox)
{
    const hmt_window *w = &o->step.window;
    const int64_t *in = o->tensors[0].shape;
    double most = -INFINITY, sum = 0.0;
    int inside = 0, padded = 0;

    for (int64_t ky = 0; ky < w->kernel[0]; ++ky)
        for (int64_t kx = 0; kx < w->kernel[1]; ++kx) {
            int64_t y = oy * w->stride[0] - w->pad[0] + ky;
            int64_t x = ox * w->stride[1] - w->pad[1] + kx;
            double value = at(o->x, in, n, c, y, x, NAN);

            padded += y < in[2] + w->pad[0] && x < in[3] + w->pad[1];
            if (isnan(value))
                continue;
            ++inside;
            sum += value;
            most = fmax(most, value);
        }
    if (o->step.kind == HMT_STEP_MAX_POOL)
        return most;
    return sum / (w->exclude_padding ? inside : padded);
}

/* The largest difference from a definition, as a share of the largest value. */
static double error_of(const one *o,
                       double (*define)(const one *, int64_t, int64_t, int64_t, int64_t))
{
    const int64_t *out = o->tensors[1].shape;
    double worst = 0.0, most = 0.0;
    const float *got = o->y;

    for (int64_t n = 0; n < out[0]; ++n)
        for (int64_t c = 0; c < out[1]; ++c)
            for (int64_t y = 0; y < out[2]; ++y)
                for (int64_t x = 0; x < out[3]; ++x) {
                    double want = define(o, n, c, y, x), off = fabs(*got++ - want);

                    worst = off <= worst ? worst : off;
                    most = fmax(most, fabs(want));
                }
    return worst / most;
}

/* ---------------------------------------------------------------------------- tests -------------
 */

static void convolution_is_its_definition(void)
{
    static const struct {
        int64_t in[4], out[4];
        int32_t kh, kw, stride, pad, groups, relu;
    } cases[] = {
        {{1, 1, 1, 1}, {1, 1, 1, 1}, 1, 1, 1, 0, 1, 0},
        {{2, 3, 7, 5}, {2, 5, 7, 5}, 3, 3, 1, 1, 1, 1},
        {{3, 4, 9, 6}, {3, 6, 5, 3}, 3, 3, 2, 1, 2, 0},
        {{1, 5, 6, 7}, {1, 5, 3, 6}, 4, 2, 1, 0, 5, 1},
        {{2, 2, 5, 5}, {2, 3, 4, 4}, 2, 2, 2, 2, 1, 0},
        {{1, 3, 40, 33}, {1, 4, 20, 17}, 5, 5, 2, 2, 1, 0}, /* several strips of output rows */
        {{2, 17, 3, 3}, {2, 12, 1, 1}, 3, 3, 1, 0, 1, 0},
    };
    static one o;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        hmt_window window = {{cases[i].kh, cases[i].kw},
                             {cases[i].stride, cases[i].stride},
                             {cases[i].pad, cases[i].pad},
                             cases[i].groups,
                             0};

        set_up(&o, HMT_STEP_CONV, cases[i].in, cases[i].out, window);
        add_weights(&o, cases[i].out[1], cases[i].in[1] / cases[i].groups, cases[i].kh,
                    cases[i].kw);
        o.step.relu = cases[i].relu;
        CHECK_STATUS(run_one(&o), HMT_OK);
        CHECK(error_of(&o, conv_at) < 1e-6);
    }
}

static void linear_is_a_convolution_over_everything(void)
{
    const int64_t in[4] = {3, 5, 4, 6}, out[4] = {3, 7, 1, 1};
    static one o;

    set_up(&o, HMT_STEP_LINEAR, in, out, (hmt_window){{4, 6}, {1, 1}, {0, 0}, 1, 0});
    add_weights(&o, 7, 5, 4, 6);
    CHECK_STATUS(run_one(&o), HMT_OK);
    CHECK(error_of(&o, conv_at) < 1e-6);
}

static void pools_are_their_definition(void)
{
    static const struct {
        int64_t in[4], out[4];
        int32_t kernel, stride, pad;
    } cases[] = {
        {{2, 3, 7, 5}, {2, 3, 3, 2}, 3, 2, 0},  {{1, 2, 8, 12}, {1, 2, 4, 6}, 3, 2, 0}, /* ceil */
        {{1, 1, 6, 6}, {1, 1, 6, 6}, 3, 1, 1},  {{2, 2, 8, 7}, {2, 2, 5, 4}, 3, 2, 1},
        {{1, 3, 12, 9}, {1, 3, 4, 3}, 3, 3, 0}, {{1, 1, 1, 1}, {1, 1, 1, 1}, 3, 2, 1},
    };
    static one o;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i)
        for (int kind = 0; kind < 3; ++kind) {
            hmt_window window = {{cases[i].kernel, cases[i].kernel},
                                 {cases[i].stride, cases[i].stride},
                                 {cases[i].pad, cases[i].pad},
                                 1,
                                 kind == 2};

            set_up(&o, kind == 0 ? HMT_STEP_MAX_POOL : HMT_STEP_AVERAGE_POOL, cases[i].in,
                   cases[i].out, window);
            CHECK_STATUS(run_one(&o), HMT_OK);
            CHECK(error_of(&o, pool_at) < 1e-6);
        }
}

/* x holds 1, 2, 2, 2 in one window: the gradient goes to the first 2. */
static void max_pool_gradient_goes_to_the_first_of_equals(void)
{
    const int64_t in[4] = {1, 1, 1, 1}, out[4] = {1, 1, 2, 2};
    const hmt_window window = {{2, 2}, {2, 2}, {0, 0}, 1, 0};
    static one o;

    set_up(&o, HMT_STEP_MAX_POOL_BACKWARD, in, out, window);
    o.tensors[0].shape[1] = 5; /* dy, then x: a second tensor within the first */
    hmt_plan_tensor tensors[4] = {o.tensors[0], o.tensors[1], o.tensors[0], o.tensors[0]};
    tensors[2] = (hmt_plan_tensor){.shape = {1, 1, 1, 1}};
    tensors[3] = (hmt_plan_tensor){.shape = {1, 1, 2, 2}, .offset = sizeof(float)};
    o.plan.tensors = tensors;
    o.plan.tensor_count = 4;
    o.step.in[0] = 2;
    o.step.in[1] = 3;
    memcpy(o.x, (const float[5]){5.0f, 1.0f, 2.0f, 2.0f, 2.0f}, 5 * sizeof(float));
    CHECK_STATUS(run_one(&o), HMT_OK);
    CHECK(o.y[0] == 0.0f && o.y[1] == 5.0f && o.y[2] == 0.0f && o.y[3] == 0.0f);
}

static void nan_passes_through_relu_and_max_pool(void)
{
    const int64_t in[4] = {1, 1, 3, 3}, out[4] = {1, 1, 1, 1};
    static one o;

    set_up(&o, HMT_STEP_RELU, in, in, (hmt_window){{0}, {0}, {0}, 1, 0});
    o.x[4] = NAN;
    CHECK_STATUS(run_one(&o), HMT_OK);
    CHECK(isnan(o.y[4]) && o.y[0] == fmaxf(0.0f, o.x[0]));
    set_up(&o, HMT_STEP_MAX_POOL, in, out, (hmt_window){{3, 3}, {1, 1}, {0, 0}, 1, 0});
    o.x[4] = NAN;
    CHECK_STATUS(run_one(&o), HMT_OK);
    CHECK(isnan(o.y[0]));
}

static void unknown_steps_are_refused(void)
{
    const int64_t shape[4] = {1, 1, 3, 3};
    static one o;

    set_up(&o, (hmt_step_kind)999, shape, shape, (hmt_window){{0}, {0}, {0}, 1, 0});
    CHECK_STATUS(run_one(&o), HMT_ERROR_UNSUPPORTED);
}

static void only_outputs_can_be_read(void)
{
    const int64_t shape[4] = {1, 1, 3, 3};
    static one o;

    set_up(&o, HMT_STEP_RELU, shape, shape, (hmt_window){{0}, {0}, {0}, 1, 0});
    o.tensors[1].flags = 0;
    CHECK_STATUS(run_one(&o), HMT_ERROR_ARGUMENT);
}

/* Each allocation fails once: a status, nothing leaked; in the end none fails. */
static void failed_allocations_leak_nothing(void)
{
    const int64_t in[4] = {2, 3, 7, 5}, out[4] = {2, 4, 7, 5};
    hmt_status status = HMT_ERROR_MEMORY;
    static one o;
    long number = 0;

    set_up(&o, HMT_STEP_CONV, in, out, (hmt_window){{3, 3}, {1, 1}, {1, 1}, 1, 0});
    add_weights(&o, 4, 3, 3, 3);
    for (; number < 100 && status == HMT_ERROR_MEMORY; ++number) {
        allocations = 0;
        fail_at = number;
        status = run_one(&o);
        CHECK(blocks == 0);
    }
    fail_at = -1;
    CHECK_STATUS(status, HMT_OK);
    CHECK(number > 8);
    CHECK(error_of(&o, conv_at) < 1e-6);
}

typedef struct worker {
    void *device, *weights;
    one o;
    hmt_status status;
    pthread_t thread;
} worker;

static void *work(void *argument)
{
    worker *w = argument;

    for (int i = 0; i < 20 && w->status == HMT_OK; ++i)
        w->status = run_with(w->device, &w->o, w->weights);
    return NULL;
}

static void threads_share_weights(void)
{
    enum { WORKERS = 4 };
    const int64_t in[4] = {2, 3, 7, 5}, out[4] = {2, 4, 7, 5};
    static worker workers[WORKERS];
    void *device = NULL, *weights = NULL;
    hmt_backend_memory memory = {.struct_size = sizeof memory};

    CHECK_STATUS(backend_reference.device_open(0, &host, &device), HMT_OK);
    CHECK_STATUS(backend_reference.weights_create(device, &source, &weights), HMT_OK);
    for (int i = 0; i < WORKERS; ++i) {
        workers[i].device = device;
        workers[i].weights = weights;
        set_up(&workers[i].o, HMT_STEP_CONV, in, out, (hmt_window){{3, 3}, {1, 1}, {1, 1}, 1, 0});
        add_weights(&workers[i].o, 4, 3, 3, 3);
        CHECK(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
    }
    for (int i = 0; i < WORKERS; ++i) {
        pthread_join(workers[i].thread, NULL);
        CHECK_STATUS(workers[i].status, HMT_OK);
        CHECK(memcmp(workers[i].o.y, workers[0].o.y, (size_t)count_of(out) * sizeof(float)) == 0);
    }
    CHECK_STATUS(backend_reference.memory(weights, NULL, &memory), HMT_OK);
    CHECK(memory.packed == (4 * 3 * 9 + 4) * sizeof(float)); /* one copy for all */
    CHECK(error_of(&workers[0].o, conv_at) < 1e-6);
    backend_reference.weights_destroy(weights);
    backend_reference.device_close(device);
}

static void slots_hold_what_was_set(void)
{
    const int64_t in[4] = {1, 2, 3, 3}, out[4] = {1, 2, 3, 3};
    float values[4] = {1.0f, 2.0f, 3.0f, 4.0f}, got[4];
    void *device = NULL, *weights = NULL;
    static one o;

    set_up(&o, HMT_STEP_CONV, in, out, (hmt_window){{1, 1}, {1, 1}, {0, 0}, 1, 0});
    add_weights(&o, 2, 2, 1, 1);
    CHECK_STATUS(backend_reference.device_open(0, &host, &device), HMT_OK);
    CHECK_STATUS(backend_reference.weights_create(device, &source, &weights), HMT_OK);
    CHECK_STATUS(backend_reference.weights_get(weights, o.weights, HMT_SLOT_VALUE, got), HMT_OK);
    CHECK(memcmp(got, o.weight, sizeof got) == 0);
    CHECK_STATUS(backend_reference.weights_get(weights, o.weights, HMT_SLOT_MOMENTUM, got), HMT_OK);
    CHECK(got[0] == 0.0f && got[3] == 0.0f);
    for (int slot = HMT_SLOT_VALUE; slot <= HMT_SLOT_MOMENTUM; ++slot) {
        values[0] += 10.0f;
        CHECK_STATUS(backend_reference.weights_set(weights, o.weights, (hmt_slot)slot, values),
                     HMT_OK);
        CHECK_STATUS(backend_reference.weights_get(weights, o.weights, (hmt_slot)slot, got),
                     HMT_OK);
        CHECK(memcmp(got, values, sizeof got) == 0);
    }
    backend_reference.weights_destroy(weights);
    backend_reference.device_close(device);
}

int main(void)
{
    convolution_is_its_definition();
    linear_is_a_convolution_over_everything();
    pools_are_their_definition();
    max_pool_gradient_goes_to_the_first_of_equals();
    nan_passes_through_relu_and_max_pool();
    unknown_steps_are_refused();
    only_outputs_can_be_read();
    failed_allocations_leak_nothing();
    threads_share_weights();
    slots_hold_what_was_set();
    CHECK(blocks == 0);
    return test_finish();
}
