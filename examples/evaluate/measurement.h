/*
 * What a model's predictions on a data set come to, for all photos and for each group, and the
 * forms in which that is printed.
 */
#ifndef EXAMPLES_MEASUREMENT_H
#define EXAMPLES_MEASUREMENT_H

#include "common/evaluation.h"

/* The classes of one group; -1: any. */
typedef struct group {
    int32_t gender, race;
} group;

enum { GROUP_NAME = 2 * HMT_MAX_LABEL + 4 };

typedef struct measurement {
    const evaluation *evaluation; /* run */
    const hmt_outcome *outcomes;  /* (count) */
    hmt_metrics_options how; /* resamples, confidence and seed; the group is set by measure() */
    hmt_metrics metrics;     /* of the last measure() */
} measurement;

/* Measures one group. Says why it cannot, and returns false, else. */
bool measure(measurement *m, group g);

typedef void group_visitor(const measurement *m, group g, void *context);

/* Measures all photos, each gender, each race and each pair, and calls `visit` for those that have
 * photos. */
bool measure_groups(measurement *m, group_visitor *visit, void *context);

/* A class's name; task 0 is gender, 1 race. */
const char *measurement_class(const measurement *m, int task, int32_t label);
/* "female, asian", "male", "all". */
void measurement_name(const measurement *m, group g, char name[GROUP_NAME]);
/* Whether a figure has an interval to show. */
bool measurement_interval(const measurement *m, hmt_figure f);

/* Why the measured group has no correlation although it has scores; NULL if it has one, or none. */
const char *measurement_undefined(const measurement *m);

/* To standard output. False: measuring failed. */
bool measurement_text(measurement *m);
bool measurement_markdown(measurement *m);
bool measurement_json(measurement *m);

/* A row for each photo as CSV; path "-" is standard output. False: it could not be written. */
bool measurement_predictions(const measurement *m, const char *path);

#endif
