/*
 * hmtnet-train - train a network on labelled photos and save it.
 *
 * Sets up what a run needs: data sets, model, loaders, trainer. The command line is
 * common/train_options.h, the run itself common/training.h.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hmtnet/data.h>

#include "common/augment_sheet.h"
#include "common/cli.h"
#include "common/labels.h"
#include "common/output.h"
#include "common/photo.h"
#include "common/train_options.h"
#include "common/training.h"

enum { TRAIN = 0, VALIDATE = 1 };

/* What a run needs, in the order in which it is made. */
typedef struct setup {
    train_recipe recipe;
    hmt_context *context;
    hmt_dataset *sets[2]; /* training, validation; with --split both are sets[TRAIN] */
    size_t *indices[2];   /* (counts) the samples to use */
    size_t counts[2];
    hmt_model *model;
    hmt_model_config config;
    hmt_augment_options augment;
    hmt_loader *loaders[2];
    hmt_trainer *trainer;
    bool resumed; /* the model is the checkpoint's */
    char plan[1024];
} setup;

/* An output that cannot be written is better known now than after hours. */
static bool check_outputs(void)
{
    const train_options *o = &train_settings;
    const char *const paths[] = {o->output, o->checkpoint, o->best, o->sheet};
    bool good = true;
    for (size_t i = 0; good && i < sizeof paths / sizeof *paths; i++)
        good = !paths[i] || output_check(paths[i]);
    return good;
}

/* The library's warnings, such as photos that are left out. */
static void print_warning(void *user, hmt_log_level level, const char *message)
{
    (void)user;
    if (level <= HMT_LOG_WARNING)
        cli_error("%s", message);
}

static bool open_context(setup *made)
{
    return device_open(&train_settings.device, print_warning, &made->context);
}

/* The samples of one side: of a split, or all there are. */
static bool choose_samples(setup *made, int side)
{
    const hmt_dataset *set = made->sets[train_settings.split ? TRAIN : side];
    size_t *count = &made->counts[side];
    *count = hmt_dataset_count(set);
    made->indices[side] = cli_allocate(*count, sizeof *made->indices[side]);
    for (size_t i = 0; i < *count; i++)
        made->indices[side][i] = i;
    if (!train_settings.split)
        return true;
    return labels_split(set, train_settings.split, (uint64_t)train_settings.seed, side == VALIDATE,
                        made->indices[side], count);
}

/* Reads one side's labels. With `classes` they must be those of the model. */
static bool read_set(setup *made, int side, const char *path, const hmt_model_config *classes)
{
    hmt_dataset_options about = HMT_DATASET_OPTIONS_INIT;
    about.classes = classes;
    made->sets[side] =
        labels_read(made->context, (hmt_dataset_kind)train_settings.kind, path, &about);
    return made->sets[side] && choose_samples(made, side);
}

/* A network for what the training photos are labelled with. */
static bool describe_model(setup *made)
{
    hmt_model_config *config = &made->config;
    const train_options *o = &train_settings;
    hmt_model_config_init(config);
    config->width = o->width > 0 ? o->width : 1;
    config->wiring = o->wiring < 0 ? HMT_WIRING_RELEASED : (hmt_wiring)o->wiring;
    config->aggregator = o->aggregator < 0 ? HMT_AGGREGATOR_AVERAGE : (hmt_aggregator)o->aggregator;
    if (o->resize)
        config->resize = (int32_t)o->resize;
    if (hmt_dataset_describe(made->sets[TRAIN], made->indices[TRAIN], made->counts[TRAIN],
                             config) != HMT_OK) {
        cli_error("%s", hmt_last_error());
        return false;
    }
    for (int task = 0; task < HMT_TASK_COUNT; task++)
        if (made->recipe.options.alpha[task] == 0)
            config->trained &= ~(1u << task);
    if (config->trained)
        return true;
    cli_error("%s: no label for a loss whose --alpha is above 0", o->data);
    return false;
}

/* Takes over what fits of --pretrained's parameters. */
static bool take_pretrained(setup *made)
{
    const char *path = train_settings.pretrained;
    const size_t count = hmt_model_param_count(made->model);
    int32_t *taken = cli_allocate(count, sizeof *taken);
    size_t sum = 0;
    hmt_status status = hmt_model_import(made->model, path, taken, count);

    for (size_t i = 0; i < count; i++)
        sum += status == HMT_OK && taken[i];
    free(taken);
    if (status != HMT_OK) {
        cli_library_error("cannot use the parameters of %s", path);
        return false;
    }
    printf("%zu of the network's %zu parameters are those of %s\n", sum, count, path);
    return true;
}

static bool make_model(setup *made)
{
    const train_options *o = &train_settings;
    const char *from = o->from;
    made->config.struct_size = sizeof made->config;
    made->resumed = o->resume && access(o->checkpoint, F_OK) == 0;
    if (made->resumed)
        from = o->checkpoint;
    if (from) {
        if (hmt_model_load(made->context, from, NULL, &made->model) != HMT_OK ||
            hmt_model_get_config(made->model, &made->config) != HMT_OK) {
            cli_library_error("cannot use the model %s", from);
            return false;
        }
        return read_set(made, TRAIN, o->data, &made->config);
    }
    if (!read_set(made, TRAIN, o->data, NULL) || !describe_model(made))
        return false;
    if (hmt_model_create(made->context, &made->config, (uint64_t)o->seed, &made->model) != HMT_OK) {
        cli_library_error("cannot make a model");
        return false;
    }
    return !o->pretrained || take_pretrained(made);
}

static bool make_validation(setup *made)
{
    if (train_settings.split)
        return choose_samples(made, VALIDATE);
    return !train_settings.validate ||
           read_set(made, VALIDATE, train_settings.validate, &made->config);
}

static bool make_loader(setup *made, int side)
{
    hmt_loader_options about = HMT_LOADER_OPTIONS_INIT;
    hmt_preprocess_options plain = HMT_PREPROCESS_OPTIONS_INIT;
    const train_options *o = &train_settings;
    plain.resize = made->config.resize;
    memcpy(plain.mean, made->config.mean, sizeof plain.mean);
    memcpy(plain.deviation, made->config.deviation, sizeof plain.deviation);
    train_options_augment(&made->augment, &made->config);
    about.batch = (size_t)o->batch;
    about.augment = side == TRAIN ? &made->augment : NULL;
    about.preprocess = &plain;
    about.indices = made->indices[side];
    about.index_count = made->counts[side];
    about.shuffle = about.drop_last = side == TRAIN;
    about.lend = side == TRAIN ? 2 : 1; /* one to train on, one on its way to the device */
    about.skip_bad = o->skip_bad;
    about.seed = (uint64_t)o->seed;
    about.workers = (int32_t)o->decoders;
    about.decode = &photo_decoding;
    about.keep_bytes = (uint64_t)o->cache << 20;
    if (hmt_loader_create(made->context, made->sets[o->split ? TRAIN : side], &about,
                          &made->loaders[side]) == HMT_OK)
        return true;
    cli_error("%s: %s", o->data, hmt_last_error());
    return false;
}

static void hash_bytes(uint64_t *hash, const char *bytes)
{
    for (; *bytes; bytes++)
        *hash = (*hash ^ (unsigned char)*bytes) * 1099511628211u;
}

/* A number for the training photos' names and labels (FNV-1a). */
static uint64_t fingerprint(const setup *made)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < made->counts[TRAIN]; i++) {
        hmt_sample sample = HMT_SAMPLE_INIT;
        char text[96];
        hmt_dataset_sample(made->sets[TRAIN], made->indices[TRAIN][i], &sample);
        snprintf(text, sizeof text, "|%d|%d|%.9g|", (int)sample.gender, (int)sample.race,
                 (double)sample.score);
        hash_bytes(&hash, sample.name);
        hash_bytes(&hash, text);
    }
    return hash;
}

/* What decides a run beside the trainer's recipe, which the library compares: see run_state.h. */
static void describe_plan(setup *made, const training *run)
{
    static const char *const schedules[] = {"constant", "step", "cosine", "one-cycle"};
    const hmt_schedule *s = &run->schedule;
    const hmt_augment_options *a = &made->augment;
    const train_options *o = &train_settings;
    snprintf(made->plan, sizeof made->plan,
             "training photos %zu; the training photos' names or labels %016llx; "
             "--resize %d; random crops %s; --rotation %g; --brightness %g; --contrast %g; "
             "--saturation %g; --hue %g; mirrored share %g; --seed %lld; --schedule %s; "
             "--learning-rate %.9g; --factor %.9g; --period %lld; --warmup %.9g; "
             "--warmup-epochs %.9g; steps %llu",
             made->counts[TRAIN], (unsigned long long)fingerprint(made), (int)a->resize,
             a->random_crop ? "on" : "off", a->rotation, a->brightness, a->contrast, a->saturation,
             a->hue, a->flip, (long long)o->seed, schedules[s->kind], s->base, s->factor,
             (long long)o->step_epochs, s->warmup, o->warmup_epochs, (unsigned long long)s->total);
}

/* Sets the run and its trainer to where the checkpoint was saved. */
static bool resume(setup *made, training *run)
{
    const char *path = train_settings.checkpoint;
    char note[RUN_STATE_TEXT];
    if (hmt_checkpoint_note(made->context, path, note, sizeof note, NULL)) {
        cli_library_error("cannot go on");
        return false;
    }
    if (!run_state_read(&run->state, made->plan, note, path))
        return false;
    if (hmt_trainer_resume(made->trainer, path) != HMT_OK) {
        cli_library_error("cannot go on");
        return false;
    }
    if (run->state.step > run->schedule.total) {
        cli_error("%s: %llu steps are done, more than the %llu of this --epochs and --steps", path,
                  (unsigned long long)run->state.step, (unsigned long long)run->schedule.total);
        return false;
    }
    printf("going on after step %llu of %llu\n", (unsigned long long)run->state.step,
           (unsigned long long)run->schedule.total);
    return true;
}

static size_t count_scores(const setup *made)
{
    size_t scored = 0;
    for (size_t i = 0; i < made->counts[TRAIN]; i++) {
        hmt_sample sample = HMT_SAMPLE_INIT;
        hmt_dataset_sample(made->sets[TRAIN], made->indices[TRAIN][i], &sample);
        scored += !isnan(sample.score);
    }
    return scored;
}

static void announce(const setup *made, const training *run)
{
    const hmt_model_config *config = &made->config;
    size_t count = made->counts[TRAIN], batch = run->batch;
    printf("%zu photos, %d classes of gender, %d of race, %zu scores; width %g; backend %s, %d "
           "threads\n",
           count, (int)config->gender_classes, (int)config->race_classes, count_scores(made),
           config->width, hmt_context_backend(made->context),
           (int)hmt_context_threads(made->context));
    printf("%llu steps of %zu photos; %zu photos of each epoch fill no batch and are left out\n",
           (unsigned long long)run->schedule.total, batch, count % batch);
    fflush(stdout);
}

static int train(setup *made)
{
    const train_options *o = &train_settings;
    training run = {.model = made->model,
                    .photos = made->loaders[TRAIN],
                    .unseen = made->loaders[VALIDATE],
                    .unseen_count = made->counts[VALIDATE],
                    .output = o->output,
                    .storage = (hmt_dtype)o->storage,
                    .batch = (size_t)o->batch,
                    .devices = o->devices > 1 ? (size_t)o->devices : 1,
                    .alpha = made->recipe.options.alpha,
                    .epochs = (uint64_t)o->epochs,
                    .save_every = (uint64_t)o->save_every,
                    .validate_every = (uint64_t)o->validate_every,
                    .quiet = o->quiet,
                    .checkpoint = o->checkpoint,
                    .checkpoint_every = (uint64_t)o->checkpoint_steps,
                    .plan = made->plan,
                    .best = o->best,
                    .best_by = (best_by)o->best_by,
                    .patience = (uint64_t)o->patience,
                    .state = {.best = NAN}};
    train_options_schedule(&run.schedule, hmt_loader_batches(made->loaders[TRAIN]));
    if (hmt_trainer_create(made->model, &made->recipe.options, &made->trainer) != HMT_OK) {
        cli_library_error("cannot prepare the training");
        return CLI_USAGE;
    }
    run.trainer = made->trainer;
    announce(made, &run);
    describe_plan(made, &run);
    if (made->resumed && !resume(made, &run))
        return CLI_USAGE;
    /* In the middle of an epoch nothing has been noted at this step yet, also after its last one.
     */
    uint64_t noted = run.state.step - (run.state.epoch.steps > 0);
    if (o->sheet && !augment_sheet(o->sheet, made->sets[TRAIN], made->indices[TRAIN],
                                   made->counts[TRAIN], &made->augment, (uint64_t)o->seed))
        return CLI_OUTPUT;
    if (o->history && !history_open(&run.history, o->history, noted))
        return CLI_OUTPUT;
    int status = training_run(&run);
    history_close(&run.history);
    return status;
}

static int set_up_and_train(setup *made, int operands)
{
    if (!train_options_check(&made->recipe, operands))
        return CLI_USAGE;
    if (!check_outputs())
        return CLI_OUTPUT;
    if (!open_context(made) || !make_model(made) || !make_validation(made) ||
        !make_loader(made, TRAIN) || (made->counts[VALIDATE] && !make_loader(made, VALIDATE)))
        return CLI_USAGE;
    return train(made);
}

int main(int argc, char **argv)
{
    int status;
    setup made = {.context = NULL};
    int first = cli_parse(&train_program, argc, argv, &status);
    if (first < 0)
        return cli_end(status);
    cli_catch_signals();
    status = set_up_and_train(&made, argc - first);
    hmt_trainer_free(made.trainer);
    for (int side = TRAIN; side <= VALIDATE; side++) {
        hmt_loader_free(made.loaders[side]);
        hmt_dataset_free(made.sets[side]);
        free(made.indices[side]);
    }
    hmt_model_free(made.model);
    hmt_context_free(made.context);
    train_recipe_free(&made.recipe);
    return cli_end(status);
}
