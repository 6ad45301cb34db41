/*
 * Convolutions that one thread computes while the others read a large weight. At batch 1 an inner
 * product of a hundred megabytes waits for memory, which one thread nearly fills: a convolution
 * that does not need its result costs little then. Such steps are prepared just before it, out of
 * order.
 */
#include "winograd.h"

/* Elements from which a weight counts as large: beyond any cache. Of more threads each alone is too
 * small a part of the processor to compute the convolutions in time. */
enum { LARGE_WEIGHT = 1 << 24, MOST_THREADS = 4 };

static int reads_large_weight(const exec *e, const hmt_plan_step *s)
{
    const int64_t *shape;

    if (s->kind != HMT_STEP_LINEAR || e->plan->training || e->plan->batch > 1 ||
        e->device->host->threads < 2 || e->device->host->threads > MOST_THREADS)
        return 0;
    shape = e->plan->weights[s->weight[0]].shape;
    return shape[0] * shape[1] * shape[2] * shape[3] >= LARGE_WEIGHT;
}

static int touches(const hmt_plan_step *s, int32_t tensor)
{
    for (int i = 0; i < HMT_STEP_INPUTS; ++i)
        if (s->in[i] == tensor)
            return 1;
    for (int i = 0; i < HMT_STEP_OUTPUTS; ++i)
        if (s->out[i] == tensor)
            return 1;
    return 0;
}

static int writes(const hmt_plan_step *s, int32_t tensor)
{
    for (int i = 0; i < HMT_STEP_OUTPUTS; ++i)
        if (s->out[i] == tensor)
            return 1;
    return 0;
}

/* Whether step i, a convolution by loops of ours, can run before step `large` and all between: its
 * input is there and none of those changes it, nor touches its output. */
static int independent(const exec *e, int32_t large, int32_t i)
{
    const hmt_plan_step *steps = e->plan->steps, *s = &steps[i];

    if (s->kind != HMT_STEP_CONV || !winograd_chosen(e, s) || exec_is_trained(e, s->weight[0]) ||
        e->tensors[s->in[0]].home < 0 || e->tensors[s->out[0]].home >= 0)
        return 0;
    for (int32_t j = large; j < i; ++j)
        if (!e->steps[j].prepared && (writes(&steps[j], s->in[0]) || touches(&steps[j], s->out[0])))
            return 0;
    return 1;
}

void beside_prepare(exec *e, int32_t large)
{
    const int32_t first = e->op_count;

    if (e->beside.count > 0 || !reads_large_weight(e, &e->plan->steps[large]))
        return;
    for (int32_t i = large + 1; i < (int32_t)e->plan->step_count && e->status == HMT_OK; ++i)
        if (independent(e, large, i))
            exec_prepare_step(e, i);
    if (e->status == HMT_OK)
        e->beside = (beside){.first = first, .count = e->op_count - first, .by = -1};
}

static void run(void *user, const member *m)
{
    const exec *e = user;

    for (int32_t i = e->beside.first; i < e->beside.first + e->beside.count; ++i) {
        const op *o = &e->ops[i];

        if (o->shared != NULL)
            o->shared(e, o, m);
        else
            o->alone(e, o);
        team_barrier(m);
    }
}

void beside_run(const exec *e)
{
    team_run_alone(run, (void *)e);
}
