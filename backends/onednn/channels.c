/*
 * Moving elements without changing them: concatenation along channels, slices of channels, new
 * shapes. Maps are written in blocks of channels, which convolutions and pools read, single values
 * dense.
 */
#include "copy.h"

static const_dnnl_memory_desc_t layout_for(exec *e, int32_t tensor)
{
    const int64_t *shape = e->plan->tensors[tensor].shape;

    return shape[2] * shape[3] > 1 ? exec_blocked(e, tensor) : exec_like(e, tensor, dnnl_nchw);
}

void channels_concat(exec *e, const hmt_plan_step *s)
{
    const int32_t y = exec_output(e, s->out[0], layout_for(e, s->out[0]));
    int64_t at = 0;

    for (int32_t k = 0; k < s->in_count; ++k) {
        const int64_t count = e->plan->tensors[s->in[k]].shape[1];

        copy_channels(e, exec_input(e, s->in[k], NULL), 0, y, at, count);
        at += count;
    }
}

void channels_slice(exec *e, const hmt_plan_step *s)
{
    const int32_t x = exec_input(e, s->in[0], NULL);

    copy_channels(e, x, s->channel, exec_output(e, s->out[0], layout_for(e, s->out[0])), 0,
                  e->plan->tensors[s->out[0]].shape[1]);
}

/* Written as if it had the old shape: N,C,H,W order is the same for both. */
void channels_reshape(exec *e, const hmt_plan_step *s)
{
    int32_t x = exec_input(e, s->in[0], NULL);
    int32_t y = exec_output(e, s->out[0], exec_like(e, s->out[0], dnnl_nchw));

    exec_reorder(e, x, exec_alias(e, y, exec_like(e, s->in[0], dnnl_nchw)));
}
