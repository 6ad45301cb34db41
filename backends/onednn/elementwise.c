/*
 * Element by element: relu, dropout, sums. Loops over buffers of one layout, bound by memory. Where
 * a layout pads channels, the padding is zero and stays zero.
 */
#include "exec.h"
#include "objective/dropout.h"

static void relu_loop(const exec *e, const op *o, const member *m)
{
    const float *x = exec_data(e, o, 0);
    float *y = exec_data(e, o, 1);
    const span part = exec_share(m, exec_elements(e, o, 0));

#pragma omp simd
    for (int64_t i = part.from; i < part.to; ++i)
        y[i] = x[i] < 0.0f ? 0.0f : x[i]; /* NaN stays NaN */
}

void elementwise_relu(exec *e, const hmt_plan_step *s)
{
    int32_t x = exec_input(e, s->in[0], NULL), y = exec_output(e, s->out[0], exec_md(e, x));

    exec_shared(e, relu_loop, NULL);
    exec_operand(e, x);
    exec_operand(e, y);
}

static void relu_backward_loop(const exec *e, const op *o, const member *m)
{
    const float *dy = exec_data(e, o, 0), *y = exec_data(e, o, 1);
    float *dx = exec_data(e, o, 2);
    const span part = exec_share(m, exec_elements(e, o, 0));

#pragma omp simd
    for (int64_t i = part.from; i < part.to; ++i)
        dx[i] = y[i] > 0.0f ? dy[i] : 0.0f;
}

void elementwise_relu_backward(exec *e, const hmt_plan_step *s)
{
    int32_t y = exec_input(e, s->in[1], NULL), dy = exec_input(e, s->in[0], exec_md(e, y));
    int32_t dx = exec_output(e, s->out[0], exec_md(e, y));

    exec_shared(e, relu_backward_loop, NULL);
    exec_operand(e, dy);
    exec_operand(e, y);
    exec_operand(e, dx);
}

static void dropout_loop(const exec *e, const op *o, const member *m)
{
    const hmt_plan_step *s = &e->plan->steps[o->step];
    const uint64_t seed = e->run->seed;
    const int32_t salt = s->salt;
    const float drop = s->drop;
    const float *x = exec_data(e, o, 0);
    float *y = exec_data(e, o, 1);
    const span part = exec_share(m, exec_elements(e, o, 0));

    for (int64_t i = part.from; i < part.to; ++i)
        y[i] = x[i] * dropout_factor(seed, salt, i, drop);
}

/* Dense, because the mask counts elements in N,C,H,W order; forward and backward alike. */
void elementwise_dropout(exec *e, const hmt_plan_step *s)
{
    int32_t x = exec_input(e, s->in[0], exec_like(e, s->in[0], dnnl_nchw));
    int32_t y = exec_output(e, s->out[0], exec_md(e, x));

    exec_shared(e, dropout_loop, NULL);
    exec_operand(e, x);
    exec_operand(e, y);
}

/* y = a * x0 + b * x1, which may be in place. */
static void add(float *y, const float *x0, float a, const float *x1, float b, span part, int relu)
{
    const float floor = relu ? 0.0f : -INFINITY;

#pragma omp simd
    for (int64_t i = part.from; i < part.to; ++i) {
        float sum = a * x0[i] + b * x1[i];

        y[i] = sum < floor ? floor : sum;
    }
}

static void add_three(float *y, const float *const x[3], const float scale[3], span part, int relu)
{
    const float floor = relu ? 0.0f : -INFINITY;
    const float *x0 = x[0], *x1 = x[1], *x2 = x[2];
    const float a = scale[0], b = scale[1], c = scale[2];

#pragma omp simd
    for (int64_t i = part.from; i < part.to; ++i) {
        float sum = a * x0[i] + b * x1[i] + c * x2[i];

        y[i] = sum < floor ? floor : sum;
    }
}

static void scale(float *y, const float *x, float a, span part, int relu)
{
    const float floor = relu ? 0.0f : -INFINITY;

#pragma omp simd
    for (int64_t i = part.from; i < part.to; ++i) {
        float value = a * x[i];

        y[i] = value < floor ? floor : value;
    }
}

/* Operands: x0..xk-1, y. The first up to three at once, then each further one added. */
static void sum_loop(const exec *e, const op *o, const member *m)
{
    const hmt_plan_step *s = &e->plan->steps[o->step];
    const int count = o->count - 1;
    const span part = exec_share(m, exec_elements(e, o, 0));
    const float *x[HMT_STEP_INPUTS];
    float *y = exec_data(e, o, count);
    int done = count < 3 ? count : 3;

    for (int k = 0; k < count; ++k)
        x[k] = exec_data(e, o, k);
    if (count == 1)
        scale(y, x[0], s->scale[0], part, s->relu);
    else if (count == 2)
        add(y, x[0], s->scale[0], x[1], s->scale[1], part, s->relu);
    else
        add_three(y, x, s->scale, part, s->relu && count == 3);
    for (; done < count; ++done)
        add(y, y, 1.0f, x[done], s->scale[done], part, s->relu && done == count - 1);
}

void elementwise_sum(exec *e, const hmt_plan_step *s)
{
    int32_t x[HMT_STEP_INPUTS], y;

    for (int32_t k = 0; k < s->in_count; ++k)
        x[k] = exec_input(e, s->in[k], k > 0 ? exec_md(e, x[0]) : NULL);
    y = exec_output(e, s->out[0], exec_md(e, x[0]));
    exec_shared(e, sum_loop, NULL);
    for (int32_t k = 0; k < s->in_count; ++k)
        exec_operand(e, x[k]);
    exec_operand(e, y);
}
