/*
 * The CPU kernels of training's batch norms and max pools, at every level, against plain loops in
 * double.
 * links: kernels_wide
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "kernel_numbers.h"
#include "kernels_wide.h"

enum { ROW_COUNT = 3, MOST_LANES = 16, ALIGNMENT = 64, UNTOUCHED = 77 };

/* Of a strip: what its loops below go over. */
static int64_t at(const norm_shape *s, int64_t row, int64_t position, int64_t channel)
{
    return row * s->row_step + position * s->step + channel;
}

static void test_moments(const kernels *k, const norm_shape *s, float off)
{
    const int64_t count = s->rows * s->row_step;
    float *x = numbers(count, 1);
    double mean[MOST_LANES], squares[MOST_LANES];

    for (int64_t i = 0; i < count; ++i)
        x[i] += off;
    k->norm_moments(s, x, mean, squares);
    for (int c = 0; c < s->width; ++c) {
        double sum = 0.0, square = 0.0, n = (double)(s->rows * s->span);

        for (int64_t row = 0; row < s->rows; ++row)
            for (int64_t i = 0; i < s->span; ++i)
                sum += x[at(s, row, i, c)];
        for (int64_t row = 0; row < s->rows; ++row)
            for (int64_t i = 0; i < s->span; ++i)
                square += (x[at(s, row, i, c)] - sum / n) * (x[at(s, row, i, c)] - sum / n);
        CHECK(fabs(mean[c] - sum / n) <= 1e-7 + 1e-7 * fabs((double)off));
        CHECK(fabs(squares[c] - square) <= 2e-6 * square + 1e-12);
    }
    free(x);
}

static void test_norm(const kernels *k, norm_shape s, int relu)
{
    const size_t bytes = (size_t)(s.rows * s.row_step + MOST_LANES) * sizeof(float);
    const int64_t count = s.rows * s.row_step;
    float *x = numbers(count, 1), *dy = numbers(count, 2), *channel = numbers(5 * MOST_LANES, 3);
    float *y = aligned_alloc(ALIGNMENT, (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    float *dx = aligned_alloc(ALIGNMENT, (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    const norm_affine how = {channel, channel + MOST_LANES, channel + 2 * MOST_LANES, relu};
    const float *slope = channel + 3 * MOST_LANES, *offset = channel + 4 * MOST_LANES;
    double sums[MOST_LANES], products[MOST_LANES];

    for (int64_t i = 0; i < count + MOST_LANES; ++i)
        y[i] = dx[i] = UNTOUCHED;
    for (int c = 0; c < MOST_LANES; ++c)
        sums[c] = products[c] = 1.0;
    k->norm_apply(&s, how, x, y);
    k->norm_sums(&s, how, x, dy, sums, products);
    k->norm_gradient(&s, how, slope, offset, x, dy, dx);
    for (int c = 0; c < MOST_LANES; ++c) {
        double sum = 1.0, product = 1.0;

        for (int64_t i = 0; i < s.rows * s.span && c < s.width; ++i) {
            const int64_t j = at(&s, i / s.span, i % s.span, c);
            const double off = (double)x[j] - how.centre[c];
            const double value = off * how.factor[c] + how.shift[c];
            const double passed = relu && value <= 0.0 ? 0.0 : dy[j];

            if (!relu || fabs(value) > 1e-6) { /* no tie */
                CHECK(fabs(y[j] - (relu && value < 0.0 ? 0.0 : value)) <= 1e-6);
                CHECK(fabs(dx[j] - (passed * how.factor[c] + off * slope[c] + offset[c])) <= 1e-6);
            }
            y[j] = dx[j] = UNTOUCHED;
            sum += passed;
            product += passed * off;
        }
        CHECK(fabs(sums[c] - sum) <= 1e-5 && fabs(products[c] - product) <= 1e-5);
    }
    for (int64_t i = 0; i < count + MOST_LANES; ++i) /* nothing else was written */
        CHECK(y[i] == UNTOUCHED && dx[i] == UNTOUCHED);
    free(x);
    free(dy);
    free(channel);
    free(y);
    free(dx);
}

static void test_norms(const kernels *k)
{
    const int32_t lanes = k->lanes;
    /* blocks of channels, among others; channels last, whole and the rest; one position */
    const norm_shape shapes[] = {{.rows = 3, .row_step = 5 * 37 * lanes, .span = 37, .step = lanes},
                                 {.rows = 2, .row_step = 65 * 24, .span = 65, .step = 24},
                                 {.rows = 33, .row_step = 48, .span = 1, .step = 48}};

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; ++i)
        for (int32_t width = 1; width <= lanes; width = width < lanes - 1 ? width + 3 : width + 1)
            for (int relu = 0; relu < 2; ++relu) {
                norm_shape s = shapes[i];

                s.width = width;
                test_norm(k, s, relu);
                test_moments(k, &s, 0.0f);
                test_moments(k, &s, 300.0f);
                s.large = width == lanes && s.step == lanes;
                test_norm(k, s, relu);
            }
}

/* Rows of a window that begins `skipped` rows above the map; `equal`: every tap ties. */
static void test_pool(const kernels *k, pool_shape s, int32_t skipped, bool equal)
{
    const int64_t line = (int64_t)s.width * s.cell, size = (int64_t)s.columns * s.cell;
    const int32_t count = ROW_COUNT - skipped;
    float *x = numbers(ROW_COUNT * line, 4), *y = numbers(size, 5), *dx = numbers(line, 6);
    float *dy = numbers(2 * size, 7);
    uint8_t *winners = malloc(2 * (size_t)size);
    const float *rows[ROW_COUNT], *shares[] = {dy, dy + size};
    const uint8_t *taps[] = {winners, winners + size};

    for (int64_t i = 0; i < ROW_COUNT * line; ++i)
        x[i] = equal ? -1.0f : x[i] - 2.0f;
    for (int row = 0; row < ROW_COUNT; ++row)
        rows[row] = x + row * line;
    k->max_pool_winners(&s, count, skipped, rows, y, winners);
    for (int64_t i = 0; i < size; ++i) {
        const int64_t column = i / s.cell, lane = i % s.cell;
        double best = 0.0;
        int won = POOL_NONE;

        for (int tap = 0; tap < count * s.kernel; ++tap) {
            const int64_t cell = column * s.stride - s.pad + tap % s.kernel;
            const int64_t from = cell * s.cell + lane;

            if (cell < 0 || cell >= s.width ||
                (won != POOL_NONE && rows[tap / s.kernel][from] <= best))
                continue;
            best = rows[tap / s.kernel][from];
            won = skipped * s.kernel + tap;
        }
        CHECK(winners[i] == won && (double)y[i] == best);
    }
    if (s.pad == 0 && s.width >= s.kernel &&
        count > 0) { /* a NaN wins, before what is larger and behind it */
        float *cell = x + (s.kernel / 2) * s.cell, kept = *cell;

        *cell = NAN;
        k->max_pool_winners(&s, count, skipped, rows, y, winners + size);
        *cell = kept;
        CHECK(isnan(y[0]) && winners[size] == skipped * s.kernel + s.kernel / 2);
    }
    /* as if two rows of windows had these winners, this row being the first's last and the other's
     * first */
    memcpy(winners + size, winners, (size_t)size);
    for (int many = 1; many <= 2; ++many) {
        const int32_t down[] = {ROW_COUNT - 1, 0};

        k->max_pool_gradient(&s, many, down, shares, taps, dx);
        for (int64_t i = 0; i < line; ++i) {
            double sum = 0.0;

            for (int64_t window = 0; window < s.columns * many; ++window) {
                const int64_t row = window / s.columns, column = window % s.columns;
                const int64_t tap = i / s.cell - (column * s.stride - s.pad);
                const int64_t from = column * s.cell + i % s.cell;

                if (tap >= 0 && tap < s.kernel && taps[row][from] == down[row] * s.kernel + tap)
                    sum += shares[row][from];
            }
            CHECK(fabs(dx[i] - sum) <= 1e-6);
        }
    }
    free(x);
    free(y);
    free(dx);
    free(dy);
    free(winners);
}

static void test_pools(const kernels *k)
{
    static const int32_t windows[][3] = {{3, 2, 0}, {3, 2, 1}, {2, 2, 0}, {5, 1, 2}, {1, 3, 0}};

    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; ++i)
        for (int32_t width = 1; width < 14; ++width)
            for (int32_t cells = 1; cells <= 2; ++cells)
                for (int32_t skipped = 0; skipped <= ROW_COUNT; skipped += 1 + skipped) {
                    pool_shape s = {.width = width,
                                    .cell = cells * k->lanes,
                                    .kernel = windows[i][0],
                                    .stride = windows[i][1],
                                    .pad = windows[i][2]};

                    for (int32_t less = 0; less < 2; ++less) { /* than reach the row's end */
                        s.columns = (width + s.pad + s.stride - 1) / s.stride - less;
                        if (s.columns == 0)
                            continue;
                        test_pool(k, s, skipped, false);
                        test_pool(k, s, skipped, true);
                    }
                }
}

static void test_level(const kernels *k)
{
    test_norms(k);
    test_pools(k);
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
