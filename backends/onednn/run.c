/*
 * Running a prepared plan: a phase's operations by the team, and reading a tensor. Nothing is
 * allocated.
 */
#include <string.h>
#include <time.h>

#include "exec.h"

static double milliseconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* Shows the caller's images through every descriptor that was made of them. */
static dnnl_status_t show_images(exec *e, const float *images)
{
    dnnl_status_t status = dnnl_success;

    for (int32_t i = e->input; i < e->buffer_count && status == dnnl_success; ++i)
        if (e->buffers[i].root == e->input) {
            e->buffers[i].data = (float *)images;
            status = dnnl_memory_set_data_handle(e->buffers[i].memory, (void *)images);
        }
    return status;
}

/* Whether the run does operation i in its turn. */
static int in_turn(const exec *e, int32_t i)
{
    return e->plan->steps[e->ops[i].step].phase == e->run->phase &&
           !(e->run_beside && i >= e->beside.first && i < e->beside.first + e->beside.count);
}

/* After a failure primitives are left out; loops go on, so that all members meet. */
static void run_primitive(exec *e, const op *o)
{
    if (e->run_status != dnnl_success)
        return;
    e->run_where = e->plan->steps[o->step].name;
    /* a CPU stream without threadpool returns when the work is done */
    e->run_status = dnnl_primitive_execute(o->primitive, e->stream, o->count, o->args);
}

static void run_alone(exec *e, const op *o)
{
    if (o->primitive != NULL)
        run_primitive(e, o);
    else
        o->alone(e, o);
}

/* Every member: operations run_from to run_to. */
static void run_operations(void *user, const member *m)
{
    exec *e = user;

    for (int32_t i = e->run_from; i < e->run_to; ++i) {
        const op *o = &e->ops[i];
        const int timed = m->index == 0 && e->run->milliseconds != NULL;
        const double start = timed ? milliseconds() : 0.0;

        if (!in_turn(e, i))
            continue;
        if (o->shared != NULL)
            o->shared(e, o, m);
        else if (m->index == 0)
            run_alone(e, o);
        team_barrier(m);
        if (timed)
            e->run->milliseconds[o->step] += milliseconds() - start;
    }
}

/* Threads of our own run all operations at once. OpenMP's run loops, as many as follow each other;
 * primitives between them share themselves out. */
static void run_team(exec *e)
{
    for (e->run_from = 0; e->run_from < e->op_count; e->run_from = e->run_to) {
        const int alone = e->primitive_threads > 1 && e->ops[e->run_from].primitive != NULL;

        e->run_to = e->run_from + 1;
        while (e->run_to < e->op_count && !alone &&
               (e->primitive_threads == 1 || e->ops[e->run_to].primitive == NULL))
            ++e->run_to;
        if (alone)
            team_run_alone(run_operations, e);
        else
            team_run(e->team, run_operations, e);
    }
}

hmt_status exec_run(void *prepared, hmt_run *run)
{
    exec *e = prepared;
    device_threads before;

    if (device_threads_enter(e->device, e->primitive_threads, &before) != HMT_OK)
        return HMT_ERROR_STATE;
    e->run = run;
    e->run_status = dnnl_success;
    e->run_where = NULL;
    e->run_beside = e->beside.by >= 0 && run->milliseconds == NULL;
    if (run->milliseconds != NULL)
        for (size_t i = 0; i < e->plan->step_count; ++i)
            if (e->plan->steps[i].phase == run->phase)
                run->milliseconds[i] = 0.0;
    if (e->input >= 0 && run->phase == HMT_PHASE_FORWARD)
        e->run_status = show_images(e, run->input);
    if (e->run_status == dnnl_success)
        run_team(e);
    if (e->run_status == dnnl_success)
        e->run_status = dnnl_stream_wait(e->stream);
    device_threads_leave(&before);
    e->run = NULL;
    return device_check(e->device, e->run_where, "dnnl_primitive_execute", e->run_status);
}

hmt_status exec_read(void *prepared, int32_t tensor, float *values)
{
    exec *e = prepared;
    const tensor_state *t = &e->tensors[tensor];
    dnnl_status_t status;
    device_threads before;

    if (t->home < 0 || !(e->plan->tensors[tensor].flags & HMT_TENSOR_OUTPUT))
        return e->device->host->fail(HMT_ERROR_ARGUMENT, "%s: not an output of this plan",
                                     e->plan->tensors[tensor].name);
    if (t->read == NULL) {
        memcpy(values, e->buffers[t->home].data, e->buffers[t->home].bytes);
        return HMT_OK;
    }
    if (device_threads_enter(e->device, e->primitive_threads, &before) != HMT_OK)
        return HMT_ERROR_STATE;
    status = dnnl_memory_set_data_handle(t->dense, values);
    if (status == dnnl_success) {
        const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, e->buffers[t->home].memory},
                                        {DNNL_ARG_TO, t->dense}};

        status = dnnl_primitive_execute(t->read, e->stream, 2, args);
    }
    if (status == dnnl_success)
        status = dnnl_stream_wait(e->stream);
    device_threads_leave(&before);
    return device_check(e->device, e->plan->tensors[tensor].name, "reorder", status);
}
