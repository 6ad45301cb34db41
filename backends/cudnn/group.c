/*
 * Execs on several GPUs that train as one. Each lays the gradients that its SGD steps read into
 * buckets of its own memory. When the last gradient of a bucket is there, a second stream adds the
 * bucket up over all GPUs and updates its parameters, while the backward pass goes on. Running
 * statistics get the mean of the batch statistics, through a copy, since the backward pass needs
 * each GPU's own. If one member fails, all communicators are aborted, so that nobody waits.
 */
#include <string.h>

#include "group.h"

bool group_updates(const exec *e, const hmt_plan_step *s)
{
    (void)e;
    return s->kind == HMT_STEP_SGD || s->kind == HMT_STEP_STATISTICS;
}

/* The second stream waits for what the first has done so far. */
static hmt_status hand_over(const exec *e, cudaEvent_t event)
{
    hmt_status status = CUDA_CALL(e->device, NULL, cudaEventRecord, event, e->compute);

    if (status == HMT_OK)
        status = CUDA_CALL(e->device, NULL, cudaStreamWaitEvent, e->member->stream, event, 0);
    return status;
}

static hmt_status add_up(const exec *e, float *at, int64_t count)
{
    const member *m = e->member;
    nccl_comm comm = m->group->comms[m->rank];
    hmt_status status;

    if (comm == NULL)
        return e->device->host->fail(HMT_ERROR_STATE, "another GPU of the group has failed");
    status = nccl_check(
        e->device, &m->group->nccl, "ncclAllReduce",
        m->group->nccl.all_reduce(at, at, (size_t)count, NCCL_FLOAT, NCCL_SUM, comm, m->stream));
    /* A kernel's first launch loads it, which may wait for all that the device does: in the first
     * run nothing that waits for other devices is on its way meanwhile. */
    if (status == HMT_OK && !e->phases[HMT_PHASE_BACKWARD].warm)
        status = CUDA_CALL(e->device, NULL, cudaStreamSynchronize, m->stream);
    return status;
}

static hmt_status update_bucket(const exec *e, int32_t index)
{
    const member *m = e->member;
    const bucket *b = &m->buckets[index];
    hmt_status status = hand_over(e, b->ready);

    if (status == HMT_OK)
        status = add_up(e, b->at, b->count);
    for (int32_t i = 0; i <= b->last && status == HMT_OK; ++i) {
        const hmt_plan_step *s = &e->plan->steps[i];
        const weight *w;

        if (m->bucket_of[i] != index)
            continue;
        w = e->held[s->weight[0]];
        kernel_sgd(
            w->values, w->momentum, w->copy, (map){gradient_of(m, i), STORAGE_FLOAT}, w->count,
            (const hmt_sgd *)(const void *)(e->in.device + e->in.groups) + s->group, m->stream);
        status = status_launch(e->device, s->name);
    }
    return status;
}

static hmt_status copy_statistics(const exec *e, int32_t step)
{
    const hmt_plan_step *s = exec_step(e, step);
    const int64_t count = e->tensors[s->in[0]].count;
    float *to = e->member->statistics + e->member->statistics_at[step];
    hmt_status status = HMT_OK;

    for (int i = 0; i < 2 && status == HMT_OK; ++i)
        status =
            CUDA_CALL(e->device, s->name, cudaMemcpyAsync, to + i * count, exec_floats(e, s->in[i]),
                      (size_t)count * sizeof(float), cudaMemcpyDeviceToDevice, e->compute);
    return status;
}

static hmt_status update_statistics(const exec *e)
{
    const member *m = e->member;
    hmt_status status = hand_over(e, m->statistics_ready);

    if (status == HMT_OK)
        status = add_up(e, m->statistics, m->statistics_count);
    for (int32_t i = 0; i <= m->statistics_last && status == HMT_OK; ++i) {
        const hmt_plan_step *s = &e->plan->steps[i];
        const float *mean;
        int64_t count;

        if (m->statistics_at[i] < 0)
            continue;
        mean = m->statistics + m->statistics_at[i];
        count = e->tensors[s->in[0]].count;
        kernel_statistics(exec_values(e, s->weight[0]), exec_values(e, s->weight[1]), mean,
                          mean + count, (int32_t)count, s->samples, s->momentum,
                          1.0f / (float)m->group->size, m->stream);
        status = status_launch(e->device, s->name);
    }
    return status;
}

/* A gradient is complete: it is put into its bucket if it does not lie there. */
static hmt_status collect(const exec *e, int32_t step)
{
    const tensor *t = &e->tensors[exec_step(e, step)->in[0]];

    if (t->type == STORAGE_FLOAT)
        return HMT_OK;
    kernel_reorder((map){t->at, t->type}, t->order,
                   (map){gradient_of(e->member, step), STORAGE_FLOAT}, t->order, e->compute);
    return status_launch(e->device, exec_step(e, step)->name);
}

hmt_status group_update(exec *e, int32_t step)
{
    const member *m = e->member;
    const int32_t index = m->bucket_of[step];
    hmt_status status;

    if (index < 0) {
        status = copy_statistics(e, step);
        return status == HMT_OK && step == m->statistics_last ? update_statistics(e) : status;
    }
    status = collect(e, step);
    return status == HMT_OK && m->buckets[index].last == step ? update_bucket(e, index) : status;
}

/* The first stream waits for the second. */
hmt_status group_finish(exec *e)
{
    hmt_status status =
        CUDA_CALL(e->device, NULL, cudaEventRecord, e->member->done, e->member->stream);

    if (status == HMT_OK)
        status = CUDA_CALL(e->device, NULL, cudaStreamWaitEvent, e->compute, e->member->done, 0);
    return status;
}

hmt_status group_check(const exec *e)
{
    if (e->member == NULL || !atomic_load(&e->member->group->broken))
        return HMT_OK;
    return e->device->host->fail(HMT_ERROR_STATE,
                                 "a GPU of this group has failed; the group cannot go on");
}

static void abort_all(group *g)
{
    pthread_mutex_lock(&g->lock);
    atomic_store(&g->broken, 1);
    for (int32_t i = 0; i < g->size; ++i) {
        if (g->comms[i] != NULL)
            (void)g->nccl.abort(g->comms[i]);
        g->comms[i] = NULL;
    }
    pthread_mutex_unlock(&g->lock);
}

hmt_status group_end(exec *e, hmt_status status)
{
    group *g = e->member != NULL ? e->member->group : NULL;
    nccl_comm comm;
    int error = NCCL_SUCCESS;

    if (g == NULL)
        return status;
    if (status != HMT_OK) {
        abort_all(g);
        return status;
    }
    if (atomic_load(&g->broken))
        return e->device->host->fail(HMT_ERROR_STATE, "another GPU of the group has failed");
    pthread_mutex_lock(&g->lock);
    comm = g->comms[e->member->rank];
    if (comm != NULL && g->nccl.async_error(comm, &error) != NCCL_SUCCESS)
        error = NCCL_SUCCESS;
    pthread_mutex_unlock(&g->lock);
    status = nccl_check(e->device, &g->nccl, "NCCL", error);
    if (status != HMT_OK)
        abort_all(g);
    return status;
}
