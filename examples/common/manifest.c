/*
 * Labelled photos from a CSV table (see manifest.h).
 *
 * Rows are read first, then the classes are collected or looked up, so that a name's number does
 * not depend on the order of rows.
 */
#include "manifest.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "csv.h"
#include "files.h"

enum { PATH, GENDER, RACE, SCORE, COLUMNS, NONE = -1 };

static const char *const column_names[COLUMNS] = {"path", "gender", "race", "score"};

static bool wrong(const manifest *table, size_t line, const char *what)
{
    cli_error("%s:%zu: %s", table->name, line, what);
    return false;
}

/* Finds the columns in the first row. */
static bool read_header(const manifest *table, csv_reader *reader, int where[COLUMNS])
{
    char text[80];
    int more = csv_next(reader);
    if (more <= 0)
        return wrong(table, reader->row_line, more < 0 ? reader->error : "the table is empty");
    for (int column = 0; column < COLUMNS; column++) {
        where[column] = NONE;
        for (size_t i = 0; i < reader->fields; i++) {
            if (strcmp(csv_field(reader, i), column_names[column]))
                continue;
            snprintf(text, sizeof text, "two columns are called '%s'", column_names[column]);
            if (where[column] != NONE)
                return wrong(table, reader->row_line, text);
            where[column] = (int)i;
        }
    }
    if (where[PATH] == NONE)
        return wrong(table, reader->row_line, "the first row names no column 'path'");
    if (where[GENDER] == NONE && where[RACE] == NONE && where[SCORE] == NONE)
        return wrong(table, reader->row_line, "no column 'gender', 'race' or 'score'");
    return true;
}

static bool read_score(const manifest *table, manifest_row *row, const char *cell)
{
    char *end;
    row->score = NAN;
    if (!*cell)
        return true;
    row->score = strtof(cell, &end);
    if (*end || !isfinite(row->score))
        return wrong(table, row->line, "the score is not a finite number");
    return true;
}

static bool read_row(manifest *table, const csv_reader *reader, const int where[COLUMNS],
                     size_t width, const char *folder)
{
    const char *cells[COLUMNS];
    char text[120];
    for (int i = 0; i < COLUMNS; i++)
        cells[i] = where[i] == NONE ? "" : csv_field(reader, (size_t)where[i]);
    table->rows = cli_grow(table->rows, &table->room, table->count + 1, sizeof *table->rows);
    manifest_row *row = &table->rows[table->count++];
    *row = (manifest_row){files_join(folder, cells[PATH]),
                          {cli_copy(cells[GENDER]), cli_copy(cells[RACE])},
                          {NONE, NONE},
                          NAN,
                          reader->row_line};
    if (reader->fields != width) {
        snprintf(text, sizeof text, "%zu cells where the first row has %zu", reader->fields, width);
        return wrong(table, row->line, text);
    }
    if (!*cells[PATH])
        return wrong(table, row->line, "the path is empty");
    for (int i = 0; i < 2; i++)
        if (strlen(row->names[i]) >= HMT_MAX_LABEL)
            return wrong(table, row->line, "a class name of more than 31 bytes");
    return read_score(table, row, cells[SCORE]);
}

static bool read_rows(manifest *table, csv_reader *reader, const char *folder)
{
    int where[COLUMNS], more;
    if (!read_header(table, reader, where))
        return false;
    size_t width = reader->fields;
    while ((more = csv_next(reader)) > 0)
        if (!read_row(table, reader, where, width, folder))
            return false;
    if (more < 0)
        return wrong(table, reader->row_line, reader->error);
    if (table->count == 0)
        return wrong(table, reader->row_line, "the table has no row");
    return true;
}

static int32_t find_class(const manifest_classes *classes, const char *name)
{
    for (int32_t i = 0; i < classes->count; i++)
        if (strcmp(classes->names[i], name) == 0)
            return i;
    return NONE;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static bool collect(const manifest *table, int task, manifest_classes *classes)
{
    char text[120];
    for (size_t i = 0; i < table->count; i++) {
        const char *name = table->rows[i].names[task];
        if (!*name || find_class(classes, name) != NONE)
            continue;
        if (classes->count == HMT_MAX_CLASSES) {
            snprintf(text, sizeof text, "more than %d classes of %s", HMT_MAX_CLASSES,
                     column_names[GENDER + task]);
            return wrong(table, table->rows[i].line, text);
        }
        strcpy(classes->names[classes->count++], name); /* read_row() has checked its length */
    }
    if (classes->count == 1) {
        cli_error("%s: only one class of %s, '%s', where a classifier needs two; empty cells leave "
                  "it out",
                  table->name, column_names[GENDER + task], classes->names[0]);
        return false;
    }
    qsort(classes->names, (size_t)classes->count, HMT_MAX_LABEL, by_name);
    return true;
}

static bool assign(manifest *table, int task, const manifest_classes *classes)
{
    for (size_t i = 0; i < table->count; i++) {
        manifest_row *row = &table->rows[i];
        row->label[task] = find_class(classes, row->names[task]);
        if (row->label[task] == NONE && *row->names[task]) {
            cli_error("%s:%zu: '%s' is not one of the %d classes of %s", table->name, row->line,
                      row->names[task], (int)classes->count, column_names[GENDER + task]);
            return false;
        }
    }
    return true;
}

static void measure_scores(manifest *table)
{
    double sum = 0;
    for (size_t i = 0; i < table->count; i++) {
        float score = table->rows[i].score;
        if (isnan(score))
            continue;
        if (table->scored == 0 || score < table->score_min)
            table->score_min = score;
        if (table->scored == 0 || score > table->score_max)
            table->score_max = score;
        sum += score;
        table->scored++;
    }
    if (table->scored)
        table->score_mean = (float)(sum / (double)table->scored);
}

bool manifest_read(manifest *table, const char *path, manifest_classes classes[2])
{
    csv_reader reader;
    *table = (manifest){.name = cli_copy(path)};
    FILE *stream = fopen(path, "r");
    if (!stream) {
        cli_error("cannot open %s: %s", path, strerror(errno));
        return false;
    }
    char *folder = files_folder(path);
    csv_open(&reader, stream);
    bool good = read_rows(table, &reader, folder);
    for (int task = 0; good && task < 2; task++)
        good = (classes[task].count || collect(table, task, &classes[task])) &&
               assign(table, task, &classes[task]);
    measure_scores(table);
    csv_close(&reader);
    free(folder);
    fclose(stream);
    return good;
}

void manifest_free(manifest *table)
{
    for (size_t i = 0; i < table->count; i++) {
        free(table->rows[i].path);
        free(table->rows[i].names[0]);
        free(table->rows[i].names[1]);
    }
    free(table->rows);
    free(table->name);
    *table = (manifest){0};
}
