/*
 * The CPU kernels that make a row of a map, at every level, against plain loops: direct
 * convolutions of few channels, with their gradient, and max pools.
 * links: kernels_wide
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "kernel_numbers.h"
#include "kernels_wide.h"
#include "onednn/first_tiles.h"

/* One output of a convolution with relu, in double. */
static double convolved(const kernels *k, const first_shape *s, const float *x, const float *w,
                        const float *bias, int row, int column, int output)
{
    double sum = bias[output];

    for (int c = 0; c < s->channels; ++c)
        for (int i = 0; i < s->kernel[0]; ++i)
            for (int j = 0; j < s->kernel[1]; ++j) {
                int y = row * s->stride[0] - s->pad[0] + i;
                int at = column * s->stride[1] - s->pad[1] + j;
                int tap = (c * s->kernel[0] + i) * s->kernel[1] + j;

                if (y >= 0 && y < s->size[0] && at >= 0 && at < s->size[1])
                    sum += (double)x[(c * s->size[0] + y) * s->size[1] + at] *
                           w[tap * k->panel + output];
            }
    return sum;
}

/* Row after row by tiles, weights (C,kh,kw,panel) packed for it. */
static void convolve_by_tiles(const kernels *k, const first_shape *s, int rows, const float *x,
                              const float *w, const float *bias, int vectors, bool relu, float *y,
                              int64_t block_step)
{
    const first_tiles tiles = first_tiles_plan(k, s);
    const int taps = s->channels * s->kernel[0] * s->kernel[1];
    float *memory = numbers(first_lines_floats(k, &tiles), 20);
    float *packed = numbers(first_tiles_panel(k, &tiles), 21), *dense = numbers(taps, 22);
    first_lines lines = first_lines_open(k, s, &tiles, x, memory);

    for (int output = 0; output < k->panel; ++output) {
        for (int i = 0; i < taps; ++i)
            dense[i] = w[i * k->panel + output];
        first_tiles_pack(s, &tiles, dense, k->panel, packed + output);
    }
    for (int row = 0; row < rows; ++row) {
        const float *spectra = first_lines_of(&lines, row);

        k->first_row_tiles(&tiles, spectra, packed, bias, vectors, relu, lines.products,
                           y + (int64_t)row * s->columns * k->lanes, block_step);
    }
    free(memory);
    free(packed);
    free(dense);
}

/* All rows of a convolution, tap by tap or by tiles; nothing may be written but them. */
static void test_first(const kernels *k, const first_shape *shape, int vectors, bool relu,
                       bool by_tiles)
{
    first_shape s = *shape;
    const int rows = (s.size[0] + 2 * s.pad[0] - s.kernel[0]) / s.stride[0] + 1;
    const int64_t taps = (int64_t)s.channels * s.kernel[0] * s.kernel[1];
    const int64_t pixels = (int64_t)s.channels * s.size[0] * s.size[1];
    int64_t line, count;
    float *x = numbers(pixels, 14), *w = numbers(taps * k->panel, 15),
          *bias = numbers(k->panel, 16);
    float *y, *expected;

    s.columns = (s.size[1] + 2 * s.pad[1] - s.kernel[1]) / s.stride[1] + 1;
    line = (int64_t)s.columns * k->lanes;
    count = 2 * rows * line + k->lanes;
    y = numbers(count, 17);
    expected = numbers(count, 17);
    if (by_tiles)
        convolve_by_tiles(k, &s, rows, x, w, bias, vectors, relu, y, rows * line);
    for (int row = 0; row < rows; ++row) {
        if (!by_tiles)
            k->first_row(&s, x, w, bias, vectors, relu, row, y + row * line, rows * line);
        for (int output = 0; output < vectors * k->lanes; ++output)
            for (int column = 0; column < s.columns; ++column) {
                double sum = convolved(k, &s, x, w, bias, row, column, output);

                expected[(output / k->lanes * rows + row) * line + column * k->lanes +
                         output % k->lanes] = relu && sum < 0 ? 0.0f : (float)sum;
            }
    }
    CHECK(near(y, expected, count, 1e-4));
    free(x);
    free(w);
    free(bias);
    free(y);
    free(expected);
}

/* Adds all rows of the gradient to sums (taps, panel), by tiles. */
static void gradient_by_tiles(const kernels *k, const first_shape *s, int rows, const float *x,
                              const float *dy, int64_t block_step, float *sums)
{
    const first_tiles tiles = first_tiles_plan(k, s);
    const int64_t values = first_tiles_values(&tiles);
    const int taps = s->channels * s->kernel[0] * s->kernel[1];
    float *memory = numbers(first_lines_floats(k, &tiles), 27);
    float *packed = calloc((size_t)(values * k->panel), sizeof *packed), *dense = numbers(taps, 28);
    double *column = calloc((size_t)values, sizeof *column);
    first_lines lines = first_lines_open(k, s, &tiles, x, memory);

    for (int row = 0; row < rows; ++row) {
        const float *spectra = first_lines_of(&lines, row);

        k->first_gradient_tiles(&tiles, spectra, dy + (int64_t)row * s->columns * k->lanes,
                                block_step, lines.products, packed);
    }
    for (int output = 0; output < k->panel; ++output) {
        for (int64_t i = 0; i < values; ++i)
            column[i] = packed[i * k->panel + output];
        first_tiles_unpack(s, &tiles, column, dense);
        for (int i = 0; i < taps; ++i)
            sums[i * k->panel + output] += dense[i];
    }
    free(memory);
    free(packed);
    free(dense);
    free(column);
}

/* All rows of the gradient of a convolution's weights, added to what is there. */
static void test_first_gradient(const kernels *k, const first_shape *shape, bool by_tiles)
{
    first_shape s = *shape;
    const int rows = (s.size[0] + 2 * s.pad[0] - s.kernel[0]) / s.stride[0] + 1;
    const int64_t taps = (int64_t)s.channels * s.kernel[0] * s.kernel[1];
    const int64_t count = taps * k->panel;
    float *x = numbers((int64_t)s.channels * s.size[0] * s.size[1], 24);
    float *sums = numbers(count + k->lanes, 25), *expected = numbers(count + k->lanes, 25), *dy;
    int64_t line;

    s.columns = (s.size[1] + 2 * s.pad[1] - s.kernel[1]) / s.stride[1] + 1;
    line = (int64_t)s.columns * k->lanes;
    dy = numbers(2 * rows * line, 26);
    if (by_tiles)
        gradient_by_tiles(k, &s, rows, x, dy, rows * line, sums);
    for (int row = 0; row < rows && !by_tiles; ++row)
        k->first_gradient(&s, x, dy + row * line, rows * line, row, sums);
    for (int64_t i = 0; i < count; ++i) {
        const int output = (int)(i % k->panel), tap = (int)(i / k->panel);
        const int down = tap / s.kernel[1] % s.kernel[0], across = tap % s.kernel[1];
        const float *image = x + (int64_t)tap / s.kernel[0] / s.kernel[1] * s.size[0] * s.size[1];
        double sum = 0;

        for (int row = 0; row < rows; ++row)
            for (int column = 0; column < s.columns; ++column) {
                const int y = row * s.stride[0] - s.pad[0] + down;
                const int at = column * s.stride[1] - s.pad[1] + across;

                if (y >= 0 && y < s.size[0] && at >= 0 && at < s.size[1])
                    sum += (double)image[y * s.size[1] + at] *
                           dy[(output / k->lanes * rows + row) * line + column * k->lanes +
                              output % k->lanes];
            }
        expected[i] += (float)sum;
    }
    CHECK(near(sums, expected, count + k->lanes, 1e-4));
    free(x);
    free(dy);
    free(sums);
    free(expected);
}

/* first_row in integers, of images that are filled up already; the largest ones come near 2^31. */
static void test_integers(const kernels *k, const first_shape *shape, int vectors, bool largest)
{
    const first_shape *s = shape;
    const int pairs = (s->kernel[1] * s->channels + 1) / 2, panel = k->panel;
    const int64_t line = (int64_t)(s->columns + 16) * s->stride[1] * s->channels + 2 * pairs;
    const int64_t step = (int64_t)s->columns * k->lanes;
    const int64_t pixels = line * s->kernel[0], count = (int64_t)s->kernel[0] * pairs * panel * 2;
    float *noise = numbers(pixels + count, 20), *scales = numbers(panel, 21);
    float *bias = numbers(panel, 22), *y = numbers(2 * step, 23);
    int16_t *x = malloc((size_t)pixels * sizeof *x), *w = malloc((size_t)count * sizeof *w);

    for (int64_t i = 0; i < pixels; ++i)
        x[i] = largest ? 32767 : (int16_t)(noise[i] * 32767);
    for (int64_t i = 0; i < count; ++i)
        w[i] = largest ? 127 : (int16_t)(noise[pixels + i] * 127);
    k->first_row_integer(s, x, line, w, scales, bias, vectors, 0, 0, y, step);
    for (int output = 0; output < vectors * k->lanes; ++output)
        for (int column = 0; column < s->columns; ++column) {
            int64_t sum = 0;
            double expected;

            for (int i = 0; i < s->kernel[0]; ++i)
                for (int j = 0; j < 2 * pairs; ++j)
                    sum += (int64_t)x[i * line + column * s->stride[1] * s->channels + j] *
                           w[((i * pairs + j / 2) * panel + output) * 2 + j % 2];
            expected = bias[output] + (double)sum * scales[output];
            CHECK(fabs(y[output / k->lanes * step + column * k->lanes + output % k->lanes] -
                       expected) <= 1e-6 * fabs((double)sum * scales[output]) + 1e-3);
        }
    free(noise);
    free(scales);
    free(bias);
    free(y);
    free(x);
    free(w);
}

static void test_firsts(const kernels *k)
{
    static const first_shape shapes[] = {
        {1, {9, 40}, {3, 3}, {1, 1}, {1, 1}, 0},    {3, {11, 63}, {7, 7}, {2, 2}, {3, 3}, 0},
        {4, {13, 71}, {5, 5}, {2, 2}, {0, 2}, 0},   {3, {23, 90}, {11, 11}, {4, 4}, {2, 2}, 0},
        {2, {5, 17}, {3, 5}, {1, 3}, {2, 4}, 0},    {3, {7, 9}, {7, 9}, {1, 1}, {0, 0}, 0},
        {4, {12, 15}, {11, 11}, {1, 8}, {5, 5}, 0}, {3, {4, 200}, {1, 1}, {2, 2}, {0, 0}, 0},
        {2, {5, 300}, {4, 3}, {2, 1}, {1, 1}, 0},   {3, {50, 90}, {3, 11}, {5, 3}, {1, 2}, 0},
        {3, {41, 70}, {7, 8}, {2, 2}, {3, 4}, 0},   {1, {6, 5}, {2, 4}, {1, 1}, {0, 3}, 0},
    };

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; ++i) {
        const int grids = shapes[i].stride[1], taps = shapes[i].kernel[1];
        const int ways = taps >= grids && taps <= FIRST_TILE * grids ? 2 : 1;

        for (int by_tiles = 0; by_tiles < ways; ++by_tiles) {
            test_first(k, &shapes[i], 1, i % 2, by_tiles);
            test_first(k, &shapes[i], 2, i % 2, by_tiles);
            test_first_gradient(k, &shapes[i], by_tiles);
        }
    }
    for (int vectors = 1; vectors <= 2; ++vectors) {
        test_integers(k, &(first_shape){3, {0}, {7, 7}, {2, 2}, {0}, 109}, vectors, false);
        test_integers(k, &(first_shape){4, {0}, {11, 11}, {1, 8}, {0}, 5}, vectors, true);
        test_integers(k, &(first_shape){1, {0}, {3, 3}, {1, 1}, {0}, 20}, vectors, false);
    }
}

/* A NaN in one lane of the cell in the middle of a row: in the windows that see it, and nowhere
 * else. */
static void test_max_pool_nan(const kernels *k, const pool_shape *s, float *cell,
                              const float *const *rows, const float *expected)
{
    float *y = numbers((int64_t)s->columns * s->cell, 20), kept = *cell;
    bool right = true;

    *cell = NAN;
    k->max_pool(s, 3, rows, y);
    *cell = kept;
    for (int32_t column = 0; column < s->columns; ++column)
        for (int32_t lane = 0; lane < s->cell; ++lane) {
            const int32_t first = column * s->stride - s->pad, at = column * s->cell + lane;
            const bool sees =
                lane == 0 && s->width / 2 >= first && s->width / 2 < first + s->kernel;

            right = right && (sees ? isnan(y[at]) : y[at] == expected[at]);
        }
    CHECK(right);
    free(y);
}

/* Rows of width 1 to 29 under every window in use; negative cells show padding that wins. */
static void test_max_pool(const kernels *k, int32_t kernel, int32_t stride, int32_t pad, int cells)
{
    const int32_t lanes = k->lanes;

    for (int32_t width = 1; width < 30; ++width) {
        const pool_shape s = {.width = width,
                              .cell = cells * lanes,
                              .kernel = kernel,
                              .stride = stride,
                              .pad = pad,
                              .columns = (width + pad + stride - 1) / stride};
        float *x = numbers((int64_t)3 * width * s.cell, 18);
        float *y = numbers((int64_t)(s.columns + 1) * s.cell, 19);
        float *expected = numbers((int64_t)(s.columns + 1) * s.cell, 19);
        const float *rows[3];

        for (int64_t i = 0; i < (int64_t)3 * width * s.cell; ++i)
            x[i] -= 2.0f;
        for (int row = 0; row < 3; ++row)
            rows[row] = x + (int64_t)row * width * s.cell;
        for (int32_t column = 0; column < s.columns; ++column)
            for (int32_t lane = 0; lane < s.cell; ++lane) {
                float *best = &expected[column * s.cell + lane];
                bool any = false;

                *best = 0.0f;
                for (int row = 0; row < 3; ++row)
                    for (int32_t i = 0; i < kernel; ++i) {
                        int32_t at = column * stride - pad + i;

                        if (at < 0 || at >= width || (any && rows[row][at * s.cell + lane] < *best))
                            continue;
                        *best = rows[row][at * s.cell + lane];
                        any = true;
                    }
            }
        k->max_pool(&s, 3, rows, y);
        CHECK(memcmp(y, expected, (size_t)(s.columns + 1) * (size_t)s.cell * sizeof *y) == 0);
        for (int row = 0; row < 3; ++row) /* a NaN is the largest wherever it is */
            test_max_pool_nan(k, &s, x + ((int64_t)row * width + width / 2) * s.cell, rows,
                              expected);
        free(x);
        free(y);
        free(expected);
    }
}

static void test_level(const kernels *k)
{
    test_firsts(k);
    test_max_pool(k, 2, 2, 0, 1);
    test_max_pool(k, 3, 2, 0, 1);
    test_max_pool(k, 3, 2, 1, 2);
    test_max_pool(k, 5, 1, 2, 1);
    test_max_pool(k, 1, 3, 0, 2);
}

int main(void)
{
    test_level(&kernels_plain);
    test_level(&kernels_wide);
    test_level(kernels_select());
    setenv("HMT_CPU_LEVEL", "avx2", 1);
    test_level(kernels_select());
    return test_finish();
}
