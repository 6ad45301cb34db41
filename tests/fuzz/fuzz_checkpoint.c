/*
 * mutations: 60
 * Checkpoints: a trainer that goes on from one has its momentum and can train and save; a file that
 * is refused has changed neither the model nor the momentum, and the trainer still trains.
 *
 * Options: bit 0 averages the parameters, bit 1 mends the header's length, the others, all set,
 * train a step: that is slow.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/status.h"
#include "format/safetensors.h"
#include "fuzz.h"

enum { AVERAGED = 1, MEND = 2, TRAIN = 0xfc, BATCH = 2, IMAGE = 3 * 224 * 224, MOST_VALUES = 4096 };

/* A model that has a step behind it, and a trainer of it that has none; the checkpoint it is from
 * stays in a file. */
typedef struct rig {
    const char *home;
    hmt_trainer_options options;
    hmt_model *model;
    hmt_trainer *trainer;
    float *values, *momentum; /* of all parameters, before anything was resumed */
    size_t count;
} rig;

static rig rigs[2] = {{.home = "home-plain"}, {.home = "home-averaged"}};

static hmt_status train(rig *r, unsigned allowed)
{
    static float images[BATCH * IMAGE];
    static const int32_t gender[BATCH] = {0, 1}, race[BATCH] = {1, 0};
    static const float score[BATCH] = {2.0f, 4.0f};
    hmt_batch batch = HMT_BATCH_INIT;

    for (size_t i = 0; i < BATCH * IMAGE && images[0] == 0.0f; ++i)
        images[BATCH * IMAGE - 1 - i] = (float)(i * 7919 % 256 + 1) / 128.0f - 1.0f;
    batch.count = BATCH;
    batch.images = images;
    batch.gender = gender;
    batch.race = race;
    batch.score = score;
    return FUZZ_STATUS(hmt_train_step(r->trainer, &batch, NULL), allowed);
}

/* Every parameter and its momentum, one after another; statistics have none. Returns how many. */
static size_t read_all(rig *r, float *values, float *momentum)
{
    size_t at = 0;

    for (size_t i = 0; i < hmt_model_param_count(r->model); ++i) {
        hmt_param_info info = HMT_PARAM_INFO_INIT;

        FUZZ_OK(hmt_model_param_info(r->model, i, &info));
        FUZZ_CHECK(at + (size_t)info.count <= MOST_VALUES);
        FUZZ_OK(hmt_model_param_read(r->model, i, values + at, (size_t)info.count));
        memset(momentum + at, 0, (size_t)info.count * sizeof *momentum);
        if (info.trainable)
            FUZZ_OK(hmt_trainer_momentum_read(r->trainer, i, momentum + at, (size_t)info.count));
        at += (size_t)info.count;
    }
    return at;
}

/* Takes the model from the rig's checkpoint, and gives it a new trainer. */
static void renew(rig *r)
{
    hmt_trainer_free(r->trainer);
    hmt_model_free(r->model);
    FUZZ_OK(hmt_model_load(fuzz_context(), fuzz_path(r->home), NULL, &r->model));
    FUZZ_OK(hmt_trainer_create(r->model, &r->options, &r->trainer));
}

static rig *rig_of(uint8_t option)
{
    rig *r = &rigs[option & AVERAGED];
    hmt_model_config config;

    if (r->model != NULL)
        return r;
    r->options = (hmt_trainer_options)HMT_TRAINER_OPTIONS_INIT;
    r->options.batch = BATCH;
    r->options.average = option & AVERAGED ? 0.5 : 0.0;
    r->options.average_every = 1;
    hmt_model_config_init(&config);
    config.width = 1.0 / 8192;
    FUZZ_OK(hmt_model_create(fuzz_context(), &config, 5, &r->model));
    FUZZ_OK(hmt_trainer_create(r->model, &r->options, &r->trainer));
    train(r, 0);
    FUZZ_OK(hmt_trainer_save(r->trainer, fuzz_path(r->home), "epoch 1: \xc3\xa9\n"));
    renew(r);
    r->values = malloc(MOST_VALUES * sizeof *r->values);
    r->momentum = malloc(MOST_VALUES * sizeof *r->momentum);
    FUZZ_CHECK(r->values != NULL && r->momentum != NULL);
    r->count = read_all(r, r->values, r->momentum);
    return r;
}

/* The note, whole and cut. */
static bool check_note(const char *path)
{
    static const unsigned refusals = FUZZ_CODE(FORMAT) | FUZZ_CODE(UNSUPPORTED);
    size_t length = SIZE_MAX, again;
    char cut[4], *note;

    if (FUZZ_STATUS(hmt_checkpoint_note(fuzz_context(), path, NULL, 0, &length), refusals) !=
        HMT_OK) {
        FUZZ_CHECK(length == SIZE_MAX);
        return false;
    }
    note = malloc(length + 1);
    FUZZ_CHECK(note != NULL);
    FUZZ_OK(hmt_checkpoint_note(fuzz_context(), path, note, length + 1, &again));
    FUZZ_OK(hmt_checkpoint_note(fuzz_context(), path, cut, sizeof cut, NULL));
    FUZZ_CHECK(again == length && note[length] == '\0');
    if (length > 0) { /* the first capacity that has no room for the last byte */
        FUZZ_OK(hmt_checkpoint_note(fuzz_context(), path, note, length, NULL));
        FUZZ_CHECK(note[length - 1] == '\0');
        FUZZ_OK(hmt_checkpoint_note(fuzz_context(), path, note, length + 1, NULL));
    }
    FUZZ_CHECK(length < sizeof cut ? memcmp(cut, note, length + 1) == 0
                                   : memcmp(cut, note, 3) == 0 && cut[3] == '\0');
    free(note);
    return true;
}

/* Same bits; a parameter may be any of the numbers that are not numbers. */
static void check_unchanged(rig *r)
{
    static float values[MOST_VALUES], momentum[MOST_VALUES];

    FUZZ_CHECK(read_all(r, values, momentum) == r->count);
    FUZZ_CHECK(memcmp(values, r->values, r->count * sizeof *values) == 0);
    FUZZ_CHECK(memcmp(momentum, r->momentum, r->count * sizeof *momentum) == 0);
}

/* The trainer has the values that stand in the file, and can save them. */
static void check_resumed(rig *r, const uint8_t *file, size_t size)
{
    static float values[MOST_VALUES], momentum[MOST_VALUES];
    tensors_index index;
    size_t at = 0;

    read_all(r, values, momentum);
    status_clear();
    FUZZ_OK(safetensors_open(&fuzz_allocator, file, size, "file", &index));
    for (size_t i = 0; i < hmt_model_param_count(r->model); ++i) {
        hmt_param_info info = HMT_PARAM_INFO_INIT;
        const tensors_entry *entry;
        char name[128];

        FUZZ_OK(hmt_model_param_info(r->model, i, &info));
        snprintf(name, sizeof name, "momentum.%s", info.name);
        for (int slot = 0; slot < 1 + info.trainable; ++slot) {
            entry = tensors_find(&index, slot == 0 ? info.name : name);
            FUZZ_CHECK(entry != NULL && entry->count == (uint64_t)info.count);
            FUZZ_CHECK(memcmp(file + entry->offset, (slot == 0 ? values : momentum) + at,
                              entry->bytes) == 0);
        }
        at += (size_t)info.count;
    }
    tensors_close(&index);
}

static void save(rig *r)
{
    const char *path = fuzz_path("further");

    FUZZ_OK(hmt_trainer_save(r->trainer, path, NULL));
    FUZZ_CHECK(check_note(path));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t option = fuzz_option(data, &size);
    uint8_t *file = fuzz_copy(data, size);
    const char *path;
    rig *r = rig_of(option);
    bool note, resumed;

    if (option & MEND)
        fuzz_mend_header(file, size);
    path = fuzz_file("checkpoint", file, size);
    fuzz_begin(4 * size + 1024);
    note = check_note(path);
    resumed =
        FUZZ_STATUS(hmt_trainer_resume(r->trainer, path),
                    FUZZ_CODE(FORMAT) | FUZZ_CODE(UNSUPPORTED) | FUZZ_CODE(ARGUMENT)) == HMT_OK;
    fuzz_end();
    FUZZ_CHECK(note || !resumed);
    if (!resumed)
        check_unchanged(r);
    if (resumed) {
        check_resumed(r, file, size);
        save(r);
    }
    free(file);
    if ((option & TRAIN) == TRAIN) /* momentum from a file may be anything */
        train(r, resumed ? FUZZ_CODE(NONFINITE) : 0);
    if (resumed || (option & TRAIN) == TRAIN)
        renew(r);
    return 0;
}

void fuzz_seeds(void)
{
    static const char *const options[] = {"\2", "\3", "\376", "\377"};
    /* One thing wrong in each: what may stand first in a file, and what is looked for last. */
    static const char *const spelling[][2] = {
        {"hmtnet.training", "hmtnet_training"},
        {"hmtnet.recipe", "hmtnet_recipe"},
        {"hmtnet.note", "hmtnet_note"},
        {"\\\"batch\\\":2", "\\\"batch\\\":3"},
        {"\\\"steps\\\":1", "\\\"Steps\\\":1"},
        {"\\\"steps\\\":1", "\\\"steps\\\":-"},
        {"{\\\"version\\\":1,\\\"steps", "{\\\"version\\\":2,\\\"steps"},
        {"\"momentum.rbranch.rbn3.bias", "\"momentum.rbranch.rbn3.bios"},
    };
    static uint8_t file[1 << 16], spelt[1 << 16];

    for (uint8_t i = 0; i < 4; ++i) {
        rig_of(i & AVERAGED);
        fuzz_seed_file(fuzz_path(rigs[i & AVERAGED].home), options[i], 1);
    }
    for (size_t i = 0; i < sizeof spelling / sizeof spelling[0]; ++i) {
        const size_t size = fuzz_read(fuzz_path(rigs[0].home), file, sizeof file);

        memcpy(spelt, file, size);
        fuzz_respell(spelt, size, spelling[i][0], spelling[i][1]);
        fuzz_seed(spelt, size, options[0], 1);
    }
    for (int momentum = 0; momentum < 2; ++momentum) { /* two tensors of other lengths, or values */
        const char *const last[2] = {"rbn1.bias", "rbn2.bias"};
        const char *const name[2] = {"\"momentum.conv1.weight", "\"momentum.conv2.weight"};
        const char *const *swap = momentum ? name : last;
        const size_t size = fuzz_read(fuzz_path(rigs[0].home), file, sizeof file);
        char other[32] = {0};

        memset(other, '0', strlen(swap[0]));
        fuzz_respell(file, size, swap[0], other);
        fuzz_respell(file, size, swap[1], swap[0]);
        fuzz_respell(file, size, other, swap[1]);
        fuzz_seed(file, size, options[0], 1);
    }
}
