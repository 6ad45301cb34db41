/* tier: quick
 * Hosts that use OpenMP themselves: their settings are left alone. Sessions and trainers ask
 * nothing of it, but where large layers are oneDNN's (here by HMT_CONV=direct): if it would not
 * give those their threads the answer is a status, and if the environment lets threads spin the log
 * says so.
 */
#include <math.h>
#include <omp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { IMAGE = 3 * 224 * 224 };

/* One prediction from nothing; *score on success. */
static hmt_status predict(int32_t threads, const float *image, float *score)
{
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;
    hmt_context *context = NULL;
    hmt_model_config config;
    hmt_model *model = NULL;
    hmt_session *session = NULL;
    hmt_prediction p = {0};
    hmt_status status;

    o.backend = "onednn";
    o.threads = threads;
    hmt_model_config_init(&config);
    config.width = 0.0625;
    status = hmt_context_create(&o, &context);
    if (status == HMT_OK)
        status = hmt_model_create(context, &config, 1, &model);
    if (status == HMT_OK)
        status = hmt_session_create(model, NULL, &session);
    if (status == HMT_OK)
        status = hmt_infer(session, image, 1, &p);
    *score = p.score;
    hmt_session_free(session);
    hmt_model_free(model);
    hmt_context_free(context);
    return status;
}

/* The total loss of a first step on two images. */
static hmt_status train(int32_t threads, const float *images, hmt_log_fn log, void *log_user,
                        double *loss)
{
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;
    hmt_trainer_options options = HMT_TRAINER_OPTIONS_INIT;
    hmt_batch batch = HMT_BATCH_INIT;
    hmt_losses losses = HMT_LOSSES_INIT;
    hmt_context *context = NULL;
    hmt_model_config config;
    hmt_model *model = NULL;
    hmt_trainer *trainer = NULL;
    hmt_status status;

    o.backend = "onednn";
    o.threads = threads;
    o.log = log;
    o.log_user = log_user;
    options.batch = 2;
    batch.count = 2;
    batch.images = images;
    batch.gender = (const int32_t[]){0, 1};
    hmt_model_config_init(&config);
    config.width = 0.0625;
    status = hmt_context_create(&o, &context);
    if (status == HMT_OK)
        status = hmt_model_create(context, &config, 1, &model);
    if (status == HMT_OK)
        status = hmt_trainer_create(model, &options, &trainer);
    if (status == HMT_OK)
        status = hmt_train_step(trainer, &batch, &losses);
    *loss = losses.total;
    hmt_trainer_free(trainer);
    hmt_model_free(model);
    hmt_context_free(context);
    return status;
}

static void count_advice(void *count, hmt_log_level level, const char *message)
{
    *(int *)count += level == HMT_LOG_INFO && strstr(message, "GOMP_SPINCOUNT=1000") != NULL;
}

static int advice(int32_t threads, const float *images)
{
    int count = 0;
    double loss;

    CHECK_STATUS(train(threads, images, count_advice, &count, &loss), HMT_OK);
    return count;
}

/* Whoever needs OpenMP's threads hears how they wait. */
static void waiting(const float *images, bool needs)
{
    unsetenv("OMP_WAIT_POLICY");
    unsetenv("GOMP_SPINCOUNT");
    CHECK(advice(2, images) == needs && advice(1, images) == 0);
    setenv("OMP_WAIT_POLICY", "passive", 1);
    CHECK(advice(2, images) == 0);
    unsetenv("OMP_WAIT_POLICY");
    setenv("GOMP_SPINCOUNT", "1000", 1);
    CHECK(advice(2, images) == 0);
}

/* Everything once by this host, and in each thread of a parallel region of its own. Whether or not
 * trainers need OpenMP's threads, a session of so small a network does not. */
static void host(const float *images, bool needs)
{
    float expected, score[2] = {0};
    double expected_loss, loss[2];
    hmt_status status[2], trained[2];

    omp_set_num_threads(5);
    omp_set_dynamic(1);
    CHECK_STATUS(predict(2, images, &expected), HMT_OK);
    CHECK_STATUS(train(2, images, NULL, NULL, &expected_loss), HMT_OK);
    CHECK(omp_get_max_threads() == 5 && omp_get_dynamic());
    omp_set_dynamic(0);
    for (int32_t threads = 1; threads <= 2; ++threads) {
#pragma omp parallel for num_threads(2)
        for (int i = 0; i < 2; ++i) {
            status[i] = predict(threads, images, &score[i]);
            trained[i] = train(threads, images, NULL, NULL, &loss[i]);
        }
        for (int i = 0; i < 2; ++i) {
            CHECK(status[i] == HMT_OK && fabsf(score[i] - expected) < 1e-4f);
            CHECK(trained[i] == (threads > 1 && needs ? HMT_ERROR_STATE : HMT_OK));
            CHECK(trained[i] != HMT_OK || fabs(loss[i] - expected_loss) < 1e-4);
        }
    }
}

int main(void)
{
    float *images = malloc(2 * IMAGE * sizeof *images), score;
    double loss;

    for (size_t i = 0; i < 2 * IMAGE; ++i)
        images[i] = (float)(i * 2654435761u % 1000) / 500.0f - 1.0f;
    for (int needs = 0; needs <= 1; ++needs) {
        if (needs)
            setenv("HMT_CONV", "direct", 1);
        waiting(images, needs);
        host(images, needs);
    }
    omp_set_max_active_levels(0);
    CHECK_STATUS(train(2, images, NULL, NULL, &loss), HMT_ERROR_STATE);
    CHECK(strstr(hmt_last_error(), "OpenMP") != NULL);
    CHECK_STATUS(train(1, images, NULL, NULL, &loss), HMT_OK);
    unsetenv("HMT_CONV");
    CHECK_STATUS(predict(2, images, &score), HMT_OK);
    CHECK_STATUS(train(2, images, NULL, NULL, &loss), HMT_OK);
    free(images);
    return test_finish();
}
