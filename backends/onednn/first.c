/*
 * Convolutions of few input channels, as a network's first, from planar images to blocks of
 * channels: by tiles along rows (first_tiles.c), in integers (first_integer.c), or tap by tap
 * (kernels/first_body.h). A max pool that alone reads the result, at inference, takes its rows
 * while they are in the cache; the map between is never stored. A task is a stripe of an image's
 * rows.
 */
#include "first.h"

#include "first_integer.h"
#include "first_tiles.h"
#include "max_pool.h"

enum {
    MOST_STRIPES = 64, /* of an image */
    MOST_PANEL = 32    /* kernels.panel */
};

typedef struct first {
    first_shape shape;
    int64_t rows, stripes;       /* of what is stored */
    int64_t blocks, panels;      /* of output channels */
    const hmt_plan_step *pooled; /* NULL if the convolution's result is stored */
    pool_shape pool;
    const integer_images *integers; /* NULL for float32 */
    int by_tiles;
    first_tiles tiles; /* if so */
    int64_t ring;      /* floats of a thread's: rows that wait to be pooled; its other memory
                        * lies behind */
} first;

/* ------------------------------------------------------------------------------ running ---------
 */

/* What a task reads and writes. */
typedef struct part {
    const float *x, *weights, *bias;
    const int16_t *integers; /* in place of x, for weights in 8 bits */
    float step;              /* that they count in */
    first_lines lines;       /* in place of x, by tiles */
    float *y, *ring;
    int32_t relu;
    int64_t from, until; /* rows of y */
} part;

/* A panel's packed weights. */
static int64_t panel_floats(const exec *e, const first *f)
{
    const first_shape *s = &f->shape;

    return f->integers != NULL ? first_integer_panel(e, s)
           : f->by_tiles
               ? first_tiles_panel(exec_kernels(e), &f->tiles)
               : (int64_t)s->channels * s->kernel[0] * s->kernel[1] * exec_kernels(e)->panel;
}

/* Row `row` of a panel in integers: their step goes into the scales. */
static void convolve_integers(const exec *e, const first *f, const part *p, int64_t row,
                              const float *weights, const float *bias, int32_t vectors, float *y,
                              int64_t block_step)
{
    const kernels *k = exec_kernels(e);
    const float *scale = weights + panel_floats(e, f) - k->panel;
    float scales[MOST_PANEL];

    for (int32_t lane = 0; lane < k->panel; ++lane)
        scales[lane] = p->step * scale[lane];
    k->first_row_integer(&f->shape, p->integers, f->integers->line,
                         (const int16_t *)(const void *)weights, scales, bias, vectors, p->relu,
                         (int32_t)row, y, block_step);
}

/* Row `row` of the convolution to y, its blocks of channels block_step apart. */
static void convolve_row(const exec *e, const first *f, part *p, int64_t row, float *y,
                         int64_t block_step)
{
    const kernels *k = exec_kernels(e);
    const float *spectra = f->by_tiles ? first_lines_of(&p->lines, row) : NULL;

    for (int64_t panel = 0; panel < f->panels; ++panel, y += 2 * block_step) {
        const float *weights = p->weights + panel * panel_floats(e, f);
        const float *bias = p->bias + panel * k->panel;
        const int32_t vectors = f->blocks - 2 * panel > 1 ? 2 : 1;

        if (f->integers != NULL)
            convolve_integers(e, f, p, row, weights, bias, vectors, y, block_step);
        else if (f->by_tiles)
            k->first_row_tiles(&f->tiles, spectra, weights, bias, vectors, p->relu,
                               p->lines.products, y, block_step);
        else
            k->first_row(&f->shape, p->x, weights, bias, vectors, p->relu, (int32_t)row, y,
                         block_step);
    }
}

static void convolve(const exec *e, const first *f, part *p)
{
    const int64_t line = (int64_t)f->shape.columns * exec_kernels(e)->lanes;

    for (int64_t row = p->from; row < p->until; ++row)
        convolve_row(e, f, p, row, p->y + row * line, f->rows * line);
}

/* The last rows of the convolution stay in a ring, (rows, panels, 2, columns, lanes). */
static void convolve_and_pool(const exec *e, const first *f, part *p)
{
    const int64_t line = (int64_t)f->shape.columns * exec_kernels(e)->lanes;
    const int64_t kept = f->pooled->window.kernel[0], row_step = 2 * f->panels * line;
    const int64_t to = (int64_t)f->pool.columns * exec_kernels(e)->lanes;
    const float *rows[POOL_ROWS];
    int64_t next = 0;

    for (int64_t row = p->from; row < p->until; ++row) {
        const pool_rows down = max_pool_down(e, f->pooled, row);

        for (next = next < down.from ? down.from : next; next < down.until; ++next)
            convolve_row(e, f, p, next, p->ring + next % kept * row_step, line);
        for (int64_t block = 0; block < f->blocks; ++block) {
            for (int64_t i = down.from; i < down.until; ++i)
                rows[i - down.from] = p->ring + i % kept * row_step + block * line;
            exec_kernels(e)->max_pool(&f->pool, (int32_t)(down.until - down.from), rows,
                                      p->y + (block * f->rows + row) * to);
        }
    }
}

/* Operands: x, packed weights, y, filled-up bias, each thread's memory; in integers a last operand
 * holds what the images count in. */
static void task(const exec *e, const op *o, int64_t i, float *memory)
{
    const first *f = o->state;
    const first_shape *s = &f->shape;
    const int64_t stripe = i % f->stripes, image = i / f->stripes;
    const int64_t cells = f->rows * (f->pooled != NULL ? f->pool.columns : s->columns);
    part p = {
        .weights = exec_data(e, o, 1),
        .bias = exec_data(e, o, 3),
        .y = exec_data(e, o, 2) + image * f->blocks * cells * exec_kernels(e)->lanes,
        .ring = memory,
        .relu = e->plan->steps[o->step].relu,
        .from = f->rows * stripe / f->stripes,
        .until = f->rows * (stripe + 1) / f->stripes,
    };

    if (f->integers != NULL) {
        p.step = first_integer_step(exec_data(e, o, 5), image);
        p.integers =
            (const int16_t *)exec_data(e, o, 0) + image * f->integers->rows * f->integers->line;
    } else {
        p.x = exec_data(e, o, 0) + image * s->channels * s->size[0] * s->size[1];
    }
    if (f->by_tiles)
        p.lines = first_lines_open(exec_kernels(e), s, &f->tiles, p.x, memory + f->ring);
    if (f->pooled != NULL)
        convolve_and_pool(e, f, &p);
    else
        convolve(e, f, &p);
}

static void loop(const exec *e, const op *o, const member *m)
{
    const first *f = o->state;
    const int64_t images = e->plan->tensors[e->plan->steps[o->step].in[0]].shape[0];
    float *memory = exec_own(e, o, 4, m);
    span part;

    while (team_take(m, images * f->stripes, 1, &part))
        task(e, o, part.from, memory);
}

/* One output's weights (C,kh,kw), or NULL for zeros, as a column of a panel. */
static void arrange_output(const first *f, const float *dense, int64_t panel, float *column)
{
    const first_shape *s = &f->shape;
    const int64_t taps = (int64_t)s->channels * s->kernel[0] * s->kernel[1];

    if (f->by_tiles)
        first_tiles_pack(s, &f->tiles, dense, panel, column);
    else
        for (int64_t tap = 0; tap < taps; ++tap)
            column[tap * panel] = dense != NULL ? dense[tap] : 0.0f;
}

/* Dense weights (O,C,kh,kw) to panels of outputs, filled up with zeros: columns [from, until). */
static void arrange(const exec *e, const first *f, int64_t outputs, const float *dense,
                    int64_t from, int64_t until, float *to)
{
    const int64_t panel = exec_kernels(e)->panel;
    const int64_t taps = (int64_t)f->shape.channels * f->shape.kernel[0] * f->shape.kernel[1];

    for (int64_t at = from; at < until; ++at)
        arrange_output(f, at < outputs ? dense + at * taps : NULL, panel,
                       to + at / panel * panel_floats(e, f) + at % panel);
}

/* Operands: weights (O,C,kh,kw), the same packed. */
static void arrange_loop(const exec *e, const op *o, const member *m)
{
    const first *f = o->state;
    const span share = team_share(m, f->panels * exec_kernels(e)->panel);

    arrange(e, f, e->plan->weights[e->plan->steps[o->step].weight[0]].shape[0], exec_data(e, o, 0),
            share.from, share.to, exec_data(e, o, 1));
}

/* ------------------------------------------------------------------------------ preparing -------
 */

int first_fits(const exec *e, const hmt_plan_step *s, int32_t x)
{
    const hmt_window *w = &s->window;

    return e->device->tile != 0 && w->groups <= 1 &&
           e->plan->tensors[x].shape[1] <= FIRST_CHANNELS && w->kernel[0] <= FIRST_TAPS &&
           w->kernel[1] <= FIRST_TAPS && w->stride[1] <= FIRST_STRIDE;
}

first_shape first_describe(const exec *e, const hmt_plan_step *s, int32_t x, int32_t y)
{
    const int64_t *xs = e->plan->tensors[x].shape, *ys = e->plan->tensors[y].shape;
    const hmt_window *w = &s->window;

    return (first_shape){.channels = (int32_t)xs[1],
                         .size = {(int32_t)xs[2], (int32_t)xs[3]},
                         .kernel = {w->kernel[0], w->kernel[1]},
                         .stride = {w->stride[0], w->stride[1]},
                         .pad = {w->pad[0], w->pad[1]},
                         .columns = (int32_t)ys[3]};
}

/* The step behind, if it is a max pool that alone reads the result of `s`. */
static const hmt_plan_step *pool_behind(const exec *e, const hmt_plan_step *s)
{
    const hmt_plan_step *steps = e->plan->steps, *pool = s + 1;
    const hmt_plan_tensor *map = &e->plan->tensors[s->out[0]];

    if (e->plan->training || pool == steps + e->plan->step_count || !max_pool_fits(e, pool) ||
        pool->in[0] != s->out[0] || (map->flags & HMT_TENSOR_OUTPUT))
        return NULL;
    for (size_t i = 0; i < e->plan->step_count; ++i)
        for (int k = 0; k < HMT_STEP_INPUTS; ++k)
            if (&steps[i] != pool && steps[i].in[k] == s->out[0])
                return NULL;
    return pool;
}

/* Stripes of an image for which the threads' longest share is shortest: rows of the convolution
 * that two stripes' pools share are computed for both. */
static int64_t choose_stripes(const exec *e, const first *f, int64_t images)
{
    const int64_t stride = f->pooled != NULL ? f->pooled->window.stride[0] : 1;
    const int64_t shared = f->pooled != NULL ? f->pooled->window.kernel[0] - stride : 0;
    int64_t best = 1, least = INT64_MAX;

    for (int64_t stripes = 1; stripes <= MOST_STRIPES && stripes <= f->rows; ++stripes) {
        const int64_t turns = divide_up(images * stripes, e->device->host->threads);
        const int64_t rows = turns * (divide_up(f->rows, stripes) * stride + shared);

        if (rows < least) {
            least = rows;
            best = stripes;
        }
    }
    return best;
}

static first *plan(exec *e, const hmt_plan_step *s)
{
    const int64_t *xs = e->plan->tensors[s->in[0]].shape, *ys = e->plan->tensors[s->out[0]].shape;
    first *f = exec_state(e, sizeof *f);

    if (f == NULL)
        return NULL;
    *f = (first){
        .shape = first_describe(e, s, s->in[0], s->out[0]),
        .rows = ys[2],
        .blocks = divide_up(ys[1], exec_kernels(e)->lanes),
        .panels = divide_up(ys[1], exec_kernels(e)->panel),
        .pooled = pool_behind(e, s),
    };
    if (f->pooled != NULL) {
        f->pool = max_pool_across(e, f->pooled, exec_kernels(e)->lanes);
        f->rows = e->plan->tensors[f->pooled->out[0]].shape[2];
        f->ring =
            2 * f->panels * f->pooled->window.kernel[0] * f->shape.columns * exec_kernels(e)->lanes;
    }
    f->stripes = choose_stripes(e, f, xs[0]);
    if (first_integer_fits(e, s->weight[0]))
        f->integers = first_integer_plan(e, &f->shape, xs[0], ys[2]);
    f->by_tiles = f->integers == NULL && first_tiles_fit(&f->shape);
    if (f->by_tiles)
        f->tiles = first_tiles_plan(exec_kernels(e), &f->shape);
    return f;
}

typedef struct packing {
    const exec *e;
    const first *f;
} packing;

static hmt_status pack(const void *user, const weights *from, const hmt_plan_weight *weight,
                       float *to)
{
    const packing *p = user;
    const int64_t taps = weight->shape[1] * weight->shape[2] * weight->shape[3];
    void *dense;
    hmt_status status =
        device_allocate(p->e->device, (uint64_t)(weight->shape[0] * taps) * sizeof(float),
                        "a packed weight", &dense);

    if (status != HMT_OK)
        return status;
    status = weights_read(from, weight, 0, weight->shape[0], dense);
    if (status == HMT_OK)
        arrange(p->e, p->f, weight->shape[0], dense, 0, p->f->panels * exec_kernels(p->e)->panel,
                to);
    device_free(p->e->device, dense);
    return status;
}

/* Packed weights: kept with the model's, or made anew in each run where a trainer changes them. */
static int32_t packed_weights(exec *e, const first *f, int32_t weight)
{
    const int64_t floats = f->panels * panel_floats(e, f);
    int32_t from, to;

    if (f->integers != NULL)
        return first_integer_weights(e, &f->shape, e->plan->weights[weight].shape[0], weight);
    if (!exec_is_trained(e, weight)) {
        const packing p = {e, f};
        const int32_t form = f->by_tiles ? FIRST_TILES_FORM + f->tiles.grids : FIRST_FORM;

        return exec_weight_form(e, weight, exec_describe(e, 1, &floats, dnnl_a),
                                &(weights_form){form, pack, &p});
    }
    from = exec_weight(e, weight, exec_describe(e, 4, e->plan->weights[weight].shape, dnnl_oihw));
    to = exec_scratch(e, floats);
    exec_shared(e, arrange_loop, f);
    exec_operand(e, from);
    exec_operand(e, to);
    return to;
}

int first_forward(exec *e, const hmt_plan_step *s)
{
    int32_t x, weights, bias, y, result = s->out[0], ranges = -1;
    int64_t lines; /* floats of the spectra of lines */
    const first *f;

    if (!first_fits(e, s, s->in[0]))
        return 0;
    f = plan(e, s);
    if (f == NULL)
        return 1;
    exec_chose(e, f->integers != NULL ? "first, integers"
                  : f->by_tiles       ? "first, winograd 4"
                                      : "first");
    if (f->pooled != NULL) {
        const int64_t at = f->pooled - e->plan->steps;

        e->steps[at].prepared = 1;
        e->steps[at].kernel = "with first";
        result = f->pooled->out[0];
    }
    x = exec_input(e, s->in[0], exec_like(e, s->in[0], dnnl_nchw));
    if (f->integers != NULL)
        x = first_integer_convert(e, f->integers, x, &ranges);
    weights = packed_weights(e, f, s->weight[0]);
    bias = exec_filled_vector(e, s->weight[1], f->panels * exec_kernels(e)->panel);
    y = exec_output(e, result, exec_blocked(e, result));
    lines = f->by_tiles ? first_lines_floats(exec_kernels(e), &f->tiles) : 0;
    exec_shared(e, loop, f);
    exec_operand(e, x);
    exec_operand(e, weights);
    exec_operand(e, y);
    exec_operand(e, bias);
    exec_operand(e, exec_scratch_each(e, f->ring + lines));
    exec_operand(e, ranges);
    return 1;
}
