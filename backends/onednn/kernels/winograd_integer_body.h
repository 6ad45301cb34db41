/*
 * Winograd's products in integers: spectra as 16-bit counts of a step of their own for each segment
 * of channels. A count is at most COUNTS, so that the sum of a segment's products, COUNTS^2 *
 * SEGMENT, is exact in 32 bits; it becomes float32 before the next segment's is added.
 */
#include <math.h>

#include "gemm_body.h"
#include "integer_body.h"
#include "kernels.h"
#include "winograd_body.h"

enum { SEGMENT = WINOGRAD_SEGMENT, SEGMENT_BLOCKS = SEGMENT / LANES, COUNTS = 4095 };

/* Points of F(4x4), the largest tile that is counted. */
enum { COUNTED_SQUARE = 36 };

/* Bits of an infinity, and of the least magnitude whose factor is finite. */
enum { INFINITE = 0x7f800000, TINY = 0x06800000 };

/* Added to a float32 it leaves the nearest integer in the low bits. */
#define ROUNDING 12582912.0f

#ifndef LARGER_INTS
#define LARGER_INTS(a, b) (((a) & ((a) > (b))) | ((b) & ~((a) > (b))))
#endif

typedef int16_t loose_counts
    __attribute__((vector_size(LANES * sizeof(int16_t)), aligned(2), may_alias));
typedef int32_t loose_ints
    __attribute__((vector_size(LANES * sizeof(int32_t)), aligned(2), may_alias));
typedef int32_t loose_int __attribute__((aligned(2), may_alias));
typedef float loose_float __attribute__((aligned(2), may_alias));
typedef int32_t four_ints __attribute__((vector_size(4 * sizeof(int32_t))));

/* A magnitude's bits: they are ordered as the values are, infinities and NaN last. */
KERNEL ints magnitude(vec v)
{
    return (ints)v & 0x7fffffff;
}

KERNEL int32_t largest_lane(ints v)
{
    union {
        ints v;
        four_ints q[LANES / 4];
    } in = {v};
    four_ints most = in.q[0];
    int32_t a, b;

    for (int i = 1; i < LANES / 4; ++i)
        most = (most & (most > in.q[i])) | (in.q[i] & ~(most > in.q[i]));
    a = most[0] > most[1] ? most[0] : most[1];
    b = most[2] > most[3] ? most[2] : most[3];
    return a > b ? a : b;
}

KERNEL float float_of(int32_t pattern)
{
    union {
        int32_t i;
        float f;
    } both = {pattern};

    return both.f;
}

/* One point's values of a segment, `apart` vectors from each other, as counts. Gives the step. */
KERNEL float count_point(const int blocks, const vec *values, int apart, int16_t *to)
{
    ints most = {0};
    int32_t largest;
    float factor;

    UNROLL
    for (int i = 0; i < blocks; ++i)
        most = LARGER_INTS(most, magnitude(values[i * apart]));
    largest = largest_lane(most);
    if (largest < TINY || largest >= INFINITE) {
        for (int i = 0; i < blocks; ++i)
            *(loose_counts *)(to + i * LANES) = (loose_counts){0};
        return largest < TINY ? 0.0f : NAN;
    }
    factor = COUNTS / float_of(largest);
    UNROLL
    for (int i = 0; i < blocks; ++i)
        *(loose_counts *)(to + i * LANES) = __builtin_convertvector(
            (ints)(values[i * apart] * factor + all(ROUNDING)), loose_counts);
    return float_of(largest) * (1.0f / COUNTS);
}

/* A segment of all points. */
KERNEL void count_segment(const int points, int blocks, const vec *values, int16_t *to,
                          int64_t step, int16_t *steps)
{
    for (int i = 0; i < points; ++i)
        *(loose_float *)(steps + i * step) =
            blocks == SEGMENT_BLOCKS
                ? count_point(SEGMENT_BLOCKS, values + i, COUNTED_SQUARE, to + i * step)
                : count_point(blocks, values + i, COUNTED_SQUARE, to + i * step);
}

KERNEL void analyse_counts(const int m, const winograd_map *map, const float *x, int32_t row,
                           int32_t column, int16_t *spectrum, int64_t step)
{
    static const float zeros[LANES];
    const int n = m + 2;
    int16_t *steps = spectrum + map->phases * map->phases * map->blocks * LANES;
    vec in[COUNTED_SQUARE], values[SEGMENT_BLOCKS][COUNTED_SQUARE];
    int64_t place[COUNTED_SQUARE];
    int blocks = 0; /* of the segment */

    for (int32_t phase = 0; phase < map->phases * map->phases; ++phase) {
        places(n, map, phase, row, column, place);
        for (int64_t block = 0; block < map->blocks; ++block) {
            const float *from = x + block * map->block_step;

            for (int i = 0; i < n * n; ++i)
                in[i] = load(place[i] < 0 ? zeros : from + place[i]);
            square_input(m, values[blocks], in);
            if (++blocks < SEGMENT_BLOCKS)
                continue;
            count_segment(n * n, blocks, values[0], spectrum, step, steps);
            spectrum += SEGMENT;
            steps += 2;
            blocks = 0;
        }
    }
    if (blocks > 0)
        count_segment(n * n, blocks, values[0], spectrum, step, steps);
}

static void winograd_input_counts(int32_t m, const winograd_map *map, const float *x, int32_t row,
                                  int32_t column, int16_t *spectrum, int64_t step)
{
    if (m == 4)
        analyse_counts(4, map, x, row, column, spectrum, step);
    else if (m == 3)
        analyse_counts(3, map, x, row, column, spectrum, step);
    else
        analyse_counts(2, map, x, row, column, spectrum, step);
}

/* A segment of LANES columns; rows are a panel apart. Each pair of rows becomes one row of pairs,
 * behind the steps. */
KERNEL void count_columns(int64_t rows, const float *from, int16_t *to)
{
    ints most = {0}, usable;
    vec factor;

    for (int64_t i = 0; i < rows; ++i)
        most = LARGER_INTS(most, magnitude(load(from + i * PAIRS)));
    usable = (most >= TINY) & (most < INFINITE);
    factor = (vec)((ints)(COUNTS / (vec)(LARGER_INTS(most, (ints){0} + TINY))) & usable);
    *(loose_ints *)to =
        ((ints)((vec)most * (1.0f / COUNTS)) & usable) | ((ints)all(NAN) & (most >= INFINITE));
    for (int64_t i = 0; i + 1 < rows; i += 2) {
        const vec a = (vec)((ints)load(from + i * PAIRS) & usable);
        const vec b = (vec)((ints)load(from + (i + 1) * PAIRS) & usable);

        to += 2 * PAIRS;
        *(loose_ints *)to = ((ints)(a * factor + all(ROUNDING)) & 0xffff) |
                            (ints)(b * factor + all(ROUNDING)) << 16;
    }
}

static void winograd_kernel_counts(int64_t rows, const float *spectrum, int16_t *to)
{
    for (int64_t from = 0; from < rows; from += SEGMENT) {
        const int64_t length = rows - from < SEGMENT ? rows - from : SEGMENT;

        for (int half = 0; half < 2; ++half)
            count_columns(length, spectrum + from * PAIRS + half * LANES, to + half * PAIRS);
        to += (length + 2) * PAIRS;
    }
}

/* c(rows,panel) = or += of one segment: pairs of a row of a, a_row apart, by those of b. */
KERNEL void product_block(const int rows, int64_t pairs, const int16_t *a, const int16_t *a_steps,
                          int64_t a_row, const int16_t *b, float *c, int64_t c_row, int add,
                          coming next)
{
    const vec step0 = (vec) * (const loose_ints *)b,
              step1 = (vec) * (const loose_ints *)(b + PAIRS);
    ints sum[ROWS][2];

    UNROLL
    for (int i = 0; i < rows; ++i)
        sum[i][0] = sum[i][1] = (ints){0};
    for (int64_t p = 0; p < pairs; ++p) {
        b += 2 * PAIRS;
        const shorts b0 = *(const loose_shorts *)b, b1 = *(const loose_shorts *)(b + PAIRS);

        __builtin_prefetch((const char *)b + AHEAD);
        fetch(&next);
        UNROLL
        for (int i = 0; i < rows; ++i) {
            const shorts ai = (shorts)(*(const loose_int *)(a + i * a_row) - (ints){0});

            sum[i][0] = MADD_TO(sum[i][0], b0, ai);
            sum[i][1] = MADD_TO(sum[i][1], b1, ai);
        }
        a += 2;
    }
    UNROLL
    for (int i = 0; i < rows; ++i) {
        const vec step = all(*(const loose_float *)(a_steps + i * a_row));
        const vec c0 = add ? load(c + i * c_row) : (vec){0};
        const vec c1 = add ? load(c + i * c_row + LANES) : (vec){0};

        store(c + i * c_row, c0 + __builtin_convertvector(sum[i][0], vec) * (step * step0));
        store(c + i * c_row + LANES, c1 + __builtin_convertvector(sum[i][1], vec) * (step * step1));
    }
}

/* A block of as many rows as its number says. */
KERNEL void product_rows(int64_t rows, int64_t pairs, const int16_t *a, const int16_t *a_steps,
                         int64_t a_row, const int16_t *b, float *c, int64_t c_row, int add,
                         coming next)
{
#define BLOCK(n)                                                                                   \
    case n:                                                                                        \
        product_block(n, pairs, a, a_steps, a_row, b, c, c_row, add, next);                        \
        break

    switch (rows) {
        BLOCK(1);
        BLOCK(2);
        BLOCK(3);
#if ROWS >= 6
        BLOCK(4);
        BLOCK(5);
        BLOCK(6);
#endif
#if ROWS >= 14
        BLOCK(7);
        BLOCK(8);
        BLOCK(9);
        BLOCK(10);
        BLOCK(11);
        BLOCK(12);
        BLOCK(13);
        BLOCK(14);
#endif
    }
#undef BLOCK
}

static void winograd_product(int64_t m, int64_t k, const int16_t *a, int64_t a_row,
                             const int16_t *b, float *c, int64_t c_row, int64_t behind)
{
    const int64_t blocks = (m + ROWS - 1) / ROWS;
    const int16_t *a_steps = a + k;

    for (int64_t from = 0; from < k; from += SEGMENT, a_steps += 2) {
        const int64_t depth = k - from < SEGMENT ? k - from : SEGMENT, pairs = depth / 2;
        const int64_t size = (depth + 2) * PAIRS * 2, rest = k - from - depth;
        const int64_t left = (rest + 2 * ((rest + SEGMENT - 1) / SEGMENT)) * PAIRS * 2 + behind;
        const int64_t share = (left < size ? left : size) / blocks;

        for (int64_t block = 0; block < blocks; ++block) {
            const int64_t i = m * block / blocks, rows = m * (block + 1) / blocks - i;
            const coming next = {(const char *)b + size + block * share, share / pairs, LINE};

            product_rows(rows, pairs, a + from + i * a_row, a_steps + i * a_row, a_row, b,
                         c + i * c_row, c_row, from > 0, next);
        }
        b += size / 2;
    }
}
