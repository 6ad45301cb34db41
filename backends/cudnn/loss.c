/*
 * Losses through our kernels: float logits in, the loss of the batch to the results, the gradient
 * out. Maps that are stored as bfloat16 pass through scratch.
 */
#include "exec.h"

/* Scratch: a double for each row, logits and gradient as float, each where vectors can be read. */
typedef struct room {
    double *part;
    float *logits, *gradient;
} room;

static uint64_t rows_bytes(const tensor *t)
{
    return device_round((uint64_t)t->order.n * sizeof(double));
}

static uint64_t values_bytes(const tensor *t)
{
    return device_round((uint64_t)t->count * sizeof(float));
}

static room room_of(const exec *e, const tensor *t)
{
    char *logits = e->scratch + rows_bytes(t);

    return (room){(double *)(void *)e->scratch, (float *)(void *)logits,
                  (float *)(void *)(logits + values_bytes(t))};
}

hmt_status loss_prepare(exec *e, int32_t step)
{
    const tensor *t = &e->tensors[exec_step(e, step)->in[0]];

    exec_scratch(e, rows_bytes(t) + 2 * values_bytes(t));
    return HMT_OK;
}

/* The labels or targets of a step's task among the inputs. */
static const void *of_task(const exec *e, uint64_t offset, const hmt_plan_step *s)
{
    return e->in.device + offset + (uint64_t)s->task * (uint64_t)e->plan->batch * 4;
}

static const float *scale_of(const exec *e, const hmt_plan_step *s)
{
    return (const float *)(const void *)(e->in.device + e->in.scales) + s->task;
}

static double *sum_of(const exec *e, const hmt_plan_step *s)
{
    return (double *)(void *)e->out.device + s->task;
}

/* The logits as float, and where the gradient goes as float, if it is asked for. */
static const float *begin(exec *e, const hmt_plan_step *s, const room *r, float **gradient)
{
    const map logits = exec_map(e, s->in[0]), out = exec_map(e, s->out[0]);
    const extent shape = exec_extent(e, s->in[0]);

    *gradient = out.at == NULL ? NULL : (out.type == STORAGE_FLOAT ? out.at : r->gradient);
    if (logits.type == STORAGE_FLOAT)
        return logits.at;
    kernel_reorder(logits, shape, (map){r->logits, STORAGE_FLOAT}, shape, e->compute);
    return r->logits;
}

static void end(exec *e, const hmt_plan_step *s, float *gradient)
{
    const map out = exec_map(e, s->out[0]);
    const extent shape = exec_extent(e, s->in[0]);

    if (out.at != NULL && out.at != gradient)
        kernel_reorder((map){gradient, STORAGE_FLOAT}, shape, out, shape, e->compute);
}

hmt_status cross_entropy_run(exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);
    const tensor *t = &e->tensors[s->in[0]];
    const room r = room_of(e, t);
    float *gradient;
    const float *logits = begin(e, s, &r, &gradient);

    kernel_cross_entropy(logits, t->order.n, t->order.c, of_task(e, e->in.labels, s),
                         scale_of(e, s), s->smoothing, gradient, r.part, sum_of(e, s), e->compute);
    end(e, s, gradient);
    return HMT_OK;
}

hmt_status regression_run(exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);
    const tensor *t = &e->tensors[s->in[0]];
    const room r = room_of(e, t);
    float *gradient;
    const float *predictions = begin(e, s, &r, &gradient);

    kernel_regression(predictions, t->order.n, of_task(e, e->in.targets, s), scale_of(e, s),
                      s->loss, s->delta, gradient, r.part, sum_of(e, s), e->compute);
    end(e, s, gradient);
    return HMT_OK;
}

hmt_status one_hot_run(exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);
    const extent y = exec_extent(e, s->out[0]);

    kernel_one_hot(exec_map(e, s->out[0]), y.n, y.c, of_task(e, e->in.labels, s), e->compute);
    return HMT_OK;
}
