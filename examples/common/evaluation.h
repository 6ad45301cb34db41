/*
 * A model's predictions on a labelled data set: one or several crops of each photo, mirrored too
 * if asked for, the mean of what the network says of them.
 */
#ifndef EXAMPLES_EVALUATION_H
#define EXAMPLES_EVALUATION_H

#include <stdbool.h>

#include <hmtnet/data.h>

#include "network.h"

enum { EVALUATION_BATCH = 8 };

typedef struct evaluation {
    const hmt_dataset *set;
    const size_t *samples; /* (count) of the data set */
    size_t count;
    bool flip, quiet;
    network net; /* loaded, with the session's options below; its preprocessing says which crops */

    hmt_prediction *predictions; /* (count) */
    char **messages;             /* (count) why a photo has no prediction; NULL: it has */
    size_t bad;
} evaluation;

/* Views of one photo. */
int evaluation_views(const evaluation *e);
/* Predicts every photo. Returns an exit status; unreadable photos are CLI_OK here. */
int evaluation_run(evaluation *e);
/* The outcome of one photo, with what is known of it. */
hmt_outcome evaluation_outcome(const evaluation *e, size_t index);
void evaluation_free(evaluation *e);

#endif
