/*
 * Random numbers that depend on a seed and a place alone, and orders drawn from them.
 */
#ifndef EXAMPLES_RANDOM_H
#define EXAMPLES_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* A random number from two others (splitmix64). */
uint64_t random_mix(uint64_t seed, uint64_t part);
/* A random order of 0 .. count - 1. */
void random_shuffle(size_t *order, size_t count, uint64_t seed);

#endif
