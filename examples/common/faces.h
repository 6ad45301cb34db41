/*
 * The photos of a manifest, ready to be trained on: decoded once, kept in memory as far as a bound
 * allows, and turned into tensors with or without augmentation.
 *
 * What augmentation does depends on the seed alone, not on threads or order.
 */
#ifndef EXAMPLES_FACES_H
#define EXAMPLES_FACES_H

#include <stdatomic.h>
#include <stdbool.h>

#include "manifest.h"

enum { FACES_SIDE = 224, FACES_FLOATS = 3 * FACES_SIDE * FACES_SIDE };

typedef struct faces {
    const hmt_context *context;
    manifest *table;
    hmt_pixels *pixels; /* (table->count) resized; data NULL: not kept, decoded each time */
    atomic_size_t kept; /* bytes kept */
    size_t bound;       /* bytes that may be kept */
    hmt_preprocess_options preprocess; /* the model's normalisation and size */
} faces;

/* Reads every photo of the table once, on `workers` threads. One that cannot be read is named; then
 * its row is dropped from the table if skip_bad is set, else the answer is false, as it is after an
 * interruption. */
bool faces_read(faces *set, const hmt_context *context, manifest *table,
                const hmt_model_config *config, size_t bound, int workers, bool skip_bad,
                bool quiet);
/* Tensor (3,224,224) of row `row`: centre crop, or with augment random crop and flip. */
hmt_status faces_tensor(faces *set, size_t row, bool augment, bool flip, uint64_t seed,
                        float *tensor);
void faces_free(faces *set);

/* A random number from two others (splitmix64), for seeds. */
uint64_t faces_mix(uint64_t seed, uint64_t part);
/* A random order of 0 .. count - 1. */
void faces_shuffle(size_t *order, size_t count, uint64_t seed);

#endif
