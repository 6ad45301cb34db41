/*
 * Cutting a convolution into tiles; see winograd_tiles.h. In training, several images form a
 * canvas and share their padding, so that fewer tiles hang over an edge; elsewhere each image is
 * a canvas. A stride of s is s*s interleaved grids.
 */
#include "winograd_tiles.h"

#include <math.h>

/* Floats between tiles and between points, so that they do not share the cache's sets. */
enum { PAD = 16 };

/* One dimension of one side: position r of an image's grid `phase` is its coordinate
 * stride*r + phase + offset. */
typedef struct axis {
    int64_t extent, stride, offset;
} axis;

static int inside(const axis *a, int64_t phase, int64_t position)
{
    int64_t at = a->stride * position + phase + a->offset;

    return at >= 0 && at < a->extent;
}

/* Whether no grid has a cell at the position. */
static int empty(const axis *a, int64_t position)
{
    for (int64_t phase = 0; phase < a->stride; ++phase)
        if (inside(a, phase, position))
            return 0;
    return 1;
}

static int64_t grids(const axis *a)
{
    return a->stride * a->stride;
}

/* How far apart images may stand: what is padding behind one and before the next is shared. */
static int64_t pitch(const axis *in, int64_t count)
{
    const int64_t read = count + WINOGRAD_TAPS - 1;
    int64_t shared = 0;

    while (shared < WINOGRAD_TAPS - 1 && empty(in, shared) && empty(in, read - 1 - shared))
        ++shared;
    return read - shared;
}

static winograd_cut cut(int64_t extent, int64_t m)
{
    const int64_t tiles = divide_up(extent, m), spare = tiles * m - extent;

    return (winograd_cut){tiles, spare < tiles ? spare : tiles - 1};
}

/* Where a tile begins, and whether it is short. */
static int64_t tile_start(const winograd_cut *c, int64_t m, int64_t tile)
{
    const int64_t full = c->tiles - c->shorts;

    return tile * m - (tile > full ? tile - full : 0);
}

static int is_short(const winograd_cut *c, int64_t tile)
{
    return tile >= c->tiles - c->shorts;
}

/* What a canvas costs, in multiplications: a transformed value as much as some 24 of them. */
static double cost(const winograd *w, const winograd_cut *down, const winograd_cut *across,
                   int64_t columns)
{
    const int64_t n = w->m + WINOGRAD_TAPS - 1;
    const double tiles = (double)down->tiles * (double)across->tiles;
    const double products =
        (double)(down->tiles * n - down->shorts) * (double)(across->tiles * n - across->shorts);

    return products * (double)w->rows * (double)columns +
           24.0 * tiles * w->points * (double)(w->rows + columns);
}

/* The canvas for which the batch costs least; that cost. At most `most` images share one. */
static double stitch(winograd *w, int64_t batch, int64_t most, int64_t columns)
{
    double best = HUGE_VAL;

    for (int64_t down = 1; down <= most; ++down)
        for (int64_t across = 1; batch % down == 0 && across <= most / down; ++across) {
            const int64_t groups = batch / (down * across);
            const winograd_cut rows = cut(w->pitch[0] * (down - 1) + w->count[0], w->m);
            const winograd_cut cols = cut(w->pitch[1] * (across - 1) + w->count[1], w->m);
            const double all = (double)groups * cost(w, &rows, &cols, columns);

            if (batch / down % across != 0 || all >= best)
                continue;
            best = all;
            w->stitched[0] = down;
            w->stitched[1] = across;
            w->cut[0] = rows;
            w->cut[1] = cols;
            w->tiles = groups * rows.tiles * cols.tiles;
        }
    return best;
}

/* Puts tiles into regions. */
static void order(winograd *w)
{
    const int64_t short_rows = w->cut[0].shorts, rows = w->cut[0].tiles - short_rows;
    const int64_t short_columns = w->cut[1].shorts, columns = w->cut[1].tiles - short_columns;
    const int64_t groups = w->tiles / (w->cut[0].tiles * w->cut[1].tiles);
    int64_t before = 0;

    w->region[SHORT_ROWS] = (winograd_region){0, rows, short_rows, 0, columns};
    w->region[NOT_SHORT] = (winograd_region){0, 0, rows, 0, columns};
    w->region[SHORT_COLUMNS] = (winograd_region){0, 0, rows, columns, short_columns};
    w->region[SHORT_BOTH] = (winograd_region){0, rows, short_rows, columns, short_columns};
    for (int i = 0; i < WINOGRAD_REGIONS; ++i) {
        w->region[i].before = before;
        before += groups * w->region[i].rows * w->region[i].columns;
    }
}

winograd_place winograd_locate(const winograd *w, int64_t tile)
{
    const winograd_region *r = &w->region[WINOGRAD_REGIONS - 1];
    int64_t canvas;

    while (tile < r->before)
        --r;
    tile -= r->before;
    canvas = r->rows * r->columns;
    return (winograd_place){tile / canvas, (int32_t)(r->first_row + tile % canvas / r->columns),
                            (int32_t)(r->first_column + tile % canvas % r->columns)};
}

/* Each tile's window of positions after the other's; a short tile's ends one earlier. */
static void fill_axis(const winograd *w, int dimension, const axis *a, int64_t positions,
                      int64_t image_step, int64_t cell_step, int64_t window, int64_t *table)
{
    const winograd_cut *c = &w->cut[dimension];

    for (int64_t phase = 0; phase < a->stride; ++phase)
        for (int64_t i = 0; i < c->tiles * window; ++i) {
            const int64_t tile = i / window, r = tile_start(c, w->m, tile) + i % window;
            const int64_t image = r / w->pitch[dimension], local = r % w->pitch[dimension];
            const int needed = i % window < window - is_short(c, tile);

            *table++ =
                needed && image < w->stitched[dimension] && local < positions &&
                        inside(a, phase, local)
                    ? image * image_step + (a->stride * local + phase + a->offset) * cell_step
                    : -1;
        }
}

/* Fills one side's map; `tables` has room for its rows and columns. */
static int64_t *fill_map(const winograd *w, int32_t lanes, winograd_map *map, const int64_t *shape,
                         const axis *a, int64_t more, int64_t *tables)
{
    const int64_t window = w->m + more;
    const int64_t cells = shape[2] * shape[3] * lanes;
    int64_t image;

    map->phases = (int32_t)a[0].stride;
    map->blocks = divide_up(shape[1], lanes);
    map->block_step = cells;
    image = map->blocks * cells;
    map->group_step = w->stitched[0] * w->stitched[1] * image;
    map->rows = (int32_t)(w->cut[0].tiles * window);
    map->columns = (int32_t)(w->cut[1].tiles * window);
    fill_axis(w, 0, &a[0], w->count[0] + more, w->stitched[1] * image, shape[3] * lanes, window,
              tables);
    map->row = tables;
    tables += a[0].stride * map->rows;
    fill_axis(w, 1, &a[1], w->count[1] + more, image, lanes, window, tables);
    map->column = tables;
    return tables + a[1].stride * map->columns;
}

/* Whether kernels have a third tap on a grid, in the asked dimensions. */
static int third_tap(const winograd_kernel *k, int32_t at, int down, int across)
{
    const int32_t grid = winograd_grid(k->stride, at), third = (WINOGRAD_TAPS - 1) * k->stride;

    return (!down || third + grid / k->stride < k->size[0]) &&
           (!across || third + grid % k->stride < k->size[1]);
}

/* The inputs, of all grids, that matter at a point. If none does, all, so that zeros are computed.
 */
static span part_inputs(const winograd *w, int32_t point)
{
    const int32_t n = w->m + WINOGRAD_TAPS - 1, third = w->transposed ? 0 : n - 1;
    const int32_t grids = w->kernel.stride * w->kernel.stride;
    const int down = point / n == third, across = point % n == third;
    int32_t from = 0, to = grids;

    while (from < grids && !third_tap(&w->kernel, from, down, across))
        ++from;
    while (to > from && !third_tap(&w->kernel, to - 1, down, across))
        --to;
    return from == grids ? (span){0, grids * w->kernel.channels}
                         : (span){from * w->kernel.channels, to * w->kernel.channels};
}

/* The tiles that matter at a point: see winograd_part. */
static span part_tiles(const winograd *w, int32_t point)
{
    const int32_t n = w->m + WINOGRAD_TAPS - 1, infinity = n - 1;
    const int down = point / n == infinity, across = point % n == infinity;

    return (span){w->region[down ? NOT_SHORT : SHORT_ROWS].before,
                  across ? w->region[SHORT_COLUMNS].before
                  : down ? w->region[SHORT_BOTH].before
                         : w->tiles};
}

static void choose_parts(winograd *w, int64_t panel)
{
    for (int32_t point = 0; point < w->points; ++point) {
        winograd_part *part = &w->part[point];
        const span inputs = part_inputs(w, point), tiles = part_tiles(w, point);

        part->first_tile = tiles.from;
        part->tiles = tiles.to - tiles.from;
        part->rows = w->rows;
        part->panels = w->panels;
        if (w->transposed) {
            part->first_panel = inputs.from / panel;
            part->panels = divide_up(inputs.to, panel) - part->first_panel;
        } else {
            part->first_row = inputs.from;
            part->rows = inputs.to - inputs.from;
        }
        part->size = part->rows * panel;
        part->before = w->kernel_values;
        w->kernel_values += w->panels * part->size;
    }
}

void winograd_shapes(const exec *e, const hmt_plan_step *s, const int64_t **x, const int64_t **y)
{
    const hmt_plan_tensor *t = e->plan->tensors;

    *x = t[s->kind == HMT_STEP_CONV_BACKWARD_DATA      ? s->out[0]
           : s->kind == HMT_STEP_CONV_BACKWARD_WEIGHTS ? s->in[1]
                                                       : s->in[0]]
             .shape;
    *y = t[s->kind == HMT_STEP_CONV ? s->out[0] : s->in[0]].shape;
}

/* Both sides of a convolution, before it is cut into tiles. */
typedef struct sides {
    const int64_t *in_shape, *out_shape; /* read, and written */
    axis in[2], out[2];
    int64_t columns; /* of outputs */
} sides;

static sides measure(const exec *e, const hmt_plan_step *s, int32_t m, winograd *w)
{
    const int64_t lanes = exec_kernels(e)->lanes, stride = s->window.stride[0];
    const int transposed = s->kind == HMT_STEP_CONV_BACKWARD_DATA;
    const int64_t *xs, *ys;
    int64_t channels, outputs;
    sides both;

    winograd_shapes(e, s, &xs, &ys);
    channels = divide_up(xs[1], lanes) * lanes;
    outputs = divide_up(ys[1], lanes) * lanes;
    *w = (winograd){.m = m,
                    .points = (m + 2) * (m + 2),
                    .transposed = transposed,
                    .relu = s->relu,
                    .kernel = {.outputs = ys[1],
                               .inputs = xs[1],
                               .size = {s->window.kernel[0], s->window.kernel[1]},
                               .stride = (int32_t)stride,
                               .channels = channels}};
    for (int i = 0; i < 2; ++i) {
        axis at_x = {xs[2 + i], stride, -s->window.pad[i]}, at_y = {ys[2 + i], 1, 0};
        const int64_t first = s->window.pad[i] / stride;

        if (transposed) {
            at_x.offset += first * stride;
            at_y.offset = first - (WINOGRAD_TAPS - 1);
        }
        both.in[i] = transposed ? at_y : at_x;
        both.out[i] = transposed ? at_x : at_y;
        w->count[i] =
            transposed ? (xs[2 + i] - 1 + s->window.pad[i]) / stride - first + 1 : ys[2 + i];
        w->pitch[i] = pitch(&both.in[i], w->count[i]);
    }
    both.in_shape = transposed ? ys : xs;
    both.out_shape = transposed ? xs : ys;
    w->rows = grids(&both.in[0]) * (transposed ? outputs : channels);
    both.columns = grids(&both.out[0]) * (transposed ? channels : outputs);
    return both;
}

/* The most images of a canvas. A tile that two images share would let one's rounding, and its NaN,
 * into the other. */
static int64_t canvas_images(const exec *e, const sides *both)
{
    return e->rows_apart ? 1 : both->in_shape[0];
}

double winograd_cost(const exec *e, const hmt_plan_step *s, int32_t m)
{
    winograd w;
    const sides both = measure(e, s, m, &w);

    return stitch(&w, both.in_shape[0], canvas_images(e, &both), both.columns);
}

winograd *winograd_plan(exec *e, const hmt_plan_step *s, int32_t m, int64_t chunk)
{
    static const char *const names[] = {[2] = "winograd 2x2",
                                        [3] = "winograd 3x3",
                                        [4] = "winograd 4x4",
                                        [5] = "winograd 5x5",
                                        [6] = "winograd 6x6"};
    const int64_t lanes = exec_kernels(e)->lanes, panel = exec_kernels(e)->panel;
    winograd w, *kept;
    const sides both = measure(e, s, m, &w);
    const int64_t stride = w.kernel.stride;
    int64_t positions, *tables;

    stitch(&w, both.in_shape[0], canvas_images(e, &both), both.columns);
    order(&w);
    positions = (w.cut[0].tiles + w.cut[1].tiles) * (m + WINOGRAD_TAPS - 1);
    exec_chose(e, names[m]);
    kept = exec_state(e, sizeof w + (uint64_t)(positions * (stride + 1)) * sizeof(int64_t));
    if (kept == NULL)
        return NULL;
    tables = (int64_t *)(void *)(kept + 1);
    tables = fill_map(&w, (int32_t)lanes, &w.in, both.in_shape, both.in, WINOGRAD_TAPS - 1, tables);
    fill_map(&w, (int32_t)lanes, &w.out, both.out_shape, both.out, 0, tables);
    w.panels = divide_up(both.columns, panel);
    w.chunk = divide_up(w.tiles, divide_up(w.tiles, chunk / w.points));
    w.in_row = w.rows + PAD;
    w.out_row = w.panels * panel + PAD;
    w.in_step = w.chunk * w.in_row + PAD;
    w.out_step = w.chunk * w.out_row + PAD;
    w.kernel_step = w.panels * w.rows * panel;
    choose_parts(&w, panel);
    *kept = w;
    return kept;
}

void winograd_plan_counts(winograd *w, int64_t panel)
{
    const int64_t segments = divide_up(w->rows, WINOGRAD_SEGMENT);
    const int64_t size = (w->rows + 2 * segments) * panel;

    w->in_row = divide_up(w->rows / 2 + segments, PAD) * PAD;
    w->in_step = w->chunk * w->in_row + PAD;
    for (int32_t point = 0; point < w->points; ++point) {
        winograd_part *part = &w->part[point];

        *part = (winograd_part){.rows = w->rows,
                                .panels = w->panels,
                                .size = size,
                                .before = point * w->panels * size,
                                .first_tile = part->first_tile,
                                .tiles = part->tiles};
    }
    w->kernel_values = w->points * w->panels * size;
}
