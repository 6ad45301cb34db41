/*
 * How a convolution is cut into Winograd's tiles: maps stitched into canvases, chunks of tiles, and
 * the sizes of the spectra; see winograd.c.
 */
#ifndef HMT_ONEDNN_WINOGRAD_TILES_H
#define HMT_ONEDNN_WINOGRAD_TILES_H

#include "exec.h"

/*
 * What matters at a point. Of its kernel spectra: of a grid on which the kernel has less than three
 * taps, the polynomial's third coefficient is missing, and with it the point at infinity (of
 * transposed kernels the first, and the point 0). Of the tiles: infinity counts for nothing but a
 * tile's last output, which short tiles do not have.
 */
typedef struct winograd_part {
    int64_t first_row, rows;     /* that are stored and multiplied */
    int64_t first_panel, panels; /* that are multiplied; all are stored */
    int64_t size, before;        /* values stored of a panel, and in front of the point's first */
    int64_t first_tile, tiles;   /* that are multiplied; the others' products are not written */
} winograd_part;

/* One dimension of a canvas: its last `shorts` tiles have m - 1 outputs in place of m, so that as
 * few as possible hang over the edge. One tile at least is not short. */
typedef struct winograd_cut {
    int64_t tiles, shorts;
} winograd_cut;

/* Tiles that are short in the same dimensions: those of all canvases, then those of the next
 * region. In the order below each point's tiles follow each other. */
typedef struct winograd_region {
    int64_t before; /* tiles in front of it */
    int64_t first_row, rows, first_column, columns;
} winograd_region;

enum winograd_regions { SHORT_ROWS, NOT_SHORT, SHORT_COLUMNS, SHORT_BOTH, WINOGRAD_REGIONS };

typedef struct winograd {
    int32_t m, points; /* points: n*n */
    hmt_dtype stored;  /* of the kernels' spectra; I8: 16-bit counts, the tiles' likewise */
    int32_t transposed, relu;
    winograd_kernel kernel;
    winograd_map in, out;
    int64_t count[2];    /* positions that an image has on the output's side */
    int64_t pitch[2];    /* from image to image */
    int64_t stitched[2]; /* images of a canvas, down and across */
    winograd_cut cut[2];
    winograd_region region[WINOGRAD_REGIONS];
    int64_t tiles, chunk;    /* of all canvases; of them at once */
    int64_t rows, panels;    /* of a kernel spectrum: input channels; panels of outputs */
    int64_t in_row, out_row; /* floats of a tile in a spectrum, with padding between */
    int64_t in_step, out_step, kernel_step; /* floats of a point; kernels': all rows and panels */
    winograd_part part[WINOGRAD_SQUARE];    /* points of them */
    int64_t kernel_values;                  /* of all parts */
} winograd;

/* A tile's group of images and its row and column of tiles in the canvas. */
typedef struct winograd_place {
    int64_t group;
    int32_t row, column;
} winograd_place;

winograd_place winograd_locate(const winograd *w, int64_t tile);

/* The shapes of a convolution's images and maps, forward or backward. */
void winograd_shapes(const exec *e, const hmt_plan_step *s, const int64_t **x, const int64_t **y);
/* What its tiles of m x m outputs cost, in multiplications. */
double winograd_cost(const exec *e, const hmt_plan_step *s, int32_t m);
/* Its tiles; of a gradient by the images those of the images. At once as many as have at most
 * `chunk` points together. Lives as long as the exec; NULL after a failure. */
winograd *winograd_plan(exec *e, const hmt_plan_step *s, int32_t m, int64_t chunk);

/* Makes the room of spectra that of 16-bit counts and their steps (kernels.h), all rows. */
void winograd_plan_counts(winograd *w, int64_t panel);

#endif
