/*
 * Vectors of LANES floats as gcc's and clang's vector extension writes them; LANES comes from the
 * level_*.c file that includes this.
 */
#ifndef HMT_ONEDNN_VECTORS_H
#define HMT_ONEDNN_VECTORS_H

#include <stddef.h>
#include <stdint.h>

typedef float vec __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t mask __attribute__((vector_size(LANES * sizeof(float))));
typedef float loose __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

#define KERNEL static inline __attribute__((always_inline))

KERNEL vec load(const float *p)
{
    return *(const loose *)p;
}

KERNEL void store(float *p, vec v)
{
    *(loose *)p = v;
}

KERNEL vec all(float value)
{
    return value - (vec){0};
}

/* max(0, v); 0 for a NaN. */
KERNEL vec rectify(vec v)
{
    return (vec)((v > (vec){0}) & (mask)v);
}

#endif
