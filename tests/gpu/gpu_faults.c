/*
 * gpu_faults MODULE: the GPU backend when things go wrong, through the stand-ins. Every call that
 * it makes of CUDA, cuDNN and cuBLASLt is made to fail in turn, and the device is lost at every few
 * calls: each time there is a status with a sentence, nothing is leaked, and the next attempt
 * works. Also memory that does not suffice.
 */
#include <string.h>

#include "../check.h"
#include "../load_module.h"
#include "conformance.h"
#include "core/memory.h"
#include "core/status.h"
#include "standin.h"

static const hmt_backend *backend;

/* A convolution, norm, relu, pool, linear layers and both losses: few steps of many kinds. */
static void build(graph *g)
{
    int32_t x = graph_input(g, "input", 2, 8, 8);

    x = graph_conv(g, "conv", x, 8, 3, 1, 1, 1, true);
    x = graph_relu(g, "relu", graph_batch_norm(g, "norm", x, true));
    x = graph_max_pool(g, "pool", x, 2, 2, 0, false);
    graph_head_add(g, HMT_TASK_GENDER, graph_linear(g, "logits", x, 2, true), 2);
    graph_head_add(g, HMT_TASK_ATTRACTIVENESS, graph_linear(g, "score", x, 1, true), 0);
}

/* Opens, trains for two steps (the second captures), reads parameters and outputs, closes. */
static hmt_status work(const graph *g, hmt_precision precision)
{
    const lower_options options = {.batch = 3,
                                   .tasks = HMT_TASKS_ALL,
                                   .delta = 0.6f,
                                   .trained_tasks = HMT_TASKS_ALL,
                                   .losses = true,
                                   .training = true};
    const hmt_sgd sgd = {0.01f, 0.9f, 0.05f, 0};
    rig r;
    rig_plan p;
    hmt_status status = rig_open(&r, backend, g, 1, precision, false);

    if (status != HMT_OK)
        return status;
    status = rig_prepare(&r, &options, &p);
    if (status == HMT_OK) {
        for (int i = 0; i < 3 && status == HMT_OK; ++i)
            status = rig_step(&p, &sgd);
        for (size_t i = 0; i < p.low->plan.weight_count && status == HMT_OK; ++i)
            free(rig_slot(&p, i, HMT_SLOT_VALUE, &status));
        for (size_t i = 0; i < p.low->plan.tensor_count && status == HMT_OK; ++i)
            if (p.low->plan.tensors[i].flags & HMT_TENSOR_OUTPUT)
                free(rig_read(&p, (int32_t)i, &status));
        rig_release(&p);
    }
    rig_close(&r);
    return status;
}

/* A failure has a sentence, and nothing stays behind. Failures that the backend may swallow (of a
 * candidate that it only tries, or while it destroys) are fine, too. */
static void check_after(const char *what, size_t n, hmt_status status, size_t leaks)
{
    const char *call = standin_failed_call();

    if (status != HMT_OK && hmt_last_error()[0] == '\0')
        printf("%s %zu (%s): no sentence\n", what, n, call != NULL ? call : "?");
    CHECK(status == HMT_OK || hmt_last_error()[0] != '\0');
    if (standin_leaks(NULL) != leaks) {
        printf("%s %zu (%s): something is left\n", what, n, call != NULL ? call : "?");
        standin_leaks(stdout);
    }
    CHECK(standin_leaks(NULL) == leaks);
    CHECK(standin_complaints() == 0);
    status_clear();
}

static void fail_each(const graph *g, hmt_precision precision)
{
    const size_t leaks = standin_leaks(NULL);
    size_t calls, failed = 0;

    standin_reset();
    CHECK_STATUS(work(g, precision), HMT_OK);
    calls = standin_calls();
    CHECK(calls > 100);
    for (size_t n = 1; n <= calls && test_failures < 10; ++n) {
        hmt_status status;

        standin_reset();
        standin_fail_at(n);
        status = work(g, precision);
        failed += status != HMT_OK;
        check_after("failing call", n, status, leaks);
    }
    standin_reset();
    printf("%zu calls, %zu failures reported\n", calls, failed);
    CHECK(failed > calls / 4);
    CHECK_STATUS(work(g, precision), HMT_OK);
}

/* From some call on the device is gone. */
static void lose_each(const graph *g)
{
    const size_t leaks = standin_leaks(NULL);
    size_t calls;

    standin_reset();
    CHECK_STATUS(work(g, HMT_PRECISION_FLOAT32), HMT_OK);
    calls = standin_calls();
    for (size_t n = 1; n < calls * 9 / 10 && test_failures < 10; n += 7) {
        hmt_status status;

        standin_reset();
        standin_lose_at(n);
        status = work(g, HMT_PRECISION_FLOAT32);
        CHECK(status != HMT_OK);
        standin_reset();
        check_after("losing at call", n, status, leaks);
    }
    CHECK_STATUS(work(g, HMT_PRECISION_FLOAT32), HMT_OK);
}

static void too_little_memory(const graph *g)
{
    const size_t leaks = standin_leaks(NULL);

    standin_reset();
    CHECK(standin_set("STANDIN_MEMORY", "8192") == 0);
    CHECK_STATUS(work(g, HMT_PRECISION_FLOAT32), HMT_ERROR_MEMORY);
    CHECK(strstr(hmt_last_error(), "cudaMalloc of ") != NULL);
    CHECK(strstr(hmt_last_error(), " are free") != NULL);
    printf("%s\n", hmt_last_error());
    CHECK(standin_leaks(NULL) == leaks);
    status_clear();
    CHECK(standin_set("STANDIN_MEMORY", "1073741824") == 0);
    CHECK_STATUS(work(g, HMT_PRECISION_FLOAT32), HMT_OK);
}

int main(int argc, char **argv)
{
    graph g;

    backend = argc > 1 ? load_module(argv[1]) : NULL;
    if (backend == NULL)
        return 2;
    graph_init(&g, &memory_default);
    build(&g);
    CHECK_STATUS(graph_finish(&g), HMT_OK);
    fail_each(&g, HMT_PRECISION_FLOAT32);
    fail_each(&g, HMT_PRECISION_BFLOAT16);
    lose_each(&g);
    too_little_memory(&g);
    graph_clear(&g);
    return test_finish();
}
