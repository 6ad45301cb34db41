/*
 * The weights' gradient of a convolution of few channels: a row of dy by the lines of the image
 * that it saw. Sums for some taps of a line, or of two lines, by two vectors of outputs stay in
 * registers while the columns pass: for each, two vectors of dy are read and each pixel is spread
 * once.
 */
#include "first_body.h"

enum {
    GRADIENT_LINES = ROWS >= 14 ? 2 : 1, /* at once */
    GRADIENT_TAPS = ROWS >= 14  ? 7
                    : ROWS >= 6 ? 6
                                : 2,
    GRADIENT_COLUMNS = 128, /* whose sums stay in registers */
    GRADIENT_REACH = (GRADIENT_COLUMNS - 1) * FIRST_STRIDE + FIRST_TAPS
};

/* Adds `columns` of dy by `taps` neighbouring taps of `lines` lines to the lines' sums; the next
 * row of dy is fetched meanwhile. */
KERNEL void first_products(const int lines, const int taps, const first_shape *s, int32_t columns,
                           const first_line *line, int64_t left, const float *dy,
                           int64_t block_step, float *const *sums)
{
    const int64_t stride = s->stride[1], row = (int64_t)s->columns * LANES;
    vec sum[GRADIENT_LINES][GRADIENT_TAPS][2];

    UNROLL
    for (int i = 0; i < lines; ++i) {
        UNROLL
        for (int tap = 0; tap < taps; ++tap)
            sum[i][tap][0] = sum[i][tap][1] = (vec){0};
    }
    for (int32_t column = 0; column < columns; ++column, left += stride, dy += LANES) {
        const vec dy0 = load(dy), dy1 = load(dy + block_step);

        __builtin_prefetch(dy + row);
        __builtin_prefetch(dy + block_step + row);
        UNROLL
        for (int i = 0; i < lines; ++i) {
            UNROLL
            for (int tap = 0; tap < taps; ++tap) {
                const vec x = all(line[i].x[left + tap]);

                sum[i][tap][0] += x * dy0;
                sum[i][tap][1] += x * dy1;
            }
        }
    }
    UNROLL
    for (int i = 0; i < lines; ++i) {
        UNROLL
        for (int tap = 0; tap < taps; ++tap)
            for (int v = 0; v < 2; ++v) {
                float *to = sums[i] + (2 * tap + v) * LANES;

                store(to, load(to) + sum[i][tap][v]);
            }
    }
}

/* All taps of the lines, shared out evenly. */
KERNEL void first_all_taps(const int lines, const first_shape *s, int32_t columns,
                           const first_line *line, int64_t left, const float *dy,
                           int64_t block_step, float *const *sums)
{
    const int32_t groups = (s->kernel[1] + GRADIENT_TAPS - 1) / GRADIENT_TAPS;

    for (int32_t group = 0; group < groups; ++group) {
        const int32_t from = s->kernel[1] * group / groups;
        float *to[GRADIENT_LINES];

        for (int i = 0; i < lines; ++i)
            to[i] = sums[i] + from * 2 * LANES;
#define TAPS(n)                                                                                    \
    case n:                                                                                        \
        first_products(lines, n, s, columns, line, left + from, dy, block_step, to);               \
        break

        switch (s->kernel[1] * (group + 1) / groups - from) {
            TAPS(1);
            TAPS(2);
#if ROWS >= 6
            TAPS(3);
            TAPS(4);
            TAPS(5);
            TAPS(6);
#endif
#if ROWS >= 14
            TAPS(7);
#endif
        }
#undef TAPS
    }
}

static void first_gradient(const first_shape *s, const float *x, const float *dy,
                           int64_t block_step, int32_t row, float *sums)
{
    const int32_t chunks = (s->columns + GRADIENT_COLUMNS - 1) / GRADIENT_COLUMNS;
    float patch[GRADIENT_LINES][GRADIENT_REACH];
    first_view view;

    first_aim(s, x, sums, row, &view);
    for (int32_t at = 0, lines; at < view.lines; at += lines) {
        first_line line[GRADIENT_LINES];
        float *to[GRADIENT_LINES];

        lines = view.lines - at < GRADIENT_LINES ? view.lines - at : GRADIENT_LINES;
        for (int32_t i = 0; i < lines; ++i)
            to[i] = sums + (view.line[at + i].weights - sums);
        for (int32_t chunk = 0; chunk < chunks; ++chunk) {
            const int32_t first = (int32_t)((int64_t)s->columns * chunk / chunks);
            const int32_t end = (int32_t)((int64_t)s->columns * (chunk + 1) / chunks);
            const int32_t reach = (end - first - 1) * s->stride[1] + s->kernel[1];
            int32_t left = first * s->stride[1] - s->pad[1];

            for (int32_t i = 0; i < lines; ++i)
                line[i] = view.line[at + i];
            if (left < 0 || left + reach > s->size[1]) {
                for (int32_t i = 0; i < lines; ++i)
                    line[i].x = first_patch(line[i].x, s->size[1], left, reach, patch[i]);
                left = 0;
            }
            if (lines == 1)
                first_all_taps(1, s, end - first, line, left, dy + (int64_t)first * LANES,
                               block_step, to);
            else
                first_all_taps(GRADIENT_LINES, s, end - first, line, left,
                               dy + (int64_t)first * LANES, block_step, to);
        }
    }
}
