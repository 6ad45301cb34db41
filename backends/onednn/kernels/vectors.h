/*
 * Vectors of LANES floats as gcc's and clang's vector extension writes them; LANES comes from the
 * level_*.c file that includes this.
 */
#ifndef HMT_ONEDNN_VECTORS_H
#define HMT_ONEDNN_VECTORS_H

#include <hmtnet/hmtnet.h>
#include <stddef.h>
#include <stdint.h>

typedef float vec __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t mask __attribute__((vector_size(LANES * sizeof(float))));
typedef float quad __attribute__((vector_size(4 * sizeof(float))));
typedef int32_t quad_mask __attribute__((vector_size(4 * sizeof(float))));
typedef float loose __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

/* Dot products at a time, and how far ahead, in bytes, their weights are asked for. */
enum { IMAGES = 3, FEATURES = 4, WEIGHTS_AHEAD = 2048 };

#define KERNEL static inline __attribute__((always_inline))

/* Before a loop over registers, of at most 16 turns: without it they would be an array in memory.
 */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

KERNEL vec load(const float *p)
{
    return *(const loose *)p;
}

typedef uint32_t bits __attribute__((vector_size(LANES * sizeof(float))));
typedef uint16_t halves
    __attribute__((vector_size(LANES * sizeof(uint16_t)), aligned(2), may_alias));

/* Whether the processor itself widens IEEE half precision. */
#ifdef LOAD_F16
enum { LOADS_F16 = 1 };
#else
enum { LOADS_F16 = 0 };
#define LOAD_F16(p) widen_f16(p)

/* IEEE half precision: the exponent's bias of 15 becomes 127 by a product, right for subnormals. */
KERNEL vec widen_f16(const uint16_t *p)
{
    const bits h = __builtin_convertvector(*(const halves *)p, bits);
    const bits magnitude = (bits)((vec)((h & 0x7fffu) << 13) * 0x1p112f);

    return (vec)(magnitude | ((bits)((h & 0x7c00u) == 0x7c00u) & 0x7f800000u) |
                 (h & 0x8000u) << 16);
}
#endif

/* LANES values from element `at` of an array stored as `stored`. */
KERNEL vec load_stored(const hmt_dtype stored, const void *array, int64_t at)
{
    if (stored == HMT_DTYPE_F32)
        return load((const float *)array + at);
    if (stored == HMT_DTYPE_F16)
        return LOAD_F16((const uint16_t *)array + at);
    return (vec)(__builtin_convertvector(*(const halves *)((const uint16_t *)array + at), bits)
                 << 16);
}

KERNEL void store(float *p, vec v)
{
    *(loose *)p = v;
}

/* Stores past the caches, to a whole line's place; STREAM_END() before others read it. */
#ifndef STREAM
#define STREAM(p, v) store((p), (v))
#define STREAM_END() ((void)0)
#endif

KERNEL vec all(float value)
{
    return value - (vec){0};
}

/* The larger of each two; b where one is a NaN. */
#ifndef LARGER
#define LARGER(a, b) larger(a, b)

KERNEL vec larger(vec a, vec b)
{
    union {
        vec all;
        quad part[LANES / 4];
    } x = {a}, y = {b};

    for (int i = 0; i < LANES / 4; ++i) {
        const quad_mask first = x.part[i] > y.part[i];

        y.part[i] = (quad)((first & (quad_mask)x.part[i]) | (~first & (quad_mask)y.part[i]));
    }
    return y.all;
}
#endif

/* max(0, v); a NaN stays, so that the answer shows it. */
KERNEL vec rectify(vec v)
{
    return LARGER((vec){0}, v);
}

/* Of many images: a piece of MANY rows stays in the first-level cache while all images pass by, and
 * theirs in the second-level cache while all rows do. */
enum { MANY = LANES >= 16 ? 8 : FEATURES, PIECE = 1024 };

/* Prefetches `bytes` of a weight that one image reads once, with a non-temporal hint: the second
 * and third-level caches keep what the next run needs. */
KERNEL void prefetch_nontemporal(const void *weight, const int bytes)
{
    enum { LINE = 64 };

    UNROLL
    for (int i = 0; i < bytes; i += LINE)
        __builtin_prefetch((const char *)weight + WEIGHTS_AHEAD + i, 0, 0);
}

/* Rows of a weight that will be read next, an element of each at a time. */
typedef struct coming_rows {
    const char *at;
    int count;
} coming_rows;

#endif
