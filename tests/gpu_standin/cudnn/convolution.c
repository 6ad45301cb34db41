/*
 * convolution.c - the arithmetic of all engines: patches of the image as a matrix (im2col) and
 * matrix products, in float32. Tensors are dense NHWC and KRSC; bfloat16 is widened on reading and
 * rounded once on writing.
 */
#include <stdlib.h>
#include <string.h>

#include "../arithmetic/gemm.h"
#include "../arithmetic/rounding.h"
#include "problem.h"

/* Sizes of one convolution, in elements. */
struct sizes {
    size_t images, channels, height, width, outputs, rows, columns, kernel[2];
    size_t groups, group_channels, group_outputs,
        patch; /* patch: kernel area times channels of a group */
};

static struct sizes sizes_of(const struct problem *p)
{
    struct sizes s = {.images = (size_t)p->x.dims[0],
                      .channels = (size_t)p->x.dims[1],
                      .height = (size_t)p->x.dims[2],
                      .width = (size_t)p->x.dims[3],
                      .outputs = (size_t)p->y.dims[1],
                      .rows = (size_t)p->y.dims[2],
                      .columns = (size_t)p->y.dims[3],
                      .kernel = {(size_t)p->w.dims[2], (size_t)p->w.dims[3]},
                      .groups = (size_t)p->groups};
    s.group_channels = s.channels / s.groups;
    s.group_outputs = s.outputs / s.groups;
    s.patch = s.kernel[0] * s.kernel[1] * s.group_channels;
    return s;
}

static size_t elements(const struct problem_tensor *t)
{
    return (size_t)(t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3]);
}

static void *must_have(size_t bytes)
{
    void *memory = malloc(bytes > 0 ? bytes : 1);
    if (memory == NULL)
        abort(); /* a test machine without memory: there is no better answer inside a stream */
    return memory;
}

/* An input as float32, rounded as the engine does. The caller frees it. */
static float *widen(const struct problem_tensor *t, const void *data, unsigned how)
{
    size_t count = elements(t);
    float *wide = must_have(count * sizeof *wide);

    if (t->type == CUDNN_DATA_BFLOAT16) {
        for (size_t i = 0; i < count; i++)
            wide[i] = float_of_bfloat16(((const uint16_t *)data)[i]);
        return wide;
    }
    memcpy(wide, data, count * sizeof *wide);
    if (how & ROUND_TF32)
        for (size_t i = 0; i < count; i++)
            wide[i] = round_tf32(wide[i]);
    if (how & ROUND_BFLOAT16)
        for (size_t i = 0; i < count; i++)
            wide[i] = round_bfloat16(wide[i]);
    return wide;
}

static float load(const void *data, cudnnDataType_t type, size_t i)
{
    return type == CUDNN_DATA_BFLOAT16 ? float_of_bfloat16(((const uint16_t *)data)[i])
                                       : ((const float *)data)[i];
}

/* alpha * sums + beta * what is there, bias by the last dimension, relu. */
static void finish(const struct convolution *c, const struct problem_tensor *t, const void *to,
                   const float *sums)
{
    const struct problem *p = &c->problem;
    size_t count = elements(t), channels = (size_t)t->dims[1];

    for (size_t i = 0; i < count; i++) {
        float sum = (float)p->alpha * sums[i];
        if (c->how & ROUND_SUMS)
            sum = round_bfloat16(sum);
        if (p->beta != 0)
            sum += (float)p->beta * load(to, t->type, i);
        if (c->bias != NULL)
            sum += load(c->bias, p->bias.type, i % channels);
        if (p->relu && !(sum > 0) && sum == sum)
            sum = 0;
        if (t->type == CUDNN_DATA_BFLOAT16)
            ((uint16_t *)to)[i] = bfloat16_of(sum);
        else
            ((float *)to)[i] = sum;
    }
}

/* For each cell of the kernel and each output column: the image column, or -1 for padding. */
static ptrdiff_t position(const struct problem *p, int axis, size_t output, size_t cell,
                          size_t limit)
{
    ptrdiff_t at =
        (ptrdiff_t)(output * (size_t)p->stride[axis] + cell * (size_t)p->dilation[axis]) -
        (ptrdiff_t)p->pre[axis];
    return at < 0 || at >= (ptrdiff_t)limit ? -1 : at;
}

/* Calls with each run of a group's channels that a patch shares with the image: patches (rows *
 * columns, patch). */
static void patches_gather(const struct problem *p, const struct sizes *s, const float *image,
                           float *patches)
{
    size_t run = s->group_channels;
    for (size_t row = 0; row < s->rows; row++)
        for (size_t column = 0; column < s->columns; column++)
            for (size_t kh = 0; kh < s->kernel[0]; kh++) {
                ptrdiff_t h = position(p, 0, row, kh, s->height);
                for (size_t kw = 0; kw < s->kernel[1]; kw++, patches += run) {
                    ptrdiff_t w = position(p, 1, column, kw, s->width);
                    if (h < 0 || w < 0)
                        memset(patches, 0, run * sizeof *patches);
                    else
                        memcpy(patches, image + ((size_t)h * s->width + (size_t)w) * s->channels,
                               run * sizeof *patches);
                }
            }
}

static void patches_scatter(const struct problem *p, const struct sizes *s, const float *patches,
                            float *image)
{
    size_t run = s->group_channels;
    for (size_t row = 0; row < s->rows; row++)
        for (size_t column = 0; column < s->columns; column++)
            for (size_t kh = 0; kh < s->kernel[0]; kh++) {
                ptrdiff_t h = position(p, 0, row, kh, s->height);
                for (size_t kw = 0; kw < s->kernel[1]; kw++, patches += run) {
                    ptrdiff_t w = position(p, 1, column, kw, s->width);
                    float *to = image + ((size_t)h * s->width + (size_t)w) * s->channels;
                    for (size_t i = 0; i < run && h >= 0 && w >= 0; i++)
                        to[i] += patches[i];
                }
            }
}

static void product(size_t m, size_t n, size_t k, const float *a, size_t a_row, size_t a_column,
                    const float *b, size_t b_row, float *c, size_t c_row, int add)
{
    if (standin_gemm(m, n, k, a, a_row, a_column, b, b_row, 1, c, c_row, add) != 0)
        abort();
}

/* One image and group. w: (K,patch) of the group; y: (cells,outputs), x: (height,width,channels),
 * both at the group's first channel. */
static void forward(const struct problem *p, const struct sizes *s, const float *x, const float *w,
                    float *y, float *patches)
{
    size_t cells = s->rows * s->columns;
    patches_gather(p, s, x, patches);
    if (standin_gemm(cells, s->group_outputs, s->patch, patches, s->patch, 1, w, 1, s->patch, y,
                     s->outputs, 0) != 0)
        abort();
}

static void backward_data(const struct problem *p, const struct sizes *s, float *x, const float *w,
                          const float *y, float *patches)
{
    size_t cells = s->rows * s->columns;
    product(cells, s->patch, s->group_outputs, y, s->outputs, 1, w, s->patch, patches, s->patch, 0);
    patches_scatter(p, s, patches, x);
}

static void backward_filter(const struct problem *p, const struct sizes *s, const float *x,
                            float *w, const float *y, float *patches)
{
    size_t cells = s->rows * s->columns;
    patches_gather(p, s, x, patches);
    product(s->group_outputs, s->patch, cells, y, 1, s->outputs, patches, s->patch, w, s->patch, 1);
}

/* The image that comes i-th: in order, or rotated where the engine's order is not told. */
static size_t image_number(const struct convolution *c, const struct sizes *s, size_t i,
                           size_t offset)
{
    return c->how & ANY_ORDER ? (i + offset) % s->images : i;
}

standin_progress convolution_run(void *args)
{
    const struct convolution *c = args;
    const struct problem *p = &c->problem;
    struct sizes s = sizes_of(p);
    const struct problem_tensor *result = problem_output(p);
    float *x =
        p->kind == PROBLEM_DATA ? calloc(elements(&p->x), sizeof *x) : widen(&p->x, c->x, c->how);
    float *w =
        p->kind == PROBLEM_FILTER ? calloc(elements(&p->w), sizeof *w) : widen(&p->w, c->w, c->how);
    float *y = p->kind == PROBLEM_FORWARD ? must_have(elements(&p->y) * sizeof *y)
                                          : widen(&p->y, c->y, c->how);
    float *patches = must_have(s.rows * s.columns * s.patch * sizeof *patches);
    size_t offset = standin_random((uint32_t)s.images);

    if (x == NULL || w == NULL)
        abort();
    if (c->workspace_bytes > 0)
        memset(c->workspace, 0xFF, c->workspace_bytes);
    for (size_t i = 0; i < s.images * s.groups; i++) {
        size_t image = image_number(c, &s, i / s.groups, offset), group = i % s.groups;
        float *xi = x + image * s.height * s.width * s.channels + group * s.group_channels;
        float *yi = y + image * s.rows * s.columns * s.outputs + group * s.group_outputs;
        float *wi = w + group * s.group_outputs * s.patch;
        if (p->kind == PROBLEM_FORWARD)
            forward(p, &s, xi, wi, yi, patches);
        else if (p->kind == PROBLEM_DATA)
            backward_data(p, &s, xi, wi, yi, patches);
        else
            backward_filter(p, &s, xi, wi, yi, patches);
    }
    if (p->kind == PROBLEM_FORWARD)
        finish(c, result, c->y, y);
    else
        finish(c, result, p->kind == PROBLEM_DATA ? c->x : c->w, p->kind == PROBLEM_DATA ? x : w);
    free(x);
    free(w);
    free(y);
    free(patches);
    return STANDIN_DONE;
}
