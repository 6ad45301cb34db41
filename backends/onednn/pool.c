/*
 * Average pooling, and max pooling where max_pool.c leaves it, in the layout that the input has. In
 * training a max pool's workspace remembers which cell won, so that the backward pass needs neither
 * input nor output. Means of whole maps at inference, the end of many a network, are a loop of ours
 * that writes them dense.
 *
 * oneDNN divides an average with padding by kh*kw always. Where the last windows reach beyond the
 * padded input (sizes rounded up), the cells there do not count: those rows and columns are
 * corrected by a loop of ours, over dense maps.
 */
#include "layout.h"
#include "max_pool.h"

typedef struct window {
    dnnl_alg_kind_t kind;
    dnnl_dims_t kernel, stride, dilation, before, behind;
    int overhang; /* an average whose last windows must be corrected */
} window;

static window describe(const exec *e, const hmt_plan_step *s, int max, int32_t x, int32_t y)
{
    const int64_t *in = e->plan->tensors[x].shape, *out = e->plan->tensors[y].shape;
    window w = {.overhang = 0};
    int padded = s->window.pad[0] > 0 || s->window.pad[1] > 0;

    w.kind = max                                    ? dnnl_pooling_max
             : s->window.exclude_padding || !padded ? dnnl_pooling_avg_exclude_padding
                                                    : dnnl_pooling_avg_include_padding;
    for (int i = 0; i < 2; ++i) {
        w.kernel[i] = s->window.kernel[i];
        w.stride[i] = s->window.stride[i];
        w.dilation[i] = 0;
        w.before[i] = s->window.pad[i];
        w.behind[i] = (out[2 + i] - 1) * w.stride[i] + w.kernel[i] - in[2 + i] - w.before[i];
        w.overhang = w.overhang || w.behind[i] > w.before[i];
    }
    w.overhang = w.overhang && w.kind == dnnl_pooling_avg_include_padding;
    return w;
}

/* What the mean over all kh*kw cells is multiplied by in output row or column `at`: cells in the
 * window over those of them inside the padded input. */
static float correction(const hmt_window *w, int axis, int64_t size, int64_t at)
{
    int64_t end = at * w->stride[axis] - w->pad[axis] + w->kernel[axis];
    int64_t beyond = end - (size + w->pad[axis]);

    return beyond > 0 ? (float)w->kernel[axis] / (float)(w->kernel[axis] - beyond) : 1.0f;
}

/* Operands: y or its gradient, dense; the same corrected, which may be in place. */
static void correct_loop(const exec *e, const op *o)
{
    const hmt_plan_step *s = &e->plan->steps[o->step];
    const int backward = s->kind == HMT_STEP_AVERAGE_POOL_BACKWARD;
    const int64_t *x = e->plan->tensors[backward ? s->out[0] : s->in[0]].shape;
    const int64_t *y = e->plan->tensors[backward ? s->in[0] : s->out[0]].shape;
    const float *from = exec_data(e, o, 0);
    float *to = exec_data(e, o, 1);

    for (int64_t map = 0, i = 0; map < y[0] * y[1]; ++map)
        for (int64_t row = 0; row < y[2]; ++row)
            for (int64_t column = 0; column < y[3]; ++column, ++i)
                to[i] = from[i] * correction(&s->window, 0, x[2], row) *
                        correction(&s->window, 1, x[3], column);
}

static void correct(exec *e, int32_t from, int32_t to)
{
    exec_alone(e, correct_loop);
    exec_operand(e, 0, from);
    exec_operand(e, 0, to);
}

static void pool_by_library(exec *e, const hmt_plan_step *s)
{
    int max = s->kind == HMT_STEP_MAX_POOL;
    window w = describe(e, s, max, s->in[0], s->out[0]);
    dnnl_prop_kind_t kind = e->plan->training ? dnnl_forward_training : dnnl_forward_inference;
    dnnl_primitive_attr_t attr = exec_attributes(e, 0);
    dnnl_primitive_desc_t pd = NULL;
    int32_t x = exec_input(e, s->in[0], w.overhang ? exec_like(e, s->in[0], dnnl_nchw) : NULL);
    dnnl_format_tag_t layout = w.overhang ? dnnl_nchw : dnnl_format_tag_any;
    const_dnnl_memory_desc_t to = exec_like(e, s->out[0], layout), winners;
    int32_t kept = -1, y;

    EXEC_CALL(e, dnnl_pooling_forward_primitive_desc_create, &pd, e->device->engine, kind, w.kind,
              exec_md(e, x), to, w.stride, w.kernel, w.dilation, w.before, w.behind, attr);
    dnnl_primitive_attr_destroy(attr);
    winners = exec_query(e, pd, dnnl_query_workspace_md, 0);
    if (e->plan->training && winners != NULL && dnnl_memory_desc_get_size(winners) > 0)
        kept = e->steps[e->step].workspace = exec_buffer(e, winners);
    y = exec_output(e, s->out[0], exec_query(e, pd, dnnl_query_dst_md, 0));
    exec_primitive(e, pd);
    exec_operand(e, DNNL_ARG_SRC, x);
    exec_operand(e, DNNL_ARG_WORKSPACE, kept);
    exec_operand(e, DNNL_ARG_DST, y);
    if (w.overhang)
        correct(e, y, y);
}

/* Operands: maps, in the layout that is the state; their means, dense. */
static void means_loop(const exec *e, const op *o, const member *m)
{
    const layout *l = o->state;
    const span part = exec_share_pieces(m, l->rows * l->blocks, exec_elements(e, o, 0));

    for (int64_t i = part.from; i < part.to; ++i) {
        const layout_block block = layout_block_of(l, i);
        const float *x = exec_data(e, o, 0) + i * l->span * l->lanes;
        float *y = exec_data(e, o, 1) + block.channel;

        for (int64_t lane = 0; lane < block.count; ++lane)
            y[lane] = x[lane];
        for (int64_t at = 1; at < l->span; ++at)
            for (int64_t lane = 0; lane < block.count; ++lane)
                y[lane] += x[at * l->lanes + lane];
        for (int64_t lane = 0; lane < block.count; ++lane)
            y[lane] /= (float)l->span;
    }
}

/* Whether the step's one window is the whole map. */
static int is_mean(const exec *e, const hmt_plan_step *s)
{
    const int64_t *x = e->plan->tensors[s->in[0]].shape;
    int whole = s->kind == HMT_STEP_AVERAGE_POOL;

    for (int i = 0; i < 2; ++i)
        whole = whole && s->window.pad[i] == 0 && s->window.kernel[i] == x[2 + i];
    return whole;
}

/* Appends the step; returns 0, and appends nothing, where it is left to oneDNN. */
static int means_forward(exec *e, const hmt_plan_step *s)
{
    int32_t x;
    layout l;

    if (e->plan->training || !is_mean(e, s))
        return 0;
    x = exec_input(e, s->in[0], NULL);
    if (!layout_of(e, exec_md(e, x), &l))
        return 0;
    layout_loop(e, means_loop, &l, x,
                exec_output(e, s->out[0], exec_like(e, s->out[0], dnnl_nchw)));
    return 1;
}

void pool_forward(exec *e, const hmt_plan_step *s)
{
    if (!max_pool_forward(e, s) && !means_forward(e, s))
        pool_by_library(e, s);
}

static void pool_backward_by_library(exec *e, const hmt_plan_step *s)
{
    int max = s->kind == HMT_STEP_MAX_POOL_BACKWARD;
    window w = describe(e, s, max, s->out[0], s->in[0]);
    dnnl_primitive_desc_t pd = NULL, forward = e->steps[s->forward].pd;
    dnnl_primitive_attr_t attr = exec_attributes(e, 0);
    const_dnnl_memory_desc_t x = exec_query(e, forward, dnnl_query_src_md, 0);
    const_dnnl_memory_desc_t y = exec_query(e, forward, dnnl_query_dst_md, 0);
    int32_t dy, dx, corrected;

    EXEC_CALL(e, dnnl_pooling_backward_primitive_desc_create, &pd, e->device->engine, w.kind, x, y,
              w.stride, w.kernel, w.dilation, w.before, w.behind, forward, attr);
    dnnl_primitive_attr_destroy(attr);
    dy = exec_input(e, s->in[0], y);
    if (w.overhang) {
        corrected = exec_buffer(e, y);
        correct(e, dy, corrected);
        dy = corrected;
    }
    dx = exec_output(e, s->out[0], x);
    exec_primitive(e, pd);
    exec_operand(e, DNNL_ARG_DIFF_DST, dy);
    exec_operand(e, DNNL_ARG_WORKSPACE, e->steps[s->forward].workspace);
    exec_operand(e, DNNL_ARG_DIFF_SRC, dx);
}

void pool_backward(exec *e, const hmt_plan_step *s)
{
    if (!max_pool_backward(e, s))
        pool_backward_by_library(e, s);
}
