/*
 * Layouts recognised; see layout.h.
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
    exec_operand(e, from);
    exec_operand(e, to);
}
