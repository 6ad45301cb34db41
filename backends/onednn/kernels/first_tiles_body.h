/*
 * The convolution of few channels along rows by Winograd's F(4,4) in one dimension: 7 products for
 * 4 outputs of 4 taps. Polynomials are taken at +-a, +-b, +-c and infinity; a, b and c are
 * fractions of two's powers, for which the error in float32 is that of F(4,3) in one dimension.
 * With N the product of a finite point's distances to the others, G row p = (1, p, p^2, p^3) / N,
 * infinity: (0,0,0,1) B^T row p = the coefficients of (x - q) (x - r) ... over the other finite
 * points A^T column p = (1, p, p^2, p^3), infinity: (0,0,0,1).
 */
#ifndef HMT_ONEDNN_FIRST_TILES_BODY_H
#define HMT_ONEDNN_FIRST_TILES_BODY_H

#include <string.h>

#include "gemm_body.h"

#define TILE_A ((float)FIRST_POINT_A)
#define TILE_B ((float)FIRST_POINT_B)
#define TILE_C ((float)FIRST_POINT_C)

/* B^T for a pair of points +-p; q and r are the other pairs' squares. */
KERNEL void pair_input(float p, float q, float r, const vec *x, vec *to)
{
    const vec even = p * (x[4] - (q + r) * x[2] + (q * r) * x[0]);
    const vec odd = x[5] - (q + r) * x[3] + (q * r) * x[1];

    to[0] = odd + even;
    to[1] = odd - even;
}

KERNEL void tile_input(const vec *x, vec *to)
{
    const float a = TILE_A * TILE_A, b = TILE_B * TILE_B, c = TILE_C * TILE_C;

    pair_input(TILE_A, b, c, x, to);
    pair_input(TILE_B, a, c, x, to + 2);
    pair_input(TILE_C, a, b, x, to + 4);
    to[6] = x[6] - (a + b + c) * x[4] + (a * b + a * c + b * c) * x[2] - (a * b * c) * x[0];
}

/* A^T. */
KERNEL void tile_output(const vec *x, vec *to)
{
    const float a = TILE_A, b = TILE_B, c = TILE_C;
    const vec sum_a = x[0] + x[1], sum_b = x[2] + x[3], sum_c = x[4] + x[5];
    const vec odd_a = x[0] - x[1], odd_b = x[2] - x[3], odd_c = x[4] - x[5];

    to[0] = sum_a + sum_b + sum_c;
    to[1] = a * odd_a + b * odd_b + c * odd_c;
    to[2] = (a * a) * sum_a + (b * b) * sum_b + (c * c) * sum_c;
    to[3] = x[6] + (a * a * a) * odd_a + (b * b * b) * odd_b + (c * c * c) * odd_c;
}

/* A line's columns, filled up with zeros, those of the same place in each tile side by side. */
static void first_deal(const first_tiles *t, const float *x, float *dealt)
{
    const int32_t period = FIRST_TILE * t->grids, length = t->room + LANES;

    memset(dealt, 0, (size_t)(period * length) * sizeof *dealt);
    for (int32_t j = 0; x != NULL && j < period; ++j) {
        const int32_t from = j < t->pad ? (t->pad - j + period - 1) / period : 0;
        const int32_t left = t->width + t->pad - j; /* columns from the first of these on */
        const int32_t all = left > 0 ? (left + period - 1) / period : 0;
        const int32_t until = all < length ? all : length;

        for (int32_t i = from; i < until; ++i)
            dealt[j * length + i] = x[period * i + j - t->pad];
    }
}

static void first_spectra(const first_tiles *t, const float *x, float *dealt, float *spectra)
{
    const int32_t period = FIRST_TILE * t->grids, length = t->room + LANES;

    first_deal(t, x, dealt);
    for (int32_t grid = 0; grid < t->grids; ++grid)
        for (int32_t i = 0; i < t->room; i += LANES) {
            vec in[FIRST_POINTS], out[FIRST_POINTS];

            for (int k = 0; k < FIRST_POINTS; ++k) {
                const int32_t column = k * t->grids + grid;

                in[k] = load(dealt + column % period * length + i + column / period);
            }
            tile_input(in, out);
            for (int k = 0; k < FIRST_POINTS; ++k)
                store(spectra + k * t->point_step + grid * t->room + i, out[k]);
        }
}

KERNEL void first_outputs(const int vectors, const first_tiles *t, const float *products,
                          const float *bias, int relu, float *y, int64_t block_step)
{
    const int64_t step = (int64_t)t->tiles * 2 * LANES;

    for (int32_t tile = 0; tile < t->tiles; ++tile) {
        const int32_t left = t->columns - tile * FIRST_TILE;

        for (int v = 0; v < vectors; ++v) {
            const float *at = products + (tile * 2 + v) * LANES;
            float *to = y + v * block_step + (int64_t)tile * FIRST_TILE * LANES;
            vec in[FIRST_POINTS], out[FIRST_TILE];

            for (int k = 0; k < FIRST_POINTS; ++k)
                in[k] = k < FIRST_POINTS - 1 || t->ends > 0 ? load(at + k * step) : (vec){0};
            tile_output(in, out);
            for (int i = 0; i < FIRST_TILE && i < left; ++i) {
                const vec sum = out[i] + load(bias + v * LANES);

                store(to + i * LANES, relu ? rectify(sum) : sum);
            }
        }
    }
}

static void first_row_tiles(const first_tiles *t, const float *spectra, const float *weights,
                            const float *bias, int32_t vectors, int relu, float *products, float *y,
                            int64_t block_step)
{
    const int64_t step = (int64_t)t->tiles * 2 * LANES;

    for (int k = 0; k < FIRST_POINTS; ++k) {
        const int32_t grids = first_grids(t, k);
        const int64_t depth = (int64_t)t->depth * grids;

        if (depth > 0)
            gemm(HMT_DTYPE_F32, t->tiles, depth, spectra + k * t->point_step, 1,
                 (int64_t)t->room * (grids == 1 ? t->grids : 1), weights, 2 * LANES,
                 products + k * step, 2 * LANES, 0, 0);
        weights += depth * 2 * LANES;
    }
    if (vectors == 1)
        first_outputs(1, t, products, bias, relu, y, block_step);
    else
        first_outputs(2, t, products, bias, relu, y, block_step);
}

/* A: the transpose of tile_output. */
KERNEL void tile_spread(const vec *y, vec *to)
{
    static const float points[] = {TILE_A, TILE_B, TILE_C};

    UNROLL
    for (int i = 0; i < 3; ++i) {
        const float p = points[i];
        const vec even = y[0] + (p * p) * y[2], odd = p * (y[1] + (p * p) * y[3]);

        to[2 * i] = even + odd;
        to[2 * i + 1] = even - odd;
    }
    to[6] = y[3];
}

static void first_gradient_tiles(const first_tiles *t, const float *spectra, const float *dy,
                                 int64_t block_step, float *spread, float *sums)
{
    const int64_t step = (int64_t)t->tiles * 2 * LANES;

    for (int32_t tile = 0; tile < t->tiles; ++tile)
        for (int v = 0; v < 2; ++v) {
            const int32_t left = t->columns - tile * FIRST_TILE;
            const float *from = dy + v * block_step + (int64_t)tile * FIRST_TILE * LANES;
            vec in[FIRST_TILE], out[FIRST_POINTS];

            for (int i = 0; i < FIRST_TILE; ++i)
                in[i] = i < left ? load(from + i * LANES) : (vec){0};
            tile_spread(in, out);
            for (int k = 0; k < FIRST_POINTS; ++k)
                store(spread + k * step + (tile * 2 + v) * LANES, out[k]);
        }
    for (int k = 0; k < FIRST_POINTS; ++k) {
        const int32_t grids = first_grids(t, k);
        const int64_t lines = (int64_t)t->depth * grids;

        if (lines > 0)
            gemm(HMT_DTYPE_F32, lines, t->tiles, spectra + k * t->point_step,
                 (int64_t)t->room * (grids == 1 ? t->grids : 1), 1, spread + k * step, 2 * LANES,
                 sums, 2 * LANES, 1, 0);
        sums += lines * 2 * LANES;
    }
}

#endif
