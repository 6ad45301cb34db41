/*
 * A table of photos and scores: a CSV with a column path and, if there are scores, a column score.
 */
#ifndef EXAMPLES_SCORES_H
#define EXAMPLES_SCORES_H

#include <stdbool.h>
#include <stddef.h>

typedef struct scores {
    char **paths;   /* as written; joined with the table's folder if asked for */
    double *values; /* NaN: not known */
    size_t count, path_room, value_room;
} scores;

/* Adds the rows of a table. false: a message with file and line has been printed. */
bool scores_read(scores *table, const char *path, bool join);
/* Adds one row. */
void scores_add(scores *table, const char *path, double value);
void scores_free(scores *table);

#endif
