/* tier: quick */
/* Checkpoints: a run that goes on from one ends bit for bit as the run that never stopped, and a
 * file that does not fit is refused with nothing changed. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { BATCH = 3, IMAGE = 3 * 224 * 224, STEPS = 6, STOP = 3 };

static const char *const backends[] = {"reference", "onednn"};
static float images[STEPS][BATCH * IMAGE];
static const int32_t genders[BATCH] = {0, 1, -1}, races[BATCH] = {1, -1, 0};
static char path[256], other[256];

static void fill_images(void)
{
    uint64_t state = 11;

    for (size_t i = 0; i < sizeof images / sizeof(float); ++i) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        (&images[0][0])[i] = (float)(state >> 40) / 8388608.0f - 1.0f;
    }
}

typedef struct run {
    hmt_context *context;
    hmt_model *model;
    hmt_trainer *trainer;
} run;

/* A fresh model, or one from a file. */
static run begin(const char *backend, const char *from, const hmt_trainer_options *options)
{
    hmt_context_options about = HMT_CONTEXT_OPTIONS_INIT;
    hmt_model_config config;
    run r = {NULL, NULL, NULL};

    about.backend = backend;
    hmt_model_config_init(&config);
    config.width = 0.03125;
    CHECK_STATUS(hmt_context_create(&about, &r.context), HMT_OK);
    if (from != NULL)
        CHECK_STATUS(hmt_model_load(r.context, from, NULL, &r.model), HMT_OK);
    else
        CHECK_STATUS(hmt_model_create(r.context, &config, 5, &r.model), HMT_OK);
    CHECK_STATUS(hmt_trainer_create(r.model, options, &r.trainer), HMT_OK);
    return r;
}

static void end(run *r)
{
    hmt_trainer_free(r->trainer);
    hmt_model_free(r->model);
    hmt_context_free(r->context);
}

static void steps(run *r, int first, int last)
{
    static const float scores[BATCH] = {2.0f, NAN, 4.0f};

    for (int i = first; i < last; ++i) {
        hmt_batch batch = HMT_BATCH_INIT;
        hmt_losses losses = HMT_LOSSES_INIT;

        batch.count = BATCH;
        batch.images = images[i];
        batch.gender = genders;
        batch.race = races;
        batch.score = scores;
        CHECK_STATUS(hmt_trainer_set_learning_rate(r->trainer, 0.01 / (1 + i)), HMT_OK);
        CHECK_STATUS(hmt_train_step(r->trainer, &batch, &losses), HMT_OK);
        CHECK(losses.step == (uint64_t)i + 1);
    }
}

static bool same_momentum(const run *a, const run *b, size_t i, size_t count)
{
    float *x = calloc(count, sizeof *x), *y = calloc(count, sizeof *y);
    hmt_status left = hmt_trainer_momentum_read(a->trainer, i, x, count);
    hmt_status right = hmt_trainer_momentum_read(b->trainer, i, y, count);
    bool same = left == right && memcmp(x, y, count * sizeof *x) == 0;

    free(x), free(y);
    return same;
}

static bool same_run(const run *a, const run *b)
{
    bool same = true;

    for (size_t i = 0; i < hmt_model_param_count(a->model); ++i) {
        hmt_param_info info = HMT_PARAM_INFO_INIT;
        float *x, *y;
        size_t count;

        CHECK_STATUS(hmt_model_param_info(a->model, i, &info), HMT_OK);
        count = (size_t)info.count;
        x = calloc(count, sizeof *x), y = calloc(count, sizeof *y);
        CHECK_STATUS(hmt_model_param_read(a->model, i, x, count), HMT_OK);
        CHECK_STATUS(hmt_model_param_read(b->model, i, y, count), HMT_OK);
        same = same && memcmp(x, y, count * sizeof *x) == 0 && same_momentum(a, b, i, count);
        free(x), free(y);
    }
    return same;
}

static hmt_trainer_options recipe(void)
{
    hmt_trainer_options options = HMT_TRAINER_OPTIONS_INIT;

    options.batch = BATCH;
    return options;
}

static void a_stopped_run_ends_as_one_that_never_stopped(const char *backend,
                                                         const hmt_trainer_options *options)
{
    run whole = begin(backend, NULL, options), half = begin(backend, NULL, options), rest;

    steps(&whole, 0, STEPS);
    steps(&half, 0, STOP);
    CHECK_STATUS(hmt_trainer_save(half.trainer, path, "epoch 1"), HMT_OK);
    rest = begin(backend, path, options);
    CHECK_STATUS(hmt_trainer_resume(rest.trainer, path), HMT_OK);
    CHECK(same_run(&half, &rest));
    steps(&rest, STOP, STEPS);
    CHECK(same_run(&whole, &rest));
    CHECK_STATUS(hmt_trainer_save(rest.trainer, path, NULL), HMT_OK); /* over the file it maps */
    steps(&half, STOP, STEPS); /* saving has changed nothing */
    CHECK(same_run(&whole, &half));
    end(&whole);
    end(&half);
    end(&rest);
}

static void every_recipe_goes_on(void)
{
    static const hmt_param_rule rules[] = {{"conv1", 0.0}, {"bn49", 0.0}, {"rbranch.", 3.0}};

    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; ++i) {
        hmt_trainer_options options = recipe();

        a_stopped_run_ends_as_one_that_never_stopped(backends[i], &options);
        options.nesterov = 1;
        options.label_smoothing = 0.1;
        options.rules = rules;
        options.rule_count = 3;
        a_stopped_run_ends_as_one_that_never_stopped(backends[i], &options);
        options = recipe();
        options.accumulate = 2; /* stops in the middle of an update */
        options.decay_weights_only = 1;
        a_stopped_run_ends_as_one_that_never_stopped(backends[i], &options);
        for (int every = 1; every <= STEPS; every += 2) { /* with it begun, due, and not yet */
            options = recipe();
            options.average = 0.9;
            options.average_every = every;
            a_stopped_run_ends_as_one_that_never_stopped(backends[i], &options);
        }
    }
}

static void a_checkpoint_is_a_model(void)
{
    hmt_trainer_options options = recipe();
    run r = begin("reference", NULL, &options);
    hmt_session *session = NULL;
    hmt_prediction p[2];
    hmt_model *model = NULL;

    steps(&r, 0, 1);
    CHECK_STATUS(hmt_trainer_save(r.trainer, path, NULL), HMT_OK);
    CHECK_STATUS(hmt_model_save(r.model, other, HMT_DTYPE_F32), HMT_OK);
    for (int i = 0; i < 2; ++i) {
        CHECK_STATUS(hmt_model_load(NULL, i ? other : path, NULL, &model), HMT_OK);
        CHECK_STATUS(hmt_session_create(model, NULL, &session), HMT_OK);
        CHECK_STATUS(hmt_infer(session, images[0], 1, &p[i]), HMT_OK);
        hmt_session_free(session);
        hmt_model_free(model);
    }
    CHECK(p[0].score == p[1].score && p[0].race.probabilities[0] == p[1].race.probabilities[0]);
    CHECK_STATUS(hmt_trainer_resume(r.trainer, path), HMT_ERROR_STATE); /* it has made a step */
    end(&r);
    r = begin("reference", other, &options);
    CHECK_STATUS(hmt_trainer_resume(r.trainer, other), HMT_ERROR_FORMAT); /* no checkpoint */
    end(&r);
}

static void a_note_comes_back(void)
{
    static const char note[] = "{\"epoch\":3,\"name\":\"\xC3\xA4\\n\"}";
    hmt_trainer_options options = recipe();
    run r = begin("reference", NULL, &options);
    char text[64];
    size_t length = 0;

    CHECK_STATUS(hmt_trainer_save(r.trainer, path, note), HMT_OK);
    CHECK_STATUS(hmt_checkpoint_note(NULL, path, text, sizeof text, &length), HMT_OK);
    CHECK(length == strlen(note) && strcmp(text, note) == 0);
    CHECK_STATUS(hmt_checkpoint_note(r.context, path, text, 4, &length), HMT_OK);
    CHECK(length == strlen(note) && strcmp(text, "{\"e") == 0);
    CHECK_STATUS(hmt_checkpoint_note(NULL, path, NULL, 0, &length), HMT_OK);
    CHECK_STATUS(hmt_checkpoint_note(NULL, path, NULL, 1, &length), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_checkpoint_note(NULL, "no such file", text, 4, NULL), HMT_ERROR_NOT_FOUND);
    CHECK_STATUS(hmt_trainer_save(r.trainer, path, "\xFF"), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_checkpoint_note(NULL, path, text, sizeof text, NULL), HMT_OK); /* kept */
    end(&r);
}

static void what_does_not_fit_is_refused(void)
{
    hmt_trainer_options options = recipe(), changed;
    run r = begin("reference", NULL, &options), wrong;

    steps(&r, 0, 1);
    CHECK_STATUS(hmt_trainer_save(r.trainer, path, NULL), HMT_OK);
    steps(&r, 1, 2);
    CHECK_STATUS(hmt_trainer_save(r.trainer, other, NULL), HMT_OK);
    wrong = begin("reference", other, &options);
    CHECK_STATUS(hmt_trainer_resume(wrong.trainer, path), HMT_ERROR_ARGUMENT);
    CHECK(strstr(hmt_last_error(), "load the model from the checkpoint") != NULL);
    end(&wrong);
    changed = options;
    changed.momentum = 0.8;
    wrong = begin("reference", path, &changed);
    CHECK_STATUS(hmt_trainer_resume(wrong.trainer, path), HMT_ERROR_ARGUMENT);
    CHECK(strstr(hmt_last_error(), "momentum was 0.9, is 0.8 now") != NULL);
    end(&wrong);
    end(&r);
}

/* Writes `size` bytes of `data` to the second file. */
static void put(const unsigned char *data, size_t size)
{
    FILE *file = fopen(other, "wb");

    CHECK(file != NULL && fwrite(data, 1, size, file) == size);
    if (file != NULL)
        fclose(file);
}

/* Cut anywhere, or with a byte changed in its header, a file is refused or goes on; nothing
 * crashes.
 */
static void damaged_files_are_refused(void)
{
    hmt_trainer_options options = recipe();
    run r = begin("reference", NULL, &options), again;
    FILE *file;
    unsigned char *data;
    size_t size;

    steps(&r, 0, 1);
    CHECK_STATUS(hmt_trainer_save(r.trainer, path, "note"), HMT_OK);
    file = fopen(path, "rb");
    fseek(file, 0, SEEK_END);
    size = (size_t)ftell(file);
    rewind(file);
    data = malloc(size);
    CHECK(fread(data, 1, size, file) == size);
    fclose(file);
    again = begin("reference", path, &options);
    for (size_t cut = 0; cut < size; cut += size / 40 + 1) {
        put(data, cut);
        CHECK(hmt_trainer_resume(again.trainer, other) < 0);
        CHECK(hmt_checkpoint_note(NULL, other, NULL, 0, NULL) < 0);
    }
    for (size_t at = 0; at < 2000; at += 7) {
        data[at] ^= 0x15;
        put(data, size);
        if (hmt_trainer_resume(again.trainer, other) == HMT_OK) { /* it hit a harmless byte */
            end(&again);
            again = begin("reference", path, &options);
        }
        data[at] ^= 0x15;
    }
    CHECK_STATUS(hmt_trainer_resume(again.trainer, path), HMT_OK);
    CHECK(same_run(&r, &again));
    free(data);
    end(&again);
    end(&r);
}

/* The last tensor that is looked for is not there: those before it have not been set. */
static void half_a_momentum_is_none(void)
{
    static const char last[] = "momentum.rbranch.rbn3.bias";
    hmt_trainer_options options = recipe();
    run r = begin("reference", NULL, &options), fresh, again;
    static char data[1 << 20];
    FILE *file;
    size_t size, found = 0;

    steps(&r, 0, 1);
    CHECK_STATUS(hmt_trainer_save(r.trainer, path, NULL), HMT_OK);
    file = fopen(path, "rb");
    size = file != NULL ? fread(data, 1, sizeof data, file) : 0;
    CHECK(file != NULL && fclose(file) == 0 && size < sizeof data);
    for (size_t i = 0; i + sizeof last < size; ++i)
        if (memcmp(data + i, last, sizeof last - 1) == 0) {
            data[i] = 'M';
            ++found;
        }
    CHECK(found == 1);
    put((unsigned char *)data, size);
    fresh = begin("reference", path, &options);
    again = begin("reference", path, &options);
    CHECK_STATUS(hmt_trainer_resume(again.trainer, other), HMT_ERROR_FORMAT);
    CHECK(strstr(hmt_last_error(), last) != NULL);
    CHECK(same_run(&fresh, &again));
    end(&r);
    end(&fresh);
    end(&again);
}

int main(void)
{
    snprintf(path, sizeof path, "/tmp/hmtnet-checkpoint-%ld.safetensors", (long)getpid());
    snprintf(other, sizeof other, "/tmp/hmtnet-checkpoint-%ld-other.safetensors", (long)getpid());
    fill_images();
    every_recipe_goes_on();
    a_checkpoint_is_a_model();
    a_note_comes_back();
    what_does_not_fit_is_refused();
    damaged_files_are_refused();
    half_a_momentum_is_none();
    remove(path);
    remove(other);
    return test_finish();
}
