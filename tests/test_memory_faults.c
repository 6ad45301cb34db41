/* tier: quick
 * A machine whose memory runs out: every allocation of create, load, session, infer, gradient,
 * train, evaluate and save is made to fail in turn through the allocator hook. Each time: a status
 * and a sentence, everything freed, the file on disk as it was, and the objects that lived before
 * still usable.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "builtin.h"
#include "check.h"

enum { BATCH = 2, IMAGE = 3 * 224 * 224 };

/* An allocator that counts, and fails at one call. */
typedef struct faulty {
    long calls;
    long fail_at; /* number of the call that fails, from 1; 0: none */
    long live;    /* blocks not released */
    int failed;
} faulty;

static void *allocate(void *user, size_t size, size_t alignment)
{
    faulty *f = user;
    void *pointer = NULL;

    if (++f->calls == f->fail_at) {
        f->failed = 1;
        return NULL;
    }
    if (posix_memalign(&pointer, alignment, size) != 0)
        return NULL;
    ++f->live;
    return pointer;
}

static void release(void *user, void *pointer)
{
    --((faulty *)user)->live;
    free(pointer);
}

static float images[BATCH * IMAGE];
static char path[256];

static hmt_status open_context(faulty *f, const char *backend, hmt_context **context)
{
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;

    o.allocator = (hmt_allocator){allocate, release, f};
    o.backend = backend;
    o.threads = 1;
    return hmt_context_create(&o, context);
}

static hmt_status create(hmt_context *context, hmt_model **model)
{
    hmt_model_config config;

    hmt_model_config_init(&config);
    config.width = 0.02;
    return hmt_model_create(context, &config, 1, model);
}

/* Create, save, load, infer. */
static hmt_status inference(faulty *f, const char *backend)
{
    hmt_context *context = NULL;
    hmt_model *model = NULL, *loaded = NULL;
    hmt_session *session = NULL;
    hmt_session_options o = HMT_SESSION_OPTIONS_INIT;
    hmt_prediction p[BATCH];
    const char *taps[1] = {"relu3"};
    hmt_status status = open_context(f, backend, &context);

    o.batch = BATCH;
    o.taps = taps;
    o.tap_count = 1;
    o.profile = 1;
    o.five_crop = 1;
    if (status == HMT_OK)
        status = create(context, &model);
    if (status == HMT_OK)
        status = hmt_model_save(model, path, HMT_DTYPE_I8);
    if (status == HMT_OK)
        status = hmt_model_load(context, path, NULL, &loaded);
    if (status == HMT_OK)
        status = hmt_session_create(loaded, &o, &session);
    if (status == HMT_OK)
        status = hmt_infer(session, images, BATCH, p);
    hmt_session_free(session);
    hmt_model_free(loaded);
    hmt_model_free(model);
    hmt_context_free(context);
    return status;
}

/* Gradients of a model in 8 bits. */
static hmt_status explanation(faulty *f, const char *backend)
{
    static float gradient[BATCH * IMAGE];
    hmt_context *context = NULL;
    hmt_model *model = NULL, *loaded = NULL;
    hmt_session *session = NULL;
    hmt_session_options o = HMT_SESSION_OPTIONS_INIT;
    hmt_prediction p[BATCH];
    const char *taps[1] = {"relu3"};
    hmt_status status = open_context(f, backend, &context);

    o.batch = BATCH;
    o.taps = taps;
    o.tap_count = 1;
    o.gradients = HMT_GRADIENTS_INPUT;
    if (status == HMT_OK)
        status = create(context, &model);
    if (status == HMT_OK)
        status = hmt_model_save(model, path, HMT_DTYPE_I8);
    if (status == HMT_OK)
        status = hmt_model_load(context, path, NULL, &loaded);
    if (status == HMT_OK)
        status = hmt_session_create(loaded, &o, &session);
    if (status == HMT_OK)
        status = hmt_infer(session, images, BATCH, p);
    if (status == HMT_OK)
        status = hmt_session_gradient(session, HMT_TASK_RACE, -1, NULL, gradient, BATCH * IMAGE);
    hmt_session_free(session);
    hmt_model_free(loaded);
    hmt_model_free(model);
    hmt_context_free(context);
    return status;
}

/* Train, evaluate, save a checkpoint, go on from it; with the model an average if `average` is not
 * 0. */
static hmt_status train(faulty *f, const char *backend, double average)
{
    hmt_context *context = NULL;
    hmt_model *model = NULL, *loaded = NULL;
    hmt_trainer *trainer = NULL, *resumed = NULL;
    hmt_trainer_options o = HMT_TRAINER_OPTIONS_INIT;
    hmt_batch b = HMT_BATCH_INIT;
    float score[BATCH] = {2.0f, 4.0f};
    hmt_status status = open_context(f, backend, &context);

    o.batch = BATCH;
    o.profile = 1;
    o.average = average;
    o.average_every = 1;
    b.count = BATCH;
    b.images = images;
    b.score = score;
    if (status == HMT_OK)
        status = create(context, &model);
    if (status == HMT_OK)
        status = hmt_trainer_create(model, &o, &trainer);
    if (status == HMT_OK)
        status = hmt_train_step(trainer, &b, NULL);
    if (status == HMT_OK)
        status = hmt_evaluate(trainer, &b, NULL, NULL);
    if (status == HMT_OK)
        status = hmt_trainer_save(trainer, path, "note");
    if (status == HMT_OK)
        status = hmt_checkpoint_note(context, path, NULL, 0, NULL);
    if (status == HMT_OK)
        status = hmt_model_load(context, path, NULL, &loaded);
    if (status == HMT_OK)
        status = hmt_trainer_create(loaded, &o, &resumed);
    if (status == HMT_OK)
        status = hmt_trainer_resume(resumed, path);
    hmt_trainer_free(resumed);
    hmt_model_free(loaded);
    hmt_trainer_free(trainer);
    hmt_model_free(model);
    hmt_context_free(context);
    return status;
}

static hmt_status training(faulty *f, const char *backend)
{
    return train(f, backend, 0.0);
}

static hmt_status averaging(faulty *f, const char *backend)
{
    return train(f, backend, 0.9);
}

/* Fails each allocation of one way of work in turn. */
static void fail_each(const char *backend, hmt_status (*work)(faulty *, const char *))
{
    faulty f = {0};
    long calls;

    CHECK_STATUS(work(&f, backend), HMT_OK);
    CHECK(f.live == 0 && f.calls > 20);
    calls = f.calls;
    for (long at = 1; at <= calls; ++at) {
        hmt_status status;

        f = (faulty){.fail_at = at};
        status = work(&f, backend);
        CHECK(f.failed);
        CHECK(status == HMT_ERROR_MEMORY);
        CHECK(strstr(hmt_last_error(), "memory") != NULL);
        CHECK(f.live == 0);
        if (status != HMT_ERROR_MEMORY || f.live != 0)
            printf("%s: allocation %ld of %ld: %s, %ld blocks left\n", backend, at, calls,
                   hmt_status_name(status), f.live);
    }
}

/* A failure while saving leaves the file as it was; a failed session leaves the model usable. */
static void survivors(const char *backend)
{
    faulty f = {0};
    hmt_context *context = NULL;
    hmt_model *model = NULL;
    hmt_session *session = NULL;
    hmt_prediction before, after;
    hmt_status status = HMT_ERROR_MEMORY;

    CHECK_STATUS(open_context(&f, backend, &context), HMT_OK);
    CHECK_STATUS(create(context, &model), HMT_OK);
    CHECK_STATUS(hmt_model_save(model, path, HMT_DTYPE_F32), HMT_OK);
    CHECK_STATUS(hmt_session_create(model, NULL, &session), HMT_OK);
    CHECK_STATUS(hmt_infer(session, images, 1, &before), HMT_OK);
    for (long at = 1; status == HMT_ERROR_MEMORY; ++at) {
        hmt_session *another = NULL;

        f.calls = 0;
        f.fail_at = at;
        status = hmt_session_create(model, NULL, &another);
        CHECK(status == HMT_OK || status == HMT_ERROR_MEMORY);
        hmt_session_free(another);
    }
    status = HMT_ERROR_MEMORY;
    for (long at = 1; status == HMT_ERROR_MEMORY; ++at) {
        hmt_model *saved = NULL;

        f.calls = 0;
        f.fail_at = at;
        status = hmt_model_save(model, path, HMT_DTYPE_F16);
        CHECK(status == HMT_OK || status == HMT_ERROR_MEMORY);
        f.fail_at = 0;
        CHECK_STATUS(hmt_model_load(context, path, NULL, &saved), HMT_OK);
        hmt_model_free(saved);
    }
    f.fail_at = 0;
    CHECK_STATUS(hmt_infer(session, images, 1, &after), HMT_OK);
    CHECK(before.score == after.score);
    hmt_session_free(session);
    hmt_model_free(model);
    hmt_context_free(context);
    CHECK(f.live == 0);
}

int main(void)
{
    for (size_t i = 0; i < BATCH * IMAGE; ++i)
        images[i] = (float)(i * 2654435761u % 1000) / 500.0f - 1.0f;
    snprintf(path, sizeof path, "%s/hmtnet-memory-faults-%ld.safetensors",
             getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp", (long)getpid());
    for (size_t i = 0; backends_builtin[i] != NULL; ++i) {
        fail_each(backends_builtin[i]->name, inference);
        fail_each(backends_builtin[i]->name, explanation);
        fail_each(backends_builtin[i]->name, training);
        fail_each(backends_builtin[i]->name, averaging);
        survivors(backends_builtin[i]->name);
    }
    remove(path);
    return test_finish();
}
