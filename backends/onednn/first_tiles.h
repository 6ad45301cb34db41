/*
 * What first.c needs to convolve by tiles along rows: spectra of the lines that a row sees, and of
 * the weights; see first_tiles.c.
 */
#ifndef HMT_ONEDNN_FIRST_TILES_H
#define HMT_ONEDNN_FIRST_TILES_H

#include "kernels/kernels.h"

/* Whether a convolution is done faster so. */
int first_tiles_fit(const first_shape *s);

first_tiles first_tiles_plan(const kernels *k, const first_shape *s);

/* Lines of an image as spectra (point, line, channel, grid, tile): a window that moves down. */
typedef struct first_lines {
    const kernels *k;
    const first_shape *s;
    const first_tiles *t;
    const float *x; /* the image */
    float *spectra, *dealt, *products;
    int64_t first, end; /* lines held */
} first_lines;

/* Floats of a window and of what first_row_tiles() needs; and such memory parted, the window
 * empty. */
int64_t first_lines_floats(const kernels *k, const first_tiles *t);
first_lines first_lines_open(const kernels *k, const first_shape *s, const first_tiles *t,
                             const float *x, float *memory);

/* Spectra of the lines that row `row` of the result sees; rows may only go down. */
const float *first_lines_of(first_lines *lines, int64_t row);

/* Values of an output in a panel, as they are packed. */
int64_t first_tiles_values(const first_tiles *t);

/* Floats of a panel of packed weights; packs one output's (C,kh,kw), or NULL for zeros, as a column
 * of it. */
int64_t first_tiles_panel(const kernels *k, const first_tiles *t);
void first_tiles_pack(const first_shape *s, const first_tiles *t, const float *dense, int64_t panel,
                      float *column);

/* The gradient of one output's weights (C,kh,kw) from that of its packed values. */
void first_tiles_unpack(const first_shape *s, const first_tiles *t, const double *values,
                        float *dense);

#endif
