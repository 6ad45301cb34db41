/*
 * The convolution of few channels in integers: pixels of 16 bits, channels last, by weights of
 * 8 bits that are stored in 16, two taps to a product. As in first_body.h ROWS pixels by two
 * vectors of sums stay in registers. Sums are exact: FIRST_CHANNELS * FIRST_TAPS^2 products of
 * 32767 and 127 do not reach 2^31.
 */
#include <string.h>

#include "integer_body.h"

typedef int32_t loose_ints
    __attribute__((vector_size(LANES * sizeof(int32_t)), aligned(2), may_alias));

typedef struct integer_view {
    const int16_t *x;             /* the first line's first pixel of a block */
    int64_t line;                 /* integers from line to line */
    int32_t lines, pairs, stride; /* pairs: of taps in a line; stride in integers */
    const int16_t *weights;
    const float *scales, *bias;
    int32_t relu;
} integer_view;

KERNEL void integer_pixels(const int pixels, const int vectors, const integer_view *view,
                           int64_t left, float *y, int64_t block_step)
{
    const int64_t stride = view->stride;
    const int16_t *weights = view->weights;
    ints sum[ROWS][2];

#pragma GCC unroll 16
    for (int i = 0; i < pixels; ++i)
        for (int v = 0; v < vectors; ++v)
            sum[i][v] = (ints){0};
    for (int32_t line = 0; line < view->lines; ++line) {
        const int16_t *x = view->x + line * view->line + left;

        for (int32_t pair = 0; pair < view->pairs; ++pair, x += 2, weights += 4 * LANES) {
            const ints w0 = *(const loose_ints *)weights;
            const ints w1 = *(const loose_ints *)(weights + (vectors - 1) * 2 * LANES);

#pragma GCC unroll 16
            for (int i = 0; i < pixels; ++i) {
                int32_t two;
                ints xi;

                memcpy(&two, x + i * stride, sizeof two);
                xi = two - (ints){0};
                sum[i][0] = MADD_TO(sum[i][0], (shorts)xi, (shorts)w0);
                if (vectors > 1)
                    sum[i][1] = MADD_TO(sum[i][1], (shorts)xi, (shorts)w1);
            }
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < pixels; ++i)
        for (int v = 0; v < vectors; ++v) {
            const vec value =
                load(view->bias + v * LANES) +
                __builtin_convertvector(sum[i][v], vec) * load(view->scales + v * LANES);

            store(y + v * block_step + i * LANES, view->relu ? rectify(value) : value);
        }
}

KERNEL void integer_columns(const int vectors, int32_t columns, const integer_view *view, float *y,
                            int64_t block_step)
{
    const int32_t blocks = (columns + ROWS - 1) / ROWS;
    float few[2 * ROWS * LANES];

    for (int32_t block = 0; block < blocks; ++block) {
        const int32_t first = (int32_t)((int64_t)columns * block / blocks);
        const int32_t count = (int32_t)((int64_t)columns * (block + 1) / blocks) - first;
        const int64_t left = (int64_t)first * view->stride;
        float *to = y + (int64_t)first * LANES;

        if (count == ROWS) {
            integer_pixels(ROWS, vectors, view, left, to, block_step);
        } else if (count == ROWS - 1) {
            integer_pixels(ROWS - 1, vectors, view, left, to, block_step);
        } else {
            integer_pixels(ROWS, vectors, view, left, few, ROWS * LANES);
            for (int v = 0; v < vectors; ++v)
                memcpy(to + v * block_step, few + v * ROWS * LANES,
                       (size_t)count * LANES * sizeof *to);
        }
    }
}

static void first_row_integer(const first_shape *s, const int16_t *x, int64_t line,
                              const int16_t *weights, const float *scales, const float *bias,
                              int32_t vectors, int relu, int32_t row, float *y, int64_t block_step)
{
    const integer_view view = {.x = x + (int64_t)row * s->stride[0] * line,
                               .line = line,
                               .lines = s->kernel[0],
                               .pairs = (s->kernel[1] * s->channels + 1) / 2,
                               .stride = s->stride[1] * s->channels,
                               .weights = weights,
                               .scales = scales,
                               .bias = bias,
                               .relu = relu};

    if (vectors == 1)
        integer_columns(1, s->columns, &view, y, block_step);
    else
        integer_columns(2, s->columns, &view, y, block_step);
}
