/*
 * hmtnet-train - train a network on labelled photos and save it.
 *
 * Options and set-up: tables (common/manifest.h), photos (common/faces.h), model and trainer; the
 * run itself is common/training.h.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hmtnet/hmtnet.h>

#include "common/cli.h"
#include "common/faces.h"
#include "common/files.h"
#include "common/manifest.h"
#include "common/training.h"

enum { TRAIN = 0, VALIDATE = 1 };

enum { MOST_RULES = 64 };

static struct {
    const char *data, *validate, *output, *from, *backend, *alpha, *freeze, *rates;
    const char *checkpoint, *best, *history;
    int64_t accumulate, checkpoint_steps, patience;
    double warmup_epochs, smoothing;
    int nesterov, decay_weights_only, best_by, resume;
    int64_t epochs, batch, steps, seed, threads, decoders, resize, save_every, validate_every;
    int64_t cache, step_epochs;
    int schedule, loss, wiring, aggregator, storage, no_flip, skip_bad, quiet;
    double rate, factor, warmup, momentum, decay, delta, width;
} settings = {.epochs = 20,
              .batch = 32,
              .seed = 1,
              .save_every = 1,
              .validate_every = 1,
              .cache = 2048,
              .step_epochs = 50,
              .schedule = HMT_SCHEDULE_STEP,
              .wiring = -1,
              .aggregator = -1,
              .rate = 1e-3,
              .factor = -1,
              .warmup = 0.3,
              .momentum = 0.9,
              .decay = 0.05,
              .delta = 0.6,
              .accumulate = 1};

static const cli_option options[] = {
    {"data", 'd', CLI_TEXT, &settings.data, "TABLE", "the training photos", 0, 0},
    {"validate", 'v', CLI_TEXT, &settings.validate, "TABLE", "photos to measure the network on", 0,
     0},
    {"output", 'o', CLI_TEXT, &settings.output, "FILE", "the model to write, .safetensors", 0, 0},
    {"from", 0, CLI_TEXT, &settings.from, "FILE",
     "start from this model: its network, classes and size\nare kept", 0, 0},
    {"epochs", 'e', CLI_INTEGER, &settings.epochs, "N", "times through the photos (default 20)", 1,
     1e6},
    {"steps", 0, CLI_INTEGER, &settings.steps, "N", "stop after N steps, also inside an epoch", 1,
     1e12},
    {"batch", 'b', CLI_INTEGER, &settings.batch, "N", "photos of a step (default 32)", 2, 4096},
    {"learning-rate", 'r', CLI_NUMBER, &settings.rate, "X",
     "base or, with one-cycle, highest rate (default 1e-3)", 0, 100},
    {"schedule", 0, CLI_CHOICE, &settings.schedule, "constant|step|cosine|one-cycle",
     "how the rate moves (default step)", 0, 0},
    {"factor", 0, CLI_NUMBER, &settings.factor, "X",
     "step: times this after each period (default 0.1);\ncosine, one-cycle: down to the rate times "
     "this\n(default 0.001)",
     0, 1},
    {"period", 0, CLI_INTEGER, &settings.step_epochs, "N", "epochs of a step's period (default 50)",
     1, 1e6},
    {"warmup", 0, CLI_NUMBER, &settings.warmup, "X",
     "one-cycle: share of the run that the rate rises\n(default 0.3)", 0, 0.99},
    {"warmup-epochs", 0, CLI_NUMBER, &settings.warmup_epochs, "X",
     "other schedules: epochs in which the rate climbs\nfrom 0 first (default 0)", 0, 1e6},
    {"momentum", 0, CLI_NUMBER, &settings.momentum, "X", "of the descent (default 0.9)", 0, 0.9999},
    {"weight-decay", 0, CLI_NUMBER, &settings.decay, "X", "on every parameter (default 0.05)", 0,
     10},
    {"nesterov", 0, CLI_FLAG, &settings.nesterov, NULL, "Nesterov's momentum", 0, 0},
    {"decay-weights-only", 0, CLI_FLAG, &settings.decay_weights_only, NULL,
     "no decay on biases and batch norms", 0, 0},
    {"accumulate", 0, CLI_INTEGER, &settings.accumulate, "N",
     "batches whose gradients make one update (default 1)", 1, 65536},
    {"label-smoothing", 0, CLI_NUMBER, &settings.smoothing, "X",
     "share of a class label spread over all classes\n(default 0)", 0, 0.99},
    {"freeze", 0, CLI_TEXT, &settings.freeze, "PREFIX,...",
     "keep the parameters whose names begin so as they are;\nconv,bn,fc trains the branches only",
     0, 0},
    {"rates", 0, CLI_TEXT, &settings.rates, "PREFIX=X,...",
     "learn such parameters at X times the rate", 0, 0},
    {"loss", 0, CLI_CHOICE, &settings.loss, "smooth-huber|mse|l1|smooth-l1",
     "of the scores (default smooth-huber)", 0, 0},
    {"delta", 0, CLI_NUMBER, &settings.delta, "X", "smooth-huber's (default 0.6)", 1e-6, 1e6},
    {"alpha", 0, CLI_TEXT, &settings.alpha, "G,R,A",
     "weights of the losses of gender, race and\nattractiveness (default 1,1,2)", 0, 0},
    {"width", 'w', CLI_NUMBER, &settings.width, "X", "times the paper's channel counts (default 1)",
     0.001, 4},
    {"wiring", 0, CLI_CHOICE, &settings.wiring, "released|paper",
     "where the race branch begins (default released)", 0, 0},
    {"aggregator", 0, CLI_CHOICE, &settings.aggregator, "average|concatenate",
     "how inner maps are joined (default average)", 0, 0},
    {"resize", 0, CLI_INTEGER, &settings.resize, "N",
     "shorter side before the 224 crop (default 256)", 224, 4096},
    {"no-flip", 0, CLI_FLAG, &settings.no_flip, NULL, "do not mirror every second photo", 0, 0},
    {"seed", 's', CLI_INTEGER, &settings.seed, "N",
     "of the first parameters, the order and the crops\n(default 1)", 0, 9e15},
    {"storage", 0, CLI_CHOICE, &settings.storage, "f32|f16|bf16|i8",
     "how weights are stored in the file (default f32)", 0, 0},
    {"save-every", 0, CLI_INTEGER, &settings.save_every, "N",
     "epochs between two saves (default 1; the end is\nalways saved)", 1, 1e6},
    {"validate-every", 0, CLI_INTEGER, &settings.validate_every, "N",
     "epochs between two validations (default 1; the last\nepoch is always validated)", 1, 1e6},
    {"checkpoint", 0, CLI_TEXT, &settings.checkpoint, "FILE",
     "save with the model all that going on needs", 0, 0},
    {"checkpoint-steps", 0, CLI_INTEGER, &settings.checkpoint_steps, "N", "also every N steps", 1,
     1e12},
    {"resume", 0, CLI_FLAG, &settings.resume, NULL, "go on from --checkpoint's file if it is there",
     0, 0},
    {"best", 0, CLI_TEXT, &settings.best, "FILE", "the model with the best validation", 0, 0},
    {"best-by", 0, CLI_CHOICE, &settings.best_by, "loss|pearson|mae",
     "what the best validation is (default loss)", 0, 0},
    {"patience", 0, CLI_INTEGER, &settings.patience, "N",
     "stop after N validations without a better one", 1, 1e6},
    {"history", 0, CLI_TEXT, &settings.history, "FILE", "epochs and validations as JSON Lines", 0,
     0},
    {"skip-bad", 0, CLI_FLAG, &settings.skip_bad, NULL,
     "leave out photos that cannot be read instead of\nstopping", 0, 0},
    {"cache", 0, CLI_INTEGER, &settings.cache, "MIB", "memory for decoded photos (default 2048)", 0,
     1e7},
    {"backend", 0, CLI_TEXT, &settings.backend, "NAME",
     "onednn or reference (default: the best there is)", 0, 0},
    {"threads", 't', CLI_INTEGER, &settings.threads, "N",
     "threads to compute with (default: all processors)", 0, 4096},
    {"decoders", 0, CLI_INTEGER, &settings.decoders, "N",
     "threads that prepare photos (default: one for every\nfour processors)", 0, 256},
    {"quiet", 'q', CLI_FLAG, &settings.quiet, NULL, "show no progress, only the epochs", 0, 0},
    {0}};

static const cli_program program = {
    "hmtnet-train", "--data TABLE --output FILE [OPTION]...",
    "Trains a network to recognise gender, race and attractiveness in face photos.\n"
    "A TABLE is a CSV file whose first row names the columns path, gender, race and score,\n"
    "in any order. Paths are relative to the table's folder. Other cells may be empty where a\n"
    "label is not known. Gender and race are class names; the classes are those that occur.",
    options,
    "The defaults are the paper's recipe, but for the number of epochs (170 there). Photos are\n"
    "cropped at random places and mirrored; the rest of an epoch that fills no batch is left out.\n"
    "The same seed, photos, threads and machine give the same model.\n\n"
    "Exit status: 0 trained and saved, 1 training stopped (a photo, or a loss that is not\n"
    "finite; the last saved model stays), 2 wrong usage, table or model, 3 the model could not\n"
    "be saved, 130 interrupted: the step was finished and the model saved.\n\n"
    "A run with --checkpoint that was stopped or killed at any moment goes on with the same\n"
    "command and --resume, and ends with the same bytes as if it had never stopped.\n\n"
    "Example: hmtnet-train --data train.csv --validate val.csv --output faces.safetensors \\\n"
    "             --width 0.5 --epochs 16 --schedule one-cycle --learning-rate 0.02"};

/* What a run needs, in the order in which it is made. */
typedef struct setup {
    hmt_trainer_options recipe;
    hmt_param_rule rules[MOST_RULES];
    char *freeze, *rates; /* what their prefixes point into */
    manifest_classes classes[2];
    manifest tables[2]; /* training, validation */
    hmt_context *context;
    hmt_model *model;
    hmt_model_config config;
    faces photos[2]; /* training, validation */
    hmt_trainer *trainer;
    bool resumed; /* the model is the checkpoint's */
    char plan[512];
} setup;

static bool wrong(const char *message)
{
    cli_error("%s; see --help", message);
    return false;
}

/* Adds the rules of a list: names' beginnings, with rates where `rated`. */
static bool add_rules(setup *made, char *list, bool rated)
{
    hmt_trainer_options *recipe = &made->recipe;
    for (char *part; (part = strsep(&list, ",")) != NULL;) {
        char *value = strchr(part, '='), *end = value;
        double rate = rated && value ? strtod(value + 1, &end) : 0;
        if (recipe->rule_count == MOST_RULES)
            return wrong("at most 64 prefixes can be given");
        if (!*part || (!rated && value))
            return wrong("--freeze takes beginnings of names, such as conv1,conv2");
        if (rated && (!value || end == value + 1 || *end))
            return wrong("--rates takes pairs such as gbranch.=0.1");
        if (rated)
            *value = '\0';
        made->rules[recipe->rule_count++] = (hmt_param_rule){part, rate};
    }
    return true;
}

static bool read_rules(setup *made)
{
    made->recipe.rules = made->rules;
    made->freeze = settings.freeze ? cli_copy(settings.freeze) : NULL;
    made->rates = settings.rates ? cli_copy(settings.rates) : NULL;
    return (!made->freeze || add_rules(made, made->freeze, false)) &&
           (!made->rates || add_rules(made, made->rates, true));
}

static bool read_alpha(hmt_trainer_options *recipe)
{
    char end;
    double *alpha = recipe->alpha;
    if (!settings.alpha)
        return true;
    int read = sscanf(settings.alpha, "%lf,%lf,%lf%c", &alpha[0], &alpha[1], &alpha[2], &end);
    if (read != 3 || !(alpha[0] >= 0 && alpha[1] >= 0 && alpha[2] >= 0))
        return wrong("--alpha takes three weights such as 1,1,2");
    return true;
}

/* Checks what the table of options cannot, and fills in the recipe. */
static bool check_options(setup *made, int operands)
{
    hmt_trainer_options *recipe = &made->recipe;
    if (operands)
        return wrong("all inputs are given by options");
    if (!settings.data || !settings.output)
        return wrong(settings.data ? "no --output" : "no --data");
    if (settings.from &&
        (settings.width > 0 || settings.wiring >= 0 || settings.aggregator >= 0 || settings.resize))
        return wrong("--width, --wiring, --aggregator and --resize come from the model of --from");
    if (!settings.checkpoint && (settings.resume || settings.checkpoint_steps))
        return wrong("--resume and --checkpoint-steps need --checkpoint");
    if (!settings.validate && (settings.best || settings.patience))
        return wrong("--best and --patience need --validate");
    recipe->batch = (int32_t)settings.batch;
    recipe->learning_rate = settings.rate;
    recipe->momentum = settings.momentum;
    recipe->weight_decay = settings.decay;
    recipe->loss = (hmt_loss)settings.loss;
    recipe->delta = settings.delta;
    recipe->profile = 1;
    recipe->seed = (uint64_t)settings.seed;
    recipe->nesterov = settings.nesterov;
    recipe->decay_weights_only = settings.decay_weights_only;
    recipe->accumulate = (int32_t)settings.accumulate;
    recipe->label_smoothing = settings.smoothing;
    return read_alpha(recipe) && read_rules(made);
}

/* An output folder that cannot be written to is better known now than after hours. */
static bool check_outputs(void)
{
    const char *const paths[] = {settings.output, settings.checkpoint, settings.best,
                                 settings.history};
    bool good = true;
    for (size_t i = 0; good && i < sizeof paths / sizeof *paths; i++) {
        if (!paths[i])
            continue;
        char *folder = files_folder(paths[i]);
        good = access(folder, W_OK | X_OK) == 0;
        if (!good)
            cli_error("cannot write to %s: %s", folder, strerror(errno));
        free(folder);
    }
    return good;
}

static bool read_table(setup *made, int which, const char *path)
{
    return manifest_read(&made->tables[which], path, made->classes);
}

/* The classes of a loaded model. */
static void copy_classes(setup *made)
{
    const hmt_model_config *config = &made->config;
    made->classes[0].count = config->gender_classes;
    made->classes[1].count = config->race_classes;
    for (int task = 0; task < 2; task++)
        for (int32_t i = 0; i < made->classes[task].count; i++) {
            const char *name = hmt_model_label(made->model, (hmt_task)task, i);
            snprintf(made->classes[task].names[i], HMT_MAX_LABEL, "%s", name ? name : "");
        }
}

/* A network for what the training table holds. Without any label a head keeps its default. */
static void describe_model(setup *made)
{
    hmt_model_config *config = &made->config;
    const manifest *table = &made->tables[TRAIN];
    hmt_model_config_init(config);
    config->width = settings.width > 0 ? settings.width : 1;
    config->wiring = settings.wiring < 0 ? HMT_WIRING_RELEASED : (hmt_wiring)settings.wiring;
    config->aggregator =
        settings.aggregator < 0 ? HMT_AGGREGATOR_AVERAGE : (hmt_aggregator)settings.aggregator;
    if (settings.resize)
        config->resize = (int32_t)settings.resize;
    if (made->classes[0].count) {
        config->gender_classes = made->classes[0].count;
        memcpy(config->gender_labels, made->classes[0].names, sizeof config->gender_labels);
    }
    if (made->classes[1].count) {
        config->race_classes = made->classes[1].count;
        memcpy(config->race_labels, made->classes[1].names, sizeof config->race_labels);
    }
    if (table->scored) {
        config->score_min = table->score_min;
        config->score_max = table->score_max;
        config->score_mean = table->score_mean;
    }
}

static bool make_model(setup *made)
{
    const char *from = settings.from;
    made->config.struct_size = sizeof made->config;
    made->resumed = settings.resume && access(settings.checkpoint, F_OK) == 0;
    if (made->resumed)
        from = settings.checkpoint;
    if (from) {
        if (hmt_model_load(made->context, from, NULL, &made->model) != HMT_OK ||
            hmt_model_get_config(made->model, &made->config) != HMT_OK) {
            cli_library_error("cannot use the model %s", from);
            return false;
        }
        copy_classes(made);
        return read_table(made, TRAIN, settings.data);
    }
    if (!read_table(made, TRAIN, settings.data))
        return false;
    describe_model(made);
    if (hmt_model_create(made->context, &made->config, (uint64_t)settings.seed, &made->model)) {
        cli_library_error("cannot make a model");
        return false;
    }
    copy_classes(made);
    return true;
}

static bool open_context(setup *made)
{
    hmt_context_options about = HMT_CONTEXT_OPTIONS_INIT;
    about.backend = settings.backend;
    about.threads = (int32_t)settings.threads;
    if (hmt_context_create(&about, &made->context) == HMT_OK)
        return true;
    cli_library_error("cannot start");
    return false;
}

static int decoders(void)
{
    return settings.decoders ? (int)settings.decoders : (cli_processors() + 3) / 4;
}

/* Returns an exit status. */
static int read_photos(setup *made, int which)
{
    size_t bound = (size_t)settings.cache << 20;
    bool good = faces_read(&made->photos[which], made->context, &made->tables[which], &made->config,
                           bound, cli_processors(), settings.skip_bad, settings.quiet);
    if (good)
        return CLI_OK;
    return cli_interrupted() ? CLI_INTERRUPTED : CLI_SOME_FAILED;
}

/* Steps and how the rate moves over them. */
static void plan_steps(const setup *made, training *run)
{
    const hmt_schedule defaults = HMT_SCHEDULE_INIT;
    uint64_t epoch_steps = made->tables[TRAIN].count / (size_t)settings.batch;
    hmt_schedule *schedule = &run->schedule;
    *schedule = defaults;
    schedule->kind = (hmt_schedule_kind)settings.schedule;
    schedule->base = settings.rate;
    schedule->factor = schedule->kind == HMT_SCHEDULE_STEP ? 0.1 : 0.001;
    if (settings.factor >= 0)
        schedule->factor = settings.factor;
    schedule->period = (uint64_t)settings.step_epochs * epoch_steps;
    schedule->warmup = settings.warmup;
    schedule->warmup_steps = (uint64_t)(settings.warmup_epochs * (double)epoch_steps);
    schedule->total = (uint64_t)settings.epochs * epoch_steps;
    if (settings.steps && (uint64_t)settings.steps < schedule->total)
        schedule->total = (uint64_t)settings.steps;
}

/* A number for the training table's contents: FNV-1a over names and labels. */
static uint64_t fingerprint(const manifest *table)
{
    uint64_t hash = 14695981039346656037u;
    char text[96];
    for (size_t i = 0; i < table->count; i++) {
        const manifest_row *row = &table->rows[i];
        const char *slash = strrchr(row->path, '/');
        snprintf(text, sizeof text, "|%d|%d|%.9g|", (int)row->label[0], (int)row->label[1],
                 (double)row->score);
        for (const char *c = slash ? slash + 1 : row->path; *c; c++)
            hash = (hash ^ (unsigned char)*c) * 1099511628211u;
        for (const char *c = text; *c; c++)
            hash = (hash ^ (unsigned char)*c) * 1099511628211u;
    }
    return hash;
}

/* What decides a run beside the trainer's recipe, which the library compares. */
static void describe_plan(setup *made, const training *run)
{
    const hmt_schedule *s = &run->schedule;
    snprintf(made->plan, sizeof made->plan,
             "%zu photos %016llx, resize %d, %s, seed %lld, %llu steps, schedule %d %.9g %.9g %llu "
             "%.9g %llu",
             made->tables[TRAIN].count, (unsigned long long)fingerprint(&made->tables[TRAIN]),
             (int)made->config.resize, run->flip ? "mirrored" : "not mirrored",
             (long long)settings.seed, (unsigned long long)s->total, (int)s->kind, s->base,
             s->factor, (unsigned long long)s->period, s->warmup,
             (unsigned long long)s->warmup_steps);
}

/* Sets the run and its trainer to where the checkpoint was saved. */
static bool resume(setup *made, training *run)
{
    char note[RUN_STATE_TEXT];
    if (hmt_checkpoint_note(made->context, settings.checkpoint, note, sizeof note, NULL)) {
        cli_library_error("cannot go on");
        return false;
    }
    if (!run_state_read(&run->state, made->plan, note, settings.checkpoint))
        return false;
    if (hmt_trainer_resume(made->trainer, settings.checkpoint) != HMT_OK) {
        cli_library_error("cannot go on");
        return false;
    }
    printf("going on after step %llu of %llu\n", (unsigned long long)run->state.step,
           (unsigned long long)run->schedule.total);
    return true;
}

static void announce(const setup *made, const training *run)
{
    const hmt_model_config *config = &made->config;
    size_t count = made->tables[TRAIN].count, batch = run->batch;
    printf("%zu photos, %d classes of gender, %d of race, %zu scores; width %g; backend %s, %d "
           "threads\n",
           count, (int)config->gender_classes, (int)config->race_classes,
           made->tables[TRAIN].scored, config->width, hmt_context_backend(made->context),
           (int)hmt_context_threads(made->context));
    printf("%llu steps of %zu photos; %zu photos of each epoch fill no batch and are left out\n",
           (unsigned long long)run->schedule.total, batch, count % batch);
    fflush(stdout);
}

static int train(setup *made)
{
    training run = {.model = made->model,
                    .photos = &made->photos[TRAIN],
                    .unseen = settings.validate ? &made->photos[VALIDATE] : NULL,
                    .output = settings.output,
                    .storage = (hmt_dtype)settings.storage,
                    .batch = (size_t)settings.batch,
                    .seed = (uint64_t)settings.seed,
                    .epochs = (uint64_t)settings.epochs,
                    .save_every = (uint64_t)settings.save_every,
                    .validate_every = (uint64_t)settings.validate_every,
                    .decoders = decoders(),
                    .flip = !settings.no_flip,
                    .quiet = settings.quiet,
                    .alpha = made->recipe.alpha,
                    .checkpoint = settings.checkpoint,
                    .checkpoint_every = (uint64_t)settings.checkpoint_steps,
                    .plan = made->plan,
                    .best = settings.best,
                    .best_by = (best_by)settings.best_by,
                    .patience = (uint64_t)settings.patience,
                    .state = {.best = NAN}};
    if (made->tables[TRAIN].count < run.batch) {
        cli_error("%s: %zu photos do not fill a batch of %zu", settings.data,
                  made->tables[TRAIN].count, run.batch);
        return CLI_USAGE;
    }
    plan_steps(made, &run);
    if (hmt_trainer_create(made->model, &made->recipe, &made->trainer) != HMT_OK) {
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
    if (settings.history && !history_open(&run.history, settings.history, noted))
        return CLI_OUTPUT;
    int status = training_run(&run);
    history_close(&run.history);
    return status;
}

static int set_up_and_train(setup *made, int operands)
{
    if (!check_options(made, operands))
        return CLI_USAGE;
    if (!check_outputs())
        return CLI_OUTPUT;
    if (!open_context(made) || !make_model(made) ||
        (settings.validate && !read_table(made, VALIDATE, settings.validate)))
        return CLI_USAGE;
    int status = read_photos(made, TRAIN);
    if (status == CLI_OK && settings.validate)
        status = read_photos(made, VALIDATE);
    return status == CLI_OK ? train(made) : status;
}

int main(int argc, char **argv)
{
    int status;
    setup made = {.recipe = HMT_TRAINER_OPTIONS_INIT};
    int first = cli_parse(&program, argc, argv, &status);
    if (first < 0)
        return status;
    cli_catch_signals();
    status = set_up_and_train(&made, argc - first);
    hmt_trainer_free(made.trainer);
    free(made.freeze);
    free(made.rates);
    for (int which = TRAIN; which <= VALIDATE; which++) {
        faces_free(&made.photos[which]);
        manifest_free(&made.tables[which]);
    }
    hmt_model_free(made.model);
    hmt_context_free(made.context);
    return status;
}
