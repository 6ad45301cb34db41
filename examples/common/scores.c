/* A table of photos and scores (see scores.h). */
#include "scores.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "csv.h"
#include "files.h"

enum { NONE = -1 };

void scores_add(scores *table, const char *path, double value)
{
    table->paths =
        cli_grow(table->paths, &table->path_room, table->count + 1, sizeof *table->paths);
    table->values =
        cli_grow(table->values, &table->value_room, table->count + 1, sizeof *table->values);
    table->paths[table->count] = cli_copy(path);
    table->values[table->count++] = value;
}

void scores_free(scores *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->paths[i]);
    free(table->paths);
    free(table->values);
    *table = (scores){0};
}

static int find_column(const csv_reader *reader, const char *name)
{
    for (size_t i = 0; i < reader->fields; i++)
        if (strcmp(csv_field(reader, i), name) == 0)
            return (int)i;
    return NONE;
}

static bool wrong(const csv_reader *reader, const char *name, const char *why)
{
    cli_error("%s:%zu: %s", name, reader->row_line, why);
    return false;
}

/* An empty cell is NaN. */
static bool number(const char *text, double *value)
{
    char *end;
    *value = NAN;
    if (!*text)
        return true;
    *value = strtod(text, &end);
    return end != text && !*end && isfinite(*value);
}

static bool read_rows(scores *table, csv_reader *reader, const char *name, const char *folder)
{
    int got = csv_next(reader), path, score;
    if (got <= 0)
        return wrong(reader, name, got ? reader->error : "the table is empty");
    const size_t columns = reader->fields;
    path = find_column(reader, "path");
    score = find_column(reader, "score");
    if (path == NONE)
        return wrong(reader, name, "the first row has no column 'path'");
    while ((got = csv_next(reader)) > 0) {
        double value = NAN;
        if (reader->fields != columns)
            return wrong(reader, name, "not as many cells as the first row");
        if (!*csv_field(reader, (size_t)path))
            return wrong(reader, name, "the path is empty");
        if (score != NONE && !number(csv_field(reader, (size_t)score), &value))
            return wrong(reader, name, "the score is not a number");
        char *joined = folder ? files_join(folder, csv_field(reader, (size_t)path)) : NULL;
        scores_add(table, joined ? joined : csv_field(reader, (size_t)path), value);
        free(joined);
    }
    return got == 0 || wrong(reader, name, reader->error);
}

bool scores_read(scores *table, const char *path, bool join)
{
    csv_reader reader;
    FILE *stream = fopen(path, "r");
    if (!stream) {
        cli_error("cannot open %s: %s", path, strerror(errno));
        return false;
    }
    char *folder = join ? files_folder(path) : NULL;
    csv_open(&reader, stream);
    bool good = read_rows(table, &reader, path, folder);
    csv_close(&reader);
    free(folder);
    fclose(stream);
    return good;
}
