/*
 * The order in which an epoch takes its samples: a function of (seed, epoch) alone.
 */
#ifndef HMT_DATA_ORDER_H
#define HMT_DATA_ORDER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/random.h"

/* Fills order, (count), with 0 .. count - 1, shuffled (Fisher and Yates) if asked for. */
static inline void order_fill(size_t *order, size_t count, bool shuffle, uint64_t seed,
                              uint64_t epoch)
{
    const uint64_t draws = random_split(seed, 2 * epoch);

    for (size_t i = 0; i < count; ++i)
        order[i] = i;
    for (size_t i = count; shuffle && i > 1; --i) {
        size_t k = (size_t)(random_bits(draws, i) % i), swapped = order[i - 1];

        order[i - 1] = order[k];
        order[k] = swapped;
    }
}

/* The seed of one sample's augmentation in an epoch. */
static inline uint64_t order_sample_seed(uint64_t seed, uint64_t epoch, size_t sample)
{
    return random_split(random_split(seed, 2 * epoch + 1), sample);
}

#endif
