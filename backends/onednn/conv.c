/*
 * Which kernel a convolution gets: Winograd's where its window is small enough, that for few input
 * channels, else a matrix product; and the gradient of the bias, which all share.
 */
#include "conv.h"
#include "first.h"
#include "im2col.h"
#include "winograd.h"

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
    exec_operand(e, dy);
    exec_operand(e, bias);
}

void conv_forward(exec *e, const hmt_plan_step *s)
{
    if (!winograd_forward(e, s) && !first_forward(e, s))
        im2col_forward(e, s);
}

void conv_backward_data(exec *e, const hmt_plan_step *s)
{
    if (!winograd_backward_data(e, s))
        im2col_backward_data(e, s);
}

void conv_backward_weights(exec *e, const hmt_plan_step *s)
{
    if (!winograd_backward_weights(e, s) && !first_backward_weights(e, s))
        im2col_backward_weights(e, s);
}
