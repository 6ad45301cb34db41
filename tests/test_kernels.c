/*
 * Our own CPU kernels at every level, each alone against plain loops: products, inner products from
 * all storages, and Winograd's transforms forward and backward.
 * links: kernels_wide
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "format/half.h"
#include "kernel_numbers.h"
#include "kernels_wide.h"
#include "onednn/processor.h"

enum { MOST = 16 };

/* b's values stored as `stored`, and back in `values` what was stored. */
static void *stored_as(hmt_dtype stored, float *values, int64_t count)
{
    uint16_t *halves = malloc((size_t)(count + MOST) * sizeof *halves);

    if (stored == HMT_DTYPE_F32) {
        free(halves);
        return NULL;
    }
    for (int64_t i = 0; i < count; ++i)
        if (stored == HMT_DTYPE_F16)
            values[i] = half_from_f16(halves[i] = half_to_f16(values[i]));
        else
            values[i] = half_from_bf16(halves[i] = half_to_bf16(values[i]));
    return halves;
}

/* across: a(i,p) and a(i+1,p) are neighbours, else a(i,p) and a(i,p+1). */
static void test_gemm(const kernels *k, hmt_dtype stored, int64_t m, int64_t depth, bool across)
{
    const int64_t a_row = across ? 1 : depth, a_step = across ? m : 1;
    float *a = numbers(m * depth, 1), *b = numbers(depth * k->panel, 2);
    float *c = numbers(m * k->panel, 3), *expected = numbers(m * k->panel, 3);
    void *halves = stored_as(stored, b, depth * k->panel);

    for (int64_t i = 0; i < m; ++i)
        for (int64_t j = 0; j < k->panel; ++j)
            for (int64_t p = 0; p < depth; ++p)
                expected[i * k->panel + j] += a[i * a_row + p * a_step] * b[p * k->panel + j];
    k->gemm(stored, m, depth, a, a_row, a_step, halves != NULL ? halves : b, k->panel, c, k->panel,
            1, 0);
    CHECK(near(c, expected, m * k->panel, 1e-4));
    free(a);
    free(b);
    free(c);
    free(expected);
    free(halves);
}

/* x(n,inputs) as panels of images, filled up with zeros. */
static float *image_panels(const kernels *k, int64_t n, int64_t inputs, const float *x)
{
    const int64_t filled = (n + k->panel - 1) / k->panel * k->panel;
    float *panels = calloc((size_t)(filled * inputs), sizeof *panels);

    for (int64_t i = 0; i < n; ++i)
        for (int64_t p = 0; p < inputs; ++p)
            panels[i / k->panel * k->panel * inputs + p * k->panel + i % k->panel] =
                x[i * inputs + p];
    return panels;
}

/* One image with and without prefetches of the weight; for more they mean nothing. */
static const weight_prefetch prefetches[] = {PREFETCH_HARDWARE, PREFETCH_NONTEMPORAL};

/* By dot products or with the images in panels. */
static void test_linear(const kernels *k, hmt_dtype stored, int64_t n, int64_t inputs, int64_t rows,
                        bool in_panels)
{
    float *x = numbers(n * inputs, 4), *w = numbers(rows * inputs, 5), *bias = numbers(rows, 6);
    float *y = numbers(n * rows, 7), *expected = numbers(n * rows, 7);
    void *halves = stored_as(stored, w, rows * inputs);

    for (int64_t i = 0; i < n; ++i)
        for (int64_t o = 0; o < rows; ++o) {
            double sum = bias[o];

            for (int64_t p = 0; p < inputs; ++p)
                sum += (double)x[i * inputs + p] * w[o * inputs + p];
            expected[i * rows + o] = sum > 0 ? (float)sum : 0.0f;
        }
    if (in_panels) {
        float *panels = image_panels(k, n, inputs, x);
        float *memory = aligned_alloc(64, LINEAR_PANELS_MEMORY * sizeof *memory);

        k->linear_panels(stored, n, inputs, panels, halves != NULL ? halves : w, rows, bias, 1, y,
                         rows, memory);
        free(memory);
        free(panels);
    } else {
        for (int i = 0; i < 2; ++i) {
            k->linear(stored, prefetches[i], n, inputs, x, NULL, halves != NULL ? halves : w, NULL,
                      rows, bias, 1, y, rows);
            CHECK(near(y, expected, n * rows, 1e-4));
        }
    }
    CHECK(near(y, expected, n * rows, in_panels ? 3e-4 : 1e-4)); /* one sum, not LANES */
    free(x);
    free(w);
    free(bias);
    free(y);
    free(expected);
    free(halves);
}

/* What an inner product hands back, for columns within a wider weight; nothing beside is written.
 */
static void test_linear_gradient(const kernels *k, int64_t n, int64_t rows, int64_t columns)
{
    const int64_t w_row = columns + 3, dx_row = columns + 5;
    float *dy = numbers(rows * n, 27), *w = numbers(rows * w_row, 28);
    float *dx = numbers(n * dx_row, 29), *expected = numbers(n * dx_row, 29);
    float *memory = aligned_alloc(64, LINEAR_GRADIENT_MEMORY * sizeof *memory);

    for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < columns; ++j) {
            double sum = 0;

            for (int64_t row = 0; row < rows; ++row)
                sum += (double)dy[row * n + i] * w[row * w_row + j];
            expected[i * dx_row + j] = (float)sum;
        }
    k->linear_gradient(n, rows, columns, dy, w, w_row, dx, dx_row, memory);
    CHECK(near(dx, expected, n * dx_row, 1e-4));
    free(memory);
    free(dy);
    free(w);
    free(dx);
    free(expected);
}

/* Inner products of integers against exact sums; the largest ones come as near to 2^31 as they may.
 */
static void test_integers(const kernels *k, int64_t n, int64_t inputs, int64_t rows, bool largest)
{
    float *bias = numbers(rows, 8), *scales = numbers(rows, 9), *steps = numbers(n, 10);
    float *noise = numbers((n + rows) * inputs, 11), *y = numbers(n * rows, 12);
    int16_t *x = malloc((size_t)(n * inputs) * sizeof *x);
    int8_t *w = malloc((size_t)(rows * inputs));

    for (int64_t i = 0; i < n * inputs; ++i)
        x[i] = largest ? 32767 : (int16_t)(noise[i] * 32767);
    for (int64_t i = 0; i < rows * inputs; ++i)
        w[i] = largest ? -128 : (int8_t)(noise[n * inputs + i] * 127);
    k->linear(HMT_DTYPE_I8, prefetches[rows % 2], n, inputs, x, steps, w, scales, rows, bias, 0, y,
              rows);
    for (int64_t i = 0; i < n; ++i)
        for (int64_t o = 0; o < rows; ++o) {
            int64_t sum = 0;
            double expected;

            for (int64_t p = 0; p < inputs; ++p)
                sum += (int64_t)x[i * inputs + p] * w[o * inputs + p];
            expected = bias[o] + (double)sum * steps[i] * scales[o];
            CHECK(fabs(y[i * rows + o] - expected) <= 1e-5 * fabs(expected) + 1e-3);
        }
    free(bias);
    free(scales);
    free(steps);
    free(noise);
    free(y);
    free(x);
    free(w);
}

static void test_quantise(const kernels *k)
{
    float x[5] = {0.0f, -2.0f, 1.0f, 0.5f, 1e-9f};
    const float bad[] = {INFINITY, -INFINITY, NAN};
    int16_t counts[5];

    CHECK(k->quantise(5, x, counts) == 2.0f / 32767);
    CHECK(counts[0] == 0 && counts[1] == -32767 && counts[2] == 16384 && counts[4] == 0);
    CHECK(counts[3] == 8192);
    x[1] = x[2] = x[3] = x[4] = 0.0f;
    CHECK(k->quantise(5, x, counts) == 0.0f && counts[3] == 0);
    x[2] = 1e-44f;
    CHECK(isfinite(k->quantise(5, x, counts)));
    for (int i = 0; i < 3; ++i) {
        x[3] = bad[i];
        CHECK(isnan(k->quantise(5, x, counts)) && counts[3] == 0);
    }
}

/* One tile of a map whose canvas is itself: `side` x `side` cells of one block of channels. */
typedef struct tile {
    int64_t place[8];
    winograd_map map;
} tile;

static void make_tile(tile *t, int32_t lanes, int32_t side)
{
    for (int i = 0; i < 8; ++i)
        t->place[i] = (int64_t)i * lanes;
    t->map = (winograd_map){.phases = 1,
                            .blocks = 1,
                            .block_step = (int64_t)side * side * lanes,
                            .rows = side,
                            .columns = side,
                            .column = t->place};
}

static void test_winograd(const kernels *k, int32_t m)
{
    const int32_t side = m + 2, lanes = k->lanes;
    const int64_t points = (int64_t)side * side, cells = (int64_t)m * m;
    const winograd_kernel shape = {.outputs = lanes,
                                   .inputs = lanes,
                                   .output_step = lanes * 9,
                                   .input_step = 9,
                                   .tap_step = {3, 1},
                                   .size = {3, 3},
                                   .stride = 1,
                                   .channels = lanes};
    float *x = numbers(points * lanes, 8), *w = numbers((int64_t)lanes * lanes * 9, 9);
    float *dy = numbers(cells * lanes, 10), *y = numbers(cells * lanes, 11);
    float *expected = calloc((size_t)(cells * lanes), sizeof *expected);
    float *gradient = calloc((size_t)(lanes * lanes * 9), sizeof *gradient);
    float *expected_gradient = calloc((size_t)(lanes * lanes * 9), sizeof *gradient);
    float *v = numbers(points * lanes, 12), *p = calloc((size_t)(points * k->panel), sizeof *p);
    float *u = numbers(points * lanes * k->panel, 13);
    int64_t in_rows[8], out_rows[8];
    winograd_slab slabs[WINOGRAD_SQUARE];
    tile in, out;

    make_tile(&in, lanes, side);
    make_tile(&out, lanes, m);
    for (int i = 0; i < 8; ++i) {
        in_rows[i] = (int64_t)i * side * lanes;
        out_rows[i] = (int64_t)i * m * lanes;
    }
    in.map.row = in_rows;
    out.map.row = out_rows;
    for (int o = 0; o < lanes; ++o)
        for (int c = 0; c < lanes; ++c)
            for (int at = 0; at < cells * 9; ++at) {
                int i = at / 9 / m, j = at / 9 % m, a = at % 9 / 3, b = at % 3;
                float from = x[((i + a) * side + j + b) * lanes + c];

                expected[(i * m + j) * lanes + o] += from * w[(o * lanes + c) * 9 + a * 3 + b];
                expected_gradient[(o * lanes + c) * 9 + a * 3 + b] +=
                    from * dy[(i * m + j) * lanes + o];
            }
    for (int64_t point = 0; point < points; ++point)
        slabs[point] = (winograd_slab){u + point * lanes * k->panel, 0, lanes};
    k->winograd_kernels(m, &shape, w, 0, 0, lanes, slabs);
    k->winograd_input(m, &in.map, x, 0, 0, v, lanes);
    for (int64_t point = 0; point < points; ++point)
        k->gemm(HMT_DTYPE_F32, 1, lanes, v + point * lanes, lanes, 1, u + point * lanes * k->panel,
                k->panel, p + point * k->panel, k->panel, 0, 0);
    k->winograd_output(m, &out.map, p, k->panel, NULL, 0, y, 0, 0);
    CHECK(near(y, expected, cells * lanes, 1e-3));
    k->winograd_spread(m, &out.map, dy, 0, 0, p, k->panel);
    for (int64_t point = 0; point < points; ++point)
        k->gemm(HMT_DTYPE_F32, lanes, 1, v + point * lanes, 1, lanes, p + point * k->panel,
                k->panel, u + point * lanes * k->panel, k->panel, 0, 0);
    for (int64_t row = 0; row < lanes; ++row)
        k->winograd_gradient(m, &shape, u + row * k->panel, lanes * k->panel, row, gradient);
    CHECK(near(gradient, expected_gradient, (int64_t)lanes * lanes * 9, 1e-3));
    free(x);
    free(w);
    free(dy);
    free(y);
    free(expected);
    free(gradient);
    free(expected_gradient);
    free(v);
    free(p);
    free(u);
}

/* Counts of one tile's point: value(k) in a step for each segment, which is the largest magnitude
 * over 4095. */
static void check_counts(const int16_t *counts, const float *steps, int64_t length, int64_t apart,
                         const float *values, int64_t values_apart, int64_t steps_apart)
{
    for (int64_t from = 0; from < length; from += WINOGRAD_SEGMENT) {
        const int64_t end = from + WINOGRAD_SEGMENT < length ? from + WINOGRAD_SEGMENT : length;
        const float step = steps[from / WINOGRAD_SEGMENT * steps_apart];
        float most = 0.0f;

        for (int64_t i = from; i < end; ++i)
            most = fmaxf(most, fabsf(values[i * values_apart]));
        CHECK(fabsf(step * 4095 - most) <= 1e-6f * most);
        for (int64_t i = from; i < end; ++i)
            CHECK(fabsf(counts[i * apart] * step - values[i * values_apart]) <= 0.501f * step);
    }
}

/* Spectra of one tile with `blocks` blocks of channels, in counts against those in float32. */
static void test_input_counts(const kernels *k, int32_t m, int64_t blocks, float bad)
{
    const int32_t side = m + 2, lanes = k->lanes;
    const int64_t points = (int64_t)side * side, channels = blocks * lanes;
    const int64_t segments = (channels + WINOGRAD_SEGMENT - 1) / WINOGRAD_SEGMENT;
    const int64_t row = channels + 2 * segments;
    float *x = numbers(points * channels, 14), *v = numbers(points * channels, 15);
    float *steps = numbers(segments, 16);
    int16_t *counts = malloc((size_t)(points * row) * sizeof *counts);
    int64_t rows[8];
    tile in;

    make_tile(&in, lanes, side);
    in.map.blocks = blocks;
    for (int i = 0; i < 8; ++i)
        rows[i] = (int64_t)i * side * lanes;
    in.map.row = rows;
    for (int64_t i = 0; i < points * lanes; ++i) /* one block much larger, one tiny */
        x[i] *= 1e3f;
    if (!isfinite(bad) || bad == 0.0f)
        for (int64_t i = 0; i < points * channels; ++i)
            x[i] = bad == 0.0f || (i / lanes % points == 7 && i % lanes == 3) ? bad : x[i];
    k->winograd_input(m, &in.map, x, 0, 0, v, channels);
    k->winograd_input_counts(m, &in.map, x, 0, 0, counts, row);
    for (int64_t point = 0; point < points; ++point) {
        memcpy(steps, counts + point * row + channels, (size_t)segments * sizeof *steps);
        if (isfinite(bad)) {
            check_counts(counts + point * row, steps, channels, 1, v + point * channels, 1, 1);
            continue;
        }
        for (int64_t i = 0; i < channels; ++i) { /* as the float32 spectrum says, by segments */
            const float step = steps[i / WINOGRAD_SEGMENT];

            CHECK(isnan(step) || isfinite(v[point * channels + i]));
            CHECK(isfinite(step) || counts[point * row + i] == 0);
        }
    }
    free(x);
    free(v);
    free(steps);
    free(counts);
}

/* A panel of kernels' spectra in counts; column 1 holds an infinity, column 2 nothing. */
static void test_kernel_counts(const kernels *k, int64_t rows)
{
    float *u = numbers(rows * k->panel, 17);
    const int64_t segments = (rows + WINOGRAD_SEGMENT - 1) / WINOGRAD_SEGMENT;
    int16_t *to = malloc((size_t)((rows + 2 * segments) * k->panel) * sizeof *to), *at = to;
    float steps[2 * MOST];

    for (int64_t i = 0; i < rows; ++i)
        u[i * k->panel + 2] = 0.0f;
    u[(rows - 1) * k->panel + 1] = -INFINITY;
    k->winograd_kernel_counts(rows, u, to);
    for (int64_t from = 0; from < rows; from += WINOGRAD_SEGMENT) {
        const int64_t length = rows - from < WINOGRAD_SEGMENT ? rows - from : WINOGRAD_SEGMENT;
        const int last = from + length == rows;

        memcpy(steps, at, (size_t)k->panel * sizeof *steps);
        at += 2 * k->panel;
        for (int32_t column = 0; column < k->panel; ++column) {
            const float *values = u + from * k->panel + column;
            int16_t counts[WINOGRAD_SEGMENT];

            for (int64_t i = 0; i < length; ++i)
                counts[i] = at[(i / 2 * k->panel + column) * 2 + i % 2];
            if (column != 1 || !last)
                check_counts(counts, &steps[column], length, 1, values, k->panel, 1);
            for (int64_t i = 0; column == 1 && last && i < length; ++i)
                CHECK(isnan(steps[column]) && counts[i] == 0);
        }
        at += length * k->panel;
    }
    free(u);
    free(to);
}

/* Products of counts, `m` tiles: against exact sums, all of the largest magnitude if asked for. A
 * NaN among the steps stays in its tile. */
static void test_product(const kernels *k, int64_t m, int64_t depth, bool largest)
{
    const int64_t segments = (depth + WINOGRAD_SEGMENT - 1) / WINOGRAD_SEGMENT;
    const int64_t row = depth + 2 * segments + 6, panel = k->panel;
    float *noise = numbers((m + panel) * (depth + 2 * segments), 18), *at = noise;
    float *steps = numbers(m * segments + panel, 19), *c = numbers(m * (panel + 8), 20);
    int16_t *a = calloc((size_t)(m * row), sizeof *a);
    int16_t *b = malloc((size_t)((depth + 2 * segments) * panel) * sizeof *b), *to = b;
    double *expected = calloc((size_t)(m * panel), sizeof *expected);

    steps[m * segments - 1] = NAN; /* of the last tile */
    for (int64_t i = 0; i < m; ++i) {
        for (int64_t p = 0; p < depth; ++p)
            a[i * row + p] = largest ? -4095 : (int16_t)(*at++ * 4095);
        memcpy(a + i * row + depth, steps + i * segments, (size_t)segments * sizeof *steps);
    }
    for (int64_t from = 0, segment = 0; from < depth; from += WINOGRAD_SEGMENT, ++segment) {
        const int64_t end = depth - from < WINOGRAD_SEGMENT ? depth : from + WINOGRAD_SEGMENT;

        memcpy(to, steps + m * segments, (size_t)panel * sizeof *steps);
        to += 2 * panel;
        for (int64_t p = from; p < end; ++p)
            for (int64_t j = 0; j < panel; ++j) {
                const int16_t count = largest ? -4095 : (int16_t)(*at++ * 4095);

                to[((p - from) / 2 * panel + j) * 2 + p % 2] = count;
                for (int64_t i = 0; i < m; ++i)
                    expected[i * panel + j] += (double)a[i * row + p] * count *
                                               steps[i * segments + segment] *
                                               steps[m * segments + j];
            }
        to += (end - from) * panel;
    }
    k->winograd_product(m, depth, a, row, b, c, panel + 8, 0);
    for (int64_t i = 0; i < m; ++i)
        for (int64_t j = 0; j < panel; ++j) {
            const float found = c[i * (panel + 8) + j];
            const double right = expected[i * panel + j];

            if (i == m - 1)
                CHECK(isnan(found));
            else
                CHECK(fabs(found - right) <= 1e-6 * fabs(right) + 4095.0 * 4095 * 1e-5);
        }
    free(noise);
    free(steps);
    free(c);
    free(a);
    free(b);
    free(expected);
}

static void test_counts(const kernels *k)
{
    const float bad[] = {1.0f, 0.0f, NAN, INFINITY, -INFINITY};

    for (int64_t blocks = 1; blocks <= 19; blocks += 6)
        for (int i = 0; i < 5; ++i) {
            test_input_counts(k, 4, blocks, bad[i]);
            test_input_counts(k, 3, blocks, bad[i]);
            test_input_counts(k, 2, blocks, bad[i]);
        }
    test_kernel_counts(k, 2);
    test_kernel_counts(k, WINOGRAD_SEGMENT);
    test_kernel_counts(k, 3 * WINOGRAD_SEGMENT - 16);
    for (int64_t m = 1; m <= 31; ++m)
        test_product(k, m, m % 3 == 0 ? 300 : 2 * m, false);
    test_product(k, 3, 2 * WINOGRAD_SEGMENT, true);
}

static void test_level(const kernels *k)
{
    for (int stored = HMT_DTYPE_F32; stored <= HMT_DTYPE_BF16; ++stored) {
        for (int64_t m = 1; m <= 31; ++m)
            for (int across = 0; across <= (stored == HMT_DTYPE_F32); ++across)
                test_gemm(k, (hmt_dtype)stored, m, m % 3 == 0 ? 299 : m, across);
        for (int64_t n = 1; n <= 6; ++n)
            test_linear(k, (hmt_dtype)stored, n, 1 + n * 37, 3 + n, false);
        test_linear(k, (hmt_dtype)stored, 5, 2100, 4, false);
        for (int64_t n = 4; n <= 12; n += 4) /* several groups of rows, pieces, blocks of images */
            test_linear(k, (hmt_dtype)stored, n, 1029 + n, 19, false);
        for (int64_t rows = 1; rows <= LINEAR_ROWS; rows += 7) /* less than a part has, chunks */
            for (int64_t inputs = 1; inputs <= 8000; inputs = 3 * inputs + 2)
                test_linear(k, (hmt_dtype)stored, rows, inputs, rows, true);
        test_linear(k, (hmt_dtype)stored, LINEAR_IMAGES, 1031, LINEAR_ROWS, true);
    }
    for (int64_t n = 1; n <= 140; n += n < 33 ? 1 : 53) /* several groups of images */
        test_linear_gradient(k, n, 1 + n * 61 % 200, 1 + n * 37 % LINEAR_COLUMNS);
    test_linear_gradient(k, 3, 64, LINEAR_COLUMNS);
    test_linear_gradient(k, 3, 128, 2 * MOST);
    for (int64_t n = 1; n <= 6; ++n)
        test_integers(k, n, 1 + n * 37, 3 + n, false);
    test_integers(k, 1, 38, 5, false); /* the other prefetch */
    test_integers(k, 1, 18432, 5, true);
    test_integers(k, 5, 2100, 4, true);
    test_quantise(k);
    test_winograd(k, 6);
    test_winograd(k, 5);
    test_winograd(k, 4);
    test_winograd(k, 3);
    test_winograd(k, 2);
    test_counts(k);
}

/* Every pattern of 16 bits: the plain level widens them by arithmetic of its own. */
static void test_halves(const kernels *k)
{
    uint16_t halves[1] = {0};
    const float one = 1.0f;
    float found;

    for (uint32_t i = 0; i < 65536; ++i) {
        float expected = half_from_f16((uint16_t)i);

        if (isnan(expected))
            continue;
        halves[0] = (uint16_t)i;
        k->linear(HMT_DTYPE_F16, PREFETCH_HARDWARE, 1, 1, &one, NULL, halves, NULL, 1, NULL, 0,
                  &found, 1);
        if (found != expected) {
            CHECK(found == expected);
            break;
        }
    }
}

/* Intel's processors and unknown ones read ahead by themselves, whatever their vectors' width. */
static void test_prefetch(void)
{
    const struct {
        processor here;
        weight_prefetch best;
    } known[] = {{{"AuthenticAMD", 0x19}, PREFETCH_NONTEMPORAL},
                 {{"AuthenticAMD", 0x1a}, PREFETCH_NONTEMPORAL},
                 {{"AuthenticAMD", 0x17}, PREFETCH_HARDWARE},
                 {{"GenuineIntel", 6}, PREFETCH_HARDWARE},
                 {{"GenuineIntel", 0x19}, PREFETCH_HARDWARE},
                 {{"", 0}, PREFETCH_HARDWARE}};
    const processor here = processor_detect();

    for (size_t i = 0; i < sizeof known / sizeof known[0]; ++i)
        CHECK(processor_best_prefetch(&known[i].here) == known[i].best);
    CHECK(processor_prefetch("hardware") == PREFETCH_HARDWARE);
    CHECK(processor_prefetch("nontemporal") == PREFETCH_NONTEMPORAL);
    CHECK(processor_prefetch(NULL) == processor_best_prefetch(&here));
    CHECK(processor_prefetch("other") == processor_best_prefetch(&here));
}

int main(void)
{
    test_prefetch();
    test_level(&kernels_plain);
    test_level(&kernels_wide);
    test_halves(&kernels_plain);
    test_halves(&kernels_wide);
    setenv("HMT_CPU_LEVEL", "plain", 1);
    CHECK(kernels_select() == &kernels_plain);
    setenv("HMT_CPU_LEVEL", "avx512", 1); /* without VNNI, where the processor has it */
    test_level(kernels_select());
    CHECK(strcmp(kernels_select()->name, "avx512vnni") != 0);
    unsetenv("HMT_CPU_LEVEL");
    test_level(kernels_select());
    test_halves(kernels_select());
    return test_finish();
}
