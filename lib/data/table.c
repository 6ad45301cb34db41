/*
 * HMT_DATASET_CSV: one table with the columns path, gender, race and score, in any order, whatever
 * the case of their headings. Other columns are ignored, empty cells are not known, paths are
 * relative to the table's folder.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/file.h"
#include "core/memory.h"
#include "core/status.h"
#include "data/csv.h"
#include "data/dataset.h"

enum { PATH, GENDER, RACE, SCORE, COLUMNS, NONE = -1 };

static const uint64_t most_bytes = (uint64_t)1 << 30;
static const char *const column_names[COLUMNS] = {"path", "gender", "race", "score"};

typedef struct table {
    hmt_dataset *set;
    const char *name;
    char *folder;
    size_t index;
    csv csv;
    int where[COLUMNS]; /* field of each column, NONE if it is not there */
    size_t width;       /* fields of a row */
} table;

static hmt_status wrong(const table *t, const char *what)
{
    return status_fail(HMT_ERROR_FORMAT, "%s:%zu: %s", t->name, t->csv.row_line, what);
}

/* A column that is ignored although it was probably meant. */
static hmt_status note_headings(const table *t)
{
    hmt_status status = HMT_OK;

    for (int column = 0; column < COLUMNS; ++column)
        for (size_t i = 0; i < t->csv.count && t->where[column] == NONE; ++i) {
            char *heading = csv_trim(t->csv.fields[i]);

            if (status == HMT_OK && dataset_is_typo(heading, column_names[column]))
                status = dataset_note_at(t->set, t->name, t->csv.row_line,
                                         "the column '%s' is ignored; is '%s' meant?", heading,
                                         column_names[column]);
        }
    return status;
}

static hmt_status read_header(table *t)
{
    int more = csv_next(&t->csv);

    if (more <= 0)
        return wrong(t, more < 0 ? t->csv.error : "the table is empty");
    t->width = t->csv.count;
    for (int column = 0; column < COLUMNS; ++column) {
        t->where[column] = NONE;
        for (size_t i = 0; i < t->csv.count; ++i) {
            if (!csv_is_heading(t->csv.fields[i], column_names[column]))
                continue;
            if (t->where[column] != NONE)
                return status_fail(HMT_ERROR_FORMAT, "%s:%zu: two columns are called '%s'", t->name,
                                   t->csv.row_line, column_names[column]);
            t->where[column] = (int)i;
        }
    }
    if (t->where[PATH] == NONE)
        return wrong(t, "the first row names no column 'path'");
    if (t->set->scores)
        t->where[GENDER] = t->where[RACE] = NONE;
    else if (t->where[GENDER] == NONE && t->where[RACE] == NONE && t->where[SCORE] == NONE)
        return wrong(t, "no column 'gender', 'race' or 'score'");
    return note_headings(t);
}

/* A cell of scores: NaN where it is empty or a word for nothing. With semicolons between cells a
 * comma may stand before the decimals. */
static hmt_status read_score(table *t, char *cell, float *score)
{
    char *comma = t->csv.separator == ';' ? strchr(cell, ',') : NULL;

    *score = NAN;
    if (*cell == '\0')
        return HMT_OK;
    if (dataset_is_missing(cell))
        return dataset_note_at(t->set, t->name, t->csv.row_line,
                               "'%s' is taken for a score that is not known; leave the cell empty",
                               cell);
    if (comma != NULL)
        *comma = '.';
    return dataset_number(cell, score) ? HMT_OK : wrong(t, "the score is not a finite number");
}

static hmt_status read_row(table *t)
{
    dataset_row row = {.score = NAN, .table = t->index, .line = t->csv.row_line};
    char nothing[1] = "", *cells[COLUMNS];
    hmt_status status;

    if (t->csv.count != t->width)
        return status_fail(HMT_ERROR_FORMAT, "%s:%zu: %zu cells where the first row has %zu",
                           t->name, t->csv.row_line, t->csv.count, t->width);
    for (int i = 0; i < COLUMNS; ++i)
        cells[i] = t->where[i] == NONE ? nothing : t->csv.fields[t->where[i]];
    if (*csv_trim(cells[PATH]) == '\0')
        return wrong(t, "the path is empty");
    status = read_score(t, csv_trim(cells[SCORE]), &row.score);
    for (int task = 0; task < 2 && status == HMT_OK; ++task)
        status =
            dataset_class(t->set, task, cells[GENDER + task], t->name, row.line, &row.label[task]);
    if (status == HMT_OK)
        status = dataset_join(t->set, t->folder, cells[PATH], &row.path);
    if (status != HMT_OK)
        return status;
    row.name = cells[PATH];
    status = dataset_add(t->set, &row);
    memory_free(&t->set->allocator, row.path);
    return status;
}

/* A classifier needs two classes. */
static hmt_status check_classes(const table *t)
{
    for (int task = 0; task < 2; ++task)
        if (t->set->classes[task] == 1)
            return status_fail(HMT_ERROR_FORMAT,
                               "%s: only one class of %s, '%s', where a classifier needs two; "
                               "empty cells leave it out",
                               t->name, column_names[GENDER + task], t->set->names[task][0]);
    return HMT_OK;
}

static hmt_status read_rows(table *t)
{
    int more;
    hmt_status status = read_header(t);

    while (status == HMT_OK && (more = csv_next(&t->csv)) != 0)
        status = more > 0 ? read_row(t) : wrong(t, t->csv.error);
    if (status == HMT_OK && t->set->count == 0)
        status = wrong(t, "the table has no row");
    if (status == HMT_OK)
        status = check_classes(t);
    return status == HMT_OK ? dataset_note_doubts(t->set, false) : status;
}

hmt_status dataset_read_table(hmt_dataset *set, const char *path)
{
    const char *slash = strrchr(path, '/');
    table t = {.set = set, .name = path};
    unsigned char *text = NULL;
    size_t size;
    hmt_status status = file_read(&set->allocator, path, most_bytes, &text, &size);

    if (status == HMT_OK)
        status = dataset_table(set, path, &t.index);
    if (status == HMT_OK)
        status = memory_string(&set->allocator, slash != NULL ? path : ".", &t.folder);
    if (status == HMT_OK) {
        if (slash != NULL)
            t.folder[slash == path ? 1 : slash - path] = '\0';
        csv_begin(&t.csv, (char *)text, size);
        status = read_rows(&t);
    }
    memory_free(&set->allocator, t.folder);
    memory_free(&set->allocator, text);
    return status;
}
