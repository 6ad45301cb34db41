/*
 * Maps taken apart for batch norms; see norm.h.
 */
#include "norm.h"

/* Parts of a batch, the positions that pay for one, and the floats of a map that no cache keeps. */
enum { PARTS = 8, PART = 4096, LARGE = 1 << 22 };

int32_t norm_input(exec *e, int32_t tensor)
{
    const int32_t x = exec_input(e, tensor, NULL);
    layout l;

    /* rather in blocks than each channel's map by itself */
    if (layout_of(e, exec_md(e, x), &l) && (l.lanes > 1 || l.span == 1))
        return x;
    return exec_input(e, tensor, exec_blocked(e, tensor));
}

norm *norm_plan(exec *e, const hmt_plan_step *s, int32_t x)
{
    const int64_t lanes = exec_kernels(e)->lanes;
    norm *n = exec_state(e, sizeof *n);
    int64_t parts;

    if (n == NULL || !layout_of(e, exec_md(e, x), &n->l))
        return NULL;
    parts = n->l.rows * n->l.span / PART;
    parts = parts < n->l.rows ? parts : n->l.rows;
    n->width = n->l.lanes < lanes ? n->l.lanes : lanes;
    n->groups = divide_up(n->l.lanes, n->width);
    n->parts = parts < 1 ? 1 : parts < PARTS ? parts : PARTS;
    n->filled = n->l.blocks * n->l.lanes;
    n->large = n->l.lanes % lanes == 0 && n->l.rows * n->l.span * n->filled >= LARGE;
    n->pool = norm_pool(e, s, &n->l);
    if (n->pool != NULL)
        n->across = max_pool_across(e, n->pool, (int32_t)lanes);
    return n;
}

strip norm_strip(const norm *n, int64_t group, int64_t from, int64_t until)
{
    const layout *l = &n->l;
    const int64_t block = group / n->groups, lane = group % n->groups * n->width;
    const int64_t row_step = l->blocks * l->span * l->lanes, left = l->lanes - lane;

    return (strip){.shape = {.rows = until - from,
                             .row_step = row_step,
                             .span = l->span,
                             .step = l->lanes,
                             .width = (int32_t)(left < n->width ? left : n->width),
                             .large = n->large},
                   .first = block * l->lanes + lane,
                   .offset = from * row_step + block * l->span * l->lanes + lane};
}

strip norm_strip_of_part(const norm *n, int64_t task, int64_t *part)
{
    const int64_t rows = n->l.rows;

    *part = task % n->parts;
    return norm_strip(n, task / n->parts, rows * *part / n->parts, rows * (*part + 1) / n->parts);
}

static int64_t floats(const norm *n)
{
    return n->l.rows * n->l.span * n->filled;
}

span norm_share_parts(const norm *n, const member *m)
{
    return exec_share_pieces(m, n->l.blocks * n->groups * n->parts, floats(n));
}

strip norm_strip_of_image(const norm *n, int64_t task)
{
    const int64_t groups = n->l.blocks * n->groups, row = task / groups;

    return norm_strip(n, task % groups, row, row + 1);
}

span norm_share_images(const norm *n, const member *m)
{
    return exec_share_pieces(m, n->l.blocks * n->groups * n->l.rows, floats(n));
}

int32_t norm_partials(exec *e, const norm *n)
{
    return exec_scratch(e, n->parts * 2 * n->filled * (int64_t)(sizeof(double) / sizeof(float)));
}

double *norm_partial(const norm *n, float *partials, int64_t part)
{
    return (double *)(void *)partials + part * 2 * n->filled;
}

norm_affine norm_affine_of(const norm *n, const hmt_plan_step *s, const float *affine,
                           const strip *part)
{
    return (norm_affine){.centre = affine + part->first,
                         .factor = affine + n->filled + part->first,
                         .shift = affine + 2 * n->filled + part->first,
                         .relu = s->relu};
}
