/* tier: full
 * A model that lives on several devices (module_several.c's): every function of the backend and
 * every allocation is made to fail in turn. Each time one status and one sentence, and everything
 * is released.
 */
#include "several.h"

enum { BATCH = 4 };

static several_state *state;
static float images[BATCH * IMAGE];
static char path[256];

static hmt_batch batch(void)
{
    static const float scores[BATCH] = {2.0f, 4.0f, 1.0f, 5.0f};
    hmt_batch b = HMT_BATCH_INIT;

    b.count = BATCH;
    b.images = images;
    b.score = scores;
    return b;
}

/* An allocator that counts, and fails at one call; used by several threads. */
typedef struct faulty {
    atomic_long calls, live;
    long fail_at; /* from 1; 0: none */
} faulty;

static void *allocate(void *user, size_t size, size_t alignment)
{
    faulty *f = user;
    void *pointer = NULL;

    if (atomic_fetch_add(&f->calls, 1) + 1 == f->fail_at ||
        posix_memalign(&pointer, alignment, size) != 0)
        return NULL;
    atomic_fetch_add(&f->live, 1);
    return pointer;
}

static void release(void *user, void *pointer)
{
    atomic_fetch_sub(&((faulty *)user)->live, 1);
    free(pointer);
}

/* All that a model does on two devices; `status` is the first failure. */
static hmt_status live(const hmt_allocator *allocator, several_run *r, hmt_model **copy,
                       hmt_session **session)
{
    hmt_trainer_options o = HMT_TRAINER_OPTIONS_INIT;
    hmt_session_options wide = HMT_SESSION_OPTIONS_INIT;
    static const uint8_t crops[2 * IMAGE];
    const hmt_batch b = batch();
    hmt_prediction faces[BATCH];
    hmt_memory memory = HMT_MEMORY_INIT;
    float momentum;
    size_t index;
    hmt_status status = several_open("several", allocator, &r->context);

    o.batch = BATCH;
    o.device_count = 2;
    wide.batch = 2;
    if (status == HMT_OK)
        status = several_model(r->context, &r->model);
    if (status == HMT_OK)
        status = hmt_trainer_create(r->model, &o, &r->trainer);
    if (status == HMT_OK)
        status = hmt_trainer_stage(r->trainer, &b);
    if (status == HMT_OK)
        status = hmt_train_step(r->trainer, &b, NULL);
    if (status == HMT_OK)
        status = hmt_evaluate(r->trainer, &b, NULL, faces);
    if (status == HMT_OK)
        status = hmt_trainer_memory(r->trainer, &memory);
    if (status == HMT_OK)
        status = hmt_model_param_find(r->model, "fc8.bias", &index);
    if (status == HMT_OK)
        status = hmt_trainer_momentum_read(r->trainer, index, &momentum, 1);
    if (status == HMT_OK)
        status = hmt_trainer_save(r->trainer, path, NULL);
    hmt_trainer_free(r->trainer);
    hmt_model_free(r->model);
    r->trainer = NULL;
    r->model = NULL;
    if (status == HMT_OK)
        status = hmt_model_load(r->context, path, NULL, &r->model);
    if (status == HMT_OK)
        status = hmt_trainer_create(r->model, &o, &r->trainer);
    if (status == HMT_OK)
        status = hmt_trainer_resume(r->trainer, path);
    if (status == HMT_OK)
        status = hmt_train_step(r->trainer, &b, NULL);
    if (status == HMT_OK)
        status = hmt_model_copy(r->model, r->context, copy);
    if (status == HMT_OK)
        status = hmt_session_create(*copy, &wide, session);
    if (status == HMT_OK)
        status = hmt_session_stage_crops(*session, crops, 2);
    if (status == HMT_OK)
        status = hmt_infer_crops(*session, crops, 2, faces);
    return status;
}

/* One life; returns its status with everything freed again. */
static hmt_status live_and_free(faulty *f, char message[256])
{
    const hmt_allocator allocator = {allocate, release, f};
    several_run r = {NULL, NULL, NULL};
    hmt_model *copy = NULL;
    hmt_session *session = NULL;
    hmt_status status = live(&allocator, &r, &copy, &session);

    snprintf(message, 256, "%s", hmt_last_error());
    hmt_session_free(session);
    hmt_model_free(copy);
    hmt_trainer_free(r.trainer);
    hmt_model_free(r.model);
    hmt_context_free(r.context);
    CHECK(atomic_load(&f->live) == 0);
    CHECK(atomic_load(&state->live) == 0);
    return status;
}

static void fail_each_function(void)
{
    char message[256];
    hmt_status status = HMT_ERROR_BACKEND;
    int at = 1;

    for (; status != HMT_OK && at < 2000; ++at) {
        faulty f = {.fail_at = 0};

        atomic_store(&state->failed, 0);
        atomic_store(&state->calls, 0);
        atomic_store(&state->fail_call, at);
        status = live_and_free(&f, message);
        CHECK(status == HMT_ERROR_BACKEND || atomic_load(&state->failed) == 0 ||
              status == HMT_OK); /* the last calls are made while everything is freed */
        if (status == HMT_ERROR_BACKEND)
            CHECK(strstr(message, "several: call ") != NULL);
        else if (atomic_load(&state->failed) != 0)
            status = HMT_ERROR_BACKEND; /* not through yet */
    }
    atomic_store(&state->fail_call, 0);
    CHECK(status == HMT_OK && at > 150);
}

static void fail_each_allocation(void)
{
    char message[256];
    hmt_status status;
    faulty whole = {.fail_at = 0};
    long calls;

    CHECK_STATUS(live_and_free(&whole, message), HMT_OK);
    calls = atomic_load(&whole.calls);
    CHECK(calls > 300);
    for (long at = 1; at <= calls; ++at) {
        faulty f = {.fail_at = at};

        status = live_and_free(&f, message);
        if (status != HMT_OK) /* those made while everything is freed are not told */
            CHECK(status == HMT_ERROR_MEMORY && strstr(message, "memory") != NULL);
        CHECK(status != HMT_OK || at + 8 > calls);
        if (status != HMT_ERROR_MEMORY && at + 8 <= calls)
            printf("allocation %ld of %ld: %s\n", at, calls, hmt_status_name(status));
    }
}

int main(void)
{
    state = several_load();
    snprintf(path, sizeof path, "%s/hmtnet-device-faults-%ld.safetensors",
             getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp", (long)getpid());
    several_fill(images, BATCH, 3);
    fail_each_function();
    fail_each_allocation();
    unlink(path);
    return test_finish();
}
