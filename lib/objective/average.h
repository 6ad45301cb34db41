/*
 * The exponential moving average of what training changes, for one element. It is the exact
 * weighted mean of the values seen so far: the one before the newest counts `decay` times as much,
 * the one before that decay^2 times, and where training began not at all (Adam's bias correction,
 * Kingma and Ba 2015, section 3).
 */
#ifndef HMT_OBJECTIVE_AVERAGE_H
#define HMT_OBJECTIVE_AVERAGE_H

#include <math.h>
#include <stdint.h>

#include "objective/inline.h"

/* The newest value's share of an average over `count` values, count from 1; decay in [0, 1). */
OBJECTIVE_INLINE double average_share(double decay, uint64_t count)
{
    return (1.0 - decay) / (1.0 - pow(decay, (double)count));
}

/* Takes one value more into the average. The first, of share 1, replaces what stood there; an
 * average of equal values stays exactly that. */
OBJECTIVE_INLINE float average_move(float average, float value, float share)
{
    return share < 1.0f ? average + share * (value - average) : value;
}

#endif
