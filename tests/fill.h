/*
 * The fixed fill: every tensor's values made from its name alone, so that golden files carry no
 * weights. The same rules as the script that made the golden files.
 */
#ifndef HMT_TESTS_FILL_H
#define HMT_TESTS_FILL_H

#include <stdint.h>

/* Fills `values` with the tensor called `name`. The last part of the name decides the range:
 * running_mean, running_var, bias, weight (shape matters: fan in), anything else is an input in
 * [-2, 2). */
void fill_tensor(const char *name, int32_t dimensions, const int64_t *shape, float *values);

/* Moves each value by up to `reach`, relative: by numbers that follow from *state alone, which goes
 * on to its next. */
void fill_disturb(int64_t count, float *values, double reach, uint64_t *state);

#endif
