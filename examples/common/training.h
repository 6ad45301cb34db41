/*
 * A training run: epochs of steps over photos, validation, saving, reports on standard output.
 *
 * The caller makes model and trainer, reads the photos and sets where the run stands;
 * training_run() does the rest.
 */
#ifndef EXAMPLES_TRAINING_H
#define EXAMPLES_TRAINING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hmtnet/data.h>

#include "history.h"
#include "progress.h"
#include "run_state.h"

/* Which validation is the best one. */
typedef enum best_by { BEST_BY_LOSS, BEST_BY_PEARSON, BEST_BY_MAE } best_by;

typedef struct training {
    /* Set by the caller. */
    hmt_model *model;
    hmt_trainer *trainer;
    hmt_schedule schedule; /* its total is the number of steps to do */
    hmt_loader *photos;    /* to train on: whole batches, shuffled */
    hmt_loader *unseen;    /* to validate on, or NULL */
    size_t unseen_count;   /* its photos */
    const char *output;    /* the model file */
    hmt_dtype storage;
    size_t batch;
    size_t devices;      /* that the trainer has */
    const double *alpha; /* by task: weights of the losses */
    uint64_t epochs;
    uint64_t save_every, validate_every; /* epochs */
    bool quiet;
    const char *checkpoint;    /* the file to go on from, or NULL */
    uint64_t checkpoint_every; /* steps; 0: with each save */
    const char *plan;          /* one line that says what this run is */
    const char *best;          /* the file for the best model, or NULL */
    best_by best_by;
    uint64_t patience; /* validations without a better one after which the run ends; 0: never */
    history history;
    run_state state; /* where the run stands: all zero but best, which is NaN, at its beginning */

    /* The run's own. */
    hmt_prediction *predictions; /* (batch) */
    double step_flops;           /* operations of one step */
    bool saved;                  /* output holds a model of this run */
    progress bar;
} training;

/* Trains until the schedule's total or an interruption, and saves. Returns an exit status. */
int training_run(training *run);

#endif
