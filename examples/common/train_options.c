/* hmtnet-train's command line (see train_options.h). */
#include "train_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "photo.h"

enum { PRESET_SHORT, PRESET_PAPER };
enum { AUGMENT_NONE, AUGMENT_LIGHT, AUGMENT_PAPER };

train_options train_settings = {.batch = 32,
                                .seed = 1,
                                .save_every = 1,
                                .validate_every = 1,
                                .cache = 2048,
                                .step_epochs = 50,
                                .augment = -1,
                                .schedule = HMT_SCHEDULE_STEP,
                                .wiring = -1,
                                .aggregator = -1,
                                .rate = 1e-3,
                                .factor = -1,
                                .warmup = 0.3,
                                .momentum = 0.9,
                                .decay = 0.05,
                                .delta = 0.6,
                                .accumulate = 1,
                                .average_every = 8,
                                .rotation = -1,
                                .brightness = -1,
                                .contrast = -1,
                                .saturation = -1,
                                .hue = -1};

static const cli_option options[] = {
    {"data", 'd', CLI_TEXT, &train_settings.data, "PATH",
     "the training photos: a table, or with --kind a data\nset's folder", 0, 0},
    {"kind", 0, CLI_CHOICE, &train_settings.kind, "csv|scut-fbp5500|scut-fbp|mebeauty",
     "what --data and --validate are (default csv)", 0, 0},
    {"split", 0, CLI_TEXT, &train_settings.split, "NAME",
     "train on one side of this split of --data and\nvalidate on the other, e.g. 60-40, fold1, "
     "random:1/5",
     0, 0},
    {"preset", 0, CLI_CHOICE, &train_settings.preset, "short|paper",
     "paper: its 170 epochs and its augmentation\n(default short: 20 epochs, light augmentation)",
     0, 0},
    {"validate", 'v', CLI_TEXT, &train_settings.validate, "PATH",
     "photos to measure the network on", 0, 0},
    {"output", 'o', CLI_TEXT, &train_settings.output, "FILE", "the model to write, .safetensors", 0,
     0},
    {"from", 0, CLI_TEXT, &train_settings.from, "FILE",
     "start from this model: its network, classes and size\nare kept", 0, 0},
    {"pretrained", 0, CLI_TEXT, &train_settings.pretrained, "FILE",
     "start from a new network with those parameters of\nFILE that fit it, e.g. a trunk", 0, 0},
    {"epochs", 'e', CLI_INTEGER, &train_settings.epochs, "N", "times through the photos", 1, 1e6},
    {"steps", 0, CLI_INTEGER, &train_settings.steps, "N",
     "stop after N steps, also inside an epoch", 1, 1e12},
    {"batch", 'b', CLI_INTEGER, &train_settings.batch, "N", "photos of a step (default 32)", 2,
     4096},
    {"learning-rate", 'r', CLI_NUMBER, &train_settings.rate, "X",
     "base or, with one-cycle, highest rate (default 1e-3)", 0, 100},
    {"schedule", 0, CLI_CHOICE, &train_settings.schedule, "constant|step|cosine|one-cycle",
     "how the rate moves (default step)", 0, 0},
    {"factor", 0, CLI_NUMBER, &train_settings.factor, "X",
     "step: times this after each period (default 0.1);\ncosine, one-cycle: down to the rate times "
     "this\n(default 0.001)",
     0, 1},
    {"period", 0, CLI_INTEGER, &train_settings.step_epochs, "N",
     "epochs of a step's period (default 50)", 1, 1e6},
    {"warmup", 0, CLI_NUMBER, &train_settings.warmup, "X",
     "one-cycle: share of the run that the rate rises\n(default 0.3)", 0, 0.99},
    {"warmup-epochs", 0, CLI_NUMBER, &train_settings.warmup_epochs, "X",
     "other schedules: epochs in which the rate climbs\nfrom 0 first (default 0)", 0, 1e6},
    {"momentum", 0, CLI_NUMBER, &train_settings.momentum, "X", "of the descent (default 0.9)", 0,
     0.9999},
    {"weight-decay", 0, CLI_NUMBER, &train_settings.decay, "X", "on every parameter (default 0.05)",
     0, 10},
    {"nesterov", 0, CLI_FLAG, &train_settings.nesterov, NULL, "Nesterov's momentum", 0, 0},
    {"decay-weights-only", 0, CLI_FLAG, &train_settings.decay_weights_only, NULL,
     "no decay on biases and batch norms", 0, 0},
    {"accumulate", 0, CLI_INTEGER, &train_settings.accumulate, "N",
     "batches whose gradients make one update (default 1)", 1, 65536},
    {"label-smoothing", 0, CLI_NUMBER, &train_settings.smoothing, "X",
     "share of a class label spread over all classes\n(default 0)", 0, 0.99},
    {"average", 0, CLI_NUMBER, &train_settings.average, "DECAY",
     "the model is a moving average of the run's, e.g. 0.99;\nit is what is validated and saved", 0,
     0.999999},
    {"average-every", 0, CLI_INTEGER, &train_settings.average_every, "N",
     "updates between two moves of it (default 8)", 1, 1e6},
    {"freeze", 0, CLI_TEXT, &train_settings.freeze, "PREFIX,...",
     "keep the parameters whose names begin so as they are;\nconv,bn,fc trains the branches only",
     0, 0},
    {"rates", 0, CLI_TEXT, &train_settings.rates, "PREFIX=X,...",
     "learn such parameters at X times the rate", 0, 0},
    {"loss", 0, CLI_CHOICE, &train_settings.loss, "smooth-huber|mse|l1|smooth-l1",
     "of the scores (default smooth-huber)", 0, 0},
    {"delta", 0, CLI_NUMBER, &train_settings.delta, "X", "smooth-huber's (default 0.6)", 1e-6, 1e6},
    {"alpha", 0, CLI_TEXT, &train_settings.alpha, "G,R,A",
     "weights of the losses of gender, race and\nattractiveness (default 1,1,2)", 0, 0},
    {"width", 'w', CLI_NUMBER, &train_settings.width, "X",
     "times the paper's channel counts (default 1)", 0.001, 4},
    {"wiring", 0, CLI_CHOICE, &train_settings.wiring, "released|paper",
     "where the race branch begins (default released)", 0, 0},
    {"aggregator", 0, CLI_CHOICE, &train_settings.aggregator, "average|concatenate",
     "how inner maps are joined (default average)", 0, 0},
    {"resize", 0, CLI_INTEGER, &train_settings.resize, "N",
     "shorter side before the 224 crop (default 256)", 224, 4096},
    {"augment", 0, CLI_CHOICE, &train_settings.augment, "none|light|paper",
     "light: random crops, mirrored; paper: also turned by 30\ndegrees, colours changed", 0, 0},
    {"rotation", 0, CLI_NUMBER, &train_settings.rotation, "DEGREES", "at most, to either side", 0,
     180},
    {"brightness", 0, CLI_NUMBER, &train_settings.brightness, "X", "changed by at most this factor",
     0, 1},
    {"contrast", 0, CLI_NUMBER, &train_settings.contrast, "X", "likewise", 0, 1},
    {"saturation", 0, CLI_NUMBER, &train_settings.saturation, "X", "likewise", 0, 1},
    {"hue", 0, CLI_NUMBER, &train_settings.hue, "X", "turned by at most this part of a circle", 0,
     0.5},
    {"sheet", 0, CLI_TEXT, &train_settings.sheet, "FILE",
     "write a picture of augmented photos first, .png", 0, 0},
    {"no-flip", 0, CLI_FLAG, &train_settings.no_flip, NULL, "do not mirror every second photo", 0,
     0},
    {"seed", 's', CLI_INTEGER, &train_settings.seed, "N",
     "of the first parameters, the order and the crops\n(default 1)", 0, 9e15},
    {"storage", 0, CLI_CHOICE, &train_settings.storage, "f32|f16|bf16|i8",
     "how weights are stored in the file (default f32)", 0, 0},
    {"save-every", 0, CLI_INTEGER, &train_settings.save_every, "N",
     "epochs between two saves (default 1; the end is\nalways saved)", 1, 1e6},
    {"validate-every", 0, CLI_INTEGER, &train_settings.validate_every, "N",
     "epochs between two validations (default 1; the last\nepoch is always validated)", 1, 1e6},
    {"checkpoint", 0, CLI_TEXT, &train_settings.checkpoint, "FILE",
     "save with the model all that going on needs", 0, 0},
    {"checkpoint-steps", 0, CLI_INTEGER, &train_settings.checkpoint_steps, "N",
     "also every N steps", 1, 1e12},
    {"resume", 0, CLI_FLAG, &train_settings.resume, NULL,
     "go on from --checkpoint's file if it is there", 0, 0},
    {"best", 0, CLI_TEXT, &train_settings.best, "FILE", "the model with the best validation", 0, 0},
    {"best-by", 0, CLI_CHOICE, &train_settings.best_by, "loss|pearson|mae",
     "what the best validation is (default loss)", 0, 0},
    {"patience", 0, CLI_INTEGER, &train_settings.patience, "N",
     "stop after N validations without a better one", 1, 1e6},
    {"history", 0, CLI_TEXT, &train_settings.history, "FILE",
     "epochs and validations as JSON Lines", 0, 0},
    {"skip-bad", 0, CLI_FLAG, &train_settings.skip_bad, NULL,
     "leave out photos that cannot be read instead of\nstopping", 0, 0},
    {"cache", 0, CLI_INTEGER, &train_settings.cache, "MIB",
     "memory for decoded photos (default 2048)", 0, 1e7},
    DEVICE_OPTIONS(train_settings.device),
    {"devices", 0, CLI_INTEGER, &train_settings.devices, "N",
     "train on N devices, from --device on; each takes an\nequal part of a batch (default 1)", 1,
     64},
    {"decoders", 0, CLI_INTEGER, &train_settings.decoders, "N",
     "threads that prepare photos (default: one for every\nfour processors)", 0, 256},
    PHOTO_OPTIONS,
    {"quiet", 'q', CLI_FLAG, &train_settings.quiet, NULL, "show no progress, only the epochs", 0,
     0},
    {0}};

const cli_program train_program = {
    "hmtnet-train", "--data PATH --output FILE [OPTION]...",
    "Trains a network to recognise gender, race and attractiveness in face photos.\n"
    "A table is a CSV file whose first row names the columns path, gender, race and score,\n"
    "in any order. Paths are relative to the table's folder. Other cells may be empty where a\n"
    "label is not known. Gender and race are class names; the classes are those that occur.",
    options,
    "The defaults are the paper's recipe, but for the number of epochs and the augmentation; with\n"
    "--preset paper these, too. The rest of an epoch that fills no batch is left out.\n"
    "The same seed, photos, threads and machine give the same model.\n\n"
    "Exit status: 0 trained and saved, 1 training stopped (a photo, or a loss that is not\n"
    "finite; the last saved model stays), 2 wrong usage, table or model, 3 the model or\n"
    "the output could not be written, 130 interrupted: the step was finished and the model\n"
    "saved.\n\n"
    "A run with --checkpoint that was stopped or killed at any moment goes on with the same\n"
    "command and --resume, and ends with the same bytes as if it had never stopped.\n\n"
    "Example: hmtnet-train --data train.csv --validate val.csv --output faces.safetensors \\\n"
    "             --width 0.5 --epochs 16 --schedule one-cycle --learning-rate 0.02"};

static bool wrong(const char *message)
{
    cli_error("%s; see --help", message);
    return false;
}

/* Adds the rules of a list: names' beginnings, with rates where `rated`. */
static bool add_rules(train_recipe *made, char *list, bool rated)
{
    hmt_trainer_options *recipe = &made->options;
    for (char *part; (part = strsep(&list, ",")) != NULL;) {
        char *value = strchr(part, '='), *end = value;
        double rate = rated && value ? strtod(value + 1, &end) : 0;
        if (recipe->rule_count == TRAIN_MOST_RULES)
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

static bool read_rules(train_recipe *made)
{
    made->options.rules = made->rules;
    made->freeze = train_settings.freeze ? cli_copy(train_settings.freeze) : NULL;
    made->rates = train_settings.rates ? cli_copy(train_settings.rates) : NULL;
    return (!made->freeze || add_rules(made, made->freeze, false)) &&
           (!made->rates || add_rules(made, made->rates, true));
}

static bool read_alpha(hmt_trainer_options *recipe)
{
    char end;
    double *alpha = recipe->alpha;
    if (!train_settings.alpha)
        return true;
    int read = sscanf(train_settings.alpha, "%lf,%lf,%lf%c", &alpha[0], &alpha[1], &alpha[2], &end);
    if (read != 3 || !(alpha[0] >= 0 && alpha[1] >= 0 && alpha[2] >= 0))
        return wrong("--alpha takes three weights such as 1,1,2");
    return true;
}

/* Options that need, or exclude, another one. */
static bool check_combinations(const train_options *o)
{
    if (!o->data || !o->output)
        return wrong(o->data ? "no --output" : "no --data");
    if (o->from && o->pretrained)
        return wrong("--from takes a whole model, --pretrained what fits of one");
    if (o->from && (o->width > 0 || o->wiring >= 0 || o->aggregator >= 0 || o->resize))
        return wrong("--width, --wiring, --aggregator and --resize come from the model of --from");
    if (!o->checkpoint && (o->resume || o->checkpoint_steps))
        return wrong("--resume and --checkpoint-steps need --checkpoint");
    if (o->split && o->validate)
        return wrong("--validate and --split exclude each other");
    if (!o->validate && !o->split && (o->best || o->patience))
        return wrong("--best and --patience need --validate or --split");
    return true;
}

static void apply_preset(train_options *o)
{
    bool paper = o->preset == PRESET_PAPER;
    if (o->epochs == 0)
        o->epochs = paper ? 170 : 20;
    if (o->augment < 0)
        o->augment = paper ? AUGMENT_PAPER : AUGMENT_LIGHT;
}

bool train_options_check(train_recipe *made, int operands)
{
    const hmt_trainer_options defaults = HMT_TRAINER_OPTIONS_INIT;
    train_options *o = &train_settings;
    hmt_trainer_options *recipe = &made->options;
    *recipe = defaults;
    if (operands)
        return wrong("all inputs are given by options");
    if (!check_combinations(o))
        return false;
    apply_preset(o);
    recipe->batch = (int32_t)o->batch;
    recipe->device_count = (int32_t)o->devices;
    recipe->learning_rate = o->rate;
    recipe->momentum = o->momentum;
    recipe->weight_decay = o->decay;
    recipe->loss = (hmt_loss)o->loss;
    recipe->delta = o->delta;
    recipe->seed = (uint64_t)o->seed;
    recipe->nesterov = o->nesterov;
    recipe->decay_weights_only = o->decay_weights_only;
    recipe->accumulate = (int32_t)o->accumulate;
    recipe->label_smoothing = o->smoothing;
    recipe->average = o->average;
    recipe->average_every = (int32_t)o->average_every;
    return read_alpha(recipe) && read_rules(made);
}

void train_recipe_free(train_recipe *made)
{
    free(made->freeze);
    free(made->rates);
}

void train_options_schedule(hmt_schedule *schedule, uint64_t epoch_steps)
{
    const hmt_schedule defaults = HMT_SCHEDULE_INIT;
    const train_options *o = &train_settings;
    *schedule = defaults;
    schedule->kind = (hmt_schedule_kind)o->schedule;
    schedule->base = o->rate;
    schedule->factor = schedule->kind == HMT_SCHEDULE_STEP ? 0.1 : 0.001;
    if (o->factor >= 0)
        schedule->factor = o->factor;
    schedule->period = (uint64_t)o->step_epochs * epoch_steps;
    schedule->warmup = o->warmup;
    schedule->warmup_steps = (uint64_t)(o->warmup_epochs * (double)epoch_steps);
    schedule->total = (uint64_t)o->epochs * epoch_steps;
    if (o->steps && (uint64_t)o->steps < schedule->total)
        schedule->total = (uint64_t)o->steps;
}

static void set_if_given(double *field, double given)
{
    if (given >= 0)
        *field = given;
}

void train_options_augment(hmt_augment_options *augment, const hmt_model_config *config)
{
    const hmt_augment_options paper = HMT_AUGMENT_OPTIONS_INIT;
    const train_options *o = &train_settings;
    *augment = paper;
    augment->resize = config->resize;
    memcpy(augment->mean, config->mean, sizeof augment->mean);
    memcpy(augment->deviation, config->deviation, sizeof augment->deviation);
    if (o->augment != AUGMENT_PAPER)
        augment->rotation = augment->brightness = augment->contrast = augment->saturation =
            augment->hue = 0;
    if (o->augment == AUGMENT_NONE)
        augment->random_crop = 0;
    if (o->augment == AUGMENT_NONE || o->no_flip)
        augment->flip = 0;
    set_if_given(&augment->rotation, o->rotation);
    set_if_given(&augment->brightness, o->brightness);
    set_if_given(&augment->contrast, o->contrast);
    set_if_given(&augment->saturation, o->saturation);
    set_if_given(&augment->hue, o->hue);
}
