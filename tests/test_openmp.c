/* tier: quick
 * Hosts that use OpenMP themselves: their settings are left alone, inference asks nothing of
 * OpenMP, and where it would not give a trainer its threads the answer is a status. Trainers whose
 * environment lets threads spin are told so in the log.
 */
#include <math.h>
#include <omp.h>
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

/* A trainer is made, whose loops and primitives OpenMP shares out. */
static hmt_status prepare_training(int32_t threads, hmt_log_fn log, void *log_user)
{
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;
    hmt_context *context = NULL;
    hmt_model_config config;
    hmt_model *model = NULL;
    hmt_trainer *trainer = NULL;
    hmt_status status;

    o.backend = "onednn";
    o.threads = threads;
    o.log = log;
    o.log_user = log_user;
    hmt_model_config_init(&config);
    config.width = 0.0625;
    status = hmt_context_create(&o, &context);
    if (status == HMT_OK)
        status = hmt_model_create(context, &config, 1, &model);
    if (status == HMT_OK)
        status = hmt_trainer_create(model, NULL, &trainer);
    hmt_trainer_free(trainer);
    hmt_model_free(model);
    hmt_context_free(context);
    return status;
}

static void count_advice(void *count, hmt_log_level level, const char *message)
{
    *(int *)count += level == HMT_LOG_INFO && strstr(message, "GOMP_SPINCOUNT=1000") != NULL;
}

static int advice(int32_t threads)
{
    int count = 0;

    CHECK_STATUS(prepare_training(threads, count_advice, &count), HMT_OK);
    return count;
}

static void waiting(void)
{
    unsetenv("OMP_WAIT_POLICY");
    unsetenv("GOMP_SPINCOUNT");
    CHECK(advice(2) == 1 && advice(1) == 0);
    setenv("OMP_WAIT_POLICY", "passive", 1);
    CHECK(advice(2) == 0);
    unsetenv("OMP_WAIT_POLICY");
    setenv("GOMP_SPINCOUNT", "1000", 1);
    CHECK(advice(2) == 0);
}

int main(void)
{
    float *image = malloc(IMAGE * sizeof *image), expected, score[2] = {0};
    hmt_status status[2], trained[2];

    waiting();
    for (size_t i = 0; i < IMAGE; ++i)
        image[i] = (float)(i * 2654435761u % 1000) / 500.0f - 1.0f;
    omp_set_num_threads(5);
    omp_set_dynamic(1);
    CHECK_STATUS(predict(2, image, &expected), HMT_OK);
    CHECK_STATUS(prepare_training(2, NULL, NULL), HMT_OK);
    CHECK(omp_get_max_threads() == 5 && omp_get_dynamic());
    omp_set_dynamic(0);
    for (int32_t threads = 1; threads <= 2; ++threads) {
#pragma omp parallel for num_threads(2)
        for (int i = 0; i < 2; ++i) {
            status[i] = predict(threads, image, &score[i]);
            trained[i] = prepare_training(threads, NULL, NULL);
        }
        for (int i = 0; i < 2; ++i) {
            CHECK(status[i] == HMT_OK && fabsf(score[i] - expected) < 1e-4f);
            CHECK(trained[i] == (threads == 1 ? HMT_OK : HMT_ERROR_STATE));
        }
    }
    omp_set_max_active_levels(0);
    CHECK_STATUS(predict(2, image, &score[0]), HMT_OK);
    CHECK_STATUS(prepare_training(2, NULL, NULL), HMT_ERROR_STATE);
    CHECK(strstr(hmt_last_error(), "OpenMP") != NULL);
    CHECK_STATUS(prepare_training(1, NULL, NULL), HMT_OK);
    free(image);
    return test_finish();
}
