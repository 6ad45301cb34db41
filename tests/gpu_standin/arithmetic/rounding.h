/*
 * rounding.h - bfloat16 and TF32 as the devices store them: round to nearest, ties to even. NaN
 * stays NaN.
 */
#ifndef GPU_STANDIN_ROUNDING_H
#define GPU_STANDIN_ROUNDING_H

#include <stdint.h>
#include <string.h>

static inline uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Keeps the upper 32 - dropped bits. */
static inline uint32_t round_bits(uint32_t bits, int dropped)
{
    uint32_t half = (UINT32_C(1) << (dropped - 1)) - 1;
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u)
        return bits | 0x00400000u;
    return (bits + half + (bits >> dropped & 1)) >> dropped << dropped;
}

static inline uint16_t bfloat16_of(float value)
{
    return (uint16_t)(round_bits(bits_of(value), 16) >> 16);
}

static inline float float_of_bfloat16(uint16_t value)
{
    return float_of((uint32_t)value << 16);
}

/* 10 bits of fraction are left. */
static inline float round_tf32(float value)
{
    return float_of(round_bits(bits_of(value), 13));
}

static inline float round_bfloat16(float value)
{
    return float_of(round_bits(bits_of(value), 16));
}

#endif
