/*
 * Lists as the published data sets have them: a name and a score on each line.
 */
#ifndef HMT_DATA_LIST_H
#define HMT_DATA_LIST_H

#include "data/dataset.h"

/* One line of a list. */
typedef struct list_line {
    const char *file; /* the list's path */
    size_t line;
    char *name; /* may be changed */
    float score;
} list_line;

/* Reads FOLDER/NAME, "name score" with blanks between, or where the first line says "image,score"
 * (and perhaps more columns) as CSV; names may stand in quotes. Hands each line to `take`, which
 * returns a status. */
hmt_status list_read(const hmt_dataset *set, const char *folder, const char *name,
                     hmt_status (*take)(void *user, const list_line *line), void *user);

#endif
