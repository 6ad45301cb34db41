/*
 * hmtnet-evaluate - how good a model is on labelled photos: all of them, and each group.
 *
 * Predictions are common/evaluation.h, figures of groups and their printing evaluate/; this is the
 * command line and the order of work.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hmtnet/data.h>

#include "common/cli.h"
#include "common/evaluation.h"
#include "common/labels.h"
#include "common/photo.h"
#include "common/precision_sheet.h"
#include "common/report.h"
#include "evaluate/measurement.h"

static struct {
    const char *model, *data, *split, *predictions, *sheet, *report, *history;
    device_settings device;
    int kind, crops, flip, json, markdown, quiet;
    int64_t resamples, seed;
    double confidence;
} settings = {.resamples = 2000, .seed = 1, .confidence = 0.95};

static const cli_option options[] = {
    {"model", 'm', CLI_TEXT, &settings.model, "FILE",
     "the model, a .safetensors file or PyTorch checkpoint", 0, 0},
    {"data", 'd', CLI_TEXT, &settings.data, "PATH",
     "the labelled photos: a table, or with --kind a data\nset's folder", 0, 0},
    {"kind", 0, CLI_CHOICE, &settings.kind, "csv|scut-fbp5500|scut-fbp|mebeauty",
     "what --data is (default csv)", 0, 0},
    {"split", 0, CLI_TEXT, &settings.split, "NAME",
     "only the test side of this split, e.g. 60-40, fold1", 0, 0},
    {"crops", 0, CLI_CHOICE, &settings.crops, "center|five",
     "five: the mean over the corners and the centre", 0, 0},
    {"flip", 0, CLI_FLAG, &settings.flip, NULL, "the mean with the mirrored photo", 0, 0},
    {"predictions", 'p', CLI_TEXT, &settings.predictions, "FILE",
     "write a row for each photo as CSV; -: to standard\noutput, instead of the figures", 0, 0},
    {"sheet", 's', CLI_TEXT, &settings.sheet, "FILE",
     "write a picture of the faces whose scores were\npredicted best and worst, .png", 0, 0},
    {"report", 0, CLI_TEXT, &settings.report, "DIR",
     "write a page with charts and faces, DIR/index.html", 0, 0},
    {"history", 0, CLI_TEXT, &settings.history, "FILE",
     "hmtnet-train's history, for the page's learning\ncurves", 0, 0},
    {"json", 0, CLI_FLAG, &settings.json, NULL, "print one JSON object instead of text", 0, 0},
    {"markdown", 0, CLI_FLAG, &settings.markdown, NULL, "print the groups as a Markdown table", 0,
     0},
    {"resamples", 0, CLI_INTEGER, &settings.resamples, "N",
     "of the bootstrap; 0: no intervals (default 2000)", 0, 1e6},
    {"confidence", 0, CLI_NUMBER, &settings.confidence, "X", "of the intervals (default 0.95)", 0.5,
     0.9999},
    {"seed", 0, CLI_INTEGER, &settings.seed, "N", "of the bootstrap and random splits (default 1)",
     0, 9e15},
    DEVICE_OPTIONS(settings.device),
    PHOTO_OPTIONS,
    {"quiet", 'q', CLI_FLAG, &settings.quiet, NULL, "show no progress", 0, 0},
    {0}};

static const cli_program program = {
    "hmtnet-evaluate", "--model FILE --data PATH [OPTION]...",
    "Measures a model on labelled face photos: errors and correlations of the score, accuracies,\n"
    "confusion matrices; the same for each gender, race and pair, with bootstrap intervals.",
    options,
    "Intervals come from the photos at hand, drawn again and again: they say how much other "
    "photos\n"
    "of the same kind would change a figure, not whether these photos stand for anybody's.\n\n"
    "Exit status: 0 all photos were measured, 1 some could not be read, 2 wrong usage, table or\n"
    "model, 3 the output or a file could not be written, 130 interrupted."};

typedef struct report {
    evaluation evaluation;
    hmt_dataset *set;
    size_t *samples;
    hmt_outcome *outcomes; /* (count) */
    measurement measurement;
    report_group *groups; /* for the page */
    size_t group_count, group_room;
    char *command;
} report;

static void keep_group(const measurement *m, group g, void *context)
{
    report *r = context;
    r->groups = cli_grow(r->groups, &r->group_room, r->group_count + 1, sizeof *r->groups);
    report_group *kept = &r->groups[r->group_count++];
    measurement_name(m, g, kept->name);
    kept->pair = g.gender >= 0 && g.race >= 0;
    kept->metrics = m->metrics;
}

static bool write_report(report *r)
{
    if (!measure_groups(&r->measurement, keep_group, r))
        return false;
    report_input in = {&r->evaluation,      r->outcomes,     r->groups,     r->group_count,
                       settings.confidence, settings.model,  settings.data, r->command,
                       settings.history,    &settings.device};
    return r->group_count > 0 && report_write(settings.report, &in);
}

/* The command line in one string. */
static char *join_command(int argc, char **argv)
{
    size_t size = 1;
    for (int i = 0; i < argc; i++)
        size += strlen(argv[i]) + 1;
    char *all = cli_allocate(size, 1);
    for (int i = 0; i < argc; i++) {
        strcat(all, i ? " " : "");
        strcat(all, argv[i]);
    }
    return all;
}

static bool choose_samples(report *r)
{
    evaluation *e = &r->evaluation;
    e->set = r->set;
    e->count = hmt_dataset_count(r->set);
    e->samples = r->samples = cli_allocate(e->count, sizeof *r->samples);
    for (size_t i = 0; i < e->count; i++)
        r->samples[i] = i;
    return !settings.split || labels_split(r->set, settings.split, (uint64_t)settings.seed, true,
                                           r->samples, &e->count);
}

static bool set_up(report *r)
{
    evaluation *e = &r->evaluation;
    hmt_dataset_options about = HMT_DATASET_OPTIONS_INIT;
    hmt_session_options session = HMT_SESSION_OPTIONS_INIT;
    e->flip = settings.flip;
    e->quiet = settings.quiet;
    if (!network_load(&e->net, settings.model, &settings.device))
        return false;
    about.classes = &e->net.config;
    r->set = labels_read(NULL, (hmt_dataset_kind)settings.kind, settings.data, &about);
    if (!r->set || !choose_samples(r))
        return false;
    e->net.preprocess.crop = settings.crops ? HMT_CROP_FIVE : HMT_CROP_CENTER;
    session.batch = EVALUATION_BATCH * evaluation_views(e);
    session.tasks = network_tasks(&e->net.config);
    return network_prepare(&e->net, &session);
}

static void set_measurement(report *r)
{
    hmt_metrics_options how = HMT_METRICS_OPTIONS_INIT;
    how.resamples = (int32_t)settings.resamples;
    how.confidence = settings.confidence;
    how.seed = (uint64_t)settings.seed;
    r->measurement = (measurement){&r->evaluation, r->outcomes, how, {0}};
}

static int run(report *r)
{
    measurement *m = &r->measurement;
    if (!set_up(r))
        return CLI_USAGE;
    int status = evaluation_run(&r->evaluation);
    if (status != CLI_OK)
        return status;
    r->outcomes = cli_allocate(r->evaluation.count, sizeof *r->outcomes);
    for (size_t i = 0; i < r->evaluation.count; i++) {
        hmt_sample s = HMT_SAMPLE_INIT;
        r->outcomes[i] = evaluation_outcome(&r->evaluation, i);
        hmt_dataset_sample(r->set, r->samples[i], &s);
        if (r->evaluation.messages[i])
            cli_error("%s:%zu: %s", s.table, s.line, r->evaluation.messages[i]);
    }
    set_measurement(r);
    if (settings.predictions && !measurement_predictions(m, settings.predictions))
        return CLI_OUTPUT;
    if (settings.sheet && !precision_sheet(settings.sheet, &r->evaluation))
        return CLI_OUTPUT;
    if (settings.report && !write_report(r))
        return CLI_OUTPUT;
    bool figures = !settings.predictions || strcmp(settings.predictions, "-") != 0;
    if (figures && !(settings.json       ? measurement_json(m)
                     : settings.markdown ? measurement_markdown(m)
                                         : measurement_text(m)))
        return CLI_SOME_FAILED;
    return r->evaluation.bad ? CLI_SOME_FAILED : CLI_OK;
}

int main(int argc, char **argv)
{
    static report r;
    r.command = join_command(argc, argv);
    int status, first = cli_parse(&program, argc, argv, &status);
    if (first >= 0 && settings.json && settings.markdown) {
        cli_error("--json and --markdown exclude each other; see --help");
        status = CLI_USAGE;
    } else if (first >= 0 && (argc > first || !settings.model || !settings.data)) {
        cli_error("--model and --data are needed, and nothing else; see --help");
        status = CLI_USAGE;
    } else if (first >= 0) {
        cli_catch_signals();
        status = run(&r);
    }
    free(r.command);
    free(r.groups);
    free(r.outcomes);
    free(r.samples);
    hmt_dataset_free(r.set);
    network_close(&r.evaluation.net);
    evaluation_free(&r.evaluation);
    return cli_end(status);
}
