/*
 * Batch norm of channels that lie side by side: a batch's moments, normalising, and the backward
 * pass. Sums are taken in float32 over RUN positions and in double over those.
 */
#include "vectors.h"

typedef double doubles __attribute__((vector_size(LANES * sizeof(double))));

enum { RUN = 16, SAMPLE = 32 };

/* The first `width` elements; 0 behind them. */
KERNEL vec load_some(const float *p, const int width)
{
    union {
        vec v;
        float f[LANES];
    } some = {0};

    if (width == LANES)
        return load(p);
    for (int i = 0; i < width; ++i)
        some.f[i] = p[i];
    return some.v;
}

KERNEL void store_some(float *p, vec v, const int width)
{
    const union {
        vec v;
        float f[LANES];
    } some = {v};

    if (width == LANES)
        store(p, v);
    for (int i = 0; i < width && width < LANES; ++i)
        p[i] = some.f[i];
}

KERNEL void store_sums(double *to, doubles sums, int width)
{
    const union {
        doubles v;
        double d[LANES];
    } some = {sums};

    for (int i = 0; i < width; ++i)
        to[i] = some.d[i];
}

KERNEL void add_sums(double *to, doubles sums, int width)
{
    const union {
        doubles v;
        double d[LANES];
    } some = {sums};

    for (int i = 0; i < width; ++i)
        to[i] += some.d[i];
}

/* Near the mean: that of some positions. */
KERNEL vec norm_centre(const norm_shape *s, const int width, const float *x)
{
    doubles sum = {0};
    int64_t count = 0;

    for (int64_t row = 0; row < s->rows; ++row)
        for (int64_t i = 0; i < s->span; i += SAMPLE, ++count)
            sum += __builtin_convertvector(load_some(x + row * s->row_step + i * s->step, width),
                                           doubles);
    return __builtin_convertvector(sum / (double)count, vec);
}

KERNEL void norm_moments_of(const norm_shape *s, const int width, const float *x, double *mean,
                            double *squares)
{
    const double count = (double)(s->rows * s->span);
    const vec centre = norm_centre(s, width, x);
    doubles sum = {0}, square = {0};

    for (int64_t row = 0; row < s->rows; ++row) {
        const float *at = x + row * s->row_step;

        for (int64_t begin = 0; begin < s->span; begin += RUN) {
            const int64_t end = begin + RUN < s->span ? begin + RUN : s->span;
            vec part = {0}, part_square = {0};

            for (int64_t i = begin; i < end; ++i, at += s->step) {
                const vec off = load_some(at, width) - centre;

                part += off;
                part_square += off * off;
            }
            sum += __builtin_convertvector(part, doubles);
            square += __builtin_convertvector(part_square, doubles);
        }
    }
    store_sums(mean, __builtin_convertvector(centre, doubles) + sum / count, width);
    store_sums(squares, square - sum * sum / count, width);
}

static void norm_moments(const norm_shape *s, const float *x, double *mean, double *squares)
{
    if (s->width == LANES)
        norm_moments_of(s, LANES, x, mean, squares);
    else
        norm_moments_of(s, s->width, x, mean, squares);
}

/* A result of norm_apply() or norm_gradient(). */
KERNEL void norm_store(float *p, vec v, const int width, const int large)
{
    if (large)
        STREAM(p, v);
    else
        store_some(p, v, width);
}

KERNEL void norm_apply_to(const norm_shape *s, const int width, const int large, norm_affine how,
                          const float *x, float *y)
{
    const vec centre = load_some(how.centre, width), factor = load_some(how.factor, width);
    const vec shift = load_some(how.shift, width), floor = all(how.relu ? 0.0f : -INFINITY);

    for (int64_t row = 0; row < s->rows; ++row)
        for (int64_t i = 0, at = row * s->row_step; i < s->span; ++i, at += s->step)
            norm_store(y + at, LARGER(floor, (load_some(x + at, width) - centre) * factor + shift),
                       width, large);
    if (large)
        STREAM_END();
}

static void norm_apply(const norm_shape *s, norm_affine how, const float *x, float *y)
{
    if (s->width != LANES)
        norm_apply_to(s, s->width, 0, how, x, y);
    else if (s->large)
        norm_apply_to(s, LANES, 1, how, x, y);
    else
        norm_apply_to(s, LANES, 0, how, x, y);
}

/* dy where the relu, if any, let y pass. */
KERNEL vec norm_passed(const int relu, vec y, vec dy)
{
    return relu ? (vec)((y > (vec){0}) & (mask)dy) : dy;
}

KERNEL void norm_sums_of(const norm_shape *s, const int width, const int relu, norm_affine how,
                         const float *x, const float *dy, double *sums, double *products)
{
    const vec centre = load_some(how.centre, width), factor = load_some(how.factor, width);
    const vec shift = load_some(how.shift, width);
    doubles sum = {0}, product = {0};

    for (int64_t row = 0; row < s->rows; ++row) {
        int64_t at = row * s->row_step;

        for (int64_t begin = 0; begin < s->span; begin += RUN) {
            const int64_t end = begin + RUN < s->span ? begin + RUN : s->span;
            vec part = {0}, part_product = {0};

            for (int64_t i = begin; i < end; ++i, at += s->step) {
                const vec off = load_some(x + at, width) - centre;
                const vec passed =
                    norm_passed(relu, off * factor + shift, load_some(dy + at, width));

                part += passed;
                part_product += passed * off;
            }
            sum += __builtin_convertvector(part, doubles);
            product += __builtin_convertvector(part_product, doubles);
        }
    }
    add_sums(sums, sum, width);
    add_sums(products, product, width);
}

static void norm_sums(const norm_shape *s, norm_affine how, const float *x, const float *dy,
                      double *sums, double *products)
{
    if (s->width != LANES)
        norm_sums_of(s, s->width, how.relu, how, x, dy, sums, products);
    else if (how.relu)
        norm_sums_of(s, LANES, 1, how, x, dy, sums, products);
    else
        norm_sums_of(s, LANES, 0, how, x, dy, sums, products);
}

KERNEL void norm_gradient_to(const norm_shape *s, const int width, const int large, const int relu,
                             norm_affine how, const float *slope, const float *offset,
                             const float *x, const float *dy, float *dx)
{
    const vec centre = load_some(how.centre, width), factor = load_some(how.factor, width);
    const vec shift = load_some(how.shift, width);
    const vec along = load_some(slope, width), beside = load_some(offset, width);

    for (int64_t row = 0; row < s->rows; ++row)
        for (int64_t i = 0, at = row * s->row_step; i < s->span; ++i, at += s->step) {
            const vec off = load_some(x + at, width) - centre;
            const vec passed = norm_passed(relu, off * factor + shift, load_some(dy + at, width));

            norm_store(dx + at, passed * factor + (off * along + beside), width, large);
        }
    if (large)
        STREAM_END();
}

static void norm_gradient(const norm_shape *s, norm_affine how, const float *slope,
                          const float *offset, const float *x, const float *dy, float *dx)
{
    if (s->width != LANES)
        norm_gradient_to(s, s->width, 0, how.relu, how, slope, offset, x, dy, dx);
    else if (s->large && how.relu)
        norm_gradient_to(s, LANES, 1, 1, how, slope, offset, x, dy, dx);
    else
        norm_gradient_to(s, LANES, 0, how.relu, how, slope, offset, x, dy, dx);
}
