/*
 * Max and average pooling in the layout that the input has. In training a max pool's workspace
 * remembers which cell won, so that the backward pass needs neither input nor output.
 */
#include "exec.h"

typedef struct window {
    dnnl_alg_kind_t kind;
    dnnl_dims_t kernel, stride, dilation, before, behind;
} window;

static window describe(const exec *e, const hmt_plan_step *s, int max, int32_t x, int32_t y)
{
    const int64_t *in = e->plan->tensors[x].shape, *out = e->plan->tensors[y].shape;
    window w;

    w.kind = max                         ? dnnl_pooling_max
             : s->window.exclude_padding ? dnnl_pooling_avg_exclude_padding
                                         : dnnl_pooling_avg_include_padding;
    for (int i = 0; i < 2; ++i) {
        w.kernel[i] = s->window.kernel[i];
        w.stride[i] = s->window.stride[i];
        w.dilation[i] = 0;
        w.before[i] = s->window.pad[i];
        w.behind[i] = (out[2 + i] - 1) * w.stride[i] + w.kernel[i] - in[2 + i] - w.before[i];
    }
    return w;
}

void pool_forward(exec *e, const hmt_plan_step *s)
{
    int max = s->kind == HMT_STEP_MAX_POOL;
    window w = describe(e, s, max, s->in[0], s->out[0]);
    dnnl_prop_kind_t kind = e->plan->training ? dnnl_forward_training : dnnl_forward_inference;
    dnnl_primitive_attr_t attr = exec_attributes(e, 0);
    dnnl_primitive_desc_t pd = NULL;
    int32_t x = exec_input(e, s->in[0], NULL), kept = -1, y;
    const_dnnl_memory_desc_t any = exec_like(e, s->out[0], dnnl_format_tag_any), winners;

    EXEC_CALL(e, dnnl_pooling_forward_primitive_desc_create, &pd, e->device->engine, kind, w.kind,
              exec_md(e, x), any, w.stride, w.kernel, w.dilation, w.before, w.behind, attr);
    dnnl_primitive_attr_destroy(attr);
    winners = exec_query(e, pd, dnnl_query_workspace_md, 0);
    if (e->plan->training && winners != NULL && dnnl_memory_desc_get_size(winners) > 0)
        kept = e->steps[e->step].workspace = exec_buffer(e, winners);
    y = exec_output(e, s->out[0], exec_query(e, pd, dnnl_query_dst_md, 0));
    exec_primitive(e, pd);
    exec_operand(e, DNNL_ARG_SRC, x);
    exec_operand(e, DNNL_ARG_WORKSPACE, kept);
    exec_operand(e, DNNL_ARG_DST, y);
}

void pool_backward(exec *e, const hmt_plan_step *s)
{
    int max = s->kind == HMT_STEP_MAX_POOL_BACKWARD;
    window w = describe(e, s, max, s->out[0], s->in[0]);
    dnnl_primitive_desc_t pd = NULL, forward = e->steps[s->forward].pd;
    dnnl_primitive_attr_t attr = exec_attributes(e, 0);
    const_dnnl_memory_desc_t x = exec_query(e, forward, dnnl_query_src_md, 0);
    const_dnnl_memory_desc_t y = exec_query(e, forward, dnnl_query_dst_md, 0);
    int32_t dy, dx;

    EXEC_CALL(e, dnnl_pooling_backward_primitive_desc_create, &pd, e->device->engine, w.kind, x, y,
              w.stride, w.kernel, w.dilation, w.before, w.behind, forward, attr);
    dnnl_primitive_attr_destroy(attr);
    dy = exec_input(e, s->in[0], y);
    dx = exec_output(e, s->out[0], x);
    exec_primitive(e, pd);
    exec_operand(e, DNNL_ARG_DIFF_DST, dy);
    exec_operand(e, DNNL_ARG_WORKSPACE, e->steps[s->forward].workspace);
    exec_operand(e, DNNL_ARG_DIFF_SRC, dx);
}
