/*
 * Convolutions: layouts are oneDNN's choice for sources, weights and destinations; relu is fused at
 * inference. Weights of grouped convolutions have five dimensions, (G, O/G, I/G, kh, kw).
 */
#include "conv.h"
#include "first.h"
#include "winograd.h"

typedef struct shape {
    dnnl_dims_t stride, dilation, before, behind; /* padding: top and left, bottom and right */
    const_dnnl_memory_desc_t x, y, weight, bias;
} shape;

/* What the window means between tensors x and y; padding behind may be negative where the last
 * cells of x are not reached. */
static shape describe(exec *e, const hmt_plan_step *s, int32_t x, int32_t y, int bias)
{
    const int64_t *in = e->plan->tensors[x].shape, *out = e->plan->tensors[y].shape;
    const int64_t g = s->window.groups > 1 ? s->window.groups : 1;
    const int64_t grouped[] = {g, out[1] / g, in[1] / g, s->window.kernel[0], s->window.kernel[1]};
    shape d;

    for (int i = 0; i < 2; ++i) {
        d.stride[i] = s->window.stride[i];
        d.dilation[i] = 0;
        d.before[i] = s->window.pad[i];
        d.behind[i] =
            (out[2 + i] - 1) * d.stride[i] + s->window.kernel[i] - in[2 + i] - d.before[i];
    }
    d.x = exec_like(e, x, dnnl_format_tag_any);
    d.y = exec_like(e, y, dnnl_format_tag_any);
    d.weight = g > 1 ? exec_describe(e, 5, grouped, dnnl_format_tag_any)
                     : exec_describe(e, 4, grouped + 1, dnnl_format_tag_any);
    d.bias = bias ? exec_describe(e, 1, &out[1], dnnl_a) : NULL;
    return d;
}

static void direct_forward(exec *e, const hmt_plan_step *s)
{
    shape d = describe(e, s, s->in[0], s->out[0], s->weight[1] >= 0);
    dnnl_prop_kind_t kind = e->plan->training ? dnnl_forward_training : dnnl_forward_inference;
    dnnl_primitive_attr_t attr = exec_attributes(e, s->relu);
    dnnl_primitive_desc_t pd = NULL;
    int32_t x, weight, bias, y;

    exec_chose(e, "direct");
    EXEC_CALL(e, dnnl_convolution_forward_primitive_desc_create, &pd, e->device->engine, kind,
              dnnl_convolution_direct, d.x, d.weight, d.bias, d.y, d.stride, d.dilation, d.before,
              d.behind, attr);
    dnnl_primitive_attr_destroy(attr);
    x = exec_input(e, s->in[0], exec_query(e, pd, dnnl_query_src_md, 0));
    weight = exec_weight(e, s->weight[0], exec_query(e, pd, dnnl_query_weights_md, 0));
    bias = exec_weight_vector(e, s->weight[1]);
    y = exec_output(e, s->out[0], exec_query(e, pd, dnnl_query_dst_md, 0));
    exec_primitive(e, pd);
    exec_operand(e, DNNL_ARG_SRC, x);
    exec_operand(e, DNNL_ARG_WEIGHTS, weight);
    exec_operand(e, DNNL_ARG_BIAS, bias);
    exec_operand(e, DNNL_ARG_DST, y);
}

/* The forward step's descriptor, which oneDNN wants as a hint. */
static const_dnnl_primitive_desc_t hint(const exec *e, const hmt_plan_step *s)
{
    return s->forward >= 0 ? e->steps[s->forward].pd : NULL;
}

static void direct_backward_data(exec *e, const hmt_plan_step *s)
{
    shape d = describe(e, s, s->out[0], s->in[0], 0);
    dnnl_primitive_attr_t attr = exec_attributes(e, 0);
    dnnl_primitive_desc_t pd = NULL;
    int32_t dy, weight, dx;

    exec_chose(e, "direct");
    EXEC_CALL(e, dnnl_convolution_backward_data_primitive_desc_create, &pd, e->device->engine,
              dnnl_convolution_direct, d.x, d.weight, d.y, d.stride, d.dilation, d.before, d.behind,
              hint(e, s), attr);
    dnnl_primitive_attr_destroy(attr);
    dy = exec_input(e, s->in[0], exec_query(e, pd, dnnl_query_diff_dst_md, 0));
    weight = exec_weight(e, s->weight[0], exec_query(e, pd, dnnl_query_weights_md, 0));
    dx = exec_output(e, s->out[0], exec_query(e, pd, dnnl_query_diff_src_md, 0));
    exec_primitive(e, pd);
    exec_operand(e, DNNL_ARG_DIFF_DST, dy);
    exec_operand(e, DNNL_ARG_WEIGHTS, weight);
    exec_operand(e, DNNL_ARG_DIFF_SRC, dx);
}

static void direct_backward_weights(exec *e, const hmt_plan_step *s)
{
    shape d = describe(e, s, s->in[1], s->in[0], s->out[1] >= 0);
    dnnl_primitive_attr_t attr = exec_attributes(e, 0);
    dnnl_primitive_desc_t pd = NULL;
    int32_t dy, x, dweight, dbias = -1;

    exec_chose(e, "direct");
    EXEC_CALL(e, dnnl_convolution_backward_weights_primitive_desc_create, &pd, e->device->engine,
              dnnl_convolution_direct, d.x, d.weight, d.bias, d.y, d.stride, d.dilation, d.before,
              d.behind, hint(e, s), attr);
    dnnl_primitive_attr_destroy(attr);
    dy = exec_input(e, s->in[0], exec_query(e, pd, dnnl_query_diff_dst_md, 0));
    x = exec_input(e, s->in[1], exec_query(e, pd, dnnl_query_src_md, 0));
    dweight = exec_output(e, s->out[0], exec_query(e, pd, dnnl_query_diff_weights_md, 0));
    if (s->out[1] >= 0)
        dbias = exec_vector_output(e, s->out[1], e->plan->tensors[s->in[0]].shape[1]);
    exec_primitive(e, pd);
    exec_operand(e, DNNL_ARG_DIFF_DST, dy);
    exec_operand(e, DNNL_ARG_SRC, x);
    exec_operand(e, DNNL_ARG_DIFF_WEIGHTS, dweight);
    exec_operand(e, DNNL_ARG_DIFF_BIAS, dbias);
}

/* Operands: dy in blocks of channels, its sums. */
static void bias_gradient_loop(const exec *e, const op *o, const member *m)
{
    const hmt_plan_step *s = &e->plan->steps[o->step];
    const int64_t *shape = e->plan->tensors[s->in[0]].shape, cells = shape[2] * shape[3];
    const int64_t lanes = exec_kernels(e)->lanes, blocks = divide_up(shape[1], lanes);
    const float *dy = exec_data(e, o, 0);
    float *sums = exec_data(e, o, 1);
    const span part = team_share(m, blocks);

    for (int64_t block = part.from; block < part.to; ++block) {
        float sum[16] = {0};

        for (int64_t n = 0; n < shape[0]; ++n) {
            const float *from = dy + (n * blocks + block) * cells * lanes;
            float image[16] = {0};

            for (int64_t i = 0; i < cells; ++i)
                for (int64_t lane = 0; lane < lanes; ++lane)
                    image[lane] += from[i * lanes + lane];
            for (int64_t lane = 0; lane < lanes; ++lane)
                sum[lane] += image[lane];
        }
        for (int64_t lane = 0; lane < lanes && block * lanes + lane < shape[1]; ++lane)
            sums[block * lanes + lane] = sum[lane];
    }
}

void conv_bias_gradient(exec *e, const hmt_plan_step *s, int32_t dy)
{
    int32_t bias;

    if (s->out[1] < 0)
        return;
    bias = exec_vector_output(e, s->out[1], e->plan->tensors[s->in[0]].shape[1]);
    exec_shared(e, bias_gradient_loop, NULL);
    exec_operand(e, 0, dy);
    exec_operand(e, 0, bias);
}

void conv_forward(exec *e, const hmt_plan_step *s)
{
    if (!winograd_forward(e, s) && !first_forward(e, s))
        direct_forward(e, s);
}

void conv_backward_data(exec *e, const hmt_plan_step *s)
{
    if (!winograd_backward_data(e, s))
        direct_backward_data(e, s);
}

void conv_backward_weights(exec *e, const hmt_plan_step *s)
{
    if (!winograd_backward_weights(e, s) && !first_backward_weights(e, s))
        direct_backward_weights(e, s);
}
