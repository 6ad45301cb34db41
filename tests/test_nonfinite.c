/* tier: quick
 * No answer is made from numbers that are not finite: an image that has one, or whose activations
 * overflow in whichever layer, has the status HMT_ERROR_NONFINITE and no class, and the images
 * beside it have their answers. With a file as argument: writes a model there whose activations
 * overflow, for nonfinite_test.sh.
 */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "check.h"

enum { IMAGE = 3 * 224 * 224, ROWS = 4, BAD = 2 };

static float images[ROWS * IMAGE];

static void fill(void)
{
    uint32_t seed = 5;

    for (int i = 0; i < ROWS * IMAGE; ++i) {
        seed = seed * 1664525u + 1013904223u;
        images[i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
    }
}

static bool is_empty(const hmt_prediction *p)
{
    return p->status == HMT_ERROR_NONFINITE && p->tasks == 0 && p->score == 0.0f &&
           p->gender.label == -1 && p->race.label == -1 && p->gender.class_count == 0 &&
           p->gender.name[0] == '\0' && p->race.name[0] == '\0';
}

static bool is_answer(const hmt_prediction *p, const hmt_prediction *expected)
{
    return p->status == HMT_OK && p->tasks == HMT_TASKS_ALL && p->score == expected->score &&
           p->gender.label == expected->gender.label && p->race.label == expected->race.label;
}

static hmt_model *make_model(const char *backend)
{
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;
    hmt_context *context = NULL;
    hmt_model_config config;
    hmt_model *model = NULL;

    o.backend = backend;
    hmt_model_config_init(&config);
    config.width = 1.0 / 16;
    CHECK_STATUS(hmt_context_create(&o, &context), HMT_OK);
    CHECK_STATUS(hmt_model_create(context, &config, 11, &model), HMT_OK);
    hmt_context_free(context);
    return model;
}

static hmt_session *open_session(hmt_model *model, int32_t batch)
{
    hmt_session_options o = HMT_SESSION_OPTIONS_INIT;
    hmt_session *session = NULL;

    o.batch = batch;
    CHECK_STATUS(hmt_session_create(model, &o, &session), HMT_OK);
    return session;
}

/* One bad value in one of four images, in a whole and in a part-filled batch. */
static void bad_values(const char *backend)
{
    const float bad[] = {NAN, INFINITY, -INFINITY};
    hmt_model *model = make_model(backend);

    for (int32_t batch = 3; batch <= 5; ++batch) {
        hmt_session *session = open_session(model, batch);
        hmt_prediction expected[ROWS], found[ROWS];

        CHECK_STATUS(hmt_infer(session, images, ROWS, expected), HMT_OK);
        for (int i = 0; i < 3; ++i) {
            float *value = images + BAD * IMAGE + 224 * 224 + 2 * 224 + 7, kept = *value;

            *value = bad[i];
            CHECK_STATUS(hmt_infer(session, images, ROWS, found), HMT_ERROR_NONFINITE);
            CHECK(strstr(hmt_last_error(), "image 2 of 4") != NULL);
            CHECK(strstr(hmt_last_error(), "channel 1, row 2, column 7") != NULL);
            *value = kept;
            for (int row = 0; row < ROWS; ++row)
                CHECK(row == BAD ? is_empty(&found[row]) : is_answer(&found[row], &expected[row]));
            CHECK_STATUS(hmt_infer(session, images, ROWS, found), HMT_OK);
            CHECK(is_answer(&found[BAD], &expected[BAD]));
        }
        hmt_session_free(session);
    }
    hmt_model_free(model);
}

/* Weights of one layer after the other so large that float32 overflows in it. */
static void overflows(const char *backend, int32_t batch)
{
    hmt_model *model = make_model(backend);

    for (size_t i = 0; i < hmt_model_param_count(model); ++i) {
        hmt_param_info info = HMT_PARAM_INFO_INIT;
        hmt_prediction found[ROWS];
        hmt_session *session;
        float *kept, *large;

        CHECK_STATUS(hmt_model_param_info(model, i, &info), HMT_OK);
        if (info.dimensions != 4)
            continue;
        kept = malloc((size_t)info.count * sizeof *kept);
        large = malloc((size_t)info.count * sizeof *large);
        CHECK_STATUS(hmt_model_param_read(model, i, kept, (size_t)info.count), HMT_OK);
        for (int64_t k = 0; k < info.count; ++k)
            large[k] = kept[k] < 0.0f ? -3e38f : 3e38f;
        CHECK_STATUS(hmt_model_param_write(model, i, large, (size_t)info.count), HMT_OK);
        session = open_session(model, batch);
        memset(found, 1, sizeof found);
        CHECK_STATUS(hmt_infer(session, images, (size_t)batch, found), HMT_ERROR_NONFINITE);
        for (int32_t row = 0; row < batch; ++row)
            CHECK(is_empty(&found[row]));
        hmt_session_free(session);
        CHECK_STATUS(hmt_model_param_write(model, i, kept, (size_t)info.count), HMT_OK);
        free(kept);
        free(large);
    }
    hmt_model_free(model);
}

/* Photos: one that cannot be read has its own status, and the others their answers. */
static void bad_photo(const char *backend, int32_t views)
{
    static uint8_t levels[300 * 260 * 3];
    hmt_model *model = make_model(backend);
    hmt_session_options o = HMT_SESSION_OPTIONS_INIT;
    hmt_pixels photos[3] = {{levels, 260, 300, 0, HMT_PIXEL_RGB, 0},
                            {levels, 0, 300, 0, HMT_PIXEL_RGB, 0},
                            {levels, 260, 300, 0, HMT_PIXEL_RGB, 0}};
    hmt_prediction found[3];
    hmt_session *session = NULL;

    for (size_t i = 0; i < sizeof levels; ++i)
        levels[i] = (uint8_t)(i * 2654435761u >> 11);
    o.five_crop = views == 5;
    for (o.batch = 1; o.batch <= 12; o.batch += 3) {
        CHECK_STATUS(hmt_session_create(model, &o, &session), HMT_OK);
        CHECK_STATUS(hmt_predict_pixels(session, photos, 3, found), HMT_ERROR_ARGUMENT);
        CHECK(strncmp(hmt_last_error(), "image 1 of 3: ", 14) == 0);
        CHECK(found[1].status == HMT_ERROR_ARGUMENT && found[1].tasks == 0);
        CHECK(found[0].status == HMT_OK && is_answer(&found[2], &found[0]));
        hmt_session_free(session);
    }
    hmt_model_free(model);
}

static int stop_at_second(void *user, const char *what, uint64_t done, uint64_t total)
{
    int *calls = user;

    (void)total;
    return strcmp(what, "infer") == 0 && done > 0 && ++*calls > 0;
}

/* A call that is cancelled keeps the answers that it has, and says so of the others. */
static void cancelled(void)
{
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;
    hmt_context *context = NULL;
    hmt_model_config config;
    hmt_model *model = NULL;
    hmt_session *session = NULL;
    hmt_prediction found[ROWS];
    int calls = 0;

    o.progress = stop_at_second;
    o.progress_user = &calls;
    hmt_model_config_init(&config);
    config.width = 1.0 / 16;
    CHECK_STATUS(hmt_context_create(&o, &context), HMT_OK);
    CHECK_STATUS(hmt_model_create(context, &config, 11, &model), HMT_OK);
    session = open_session(model, 2);
    CHECK_STATUS(hmt_infer(session, images, ROWS, found), HMT_ERROR_CANCELLED);
    CHECK(found[0].status == HMT_OK && found[1].status == HMT_OK);
    CHECK(found[2].status == HMT_ERROR_CANCELLED && found[3].tasks == 0);
    hmt_session_free(session);
    hmt_model_free(model);
    hmt_context_free(context);
}

/* Evaluations: the image without an answer is named, and no loss is given. */
static void evaluations(void)
{
    hmt_model *model = make_model(NULL);
    hmt_trainer_options o = HMT_TRAINER_OPTIONS_INIT;
    hmt_trainer *trainer = NULL;
    hmt_losses losses = HMT_LOSSES_INIT;
    hmt_batch batch = HMT_BATCH_INIT;
    hmt_prediction found[ROWS];
    float *value = images + BAD * IMAGE + 5, kept = *value;

    o.batch = ROWS;
    CHECK_STATUS(hmt_trainer_create(model, &o, &trainer), HMT_OK);
    batch.count = ROWS;
    batch.images = images;
    losses.total = -1;
    *value = NAN;
    CHECK_STATUS(hmt_evaluate(trainer, &batch, &losses, found), HMT_ERROR_NONFINITE);
    CHECK(strstr(hmt_last_error(), "image 2 of 4") != NULL && losses.total == -1);
    for (int row = 0; row < ROWS; ++row)
        CHECK(row == BAD ? is_empty(&found[row]) : found[row].status == HMT_OK);
    CHECK_STATUS(hmt_train_step(trainer, &batch, &losses), HMT_ERROR_NONFINITE);
    *value = kept;
    CHECK_STATUS(hmt_evaluate(trainer, &batch, &losses, found), HMT_OK);
    CHECK(found[BAD].status == HMT_OK);
    hmt_trainer_free(trainer);
    hmt_model_free(model);
}

static void means(void)
{
    hmt_prediction parts[2], mean;

    memset(parts, 0, sizeof parts);
    parts[1].status = HMT_ERROR_NONFINITE;
    CHECK_STATUS(hmt_prediction_mean(parts, 2, &mean), HMT_ERROR_NONFINITE);
}

static int save_overflowing(const char *path)
{
    hmt_model *model = make_model(NULL);
    float large[2];
    size_t at = 0;

    CHECK_STATUS(hmt_model_param_find(model, "gbranch.gbn3.weight", &at), HMT_OK);
    large[0] = large[1] = 3e38f;
    CHECK_STATUS(hmt_model_param_write(model, at, large, 2), HMT_OK);
    CHECK_STATUS(hmt_model_save(model, path, HMT_DTYPE_F32), HMT_OK);
    hmt_model_free(model);
    return test_finish();
}

int main(int argc, char **argv)
{
    const char *const backends[] = {"onednn", "reference"};

    if (argc > 1)
        return save_overflowing(argv[1]);

    fill();
    for (int i = 0; i < 2; ++i) {
        bad_values(backends[i]);
        overflows(backends[i], 1);
        bad_photo(backends[i], 1);
        bad_photo(backends[i], 5);
    }
    overflows("onednn", ROWS);
    cancelled();
    evaluations();
    means();
    return test_finish();
}
