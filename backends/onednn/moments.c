/*
 * Mean and variance of each channel over a batch, in two passes with double sums. oneDNN's own sums
 * of a whole map in float32 lose two digits, which is what decides near ties in the relus and max
 * pools that follow; its batch norm is given these moments instead.
 */
#include "layout.h"

enum { LANES = 8, RUN = 16 }; /* channels at once; positions summed in float32 */

/* Adds x - centre, or its square, over rows and span to total, for `width` lanes from x on. Short
 * runs are summed in float32. */
static inline void add_up(const float *x, const layout *l, int width, const float *centre,
                          int square, double *total)
{
    for (int64_t row = 0; row < l->rows; ++row) {
        const float *at = x + row * l->blocks * l->span * l->lanes;

        for (int64_t begin = 0; begin < l->span; begin += RUN) {
            const int64_t end = begin + RUN < l->span ? begin + RUN : l->span;
            float part[LANES] = {0.0f};

            for (int64_t i = begin; i < end; ++i, at += l->lanes)
                for (int k = 0; k < width; ++k) {
                    float d = at[k] - centre[k];

                    part[k] += square ? d * d : d;
                }
            for (int k = 0; k < width; ++k)
                total[k] += part[k];
        }
    }
}

static void channels(const float *x, const layout *l, int width, float *mean, float *variance)
{
    const double count = (double)(l->rows * l->span);
    double sum[LANES] = {0.0}, squares[LANES] = {0.0};
    float centre[LANES] = {0.0f};

    if (width == LANES)
        add_up(x, l, LANES, centre, 0, sum);
    else
        add_up(x, l, width, centre, 0, sum);
    for (int k = 0; k < width; ++k)
        mean[k] = centre[k] = (float)(sum[k] / count);
    if (width == LANES)
        add_up(x, l, LANES, centre, 1, squares);
    else
        add_up(x, l, width, centre, 1, squares);
    for (int k = 0; k < width; ++k)
        variance[k] = (float)(squares[k] / count);
}

/* Operands: x, mean, variance. */
static void moments_loop(const exec *e, const op *o, const member *m)
{
    const layout *l = o->state;
    const float *x = exec_data(e, o, 0);
    float *mean = exec_data(e, o, 1), *variance = exec_data(e, o, 2);
    const int64_t most = l->lanes < LANES ? l->lanes : LANES;
    const span part = exec_share_pieces(m, (l->channels + most - 1) / most, exec_elements(e, o, 0));

    for (int64_t group = part.from; group < part.to; ++group) {
        const int64_t first = group * most, left = l->channels - first;
        const float *at = x + first / l->lanes * l->span * l->lanes + first % l->lanes;

        channels(at, l, (int)(left < most ? left : most), mean + first, variance + first);
    }
}

int batch_norm_moments(exec *e, int32_t x, int32_t mean, int32_t variance)
{
    layout l, *kept;

    if (!layout_of(e, exec_md(e, x), &l) || (kept = exec_state(e, sizeof l)) == NULL)
        return 0;
    *kept = l;
    exec_shared(e, moments_loop, kept);
    exec_operand(e, 0, x);
    exec_operand(e, 0, mean);
    exec_operand(e, 0, variance);
    return 1;
}
