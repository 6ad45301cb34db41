/*
 * hmtnet-evaluate - how good a model is on labelled photos: all of them, and each group.
 *
 * Predictions are common/evaluation.h, figures the library's hmt_metrics_measure(); this is the
 * command line and what is printed.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hmtnet/data.h>

#include "common/cli.h"
#include "common/csv.h"
#include "common/evaluation.h"
#include "common/json.h"
#include "common/output.h"
#include "common/precision_sheet.h"
#include "common/report.h"

static struct {
    const char *model, *data, *split, *predictions, *sheet, *report, *history;
    device_settings device;
    int kind, crops, flip, json, quiet;
    int64_t resamples, seed;
    double confidence;
} settings = {.resamples = 2000, .seed = 1, .confidence = 0.95};

static const cli_option options[] = {
    {"model", 'm', CLI_TEXT, &settings.model, "FILE", "the model, .safetensors", 0, 0},
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
    {"resamples", 0, CLI_INTEGER, &settings.resamples, "N",
     "of the bootstrap; 0: no intervals (default 2000)", 0, 1e6},
    {"confidence", 0, CLI_NUMBER, &settings.confidence, "X", "of the intervals (default 0.95)", 0.5,
     0.9999},
    {"seed", 0, CLI_INTEGER, &settings.seed, "N", "of the bootstrap and random splits (default 1)",
     0, 9e15},
    DEVICE_OPTIONS(settings.device),
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
    "model, 3 a file could not be written, 130 interrupted."};

/* The classes of one group; -1: any. */
typedef struct group {
    int32_t gender, race;
} group;

typedef struct report {
    evaluation evaluation;
    hmt_dataset *set;
    size_t *samples;
    hmt_outcome *outcomes; /* (count) */
    hmt_metrics metrics;   /* of the last measure() */
    report_group *groups;  /* for the page */
    size_t group_count, group_room;
    char *command;
} report;

static bool measure(report *r, group g)
{
    hmt_metrics_options how = HMT_METRICS_OPTIONS_INIT;
    how.gender = g.gender;
    how.race = g.race;
    how.resamples = (int32_t)settings.resamples;
    how.confidence = settings.confidence;
    how.seed = (uint64_t)settings.seed;
    r->metrics.struct_size = sizeof r->metrics;
    if (hmt_metrics_measure(NULL, r->outcomes, r->evaluation.count, &how, &r->metrics) == HMT_OK)
        return true;
    cli_library_error("cannot measure");
    return false;
}

static const char *class_name(const report *r, int task, int32_t label)
{
    return hmt_model_label(r->evaluation.net.model, (hmt_task)task, label);
}

static void name_group(const report *r, group g, char *text, size_t size)
{
    const char *gender = g.gender < 0 ? "" : class_name(r, 0, g.gender);
    const char *race = g.race < 0 ? "" : class_name(r, 1, g.race);
    snprintf(text, size, "%s%s%s", gender, *gender && *race ? ", " : "", race);
    if (!*text)
        snprintf(text, size, "all");
}

/* Calls `show` for all photos, each gender, each race and each pair that has photos. */
static bool each_group(report *r, void (*show)(report *r, group g))
{
    const hmt_model_config *c = &r->evaluation.net.config;
    bool good = true;
    for (int part = 0; part < 4; part++) /* which of the two are fixed: none, gender, race, both */
        for (int32_t i = part & 1 ? 0 : -1; i < (part & 1 ? c->gender_classes : 0); i++)
            for (int32_t k = part & 2 ? 0 : -1; good && k < (part & 2 ? c->race_classes : 0); k++) {
                group g = {i, k};
                good = measure(r, g);
                if (good && r->metrics.count > 0)
                    show(r, g);
            }
    return good;
}

/* ---- text ---- */

static void print_figure(const char *name, hmt_figure f, double scale, const char *unit, int digits)
{
    if (isnan(f.value))
        return;
    printf("    %-24s %8.*f%s", name, digits, scale * f.value, unit);
    if (settings.resamples && !isnan(f.low))
        printf("   %.*f to %.*f", digits, scale * f.low, digits, scale * f.high);
    putchar('\n');
}

static void print_all(const report *r)
{
    const hmt_metrics *m = &r->metrics;
    printf("%zu photos", r->evaluation.count);
    if (r->evaluation.bad)
        printf(", %zu of them cannot be read", r->evaluation.bad);
    printf("; %d view%s of each", evaluation_views(&r->evaluation),
           evaluation_views(&r->evaluation) > 1 ? "s" : "");
    if (settings.resamples)
        printf("; intervals of %g %%", 100 * settings.confidence);
    printf("\n\n");
    print_figure("mean absolute error", m->mae, 1, "", 3);
    print_figure("root mean square error", m->rmse, 1, "", 3);
    print_figure("mean error", m->bias, 1, "", 3);
    print_figure("Pearson", m->pearson, 1, "", 3);
    print_figure("Spearman", m->spearman, 1, "", 3);
    print_figure("gender", m->accuracy[0], 100, " %", 1);
    print_figure("race", m->accuracy[1], 100, " %", 1);
}

static void print_cell(hmt_figure f, double scale, int digits)
{
    char text[64] = "-";
    if (!isnan(f.value) && settings.resamples && !isnan(f.low))
        snprintf(text, sizeof text, "%.*f (%.*f..%.*f)", digits, scale * f.value, digits,
                 scale * f.low, digits, scale * f.high);
    else if (!isnan(f.value))
        snprintf(text, sizeof text, "%.*f", digits, scale * f.value);
    printf("  %-21s", text);
}

static void print_group(report *r, group g)
{
    char name[2 * HMT_MAX_LABEL + 4];
    name_group(r, g, name, sizeof name);
    printf("    %-22s %5llu", name, (unsigned long long)r->metrics.count);
    print_cell(r->metrics.mae, 1, 2);
    print_cell(r->metrics.bias, 1, 2);
    print_cell(r->metrics.pearson, 1, 2);
    print_cell(r->metrics.accuracy[0], 100, 0);
    print_cell(r->metrics.accuracy[1], 100, 0);
    putchar('\n');
}

static void print_confusion(const report *r, int task, int32_t classes)
{
    if (r->metrics.known[task] == 0)
        return;
    printf("\n    %-14s", task ? "race" : "gender");
    for (int32_t k = 0; k < classes; k++)
        printf(" %10.10s", class_name(r, task, k));
    putchar('\n');
    for (int32_t i = 0; i < classes; i++) {
        printf("    %-14.14s", class_name(r, task, i));
        for (int32_t k = 0; k < classes; k++)
            printf(" %10llu", (unsigned long long)r->metrics.confusion[task][i][k]);
        putchar('\n');
    }
}

static bool print_text(report *r)
{
    if (!measure(r, (group){-1, -1}))
        return false;
    print_all(r);
    printf("\nlabelled (rows), predicted (columns)\n");
    print_confusion(r, 0, r->evaluation.net.config.gender_classes);
    print_confusion(r, 1, r->evaluation.net.config.race_classes);
    printf("\n    %-22s %5s  %-21s  %-21s  %-21s  %-21s  %-21s\n", "group", "faces", "MAE",
           "mean error", "Pearson", "gender, %", "race, %");
    return each_group(r, print_group);
}

/* ---- JSON ---- */

static void json_figure(const char *name, hmt_figure f)
{
    printf(",\"%s\":{\"value\":", name);
    json_number(stdout, f.value, 9);
    if (settings.resamples) {
        printf(",\"low\":");
        json_number(stdout, f.low, 9);
        printf(",\"high\":");
        json_number(stdout, f.high, 9);
    }
    putchar('}');
}

static void json_confusion(const report *r, int task, int32_t classes)
{
    printf(",\"%s_confusion\":[", task ? "race" : "gender");
    for (int32_t i = 0; i < classes; i++)
        for (int32_t k = 0; k < classes; k++)
            printf("%s%llu%s",
                   k   ? ","
                   : i ? ",["
                       : "[",
                   (unsigned long long)r->metrics.confusion[task][i][k],
                   k == classes - 1 ? "]" : "");
    putchar(']');
}

static void json_group(report *r, group g)
{
    const hmt_metrics *m = &r->metrics;
    char name[2 * HMT_MAX_LABEL + 4];
    name_group(r, g, name, sizeof name);
    printf("%s{\"group\":", g.gender < 0 && g.race < 0 ? "" : ",");
    json_string(stdout, name);
    printf(",\"faces\":%llu", (unsigned long long)m->count);
    json_figure("mae", m->mae);
    json_figure("rmse", m->rmse);
    json_figure("mean_error", m->bias);
    json_figure("pearson", m->pearson);
    json_figure("spearman", m->spearman);
    json_figure("gender", m->accuracy[0]);
    json_figure("race", m->accuracy[1]);
    json_confusion(r, 0, r->evaluation.net.config.gender_classes);
    json_confusion(r, 1, r->evaluation.net.config.race_classes);
    putchar('}');
}

static bool print_json(report *r)
{
    printf("{\"photos\":%zu,\"unreadable\":%zu,\"views\":%d,\"confidence\":%g,\"groups\":[",
           r->evaluation.count, r->evaluation.bad, evaluation_views(&r->evaluation),
           settings.confidence);
    bool good = each_group(r, json_group);
    printf("]}\n");
    return good;
}

/* ---- predictions ---- */

static void write_class(FILE *to, const report *r, int task, int32_t label)
{
    csv_write(to, label < 0 ? "" : class_name(r, task, label));
    fputc(',', to);
}

static void write_row(FILE *to, const report *r, size_t i)
{
    const evaluation *e = &r->evaluation;
    const hmt_outcome *o = &r->outcomes[i];
    const hmt_prediction *p = &e->predictions[i];
    hmt_sample s = HMT_SAMPLE_INIT;
    hmt_dataset_sample(e->set, e->samples[i], &s);
    csv_write(to, s.name);
    fputc(',', to);
    write_class(to, r, 0, o->gender);
    write_class(to, r, 1, o->race);
    if (!isnan(o->score))
        fprintf(to, "%.6g", (double)o->score);
    fputc(',', to);
    if (e->messages[i]) {
        fputs(",,,,,", to);
        csv_write(to, e->messages[i]);
    } else {
        write_class(to, r, 0, o->predicted_gender);
        fprintf(to, "%.6f,", (double)p->gender.probabilities[p->gender.label]);
        write_class(to, r, 1, o->predicted_race);
        fprintf(to, "%.6f,%.6g,", (double)p->race.probabilities[p->race.label], (double)p->score);
    }
    fputc('\n', to);
}

static bool write_predictions(const report *r)
{
    output out;
    bool good = output_open(&out, settings.predictions);
    if (good) {
        fputs("path,gender,race,score,predicted_gender,gender_probability,predicted_race,"
              "race_probability,predicted_score,error\n",
              out.stream);
        for (size_t i = 0; i < r->evaluation.count; i++)
            write_row(out.stream, r, i);
        good = output_commit(&out);
    }
    output_discard(&out);
    return good;
}

/* ---- the page ---- */

static void keep_group(report *r, group g)
{
    r->groups = cli_grow(r->groups, &r->group_room, r->group_count + 1, sizeof *r->groups);
    report_group *kept = &r->groups[r->group_count++];
    name_group(r, g, kept->name, sizeof kept->name);
    kept->pair = g.gender >= 0 && g.race >= 0;
    kept->metrics = r->metrics;
}

static bool write_report(report *r)
{
    if (!each_group(r, keep_group))
        return false;
    report_input in = {&r->evaluation, r->outcomes,         r->groups,
                       r->group_count, settings.confidence, settings.model,
                       settings.data,  r->command,          settings.history};
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

/* ---- set-up ---- */

static bool choose_samples(report *r)
{
    evaluation *e = &r->evaluation;
    e->set = r->set;
    e->count = hmt_dataset_count(r->set);
    e->samples = r->samples = cli_allocate(e->count, sizeof *r->samples);
    for (size_t i = 0; i < e->count; i++)
        r->samples[i] = i;
    if (!settings.split || hmt_dataset_split(r->set, settings.split, (uint64_t)settings.seed, 1,
                                             r->samples, e->count, &e->count) == HMT_OK)
        return true;
    cli_error("%s: %s", settings.data, hmt_last_error());
    return false;
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
    if (hmt_dataset_read(NULL, (hmt_dataset_kind)settings.kind, settings.data, &about, &r->set)) {
        cli_error("%s", hmt_last_error());
        return false;
    }
    if (!choose_samples(r))
        return false;
    e->net.preprocess.crop = settings.crops ? HMT_CROP_FIVE : HMT_CROP_CENTER;
    session.batch = EVALUATION_BATCH * evaluation_views(e);
    return network_prepare(&e->net, &session);
}

static int run(report *r)
{
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
    if (settings.predictions && !write_predictions(r))
        return CLI_OUTPUT;
    if (settings.sheet && !precision_sheet(settings.sheet, &r->evaluation))
        return CLI_OUTPUT;
    if (settings.report && !write_report(r))
        return CLI_OUTPUT;
    bool figures = !settings.predictions || strcmp(settings.predictions, "-") != 0;
    if (figures && !(settings.json ? print_json(r) : print_text(r)))
        return CLI_SOME_FAILED;
    return r->evaluation.bad ? CLI_SOME_FAILED : CLI_OK;
}

int main(int argc, char **argv)
{
    static report r;
    r.command = join_command(argc, argv);
    int status, first = cli_parse(&program, argc, argv, &status);
    if (first >= 0 && (argc > first || !settings.model || !settings.data)) {
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
    return status;
}
