/*
 * Mean and variance of each channel over a batch, in two passes with double sums. oneDNN's own sums
 * of a whole map in float32 lose two digits, which is what decides near ties in the relus and max
 * pools that follow; its batch norm is given these moments instead.
 */
#include "exec.h"

enum { LANES = 8, RUN = 16 };

/* x is (rows, blocks, span, lanes): nChw8c has 8 lanes, dense maps 1, channels last all. */
typedef struct layout {
    int64_t rows, blocks, span, lanes;
} layout;

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
static void moments(const exec *e, const op *o, int64_t blocks, int64_t lanes)
{
    const int64_t *shape = e->plan->tensors[e->plan->steps[o->step].in[0]].shape;
    const layout l = {shape[0], blocks, shape[2] * shape[3], lanes};
    const float *x = exec_data(e, o, 0);
    float *mean = exec_data(e, o, 1), *variance = exec_data(e, o, 2);

#pragma omp parallel for schedule(static) if (exec_elements(e, o, 0) >= PARALLEL_FROM)
    for (int64_t first = 0; first < shape[1]; first += lanes < LANES ? lanes : LANES) {
        const int64_t left = shape[1] - first, most = lanes < LANES ? lanes : LANES;
        const float *at = x + first / lanes * l.span * lanes + first % lanes;

        channels(at, &l, (int)(left < most ? left : most), mean + first, variance + first);
    }
}

static void moments_blocked(const exec *e, const op *o)
{
    const int64_t *shape = e->plan->tensors[e->plan->steps[o->step].in[0]].shape;

    moments(e, o, (shape[1] + LANES - 1) / LANES, LANES);
}

static void moments_dense(const exec *e, const op *o)
{
    const int64_t *shape = e->plan->tensors[e->plan->steps[o->step].in[0]].shape;

    moments(e, o, shape[1], 1);
}

static void moments_last(const exec *e, const op *o)
{
    const int64_t *shape = e->plan->tensors[e->plan->steps[o->step].in[0]].shape;

    moments(e, o, 1, shape[1]);
}

int batch_norm_moments(exec *e, int32_t tensor, int32_t x, int32_t mean, int32_t variance)
{
    const_dnnl_memory_desc_t md = exec_md(e, x);
    void (*loop)(const exec *e, const op *o) = NULL;

    if (md == NULL)
        return 0;
    if (dnnl_memory_desc_equal(md, exec_like(e, tensor, dnnl_nhwc)))
        loop = moments_last; /* first, since it fits (N,C,1,1) best, where dense is the same */
    else if (dnnl_memory_desc_equal(md, exec_like(e, tensor, dnnl_nChw8c)))
        loop = moments_blocked;
    else if (dnnl_memory_desc_equal(md, exec_like(e, tensor, dnnl_nchw)))
        loop = moments_dense;
    if (loop == NULL)
        return 0;
    exec_loop(e, loop);
    exec_operand(e, 0, x);
    exec_operand(e, 0, mean);
    exec_operand(e, 0, variance);
    return 1;
}
