/*
 * Winograd's minimal filtering F(m x m, 3x3), m = 2 to 6: transforms of squares of values, of
 * tiles read from and written to maps, and of kernels.
 */
#ifndef HMT_ONEDNN_WINOGRAD_BODY_H
#define HMT_ONEDNN_WINOGRAD_BODY_H

#include "winograd_lines_body.h"

/* A transform of a square, lines one way and then the other: (rows, columns) of `from` values in
 * each dimension become `to` values in each. */
#define SQUARE(name, line, from, to)                                                               \
    KERNEL void name(const int m, vec *out, const vec *in)                                         \
    {                                                                                              \
        vec half[WINOGRAD_SQUARE];                                                                 \
                                                                                                   \
        for (int i = 0; i < (from); ++i)                                                           \
            line(m, half + i, in + i, (from));                                                     \
        for (int i = 0; i < (to); ++i) {                                                           \
            vec row[WINOGRAD_POINTS];                                                              \
                                                                                                   \
            for (int j = 0; j < (from); ++j)                                                       \
                row[j] = half[i * (from) + j];                                                     \
            line(m, out + i * (to), row, 1);                                                       \
        }                                                                                          \
    }

SQUARE(square_input, line_input, m + 2, m + 2)
SQUARE(square_output, line_output, m + 2, m)
SQUARE(square_spread, line_spread, m, m + 2)
SQUARE(square_kernel, line_kernel, WINOGRAD_TAPS, m + 2)
SQUARE(square_gradient, line_gradient, m + 2, WINOGRAD_TAPS)

/* Calls a function with m as a constant, so that what is inlined in it is straight code. */
#define WITH_TILE(function, m, ...)                                                                \
    ((m) == 6   ? function(6, __VA_ARGS__)                                                         \
     : (m) == 5 ? function(5, __VA_ARGS__)                                                         \
     : (m) == 4 ? function(4, __VA_ARGS__)                                                         \
     : (m) == 3 ? function(3, __VA_ARGS__)                                                         \
                : function(2, __VA_ARGS__))

/* Where the side x side positions of a tile lie; negative: outside. */
KERNEL void places(const int side, const winograd_map *map, int32_t phase, int32_t row,
                   int32_t column, int64_t *place)
{
    const int32_t grid = winograd_grid(map->phases, phase);
    const int64_t *rows = map->row + (int64_t)(grid / map->phases) * map->rows + row;
    const int64_t *columns = map->column + (int64_t)(grid % map->phases) * map->columns + column;

    for (int i = 0; i < side; ++i)
        for (int j = 0; j < side; ++j)
            place[i * side + j] = rows[i] < 0 || columns[j] < 0 ? -1 : rows[i] + columns[j];
}

/* Reads a tile, of inputs or (spread) of outputs, all channels, and stores its n x n spectrum. */
KERNEL void analyse(const int m, const int spread, const winograd_map *map, const float *x,
                    int32_t row, int32_t column, float *spectrum, int64_t step)
{
    static const float zeros[LANES];
    const int n = m + 2, side = spread ? m : n;
    int64_t place[WINOGRAD_SQUARE];

    for (int32_t phase = 0; phase < map->phases * map->phases; ++phase) {
        places(side, map, phase, row, column, place);
        for (int64_t block = 0; block < map->blocks; ++block) {
            const float *from = x + block * map->block_step;
            vec in[WINOGRAD_SQUARE], out[WINOGRAD_SQUARE];

            for (int i = 0; i < side * side; ++i)
                in[i] = load(place[i] < 0 ? zeros : from + place[i]);
            if (spread)
                square_spread(m, out, in);
            else
                square_input(m, out, in);
            for (int i = 0; i < n * n; ++i)
                store(spectrum + i * step, out[i]);
            spectrum += LANES;
        }
    }
}

static void winograd_input(int32_t m, const winograd_map *map, const float *x, int32_t row,
                           int32_t column, float *spectrum, int64_t step)
{
    WITH_TILE(analyse, m, 0, map, x, row, column, spectrum, step);
}

static void winograd_spread(int32_t m, const winograd_map *map, const float *y, int32_t row,
                            int32_t column, float *spectrum, int64_t step)
{
    WITH_TILE(analyse, m, 1, map, y, row, column, spectrum, step);
}

KERNEL void synthesise(const int m, const winograd_map *map, const float *spectrum, int64_t step,
                       const float *bias, int relu, float *y, int32_t row, int32_t column)
{
    const int n = m + 2;
    int64_t place[WINOGRAD_SQUARE];

    for (int32_t phase = 0; phase < map->phases * map->phases; ++phase) {
        places(m, map, phase, row, column, place);
        for (int64_t block = 0; block < map->blocks; ++block) {
            float *to = y + block * map->block_step;
            vec in[WINOGRAD_SQUARE], out[WINOGRAD_SQUARE];
            vec shift = bias != NULL ? load(bias + block * LANES) : (vec){0};

            for (int i = 0; i < n * n; ++i)
                in[i] = load(spectrum + i * step);
            square_output(m, out, in);
            for (int i = 0; i < m * m; ++i)
                if (place[i] >= 0) {
                    vec v = out[i] + shift;

                    store(to + place[i], relu ? rectify(v) : v);
                }
            spectrum += LANES;
        }
    }
}

static void winograd_output(int32_t m, const winograd_map *map, const float *spectrum, int64_t step,
                            const float *bias, int relu, float *y, int32_t row, int32_t column)
{
    WITH_TILE(synthesise, m, map, spectrum, step, bias, relu, y, row, column);
}

/* Where the nine taps of an (output, input of a phase) lie; negative: beyond the kernel. */
KERNEL int taps(const winograd_kernel *k, int64_t output, int64_t input, int64_t *tap)
{
    const int64_t phase = input / k->channels, c = input % k->channels;
    int32_t grid;

    if (output >= k->outputs || phase >= (int64_t)k->stride * k->stride || c >= k->inputs)
        return 0;
    grid = winograd_grid(k->stride, (int32_t)phase);
    for (int i = 0; i < WINOGRAD_TAPS; ++i)
        for (int j = 0; j < WINOGRAD_TAPS; ++j) {
            int64_t y = i * k->stride + grid / k->stride, x = j * k->stride + grid % k->stride;

            tap[i * WINOGRAD_TAPS + j] = y >= k->size[0] || x >= k->size[1]
                                             ? -1
                                             : output * k->output_step + c * k->input_step +
                                                   y * k->tap_step[0] + x * k->tap_step[1];
        }
    return 1;
}

enum { NINE = WINOGRAD_TAPS * WINOGRAD_TAPS };

/* Nine taps of LANES neighbours: outputs, or inputs of a phase. */
typedef union taps_of_lanes {
    vec v[NINE];
    float f[NINE][LANES];
} taps_of_lanes;

/* Whether LANES neighbours from number `at` on are all in the kernel, so that one's taps lie a step
 * behind the other's. */
KERNEL int in_step(const winograd_kernel *k, int by_inputs, int64_t at)
{
    return by_inputs ? at % k->channels + LANES <= k->inputs : at + LANES <= k->outputs;
}

/* Taps of `row` and of the columns from `column` on; zeros beyond the kernel. */
KERNEL void read_taps(const winograd_kernel *kernel, const float *weights, int transposed,
                      int64_t row, int64_t column, taps_of_lanes *g)
{
    const int64_t step = transposed ? kernel->input_step : kernel->output_step;
    const int together = in_step(kernel, transposed, column);
    int64_t tap[NINE];

    *g = (taps_of_lanes){.v = {{0}}};
    for (int lane = 0; lane < (together ? 1 : LANES); ++lane) {
        if (!taps(kernel, transposed ? row : column + lane, transposed ? column + lane : row, tap))
            continue;
        for (int i = 0; i < NINE; ++i) {
            const int to = transposed ? NINE - 1 - i : i;

            if (tap[i] < 0)
                continue;
            if (!together)
                g->f[to][lane] = weights[tap[i]];
            else if (step == 1)
                g->v[to] = load(weights + tap[i]);
            else
                for (int other = 0; other < LANES; ++other)
                    g->f[to][other] = weights[tap[i] + other * step];
        }
    }
}

static void winograd_kernels(int32_t m, const winograd_kernel *kernel, const float *weights,
                             int transposed, int64_t first_column, int64_t rows,
                             const winograd_slab *to)
{
    const int n = m + 2;

    for (int64_t row = 0; row < rows; ++row)
        for (int half = 0; half < 2; ++half) {
            taps_of_lanes g;
            vec out[WINOGRAD_SQUARE];

            read_taps(kernel, weights, transposed, row, first_column + half * LANES, &g);
            WITH_TILE(square_kernel, m, out, g.v);
            for (int i = 0; i < n * n; ++i)
                if (row >= to[i].first && row < to[i].first + to[i].count)
                    store(to[i].values + ((row - to[i].first) * 2 + half) * LANES, out[i]);
        }
}

/* Taps of an input and of the outputs from `output` on, as read_taps() reads them. */
KERNEL void write_taps(const winograd_kernel *kernel, const taps_of_lanes *g, int64_t input,
                       int64_t output, float *gradient)
{
    const int together = in_step(kernel, 0, output) && kernel->output_step == 1;
    int64_t tap[NINE];

    for (int lane = 0; lane < (together ? 1 : LANES); ++lane) {
        if (!taps(kernel, output + lane, input, tap))
            continue;
        for (int i = 0; i < NINE; ++i)
            if (tap[i] >= 0 && together)
                store(gradient + tap[i], g->v[i]);
            else if (tap[i] >= 0)
                gradient[tap[i]] = g->f[i][lane];
    }
}

static void winograd_gradient(int32_t m, const winograd_kernel *kernel, const float *spectra,
                              int64_t step, int64_t row, float *gradient)
{
    const int n = m + 2;

    for (int64_t output = 0; output < kernel->outputs; output += LANES) {
        taps_of_lanes g;
        vec in[WINOGRAD_SQUARE];

        for (int i = 0; i < n * n; ++i)
            in[i] = load(spectra + i * step + output);
        WITH_TILE(square_gradient, m, g.v, in);
        write_taps(kernel, &g, row, output, gradient);
    }
}

#endif
