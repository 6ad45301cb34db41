/* tier: quick
 * An answer depends on its photo alone: the bits of a row are the same at every place of a batch,
 * beside any neighbours (NaN, infinity, 1e30, other photos), in part-filled batches, and after any
 * other run. Arguments: the model's width (1/16), with which batches of every size are tried; the
 * backend.
 */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "check.h"

enum { IMAGE = 3 * 224 * 224, MOST = 33, PHOTOS = 2 };

static float photos[PHOTOS][IMAGE];     /* two that have an answer */
static float batch[(MOST + 1) * IMAGE]; /* what is inferred from */

/* What a session answers, as numbers; names are pointers. */
typedef struct answer {
    float score, gender[2], race[2];
} answer;

static answer answer_of(const hmt_prediction *p)
{
    return (answer){p->score,
                    {p->gender.probabilities[0], p->gender.probabilities[1]},
                    {p->race.probabilities[0], p->race.probabilities[1]}};
}

static bool same(const hmt_prediction *p, const answer *expected)
{
    const answer found = answer_of(p);

    return memcmp(&found, expected, sizeof found) == 0;
}

static void make_photos(void)
{
    uint32_t seed = 7;

    for (int n = 0; n < PHOTOS; ++n)
        for (int i = 0; i < IMAGE; ++i) {
            seed = seed * 1664525u + 1013904223u;
            photos[n][i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
        }
}

static void place_photo(int place, int photo)
{
    memcpy(batch + (size_t)place * IMAGE, photos[photo], sizeof photos[photo]);
}

/* A neighbour that must not be seen; each kind in turn. */
static void place_hostile(int place, int kind)
{
    const float values[] = {NAN, INFINITY, 1e30f, -1e38f, 1e4f};
    float *to = batch + (size_t)place * IMAGE;

    kind %= (int)(sizeof values / sizeof values[0]) + 1;
    if (kind == 0) {
        place_photo(place, 1);
        return;
    }
    for (int i = 0; i < IMAGE; ++i)
        to[i] = values[kind - 1];
}

/* Infers from `count` images. Hostile ones may have no answer. */
static void infer(hmt_session *session, int count, bool hostile, hmt_prediction *predictions)
{
    const hmt_status status = hmt_infer(session, batch, (size_t)count, predictions);

    if (!hostile || status != HMT_ERROR_NONFINITE)
        CHECK_STATUS(status, HMT_OK);
}

/* Every place of a batch with hostile neighbours at the others, odd and even places in turn. */
static void beside_others(hmt_session *session, int size, const answer *expected)
{
    static hmt_prediction found[MOST];

    for (int odd = 0; odd < 2; ++odd) {
        for (int i = 0; i < size; ++i)
            if (i % 2 == odd)
                place_photo(i, 0);
            else
                place_hostile(i, i / 2 + size);
        infer(session, size, true, found);
        for (int i = odd; i < size; i += 2)
            CHECK(same(&found[i], expected));
    }
}

/* One photo alone in a batch of `size`; part of a batch; the rest of a second run. */
static void batches_of(hmt_model *model, int size)
{
    static hmt_prediction found[MOST + 1];
    hmt_session_options o = HMT_SESSION_OPTIONS_INIT;
    hmt_session *session = NULL;
    answer expected;

    o.batch = size;
    CHECK_STATUS(hmt_session_create(model, &o, &session), HMT_OK);
    for (int i = 0; i < size; ++i)
        place_photo(i, 0);
    infer(session, size, false, found);
    expected = answer_of(&found[0]);
    for (int i = 1; i < size; ++i)
        CHECK(same(&found[i], &expected));
    beside_others(session, size, &expected);
    place_photo(0, 0); /* the rows behind it hold what was hostile */
    infer(session, 1, false, found);
    CHECK(same(&found[0], &expected));
    for (int i = 0; i < size; ++i)
        place_photo(i, 1);
    place_photo(size, 0);
    infer(session, size + 1, false, found);
    CHECK(same(&found[size], &expected));
    hmt_session_free(session);
}

static hmt_context *context; /* NULL: the default backend */

static hmt_model *model_stored_as(double width, hmt_dtype dtype)
{
    char path[] = "/tmp/hmtnet-rows-XXXXXX";
    const int file = mkstemp(path);
    hmt_model_config config;
    hmt_model *made = NULL, *model = NULL;

    hmt_model_config_init(&config);
    config.width = width;
    CHECK(file >= 0);
    close(file);
    CHECK_STATUS(hmt_model_create(context, &config, 3, &made), HMT_OK);
    CHECK_STATUS(hmt_model_save(made, path, dtype), HMT_OK);
    CHECK_STATUS(hmt_model_load(context, path, NULL, &model), HMT_OK);
    unlink(path);
    hmt_model_free(made);
    return model;
}

/* More images than the fully connected layers take at once. */
static void large_batches(double width)
{
    enum { LARGE = 131 };
    hmt_session_options o = HMT_SESSION_OPTIONS_INIT;
    float *images = malloc((size_t)LARGE * IMAGE * sizeof *images);
    hmt_prediction *found = calloc(LARGE, sizeof *found);

    o.batch = LARGE;
    for (int dtype = HMT_DTYPE_F32; dtype <= HMT_DTYPE_I8; ++dtype) {
        hmt_model *model = model_stored_as(width, (hmt_dtype)dtype);
        hmt_session *session = NULL;
        answer expected;

        CHECK_STATUS(hmt_session_create(model, &o, &session), HMT_OK);
        for (int i = 0; i < LARGE; ++i)
            memcpy(images + (size_t)i * IMAGE, photos[0], sizeof photos[0]);
        CHECK_STATUS(hmt_infer(session, images, LARGE, found), HMT_OK);
        expected = answer_of(&found[0]);
        for (int i = 1; i < LARGE; ++i)
            CHECK(same(&found[i], &expected));
        hmt_session_free(session);
        hmt_model_free(model);
    }
    free(images);
    free(found);
}

/* Gradients by a tap, of which the rows must not depend on each other either. */
static void gradients(double width)
{
    enum { ROWS = 5 };
    hmt_model *model = model_stored_as(width, HMT_DTYPE_F32);
    hmt_session_options o = HMT_SESSION_OPTIONS_INIT;
    hmt_prediction found[ROWS];
    hmt_session *session = NULL;
    float *values = malloc((size_t)ROWS * IMAGE * sizeof *values);

    o.batch = ROWS;
    o.gradients = HMT_GRADIENTS_INPUT;
    CHECK_STATUS(hmt_session_create(model, &o, &session), HMT_OK);
    for (int i = 0; i < ROWS; ++i)
        place_photo(i, i % 2);
    CHECK_STATUS(hmt_infer(session, batch, ROWS, found), HMT_OK);
    for (int task = 0; task < HMT_TASK_COUNT; ++task) {
        CHECK_STATUS(
            hmt_session_gradient(session, (hmt_task)task, 0, NULL, values, (size_t)ROWS * IMAGE),
            HMT_OK);
        for (int i = 2; i < ROWS; ++i)
            CHECK(memcmp(values + (size_t)i * IMAGE, values + (size_t)(i % 2) * IMAGE,
                         IMAGE * sizeof *values) == 0);
    }
    hmt_session_free(session);
    hmt_model_free(model);
    free(values);
}

/* What a trainer says of one photo is the same after any other evaluation. */
static void evaluations(double width)
{
    enum { ROWS = 4 };
    const int32_t labels[ROWS] = {1, 1, 1, 1};
    const float scores[ROWS] = {3, 3, 3, 3};
    hmt_model *model = model_stored_as(width, HMT_DTYPE_F32);
    hmt_trainer_options o = HMT_TRAINER_OPTIONS_INIT;
    hmt_trainer *trainer = NULL;
    hmt_losses first = HMT_LOSSES_INIT, again = HMT_LOSSES_INIT;
    hmt_batch one = HMT_BATCH_INIT, most = HMT_BATCH_INIT; /* both part-filled */

    o.batch = ROWS;
    CHECK_STATUS(hmt_trainer_create(model, &o, &trainer), HMT_OK);
    one.images = photos[0];
    most.images = batch;
    one.count = 1;
    most.count = ROWS - 1;
    one.gender = most.gender = one.race = most.race = labels;
    one.score = most.score = scores;
    CHECK_STATUS(hmt_evaluate(trainer, &one, &first, NULL), HMT_OK);
    for (int kind = 0; kind < 6; ++kind) {
        for (int i = 0; i < ROWS; ++i)
            place_hostile(i, kind);
        (void)hmt_evaluate(trainer, &most, NULL, NULL);
        CHECK_STATUS(hmt_evaluate(trainer, &one, &again, NULL), HMT_OK);
        CHECK(memcmp(&first.total, &again.total, sizeof first.total) == 0);
    }
    hmt_trainer_free(trainer);
    hmt_model_free(model);
}

int main(int argc, char **argv)
{
    const double width = argc > 1 ? atof(argv[1]) : 1.0 / 16;

    if (argc > 2) {
        hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;

        o.backend = argv[2];
        CHECK_STATUS(hmt_context_create(&o, &context), HMT_OK);
    }
    make_photos();
    for (int dtype = HMT_DTYPE_F32; dtype <= HMT_DTYPE_I8; ++dtype) {
        hmt_model *model = model_stored_as(width, (hmt_dtype)dtype);

        for (int size = 1; size <= MOST; size += argc > 1 || size < 9 ? 1 : 6)
            batches_of(model, size);
        hmt_model_free(model);
    }
    large_batches(width);
    gradients(width);
    evaluations(width);
    hmt_context_free(context);
    return test_finish();
}
