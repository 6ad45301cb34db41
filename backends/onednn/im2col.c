/*
 * Convolutions of any window and number of groups as matrix products, one for each row of the
 * kernel, without a copy of the whole input: with channels last, a row of the padded input already
 * is the matrix whose rows, stride[1] pixels apart, hold the taps of one output each.
 *
 *     y row      (columns, O)    += x row (columns, kw*I)    weights (kw*I, O)
 *     dx row     (kw*I scattered) = dy row (columns, O)      weights (O, kw*I)
 *     gradient   (O, kw*I)       += dy row^T (O, columns)    x row (columns, kw*I)
 *
 * A task writes rows that no other writes, in an order that does not depend on the threads.
 */
#include "im2col.h"

#include <string.h>

#include "conv.h"

typedef struct im2col {
    hmt_window w;
    int64_t images, groups, in, out; /* in, out: channels of a group */
    int64_t x[2], y[2];              /* heights and widths */
    int64_t depth, columns;          /* of the packed weights of a group and kernel row */
    int64_t panels;                  /* of `columns` */
    int64_t line;                    /* floats of a padded row of x */
    int transposed;                  /* columns are taps, not outputs */
    int relu;
} im2col;

/* Between tensors x and y of the forward step, the weights packed for this direction. */
static im2col *describe(exec *e, const hmt_plan_step *s, int32_t x, int32_t y, int transposed)
{
    const int64_t *xs = e->plan->tensors[x].shape, *ys = e->plan->tensors[y].shape;
    const int64_t panel = exec_kernels(e)->panel,
                  groups = s->window.groups > 1 ? s->window.groups : 1;
    im2col *c = exec_state(e, sizeof *c);
    int64_t taps;

    if (c == NULL)
        return NULL;
    *c = (im2col){.w = s->window,
                  .images = xs[0],
                  .groups = groups,
                  .in = xs[1] / groups,
                  .out = ys[1] / groups,
                  .x = {xs[2], xs[3]},
                  .y = {ys[2], ys[3]},
                  .transposed = transposed,
                  .relu = s->relu};
    taps = c->w.kernel[1] * c->in;
    c->depth = transposed ? c->out : taps;
    c->columns = transposed ? taps : c->out;
    c->panels = divide_up(c->columns, panel);
    c->line = ((c->y[1] - 1) * c->w.stride[1] + c->w.kernel[1]) * c->in;
    exec_chose(e, "im2col");
    return c;
}

/* The row of x under row `ky` of the kernel at row `row` of y; negative, or too large, outside. */
static int64_t row_under(const im2col *c, int64_t row, int64_t ky)
{
    return row * c->w.stride[0] - c->w.pad[0] + ky;
}

/* A group's part of row `row` of an image, channels last, between zeros. */
static void fill_row(const im2col *c, const float *image, int64_t row, int64_t group, float *to)
{
    const int64_t channels = c->groups * c->in;
    const float *from = image + row * c->x[1] * channels + group * c->in;

    for (int64_t at = -c->w.pad[1]; at < c->line / c->in - c->w.pad[1]; ++at, to += c->in)
        if (at >= 0 && at < c->x[1])
            memcpy(to, from + at * channels, (size_t)c->in * sizeof *to);
        else
            memset(to, 0, (size_t)c->in * sizeof *to);
}

/* ------------------------------------------------------------------------------ weights ---------
 */

/* The weight (O,I,kh,kw) at a row and column of the matrix of a group and kernel row. */
static float weight_at(const im2col *c, const float *weights, int64_t group, int64_t ky,
                       int64_t row, int64_t column)
{
    const int64_t output = c->transposed ? row : column, tap = c->transposed ? column : row;
    const int64_t kx = tap / c->in, input = tap % c->in;

    return weights[(((group * c->out + output) * c->in + input) * c->w.kernel[0] + ky) *
                       c->w.kernel[1] +
                   kx];
}

/* Operands: weights (O,I,kh,kw), packed (group,kh,panel,depth,column of the panel). */
static void pack_loop(const exec *e, const op *o, const member *m)
{
    const im2col *c = o->state;
    const int64_t panel = exec_kernels(e)->panel;
    const float *weights = exec_data(e, o, 0);
    span part;

    while (team_take(m, c->groups * c->w.kernel[0] * c->panels, 1, &part)) {
        const int64_t first = part.from % c->panels * panel, matrix = part.from / c->panels;
        const int64_t group = matrix / c->w.kernel[0], ky = matrix % c->w.kernel[0];
        float *to = exec_data(e, o, 1) + part.from * c->depth * panel;

        for (int64_t row = 0; row < c->depth; ++row)
            for (int64_t i = 0; i < panel; ++i)
                *to++ = first + i < c->columns ? weight_at(c, weights, group, ky, row, first + i)
                                               : 0.0f;
    }
}

static int32_t pack(exec *e, const im2col *c, int32_t weight)
{
    const int64_t panel = exec_kernels(e)->panel;
    const int64_t floats = c->groups * c->w.kernel[0] * c->panels * c->depth * panel;
    const int32_t from =
        exec_weight(e, weight, exec_describe(e, 4, e->plan->weights[weight].shape, dnnl_oihw));
    const int32_t to = exec_scratch(e, floats);

    exec_shared(e, pack_loop, c);
    exec_operand(e, from);
    exec_operand(e, to);
    return to;
}

/* sums (rows of a, columns filled up) = or += a times the matrix of a group and kernel row. */
static void multiply(const exec *e, const im2col *c, const float *a, int64_t a_row,
                     const float *packed, int64_t matrix, int add, float *sums)
{
    const kernels *k = exec_kernels(e);

    for (int64_t j = 0; j < c->panels; ++j)
        k->gemm(HMT_DTYPE_F32, c->y[1], c->depth, a, a_row, 1,
                packed + (matrix * c->panels + j) * c->depth * k->panel, k->panel,
                sums + j * k->panel, c->panels * k->panel, add, 0);
}

/* ------------------------------------------------------------------------------ forward ---------
 */

/* A group's row of y from its sums. */
static void finish_row(const im2col *c, const float *sums, int64_t sums_row, const float *bias,
                       float *y)
{
    for (int64_t at = 0; at < c->y[1]; ++at)
        for (int64_t i = 0; i < c->out; ++i) {
            const float value = sums[at * sums_row + i] + (bias != NULL ? bias[i] : 0.0f);

            y[at * c->groups * c->out + i] = c->relu && value < 0.0f ? 0.0f : value;
        }
}

/* Operands: x, packed weights, y, memory of each member, [bias]; maps with channels last. */
static void forward_loop(const exec *e, const op *o, const member *m)
{
    const im2col *c = o->state;
    const int64_t image = c->x[0] * c->x[1] * c->groups * c->in;
    const int64_t row = c->y[1] * c->groups * c->out;
    const int64_t sums_row = c->panels * exec_kernels(e)->panel;
    float *padded = exec_own(e, o, 3, m), *sums = padded + c->line;
    span part;

    while (team_take(m, c->images * c->y[0], 1, &part))
        for (int64_t group = 0; group < c->groups; ++group) {
            const float *bias = o->count > 4 ? exec_data(e, o, 4) + group * c->out : NULL;
            int add = 0;

            for (int64_t ky = 0; ky < c->w.kernel[0]; ++ky) {
                const int64_t at = row_under(c, part.from % c->y[0], ky);

                if (at < 0 || at >= c->x[0])
                    continue;
                fill_row(c, exec_data(e, o, 0) + part.from / c->y[0] * image, at, group, padded);
                multiply(e, c, padded, c->w.stride[1] * c->in, exec_data(e, o, 1),
                         group * c->w.kernel[0] + ky, add, sums);
                add = 1;
            }
            if (!add)
                memset(sums, 0, (size_t)(c->y[1] * sums_row) * sizeof *sums);
            finish_row(c, sums, sums_row, bias,
                       exec_data(e, o, 2) + part.from * row + group * c->out);
        }
}

void im2col_forward(exec *e, const hmt_plan_step *s)
{
    const im2col *c = describe(e, s, s->in[0], s->out[0], 0);
    int32_t x, weights, bias, y;

    if (c == NULL)
        return;
    x = exec_input(e, s->in[0], exec_like(e, s->in[0], dnnl_nhwc));
    weights = pack(e, c, s->weight[0]);
    bias = exec_weight_vector(e, s->weight[1]);
    y = exec_output(e, s->out[0], exec_like(e, s->out[0], dnnl_nhwc));
    exec_shared(e, forward_loop, c);
    exec_operand(e, x);
    exec_operand(e, weights);
    exec_operand(e, y);
    exec_operand(e, exec_scratch_each(e, c->line + c->y[1] * c->panels * exec_kernels(e)->panel));
    exec_operand(e, bias);
}

/* ------------------------------------------------------------------------------ backward --------
 */

/* Adds the sums of a row of dy to a group's row of dx. */
static void scatter_row(const im2col *c, const float *sums, int64_t sums_row, float *dx)
{
    for (int64_t at = 0; at < c->y[1]; ++at)
        for (int64_t kx = 0; kx < c->w.kernel[1]; ++kx) {
            const int64_t column = at * c->w.stride[1] - c->w.pad[1] + kx;
            const float *from = sums + at * sums_row + kx * c->in;

            if (column < 0 || column >= c->x[1])
                continue;
            for (int64_t i = 0; i < c->in; ++i)
                dx[column * c->groups * c->in + i] += from[i];
        }
}

/* Operands: dy, packed weights, dx, memory of each member; maps with channels last. */
static void data_loop(const exec *e, const op *o, const member *m)
{
    const im2col *c = o->state;
    const int64_t dy_row = c->y[1] * c->groups * c->out, dx_row = c->x[1] * c->groups * c->in;
    const int64_t stride = c->w.stride[0], sums_row = c->panels * exec_kernels(e)->panel;
    float *sums = exec_own(e, o, 3, m);
    span part;

    while (team_take(m, c->images * c->x[0], 1, &part)) {
        const int64_t image = part.from / c->x[0], below = part.from % c->x[0] + c->w.pad[0];
        float *dx = exec_data(e, o, 2) + part.from * dx_row;

        memset(dx, 0, (size_t)dx_row * sizeof *dx);
        for (int64_t group = 0; group < c->groups; ++group) {
            int add = 0;

            for (int64_t ky = 0; ky < c->w.kernel[0] && ky <= below; ++ky) {
                const int64_t row = (below - ky) / stride;

                if ((below - ky) % stride != 0 || row >= c->y[0])
                    continue;
                multiply(
                    e, c, exec_data(e, o, 0) + (image * c->y[0] + row) * dy_row + group * c->out,
                    c->groups * c->out, exec_data(e, o, 1), group * c->w.kernel[0] + ky, add, sums);
                add = 1;
            }
            if (add)
                scatter_row(c, sums, sums_row, dx + group * c->in);
        }
    }
}

void im2col_backward_data(exec *e, const hmt_plan_step *s)
{
    const im2col *c = describe(e, s, s->out[0], s->in[0], 1);
    int32_t dy, weights, dx;

    if (c == NULL)
        return;
    dy = exec_input(e, s->in[0], exec_like(e, s->in[0], dnnl_nhwc));
    weights = pack(e, c, s->weight[0]);
    dx = exec_output(e, s->out[0], exec_like(e, s->out[0], dnnl_nhwc));
    exec_shared(e, data_loop, c);
    exec_operand(e, dy);
    exec_operand(e, weights);
    exec_operand(e, dx);
    exec_operand(e, exec_scratch_each(e, c->y[1] * c->panels * exec_kernels(e)->panel));
}

/* An image's sums (O, panel) of a group, kernel row and panel of taps. */
static void image_sums(const exec *e, const op *o, const im2col *c, int64_t image, int64_t matrix,
                       int64_t panel, float *padded, float *sums)
{
    const kernels *k = exec_kernels(e);
    const int64_t group = matrix / c->w.kernel[0], ky = matrix % c->w.kernel[0];
    const int64_t outputs = c->groups * c->out;
    const float *x = exec_data(e, o, 1) + image * c->x[0] * c->x[1] * c->groups * c->in;
    const float *dy = exec_data(e, o, 0) + image * c->y[0] * c->y[1] * outputs + group * c->out;
    int add = 0;

    for (int64_t row = 0; row < c->y[0]; ++row) {
        const int64_t at = row_under(c, row, ky);

        if (at < 0 || at >= c->x[0])
            continue;
        fill_row(c, x, at, group, padded);
        k->gemm(HMT_DTYPE_F32, c->out, c->y[1], dy + row * c->y[1] * outputs, 1, outputs,
                padded + panel * k->panel, c->w.stride[1] * c->in, sums, k->panel, add, 0);
        add = 1;
    }
    if (!add)
        memset(sums, 0, (size_t)(c->out * k->panel) * sizeof *sums);
}

/* Operands: dy, x, gradient (O,I,kh,kw), memory of each member; maps with channels last. */
static void gradient_loop(const exec *e, const op *o, const member *m)
{
    const im2col *c = o->state;
    const int64_t panel = exec_kernels(e)->panel, floats = c->out * panel;
    const int64_t kernel = (int64_t)c->w.kernel[0] * c->w.kernel[1];
    float *padded = exec_own(e, o, 3, m), *sums = padded + c->line + panel, *all = sums + floats;
    span part;

    memset(padded, 0, (size_t)(c->line + panel) * sizeof *padded); /* behind the row too */
    while (team_take(m, c->groups * c->w.kernel[0] * c->panels, 1, &part)) {
        const int64_t matrix = part.from / c->panels, first = part.from % c->panels * panel;
        const int64_t left = c->columns - first, count = left < panel ? left : panel;
        float *to = exec_data(e, o, 2) + matrix / c->w.kernel[0] * c->out * c->in * kernel +
                    matrix % c->w.kernel[0] * c->w.kernel[1];

        memset(all, 0, (size_t)floats * sizeof *all);
        for (int64_t image = 0; image < c->images; ++image) {
            image_sums(e, o, c, image, matrix, part.from % c->panels, padded, sums);
            for (int64_t i = 0; i < floats; ++i)
                all[i] += sums[i];
        }
        for (int64_t output = 0; output < c->out; ++output)
            for (int64_t i = 0; i < count; ++i)
                to[(output * c->in + (first + i) % c->in) * kernel + (first + i) / c->in] =
                    all[output * panel + i];
    }
}

void im2col_backward_weights(exec *e, const hmt_plan_step *s)
{
    const im2col *c = describe(e, s, s->in[1], s->in[0], 1);
    const int64_t panel = exec_kernels(e)->panel;
    int32_t dy, x, gradient;

    if (c == NULL)
        return;
    dy = exec_input(e, s->in[0], exec_like(e, s->in[0], dnnl_nhwc));
    x = exec_input(e, s->in[1], exec_like(e, s->in[1], dnnl_nhwc));
    gradient = exec_output(e, s->out[0], exec_like(e, s->out[0], dnnl_oihw));
    exec_shared(e, gradient_loop, c);
    exec_operand(e, dy);
    exec_operand(e, x);
    exec_operand(e, gradient);
    exec_operand(e, exec_scratch_each(e, c->line + panel + 2 * c->out * panel));
    if (s->out[1] >= 0)
        conv_bias_gradient(e, s, exec_input(e, s->in[0], exec_blocked(e, s->in[0])));
}
