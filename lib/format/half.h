/*
 * IEEE half precision (f16) and bfloat16 (bf16) to and from float32: round to nearest even, right
 * for subnormals, infinities and NaN. Without branches, so that loops over them are vectorised; the
 * whole of lib/format converts through these.
 */
#ifndef HMT_FORMAT_HALF_H
#define HMT_FORMAT_HALF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t half_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float half_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Files are little endian: may values be copied as they are? */
static inline bool half_little_endian(void)
{
    const uint16_t one = 1;
    unsigned char first;

    memcpy(&first, &one, 1);
    return first == 1;
}

static inline float half_from_f16(uint16_t h)
{
    uint32_t magnitude = h & 0x7fffu;
    uint32_t normal = (magnitude << 13) + (112u << 23); /* exponent bias 15 becomes 127 */
    uint32_t special = (magnitude << 13) | 0x7f800000u;
    uint32_t small = half_bits((float)(int32_t)magnitude * 0x1p-24f);
    uint32_t bits = magnitude < 0x0400u ? small : magnitude < 0x7c00u ? normal : special;

    return half_float(bits | (uint32_t)(h & 0x8000u) << 16);
}

/* Magnitudes from 65520 on become infinity. */
static inline uint16_t half_to_f16(float value)
{
    uint32_t bits = half_bits(value), magnitude = bits & 0x7fffffffu;
    uint32_t normal = (magnitude - (112u << 23) + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
    /* 0.5 has its last bit at 2^-24, f16's smallest step: the addition rounds. */
    uint32_t small = half_bits(half_float(magnitude) + 0.5f) - 0x3f000000u;
    uint32_t nan = 0x7e00u | (magnitude >> 13 & 0x3ffu);
    uint32_t h = magnitude < 0x38800000u    ? small
                 : magnitude < 0x477ff000u  ? normal
                 : magnitude <= 0x7f800000u ? 0x7c00u
                                            : nan;

    return (uint16_t)(h | (bits >> 16 & 0x8000u));
}

static inline float half_from_bf16(uint16_t h)
{
    return half_float((uint32_t)h << 16);
}

/* Magnitudes from 3.3961776e38 (2^128 - 2^119) on become infinity. */
static inline uint16_t half_to_bf16(float value)
{
    uint32_t bits = half_bits(value);
    uint32_t rounded = bits + 0x7fffu + (bits >> 16 & 1u);
    uint32_t nan = bits | 0x00400000u;

    return (uint16_t)(((bits & 0x7fffffffu) > 0x7f800000u ? nan : rounded) >> 16);
}

static inline void half_array_from_f16(const uint16_t *in, float *out, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        out[i] = half_from_f16(in[i]);
}

static inline void half_array_from_bf16(const uint16_t *in, float *out, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        out[i] = half_from_bf16(in[i]);
}

static inline void half_array_to_f16(const float *in, uint16_t *out, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        out[i] = half_to_f16(in[i]);
}

static inline void half_array_to_bf16(const float *in, uint16_t *out, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        out[i] = half_to_bf16(in[i]);
}

/* The first finite value whose magnitude is at least `limit`; `count` if there is none. */
static inline size_t half_first_overflow(const float *in, size_t count, float limit)
{
    uint32_t beyond = half_bits(limit);

    for (size_t i = 0; i < count; ++i) {
        uint32_t magnitude = half_bits(in[i]) & 0x7fffffffu;
        if (magnitude >= beyond && magnitude < 0x7f800000u)
            return i;
    }
    return count;
}

/* Limits for half_first_overflow(). */
#define HALF_F16_LIMIT 65520.0f
#define HALF_BF16_LIMIT 0x1.ffp+127f

#endif
