/*
 * hmtnet-train's command line: what was asked for, and the library's structs made from it.
 */
#ifndef EXAMPLES_TRAIN_OPTIONS_H
#define EXAMPLES_TRAIN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include <hmtnet/data.h>

#include "device.h"

enum { TRAIN_MOST_RULES = 64 };

/* The options as given; numbers below 0 and NULL: not given. */
typedef struct train_options {
    const char *data, *validate, *split, *output, *from, *pretrained, *alpha, *freeze, *rates;
    const char *checkpoint, *best, *history, *sheet;
    int64_t epochs, batch, steps, seed, devices, decoders, resize, save_every, validate_every;
    int64_t cache, step_epochs, accumulate, average_every;
    int64_t checkpoint_steps, patience;
    int kind, preset, augment, schedule, loss, wiring, aggregator, storage, best_by;
    int no_flip, skip_bad, quiet, nesterov, decay_weights_only, resume;
    device_settings device;
    double rate, factor, warmup, warmup_epochs, momentum, decay, delta, width, smoothing;
    double average;
    double rotation, brightness, contrast, saturation, hue;
} train_options;

extern train_options train_settings;
extern const cli_program train_program;

/* A recipe and what its rules point into. */
typedef struct train_recipe {
    hmt_trainer_options options;
    hmt_param_rule rules[TRAIN_MOST_RULES];
    char *freeze, *rates;
} train_recipe;

/* Checks what the table of options cannot, completes the settings by the preset and fills in the
 * recipe. false: a message has been printed. */
bool train_options_check(train_recipe *recipe, int operands);
void train_recipe_free(train_recipe *recipe);

/* How the rate moves over epochs of so many steps. */
void train_options_schedule(hmt_schedule *schedule, uint64_t epoch_steps);
/* What is done to a photo, with the model's size and normalisation. */
void train_options_augment(hmt_augment_options *augment, const hmt_model_config *config);

#endif
