/* tier: quick
 * The public API as a careless host uses it: wrong arguments, wrong order, stale objects. Every
 * call must answer with a status and a sentence, and leave everything usable.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hmtnet/backend.h>

#include "builtin.h"
#include "check.h"

enum { BATCH = 2, IMAGE = 3 * 224 * 224 };

/* A message must be there after a failure, and be one line. */
static void check_message(void)
{
    CHECK(hmt_last_error()[0] != '\0');
    CHECK(strchr(hmt_last_error(), '\n') == NULL);
}

#define REFUSED(call, code)                                                                        \
    do {                                                                                           \
        CHECK_STATUS(call, code);                                                                  \
        check_message();                                                                           \
    } while (0)

static hmt_model *small_model(hmt_context *context)
{
    hmt_model_config config;
    hmt_model *model = NULL;

    hmt_model_config_init(&config);
    config.width = 0.0625;
    CHECK_STATUS(hmt_model_create(context, &config, 7, &model), HMT_OK);
    return model;
}

static float *images(size_t count)
{
    float *pixels = malloc(count * IMAGE * sizeof *pixels);

    for (size_t i = 0; pixels != NULL && i < count * IMAGE; ++i)
        pixels[i] = (float)(i * 2654435761u % 1000) / 500.0f - 1.0f;
    CHECK(pixels != NULL);
    return pixels;
}

static void versions_and_names(void)
{
    CHECK(hmt_version_number() == HMT_VERSION_NUMBER);
    CHECK(strcmp(hmt_status_name(HMT_ERROR_FORMAT), "HMT_ERROR_FORMAT") == 0);
    CHECK(strcmp(hmt_status_name((hmt_status)-99), "unknown status") == 0);
    for (int code = 0; code >= HMT_ERROR_CANCELLED; --code)
        CHECK(strncmp(hmt_status_name((hmt_status)code), "HMT_", 4) == 0);
}

static void contexts(void)
{
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;
    hmt_context *context = NULL;
    hmt_backend_info info = HMT_BACKEND_INFO_INIT;
    hmt_device_info device = HMT_DEVICE_INFO_INIT;

    REFUSED(hmt_context_create(&o, NULL), HMT_ERROR_ARGUMENT);
    o.backend = "abacus";
    REFUSED(hmt_context_create(&o, &context), HMT_ERROR_NOT_FOUND);
    CHECK(strstr(hmt_last_error(), "abacus") != NULL);
    o.backend = "reference";
    o.device = 7;
    REFUSED(hmt_context_create(&o, &context), HMT_ERROR_NOT_FOUND);
    o.device = 0;
    o.threads = -1;
    REFUSED(hmt_context_create(&o, &context), HMT_ERROR_ARGUMENT);
    o.threads = 1;
    o.struct_size = 3;
    REFUSED(hmt_context_create(&o, &context), HMT_ERROR_ARGUMENT);
    o.struct_size = offsetof(hmt_context_options, threads); /* a host built before that field */
    CHECK_STATUS(hmt_context_create(&o, &context), HMT_OK);
    CHECK(strcmp(hmt_context_backend(context), "reference") == 0);
    CHECK(hmt_context_threads(context) >= 1);
    hmt_context_free(context);
    hmt_context_free(NULL);

    CHECK(hmt_backend_count(NULL) >= 2);
    CHECK_STATUS(hmt_backend_get_info(NULL, 0, &info), HMT_OK);
    CHECK(info.device_count >= 1 && info.name[0] != '\0');
    CHECK_STATUS(hmt_device_get_info(NULL, 0, 0, &device), HMT_OK);
    CHECK(device.name[0] != '\0');
    REFUSED(hmt_backend_get_info(NULL, 99, &info), HMT_ERROR_NOT_FOUND);
    REFUSED(hmt_backend_get_info(NULL, 0, NULL), HMT_ERROR_ARGUMENT);
    REFUSED(hmt_device_get_info(NULL, 0, -1, &device), HMT_ERROR_NOT_FOUND);
    CHECK(hmt_context_threads(NULL) == 0);
}

/* A host's own backend is found by its name; one made for another interface is refused with both
 * numbers. */
static void own_backends(void)
{
    char theirs[32], ours[32];
    hmt_backend mine = *backends_builtin[1];
    const hmt_backend *list[1] = {&mine};
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;
    hmt_context *context = NULL;

    mine.name = "mine";
    o.backends = list;
    o.backend_count = 1;
    o.backend = "mine";
    CHECK_STATUS(hmt_context_create(&o, &context), HMT_OK);
    CHECK(strcmp(hmt_context_backend(context), "mine") == 0);
    CHECK(hmt_backend_count(context) == hmt_backend_count(NULL) + 1);
    hmt_context_free(context);
    mine.abi = HMT_BACKEND_ABI + 1;
    REFUSED(hmt_context_create(&o, &context), HMT_ERROR_UNSUPPORTED);
    snprintf(theirs, sizeof theirs, "interface %u", HMT_BACKEND_ABI + 1);
    snprintf(ours, sizeof ours, "interface %u", HMT_BACKEND_ABI);
    CHECK(strstr(hmt_last_error(), theirs) != NULL && strstr(hmt_last_error(), ours) != NULL);
    o.backends = NULL;
    REFUSED(hmt_context_create(&o, &context), HMT_ERROR_ARGUMENT);
}

static void configs(void)
{
    /* No UTF-8, a surrogate, and control characters of ASCII and Unicode. */
    static const char *const odd[] = {"\xff", "\xed\xa0\x80", "a\nb", "\t", "\x7f", "\xc2\x9b"};
    hmt_model_config good, bad;
    hmt_model *model = NULL;

    hmt_model_config_init(&good);
    hmt_model_config_init(NULL);
    good.width = 0.0625;
    bad = good, bad.width = 0.0;
    REFUSED(hmt_model_create(NULL, &bad, 1, &model), HMT_ERROR_ARGUMENT);
    bad = good, bad.width = NAN;
    REFUSED(hmt_model_create(NULL, &bad, 1, &model), HMT_ERROR_ARGUMENT);
    bad = good, bad.gender_classes = 1;
    REFUSED(hmt_model_create(NULL, &bad, 1, &model), HMT_ERROR_ARGUMENT);
    bad = good, bad.race_classes = HMT_MAX_CLASSES + 1;
    REFUSED(hmt_model_create(NULL, &bad, 1, &model), HMT_ERROR_ARGUMENT);
    bad = good, memset(bad.race_labels[0], 'x', HMT_MAX_LABEL);
    REFUSED(hmt_model_create(NULL, &bad, 1, &model), HMT_ERROR_ARGUMENT);
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; ++i) {
        bad = good, strcpy(bad.gender_labels[1], odd[i]);
        REFUSED(hmt_model_create(NULL, &bad, 1, &model), HMT_ERROR_ARGUMENT);
        CHECK(strstr(hmt_last_error(), "gender class 1") != NULL);
    }
    bad = good, bad.deviation[1] = 0.0f;
    REFUSED(hmt_model_create(NULL, &bad, 1, &model), HMT_ERROR_ARGUMENT);
    bad = good, bad.score_mean = INFINITY;
    REFUSED(hmt_model_create(NULL, &bad, 1, &model), HMT_ERROR_ARGUMENT);
    bad = good, bad.wiring = (hmt_wiring)5;
    REFUSED(hmt_model_create(NULL, &bad, 1, &model), HMT_ERROR_ARGUMENT);
    bad = good, bad.network = (hmt_network)5;
    REFUSED(hmt_model_create(NULL, &bad, 1, &model), HMT_ERROR_ARGUMENT);
    REFUSED(hmt_model_create(NULL, &good, 1, NULL), HMT_ERROR_ARGUMENT);
    CHECK(model == NULL);
}

static void parameters(void)
{
    hmt_model *model = small_model(NULL);
    hmt_param_info info = HMT_PARAM_INFO_INIT;
    hmt_model_config config = {.struct_size = sizeof config};
    float values[8];
    size_t index = 0, count = hmt_model_param_count(model);

    CHECK(count == 78);
    CHECK(hmt_model_param_count(NULL) == 0);
    CHECK_STATUS(hmt_model_param_find(model, "fc8.bias", &index), HMT_OK);
    CHECK_STATUS(hmt_model_param_info(model, index, &info), HMT_OK);
    CHECK(info.count == 1 && info.dimensions == 1 && info.trainable);
    CHECK_STATUS(hmt_model_param_read(model, index, values, 1), HMT_OK);
    CHECK(values[0] == 3.0f); /* the mean score */
    REFUSED(hmt_model_param_read(model, index, values, 2), HMT_ERROR_ARGUMENT);
    REFUSED(hmt_model_param_read(model, count, values, 1), HMT_ERROR_ARGUMENT);
    REFUSED(hmt_model_param_read(NULL, 0, values, 1), HMT_ERROR_ARGUMENT);
    REFUSED(hmt_model_param_write(model, index, NULL, 1), HMT_ERROR_ARGUMENT);
    REFUSED(hmt_model_param_find(model, "fc9.bias", &index), HMT_ERROR_NOT_FOUND);
    REFUSED(hmt_model_param_info(model, count, &info), HMT_ERROR_ARGUMENT);
    info.struct_size = 0;
    REFUSED(hmt_model_param_info(model, 0, &info), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_model_get_config(model, &config), HMT_OK);
    CHECK(config.width == 0.0625 && config.race_classes == 2);
    CHECK(strcmp(hmt_model_label(model, HMT_TASK_GENDER, 1), "male") == 0);
    CHECK(hmt_model_label(model, HMT_TASK_GENDER, 2) == NULL);
    CHECK(hmt_model_label(model, HMT_TASK_ATTRACTIVENESS, 0) == NULL);
    CHECK(hmt_model_label(NULL, HMT_TASK_RACE, 0) == NULL);
    hmt_model_free(model);
    hmt_model_free(NULL);
}

/* The same seed makes the same model, another seed another. */
static void seeds(void)
{
    hmt_model *model[3];
    hmt_model_config config;
    float values[3][1] = {{0}};
    size_t index = 0;

    hmt_model_config_init(&config);
    config.width = 0.01;
    for (int i = 0; i < 3; ++i) {
        float *weight = malloc(sizeof *weight * 41 * 41);
        hmt_param_info info = HMT_PARAM_INFO_INIT;

        CHECK_STATUS(hmt_model_create(NULL, &config, i == 2 ? 6 : 5, &model[i]), HMT_OK);
        CHECK_STATUS(hmt_model_param_find(model[i], "fc7.weight", &index), HMT_OK);
        CHECK_STATUS(hmt_model_param_info(model[i], index, &info), HMT_OK);
        CHECK(info.count == 41 * 41);
        CHECK_STATUS(hmt_model_param_read(model[i], index, weight, (size_t)info.count), HMT_OK);
        values[i][0] = weight[17];
        free(weight);
        hmt_model_free(model[i]);
    }
    CHECK(values[0][0] == values[1][0]);
    CHECK(values[0][0] != values[2][0]);
}

static void sessions(void)
{
    hmt_context *context = NULL;
    hmt_model *model;
    hmt_session *session = NULL;
    hmt_session_options o = HMT_SESSION_OPTIONS_INIT;
    hmt_prediction p[3];
    hmt_memory memory = HMT_MEMORY_INIT;
    hmt_step_profile steps[4];
    int64_t shape[4];
    float values[64], *pixels = images(3);
    const char *taps[1] = {"relu99"};
    size_t count = 0;

    CHECK_STATUS(hmt_context_create(NULL, &context), HMT_OK);
    model = small_model(context);
    REFUSED(hmt_session_create(NULL, NULL, &session), HMT_ERROR_ARGUMENT);
    REFUSED(hmt_session_create(model, NULL, NULL), HMT_ERROR_ARGUMENT);
    o.batch = 0;
    REFUSED(hmt_session_create(model, &o, &session), HMT_ERROR_ARGUMENT);
    o.batch = BATCH;
    o.tasks = 8;
    REFUSED(hmt_session_create(model, &o, &session), HMT_ERROR_ARGUMENT);
    o.tasks = HMT_TASKS_GENDER | HMT_TASKS_ATTRACTIVENESS;
    o.taps = taps;
    o.tap_count = 1;
    REFUSED(hmt_session_create(model, &o, &session), HMT_ERROR_NOT_FOUND);
    CHECK(strstr(hmt_last_error(), "relu99") != NULL);
    taps[0] = "relu5";
    CHECK_STATUS(hmt_session_create(model, &o, &session), HMT_OK);
    hmt_context_free(context); /* parents may go first */
    hmt_model_free(model);
    CHECK(hmt_session_model(session) == model);

    REFUSED(hmt_session_tap_read(session, "relu5", values, 64), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_session_tap_shape(session, "relu5", shape), HMT_OK);
    CHECK(shape[0] == BATCH && shape[1] == 32 && shape[2] == 13 && shape[3] == 13);
    REFUSED(hmt_session_tap_shape(session, "relu3", shape), HMT_ERROR_NOT_FOUND);
    REFUSED(hmt_infer(session, NULL, 1, p), HMT_ERROR_ARGUMENT);
    REFUSED(hmt_infer(session, pixels, 0, p), HMT_ERROR_ARGUMENT);
    REFUSED(hmt_infer(NULL, pixels, 1, p), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_infer(session, pixels, 3, p), HMT_OK); /* one and a half batches */
    for (int i = 0; i < 3; ++i) {
        CHECK(p[i].tasks == o.tasks && p[i].gender.class_count == 2);
        CHECK(fabsf(p[i].gender.probabilities[0] + p[i].gender.probabilities[1] - 1.0f) < 1e-5f);
        CHECK(p[i].race.label == -1 && p[i].race.name[0] == '\0' && isfinite(p[i].score));
    }
    CHECK_STATUS(hmt_session_logits(session, HMT_TASK_GENDER, values, 2), HMT_OK); /* one image */
    REFUSED(hmt_session_logits(session, HMT_TASK_GENDER, values, 1), HMT_ERROR_ARGUMENT);
    REFUSED(hmt_session_logits(session, HMT_TASK_RACE, values, 64), HMT_ERROR_ARGUMENT);
    REFUSED(hmt_session_logits(session, (hmt_task)9, values, 64), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_session_memory(session, &memory), HMT_OK);
    CHECK(memory.parameters > 0 && memory.arena > 0);
    CHECK_STATUS(hmt_session_profile(session, steps, 4, &count), HMT_OK); /* made without times */
    CHECK(count > 4 && steps[0].flops > 0 && steps[0].milliseconds == 0.0);
    REFUSED(hmt_predict_file(session, "/nonexistent/face.jpg", p), HMT_ERROR_NOT_FOUND);
    CHECK(strstr(hmt_last_error(), "/nonexistent/face.jpg") != NULL);
    REFUSED(hmt_predict_memory(session, "hello", 5, p), HMT_ERROR_UNSUPPORTED);
    REFUSED(hmt_prediction_mean(p, 0, p), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_prediction_mean(p, 2, &p[2]), HMT_OK);
    CHECK(fabsf(p[2].score - 0.5f * (p[0].score + p[1].score)) < 1e-5f);
    CHECK(strcmp(p[2].gender.name, p[2].gender.label == 1 ? "male" : "female") == 0 ||
          p[2].gender.name[0] == '\0');
    hmt_session_free(session);
    hmt_session_free(NULL);
    free(pixels);
}

static void training_is_checked(void)
{
    hmt_model *model = small_model(NULL);
    hmt_trainer_options o = HMT_TRAINER_OPTIONS_INIT;
    hmt_trainer *trainer = NULL, *second = NULL;
    hmt_session *session = NULL;
    hmt_batch b = HMT_BATCH_INIT;
    hmt_losses losses = HMT_LOSSES_INIT;
    hmt_prediction p[BATCH];
    int32_t gender[BATCH] = {0, 5}, race[BATCH] = {-1, -1};
    float score[BATCH] = {2.0f, NAN}, value, *pixels = images(BATCH);

    o.batch = 1;
    REFUSED(hmt_trainer_create(model, &o, &trainer), HMT_ERROR_ARGUMENT);
    o.batch = BATCH;
    o.momentum = 1.0;
    REFUSED(hmt_trainer_create(model, &o, &trainer), HMT_ERROR_ARGUMENT);
    o.momentum = 0.9;
    o.alpha[0] = o.alpha[1] = o.alpha[2] = 0.0;
    REFUSED(hmt_trainer_create(model, &o, &trainer), HMT_ERROR_ARGUMENT);
    o.alpha[0] = o.alpha[1] = o.alpha[2] = 1.0;
    o.delta = 0.0;
    REFUSED(hmt_trainer_create(model, &o, &trainer), HMT_ERROR_ARGUMENT);
    o.delta = 0.6;
    CHECK_STATUS(hmt_session_create(model, NULL, &session), HMT_OK);
    CHECK_STATUS(hmt_trainer_create(model, &o, &trainer), HMT_OK);
    REFUSED(hmt_trainer_create(model, &o, &second), HMT_ERROR_STATE);
    value = 1.0f;
    {
        size_t bias = 0;
        CHECK_STATUS(hmt_model_param_find(model, "fc8.bias", &bias), HMT_OK);
        REFUSED(hmt_model_param_write(model, bias, &value, 1), HMT_ERROR_STATE);
    }
    b.images = pixels;
    b.count = 1;
    REFUSED(hmt_train_step(trainer, &b, NULL), HMT_ERROR_ARGUMENT);
    b.count = BATCH;
    b.gender = gender;
    REFUSED(hmt_train_step(trainer, &b, NULL), HMT_ERROR_ARGUMENT); /* class 5 of 2 */
    gender[1] = 1;
    score[0] = INFINITY;
    b.score = score;
    REFUSED(hmt_train_step(trainer, &b, NULL), HMT_ERROR_ARGUMENT);
    score[0] = 2.0f;
    b.race = race;
    CHECK_STATUS(hmt_train_step(trainer, &b, &losses), HMT_OK);
    CHECK(losses.step == 1 && losses.labelled[0] == 2 && losses.labelled[1] == 0 &&
          losses.labelled[2] == 1);
    CHECK(losses.task[1] == 0.0 && losses.task[2] > 0.0);
    CHECK(fabs(losses.total - losses.task[0] - losses.task[2]) < 1e-9);
    REFUSED(hmt_infer(session, pixels, 1, p), HMT_ERROR_STATE); /* its weights are old */
    b.count = 1;
    CHECK_STATUS(hmt_evaluate(trainer, &b, &losses, p), HMT_OK);
    CHECK(losses.step == 0 && losses.labelled[0] == 1 && p[0].tasks == HMT_TASKS_ALL);
    REFUSED(hmt_trainer_set_learning_rate(trainer, -1.0), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_trainer_set_learning_rate(trainer, 1e-4), HMT_OK);
    hmt_model_free(model); /* the trainer holds it */
    hmt_trainer_free(trainer);
    hmt_trainer_free(NULL);
    hmt_session_free(session);
    free(pixels);
}

/* Every parameter of a model, one after the other. */
static float *all_parameters(hmt_model *model, size_t *total)
{
    float *values;
    size_t at = 0;

    *total = 0;
    for (int pass = 0; pass < 2; ++pass) {
        if (pass == 1 && (values = malloc(*total * sizeof *values)) == NULL)
            return NULL;
        for (size_t i = 0; i < hmt_model_param_count(model); ++i) {
            hmt_param_info info = HMT_PARAM_INFO_INIT;

            CHECK_STATUS(hmt_model_param_info(model, i, &info), HMT_OK);
            if (pass == 0) {
                *total += (size_t)info.count;
                continue;
            }
            CHECK_STATUS(hmt_model_param_read(model, i, values + at, (size_t)info.count), HMT_OK);
            at += (size_t)info.count;
        }
    }
    return values;
}

static int cancel_at; /* which call of the callback says stop */

static int maybe_cancel(void *user, const char *what, uint64_t done, uint64_t total)
{
    (void)user, (void)done, (void)total;
    return what[0] == 't' && --cancel_at == 0;
}

/* A loss that is not finite, and a host that cancels, leave parameters, statistics and momentum as
 * they were. */
static void failed_steps_change_nothing(const char *backend)
{
    hmt_context_options co = HMT_CONTEXT_OPTIONS_INIT;
    hmt_trainer_options o = HMT_TRAINER_OPTIONS_INIT;
    hmt_context *context = NULL;
    hmt_trainer *trainer = NULL;
    hmt_batch b = HMT_BATCH_INIT;
    hmt_model *model;
    int32_t gender[BATCH] = {0, 1};
    float score[BATCH] = {2.0f, 4.0f}, *pixels = images(BATCH), *before, *after;
    size_t total;

    co.backend = backend;
    co.progress = maybe_cancel;
    CHECK_STATUS(hmt_context_create(&co, &context), HMT_OK);
    model = small_model(context);
    o.batch = BATCH;
    CHECK_STATUS(hmt_trainer_create(model, &o, &trainer), HMT_OK);
    b.count = BATCH;
    b.images = pixels;
    b.gender = gender;
    b.score = score;
    CHECK_STATUS(hmt_train_step(trainer, &b, NULL), HMT_OK);
    before = all_parameters(model, &total);
    for (int way = 0; way < 3; ++way) {
        if (way < 2) {
            cancel_at = way + 1;
            REFUSED(hmt_train_step(trainer, &b, NULL), HMT_ERROR_CANCELLED);
        } else {
            cancel_at = 0;
            pixels[100] = NAN;
            REFUSED(hmt_train_step(trainer, &b, NULL), HMT_ERROR_NONFINITE);
            CHECK(strstr(hmt_last_error(), "step 2") != NULL &&
                  strstr(hmt_last_error(), "bn49") != NULL);
        }
        after = all_parameters(model, &total);
        CHECK(before != NULL && after != NULL && memcmp(before, after, total * sizeof *after) == 0);
        free(after);
    }
    pixels[100] = 0.0f;
    CHECK_STATUS(hmt_train_step(trainer, &b, NULL), HMT_OK);
    after = all_parameters(model, &total);
    CHECK(memcmp(before, after, total * sizeof *after) != 0);
    free(after);
    free(before);
    free(pixels);
    hmt_trainer_free(trainer);
    hmt_model_free(model);
    hmt_context_free(context);
}

static void schedules(void)
{
    hmt_schedule s = HMT_SCHEDULE_INIT;
    double rate = 0.0, last = 1.0;

    s.base = 0.1;
    s.total = 101;
    s.kind = HMT_SCHEDULE_STEP;
    REFUSED(hmt_schedule_rate(&s, 0, &rate), HMT_ERROR_ARGUMENT); /* no period */
    s.period = 50;
    CHECK_STATUS(hmt_schedule_rate(&s, 49, &rate), HMT_OK);
    CHECK(fabs(rate - 0.1) < 1e-12);
    CHECK_STATUS(hmt_schedule_rate(&s, 100, &rate), HMT_OK);
    CHECK(fabs(rate - 0.001) < 1e-12);
    s.kind = HMT_SCHEDULE_COSINE;
    for (uint64_t step = 0; step < 101; ++step, last = rate) {
        CHECK_STATUS(hmt_schedule_rate(&s, step, &rate), HMT_OK);
        CHECK(rate < last);
    }
    CHECK(fabs(rate - 0.01) < 1e-12);
    s.kind = HMT_SCHEDULE_ONE_CYCLE;
    CHECK_STATUS(hmt_schedule_rate(&s, 0, &rate), HMT_OK);
    CHECK(fabs(rate - 0.1 / 25) < 1e-12);
    CHECK_STATUS(hmt_schedule_rate(&s, 30, &rate), HMT_OK);
    CHECK(fabs(rate - 0.1) < 1e-12);
    s = (hmt_schedule)HMT_SCHEDULE_INIT;
    s.kind = HMT_SCHEDULE_COSINE;
    s.base = 1.0;
    s.factor = 0.0;
    s.total = 13;
    s.warmup_steps = 4;
    for (uint64_t step = 0; step < 4; ++step) {
        CHECK_STATUS(hmt_schedule_rate(&s, step, &rate), HMT_OK);
        CHECK(fabs(rate - 0.2 * (double)(step + 1)) < 1e-12);
    }
    CHECK_STATUS(hmt_schedule_rate(&s, 4, &rate), HMT_OK);
    CHECK(fabs(rate - 1.0) < 1e-12);
    CHECK_STATUS(hmt_schedule_rate(&s, 8, &rate), HMT_OK);
    CHECK(fabs(rate - 0.5) < 1e-12);
    CHECK_STATUS(hmt_schedule_rate(&s, 12, &rate), HMT_OK);
    CHECK(fabs(rate) < 1e-12);
    s.kind = (hmt_schedule_kind)9;
    REFUSED(hmt_schedule_rate(&s, 0, &rate), HMT_ERROR_ARGUMENT);
    REFUSED(hmt_schedule_rate(NULL, 0, &rate), HMT_ERROR_ARGUMENT);
}

int main(void)
{
    versions_and_names();
    contexts();
    own_backends();
    configs();
    parameters();
    seeds();
    sessions();
    training_is_checked();
    for (size_t i = 0; backends_builtin[i] != NULL; ++i)
        failed_steps_change_nothing(backends_builtin[i]->name);
    schedules();
    return test_finish();
}
