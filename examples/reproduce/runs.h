/*
 * Runs of an experiment: one network trained with one seed on one split, and measured on the
 * split's other side.
 *
 * What is finished lies in the output folder: NAME.safetensors, NAME.result. What is under way has
 * a NAME.checkpoint there, from which the next call goes on. Files of other settings are refused.
 */
#ifndef EXAMPLES_RUNS_H
#define EXAMPLES_RUNS_H

#include "common/device.h"
#include "experiments.h"

typedef struct run_settings {
    hmt_dataset_kind kind;
    const char *data, *output;
    device_settings device;
    bool paper; /* the paper's schedule and augmentation, else short ones */
    double width, rate;
    int64_t epochs, batch, decoders, cache;
    bool quiet;
} run_settings;

typedef struct run_place {
    const char *split;
    uint64_t seed;
} run_place;

/* The path of a run's file, to be freed. */
char *run_path(const run_settings *s, const training_plan *plan, run_place place,
               const char *ending);
/* Trains and measures, or goes on, or reads what is there. Returns an exit status. */
int run_measure(const run_settings *s, const training_plan *plan, run_place place, bool five_crops,
                hmt_metrics *metrics);
/* Writes the faces that a finished run predicted best and worst, the paper's figure 2. */
int run_sheet(const run_settings *s, const training_plan *plan, run_place place, const char *path);

#endif
