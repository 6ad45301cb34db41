/* tier: quick
 * The contract of each call: outputs are checked before anything is done, objects live as long as
 * what was made from them, and a callback that uses the library does not disturb the call that it
 * comes from.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hmtnet/data.h>

#include "check.h"
#include "counter.h"

enum { BATCH = 2, IMAGE = 3 * 224 * 224 };

static float images[BATCH * IMAGE];
static const int32_t labels[BATCH] = {0, 1};
static const float scores[BATCH] = {1, 2};

static hmt_batch batch_of_two(void)
{
    hmt_batch batch = HMT_BATCH_INIT;

    batch.count = BATCH;
    batch.images = images;
    batch.gender = batch.race = labels;
    batch.score = scores;
    return batch;
}

static hmt_model *small_model(hmt_context *context)
{
    hmt_model_config config;
    hmt_model *model = NULL;

    hmt_model_config_init(&config);
    config.width = 0.03;
    CHECK_STATUS(hmt_model_create(context, &config, 7, &model), HMT_OK);
    return model;
}

static hmt_trainer *small_trainer(hmt_model *model)
{
    hmt_trainer_options o = HMT_TRAINER_OPTIONS_INIT;
    hmt_trainer *trainer = NULL;

    o.batch = BATCH;
    CHECK_STATUS(hmt_trainer_create(model, &o, &trainer), HMT_OK);
    return trainer;
}

/* The model's first parameter, and what trains of it. */
static float first_weight(hmt_model *model)
{
    hmt_param_info info = HMT_PARAM_INFO_INIT;
    float *values, first = 0;

    CHECK_STATUS(hmt_model_param_info(model, 0, &info), HMT_OK);
    values = malloc((size_t)info.count * sizeof *values);
    CHECK_STATUS(hmt_model_param_read(model, 0, values, (size_t)info.count), HMT_OK);
    first = values[0];
    free(values);
    return first;
}

/* A struct that cannot take the losses is found before the step. */
static void losses_come_first(void)
{
    hmt_model *model = small_model(NULL);
    hmt_trainer *trainer = small_trainer(model);
    hmt_batch batch = batch_of_two();
    hmt_losses losses = HMT_LOSSES_INIT;
    hmt_prediction predictions[BATCH];
    const float before = first_weight(model);

    losses.struct_size = 3;
    memset(predictions, 7, sizeof predictions);
    CHECK_STATUS(hmt_evaluate(trainer, &batch, &losses, predictions), HMT_ERROR_ARGUMENT);
    CHECK(predictions[0].tasks == 0x07070707);
    CHECK_STATUS(hmt_train_step(trainer, &batch, &losses), HMT_ERROR_ARGUMENT);
    CHECK(first_weight(model) == before);
    losses.struct_size = sizeof losses;
    CHECK_STATUS(hmt_train_step(trainer, &batch, &losses), HMT_OK);
    CHECK(losses.step == 1 && first_weight(model) != before);
    hmt_trainer_free(trainer);
    hmt_model_free(model);
}

static void logits_need_a_run(void)
{
    hmt_model *model = small_model(NULL);
    hmt_session *session = NULL;
    hmt_prediction prediction;
    float values[2] = {5, 5};

    CHECK_STATUS(hmt_session_create(model, NULL, &session), HMT_OK);
    CHECK_STATUS(hmt_session_logits(session, HMT_TASK_GENDER, values, 2), HMT_ERROR_STATE);
    CHECK(values[0] == 5 && values[1] == 5);
    CHECK_STATUS(hmt_infer(session, images, 1, &prediction), HMT_OK);
    CHECK_STATUS(hmt_session_logits(session, HMT_TASK_GENDER, values, 2), HMT_OK);
    CHECK(values[0] != 5);
    hmt_session_free(session);
    hmt_model_free(model);
}

/* What cannot be made is refused before anything is prepared, which the host would be told of. */
static int count_calls(void *user, const char *what, uint64_t done, uint64_t total)
{
    (void)what, (void)done, (void)total;
    ++*(int *)user;
    return 0;
}

static void options_come_first(void)
{
    static const char *const taps[] = {"relu5", "nothing"};
    const hmt_param_rule rule = {"nothing", 1.0};
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;
    hmt_session_options s = HMT_SESSION_OPTIONS_INIT;
    hmt_trainer_options t = HMT_TRAINER_OPTIONS_INIT;
    hmt_context *context = NULL;
    hmt_session *session = NULL;
    hmt_trainer *trainer = NULL;
    hmt_model *model;
    int calls = 0;

    o.progress = count_calls;
    o.progress_user = &calls;
    CHECK_STATUS(hmt_context_create(&o, &context), HMT_OK);
    model = small_model(context);
    calls = 0;
    s.taps = taps;
    s.tap_count = 2;
    CHECK_STATUS(hmt_session_create(model, &s, &session), HMT_ERROR_NOT_FOUND);
    t.rules = &rule;
    t.rule_count = 1;
    CHECK_STATUS(hmt_trainer_create(model, &t, &trainer), HMT_ERROR_NOT_FOUND);
    CHECK(calls == 0 && session == NULL && trainer == NULL);
    hmt_model_free(model);
    hmt_context_free(context);
}

/* ---- lifetimes ---- */

/* A table of `count` photos that are not there. */
static hmt_dataset *table(hmt_context *context, int count)
{
    char name[] = "/tmp/hmtnet_contract_XXXXXX";
    const int descriptor = mkstemp(name);
    FILE *file = descriptor >= 0 ? fdopen(descriptor, "w") : NULL;
    hmt_dataset *set = NULL;

    CHECK(file != NULL && fputs("path,score\n", file) >= 0);
    for (int i = 0; file != NULL && i < count; ++i)
        CHECK(fprintf(file, "absent%d.jpg,%d\n", i, i + 1) > 0);
    CHECK(file != NULL && fclose(file) == 0);
    CHECK_STATUS(hmt_dataset_read(context, HMT_DATASET_CSV, name, NULL, &set), HMT_OK);
    unlink(name);
    return set;
}

/* A loader keeps its context and its data set. */
static void loaders_keep_what_they_read(void)
{
    counter c = {.fail_after = -1};
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;
    hmt_loader_options l = HMT_LOADER_OPTIONS_INIT;
    hmt_context *context = NULL;
    hmt_dataset *set;
    hmt_loader *loader = NULL;
    hmt_batch batch = HMT_BATCH_INIT;
    size_t held;

    o.allocator = (hmt_allocator){counted_allocate, counted_release, &c};
    CHECK_STATUS(hmt_context_create(&o, &context), HMT_OK);
    set = table(context, 2);
    l.batch = BATCH;
    l.skip_bad = 1;
    l.workers = 1;
    CHECK_STATUS(hmt_loader_create(context, set, &l, &loader), HMT_OK);
    CHECK_STATUS(hmt_loader_next(loader, &batch, NULL), HMT_OK); /* both photos have been tried */
    held = c.live;
    hmt_dataset_free(set);
    hmt_context_free(context);
    CHECK(c.live == held);
    CHECK_STATUS(hmt_loader_next(loader, &batch, NULL), HMT_OK);
    CHECK_STATUS(hmt_loader_next(loader, &batch, NULL), HMT_OK);
    CHECK(batch.count == BATCH && batch.images[0] == batch.images[IMAGE]);
    hmt_loader_free(loader);
    CHECK(c.live == 0);
}

/* A struct that cannot take a batch does not cost one. */
static void batches_are_not_lost(void)
{
    hmt_dataset *set = table(NULL, 2);
    hmt_loader_options o = HMT_LOADER_OPTIONS_INIT;
    hmt_loader *loader = NULL;
    hmt_batch batch = HMT_BATCH_INIT;
    const size_t *samples = NULL;

    o.batch = 1;
    o.skip_bad = 1;
    CHECK_STATUS(hmt_loader_create(NULL, set, &o, &loader), HMT_OK);
    batch.struct_size = 3;
    CHECK_STATUS(hmt_loader_next(loader, &batch, &samples), HMT_ERROR_ARGUMENT);
    CHECK(samples == NULL);
    batch.struct_size = sizeof batch;
    CHECK_STATUS(hmt_loader_next(loader, &batch, &samples), HMT_OK);
    CHECK(samples != NULL && samples[0] == 0);
    hmt_loader_free(loader);
    hmt_dataset_free(set);
}

/* ---- callbacks that use the library ---- */

/* What the callback calls, when it is told `what` for the `at`th time. */
typedef struct inner {
    const char *what;
    int at, told;
    hmt_status status; /* what came of it */
    hmt_session *session;
    hmt_trainer *trainer;
    const char *path;
    int answer;
} inner;

static hmt_status call_inside(inner *i)
{
    hmt_batch batch = batch_of_two();
    hmt_prediction prediction;

    if (i->path != NULL)
        return hmt_trainer_save(i->trainer, i->path, NULL);
    if (i->trainer != NULL)
        return hmt_train_step(i->trainer, &batch, NULL);
    if (i->session != NULL)
        return hmt_infer(i->session, images, 1, &prediction);
    return hmt_open("/nowhere/model", &i->session);
}

static int use_library(void *user, const char *what, uint64_t done, uint64_t total)
{
    inner *i = user;

    (void)done, (void)total;
    if (i->what == NULL || strcmp(what, i->what) != 0 || ++i->told != i->at)
        return 0;
    i->status = call_inside(i);
    CHECK(i->status == HMT_OK || hmt_last_error()[0] != '\0');
    return i->answer;
}

static hmt_context *context_with(inner *i)
{
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;
    hmt_context *context = NULL;

    o.progress = use_library;
    o.progress_user = i;
    CHECK_STATUS(hmt_context_create(&o, &context), HMT_OK);
    return context;
}

/* The message is that of the call itself, whatever its callback has called. */
static void messages_stay_apart(void)
{
    inner i = {.what = "prepare", .at = 1};
    hmt_context *context = context_with(&i);
    hmt_model *model = small_model(context);
    hmt_session *session = NULL, *none = NULL;

    CHECK_STATUS(hmt_session_create(model, NULL, &session), HMT_OK);
    CHECK(i.status == HMT_ERROR_NOT_FOUND);
    CHECK(hmt_last_error()[0] == '\0');
    i = (inner){.what = "prepare", .at = 1, .answer = 1};
    CHECK_STATUS(hmt_session_create(model, NULL, &none), HMT_ERROR_CANCELLED);
    CHECK(i.status == HMT_ERROR_NOT_FOUND);
    CHECK(strstr(hmt_last_error(), "prepare cancelled") != NULL);
    hmt_session_free(session);
    hmt_model_free(model);
    hmt_context_free(context);
}

/* The first weight after two steps, in the second of which the callback calls the trainer. */
static float trained(inner *i, hmt_status *met)
{
    inner quiet = {.what = NULL};
    inner *used = i != NULL ? i : &quiet;
    hmt_context *context = context_with(used);
    hmt_model *model = small_model(context);
    hmt_trainer *trainer = small_trainer(model);
    hmt_batch batch = batch_of_two();
    float weight;

    used->trainer = trainer;
    CHECK_STATUS(hmt_train_step(trainer, &batch, NULL), HMT_OK);
    CHECK_STATUS(hmt_train_step(trainer, &batch, NULL), HMT_OK);
    weight = first_weight(model);
    if (met != NULL)
        *met = used->status;
    hmt_trainer_free(trainer);
    hmt_model_free(model);
    hmt_context_free(context);
    return weight;
}

static void a_step_is_not_entered_again(void)
{
    const float alone = trained(NULL, NULL);

    for (int at = 3; at <= 4; ++at) { /* before and after the second step's forward half */
        inner i = {.what = "train", .at = at};
        hmt_status met = HMT_OK;

        CHECK(trained(&i, &met) == alone);
        CHECK(met == HMT_ERROR_STATE);
    }
}

/* A checkpoint that is being written is not changed by a step from within. */
static void a_checkpoint_is_of_one_step(void)
{
    char name[] = "/tmp/hmtnet_contract_XXXXXX";
    const int descriptor = mkstemp(name);
    inner i = {.what = "save", .at = 2};
    hmt_context *context = context_with(&i);
    hmt_model *model = small_model(context);
    hmt_trainer *trainer = small_trainer(model);
    const float before = first_weight(model);

    CHECK(descriptor >= 0 && close(descriptor) == 0);
    i.trainer = trainer;
    CHECK_STATUS(hmt_trainer_save(trainer, name, NULL), HMT_OK);
    CHECK(i.told > 1 && i.status == HMT_ERROR_STATE);
    CHECK(first_weight(model) == before);
    hmt_trainer_free(trainer);
    hmt_model_free(model);
    hmt_context_free(context);
    unlink(name);
}

/* The scores of three images, of which the callback of the second run uses the session. */
static void scores_of_three(inner *i, const hmt_pixels photos[3], float found[3])
{
    hmt_context *context = context_with(i);
    hmt_model *model = small_model(context);
    hmt_session_options o = HMT_SESSION_OPTIONS_INIT;
    hmt_session *session = NULL;
    hmt_prediction predictions[3];

    o.batch = 2;
    CHECK_STATUS(hmt_session_create(model, &o, &session), HMT_OK);
    i->session = session;
    CHECK_STATUS(hmt_predict_pixels(session, photos, 3, predictions), HMT_OK);
    for (int k = 0; k < 3; ++k)
        found[k] = predictions[k].score;
    hmt_session_free(session);
    hmt_model_free(model);
    hmt_context_free(context);
}

static void a_session_is_not_entered_again(void)
{
    static uint8_t levels[3][64 * 64 * 3];
    hmt_pixels photos[3];
    inner quiet = {.what = NULL};
    float alone[3], disturbed[3];

    for (int k = 0; k < 3; ++k) {
        for (size_t p = 0; p < sizeof levels[k]; ++p)
            levels[k][p] = (uint8_t)(p * (size_t)(3 + k) % 251);
        photos[k] =
            (hmt_pixels){.data = levels[k], .width = 64, .height = 64, .format = HMT_PIXEL_RGB};
    }
    scores_of_three(&quiet, photos, alone);
    for (int at = 1; at <= 3; ++at) {
        inner i = {.what = "infer", .at = at, .status = HMT_OK};

        scores_of_three(&i, photos, disturbed);
        CHECK(i.status == (i.told < at ? HMT_OK : HMT_ERROR_STATE));
        CHECK(memcmp(alone, disturbed, sizeof alone) == 0);
    }
}

/* The mean of predictions that no network gives. */
static void means_of_odd_predictions(void)
{
    static const int32_t odd[] = {-1, HMT_MAX_CLASSES + 1, INT32_MAX};
    hmt_prediction predictions[2], mean;

    memset(predictions, 0, sizeof predictions);
    memset(&mean, 7, sizeof mean);
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; ++i) {
        predictions[0].gender.class_count = predictions[1].gender.class_count = odd[i];
        CHECK_STATUS(hmt_prediction_mean(predictions, 2, &mean), HMT_ERROR_ARGUMENT);
        predictions[0].race.class_count = predictions[1].race.class_count = odd[i];
        predictions[0].gender.class_count = predictions[1].gender.class_count = 0;
        CHECK_STATUS(hmt_prediction_mean(predictions, 2, &mean), HMT_ERROR_ARGUMENT);
        predictions[0].race.class_count = predictions[1].race.class_count = 0;
    }
    CHECK(mean.tasks == 0x07070707);
    CHECK_STATUS(hmt_prediction_mean(predictions, 2, &mean), HMT_OK);
}

int main(void)
{
    for (size_t i = 0; i < BATCH * IMAGE; ++i)
        images[i] = (float)(i * 2654435761u % 1000) / 500.0f - 1.0f;
    losses_come_first();
    logits_need_a_run();
    options_come_first();
    loaders_keep_what_they_read();
    batches_are_not_lost();
    messages_stay_apart();
    a_step_is_not_entered_again();
    a_checkpoint_is_of_one_step();
    a_session_is_not_entered_again();
    means_of_odd_predictions();
    return test_finish();
}
