/*
 * Max pooling of rows of cells, which are blocks of channels. Cells beyond a row's ends do not
 * exist, so the padding never wins.
 */
#include "vectors.h"

static void max_pool(const pool_shape *s, int32_t count, const float *const *rows, float *y)
{
    for (int32_t column = 0; column < s->columns; ++column, y += s->cell) {
        const int32_t at = column * s->stride - s->pad, end = at + s->kernel;
        const int32_t from = at < 0 ? 0 : at, until = end < s->width ? end : s->width;

        for (int32_t lane = 0; lane < s->cell; lane += LANES) {
            vec best = count > 0 && from < until ? load(rows[0] + (int64_t)from * s->cell + lane)
                                                 : (vec){0};

            for (int32_t row = 0; row < count; ++row)
                for (int32_t i = from; i < until; ++i)
                    best = LARGER(best, load(rows[row] + (int64_t)i * s->cell + lane));
            store(y + lane, best);
        }
    }
}
