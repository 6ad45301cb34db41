/* The fixed fill: FNV-1a of the name seeds splitmix64; the top 24 bits of output i + 1 are u. */
#include "fill.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

static uint64_t hash(const char *name)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (; *name; ++name)
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    return h;
}

/* Element i's u in [0, 1). */
static double unit(uint64_t seed, uint64_t i)
{
    uint64_t z = seed + (i + 1) * 0x9E3779B97F4A7C15u;

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (double)((z ^ (z >> 31)) >> 40) / 16777216.0;
}

static bool ends_with(const char *name, const char *end)
{
    size_t length = strlen(name), tail = strlen(end);

    return length >= tail && strcmp(name + length - tail, end) == 0;
}

/* The values are middle + reach * (2u - 1). */
static void range(const char *name, int32_t dimensions, const int64_t *shape, double *middle,
                  double *reach)
{
    const char *dot = strrchr(name, '.'), *leaf = dot ? dot + 1 : name;
    double fan_in = 1.0, spread = 2.0, centre = 0.0;

    for (int32_t i = 1; i < dimensions; ++i)
        fan_in *= (double)shape[i];
    if (strcmp(leaf, "running_var") == 0)
        centre = 1.25, spread = 0.25;
    else if (strcmp(leaf, "running_mean") == 0)
        spread = 0.1;
    else if (ends_with(name, "gbn3.bias") || ends_with(name, "rbn3.bias"))
        centre = 4.0, spread = 1.0; /* keeps the heads' last relu alive */
    else if (strcmp(leaf, "bias") == 0)
        spread = 0.1;
    else if (strcmp(leaf, "weight") == 0 && dimensions == 1)
        centre = 1.0, spread = 0.25;
    else if (strcmp(leaf, "weight") == 0)
        spread = sqrt(6.0 / fan_in);
    *middle = centre;
    *reach = spread;
}

void fill_tensor(const char *name, int32_t dimensions, const int64_t *shape, float *values)
{
    uint64_t seed = hash(name);
    int64_t count = 1;
    double centre, spread;

    for (int32_t i = 0; i < dimensions; ++i)
        count *= shape[i];
    range(name, dimensions, shape, &centre, &spread);
    for (int64_t i = 0; i < count; ++i)
        values[i] = (float)(centre + spread * (2.0 * unit(seed, (uint64_t)i) - 1.0));
}

void fill_disturb(int64_t count, float *values, double reach, uint64_t *state)
{
    for (int64_t i = 0; i < count; ++i) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        values[i] *= (float)(1.0 + reach * ((double)(*state >> 40) * 0x1p-23 - 1.0));
    }
}
