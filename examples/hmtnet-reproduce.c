/*
 * hmtnet-reproduce - run the paper's experiments and lay the results beside what was published.
 *
 * The experiments are reproduce/experiments.c, a run of one is reproduce/runs.h, features for
 * other data reproduce/transfer.h, tables reproduce/tables.h; this chooses what is run, over which
 * seeds and splits.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/cli.h"
#include "common/files.h"
#include "common/labels.h"
#include "common/output.h"
#include "common/photo.h"
#include "reproduce/runs.h"
#include "reproduce/siblings.h"
#include "reproduce/tables.h"
#include "reproduce/transfer.h"

enum { FOLDS = 5, SPLIT_NAME = 32, MOST_MAPS = 6 };
enum { PRESET_PAPER, PRESET_QUICK };
static const char *const table_ids[] = {"2", "3", "4", "5", "aggregator", "figure2", "figure3"};
enum { TABLE_5 = 3, FIGURE_2 = 5, FIGURE_3 = 6, TABLE_IDS = 7 };

static struct {
    const char *output, *split, *target;
    device_settings device;
    int kind, table, preset, folds, quiet;
    int64_t epochs, seeds, batch, decoders, cache;
    double width, rate;
} settings = {.kind = -1,
              .table = -1,
              .output = "reproduced",
              .seeds = 1,
              .batch = 32,
              .cache = 2048,
              .rate = -1};

static const cli_option options[] = {
    {"dataset", 'd', CLI_CHOICE, &settings.kind, "csv|scut-fbp5500|scut-fbp|mebeauty",
     "what DIR is", 0, 0},
    {"table", 0, CLI_CHOICE, &settings.table, "2|3|4|5|aggregator|figure2|figure3",
     "only this one (default: all; 5 only with --target)", 0, 0},
    {"preset", 0, CLI_CHOICE, &settings.preset, "paper|quick",
     "paper: its recipe, 170 epochs at width 1 (default);\nquick: 16 epochs at width 0.125, "
     "one-cycle",
     0, 0},
    {"width", 'w', CLI_NUMBER, &settings.width, "X", "times the paper's channel counts", 0.001, 4},
    {"epochs", 'e', CLI_INTEGER, &settings.epochs, "N", "times through the photos", 1, 1e6},
    {"learning-rate", 'r', CLI_NUMBER, &settings.rate, "X",
     "base or, with quick, highest rate (default 1e-3,\nquick 1e-2)", 0, 100},
    {"batch", 'b', CLI_INTEGER, &settings.batch, "N", "photos of a step (default 32)", 2, 4096},
    {"seeds", 's', CLI_INTEGER, &settings.seeds, "N", "runs with seeds 1 to N (default 1)", 1,
     1000},
    {"folds", 0, CLI_FLAG, &settings.folds, NULL,
     "five folds instead of one split: the data set's own,\nor drawn at random", 0, 0},
    {"split", 0, CLI_TEXT, &settings.split, "NAME",
     "the split (default: the data set's 60-40, test or\nvalidation, else random:1/5)", 0, 0},
    {"target", 0, CLI_TEXT, &settings.target, "DIR",
     "table 5: SCUT-FBP, whose scores are learned from the\nnetwork's features", 0, 0},
    {"output", 'o', CLI_TEXT, &settings.output, "DIR",
     "where networks, results and tables go, and what is\nunder way (default reproduced)", 0, 0},
    {"cache", 0, CLI_INTEGER, &settings.cache, "MIB", "memory for decoded photos (default 2048)", 0,
     1e7},
    DEVICE_OPTIONS(settings.device),
    {"decoders", 0, CLI_INTEGER, &settings.decoders, "N",
     "threads that prepare photos (default: one for every\nfour processors)", 0, 256},
    PHOTO_OPTIONS,
    {"quiet", 'q', CLI_FLAG, &settings.quiet, NULL, "show no progress, only the epochs", 0, 0},
    {0}};

static const cli_program program = {
    "hmtnet-reproduce", "--dataset KIND [OPTION]... DIR",
    "Runs the paper's experiments on a data set and prints each table: what was published, the\n"
    "mean and deviation over the runs made here, and the difference.",
    options,
    "Killed or stopped at any moment it goes on with the same command: what is finished is not\n"
    "done again. Published figures are for SCUT-FBP5500; on other data the difference means\n"
    "little. Tables are written to the output folder as text, Markdown and CSV, too.\n\n"
    "Exit status: 0 done, 1 a photo could not be read or a training stopped, 2 wrong usage or\n"
    "files, 3 the output could not be written, 130 interrupted.\n\n"
    "Example: hmtnet-reproduce --dataset mebeauty --table 3 --preset quick --seeds 3 MEBeauty"};

typedef struct study {
    run_settings run;
    char splits[FOLDS][SPLIT_NAME];
    size_t split_count;
    char remark[200];
} study;

static bool has_split(const hmt_dataset *set, const char *name)
{
    for (size_t i = 0; i < hmt_dataset_split_count(set); i++)
        if (strcmp(hmt_dataset_split_name(set, i), name) == 0)
            return true;
    return false;
}

static void choose_folds(study *all, const hmt_dataset *set)
{
    const bool own = has_split(set, "fold5");
    all->split_count = FOLDS;
    for (int fold = 0; fold < FOLDS; fold++)
        snprintf(all->splits[fold], SPLIT_NAME, own ? "fold%d" : "random:%d/5", fold + 1);
}

static bool choose_split(study *all, const hmt_dataset *set)
{
    static const char *const usual[] = {"60-40", "test", "validation"};
    const char *name = settings.split;
    size_t count;
    for (size_t i = 0; !name && i < sizeof usual / sizeof *usual; i++)
        if (has_split(set, usual[i]))
            name = usual[i];
    if (!name)
        name = "random:1/5";
    if (hmt_dataset_split(set, name, 1, 1, NULL, 0, &count) != HMT_OK) {
        cli_library_error("cannot split the photos");
        return false;
    }
    all->split_count = 1;
    snprintf(all->splits[0], SPLIT_NAME, "%s", name);
    return true;
}

static bool choose_splits(study *all)
{
    hmt_dataset *set = labels_read(NULL, all->run.kind, all->run.data, NULL);
    bool good = set != NULL;
    if (good && settings.folds)
        choose_folds(all, set);
    else if (good)
        good = choose_split(all, set);
    hmt_dataset_free(set);
    return good;
}

/* All runs of a row. Returns an exit status. */
static int run_row(const study *all, const experiment *e, table_row *row)
{
    const size_t count = all->split_count * (size_t)settings.seeds;
    hmt_metrics *runs = cli_allocate(count, sizeof *runs);
    const hmt_metrics **each = cli_allocate(count, sizeof *each);
    hmt_metrics_summary summary = {.struct_size = sizeof summary};
    int status = CLI_OK;
    for (size_t i = 0; status == CLI_OK && i < count; i++) {
        const run_place place = {all->splits[i % all->split_count], 1 + i / all->split_count};
        each[i] = &runs[i];
        status = run_measure(&all->run, e->plan, place, e->five_crops, &runs[i]);
    }
    if (status == CLI_OK && hmt_metrics_summarise(each, count, &summary) == HMT_OK)
        table_fill(row, &summary, e->plan);
    free(runs);
    free(each);
    return status;
}

/* Writes a table to the output folder in one form. */
static int save_table(const study *all, table_form form, const char *id, const char *title,
                      const table_row *rows, size_t count)
{
    static const char *const endings[] = {"txt", "md", "csv"};
    char name[64];
    output out;
    snprintf(name, sizeof name, "table-%s.%s", id, endings[form]);
    char *path = files_join(settings.output, name);
    bool good = output_open(&out, path);
    if (good) {
        table_write(out.stream, form, id, title, all->remark, rows, count);
        good = output_commit(&out);
    }
    output_discard(&out);
    free(path);
    return good ? CLI_OK : CLI_OUTPUT;
}

static int show_table(const study *all, const char *id, const char *title, const table_row *rows,
                      size_t count)
{
    int status = CLI_OK;
    table_write(stdout, TABLE_TEXT, id, title, all->remark, rows, count);
    fflush(stdout);
    for (int form = TABLE_TEXT; status == CLI_OK && form <= TABLE_CSV; form++)
        status = save_table(all, (table_form)form, id, title, rows, count);
    return status;
}

static int run_table(const study *all, const experiment_table *table)
{
    table_row *rows = cli_allocate(table->count, sizeof *rows);
    int status = CLI_OK;
    for (size_t i = 0; status == CLI_OK && i < table->count; i++) {
        const experiment *e = &table->rows[i];
        rows[i].name = e->name;
        memcpy(rows[i].published, settings.folds ? e->folds : e->published,
               sizeof rows[i].published);
        if (e->plan)
            status = run_row(all, e, &rows[i]);
    }
    if (status == CLI_OK)
        status = show_table(all, table->id, table->title, rows, table->count);
    free(rows);
    return status;
}

/* The run that figures and table 5 use. */
static run_place first_place(const study *all)
{
    return (run_place){all->splits[0], 1};
}

static int run_figure_2(const study *all)
{
    hmt_metrics m;
    char *path = files_join(settings.output, "figure2.png");
    int status = run_measure(&all->run, &experiment_joint, first_place(all), false, &m);
    if (status == CLI_OK)
        status = run_sheet(&all->run, &experiment_joint, first_place(all), path);
    if (status == CLI_OK)
        printf("\nFigure 2: the most and the least precisely predicted faces: %s\n", path);
    free(path);
    return status;
}

/* Paths of the first photos of the split's other side. */
static size_t test_photos(const study *all, hmt_dataset **set, const char *paths[MOST_MAPS])
{
    size_t count = 0, *indices;
    if (hmt_dataset_read(NULL, all->run.kind, all->run.data, NULL, set) != HMT_OK)
        return 0;
    const size_t room = hmt_dataset_count(*set);
    indices = cli_allocate(room, sizeof *indices);
    hmt_dataset_split(*set, all->splits[0], 1, 1, indices, room, &count);
    const size_t shown = count < MOST_MAPS ? count : MOST_MAPS;
    for (size_t i = 0; i < shown; i++) {
        hmt_sample sample = HMT_SAMPLE_INIT;
        hmt_dataset_sample(*set, indices[i * count / shown], &sample);
        paths[i] = sample.path;
    }
    free(indices);
    return shown;
}

static int run_figure_3(const study *all)
{
    const char *arguments[16 + MOST_MAPS] = {"--method",         "activation", "--tap",
                                             "relu3,agg1,relu5", "--quiet",    "--output"};
    size_t used = 6;
    hmt_metrics m;
    hmt_dataset *set = NULL;
    char *model = run_path(&all->run, &experiment_joint, first_place(all), ".safetensors");
    char *path = files_join(settings.output, "figure3.png");
    int status = run_measure(&all->run, &experiment_joint, first_place(all), false, &m);
    if (status == CLI_OK) {
        arguments[used++] = path;
        arguments[used++] = "--model";
        arguments[used++] = model;
        status = test_photos(all, &set, arguments + used) ? sibling_run("hmtnet-explain", arguments)
                                                          : CLI_USAGE;
    }
    if (status == CLI_OK)
        printf("\nFigure 3: activation maps: %s\n", path);
    hmt_dataset_free(set);
    free(model);
    free(path);
    return status;
}

static int run_table_5(const study *all)
{
    table_row row = {.name = "features of HMTNet", .published = {NAN, NAN, 0, NAN, NAN}};
    hmt_spread spreads[3] = {{0, 0, 0}};
    hmt_metrics m;
    char *model = run_path(&all->run, &experiment_joint, first_place(all), ".safetensors");
    int status = run_measure(&all->run, &experiment_joint, first_place(all), false, &m);
    if (status == CLI_OK)
        status = transfer_run(model, settings.target, settings.output, spreads);
    for (int i = 0; i < 5; i++)
        row.published[FIGURE_PEARSON] += experiment_transfer[i] / 5;
    row.here[FIGURE_PEARSON] = spreads[0];
    row.here[FIGURE_MAE] = spreads[1];
    row.here[FIGURE_RMSE] = spreads[2];
    if (status == CLI_OK)
        status = show_table(all, "5", "SCUT-FBP from features, five random splits", &row, 1);
    free(model);
    return status;
}

static int run_one(const study *all, int which)
{
    if (which == TABLE_5)
        return run_table_5(all);
    if (which == FIGURE_2)
        return run_figure_2(all);
    if (which == FIGURE_3)
        return run_figure_3(all);
    for (size_t i = 0; i < experiment_table_count; i++)
        if (strcmp(experiment_tables[i].id, table_ids[which]) == 0)
            return run_table(all, &experiment_tables[i]);
    return CLI_USAGE;
}

static int run_all(const study *all)
{
    int status = CLI_OK;
    for (int which = 0; status == CLI_OK && which < TABLE_IDS; which++)
        if (settings.table == which ||
            (settings.table < 0 && (which != TABLE_5 || settings.target)))
            status = run_one(all, which);
    return status;
}

static void set_run(study *all, const char *data)
{
    const bool paper = settings.preset == PRESET_PAPER;
    all->run = (run_settings){.kind = (hmt_dataset_kind)settings.kind,
                              .data = data,
                              .output = settings.output,
                              .paper = paper,
                              .width = settings.width > 0 ? settings.width
                                       : paper            ? 1
                                                          : 0.125,
                              .rate = settings.rate >= 0 ? settings.rate
                                      : paper            ? 1e-3
                                                         : 1e-2,
                              .epochs = settings.epochs ? settings.epochs
                                        : paper         ? 170
                                                        : 16,
                              .batch = settings.batch,
                              .device = settings.device,
                              .decoders = settings.decoders,
                              .cache = settings.cache,
                              .quiet = settings.quiet};
}

static bool prepare(study *all, int operands, char **operand)
{
    if (settings.kind < 0 || operands != 1) {
        cli_error("%s; see --help", settings.kind < 0 ? "no --dataset" : "one DIR is needed");
        return false;
    }
    if (settings.table == TABLE_5 && !settings.target) {
        cli_error("--table 5 needs --target, a folder with SCUT-FBP; see --help");
        return false;
    }
    if (settings.folds && settings.split) {
        cli_error("--folds and --split exclude each other; see --help");
        return false;
    }
    set_run(all, operand[0]);
    if (!choose_splits(all))
        return false;
    snprintf(all->remark, sizeof all->remark,
             "Here: width %g, %lld epochs, %s, seeds 1 to %lld; published: SCUT-FBP5500, width 1.",
             all->run.width, (long long)all->run.epochs,
             all->split_count > 1 ? "five folds" : all->splits[0], (long long)settings.seeds);
    return true;
}

int main(int argc, char **argv)
{
    static study all;
    int status, first = cli_parse(&program, argc, argv, &status);
    if (first < 0)
        return cli_end(status);
    cli_catch_signals();
    if (!prepare(&all, argc - first, argv + first))
        return CLI_USAGE;
    if (mkdir(settings.output, 0777) && errno != EEXIST) {
        cli_error("cannot make %s: %s", settings.output, strerror(errno));
        return CLI_OUTPUT;
    }
    status = run_all(&all);
    if (status == CLI_INTERRUPTED || cli_interrupted()) {
        cli_error("interrupted; the same command goes on");
        status = CLI_INTERRUPTED;
    }
    return cli_end(status);
}
