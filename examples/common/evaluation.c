/* Predictions on a data set (see evaluation.h). */
#include "evaluation.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "batches.h"
#include "cli.h"
#include "photo.h"
#include "progress.h"

enum { DEPTH = 3, FIVE = 5 };

static int crops_of(const evaluation *e)
{
    return e->net.preprocess.crop == HMT_CROP_FIVE ? FIVE : 1;
}

int evaluation_views(const evaluation *e)
{
    return crops_of(e) * (e->flip ? 2 : 1);
}

/* batches_load: all views of photo `index`. */
static bool load(void *user, size_t index, void *crops, char *message)
{
    const evaluation *e = user;
    const size_t bytes = (size_t)crops_of(e) * NETWORK_CROP_BYTES;
    hmt_preprocess_options how = e->net.preprocess;
    hmt_sample sample = HMT_SAMPLE_INIT;
    hmt_pixels pixels = {0};
    hmt_dataset_sample(e->set, e->samples[index], &sample);
    hmt_status status = hmt_decode_file(e->net.context, sample.path, &photo_decoding, &pixels);
    for (int mirrored = 0; status == HMT_OK && mirrored <= e->flip; mirrored++) {
        how.flip = mirrored;
        status = hmt_preprocess_crops(e->net.context, &pixels, &how,
                                      (uint8_t *)crops + (size_t)mirrored * bytes, bytes);
    }
    if (status != HMT_OK)
        snprintf(message, BATCHES_MESSAGE, "%s", hmt_last_error());
    hmt_pixels_free(e->net.context, &pixels);
    return status == HMT_OK;
}

/* Infers one batch and takes the mean over each photo's views. */
static bool infer(evaluation *e, const batches_view *view, hmt_prediction *raw)
{
    const size_t views = (size_t)evaluation_views(e);
    if (!network_ran(hmt_infer_crops(e->net.session, view->data, view->count * views, raw))) {
        cli_library_error("cannot infer");
        return false;
    }
    for (size_t i = 0; i < view->count; i++) {
        size_t at = view->first + i;
        const char *why = view->items[i].good
                              ? network_mean(raw + i * views, views, &e->predictions[at])
                              : view->items[i].message;
        if (!why)
            continue;
        e->messages[at] = cli_copy(why);
        e->bad++;
    }
    return true;
}

int evaluation_run(evaluation *e)
{
    const size_t views = (size_t)evaluation_views(e);
    progress bar;
    batches_view view;
    e->predictions = cli_allocate(e->count, sizeof *e->predictions);
    e->messages = cli_allocate(e->count, sizeof *e->messages);
    hmt_prediction *raw = cli_allocate(EVALUATION_BATCH * views, sizeof *raw);
    batches *line =
        batches_start(&(batches_options){e->count, EVALUATION_BATCH, views * NETWORK_CROP_BYTES,
                                         (cli_processors() + 3) / 4, DEPTH, load, e, 1});
    bool good = line != NULL;
    progress_start(&bar, "evaluating", "photos", e->count, e->quiet);
    while (good && !cli_interrupted() && batches_next(line, &view)) {
        good = infer(e, &view, raw);
        progress_update(&bar, view.first + view.count, NULL);
    }
    progress_finish(&bar);
    batches_stop(line);
    free(raw);
    return cli_interrupted() ? CLI_INTERRUPTED : good ? CLI_OK : CLI_SOME_FAILED;
}

hmt_outcome evaluation_outcome(const evaluation *e, size_t index)
{
    const hmt_prediction *p = &e->predictions[index];
    hmt_sample s = HMT_SAMPLE_INIT;
    hmt_dataset_sample(e->set, e->samples[index], &s);
    hmt_outcome o = {s.gender, s.race, s.score, -1, -1, NAN};
    if (!e->messages[index]) {
        o.predicted_gender = p->gender.label;
        o.predicted_race = p->race.label;
        if (p->tasks & HMT_TASKS_ATTRACTIVENESS)
            o.predicted_score = p->score;
    }
    return o;
}

void evaluation_free(evaluation *e)
{
    for (size_t i = 0; i < e->count && e->messages; i++)
        free(e->messages[i]);
    free(e->messages);
    free(e->predictions);
}
