/*
 * An evaluation as one self-contained HTML page: figures with intervals, learning curves, charts,
 * confusion matrices, groups, the faces whose scores were predicted best and worst, and maps of
 * what the network answers to in some of them. No script, nothing is fetched; light and dark.
 */
#ifndef EXAMPLES_REPORT_H
#define EXAMPLES_REPORT_H

#include "evaluation.h"

/* The figures of one group. */
typedef struct report_group {
    char name[2 * HMT_MAX_LABEL + 4];
    bool pair; /* of a gender and a race */
    hmt_metrics metrics;
} report_group;

typedef struct report_input {
    const evaluation *evaluation;
    const hmt_outcome *outcomes; /* (evaluation->count) */
    const report_group *groups;  /* (group_count) the first one is all photos */
    size_t group_count;
    double confidence;
    const char *model, *data;      /* as they were named */
    const char *command;           /* the whole command line */
    const char *history;           /* hmtnet-train's, or NULL */
    const device_settings *device; /* for the maps */
} report_input;

/* Writes FOLDER/index.html, the folder too if it is not there. false: a message has been printed.
 */
bool report_write(const char *folder, const report_input *in);

#endif
