/*
 * Joining execs on several GPUs to a group, and leaving it: buckets for the gradients that SGD
 * steps read, a copy of the batch statistics, a second stream and NCCL's communicators.
 */
#include <string.h>

#include "group.h"

enum { BUCKET = 16 << 20 }; /* bytes from which a bucket is closed */

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
