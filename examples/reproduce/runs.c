/* Runs (see runs.h). */
#include "runs.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "evaluation.h"
#include "files.h"
#include "labels.h"
#include "output.h"
#include "photo.h"
#include "precision_sheet.h"
#include "training.h"

enum { TEXT = 512, SPLIT_SEED = 1 };

/* A training, in the order in which its parts are made. */
typedef struct setup {
    const run_settings *s;
    const training_plan *plan;
    run_place place;
    hmt_context *context;
    hmt_dataset *set;
    size_t *indices, count;
    hmt_model *model;
    hmt_model_config config;
    hmt_loader *loader;
    hmt_trainer *trainer;
    char *model_path, *checkpoint, *history;
    char text[TEXT]; /* says what this run is */
} setup;

char *run_path(const run_settings *s, const training_plan *plan, run_place place,
               const char *ending)
{
    char name[160], *at;
    snprintf(name, sizeof name, "%s-%s-seed%" PRIu64 "%s", plan->key, place.split, place.seed,
             ending);
    for (at = name; *at; at++)
        if (*at == '/' || *at == ':')
            *at = '-';
    return files_join(s->output, name);
}

static void describe(const run_settings *s, const training_plan *plan, run_place place,
                     char text[TEXT])
{
    snprintf(text, TEXT,
             "%s of %s, seed %" PRIu64 ", alpha %g %g %g, loss %d, aggregator %d, width %.9g, "
             "%" PRId64 " epochs of batches of %" PRId64 ", rate %.9g, %s recipe",
             place.split, s->data, place.seed, plan->alpha[0], plan->alpha[1], plan->alpha[2],
             (int)plan->loss, (int)plan->aggregator, s->width, s->epochs, s->batch, s->rate,
             s->paper ? "paper" : "short");
}

/* Samples of one side of the split. */
static bool take_side(const hmt_dataset *set, const char *split, int test, size_t **indices,
                      size_t *count)
{
    *indices = cli_allocate(hmt_dataset_count(set), sizeof **indices);
    return labels_split(set, split, SPLIT_SEED, test != 0, *indices, count);
}

static bool open_set(setup *made)
{
    const run_settings *s = made->s;
    if (!device_open(&s->device, NULL, &made->context))
        return false;
    if (hmt_dataset_read(made->context, s->kind, s->data, NULL, &made->set) != HMT_OK) {
        cli_error("%s", hmt_last_error());
        return false;
    }
    return take_side(made->set, made->place.split, 0, &made->indices, &made->count);
}

/* A new model, or that of the checkpoint. */
static bool make_model(setup *made, bool resumed)
{
    hmt_model_config *c = &made->config;
    hmt_status status;
    hmt_model_config_init(c);
    c->width = made->s->width;
    c->aggregator = made->plan->aggregator;
    status = hmt_dataset_describe(made->set, made->indices, made->count, c);
    if (status == HMT_OK)
        status = resumed ? hmt_model_load(made->context, made->checkpoint, NULL, &made->model)
                         : hmt_model_create(made->context, c, made->place.seed, &made->model);
    if (status != HMT_OK)
        cli_library_error("cannot make the network");
    return status == HMT_OK;
}

static bool make_loader(setup *made)
{
    const run_settings *s = made->s;
    hmt_loader_options about = HMT_LOADER_OPTIONS_INIT;
    hmt_augment_options augment = HMT_AUGMENT_OPTIONS_INIT;
    if (!s->paper)
        augment.rotation = augment.brightness = augment.contrast = augment.saturation =
            augment.hue = 0;
    about.batch = (size_t)s->batch;
    about.augment = &augment;
    about.indices = made->indices;
    about.index_count = made->count;
    about.shuffle = about.drop_last = 1;
    about.seed = made->place.seed;
    about.workers = (int32_t)s->decoders;
    about.decode = &photo_decoding;
    about.keep_bytes = (uint64_t)s->cache << 20;
    if (hmt_loader_create(made->context, made->set, &about, &made->loader) == HMT_OK)
        return true;
    cli_error("%s: %s", s->data, hmt_last_error());
    return false;
}

static bool make_trainer(setup *made)
{
    hmt_trainer_options o = HMT_TRAINER_OPTIONS_INIT;
    o.batch = (int32_t)made->s->batch;
    memcpy(o.alpha, made->plan->alpha, sizeof o.alpha);
    o.loss = made->plan->loss;
    o.profile = 1;
    o.seed = made->place.seed;
    if (hmt_trainer_create(made->model, &o, &made->trainer) == HMT_OK)
        return true;
    cli_library_error("cannot prepare the training");
    return false;
}

static void set_schedule(const setup *made, hmt_schedule *schedule)
{
    const hmt_schedule defaults = HMT_SCHEDULE_INIT;
    const uint64_t epoch = hmt_loader_batches(made->loader);
    *schedule = defaults;
    schedule->kind = made->s->paper ? HMT_SCHEDULE_STEP : HMT_SCHEDULE_ONE_CYCLE;
    schedule->base = made->s->rate;
    schedule->factor = made->s->paper ? 0.1 : 0.001;
    schedule->period = 50 * epoch;
    schedule->total = (uint64_t)made->s->epochs * epoch;
}

/* Sets the trainer and the run to where the checkpoint was saved. */
static bool resume(setup *made, training *run)
{
    char note[RUN_STATE_TEXT];
    if (hmt_checkpoint_note(made->context, made->checkpoint, note, sizeof note, NULL) != HMT_OK) {
        cli_library_error("cannot go on");
        return false;
    }
    if (!run_state_read(&run->state, made->text, note, made->checkpoint))
        return false;
    if (hmt_trainer_resume(made->trainer, made->checkpoint) == HMT_OK)
        return true;
    cli_library_error("cannot go on");
    return false;
}

static int train(setup *made, bool resumed)
{
    training run = {.model = made->model,
                    .trainer = made->trainer,
                    .photos = made->loader,
                    .output = made->model_path,
                    .storage = HMT_DTYPE_F32,
                    .batch = (size_t)made->s->batch,
                    .devices = 1,
                    .alpha = made->plan->alpha,
                    .epochs = (uint64_t)made->s->epochs,
                    .save_every = 1,
                    .validate_every = 1,
                    .quiet = made->s->quiet,
                    .checkpoint = made->checkpoint,
                    .plan = made->text,
                    .state = {.best = NAN}};
    set_schedule(made, &run.schedule);
    if (resumed && !resume(made, &run))
        return CLI_USAGE;
    printf("%s from step %" PRIu64 " of %" PRIu64 ": %s\n", made->plan->key, run.state.step,
           run.schedule.total, made->text);
    uint64_t noted = run.state.step - (run.state.epoch.steps > 0);
    if (!history_open(&run.history, made->history, noted))
        return CLI_OUTPUT;
    int status = training_run(&run);
    history_close(&run.history);
    return status;
}

static int set_up_and_train(const run_settings *s, const training_plan *plan, run_place place)
{
    setup made = {.s = s, .plan = plan, .place = place};
    made.config.struct_size = sizeof made.config;
    made.model_path = run_path(s, plan, place, ".safetensors");
    made.checkpoint = run_path(s, plan, place, ".checkpoint");
    made.history = run_path(s, plan, place, ".jsonl");
    describe(s, plan, place, made.text);
    const bool resumed = access(made.checkpoint, F_OK) == 0;
    int status = CLI_USAGE;
    if (open_set(&made) && make_model(&made, resumed) && make_loader(&made) && make_trainer(&made))
        status = train(&made, resumed);
    hmt_trainer_free(made.trainer);
    hmt_loader_free(made.loader);
    hmt_model_free(made.model);
    hmt_dataset_free(made.set);
    hmt_context_free(made.context);
    free(made.indices);
    free(made.model_path);
    free(made.checkpoint);
    free(made.history);
    return status;
}

/* What is done with the predictions of a finished run. */
typedef int (*use_evaluation)(const evaluation *e, void *user);

static int evaluate(const run_settings *s, const training_plan *plan, run_place place,
                    bool five_crops, use_evaluation use, void *user)
{
    evaluation e = {.quiet = s->quiet};
    hmt_dataset_options about = HMT_DATASET_OPTIONS_INIT;
    hmt_session_options session = HMT_SESSION_OPTIONS_INIT;
    hmt_dataset *set = NULL;
    size_t *samples = NULL;
    char *model = run_path(s, plan, place, ".safetensors");
    int status = CLI_USAGE;
    about.classes = &e.net.config;
    if (!network_load(&e.net, model, &s->device))
        goto done;
    if (hmt_dataset_read(e.net.context, s->kind, s->data, &about, &set) != HMT_OK) {
        cli_error("%s", hmt_last_error());
        goto done;
    }
    e.set = set;
    if (!take_side(set, place.split, 1, &samples, &e.count))
        goto done;
    e.samples = samples;
    e.net.preprocess.crop = five_crops ? HMT_CROP_FIVE : HMT_CROP_CENTER;
    session.batch = EVALUATION_BATCH * evaluation_views(&e);
    session.tasks = network_tasks(&e.net.config);
    if (network_prepare(&e.net, &session))
        status = evaluation_run(&e);
    if (status == CLI_OK && e.bad > 0) {
        cli_error("%zu photos cannot be read; hmtnet-dataset names them", e.bad);
        status = CLI_SOME_FAILED;
    }
    if (status == CLI_OK)
        status = use(&e, user);
done:
    evaluation_free(&e);
    network_close(&e.net);
    hmt_dataset_free(set);
    free(samples);
    free(model);
    return status;
}

static int measure(const evaluation *e, void *user)
{
    hmt_metrics *m = user;
    hmt_outcome *outcomes = cli_allocate(e->count, sizeof *outcomes);
    for (size_t i = 0; i < e->count; i++)
        outcomes[i] = evaluation_outcome(e, i);
    m->struct_size = sizeof *m;
    hmt_status status = hmt_metrics_measure(NULL, outcomes, e->count, NULL, m);
    free(outcomes);
    if (status != HMT_OK)
        cli_library_error("cannot measure");
    return status == HMT_OK ? CLI_OK : CLI_SOME_FAILED;
}

static int write_sheet(const evaluation *e, void *user)
{
    return precision_sheet(user, e) ? CLI_OK : CLI_OUTPUT;
}

int run_sheet(const run_settings *s, const training_plan *plan, run_place place, const char *path)
{
    return evaluate(s, plan, place, false, write_sheet, (void *)path);
}

/* ---- results ---- */

static const char form[] = "hmtnet-reproduce 1\n%s\n%" PRIu64 " photos\nmae %.17g\nrmse %.17g\n"
                           "pearson %.17g\ngender %.17g\nrace %.17g\n";

static int write_result(const char *path, const char *text, const hmt_metrics *m)
{
    output out;
    bool good = output_open(&out, path);
    if (good) {
        fprintf(out.stream, form, text, m->count, m->mae.value, m->rmse.value, m->pearson.value,
                m->accuracy[0].value, m->accuracy[1].value);
        good = output_commit(&out);
    }
    output_discard(&out);
    return good ? CLI_OK : CLI_OUTPUT;
}

/* 1: read, 0: there is none, -1: it is damaged or of other settings, and a message was printed. */
static int read_result(const char *path, const char *text, hmt_metrics *m)
{
    char head[64] = "", line[TEXT + 1] = "";
    FILE *from = fopen(path, "r");
    if (!from)
        return 0;
    memset(m, 0, sizeof *m);
    m->struct_size = sizeof *m;
    m->bias.value = m->spearman.value = NAN;
    bool good = fgets(head, sizeof head, from) && fgets(line, sizeof line, from);
    line[strcspn(line, "\n")] = '\0';
    const bool same = good && strcmp(line, text) == 0;
    good = good && strcmp(head, "hmtnet-reproduce 1\n") == 0 &&
           fscanf(from, "%" SCNu64 " photos mae %lf rmse %lf pearson %lf gender %lf race %lf",
                  &m->count, &m->mae.value, &m->rmse.value, &m->pearson.value,
                  &m->accuracy[0].value, &m->accuracy[1].value) == 6;
    fclose(from);
    if (good && same)
        return 1;
    if (good)
        cli_error("%s: is of other settings: %s; give another --output", path, line);
    else
        cli_error("%s: is damaged; remove it", path);
    return -1;
}

int run_measure(const run_settings *s, const training_plan *plan, run_place place, bool five_crops,
                hmt_metrics *m)
{
    char text[TEXT], *path = run_path(s, plan, place, five_crops ? ".five.result" : ".result");
    char *checkpoint = run_path(s, plan, place, ".checkpoint");
    describe(s, plan, place, text);
    int status = CLI_OK, found = read_result(path, text, m);
    if (found < 0)
        status = CLI_USAGE;
    if (found == 0 && five_crops) /* of the same network, whose own result comes first */
        status = run_measure(s, plan, place, false, m);
    else if (found == 0)
        status = set_up_and_train(s, plan, place);
    if (found == 0 && status == CLI_OK)
        status = evaluate(s, plan, place, five_crops, measure, m);
    if (found == 0 && status == CLI_OK)
        status = write_result(path, text, m);
    if (status == CLI_OK) /* it is as large as the model, and nothing goes on from it */
        unlink(checkpoint);
    free(checkpoint);
    free(path);
    return status;
}
