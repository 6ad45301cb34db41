/*
 * Moving elements without changing them: concatenation along channels, slices of channels, new
 * shapes.
 */
#include "exec.h"

void channels_concat(exec *e, const hmt_plan_step *s)
{
    const_dnnl_memory_desc_t mds[HMT_STEP_INPUTS],
        any = exec_like(e, s->out[0], dnnl_format_tag_any);
    dnnl_primitive_attr_t attr = exec_attributes(e, 0);
    dnnl_primitive_desc_t pd = NULL;
    int32_t x[HMT_STEP_INPUTS], y;

    for (int32_t k = 0; k < s->in_count; ++k) {
        x[k] = exec_input(e, s->in[k], NULL);
        mds[k] = exec_md(e, x[k]);
    }
    EXEC_CALL(e, dnnl_concat_primitive_desc_create, &pd, e->device->engine, any, s->in_count, 1,
              mds, attr);
    dnnl_primitive_attr_destroy(attr);
    y = exec_output(e, s->out[0], exec_query(e, pd, dnnl_query_dst_md, 0));
    exec_primitive(e, pd);
    for (int32_t k = 0; k < s->in_count; ++k)
        exec_operand(e, DNNL_ARG_MULTIPLE_SRC + k, x[k]);
    exec_operand(e, DNNL_ARG_DST, y);
}

/* The layout that a tensor's home has, if a slice from `channel` on can keep it: channels last, or
 * whole blocks of eight; else dense. */
static dnnl_format_tag_t slice_layout(exec *e, int32_t tensor, int64_t channel, int64_t count)
{
    const_dnnl_memory_desc_t home = exec_md(e, exec_input(e, tensor, NULL));

    if (home == NULL)
        return dnnl_nchw;
    if (dnnl_memory_desc_equal(home, exec_like(e, tensor, dnnl_nhwc)))
        return dnnl_nhwc;
    if (channel % 8 == 0 && count % 8 == 0 &&
        dnnl_memory_desc_equal(home, exec_like(e, tensor, dnnl_nChw8c)))
        return dnnl_nChw8c;
    return dnnl_nchw;
}

void channels_slice(exec *e, const hmt_plan_step *s)
{
    const int64_t *shape = e->plan->tensors[s->out[0]].shape;
    const dnnl_dims_t size = {shape[0], shape[1], shape[2], shape[3]}, from = {0, s->channel, 0, 0};
    dnnl_format_tag_t layout = slice_layout(e, s->in[0], s->channel, shape[1]);
    int32_t x = exec_input(e, s->in[0], exec_like(e, s->in[0], layout)), y;
    dnnl_memory_desc_t part = NULL;

    EXEC_CALL(e, dnnl_memory_desc_create_submemory, &part, exec_md(e, x), size, from);
    y = exec_output(e, s->out[0], exec_like(e, s->out[0], layout));
    exec_reorder(e, exec_alias(e, x, part), y);
    dnnl_memory_desc_destroy(part);
}

/* Written as if it had the old shape: N,C,H,W order is the same for both. */
void channels_reshape(exec *e, const hmt_plan_step *s)
{
    int32_t x = exec_input(e, s->in[0], NULL);
    int32_t y = exec_output(e, s->out[0], exec_like(e, s->out[0], dnnl_nchw));

    exec_reorder(e, x, exec_alias(e, y, exec_like(e, s->in[0], dnnl_nchw)));
}
