/*
 * Max pooling of rows of cells, which are blocks of channels. Cells beyond a row's ends do not
 * exist, so the padding never wins. Windows inside are taken several at a time, since each alone
 * would wait for its last comparison before the next.
 */
#include "vectors.h"

enum { WINDOWS = 4 };

/* The largest of `windows` windows side by side, whose first begins with cell `from` and which all
 * have `kernel` cells in each row. */
KERNEL void pool_windows(const int windows, const int32_t kernel, const pool_shape *s,
                         int32_t count, const float *const *rows, int64_t from, float *y)
{
    const int64_t cell = s->cell, step = s->stride * cell;

    for (int32_t lane = 0; lane < cell; lane += LANES) {
        const int64_t at = from * cell + lane;
        vec best[WINDOWS];

        UNROLL
        for (int w = 0; w < windows; ++w)
            best[w] = count > 0 && kernel > 0 ? load(rows[0] + at + w * step) : (vec){0};
        for (int32_t row = 0; row < count; ++row) {
            const float *x = rows[row] + at;

            for (int32_t i = 0; i < kernel; ++i, x += cell) {
                UNROLL
                for (int w = 0; w < windows; ++w)
                    best[w] = LARGER(best[w], load(x + w * step));
            }
        }
        UNROLL
        for (int w = 0; w < windows; ++w)
            store(y + w * cell + lane, best[w]);
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
