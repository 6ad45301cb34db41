/*
 * Dropout without a stored mask: whether an element is kept depends on (seed, layer, index) alone,
 * so that the backward pass makes the same decision again, on any backend and any number of
 * threads.
 */
#ifndef HMT_OBJECTIVE_DROPOUT_H
#define HMT_OBJECTIVE_DROPOUT_H

#include "objective/inline.h"

/* What element `index` (N,C,H,W order) is multiplied by: 0, or 1 / (1 - drop). drop in [0, 1). */
OBJECTIVE_INLINE float dropout_factor(uint64_t seed, int32_t salt, int64_t index, float drop)
{
    uint64_t z = seed ^ ((uint64_t)(uint32_t)salt << 40);

    z += ((uint64_t)index + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (float)(z >> 40) < drop * 16777216.0f ? 0.0f : 1.0f / (1.0f - drop);
}

#endif
