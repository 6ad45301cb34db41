/*
 * From a decimal number in text to the nearest double, without the locale: in integers of a fixed
 * length that hold the largest and the smallest double exactly.
 */
#include <math.h>
#include <string.h>

#include "format/json.h"

enum {
    WORDS = 32,  /* of 32 bits, the lowest first: 19 digits times 5^310, or times 2^SHIFT */
    SHIFT = 896, /* more bits than 5^345 has */
    HIGHEST = 310,
    LOWEST = -345 /* 19 digits times 10^-345 are below half of the smallest double */
};

static const uint32_t five_to_13 = 1220703125u; /* the largest power that fits */

static void multiply(uint32_t number[WORDS], uint32_t factor)
{
    uint64_t carry = 0;

    for (int i = 0; i < WORDS; ++i) {
        carry += (uint64_t)number[i] * factor;
        number[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

/* Returns the remainder. */
static uint32_t divide(uint32_t number[WORDS], uint32_t divisor)
{
    uint64_t rest = 0;

    for (int i = WORDS - 1; i >= 0; --i) {
        rest = rest << 32 | number[i];
        number[i] = (uint32_t)(rest / divisor);
        rest %= divisor;
    }
    return (uint32_t)rest;
}

static uint32_t word(const uint32_t number[WORDS], int index)
{
    return index >= 0 ? number[index] : 0;
}

/* number * 2^exponent, `inexact` if something above zero was cut off below, to the nearest double,
 * a tie to the even one. number is above zero. */
static double rounded(const uint32_t number[WORDS], int exponent, bool inexact)
{
    int top = WORDS - 1, drop = 9, moved;
    uint64_t bits, rest, half;

    while (number[top] == 0)
        --top;
    /* The highest 64 bits that are not zero; what lies below only tells that it is there. */
    moved = __builtin_clz(number[top]);
    bits = (uint64_t)number[top] << 32 | word(number, top - 1);
    bits = bits << moved | ((uint64_t)word(number, top - 2) << moved) >> 32;
    inexact = inexact || word(number, top - 2) << moved != 0;
    for (int i = 0; i < top - 2; ++i)
        inexact = inexact || number[i] != 0;
    exponent += 32 * (top - 1) - moved;
    /* 62 bits leave room for subnormal doubles, which keep fewer than 53. */
    bits = bits >> 2 | ((bits & 3) != 0 || inexact);
    exponent += 2;

    if (exponent + drop < -1074)
        drop = -1074 - exponent;
    if (drop > 62)
        return 0;
    rest = bits & ((UINT64_C(1) << drop) - 1);
    half = UINT64_C(1) << (drop - 1);
    bits >>= drop;
    bits += rest > half || (rest == half && (bits & 1) != 0);
    return ldexp((double)bits, exponent + drop);
}

static double scale(uint64_t mantissa, int64_t exponent)
{
    uint32_t number[WORDS] = {0};
    bool inexact = false;
    int lowest = exponent < 0 ? SHIFT / 32 : 0;
    int64_t fives = exponent < 0 ? -exponent : exponent;

    if (mantissa == 0 || exponent < LOWEST)
        return 0;
    if (exponent > HIGHEST)
        return HUGE_VAL;
    number[lowest] = (uint32_t)mantissa;
    number[lowest + 1] = (uint32_t)(mantissa >> 32);
    for (int64_t n; fives > 0; fives -= n) {
        uint32_t power = five_to_13;

        n = 13;
        if (fives < 13)
            for (n = 1, power = 5; n < fives; ++n)
                power *= 5;
        if (exponent > 0)
            multiply(number, power);
        else if (divide(number, power) != 0)
            inexact = true;
    }
    return rounded(number, (int)exponent - (lowest > 0 ? SHIFT : 0), inexact);
}

double json_decimal(json_string s)
{
    uint64_t mantissa = 0;
    int64_t exponent = 0, written = 0;
    bool negative = s.text[0] == '-', fraction = false, minus = false;
    size_t i = negative;
    double value;

    for (; i < s.size && s.text[i] != 'e' && s.text[i] != 'E'; ++i) {
        if (s.text[i] == '.') {
            fraction = true;
        } else if (mantissa < UINT64_C(1000000000000000000)) {
            mantissa = mantissa * 10 + (uint64_t)(s.text[i] - '0');
            exponent -= fraction;
        } else {
            exponent += !fraction; /* digits beyond the nineteenth are dropped */
        }
    }
    for (++i; i < s.size; ++i) {
        if (s.text[i] == '-')
            minus = true;
        else if (s.text[i] != '+' && written < 1000000000)
            written = written * 10 + (s.text[i] - '0');
    }
    value = scale(mantissa, exponent + (minus ? -written : written));
    return negative ? -value : value;
}
