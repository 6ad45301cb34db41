/*
 * Max pooling of rows of cells, which are blocks of channels. Cells beyond a row's ends do not
 * exist, so the padding never wins. Windows inside are taken several at a time, since each alone
 * would wait for its last comparison before the next. Training notes which tap of its window won.
 */
#include <string.h>

#include "vectors.h"

enum { WINDOWS = 4 };

typedef uint8_t octets __attribute__((vector_size(LANES), aligned(1), may_alias));

/* The largest of `windows` windows side by side, whose first begins with cell `from` and which all
 * have `kernel` cells in each row. NaN where one of its cells is. */
KERNEL void pool_windows(const int windows, const int32_t kernel, const pool_shape *s,
                         int32_t count, const float *const *rows, int64_t from, float *y)
{
    const int64_t cell = s->cell, step = s->stride * cell;

    for (int32_t lane = 0; lane < cell; lane += LANES) {
        const int64_t at = from * cell + lane;
        vec best[WINDOWS];
        mask nan[WINDOWS]; /* all bits, which is a NaN, where a cell was one */

        UNROLL
        for (int w = 0; w < windows; ++w)
            nan[w] = (mask){0};
        UNROLL
        for (int w = 0; w < windows; ++w)
            best[w] = count > 0 && kernel > 0 ? load(rows[0] + at + w * step) : (vec){0};
        for (int32_t row = 0; row < count; ++row) {
            const float *x = rows[row] + at;

            for (int32_t i = 0; i < kernel; ++i, x += cell) {
                UNROLL
                for (int w = 0; w < windows; ++w) {
                    const vec here = load(x + w * step);

                    best[w] = LARGER(best[w], here);
                    nan[w] |= here != here;
                }
            }
        }
        UNROLL
        for (int w = 0; w < windows; ++w)
            store(y + w * cell + lane, (vec)((mask)best[w] | nan[w]));
    }
}

static void max_pool(const pool_shape *s, int32_t count, const float *const *rows, float *y)
{
    int32_t column = 0;

    while (column < s->columns) {
        const int32_t at = column * s->stride - s->pad, end = at + s->kernel;
        const int32_t from = at < 0 ? 0 : at, until = end < s->width ? end : s->width;

        if (at >= 0 && column + WINDOWS <= s->columns &&
            end + (WINDOWS - 1) * s->stride <= s->width) {
            if (s->kernel == 3)
                pool_windows(WINDOWS, 3, s, count, rows, at, y + (int64_t)column * s->cell);
            else
                pool_windows(WINDOWS, s->kernel, s, count, rows, at, y + (int64_t)column * s->cell);
            column += WINDOWS;
        } else {
            pool_windows(1, until - from, s, count, rows, from, y + (int64_t)column * s->cell);
            ++column;
        }
    }
}

/* The largest of a window's cells in `count` rows, `columns` of them in each from cell `from` on,
 * and its tap, of which `tap` is the first. The first NaN wins. */
KERNEL void pool_winner(const int32_t columns, const pool_shape *s, int32_t count, int32_t tap,
                        const float *const *rows, int64_t from, float *y, uint8_t *winners)
{
    for (int32_t lane = 0; lane < s->cell; lane += LANES) {
        const int64_t at = from * s->cell + lane;
        vec best = load(rows[0] + at);
        mask won = tap + (mask){0};

        for (int32_t row = 0; row < count; ++row) {
            for (int32_t i = 0; i < columns; ++i) {
                const vec x = load(rows[row] + at + i * s->cell);
                const mask here = tap + row * s->kernel + i + (mask){0};
                const mask stays = (x <= best) | (best != best);

                won = (stays & won) | (~stays & here);
                best = (vec)((stays & (mask)best) | (~stays & (mask)x));
            }
        }
        store(y + lane, best);
        *(octets *)(winners + lane) = __builtin_convertvector(won, octets);
    }
}

static void max_pool_winners(const pool_shape *s, int32_t count, int32_t skipped,
                             const float *const *rows, float *y, uint8_t *winners)
{
    for (int32_t column = 0; column < s->columns; ++column, y += s->cell, winners += s->cell) {
        const int32_t at = column * s->stride - s->pad, end = at + s->kernel;
        const int32_t from = at < 0 ? 0 : at, until = end < s->width ? end : s->width;
        const int32_t tap = skipped * s->kernel + from - at;

        if (count <= 0 || from >= until) {
            memset(y, 0, (size_t)s->cell * sizeof *y);
            memset(winners, POOL_NONE, (size_t)s->cell);
        } else if (until - from == 3) {
            pool_winner(3, s, count, tap, rows, from, y, winners);
        } else {
            pool_winner(until - from, s, count, tap, rows, from, y, winners);
        }
    }
}

/* Adds what a row of windows hands to one row of x, of which taps `tap` and following are. */
KERNEL void pool_hand_back(const pool_shape *s, int32_t tap, const float *dy,
                           const uint8_t *winners, float *dx)
{
    for (int32_t window = 0; window < s->columns; ++window) {
        const int32_t at = window * s->stride - s->pad, left = s->width - at;
        const int32_t from = at < 0 ? -at : 0, until = left < s->kernel ? left : s->kernel;

        for (int32_t lane = 0; lane < s->cell; lane += LANES, winners += LANES, dy += LANES) {
            const mask won = __builtin_convertvector(*(const octets *)winners, mask);
            const vec share = load(dy);
            float *to = dx + (int64_t)at * s->cell + lane;

            for (int32_t i = from; i < until; ++i)
                store(to + i * s->cell,
                      load(to + i * s->cell) + (vec)((won == tap + i) & (mask)share));
        }
    }
}

/* The same of all `count` rows of windows at once, each cell stored when its last window has
 * passed.
 */
KERNEL void pool_slide(const int count, const int kernel, const int stride, const pool_shape *s,
                       const int32_t *down, const float *const *dy, const uint8_t *const *winners,
                       float *dx)
{
    enum { MOST = 3 };
    const int32_t behind = (s->columns - 1) * stride - s->pad + kernel;

    for (int32_t lane = 0; lane < s->cell; lane += LANES) {
        vec open[MOST] = {{0}};
        float *to = dx + lane;

        for (int32_t window = 0; window < s->columns; ++window) {
            const int64_t from = (int64_t)window * s->cell + lane;
            const int32_t at = window * stride - s->pad;

            UNROLL
            for (int row = 0; row < count; ++row) {
                const mask won =
                    __builtin_convertvector(*(const octets *)(winners[row] + from), mask);
                const vec share = load(dy[row] + from);

                UNROLL
                for (int i = 0; i < kernel; ++i)
                    open[i] += (vec)((won == down[row] * kernel + i) & (mask)share);
            }
            UNROLL
            for (int i = 0; i < stride; ++i)
                if (at + i >= 0 && at + i < s->width)
                    store(to + (int64_t)(at + i) * s->cell, open[i]);
            UNROLL
            for (int i = 0; i < kernel; ++i)
                open[i] = i + stride < kernel ? open[i + stride] : (vec){0};
        }
        for (int32_t i = behind - kernel + stride, k = 0; i < s->width; ++i, ++k)
            store(to + (int64_t)i * s->cell, k < kernel - stride ? open[k] : (vec){0});
    }
}

static void max_pool_gradient(const pool_shape *s, int32_t count, const int32_t *down,
                              const float *const *dy, const uint8_t *const *winners, float *dx)
{
    if (s->kernel == 3 && s->stride == 2 && count == 1) {
        pool_slide(1, 3, 2, s, down, dy, winners, dx);
    } else if (s->kernel == 3 && s->stride == 2 && count == 2) {
        pool_slide(2, 3, 2, s, down, dy, winners, dx);
    } else {
        memset(dx, 0, (size_t)s->width * (size_t)s->cell * sizeof *dx);
        for (int32_t row = 0; row < count; ++row)
            pool_hand_back(s, down[row] * s->kernel, dy[row], winners[row], dx);
    }
}
