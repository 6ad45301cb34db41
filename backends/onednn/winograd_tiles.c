/*
 * Cutting a convolution into tiles; see winograd_tiles.h. Images are stitched into canvases that
 * share their padding, so that fewer tiles hang over an edge; a stride of s is s*s interleaved
 * grids.
 */
#include "winograd_tiles.h"

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

/* How far apart images may stand: what is padding behind one and before the next is shared. */
static int64_t pitch(const axis *in, int64_t count)
{
    const int64_t read = count + WINOGRAD_TAPS - 1;
    int64_t shared = 0;

    while (shared < WINOGRAD_TAPS - 1 && empty(in, shared) && empty(in, read - 1 - shared))
        ++shared;
    return read - shared;
}

/* The canvas with the fewest tiles. */
static void stitch(winograd *w, int64_t batch)
{
    int64_t best = INT64_MAX;

    for (int64_t down = 1; down <= batch; ++down)
        for (int64_t across = 1; batch % down == 0 && across <= batch / down; ++across) {
            int64_t rows = divide_up(w->pitch[0] * (down - 1) + w->count[0], w->m);
            int64_t columns = divide_up(w->pitch[1] * (across - 1) + w->count[1], w->m);
            int64_t groups = batch / (down * across);

            if (batch / down % across != 0 || groups * rows * columns >= best)
                continue;
            best = groups * rows * columns;
            w->stitched[0] = down;
            w->stitched[1] = across;
            w->tiles_down = rows;
            w->tiles_across = columns;
        }
    w->tiles = best;
}

static void fill_axis(const winograd *w, int dimension, const axis *a, int64_t positions,
                      int64_t image_step, int64_t cell_step, int32_t length, int64_t *table)
{
    for (int64_t phase = 0; phase < a->stride; ++phase)
        for (int64_t r = 0; r < length; ++r) {
            int64_t image = r / w->pitch[dimension], local = r % w->pitch[dimension];

            table[phase * length + r] =
                image < w->stitched[dimension] && local < positions && inside(a, phase, local)
                    ? image * image_step + (a->stride * local + phase + a->offset) * cell_step
                    : -1;
        }
}

/* Fills one side's map; `tables` has room for its rows and columns. */
static int64_t *fill_map(const winograd *w, int32_t lanes, winograd_map *map, const int64_t *shape,
                         const axis *a, int64_t more, int64_t *tables)
{
    const int64_t cells = shape[2] * shape[3] * lanes;
    int64_t image;

    map->phases = (int32_t)a[0].stride;
    map->blocks = divide_up(shape[1], lanes);
    map->block_step = cells;
    image = map->blocks * cells;
    map->group_step = w->stitched[0] * w->stitched[1] * image;
    map->rows = (int32_t)(w->tiles_down * w->m + more);
    map->columns = (int32_t)(w->tiles_across * w->m + more);
    fill_axis(w, 0, &a[0], w->count[0] + more, w->stitched[1] * image, shape[3] * lanes, map->rows,
              tables);
    map->row = tables;
    tables += a[0].stride * map->rows;
    fill_axis(w, 1, &a[1], w->count[1] + more, image, lanes, map->columns, tables);
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

static void choose_parts(winograd *w, int64_t panel)
{
    for (int32_t point = 0; point < w->points; ++point) {
        winograd_part *part = &w->part[point];
        const span inputs = part_inputs(w, point);

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

winograd *winograd_plan(exec *e, const hmt_plan_step *s, int32_t m, int32_t x, int32_t y,
                        int transposed, int64_t chunk)
{
    const int64_t *xs = e->plan->tensors[x].shape, *ys = e->plan->tensors[y].shape;
    const int64_t lanes = exec_kernels(e)->lanes, panel = exec_kernels(e)->panel,
                  stride = s->window.stride[0];
    const winograd_kernel kernel = {.outputs = ys[1],
                                    .inputs = xs[1],
                                    .size = {s->window.kernel[0], s->window.kernel[1]},
                                    .stride = (int32_t)stride,
                                    .channels = divide_up(xs[1], lanes) * lanes};
    winograd w = {.m = m,
                  .points = (m + 2) * (m + 2),
                  .transposed = transposed,
                  .relu = s->relu,
                  .kernel = kernel};
    axis in[2], out[2];
    int64_t first, longest, columns, *tables;
    winograd *kept;

    for (int i = 0; i < 2; ++i) {
        axis at_x = {xs[2 + i], stride, -s->window.pad[i]}, at_y = {ys[2 + i], 1, 0};

        first = s->window.pad[i] / stride;
        if (transposed) {
            at_x.offset += first * stride;
            at_y.offset = first - (WINOGRAD_TAPS - 1);
        }
        in[i] = transposed ? at_y : at_x;
        out[i] = transposed ? at_x : at_y;
        w.count[i] =
            transposed ? (xs[2 + i] - 1 + s->window.pad[i]) / stride - first + 1 : ys[2 + i];
        w.pitch[i] = pitch(&in[i], w.count[i]);
    }
    stitch(&w, xs[0]);
    longest = (w.tiles_down + w.tiles_across) * m + 2 * (WINOGRAD_TAPS - 1);
    exec_chose(e, m == 4 ? "winograd 4x4" : m == 3 ? "winograd 3x3" : "winograd 2x2");
    kept = exec_state(e, sizeof w + (uint64_t)(longest * (stride + 1)) * sizeof(int64_t));
    if (kept == NULL)
        return NULL;
    tables = (int64_t *)(void *)(kept + 1);
    tables =
        fill_map(&w, (int32_t)lanes, &w.in, transposed ? ys : xs, in, WINOGRAD_TAPS - 1, tables);
    fill_map(&w, (int32_t)lanes, &w.out, transposed ? xs : ys, out, 0, tables);
    w.rows = w.in.phases * w.in.phases * w.in.blocks * lanes;
    columns = w.out.phases * w.out.phases * w.out.blocks * lanes;
    w.panels = divide_up(columns, panel);
    w.chunk = divide_up(w.tiles, divide_up(w.tiles, chunk));
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
    for (int32_t point = 0; point < w->points; ++point)
        w->part[point] = (winograd_part){
            .rows = w->rows, .panels = w->panels, .size = size, .before = point * w->panels * size};
    w->kernel_values = w->points * w->panels * size;
}
