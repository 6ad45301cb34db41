/*
 * The first convolution by Winograd's tiles along rows (kernels/first_tiles_body.h). Down and over
 * channels the products of spectra add up, so that a line's spectra serve all rows that see it, and
 * the matrix products are deep enough.
 */
#include "first_tiles.h"

#include <string.h>

#include "exec.h"

enum {
    LEAST_DEPTH = 24, /* lines times grids for which products take longer than transforms */
    MORE_LINES = 9    /* of the window, beyond what a row sees: they move up so much more seldom */
};

int first_tiles_fit(const first_shape *s)
{
    return divide_up(s->kernel[1], s->stride[1]) <= FIRST_TILE && s->stride[1] <= s->kernel[1] &&
           s->channels * s->kernel[0] * s->stride[1] >= LEAST_DEPTH;
}

/* Lines of the image that the window holds. */
static int64_t window(const first_shape *s)
{
    return s->kernel[0] + MORE_LINES;
}

first_tiles first_tiles_plan(const kernels *k, const first_shape *s)
{
    const int32_t lanes = k->lanes, full = s->kernel[1] - 3 * s->stride[1];
    first_tiles t = {
        .tiles = (int32_t)divide_up(s->columns, FIRST_TILE),
        .grids = s->stride[1],
        .ends = full <= 0   ? 0
                : full == 1 ? 1
                            : s->stride[1],
        .depth = s->channels * s->kernel[0],
        .width = s->size[1],
        .pad = s->pad[1],
        .columns = s->columns,
    };

    t.room = (int32_t)divide_up(t.tiles, lanes) * lanes;
    t.point_step = window(s) * s->channels * t.grids * t.room;
    return t;
}

static int64_t dealt_floats(const kernels *k, const first_tiles *t)
{
    return (int64_t)FIRST_TILE * t->grids * (t->room + k->lanes);
}

int64_t first_lines_floats(const kernels *k, const first_tiles *t)
{
    return FIRST_POINTS * (t->point_step + (int64_t)t->tiles * k->panel) + dealt_floats(k, t);
}

first_lines first_lines_open(const kernels *k, const first_shape *s, const first_tiles *t,
                             const float *x, float *memory)
{
    float *products = memory + FIRST_POINTS * t->point_step;

    return (first_lines){
        .k = k,
        .s = s,
        .t = t,
        .x = x,
        .spectra = memory,
        .products = products,
        .dealt = products + FIRST_POINTS * (int64_t)t->tiles * k->panel,
        .first = INT32_MIN,
        .end = INT32_MIN,
    };
}

/* Moves the window so that it begins with line `first`. */
static void move(first_lines *lines, int64_t first)
{
    const int64_t line = (int64_t)lines->s->channels * lines->t->grids * lines->t->room;
    const int64_t kept = lines->end - first;

    for (int k = 0; k < FIRST_POINTS && kept > 0; ++k) {
        float *to = lines->spectra + k * lines->t->point_step;

        memmove(to, to + (first - lines->first) * line, (size_t)(kept * line) * sizeof *to);
    }
    lines->first = first;
    lines->end = kept > 0 ? lines->end : first;
}

const float *first_lines_of(first_lines *lines, int64_t row)
{
    const first_shape *s = lines->s;
    const int64_t first = row * s->stride[0] - s->pad[0], end = first + s->kernel[0];
    const int64_t line = (int64_t)lines->t->grids * lines->t->room;

    if (end > lines->first + window(s))
        move(lines, first);
    for (; lines->end < end; ++lines->end)
        for (int32_t c = 0; c < s->channels; ++c) {
            const int inside = lines->end >= 0 && lines->end < s->size[0];

            lines->k->first_spectra(
                lines->t,
                inside ? lines->x + (c * (int64_t)s->size[0] + lines->end) * s->size[1] : NULL,
                lines->dealt,
                lines->spectra + ((lines->end - lines->first) * s->channels + c) * line);
        }
    return lines->spectra + (first - lines->first) * s->channels * line;
}

int64_t first_tiles_values(const first_tiles *t)
{
    return (int64_t)t->depth * ((FIRST_POINTS - 1) * t->grids + t->ends);
}

int64_t first_tiles_panel(const kernels *k, const first_tiles *t)
{
    return first_tiles_values(t) * k->panel;
}

/* A finite point, and the product of its distances to the others. */
static double point(int k, double *distances)
{
    static const double points[] = {FIRST_POINT_A, FIRST_POINT_B, FIRST_POINT_C};
    const double p = k % 2 == 0 ? points[k / 2] : -points[k / 2];

    *distances = 2.0 * p;
    for (int i = 0; i < 3; ++i)
        if (i != k / 2)
            *distances *= p * p - points[i] * points[i];
    return p;
}

/* G: what tap i of a grid counts at point k. */
static double tap_factor(int k, int i)
{
    double distances, p, power = 1.0;

    if (k == FIRST_POINTS - 1)
        return i == FIRST_TILE - 1;
    p = point(k, &distances);
    while (i-- > 0)
        power *= p;
    return power / distances;
}

/* One grid's taps of a line of the kernel at a point. */
static float tap_spectrum(const first_shape *s, const float *taps, int32_t grid, int k)
{
    double sum = 0.0;

    for (int32_t i = 0; i * s->stride[1] + grid < s->kernel[1]; ++i)
        sum += (double)taps[i * s->stride[1] + grid] * tap_factor(k, i);
    return (float)sum;
}

void first_tiles_pack(const first_shape *s, const first_tiles *t, const float *dense, int64_t panel,
                      float *column)
{
    for (int k = 0; k < FIRST_POINTS; ++k)
        for (int32_t i = 0; i < s->kernel[0]; ++i)
            for (int32_t c = 0; c < s->channels; ++c)
                for (int32_t grid = 0; grid < first_grids(t, k); ++grid, column += panel)
                    *column = dense == NULL
                                  ? 0.0f
                                  : tap_spectrum(
                                        s, dense + (c * s->kernel[0] + i) * (int64_t)s->kernel[1],
                                        grid, k);
}

void first_tiles_unpack(const first_shape *s, const first_tiles *t, const double *values,
                        float *dense)
{
    const int64_t taps = (int64_t)s->channels * s->kernel[0] * s->kernel[1];

    for (int64_t tap = 0; tap < taps; ++tap) {
        const int64_t across = tap % s->kernel[1], down = tap / s->kernel[1] % s->kernel[0];
        const int64_t c = tap / s->kernel[1] / s->kernel[0], line = down * s->channels + c;
        const int32_t grid = (int32_t)(across % t->grids);
        const double *at = values;
        double sum = 0.0;

        for (int k = 0; k < FIRST_POINTS; ++k) {
            const int32_t grids = first_grids(t, k);

            if (grid < grids)
                sum += at[line * grids + grid] * tap_factor(k, (int)(across / t->grids));
            at += (int64_t)t->depth * grids;
        }
        dense[tap] = (float)sum;
    }
}
