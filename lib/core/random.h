/*
 * Random numbers that depend on (seed, index) alone: splitmix64 as a counter-based generator. The
 * same on every machine and for every number of threads. Not for secrets.
 */
#ifndef HMT_CORE_RANDOM_H
#define HMT_CORE_RANDOM_H

#include <math.h>
#include <stdint.h>

/* Output `index` (from 0) of the generator seeded with `seed`. */
static inline uint64_t random_bits(uint64_t seed, uint64_t index)
{
    uint64_t z = seed + (index + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Uniform in [0, 1), 24 bits. */
static inline double random_uniform(uint64_t seed, uint64_t index)
{
    return (double)(random_bits(seed, index) >> 40) / 16777216.0;
}

/* Standard normal number `index`, by Box and Muller. */
static inline double random_normal(uint64_t seed, uint64_t index)
{
    double radius = sqrt(-2.0 * log(1.0 - random_uniform(seed, 2 * index)));
    return radius * cos(6.283185307179586 * random_uniform(seed, 2 * index + 1));
}

/* A seed of its own for a part of the work, e.g. one tensor or one sample. */
static inline uint64_t random_split(uint64_t seed, uint64_t part)
{
    return random_bits(seed ^ 0xD1B54A32D192ED03u, part);
}

#endif
