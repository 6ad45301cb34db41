/*
 * The direct convolution of few channels, from planar images to blocks of channels. ROWS pixels of
 * a row by two vectors of sums stay in registers while the taps pass: for each tap two vectors of
 * weights are read and each pixel is spread once, so that products, not loads, are the limit.
 * Pixels are read where they are; blocks that touch the padding take them from a filled-up copy.
 */
#ifndef HMT_ONEDNN_FIRST_BODY_H
#define HMT_ONEDNN_FIRST_BODY_H

#include <string.h>

#include "vectors.h"

enum {
    LINES = FIRST_CHANNELS * FIRST_TAPS,           /* of an image that a row sees */
    REACH = (ROWS - 1) * FIRST_STRIDE + FIRST_TAPS /* columns of an image that a block sees */
};

/* A line of an image and the weights that meet it, (kw,panel). */
typedef struct first_line {
    const float *x, *weights;
} first_line;

/* What a row of the result reads. */
typedef struct first_view {
    first_line line[LINES];
    int32_t lines, taps;
    int64_t stride;
    const float *bias;
    int32_t relu;
} first_view;

/* A stride that the compiler knew would have it carry pixels from tap to tap, through memory. */
KERNEL void first_pixels(const int pixels, const int vectors, const first_view *view,
                         const first_line *line, int64_t left, float *y, int64_t block_step)
{
    const int64_t stride = view->stride;
    const int32_t taps = view->taps;
    vec sum[ROWS][2];

    UNROLL
    for (int i = 0; i < pixels; ++i)
        for (int v = 0; v < vectors; ++v)
            sum[i][v] = load(view->bias + v * LANES);
    for (const first_line *end = line + view->lines; line < end; ++line) {
        const float *x = line->x + left, *weights = line->weights;

        for (int32_t tap = 0; tap < taps; ++tap, ++x, weights += 2 * LANES) {
            const vec w0 = load(weights), w1 = load(weights + (vectors - 1) * LANES);

            UNROLL
            for (int i = 0; i < pixels; ++i) {
                const vec xi = all(x[i * stride]);

                sum[i][0] += xi * w0;
                if (vectors > 1)
                    sum[i][1] += xi * w1;
            }
        }
    }
    UNROLL
    for (int i = 0; i < pixels; ++i)
        for (int v = 0; v < vectors; ++v)
            store(y + v * block_step + i * LANES, view->relu ? rectify(sum[i][v]) : sum[i][v]);
}

/* The lines inside the image; those of the padding add nothing. */
static void first_aim(const first_shape *s, const float *x, const float *weights, int32_t row,
                      first_view *view)
{
    const int32_t top = row * s->stride[0] - s->pad[0];
    int32_t lines = 0;

    for (int32_t c = 0; c < s->channels; ++c)
        for (int32_t i = 0; i < s->kernel[0]; ++i, weights += s->kernel[1] * 2 * LANES)
            if (top + i >= 0 && top + i < s->size[0])
                view->line[lines++] =
                    (first_line){x + ((int64_t)c * s->size[0] + top + i) * s->size[1], weights};
    view->lines = lines;
}

/* `reach` columns of a line from `left` on, of which some lie outside the image, filled up with
 * zeros: gives `patch`. */
KERNEL const float *first_patch(const float *x, int32_t width, int32_t left, int32_t reach,
                                float *patch)
{
    const int32_t from = left < 0 ? -left : 0, until = left + reach > width ? width - left : reach;

    memset(patch, 0, (size_t)reach * sizeof *patch);
    if (from < until)
        memcpy(patch + from, x + left + from, (size_t)(until - from) * sizeof *patch);
    return patch;
}

KERNEL void first_columns(const int vectors, const first_shape *s, const first_view *view, float *y,
                          int64_t block_step)
{
    const int32_t blocks = (s->columns + ROWS - 1) / ROWS;
    float patch[LINES][REACH], few[2 * ROWS * LANES];
    first_line filled[LINES];

    for (int32_t block = 0; block < blocks; ++block) {
        const int32_t first = (int32_t)((int64_t)s->columns * block / blocks);
        const int32_t count = (int32_t)((int64_t)s->columns * (block + 1) / blocks) - first;
        const int32_t pixels = count == ROWS - 1 ? count : ROWS;
        const int32_t reach = (pixels - 1) * s->stride[1] + s->kernel[1];
        const first_line *line = view->line;
        int32_t left = first * s->stride[1] - s->pad[1];
        float *to = y + (int64_t)first * LANES;

        if (left < 0 || left + reach > s->size[1]) {
            for (int32_t i = 0; i < view->lines; ++i)
                filled[i] =
                    (first_line){first_patch(view->line[i].x, s->size[1], left, reach, patch[i]),
                                 view->line[i].weights};
            line = filled;
            left = 0;
        }
        if (count == ROWS) {
            first_pixels(ROWS, vectors, view, line, left, to, block_step);
        } else if (count == ROWS - 1) {
            first_pixels(ROWS - 1, vectors, view, line, left, to, block_step);
        } else {
            first_pixels(ROWS, vectors, view, line, left, few, ROWS * LANES);
            for (int v = 0; v < vectors; ++v)
                memcpy(to + v * block_step, few + v * ROWS * LANES,
                       (size_t)count * LANES * sizeof *to);
        }
    }
}

static void first_row(const first_shape *s, const float *x, const float *weights, const float *bias,
                      int32_t vectors, int relu, int32_t row, float *y, int64_t block_step)
{
    first_view view = {.taps = s->kernel[1], .stride = s->stride[1], .bias = bias, .relu = relu};

    first_aim(s, x, weights, row, &view);
    if (vectors == 1)
        first_columns(1, s, &view, y, block_step);
    else
        first_columns(2, s, &view, y, block_step);
}

#endif
