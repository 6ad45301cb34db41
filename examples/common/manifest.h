/*
 * Labelled photos: a CSV table with the columns path, gender, race and score, in any order.
 *
 * Any cell but the path may be empty: that label is not known. Other columns are ignored. Paths are
 * relative to the table's folder. Every error names file and line.
 */
#ifndef EXAMPLES_MANIFEST_H
#define EXAMPLES_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hmtnet/hmtnet.h>

typedef struct manifest_row {
    char *path;
    char *names[2];   /* gender and race as written; "" if not known */
    int32_t label[2]; /* HMT_TASK_GENDER and HMT_TASK_RACE; -1: not known */
    float score;      /* NaN: not known */
    size_t line;
} manifest_row;

/* The class names of one task; an empty one is to be collected from the table. */
typedef struct manifest_classes {
    char names[HMT_MAX_CLASSES][HMT_MAX_LABEL];
    int32_t count;
} manifest_classes;

typedef struct manifest {
    char *name; /* the table's file name */
    manifest_row *rows;
    size_t count, room;
    size_t scored; /* rows with a score, and over those: */
    float score_min, score_max, score_mean;
} manifest;

/* Reads a table. Classes with count 0 are collected from it and sorted by name; otherwise a name
 * that is not among them is an error. false: a message has been printed; free it all the same. */
bool manifest_read(manifest *table, const char *path, manifest_classes classes[2]);
void manifest_free(manifest *table);

#endif
