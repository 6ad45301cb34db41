/* tier: quick
 * links: openmp_host
 * Hosts that use OpenMP themselves: sessions, gradients by the images and trainers ask nothing of
 * it. They work inside a host's parallel region and where OpenMP gives no threads, and the host's
 * settings are left alone.
 */
#include <math.h>
#include <omp.h>
#include <stdlib.h>

#include "check.h"

enum { IMAGE = 3 * 224 * 224 };

/* One image's score, the squares of its gradient, and the total loss of a step on two images. */
typedef struct answers {
    hmt_status status;
    double score, gradient, loss;
} answers;

static hmt_status infer(hmt_model *model, const float *image, answers *a)
{
    hmt_session_options o = HMT_SESSION_OPTIONS_INIT;
    hmt_session *session = NULL;
    hmt_prediction p;
    float *gradient = malloc(IMAGE * sizeof *gradient);
    hmt_status status;

    o.gradients = HMT_GRADIENTS_INPUT;
    status = hmt_session_create(model, &o, &session);
    if (status == HMT_OK)
        status = hmt_infer(session, image, 1, &p);
    if (status == HMT_OK)
        status = hmt_session_gradient(session, HMT_TASK_GENDER, 0, NULL, gradient, IMAGE);
    for (int i = 0; status == HMT_OK && i < IMAGE; ++i)
        a->gradient += (double)gradient[i] * (double)gradient[i];
    if (status == HMT_OK)
        a->score = (double)p.score;
    hmt_session_free(session);
    free(gradient);
    return status;
}

static hmt_status train(hmt_model *model, const float *images, answers *a)
{
    hmt_trainer_options options = HMT_TRAINER_OPTIONS_INIT;
    hmt_batch batch = HMT_BATCH_INIT;
    hmt_losses losses = HMT_LOSSES_INIT;
    hmt_trainer *trainer = NULL;
    hmt_status status;

    options.batch = 2;
    batch.count = 2;
    batch.images = images;
    batch.gender = (const int32_t[]){0, 1};
    status = hmt_trainer_create(model, &options, &trainer);
    if (status == HMT_OK)
        status = hmt_train_step(trainer, &batch, &losses);
    a->loss = losses.total;
    hmt_trainer_free(trainer);
    return status;
}

/* Everything once, from nothing. */
static answers compute(int32_t threads, const float *images)
{
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;
    hmt_context *context = NULL;
    hmt_model_config config;
    hmt_model *model = NULL;
    answers a = {.status = HMT_OK};

    o.backend = "onednn";
    o.threads = threads;
    hmt_model_config_init(&config);
    config.width = 0.0625;
    a.status = hmt_context_create(&o, &context);
    if (a.status == HMT_OK)
        a.status = hmt_model_create(context, &config, 1, &model);
    if (a.status == HMT_OK)
        a.status = infer(model, images, &a);
    if (a.status == HMT_OK)
        a.status = train(model, images, &a);
    hmt_model_free(model);
    hmt_context_free(context);
    return a;
}

static int same(const answers *a, const answers *b)
{
    return a->status == HMT_OK && b->status == HMT_OK && fabs(a->score - b->score) < 1e-4 &&
           fabs(a->gradient - b->gradient) < 1e-3 * b->gradient && fabs(a->loss - b->loss) < 1e-4;
}

int main(void)
{
    float *images = malloc(2 * IMAGE * sizeof *images);
    answers expected, got[2];

    for (size_t i = 0; i < 2 * IMAGE; ++i)
        images[i] = (float)(i * 2654435761u % 1000) / 500.0f - 1.0f;
    omp_set_num_threads(5);
    omp_set_dynamic(1);
    expected = compute(2, images);
    CHECK(same(&expected, &expected) && expected.gradient > 0.0);
    CHECK(omp_get_max_threads() == 5 && omp_get_dynamic());
    omp_set_dynamic(0);
    for (int32_t threads = 1; threads <= 2; ++threads) {
#pragma omp parallel for num_threads(2)
        for (int i = 0; i < 2; ++i)
            got[i] = compute(threads, images);
        CHECK(same(&got[0], &expected) && same(&got[1], &expected));
    }
    omp_set_max_active_levels(0);
    got[0] = compute(2, images);
    CHECK(same(&got[0], &expected));
    free(images);
    return test_finish();
}
