/*
 * gpu_faults MODULE: the GPU backend when things go wrong, through the stand-ins. Every call that
 * it makes of CUDA, cuDNN and cuBLASLt is made to fail in turn, and the device is lost at every few
 * calls: each time there is a status with a sentence, nothing is leaked, and the next attempt
 * works. Also memory that does not suffice.
 */
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../check.h"
#include "../load_module.h"
#include "conformance.h"
#include "core/memory.h"
#include "core/status.h"
#include "standin.h"

static const hmt_backend *backend;
/* Calls made by the end of exec_create(), and before exec_destroy(), of the last attempt. */
static size_t prepared, closing;

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

/* Opens, trains for three steps (the second captures, the third replays), reads parameters and
 * outputs, closes. The images are an output, too: one that does not come back with the losses. */
static hmt_status work(const graph *g, hmt_precision precision)
{
    const int32_t images = 0;
    const lower_options options = {.batch = 3,
                                   .taps = &images,
                                   .tap_count = 1,
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
    prepared = standin_calls();
    if (status == HMT_OK) {
        for (int i = 0; i < 3 && status == HMT_OK; ++i)
            status = rig_step(&p, &sgd);
        for (size_t i = 0; i < p.low->plan.weight_count && status == HMT_OK; ++i)
            free(rig_slot(&p, i, HMT_SLOT_VALUE, &status));
        for (size_t i = 0; i < p.low->plan.tensor_count && status == HMT_OK; ++i)
            if (p.low->plan.tensors[i].flags & HMT_TENSOR_OUTPUT)
                free(rig_read(&p, (int32_t)i, &status));
        closing = standin_calls();
        rig_release(&p);
    }
    rig_close(&r);
    return status;
}

/* Whether the failure of call n may go unreported: what destroys, at any time; what only tries one
 * of several ways to run a step, before the first run; a last wait before memory is freed. */
static bool has_fallback(const char *call, size_t n)
{
    static const char *const tries[] = {"cudnnBackendCreateDescriptor", "cudnnBackendSetAttribute",
                                        "cudnnBackendGetAttribute",     "cudnnBackendFinalize",
                                        "cudnnBackendExecute",          "cublasLtMatmul"};
    static const char *const waits[] = {"cudaSetDevice", "cudaStreamSynchronize"};

    if (strstr(call, "Destroy") != NULL || strncmp(call, "cudaFree", 8) == 0)
        return true;
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; ++i)
        if (n <= prepared && strcmp(call, tries[i]) == 0)
            return true;
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; ++i)
        if (n > closing && strcmp(call, waits[i]) == 0)
            return true;
    return false;
}

/* A failure has a sentence, and nothing stays behind. */
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

/* One attempt with a fault at call n. */
typedef hmt_status (*attempt)(const graph *g, hmt_precision precision, size_t n);

static hmt_status fail_one(const graph *g, hmt_precision precision, size_t n)
{
    standin_reset();
    standin_fail_at(n);
    return work(g, precision);
}

static hmt_status lose_one(const graph *g, hmt_precision precision, size_t n)
{
    hmt_status status;

    standin_reset();
    standin_lose_at(n);
    status = work(g, precision);
    CHECK(status != HMT_OK || standin_failed_call() == NULL);
    standin_reset();
    return status;
}

/* Attempts number first, first + stride, ... below last, in a process of its own, since a process
 * has only so many mappings. Returns how many gave a failure, -1 if a check failed. */
static int part(const graph *g, hmt_precision precision, attempt try_one, size_t first, size_t last,
                size_t stride)
{
    int ends[2], failed = 0, status = 0;
    pid_t child;

    fflush(stdout);
    if (pipe(ends) != 0 || (child = fork()) < 0)
        return -1;
    if (child == 0) {
        const size_t leaks = standin_leaks(NULL);

        for (size_t n = first; n < last && test_failures < 5; n += stride) {
            hmt_status got = try_one(g, precision, n);

            failed += got != HMT_OK;
            if (got == HMT_OK && standin_failed_call() != NULL) {
                const bool fine = has_fallback(standin_failed_call(), n);

                if (!fine)
                    printf("call %zu (prepared at %zu, closing at %zu): %s failed, and nobody says "
                           "so\n",
                           n, prepared, closing, standin_failed_call());
                CHECK(fine);
            }
            check_after(try_one == fail_one ? "failing call" : "losing at call", n, got, leaks);
        }
        standin_reset();
        CHECK_STATUS(work(g, precision), HMT_OK);
        if (write(ends[1], &failed, sizeof failed) != sizeof failed)
            test_failures = 1;
        fflush(stdout);
        _exit(test_failures > 0);
    }
    close(ends[1]);
    if (read(ends[0], &failed, sizeof failed) != sizeof failed)
        failed = -1;
    close(ends[0]);
    waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? failed : -1;
}

static size_t count_calls(const graph *g, hmt_precision precision)
{
    standin_reset();
    CHECK_STATUS(work(g, precision), HMT_OK);
    return standin_calls();
}

enum { PART = 150 };

/* Every fault must be reported but those that has_fallback() names. */
static void each(const graph *g, hmt_precision precision, attempt try_one, size_t stride)
{
    const size_t calls = count_calls(g, precision);
    size_t failed = 0, tried = 0;

    CHECK(calls > 100);
    for (size_t first = 1; first <= calls && test_failures < 5; first += PART * stride) {
        const size_t last = first + PART * stride < calls + 1 ? first + PART * stride : calls + 1;
        const int got = part(g, precision, try_one, first, last, stride);
        CHECK(got >= 0);
        failed += got > 0 ? (size_t)got : 0;
        tried += (last - first + stride - 1) / stride;
    }
    printf("%zu calls, every %zu.: %zu faults, %zu failures reported\n", calls, stride, tried,
           failed);
    CHECK(failed > tried / 2);
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
    each(&g, HMT_PRECISION_FLOAT32, fail_one, 1);
    each(&g, HMT_PRECISION_BFLOAT16, fail_one, 7);
    each(&g, HMT_PRECISION_FLOAT32, lose_one, 11);
    too_little_memory(&g);
    graph_clear(&g);
    return test_finish();
}
