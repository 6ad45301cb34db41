/*
 * A training run (see training.h).
 *
 * What step n of epoch e sees depends on the seed, e and n alone, whatever the number of threads.
 */
#include "training.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "batches.h"
#include "cli.h"
#include "metrics.h"

enum { DEPTH = 3 };

/* batches_load: an augmented tensor (3,224,224) for place `index` of the epoch. */
static bool load_training(void *user, size_t index, float *tensor, char *message)
{
    training *run = user;
    size_t row = run->order[index];
    uint64_t seed = faces_mix(run->epoch_seed, row);
    if (faces_tensor(run->photos, row, true, run->flip, seed, tensor) == HMT_OK)
        return true;
    snprintf(message, BATCHES_MESSAGE, "%s", hmt_last_error());
    return false;
}

/* batches_load: the centre crop (3,224,224) of validation photo `index`. */
static bool load_validation(void *user, size_t index, float *tensor, char *message)
{
    training *run = user;
    if (faces_tensor(run->unseen, index, false, false, 0, tensor) == HMT_OK)
        return true;
    snprintf(message, BATCHES_MESSAGE, "%s", hmt_last_error());
    return false;
}

/* Fills the batch's labels from the rows of a view; `order` NULL: in the table's order. false: a
 * photo of it could not be read. */
static bool fill(training *run, const manifest *table, const batches_view *view,
                 const size_t *order, hmt_batch *batch)
{
    for (size_t i = 0; i < view->count; i++) {
        const manifest_row *row = &table->rows[order ? order[view->first + i] : view->first + i];
        if (!view->items[i].good) {
            progress_clear(&run->bar);
            cli_error("%s:%zu: %s", table->name, row->line, view->items[i].message);
            return false;
        }
        run->labels[0][i] = row->label[0];
        run->labels[1][i] = row->label[1];
        run->scores[i] = row->score;
    }
    *batch = (hmt_batch){sizeof *batch,  view->count,    view->tensors,
                         run->labels[0], run->labels[1], run->scores};
    return true;
}

static int save(training *run)
{
    if (hmt_model_save(run->model, run->output, run->storage) != HMT_OK) {
        progress_clear(&run->bar);
        cli_library_error("cannot save the model");
        return CLI_OUTPUT;
    }
    run->saved = true;
    return CLI_OK;
}

/* Operations of one step, from the trainer's profile. */
static double count_flops(const training *run)
{
    size_t count = 0;
    double sum = 0;
    hmt_trainer_profile(run->trainer, NULL, 0, &count);
    hmt_step_profile *steps = cli_allocate(count, sizeof *steps);
    if (hmt_trainer_profile(run->trainer, steps, count, &count) == HMT_OK)
        for (size_t i = 0; i < count; i++)
            sum += steps[i].flops;
    free(steps);
    return sum;
}

/* Sums of an epoch. */
typedef struct epoch {
    uint64_t number, steps; /* from 1; steps done in it */
    double loss, task[HMT_TASK_COUNT];
    double labelled[HMT_TASK_COUNT];
    double rate;    /* of its last step */
    double seconds; /* in steps and waiting for photos */
} epoch;

static void report_epoch(const training *run, const epoch *sums)
{
    double mean[HMT_TASK_COUNT], count = (double)sums->steps;
    for (int i = 0; i < HMT_TASK_COUNT; i++)
        mean[i] = sums->labelled[i] > 0 ? sums->task[i] / sums->labelled[i] : 0;
    printf("epoch %llu/%llu  loss %.4f (gender %.4f, race %.4f, attractiveness %.4f)  rate %.3g  "
           "%.1f photos/s  %.1f GFLOP/s  %.1f s\n",
           (unsigned long long)sums->number, (unsigned long long)run->epochs, sums->loss / count,
           mean[0], mean[1], mean[2], sums->rate, count * (double)run->batch / sums->seconds,
           1e-9 * count * run->step_flops / sums->seconds, sums->seconds);
    fflush(stdout);
}

/* One step with a filled batch. Returns an exit status. */
static int step(training *run, const hmt_batch *batch, epoch *sums)
{
    hmt_losses losses = HMT_LOSSES_INIT;
    hmt_status status = hmt_schedule_rate(&run->schedule, run->step, &sums->rate);
    if (status == HMT_OK)
        status = hmt_trainer_set_learning_rate(run->trainer, sums->rate);
    if (status == HMT_OK)
        status = hmt_train_step(run->trainer, batch, &losses);
    if (status != HMT_OK) {
        progress_clear(&run->bar);
        cli_library_error("training stopped");
        cli_error(run->saved ? "%s holds the last saved model" : "%s was not written", run->output);
        return CLI_SOME_FAILED;
    }
    if (run->step++ == 0)
        run->step_flops = count_flops(run);
    sums->steps++;
    sums->loss += losses.total;
    for (int i = 0; i < HMT_TASK_COUNT; i++) {
        sums->task[i] += losses.task[i] * (double)losses.labelled[i];
        sums->labelled[i] += (double)losses.labelled[i];
    }
    return CLI_OK;
}

/* One time through the training photos, or up to the last step. */
static int train_epoch(training *run, uint64_t number)
{
    epoch sums = {.number = number};
    int status = CLI_OK;
    char note[120];
    batches_view view;
    hmt_batch batch;
    size_t steps = run->photos->table->count / run->batch;
    if (run->schedule.total - run->step < steps)
        steps = (size_t)(run->schedule.total - run->step);
    run->epoch_seed = faces_mix(run->seed, number);
    faces_shuffle(run->order, run->photos->table->count, run->epoch_seed);
    batches *line = batches_start(&(batches_options){steps * run->batch, run->batch, FACES_FLOATS,
                                                     run->decoders, DEPTH, load_training, run});
    double begin = cli_seconds();
    status = line ? CLI_OK : CLI_SOME_FAILED;
    while (status == CLI_OK && !cli_interrupted() && batches_next(line, &view)) {
        status = fill(run, run->photos->table, &view, run->order, &batch) ? step(run, &batch, &sums)
                                                                          : CLI_SOME_FAILED;
        sums.seconds = cli_seconds() - begin;
        snprintf(note, sizeof note, "epoch %llu, loss %.4f, %.1f GFLOP/s",
                 (unsigned long long)number, sums.loss / (double)sums.steps,
                 1e-9 * (double)sums.steps * run->step_flops / sums.seconds);
        progress_update(&run->bar, run->step * run->batch, note);
    }
    batches_stop(line);
    progress_clear(&run->bar);
    if (status == CLI_OK && sums.steps)
        report_epoch(run, &sums);
    return status;
}

static void print_figure(const char *name, double value, const char *unit)
{
    if (isfinite(value))
        printf("  %s %.*f%s", name, *unit ? 1 : 4, value, unit);
}

static int validate(training *run)
{
    metrics sums = {0};
    batches_view view;
    hmt_batch batch;
    const manifest *table = run->unseen->table;
    int status;
    batches *line = batches_start(&(batches_options){table->count, run->batch, FACES_FLOATS,
                                                     run->decoders, DEPTH, load_validation, run});
    status = line ? CLI_OK : CLI_SOME_FAILED;
    while (status == CLI_OK && !cli_interrupted() && batches_next(line, &view)) {
        if (!fill(run, table, &view, NULL, &batch)) {
            status = CLI_SOME_FAILED;
        } else if (hmt_evaluate(run->trainer, &batch, NULL, run->predictions) != HMT_OK) {
            cli_library_error("validation failed");
            status = CLI_SOME_FAILED;
        }
        for (size_t i = 0; status == CLI_OK && i < view.count; i++)
            metrics_add(&sums, &run->predictions[i], run->labels[0][i], run->labels[1][i],
                        run->scores[i]);
    }
    batches_stop(line);
    if (status != CLI_OK || cli_interrupted())
        return status;
    printf("    %zu unseen photos:", table->count);
    print_figure("MAE", metrics_mae(&sums), "");
    print_figure("RMSE", metrics_rmse(&sums), "");
    print_figure("PC", metrics_pearson(&sums), "");
    print_figure("gender", metrics_accuracy(&sums, HMT_TASK_GENDER), " %");
    print_figure("race", metrics_accuracy(&sums, HMT_TASK_RACE), " %");
    putchar('\n');
    fflush(stdout);
    return CLI_OK;
}

static int train(training *run)
{
    int status = CLI_OK;
    progress_start(&run->bar, "training", "photos", run->schedule.total * run->batch, run->quiet);
    for (uint64_t number = 1; status == CLI_OK && run->step < run->schedule.total; number++) {
        status = train_epoch(run, number);
        bool last = run->step == run->schedule.total || cli_interrupted();
        if (status == CLI_OK && run->step && (last || number % run->save_every == 0))
            status = save(run);
        if (cli_interrupted())
            break;
        if (status == CLI_OK && run->unseen && (last || number % run->validate_every == 0))
            status = validate(run);
    }
    progress_finish(&run->bar);
    return status;
}

int training_run(training *run)
{
    run->labels[0] = cli_allocate(run->batch, sizeof *run->labels[0]);
    run->labels[1] = cli_allocate(run->batch, sizeof *run->labels[1]);
    run->scores = cli_allocate(run->batch, sizeof *run->scores);
    run->predictions = cli_allocate(run->batch, sizeof *run->predictions);
    run->order = cli_allocate(run->photos->table->count, sizeof *run->order);
    int status = train(run);
    if (status == CLI_OK && cli_interrupted()) {
        cli_error("interrupted after step %llu; the model is %s", (unsigned long long)run->step,
                  run->saved ? "saved" : "not written");
        status = CLI_INTERRUPTED;
    }
    free(run->labels[0]);
    free(run->labels[1]);
    free(run->scores);
    free(run->predictions);
    free(run->order);
    return status;
}
