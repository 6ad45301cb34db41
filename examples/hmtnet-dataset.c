/*
 * hmtnet-dataset - what a data set holds, and what is wrong with it.
 *
 * Counts of each group, splits, photos that cannot be read, photos that stand there twice, and a
 * sheet to look at.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hmtnet/data.h>

#include "common/board.h"
#include "common/cli.h"
#include "common/json.h"
#include "common/labels.h"
#include "common/photo.h"
#include "common/random.h"
#include "common/survey.h"
#include "common/thumbnail.h"

enum { SHEET_COLUMNS = 12, SHEET_CELL = 96, MOST_SHOWN = 20 };

static struct {
    int kind, json, quiet, no_photos;
    const char *sheet;
    int64_t faces, seed;
} settings = {.faces = 60, .seed = 1};

static const cli_option options[] = {
    {"kind", 'k', CLI_CHOICE, &settings.kind, "csv|scut-fbp5500|scut-fbp|mebeauty",
     "how the data set lies on the disk (default csv)", 0, 0},
    {"json", 0, CLI_FLAG, &settings.json, NULL, "print one JSON object instead of text", 0, 0},
    {"no-photos", 0, CLI_FLAG, &settings.no_photos, NULL, "look at the tables only", 0, 0},
    {"sheet", 's', CLI_TEXT, &settings.sheet, "FILE", "write a picture of some faces, .png", 0, 0},
    {"faces", 'n', CLI_INTEGER, &settings.faces, "N", "faces on it (default 60)", 1, 10000},
    {"seed", 0, CLI_INTEGER, &settings.seed, "N", "which ones (default 1)", 0, 9e15},
    PHOTO_OPTIONS,
    {"quiet", 'q', CLI_FLAG, &settings.quiet, NULL, "show no progress", 0, 0},
    {0}};

static const cli_program program = {
    "hmtnet-dataset", "[OPTION]... PATH",
    "Checks a data set of labelled face photos: how many of each group there are and how they are\n"
    "scored, its splits, photos that cannot be read, and photos that stand there twice. PATH is a\n"
    "table, or with --kind the folder of a published data set.",
    options,
    "Photos are the same if their pixels are; they look alike if they are the same but for size,\n"
    "compression or a small change. Two photos of one person are not meant by that.\n\n"
    "Exit status: 0 nothing is wrong, 1 photos cannot be read, or the tables are doubtful or\n"
    "contradict the photos (standard error and the text say how), 2 wrong usage or table,\n"
    "3 the output or the sheet could not be written, 130 interrupted."};

/* Two photos that are the same or look alike. */
typedef struct pair {
    size_t a, b;
    survey_match match;
} pair;

typedef struct report {
    hmt_dataset *set;
    hmt_model_config config;
    survey survey;
    pair *pairs;
    size_t pair_count, pair_room;
    size_t contradictions; /* pairs that are the same and have other classes */
} report;

static hmt_sample sample_of(const report *r, size_t index)
{
    hmt_sample sample = HMT_SAMPLE_INIT;
    hmt_dataset_sample(r->set, index, &sample);
    return sample;
}

static const char *class_name(const report *r, int task, int32_t label)
{
    return label < 0 ? "unknown"
                     : (task ? r->config.race_labels[label] : r->config.gender_labels[label]);
}

/* The same photo, labelled as two people. */
static bool contradicts(const report *r, const pair *p)
{
    hmt_sample a = sample_of(r, p->a), b = sample_of(r, p->b);
    return p->match == SURVEY_SAME && ((a.gender >= 0 && b.gender >= 0 && a.gender != b.gender) ||
                                       (a.race >= 0 && b.race >= 0 && a.race != b.race));
}

static void find_pairs(report *r)
{
    for (size_t a = 0; a < r->survey.count; a++)
        for (size_t b = a + 1; b < r->survey.count; b++) {
            survey_match match = survey_compare(&r->survey, a, b);
            if (match == SURVEY_OTHER)
                continue;
            r->pairs = cli_grow(r->pairs, &r->pair_room, r->pair_count + 1, sizeof *r->pairs);
            r->pairs[r->pair_count] = (pair){a, b, match};
            r->contradictions += contradicts(r, &r->pairs[r->pair_count++]);
        }
}

/* One group: its faces, and the mean and deviation of the scores that are known. */
typedef struct group {
    size_t faces, scored;
    double mean, deviation;
} group;

static group measure(const report *r, int32_t gender, int32_t race)
{
    group g = {0};
    double spread = 0;
    for (size_t i = 0; i < hmt_dataset_count(r->set); i++) {
        hmt_sample s = sample_of(r, i);
        if (s.gender != gender || s.race != race)
            continue;
        g.faces++;
        if (isnan(s.score))
            continue;
        double from = s.score - g.mean;
        g.mean += from / (double)++g.scored;
        spread += from * (s.score - g.mean);
    }
    g.deviation = g.scored > 1 ? sqrt(spread / (double)(g.scored - 1)) : NAN;
    return g;
}

/* The samples of one side of a split; *side is to be freed. */
static size_t read_side(const report *r, const char *split, int test, size_t **side)
{
    size_t count = 0;
    *side = cli_allocate(hmt_dataset_count(r->set), sizeof **side);
    hmt_dataset_split(r->set, split, 1, test, *side, hmt_dataset_count(r->set), &count);
    return count;
}

/* Pairs of which one photo is on either side of a split. */
static size_t count_leaks(const report *r, const char *split, size_t counts[2])
{
    char *where = cli_allocate(hmt_dataset_count(r->set), 1);
    size_t leaks = 0;
    for (int test = 0; test < 2; test++) {
        size_t *side;
        counts[test] = read_side(r, split, test, &side);
        for (size_t i = 0; i < counts[test]; i++)
            where[side[i]] = (char)(1 + test);
        free(side);
    }
    for (size_t i = 0; i < r->pair_count; i++)
        leaks += where[r->pairs[i].a] + where[r->pairs[i].b] == 3 &&
                 where[r->pairs[i].a] != where[r->pairs[i].b] && where[r->pairs[i].a] &&
                 where[r->pairs[i].b];
    free(where);
    return leaks;
}

static void print_groups(const report *r)
{
    printf("%-12s %-14s %7s %8s %10s\n", "gender", "race", "faces", "score", "deviation");
    for (int32_t gender = -1; gender < r->config.gender_classes; gender++)
        for (int32_t race = -1; race < r->config.race_classes; race++) {
            group g = measure(r, gender, race);
            if (!g.faces)
                continue;
            printf("%-12s %-14s %7zu", class_name(r, 0, gender), class_name(r, 1, race), g.faces);
            if (g.scored)
                printf(" %8.3f", g.mean);
            if (g.scored > 1)
                printf(" %10.3f", g.deviation);
            putchar('\n');
        }
}

static void print_pair(const report *r, const pair *p)
{
    hmt_sample a = sample_of(r, p->a), b = sample_of(r, p->b);
    printf("    %s: %s and %s", p->match == SURVEY_SAME ? "same" : "alike", a.name, b.name);
    if (contradicts(r, p))
        printf("; labelled %s, %s and %s, %s", class_name(r, 0, a.gender), class_name(r, 1, a.race),
               class_name(r, 0, b.gender), class_name(r, 1, b.race));
    putchar('\n');
}

static void print_photos(const report *r)
{
    size_t same = 0, shown = 0;
    for (size_t i = 0; i < r->pair_count; i++)
        same += r->pairs[i].match == SURVEY_SAME;
    printf("\n%zu photos can be read, %zu cannot; %zu pairs are the same, %zu look alike\n",
           r->survey.count - r->survey.bad, r->survey.bad, same, r->pair_count - same);
    if (r->contradictions)
        printf("%zu pairs are the same photo with labels that contradict each other\n",
               r->contradictions);
    for (size_t i = 0; i < r->survey.count; i++)
        if (r->survey.photos[i].message)
            printf("    %s:%zu: %s\n", sample_of(r, i).table, sample_of(r, i).line,
                   r->survey.photos[i].message);
    for (size_t i = 0; i < r->pair_count && shown < MOST_SHOWN; i++, shown++)
        print_pair(r, &r->pairs[i]);
    if (r->pair_count > shown)
        printf("    and %zu more; --json lists all\n", r->pair_count - shown);
}

static void print_text(const report *r)
{
    printf("%zu photos, %d classes of gender, %d of race, scores from %g to %g\n\n",
           hmt_dataset_count(r->set), (int)r->config.gender_classes, (int)r->config.race_classes,
           (double)r->config.score_min, (double)r->config.score_max);
    print_groups(r);
    for (size_t i = 0; i < hmt_dataset_split_count(r->set); i++) {
        const char *name = hmt_dataset_split_name(r->set, i);
        size_t counts[2], leaks = count_leaks(r, name, counts);
        printf("%ssplit %s: %zu for training, %zu for test", i ? "" : "\n", name, counts[0],
               counts[1]);
        if (!settings.no_photos)
            printf("; %zu pairs of photos lie across it", leaks);
        putchar('\n');
    }
    if (!settings.no_photos)
        print_photos(r);
}

static void print_json_groups(const report *r)
{
    const char *comma = "";
    printf("\"groups\":[");
    for (int32_t gender = -1; gender < r->config.gender_classes; gender++)
        for (int32_t race = -1; race < r->config.race_classes; race++) {
            group g = measure(r, gender, race);
            if (!g.faces)
                continue;
            printf("%s{\"gender\":", comma);
            json_string(stdout, class_name(r, 0, gender));
            printf(",\"race\":");
            json_string(stdout, class_name(r, 1, race));
            printf(",\"faces\":%zu,\"score\":", g.faces);
            json_number(stdout, g.scored ? g.mean : NAN, 9);
            printf(",\"deviation\":");
            json_number(stdout, g.deviation, 9);
            putchar('}');
            comma = ",";
        }
    putchar(']');
}

static void print_json(const report *r)
{
    printf("{\"photos\":%zu,", hmt_dataset_count(r->set));
    print_json_groups(r);
    printf(",\"splits\":[");
    for (size_t i = 0; i < hmt_dataset_split_count(r->set); i++) {
        size_t counts[2], leaks = count_leaks(r, hmt_dataset_split_name(r->set, i), counts);
        printf("%s{\"name\":", i ? "," : "");
        json_string(stdout, hmt_dataset_split_name(r->set, i));
        printf(",\"training\":%zu,\"test\":%zu,\"pairs_across\":%zu}", counts[0], counts[1], leaks);
    }
    printf("],\"unreadable\":[");
    for (size_t i = 0, some = 0; i < r->survey.count; i++)
        if (r->survey.photos[i].message) {
            printf("%s{\"name\":", some++ ? "," : "");
            json_string(stdout, sample_of(r, i).name);
            printf(",\"error\":");
            json_string(stdout, r->survey.photos[i].message);
            putchar('}');
        }
    printf("],\"pairs\":[");
    for (size_t i = 0; i < r->pair_count; i++) {
        printf("%s{\"match\":\"%s\",\"names\":[", i ? "," : "",
               r->pairs[i].match == SURVEY_SAME ? "same" : "alike");
        json_string(stdout, sample_of(r, r->pairs[i].a).name);
        putchar(',');
        json_string(stdout, sample_of(r, r->pairs[i].b).name);
        printf("],\"contradict\":%s}", contradicts(r, &r->pairs[i]) ? "true" : "false");
    }
    printf("],\"warnings\":[");
    for (size_t i = 0; hmt_dataset_warning(r->set, i); i++) {
        fputs(i ? "," : "", stdout);
        json_string(stdout, hmt_dataset_warning(r->set, i));
    }
    printf("]}\n");
}

static bool write_sheet(const report *r)
{
    size_t count = hmt_dataset_count(r->set), faces = (size_t)settings.faces;
    if (faces > count)
        faces = count;
    size_t columns = faces < SHEET_COLUMNS ? faces : SHEET_COLUMNS;
    board sheet = board_create(columns, (faces + columns - 1) / columns, SHEET_CELL);
    size_t *order = cli_allocate(count, sizeof *order);
    uint8_t *rgb = cli_allocate(SHEET_CELL * SHEET_CELL, 3);
    random_shuffle(order, count, (uint64_t)settings.seed);
    for (size_t i = 0; i < faces && !cli_interrupted(); i++) {
        hmt_sample s = sample_of(r, order[i]);
        char label[64];
        int used = 0;
        label[0] = '\0';
        if (s.gender >= 0)
            used += snprintf(label, sizeof label, "%.1s ", class_name(r, 0, s.gender));
        if (s.race >= 0)
            used += snprintf(label + used, sizeof label - (size_t)used, "%.8s ",
                             class_name(r, 1, s.race));
        if (!isnan(s.score))
            snprintf(label + used, sizeof label - (size_t)used, "%.2f", (double)s.score);
        board_label(&sheet, i % columns, i / columns, label);
        if (thumbnail(s.path, SHEET_CELL, rgb))
            board_put(&sheet, i % columns, i / columns, rgb);
    }
    bool good = board_save(&sheet, settings.sheet);
    free(rgb);
    free(order);
    board_free(&sheet);
    return good;
}

static int run(report *r, const char *path)
{
    r->set = labels_read(NULL, (hmt_dataset_kind)settings.kind, path, NULL);
    if (!r->set)
        return CLI_USAGE;
    hmt_model_config_init(&r->config);
    hmt_dataset_describe(r->set, NULL, 0, &r->config);
    if (!settings.no_photos) {
        if (!survey_run(&r->survey, r->set, cli_processors(), settings.quiet))
            return cli_interrupted() ? CLI_INTERRUPTED : CLI_SOME_FAILED;
        find_pairs(r);
    }
    if (settings.json)
        print_json(r);
    else
        print_text(r);
    if (settings.sheet && !write_sheet(r))
        return CLI_OUTPUT;
    return r->survey.bad || r->contradictions || hmt_dataset_warning(r->set, 0) ? CLI_SOME_FAILED
                                                                                : CLI_OK;
}

int main(int argc, char **argv)
{
    report r = {.set = NULL};
    int status, first = cli_parse(&program, argc, argv, &status);
    if (first < 0)
        return cli_end(status);
    if (argc - first != 1) {
        cli_error("one PATH is needed; see --help");
        return CLI_USAGE;
    }
    cli_catch_signals();
    status = run(&r, argv[first]);
    survey_free(&r.survey);
    free(r.pairs);
    hmt_dataset_free(r.set);
    return cli_end(status);
}
