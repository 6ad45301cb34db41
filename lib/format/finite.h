/*
 * Numbers that are not finite, found by their exponent's bits alone: a pass over memory at its own
 * speed, as loops without branches are vectorised.
 */
#ifndef HMT_FORMAT_FINITE_H
#define HMT_FORMAT_FINITE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { FINITE_BLOCK = 4096 /* elements between two looks */ };

/* Where the exponent is all ones, adding one at its lowest place carries into the sign's, which was
 * masked out. */
static inline size_t finite_first_bad_32(const float *values, size_t count)
{
    for (size_t done = 0; done < count; done += FINITE_BLOCK) {
        const size_t n = count - done < FINITE_BLOCK ? count - done : FINITE_BLOCK;
        uint32_t any = 0, bits;

        for (size_t i = 0; i < n; ++i) {
            memcpy(&bits, values + done + i, sizeof bits);
            any |= (bits & 0x7f800000u) + 0x00800000u;
        }
        for (size_t i = 0; any >> 31 != 0 && i < n; ++i) {
            memcpy(&bits, values + done + i, sizeof bits);
            if ((bits & 0x7f800000u) == 0x7f800000u)
                return done + i;
        }
    }
    return count;
}

/* The same for 16 bits, of which `exponent` are the exponent's. */
static inline size_t finite_first_bad_16(const uint16_t *values, size_t count, uint16_t exponent)
{
    const uint16_t lowest = (uint16_t)(exponent & (~exponent + 1u));

    for (size_t done = 0; done < count; done += FINITE_BLOCK) {
        const size_t n = count - done < FINITE_BLOCK ? count - done : FINITE_BLOCK;
        uint16_t any = 0;

        for (size_t i = 0; i < n; ++i)
            any |= (uint16_t)((values[done + i] & exponent) + lowest);
        for (size_t i = 0; any >> 15 != 0 && i < n; ++i)
            if ((values[done + i] & exponent) == exponent)
                return done + i;
    }
    return count;
}

/* The exponents' bits. */
#define FINITE_F16 ((uint16_t)0x7c00)
#define FINITE_BF16 ((uint16_t)0x7f80)

#endif
