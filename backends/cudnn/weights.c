/*
 * Parameters on the device: a list guarded by a mutex, whose entries come when an exec first asks
 * for them and go with their last user. transfer.c fills and reads them.
 */
#include "transfer.h"

#include <string.h>

hmt_status weights_create(void *opened, const hmt_source *source, void **out)
{
    const device *d = opened;
    weights *w;
    void *block;
    hmt_status status = device_enter(d);

    if (status == HMT_OK)
        status = device_host_memory(d, 1, sizeof *w, "the weights", &block);
    if (status != HMT_OK)
        return status;
    w = block;
    w->device = d;
    w->source = source;
    status = CUDA_CALL(d, NULL, cudaStreamCreateWithFlags, &w->stream, cudaStreamNonBlocking);
    if (status != HMT_OK)
        goto fail;
    if (pthread_mutex_init(&w->lock, NULL) != 0) {
        status = d->host->fail(HMT_ERROR_MEMORY, "cannot make a mutex for the weights");
        (void)cudaStreamDestroy(w->stream);
        goto fail;
    }
    *out = w;
    return HMT_OK;
fail:
    device_host_free(d, w);
    return status;
}

const device *weights_device(const weights *w)
{
    return w->device;
}

static void drop(weights *w, weight *e)
{
    device_memory_free(e->values);
    device_memory_free(e->copy);
    device_memory_free(e->momentum);
    device_host_free(w->device, e);
}

void weights_destroy(void *home)
{
    weights *w = home;

    if (w == NULL)
        return;
    (void)cudaSetDevice(w->device->index);
    while (w->list != NULL) {
        weight *next = w->list->next;

        drop(w, w->list);
        w->list = next;
    }
    device_pinned_free(w->pinned);
    device_memory_free(w->passing);
    (void)cudaStreamDestroy(w->stream);
    (void)cudaGetLastError();
    pthread_mutex_destroy(&w->lock);
    device_host_free(w->device, w);
}

/* ---------------------------------------------------------------------------- entries ----------
 */

static int same_value(const hmt_plan_weight *a, const hmt_plan_weight *b)
{
    return a->param == b->param && a->is_bias == b->is_bias && a->scale == b->scale &&
           a->epsilon == b->epsilon && memcmp(a->fold, b->fold, sizeof a->fold) == 0 &&
           memcmp(a->shape, b->shape, sizeof a->shape) == 0;
}

static int same_order(extent a, extent b)
{
    return a.c == b.c && a.h == b.h && a.w == b.w;
}

static weight *find(const weights *w, const hmt_plan_weight *key, const extent *order)
{
    weight *e = w->list;

    while (e != NULL &&
           !(same_value(&e->key, key) && (order == NULL || same_order(e->order, *order))))
        e = e->next;
    return e;
}

static hmt_status grow(weights *w, const weight *e, storage type, const char *what, void **out)
{
    const uint64_t bytes = (uint64_t)e->count * storage_size(type);
    hmt_status status = device_memory(w->device, bytes, what, out);

    if (status == HMT_OK)
        w->bytes += bytes;
    return status;
}

/* Frees what could not be filled. */
static void shrink(weights *w, const weight *e, storage type, void *block)
{
    if (block != NULL)
        w->bytes -= (uint64_t)e->count * storage_size(type);
    device_memory_free(block);
}

static hmt_status add_momentum(weights *w, weight *e)
{
    void *block = NULL;
    hmt_status status = grow(w, e, STORAGE_FLOAT, "momentum", &block);

    if (status == HMT_OK)
        status = CUDA_CALL(w->device, NULL, cudaMemsetAsync, block, 0,
                           (size_t)e->count * sizeof(float), w->stream);
    if (status == HMT_OK)
        status = CUDA_CALL(w->device, NULL, cudaStreamSynchronize, w->stream);
    if (status == HMT_OK)
        e->momentum = block;
    else
        shrink(w, e, STORAGE_FLOAT, block);
    return status;
}

/* Adds what an entry lacks. */
static hmt_status complete(weights *w, weight *e, uint32_t needs, const char *name)
{
    void *values = NULL, *copy = NULL;
    hmt_status status = HMT_OK;

    if ((needs & WEIGHT_VALUES) && e->values == NULL)
        status = grow(w, e, STORAGE_FLOAT, name, &values);
    if (status == HMT_OK && (needs & WEIGHT_COPY) && e->copy == NULL)
        status = grow(w, e, STORAGE_BFLOAT16, name, &copy);
    if (status == HMT_OK && (values != NULL || copy != NULL)) {
        if (e->values != NULL) { /* may have been trained: not what the model has */
            kernel_reorder((map){e->values, STORAGE_FLOAT}, e->order, (map){copy, STORAGE_BFLOAT16},
                           e->order, w->stream);
            status = status_launch(w->device, name);
            if (status == HMT_OK)
                status = CUDA_CALL(w->device, name, cudaStreamSynchronize, w->stream);
        } else {
            status = transfer_fill(w, e, NULL, values, copy);
        }
    }
    if (status != HMT_OK) {
        shrink(w, e, STORAGE_FLOAT, values);
        shrink(w, e, STORAGE_BFLOAT16, copy);
        return status;
    }
    e->values = values != NULL ? values : e->values;
    e->copy = copy != NULL ? copy : e->copy;
    return (needs & WEIGHT_MOMENTUM) && e->momentum == NULL ? add_momentum(w, e) : HMT_OK;
}

/* A weight that is trained in one order cannot be read in another. */
static hmt_status check_order(const weights *w, const hmt_plan_weight *key, extent order)
{
    for (const weight *e = w->list; e != NULL; e = e->next)
        if (same_value(&e->key, key) && !same_order(e->order, order) &&
            (e->trained || key->trained))
            return w->device->host->fail(
                HMT_ERROR_UNSUPPORTED,
                "%s: plans that lay this trained weight out differently cannot share it",
                key->name);
    return HMT_OK;
}

static hmt_status find_or_add(weights *w, const hmt_plan_weight *key, extent order, weight **out)
{
    void *block;
    hmt_status status = check_order(w, key, order);

    *out = find(w, key, &order);
    if (status != HMT_OK || *out != NULL)
        return status;
    status = device_host_memory(w->device, 1, sizeof **out, "a weight's entry", &block);
    if (status != HMT_OK)
        return status;
    *out = block;
    (*out)->key = *key;
    (*out)->order = order;
    (*out)->count = (int64_t)order.n * order.c * order.h * order.w;
    (*out)->next = w->list;
    w->list = *out;
    return HMT_OK;
}

static void unlink_unused(weights *w, weight *e)
{
    weight **link = &w->list;

    if (e->users > 0 || e->trained)
        return;
    while (*link != e)
        link = &(*link)->next;
    *link = e->next;
    w->bytes -= (uint64_t)e->count * ((e->values != NULL ? 4 : 0) + (e->copy != NULL ? 2 : 0) +
                                      (e->momentum != NULL ? 4 : 0));
    drop(w, e);
}

hmt_status weights_acquire(weights *w, const hmt_plan_weight *key, extent order, uint32_t needs,
                           weight **out)
{
    hmt_status status;
    weight *e = NULL;

    pthread_mutex_lock(&w->lock);
    status = find_or_add(w, key, order, &e);
    if (status == HMT_OK) {
        const char *name = key->name;

        status = complete(w, e, needs, name);
        e->key.name = NULL; /* the plan's; it may go before us */
        if (status == HMT_OK) {
            ++e->users;
            e->trained = e->trained || key->trained;
            *out = e;
        } else {
            unlink_unused(w, e);
        }
    }
    pthread_mutex_unlock(&w->lock);
    return status;
}

void weights_release(weights *w, weight *held)
{
    pthread_mutex_lock(&w->lock);
    --held->users;
    unlink_unused(w, held);
    pthread_mutex_unlock(&w->lock);
}

uint64_t weights_bytes(weights *w)
{
    uint64_t bytes;

    pthread_mutex_lock(&w->lock);
    bytes = w->bytes;
    pthread_mutex_unlock(&w->lock);
    return bytes;
}

/* ---------------------------------------------------------------------------- slots ------------
 */

hmt_status weights_get(void *home, const hmt_plan_weight *key, hmt_slot slot, float *values)
{
    weights *w = home;
    const weight *e;
    const float *at;
    hmt_status status = device_enter(w->device);

    if (status != HMT_OK)
        return status;
    pthread_mutex_lock(&w->lock);
    e = find(w, key, NULL);
    at = e == NULL ? NULL : (slot == HMT_SLOT_MOMENTUM ? e->momentum : e->values);
    if (at != NULL)
        status = transfer_take(w, e, at, values);
    else if (slot == HMT_SLOT_VALUE)
        status = w->source->read(w->source->user, key, 0, key->shape[0], values);
    else
        memset(values, 0,
               (size_t)(key->shape[0] * key->shape[1] * key->shape[2] * key->shape[3]) *
                   sizeof(float));
    pthread_mutex_unlock(&w->lock);
    return status;
}

hmt_status weights_set(void *home, const hmt_plan_weight *key, hmt_slot slot, const float *values)
{
    weights *w = home;
    weight *e;
    hmt_status status = device_enter(w->device);

    if (status != HMT_OK)
        return status;
    pthread_mutex_lock(&w->lock);
    e = find(w, key, NULL);
    if (e == NULL || !e->trained)
        status = w->device->host->fail(HMT_ERROR_STATE, "%s: no plan trains this parameter yet",
                                       key->name);
    else if (slot == HMT_SLOT_MOMENTUM && e->momentum == NULL)
        status = add_momentum(w, e);
    if (status == HMT_OK)
        status = slot == HMT_SLOT_MOMENTUM ? transfer_fill(w, e, values, e->momentum, NULL)
                                           : transfer_fill(w, e, values, e->values, e->copy);
    pthread_mutex_unlock(&w->lock);
    return status;
}
