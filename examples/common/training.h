/*
 * A training run: epochs of steps over photos, validation, saving, reports on standard output.
 *
 * The caller makes model and trainer and reads the photos; training_run() does the rest.
 */
#ifndef EXAMPLES_TRAINING_H
#define EXAMPLES_TRAINING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hmtnet/hmtnet.h>

#include "faces.h"
#include "progress.h"

typedef struct training {
    /* Set by the caller. */
    hmt_model *model;
    hmt_trainer *trainer;  /* made with profile set, so that operations can be counted */
    hmt_schedule schedule; /* its total is the number of steps to do */
    faces *photos;         /* to train on: at least one batch */
    faces *unseen;         /* to validate on, or NULL */
    const char *output;    /* the model file */
    hmt_dtype storage;
    size_t batch;
    uint64_t seed, epochs;
    uint64_t save_every, validate_every; /* epochs */
    int decoders;                        /* threads that prepare photos */
    bool flip, quiet;

    /* The run's own. */
    int32_t *labels[2];          /* (batch) gender, race */
    float *scores;               /* (batch) */
    hmt_prediction *predictions; /* (batch) */
    size_t *order;               /* of the training photos in this epoch */
    uint64_t epoch_seed;
    uint64_t step;     /* steps done */
    double step_flops; /* operations of one */
    bool saved;        /* output holds a model of this run */
    progress bar;
} training;

/* Trains until the schedule's total or an interruption, and saves. Returns an exit status. */
int training_run(training *run);

#endif
