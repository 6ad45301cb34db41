/*
 * Execs on several GPUs that train as one. Each lays the gradients that its SGD steps read into
 * buckets of its own memory. When the last gradient of a bucket is there, a second stream adds the
 * bucket up over all GPUs and updates its parameters, while the backward pass goes on. Running
 * statistics get the mean of the batch statistics, through a copy, since the backward pass needs
 * each GPU's own. If one member fails, all communicators are aborted, so that nobody waits.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "exec.h"
#include "nccl_calls.h"

enum { BUCKET = 16 << 20 }; /* bytes from which a bucket is closed */

/* What all members share. */
typedef struct group {
    nccl_calls nccl;
    atomic_int broken;
    atomic_int members;
    int32_t size;
    pthread_mutex_t lock; /* of aborting */
    nccl_comm *comms;
} group;

typedef struct bucket {
    int32_t last; /* SGD step that closes it */
    int64_t count;
    float *at;
    cudaEvent_t ready;
} bucket;

struct member {
    group *group;
    int32_t rank;
    cudaStream_t stream;
    cudaEvent_t done;
    bucket *buckets;
    int32_t bucket_count;
    int32_t *bucket_of;     /* by step: of SGD steps, else -1 */
    int64_t *gradient_at;   /* by step: of SGD steps, in their bucket */
    int64_t *statistics_at; /* by step: of STATISTICS steps, in floats, else -1 */
    int32_t statistics_last;
    int64_t statistics_count;
    float *statistics;
    cudaEvent_t statistics_ready;
};

bool group_updates(const exec *e, const hmt_plan_step *s)
{
    (void)e;
    return s->kind == HMT_STEP_SGD || s->kind == HMT_STEP_STATISTICS;
}

/* ---------------------------------------------------------------------------- joining ----------
 */

/* Sorts the SGD steps into buckets. Gradients begin at multiples of the alignment. */
static void fill_buckets(const exec *e, member *m)
{
    bool open = false;

    for (size_t i = 0; i < e->plan->step_count; ++i) {
        const hmt_plan_step *s = &e->plan->steps[i];
        bucket *b;

        m->bucket_of[i] = -1;
        if (s->kind != HMT_STEP_SGD)
            continue;
        m->bucket_count += !open;
        b = &m->buckets[m->bucket_count - 1];
        m->bucket_of[i] = m->bucket_count - 1;
        m->gradient_at[i] = b->count;
        b->last = (int32_t)i;
        b->count += (int64_t)(device_round((uint64_t)e->tensors[s->in[0]].count * sizeof(float)) /
                              sizeof(float));
        open = (uint64_t)b->count * sizeof(float) < BUCKET;
    }
}

static void find_statistics(const exec *e, member *m)
{
    m->statistics_last = -1;
    for (size_t i = 0; i < e->plan->step_count; ++i) {
        const hmt_plan_step *s = &e->plan->steps[i];

        m->statistics_at[i] = -1;
        if (s->kind != HMT_STEP_STATISTICS)
            continue;
        m->statistics_at[i] = m->statistics_count;
        m->statistics_count += 2 * e->tensors[s->in[0]].count;
        m->statistics_last = (int32_t)i;
    }
}

static float *gradient_of(const member *m, int32_t step)
{
    return m->buckets[m->bucket_of[step]].at + m->gradient_at[step];
}

/* Float gradients move from the arena to their buckets; bfloat16 ones are converted into them. */
static void redirect(exec *e, const member *m)
{
    for (size_t i = 0; i < e->plan->step_count; ++i)
        if (m->bucket_of[i] >= 0) {
            tensor *t = &e->tensors[e->plan->steps[i].in[0]];

            if (t->type == STORAGE_FLOAT)
                t->at = (char *)gradient_of(m, (int32_t)i);
        }
}

static hmt_status allocate(exec *e, member *m)
{
    const device *d = e->device;
    hmt_status status = HMT_OK;
    void *block;

    for (int32_t i = 0; i < m->bucket_count && status == HMT_OK; ++i) {
        bucket *b = &m->buckets[i];
        const uint64_t bytes = (uint64_t)b->count * sizeof(float);

        status = device_memory(d, bytes, "gradients", &block);
        b->at = block;
        if (status == HMT_OK) /* what lies between gradients is added up, too */
            status = CUDA_CALL(d, NULL, cudaMemsetAsync, b->at, 0, (size_t)bytes, m->stream);
        if (status == HMT_OK)
            status =
                CUDA_CALL(d, NULL, cudaEventCreateWithFlags, &b->ready, cudaEventDisableTiming);
    }
    if (status == HMT_OK) {
        status =
            device_memory(d, (uint64_t)m->statistics_count * sizeof(float), "statistics", &block);
        m->statistics = block;
    }
    if (status == HMT_OK)
        status = CUDA_CALL(d, NULL, cudaStreamSynchronize, m->stream);
    return status;
}

static hmt_status make_member(exec *e, int32_t rank)
{
    const device *d = e->device;
    member *m;
    void *block;
    hmt_status status = device_enter(d);

    if (status == HMT_OK)
        status = device_host_memory(d, 1, sizeof *m, "a group", &block);
    if (status != HMT_OK)
        return status;
    m = e->member = block;
    m->rank = rank;
    status = device_host_memory(d, e->plan->step_count, sizeof *m->buckets, "a group", &block);
    m->buckets = block;
    if (status == HMT_OK) {
        status =
            device_host_memory(d, e->plan->step_count, sizeof *m->bucket_of, "a group", &block);
        m->bucket_of = block;
    }
    if (status == HMT_OK) {
        status =
            device_host_memory(d, e->plan->step_count, sizeof *m->gradient_at, "a group", &block);
        m->gradient_at = block;
    }
    if (status == HMT_OK) {
        status =
            device_host_memory(d, e->plan->step_count, sizeof *m->statistics_at, "a group", &block);
        m->statistics_at = block;
    }
    if (status != HMT_OK)
        return status;
    fill_buckets(e, m);
    find_statistics(e, m);
    status = CUDA_CALL(d, NULL, cudaStreamCreateWithFlags, &m->stream, cudaStreamNonBlocking);
    if (status == HMT_OK)
        status = CUDA_CALL(d, NULL, cudaEventCreateWithFlags, &m->done, cudaEventDisableTiming);
    if (status == HMT_OK)
        status = CUDA_CALL(d, NULL, cudaEventCreateWithFlags, &m->statistics_ready,
                           cudaEventDisableTiming);
    if (status == HMT_OK)
        status = allocate(e, m);
    if (status != HMT_OK)
        return status;
    redirect(e, m);
    exec_forget(e);
    return exec_link(e);
}

static hmt_status make_group(exec *const *execs, size_t count, group **out)
{
    const device *d = execs[0]->device;
    int devices[64];
    void *block, *comms;
    group *g;
    hmt_status status;

    if (count < 1 || count > sizeof devices / sizeof devices[0])
        return d->host->fail(HMT_ERROR_ARGUMENT, "a group of %zu GPUs, not of 1 to 64", count);
    for (size_t i = 0; i < count; ++i)
        devices[i] = execs[i]->device->index;
    status = device_host_memory(d, 1, sizeof *g, "a group", &block);
    if (status != HMT_OK)
        return status;
    status = device_host_memory(d, count, sizeof *g->comms, "a group", &comms);
    g = block;
    g->comms = comms;
    g->size = (int32_t)count;
    atomic_init(&g->broken, 0);
    atomic_init(&g->members, 0);
    if (status == HMT_OK)
        status = nccl_load(d, &g->nccl);
    if (status == HMT_OK)
        status = nccl_check(d, &g->nccl, "ncclCommInitAll",
                            g->nccl.init_all(g->comms, (int)count, devices));
    if (status == HMT_OK && pthread_mutex_init(&g->lock, NULL) == 0) {
        *out = g;
        return HMT_OK;
    }
    for (size_t i = 0; g->comms != NULL && i < count; ++i)
        if (g->comms[i] != NULL)
            (void)g->nccl.abort(g->comms[i]);
    nccl_unload(&g->nccl);
    device_host_free(d, g->comms);
    device_host_free(d, g);
    return status != HMT_OK ? status
                            : d->host->fail(HMT_ERROR_MEMORY, "cannot make a mutex for a group");
}

/* After a failure what was made stays with the execs; destroying them frees it. */
hmt_status group_join(void *const *execs, size_t count)
{
    exec *const *members = (exec *const *)execs;
    group *g;
    hmt_status status = make_group(members, count, &g);

    if (status != HMT_OK)
        return status;
    atomic_store(&g->members, (int)count);
    for (size_t i = 0; i < count; ++i) {
        exec *e = members[i];
        const hmt_status made = status == HMT_OK ? make_member(e, (int32_t)i) : status;

        if (e->member != NULL)
            e->member->group = g;
        else
            atomic_fetch_sub(&g->members, 1);
        status = made;
    }
    if (status != HMT_OK)
        atomic_store(&g->broken, 1);
    return status;
}

/* ---------------------------------------------------------------------------- leaving ----------
 */

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

/* d: the last member's device; that of the first may be closed. */
static void drop_group(group *g, const device *d)
{
    for (int32_t i = 0; i < g->size; ++i)
        if (g->comms[i] != NULL)
            (void)g->nccl.destroy(g->comms[i]);
    nccl_unload(&g->nccl);
    pthread_mutex_destroy(&g->lock);
    device_host_free(d, g->comms);
    device_host_free(d, g);
}

void group_leave(exec *e)
{
    member *m = e->member;
    group *g;

    if (m == NULL)
        return;
    g = m->group;
    if (m->stream != NULL) {
        (void)cudaStreamSynchronize(m->stream);
        (void)cudaStreamDestroy(m->stream);
    }
    for (int32_t i = 0; m->buckets != NULL && i < m->bucket_count; ++i) {
        device_memory_free(m->buckets[i].at);
        if (m->buckets[i].ready != NULL)
            (void)cudaEventDestroy(m->buckets[i].ready);
    }
    device_memory_free(m->statistics);
    if (m->done != NULL)
        (void)cudaEventDestroy(m->done);
    if (m->statistics_ready != NULL)
        (void)cudaEventDestroy(m->statistics_ready);
    device_host_free(e->device, m->buckets);
    device_host_free(e->device, m->bucket_of);
    device_host_free(e->device, m->gradient_at);
    device_host_free(e->device, m->statistics_at);
    device_host_free(e->device, m);
    e->member = NULL;
    if (atomic_fetch_sub(&g->members, 1) == 1)
        drop_group(g, e->device);
}

/* ---------------------------------------------------------------------------- running ----------
 */

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

    if (comm == NULL)
        return e->device->host->fail(HMT_ERROR_STATE, "another GPU of the group has failed");
    return nccl_check(
        e->device, &m->group->nccl, "ncclAllReduce",
        m->group->nccl.all_reduce(at, at, (size_t)count, NCCL_FLOAT, NCCL_SUM, comm, m->stream));
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
