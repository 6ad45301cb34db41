/*
 * Running a prepared plan: a phase's operations by the team, and reading a tensor. Nothing is
 * allocated.
 */
#include <time.h>

#include "copy.h"

static double milliseconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* Shows the caller's images through every buffer that was made of them. */
static void show_images(exec *e, const float *images)
{
    for (int32_t i = e->input; i < e->buffer_count; ++i)
        if (e->buffers[i].root == e->input)
            e->buffers[i].data = (float *)images;
}

/* Whether the run does operation i in its turn. */
static int in_turn(const exec *e, int32_t i)
{
    return e->plan->steps[e->ops[i].step].phase == e->run->phase &&
           !(e->run_beside && i >= e->beside.first && i < e->beside.first + e->beside.count);
}

/* Every member: all operations. */
static void run_operations(void *user, const member *m)
{
    exec *e = user;

    for (int32_t i = 0; i < e->op_count; ++i) {
        const op *o = &e->ops[i];
        const int timed = m->index == 0 && e->run->milliseconds != NULL;
        const double start = timed ? milliseconds() : 0.0;

        if (!in_turn(e, i))
            continue;
        if (o->shared != NULL)
            o->shared(e, o, m);
        else if (m->index == 0)
            o->alone(e, o);
        team_barrier(m);
        if (timed)
            e->run->milliseconds[o->step] += milliseconds() - start;
    }
}

hmt_status exec_run(void *prepared, hmt_run *run)
{
    exec *e = prepared;

    e->run = run;
    e->run_beside = e->beside.by >= 0 && run->milliseconds == NULL;
    if (run->milliseconds != NULL)
        for (size_t i = 0; i < e->plan->step_count; ++i)
            if (e->plan->steps[i].phase == run->phase)
                run->milliseconds[i] = 0.0;
    if (e->input >= 0 && run->phase == HMT_PHASE_FORWARD)
        show_images(e, run->input);
    team_run(e->team, run_operations, e);
    e->run = NULL;
    return HMT_OK;
}

hmt_status exec_read(void *prepared, int32_t tensor, float *values)
{
    exec *e = prepared;
    const tensor_state *t = &e->tensors[tensor];

    if (t->home < 0 || !(e->plan->tensors[tensor].flags & HMT_TENSOR_OUTPUT))
        return e->device->host->fail(HMT_ERROR_ARGUMENT, "%s: not an output of this plan",
                                     e->plan->tensors[tensor].name);
    if (!copy_whole(exec_md(e, t->home), e->buffers[t->home].data, t->dense, values))
        return e->device->host->fail(HMT_ERROR_BACKEND, "%s: its layout is not known",
                                     e->plan->tensors[tensor].name);
    return HMT_OK;
}
