/*
 * The weights of one axis of a resize, and the rows of an enlarged image by the processor's
 * vectors.
 */
#ifndef HMT_IMAGE_FILTER_H
#define HMT_IMAGE_FILTER_H

#include <stddef.h>
#include <stdint.h>

/* Fractional bits of a weight: products of 8 bits and their sum fit 32; and what rounds them off.
 */
enum { FILTER_PRECISION = 22, FILTER_HALF = 1 << (FILTER_PRECISION - 1) };

/* Output i is the sum of weight[i * taps + k] * input[first[i] + k], k < count[i]; weights from
 * count[i] on are 0. */
typedef struct filter {
    int32_t *first;
    int32_t *count;
    int32_t *weight;
    int32_t taps;
} filter;

enum { ACROSS_LEVELS = 32 }; /* of a block */

/* 32 levels of an output row, each of two input levels: vector v of the four has output levels
 * 4 v to 4 v + 3 and 16 + 4 v to 16 + 4 v + 3, all taken from 16 bytes of the input. */
typedef struct across_block {
    int32_t from[4][2];      /* first of the 16 bytes */
    uint8_t take[4][2][32];  /* which byte goes to each 32 bit lane, for either input level */
    int32_t weight[4][2][8]; /* their weights */
} across_block;

/* How many blocks a row of `width` pixels is made of; 0 if this processor has no vectors for them.
 */
size_t across_count(int32_t width);
/* Fills the blocks of a row from `in` to `width` pixels. Returns how many can be used: all, or none
 * if an output pixel has more than two input pixels or the input is too narrow. */
size_t across_prepare(const filter *f, int32_t in, across_block *blocks, size_t count);
/* The first 32 * count levels of the output row. */
void across_run(const across_block *blocks, size_t count, const uint8_t *in, uint8_t *out);
/* The first output levels of a row of `bytes` levels from two input rows, the second after the
 * first. Returns how many, maybe 0. */
size_t enlarge_down(const int32_t *weight, const uint8_t *in, size_t bytes, uint8_t *out);

#endif
