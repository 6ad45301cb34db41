/*
 * Layouts recognised, and blocks of channels copied to dense maps; see layout.h.
 */
#include "layout.h"

int layout_of(exec *e, const_dnnl_memory_desc_t md, layout *out)
{
    static const struct {
        dnnl_format_tag_t tag;
        int64_t lanes; /* 0: all channels */
    } known[] = {{dnnl_nhwc, 0}, {dnnl_nchw, 1}, {dnnl_nChw8c, 8}, {dnnl_nChw16c, 16}};
    const dnnl_dims_t *dims = NULL;
    int32_t ndims = 0;

    if (md == NULL)
        return 0;
    EXEC_CALL(e, dnnl_memory_desc_query, md, dnnl_query_ndims_s32, &ndims);
    EXEC_CALL(e, dnnl_memory_desc_query, md, dnnl_query_dims, &dims);
    if (e->status != HMT_OK || ndims != 4)
        return 0;
    /* channels last first, since it fits (N,C,1,1) best, where dense is the same */
    for (size_t i = 0; i < sizeof known / sizeof known[0]; ++i)
        if (dnnl_memory_desc_equal(md, exec_describe(e, 4, *dims, known[i].tag))) {
            const int64_t channels = (*dims)[1], lanes = known[i].lanes ? known[i].lanes : channels;

            *out = (layout){channels, (*dims)[0], (channels + lanes - 1) / lanes,
                            (*dims)[2] * (*dims)[3], lanes};
            return 1;
        }
    return 0;
}

void layout_loop(exec *e, exec_shared_loop *loop, const layout *l, int32_t from, int32_t to)
{
    layout *kept = exec_state(e, sizeof *l);

    if (kept == NULL)
        return;
    *kept = *l;
    exec_shared(e, loop, kept);
    exec_operand(e, 0, from);
    exec_operand(e, 0, to);
}

/* Operands: blocks, dense maps. */
static void to_dense_loop(const exec *e, const op *o, const member *m)
{
    const layout *l = o->state;
    const float *x = exec_data(e, o, 0);
    float *y = exec_data(e, o, 1);
    const span part = exec_share_pieces(m, l->rows * l->blocks, exec_elements(e, o, 0));

    for (int64_t i = part.from; i < part.to; ++i) {
        const layout_block block = layout_block_of(l, i);
        const float *from = x + i * l->span * l->lanes;
        float *to = y + block.channel * l->span;

        for (int64_t lane = 0; lane < block.count; ++lane)
            for (int64_t at = 0; at < l->span; ++at)
                to[lane * l->span + at] = from[at * l->lanes + lane];
    }
}

int layout_to_dense(exec *e, int32_t from, int32_t to)
{
    layout l, dense;

    if (!layout_of(e, exec_md(e, from), &l) || (l.lanes != 8 && l.lanes != 16) ||
        !layout_of(e, exec_md(e, to), &dense) ||
        (dense.lanes != 1 && (dense.span != 1 || dense.lanes != dense.channels)))
        return 0;
    layout_loop(e, to_dense_loop, &l, from, to);
    return 1;
}
