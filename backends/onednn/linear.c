/*
 * Inner products over whole maps, as matrices: x (N,K), y (N,O), weight (O,K), all row-major. Plain
 * layouts are on purpose: a large weight is then used where the model keeps it, without a copy.
 */
#include "linear.h"

matrices linear_matrices(exec *e, int32_t x, int32_t y, int bias)
{
    const int64_t *in = e->plan->tensors[x].shape, *out = e->plan->tensors[y].shape;
    const int64_t inputs = in[1] * in[2] * in[3];

    return (matrices){exec_describe(e, 2, (const int64_t[]){in[0], inputs}, dnnl_ab),
                      exec_describe(e, 2, (const int64_t[]){in[0], out[1]}, dnnl_ab),
                      exec_describe(e, 2, (const int64_t[]){out[1], inputs}, dnnl_ab),
                      bias ? exec_describe(e, 1, &out[1], dnnl_a) : NULL};
}

int32_t linear_input(exec *e, int32_t tensor, const_dnnl_memory_desc_t md)
{
    return exec_alias(e, exec_input(e, tensor, exec_like(e, tensor, dnnl_nchw)), md);
}

int32_t linear_output(exec *e, int32_t tensor, const_dnnl_memory_desc_t md)
{
    return exec_alias(e, exec_output(e, tensor, exec_like(e, tensor, dnnl_nchw)), md);
}

/* Rows of the weight that are one task; images whose inputs stay in the cache while all rows pass.
 */
enum { LEAST_ROWS = 8, MOST_ROWS = 32, MOST_IMAGES = 128 };

/* How the weight is read where the model stores it, and by which images. */
typedef struct rows {
    hmt_dtype stored;
    const float *scales; /* of 8 bits */
    int64_t first, images;
} rows;

/* Operands: x (N,K), and in steps for each image: the steps, then the counts. */
static void steps_loop(const exec *e, const op *o, const member *m)
{
    const int64_t *in = e->plan->tensors[e->plan->steps[o->step].in[0]].shape;
    const int64_t k = in[1] * in[2] * in[3];
    const float *x = exec_data(e, o, 0);
    float *steps = exec_data(e, o, 1);
    int16_t *counts = (int16_t *)(void *)(steps + in[0]);
    const span part = team_share(m, in[0]);

    for (int64_t i = part.from; i < part.to; ++i)
        steps[i] = exec_kernels(e)->quantise(k, x + i * k, counts + i * k);
}

/* Operands: x, weight, y, x in steps (or x), [bias]. */
static void rows_loop(const exec *e, const op *o, const member *m)
{
    const rows *r = o->state;
    const hmt_plan_step *s = &e->plan->steps[o->step];
    const int64_t *in = e->plan->tensors[s->in[0]].shape;
    const int64_t outputs = e->plan->tensors[s->out[0]].shape[1], k = in[1] * in[2] * in[3];
    const char *weight = (const char *)exec_data(e, o, 1);
    const float *bias = o->count > 4 ? exec_data(e, o, 4) : NULL, *steps = exec_data(e, o, 3);
    const int16_t *counts = (const int16_t *)(const void *)(steps + in[0]) + r->first * k;
    const float *values = exec_data(e, o, 0) + r->first * k;
    const void *x = r->stored == HMT_DTYPE_I8 ? (const void *)counts : values;
    span part;

    if (e->run_beside && o == &e->ops[e->beside.by] && team_first(m))
        beside_run(e);
    while (team_take_less(m, outputs, LEAST_ROWS, MOST_ROWS, &part))
        exec_kernels(e)->linear(r->stored, e->device->prefetch, r->images, k, x, steps + r->first,
                                weight + part.from * k * stored_width(r->stored),
                                r->scales != NULL ? r->scales + part.from : NULL,
                                part.to - part.from, bias != NULL ? bias + part.from : NULL,
                                s->relu, exec_data(e, o, 2) + r->first * outputs + part.from,
                                outputs);
}

/* The weight is read as the model stores it. */
void linear_forward(exec *e, const hmt_plan_step *s)
{
    matrices m = linear_matrices(e, s->in[0], s->out[0], 0);
    const int64_t *in = e->plan->tensors[s->in[0]].shape;
    const int64_t counts = in[0] * in[1] * in[2] * in[3], size = in[0] + (counts + 1) / 2;
    /* of equal size: a few images are summed in another order than many */
    const int64_t groups = divide_up(in[0], MOST_IMAGES);
    int32_t weight, x, steps, bias, y;
    rows r = {.stored = HMT_DTYPE_F32};

    weight = e->plan->training ? -1 : exec_stored(e, s->weight[0], &r.stored, &r.scales);
    if (weight < 0)
        weight = exec_weight(e, s->weight[0], m.weight);
    if (linear_panels(e, s, m, weight, r.stored))
        return;
    x = linear_input(e, s->in[0], m.x);
    steps = r.stored == HMT_DTYPE_I8 ? exec_scratch(e, size) : x;
    bias = exec_weight_vector(e, s->weight[1]);
    y = linear_output(e, s->out[0], m.y);
    exec_chose(e, r.stored == HMT_DTYPE_I8 ? "rows int8" : "rows");
    if (r.stored == HMT_DTYPE_I8) {
        exec_shared(e, steps_loop, NULL);
        exec_operand(e, x);
        exec_operand(e, steps);
    }
    for (int64_t i = 0; i < groups; ++i) {
        rows *kept = exec_state(e, sizeof r);

        r.first = in[0] * i / groups;
        r.images = in[0] * (i + 1) / groups - r.first;
        if (kept == NULL)
            return;
        *kept = r;
        exec_shared(e, rows_loop, kept);
        exec_operand(e, x);
        exec_operand(e, weight);
        exec_operand(e, y);
        exec_operand(e, steps);
        exec_operand(e, bias);
        if (e->beside.count > 0 && e->beside.by < 0)
            e->beside.by = e->op_count - 1;
    }
}

/* Operands: dy (N,O), its transpose (O,N). */
static void transpose_loop(const exec *e, const op *o, const member *m)
{
    const int64_t images = e->plan->tensors[e->plan->steps[o->step].in[0]].shape[0];
    const int64_t outputs = exec_elements(e, o, 0) / images;
    const float *from = exec_data(e, o, 0);
    float *to = exec_data(e, o, 1);
    const span part = team_share(m, outputs);

    for (int64_t n = 0; n < images; ++n)
        for (int64_t i = part.from; i < part.to; ++i)
            to[i * images + n] = from[n * outputs + i];
}

/* Operands: dy (O,N), weight (O,K), dx (N,K), memory of each member. */
static void data_loop(const exec *e, const op *o, const member *m)
{
    const int64_t images = e->plan->tensors[e->plan->steps[o->step].in[0]].shape[0];
    const int64_t outputs = exec_elements(e, o, 0) / images, k = exec_elements(e, o, 2) / images;
    span part;

    while (team_take(m, divide_up(k, LINEAR_COLUMNS), 1, &part)) {
        const int64_t first = part.from * LINEAR_COLUMNS, left = k - first;

        exec_kernels(e)->linear_gradient(
            images, outputs, left < LINEAR_COLUMNS ? left : LINEAR_COLUMNS, exec_data(e, o, 0),
            exec_data(e, o, 1) + first, k, exec_data(e, o, 2) + first, k, exec_own(e, o, 3, m));
    }
}

void linear_backward_data(exec *e, const hmt_plan_step *s)
{
    matrices m = linear_matrices(e, s->out[0], s->in[0], 0);
    int32_t dy = linear_input(e, s->in[0], m.y), weight = exec_weight(e, s->weight[0], m.weight);
    int32_t dx = linear_output(e, s->out[0], m.x), transpose;

    exec_chose(e, "panels");
    transpose = exec_scratch(e, e->plan->batch * e->plan->tensors[s->in[0]].shape[1]);
    exec_shared(e, transpose_loop, NULL);
    exec_operand(e, dy);
    exec_operand(e, transpose);
    exec_shared(e, data_loop, NULL);
    exec_operand(e, transpose);
    exec_operand(e, weight);
    exec_operand(e, dx);
    exec_operand(e, exec_scratch_each(e, LINEAR_GRADIENT_MEMORY));
}

void linear_backward_weights(exec *e, const hmt_plan_step *s)
{
    if (!linear_update(e, s))
        linear_gradient(e, s);
}
