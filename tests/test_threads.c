/* tier: quick
 * Many sessions on many threads share one model, made and freed at the same time, each with the
 * answers that one thread alone gets; models and trainers of their own beside them. Meant to be run
 * under ThreadSanitizer too.
 */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "builtin.h"
#include "check.h"

enum { THREADS = 4, ROUNDS = 3, IMAGE = 3 * 224 * 224 };

typedef struct job {
    const char *backend;
    hmt_model *model;
    const float *image;
    hmt_prediction expected;
    int wrong; /* counted here and looked at after the join: CHECK is for one thread */
    int with_trainer;
} job;

static hmt_status open_context(const char *backend, int32_t threads, hmt_context **context)
{
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;

    o.backend = backend;
    o.threads = threads;
    return hmt_context_create(&o, context);
}

static int same(const hmt_prediction *a, const hmt_prediction *b)
{
    return a->gender.label == b->gender.label && fabsf(a->score - b->score) < 1e-4f &&
           fabsf(a->gender.probabilities[0] - b->gender.probabilities[0]) < 1e-4f;
}

static void *infer(void *user)
{
    job *j = user;

    for (int round = 0; round < ROUNDS; ++round) {
        hmt_session *session = NULL;
        hmt_session_options o = HMT_SESSION_OPTIONS_INIT;
        hmt_prediction p;

        o.batch = 1 + round % 2;
        if (hmt_session_create(j->model, &o, &session) != HMT_OK)
            ++j->wrong;
        else if (hmt_infer(session, j->image, 1, &p) != HMT_OK || !same(&p, &j->expected))
            ++j->wrong;
        if (hmt_infer(session, NULL, 1, &p) != HMT_ERROR_ARGUMENT || hmt_last_error()[0] == '\0')
            ++j->wrong; /* the message is this thread's own */
        hmt_session_free(session);
    }
    return NULL;
}

static void *train(void *user)
{
    job *j = user;
    hmt_context *context = NULL;
    hmt_model *model = NULL;
    hmt_model_config config;
    hmt_trainer_options o = HMT_TRAINER_OPTIONS_INIT;
    hmt_trainer *trainer = NULL;
    hmt_batch b = HMT_BATCH_INIT;
    float score[2] = {2.0f, 4.0f};
    float *images = malloc(2 * IMAGE * sizeof *images);

    hmt_model_config_init(&config);
    config.width = 0.03;
    o.batch = 2;
    if (images == NULL || open_context(j->backend, 2, &context) != HMT_OK ||
        hmt_model_create(context, &config, 1, &model) != HMT_OK ||
        hmt_trainer_create(model, &o, &trainer) != HMT_OK) {
        ++j->wrong;
        goto done;
    }
    memcpy(images, j->image, IMAGE * sizeof *images);
    memcpy(images + IMAGE, j->image, IMAGE * sizeof *images);
    images[IMAGE] += 1.0f;
    b.count = 2;
    b.images = images;
    b.score = score;
    for (int round = 0; round < ROUNDS; ++round)
        if (hmt_train_step(trainer, &b, NULL) != HMT_OK)
            ++j->wrong;
done:
    hmt_trainer_free(trainer);
    hmt_model_free(model);
    hmt_context_free(context);
    free(images);
    return NULL;
}

static void share_one_model(const char *backend)
{
    hmt_context *context = NULL;
    hmt_model_config config;
    hmt_model *model = NULL;
    hmt_session *session = NULL;
    pthread_t thread[THREADS];
    job jobs[THREADS];
    float *image = malloc(IMAGE * sizeof *image);
    hmt_prediction expected;

    for (size_t i = 0; image != NULL && i < IMAGE; ++i)
        image[i] = (float)(i * 2654435761u % 1000) / 500.0f - 1.0f;
    CHECK_STATUS(open_context(backend, 2, &context), HMT_OK);
    hmt_model_config_init(&config);
    config.width = 0.0625;
    CHECK_STATUS(hmt_model_create(context, &config, 3, &model), HMT_OK);
    CHECK_STATUS(hmt_session_create(model, NULL, &session), HMT_OK);
    CHECK_STATUS(hmt_infer(session, image, 1, &expected), HMT_OK);
    hmt_session_free(session);
    for (int i = 0; i < THREADS; ++i) {
        jobs[i] = (job){.backend = backend,
                        .model = model,
                        .image = image,
                        .expected = expected,
                        .with_trainer = i == 0};
        CHECK(pthread_create(&thread[i], NULL, jobs[i].with_trainer ? train : infer, &jobs[i]) ==
              0);
    }
    for (int i = 0; i < THREADS; ++i) {
        CHECK(pthread_join(thread[i], NULL) == 0);
        CHECK(jobs[i].wrong == 0);
    }
    hmt_model_free(model);
    hmt_context_free(context);
    free(image);
}

int main(void)
{
    for (size_t i = 0; backends_builtin[i] != NULL; ++i)
        share_one_model(backends_builtin[i]->name);
    return test_finish();
}
