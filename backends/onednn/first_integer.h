/*
 * What first.c needs to convolve in integers: images of 16 bits, channels last and filled up, and
 * 8-bit weights with a scale for each output; see first_integer.c.
 */
#ifndef HMT_ONEDNN_FIRST_INTEGER_H
#define HMT_ONEDNN_FIRST_INTEGER_H

#include "exec.h"

typedef struct integer_images {
    int64_t images;
    int32_t channels, size[2], pad[2];
    int64_t rows, line; /* of a filled-up image: rows, and integers from row to row */
} integer_images;

/* Whether the weight is stored in 8 bits and this processor multiplies such faster. */
int first_integer_fits(const exec *e, int32_t weight);

/* How images are filled up for a convolution of `rows` rows. Lives as long as the exec; NULL after
 * a failure. */
const integer_images *first_integer_plan(exec *e, const first_shape *s, int64_t images,
                                         int64_t rows);

/* Appends loops that make integers of buffer `x` (N,C,H,W). A pixel is its image's step times the
 * integer; *ranges: what first_integer_step() reads. The step is NaN where a pixel is not finite.
 */
int32_t first_integer_convert(exec *e, const integer_images *b, int32_t x, int32_t *ranges);
float first_integer_step(const float *ranges, int64_t image);

/* The weight packed in panels of first_integer_panel() floats: (kh, pairs of taps, panel, 2)
 * 16-bit integers, then each output's scale. */
int64_t first_integer_panel(const exec *e, const first_shape *s);
int32_t first_integer_weights(exec *e, const first_shape *s, int64_t outputs, int32_t weight);

#endif
