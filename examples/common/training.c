/*
 * A training run (see training.h).
 *
 * What step n of epoch e sees depends on the seed, e and n alone, whatever the number of threads.
 */
#include "training.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli.h"
#include "network.h"

/* The next batch. 1: there is one, 0: the end of the epoch, -1: a photo could not be read, and a
 * message has been printed. */
static int next_batch(training *run, hmt_loader *loader, hmt_batch *batch)
{
    batch->struct_size = sizeof *batch;
    if (hmt_loader_next(loader, batch, NULL) != HMT_OK) {
        progress_clear(&run->bar);
        cli_library_error("cannot read a photo");
        return -1;
    }
    return batch->count > 0;
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

/* Returns an exit status. */
static int save_checkpoint(training *run)
{
    char note[RUN_STATE_TEXT];
    run_state_write(&run->state, run->plan, note);
    if (hmt_trainer_save(run->trainer, run->checkpoint, note) == HMT_OK)
        return CLI_OK;
    progress_clear(&run->bar);
    cli_library_error("cannot save the checkpoint");
    return CLI_OUTPUT;
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
    return sum * (double)run->devices;
}

/* Returns an exit status. */
static int report_epoch(training *run, const epoch *sums)
{
    static const char *const names[HMT_TASK_COUNT] = {"gender", "race", "attractiveness"};
    double mean[HMT_TASK_COUNT], count = (double)sums->steps;
    for (int i = 0; i < HMT_TASK_COUNT; i++)
        mean[i] = sums->labelled[i] > 0 ? sums->task[i] / sums->labelled[i] : 0;
    printf("epoch %llu/%llu  loss %.4f (gender %.4f, race %.4f, attractiveness %.4f)  rate %.3g  "
           "%.1f photos/s  %.1f GFLOP/s  %.1f s\n",
           (unsigned long long)sums->number, (unsigned long long)run->epochs, sums->loss / count,
           mean[0], mean[1], mean[2], sums->rate, count * (double)run->batch / sums->seconds,
           1e-9 * count * run->step_flops / sums->seconds, sums->seconds);
    fflush(stdout);
    history_begin(&run->history, "epoch", run->state.step);
    history_number(&run->history, "epoch", (double)sums->number);
    history_number(&run->history, "loss", sums->loss / count);
    for (int i = 0; i < HMT_TASK_COUNT; i++)
        history_number(&run->history, names[i], mean[i]);
    history_number(&run->history, "rate", sums->rate);
    history_number(&run->history, "seconds", sums->seconds);
    return history_end(&run->history) ? CLI_OK : CLI_OUTPUT;
}

/* One step with a filled batch. Returns an exit status. */
static int step(training *run, const hmt_batch *batch, epoch *sums)
{
    hmt_losses losses = HMT_LOSSES_INIT;
    hmt_status status = hmt_schedule_rate(&run->schedule, run->state.step, &sums->rate);
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
    run->state.step++;
    if (run->step_flops == 0)
        run->step_flops = count_flops(run);
    sums->steps++;
    sums->loss += losses.total;
    for (int i = 0; i < HMT_TASK_COUNT; i++) {
        sums->task[i] += losses.task[i] * (double)losses.labelled[i];
        sums->labelled[i] += (double)losses.labelled[i];
    }
    return CLI_OK;
}

static bool checkpoint_due(const training *run)
{
    return run->checkpoint && run->checkpoint_every && run->state.step % run->checkpoint_every == 0;
}

static bool goes_on(const training *run)
{
    return !cli_interrupted() && run->state.step < run->schedule.total;
}

/* The next batch, sent on its way to the device while the one before is trained on; as
 * next_batch().
 */
static int send_ahead(training *run, hmt_batch *batch)
{
    int more = run->state.step + 1 < run->schedule.total ? next_batch(run, run->photos, batch) : 0;
    if (more <= 0 || hmt_trainer_stage(run->trainer, batch) == HMT_OK)
        return more;
    progress_clear(&run->bar);
    cli_library_error("training stopped");
    return -1;
}

/* The rest of the epoch that is going on, up to the last step. */
static int train_epoch(training *run)
{
    epoch *sums = &run->state.epoch;
    char note[120];
    const bool ahead = hmt_trainer_stages(run->trainer);
    hmt_batch batch = HMT_BATCH_INIT, next = HMT_BATCH_INIT;
    double begin = cli_seconds() - sums->seconds;
    int status = CLI_OK;
    if (hmt_loader_seek(run->photos, sums->number - 1, sums->steps) != HMT_OK) {
        cli_library_error("cannot go to epoch %llu", (unsigned long long)sums->number);
        return CLI_SOME_FAILED;
    }
    int more = goes_on(run) ? next_batch(run, run->photos, &batch) : 0;
    while (status == CLI_OK && more > 0) {
        int following = ahead ? send_ahead(run, &next) : 0;
        status = step(run, &batch, sums);
        sums->seconds = cli_seconds() - begin;
        if (status == CLI_OK && checkpoint_due(run))
            status = save_checkpoint(run);
        snprintf(note, sizeof note, "epoch %llu, loss %.4f, %.1f GFLOP/s",
                 (unsigned long long)sums->number, sums->loss / (double)sums->steps,
                 1e-9 * (double)sums->steps * run->step_flops / sums->seconds);
        progress_update(&run->bar, run->state.step * run->batch, note);
        if (!ahead && status == CLI_OK && goes_on(run))
            following = next_batch(run, run->photos, &next);
        more = goes_on(run) ? following : 0;
        batch = next;
    }
    progress_clear(&run->bar);
    return more < 0 ? CLI_SOME_FAILED : status;
}

static void print_figure(const char *name, double value, const char *unit)
{
    if (isfinite(value))
        printf("  %s %.*f%s", name, *unit ? 1 : 4, value, unit);
}

/* Notes a validation, and keeps the model if it is the best so far. Returns an exit status. */
static int judge(training *run, double loss, const hmt_metrics *m)
{
    run_state *state = &run->state;
    double figure = run->best_by == BEST_BY_LOSS      ? -loss
                    : run->best_by == BEST_BY_PEARSON ? m->pearson.value
                                                      : -m->mae.value;
    history_begin(&run->history, "validation", state->step);
    history_number(&run->history, "epoch", (double)state->epoch.number);
    history_number(&run->history, "loss", loss);
    history_number(&run->history, "mae", m->mae.value);
    history_number(&run->history, "rmse", m->rmse.value);
    history_number(&run->history, "pearson", m->pearson.value);
    history_number(&run->history, "gender", m->accuracy[0].value);
    history_number(&run->history, "race", m->accuracy[1].value);
    if (!history_end(&run->history))
        return CLI_OUTPUT;
    state->validations_since++;
    if (!isnan(state->best) && !(figure > state->best))
        return CLI_OK;
    state->best = figure;
    state->best_epoch = state->epoch.number;
    state->validations_since = 0;
    if (run->best && hmt_model_save(run->model, run->best, run->storage) != HMT_OK) {
        cli_library_error("cannot save the best model");
        return CLI_OUTPUT;
    }
    return CLI_OK;
}

/* Measures one batch. Returns an exit status. */
static int validate_batch(training *run, const hmt_batch *batch, hmt_outcome *outcomes,
                          double task[], double labelled[])
{
    hmt_losses losses = HMT_LOSSES_INIT;
    if (hmt_evaluate(run->trainer, batch, &losses, run->predictions) != HMT_OK) {
        cli_library_error("validation failed");
        return CLI_SOME_FAILED;
    }
    for (int i = 0; i < HMT_TASK_COUNT; i++) {
        task[i] += losses.task[i] * (double)losses.labelled[i];
        labelled[i] += (double)losses.labelled[i];
    }
    hmt_model_config config = {.struct_size = sizeof config};
    hmt_model_get_config(run->model, &config);
    const uint32_t tasks = network_tasks(&config);
    for (size_t i = 0; i < batch->count; i++) {
        const hmt_prediction *p = &run->predictions[i];
        outcomes[i] = (hmt_outcome){batch->gender[i],
                                    batch->race[i],
                                    batch->score[i],
                                    tasks & HMT_TASKS_GENDER ? p->gender.label : -1,
                                    tasks & HMT_TASKS_RACE ? p->race.label : -1,
                                    tasks & HMT_TASKS_ATTRACTIVENESS ? p->score : (float)NAN};
    }
    return CLI_OK;
}

/* Measures the photos of the unseen set. Returns an exit status. */
static int validate_all(training *run, hmt_outcome *outcomes, double *loss)
{
    double task[HMT_TASK_COUNT] = {0}, labelled[HMT_TASK_COUNT] = {0};
    hmt_batch batch = HMT_BATCH_INIT;
    int status = CLI_OK, more = 1;
    size_t done = 0;
    hmt_loader_seek(run->unseen, 0, 0);
    while (status == CLI_OK && !cli_interrupted() &&
           (more = next_batch(run, run->unseen, &batch)) > 0) {
        status = validate_batch(run, &batch, outcomes + done, task, labelled);
        done += batch.count;
    }
    *loss = 0;
    for (int i = 0; i < HMT_TASK_COUNT; i++)
        *loss += labelled[i] > 0 ? run->alpha[i] * task[i] / labelled[i] : 0;
    return more < 0 ? CLI_SOME_FAILED : status;
}

static int validate(training *run)
{
    hmt_outcome *outcomes = cli_allocate(run->unseen_count, sizeof *outcomes);
    hmt_metrics *m = cli_allocate(1, sizeof *m);
    double loss;
    int status = validate_all(run, outcomes, &loss);
    m->struct_size = sizeof *m;
    if (status == CLI_OK && !cli_interrupted() &&
        hmt_metrics_measure(NULL, outcomes, run->unseen_count, NULL, m) == HMT_OK) {
        printf("    %zu unseen photos:", run->unseen_count);
        print_figure("MAE", m->mae.value, "");
        print_figure("RMSE", m->rmse.value, "");
        print_figure("PC", m->pearson.value, "");
        if (isnan(m->pearson.value) && m->known[HMT_TASK_ATTRACTIVENESS] > 0)
            printf("  PC undefined");
        print_figure("gender", 100 * m->accuracy[0].value, " %");
        print_figure("race", 100 * m->accuracy[1].value, " %");
        putchar('\n');
        fflush(stdout);
        status = judge(run, loss, m);
    }
    free(outcomes);
    free(m);
    return status;
}

/* What follows an epoch: its report, validation, saves. Returns an exit status. */
static int finish_epoch(training *run, bool *last)
{
    epoch *sums = &run->state.epoch;
    int status = sums->steps ? report_epoch(run, sums) : CLI_OK;
    *last = run->state.step == run->schedule.total;
    if (status == CLI_OK && run->unseen && (*last || sums->number % run->validate_every == 0))
        status = validate(run);
    if (status == CLI_OK && run->patience && run->state.validations_since >= run->patience) {
        printf("no better validation since epoch %llu: stopped\n",
               (unsigned long long)run->state.best_epoch);
        *last = true;
    }
    bool due = *last || sums->number % run->save_every == 0;
    /* An epoch that --steps cut short stays, so that a run with more steps finishes it. */
    if (run->state.step < run->schedule.total || sums->steps >= hmt_loader_batches(run->photos))
        run->state.epoch = (epoch){.number = sums->number + 1};
    if (status == CLI_OK && due)
        status = save(run);
    if (status == CLI_OK && due && run->checkpoint)
        status = save_checkpoint(run);
    return status;
}

static int train(training *run)
{
    int status = CLI_OK;
    /* A checkpoint of the last step may lack what follows its epoch. */
    bool last = (run->state.step == run->schedule.total && run->state.epoch.steps == 0) ||
                (run->patience && run->state.validations_since >= run->patience);
    progress_start(&run->bar, "training", "photos", run->schedule.total * run->batch, run->quiet);
    if (run->state.epoch.number == 0)
        run->state.epoch.number = 1;
    if (last) /* a finished run that was resumed: only its model may be missing */
        status = save(run);
    while (status == CLI_OK && !last) {
        status = train_epoch(run);
        if (cli_interrupted())
            break;
        if (status == CLI_OK)
            status = finish_epoch(run, &last);
    }
    progress_finish(&run->bar);
    if (status != CLI_OK || !cli_interrupted() || run->state.step == 0)
        return status;
    status = save(run);
    return status == CLI_OK && run->checkpoint ? save_checkpoint(run) : status;
}

int training_run(training *run)
{
    run->predictions = cli_allocate(run->batch, sizeof *run->predictions);
    int status = train(run);
    if (status == CLI_OK && cli_interrupted()) {
        cli_error("interrupted after step %llu; the model is %s",
                  (unsigned long long)run->state.step, run->saved ? "saved" : "not written");
        status = CLI_INTERRUPTED;
    }
    free(run->predictions);
    return status;
}
