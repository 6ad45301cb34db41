/*
 * The home of one model's parameters: a list of weights, each read from the model when a plan first
 * needs it. A parameter that the model keeps unchanged in memory is used, and trained, in place; a
 * folded one, or one the model cannot show, gets a copy here. The list is guarded by a mutex,
 * because many sessions of one model are created at once; what an entry points at never moves.
 */
#include "internal.h"

#include <pthread.h>
#include <string.h>

typedef struct entry {
    struct entry *next;
    hmt_plan_weight weight; /* its identity; the name is not used */
    int64_t count;          /* elements */
    float *values;          /* the model's own memory, or copy */
    float *copy;
    float *momentum; /* (count), NULL until something trains it */
} entry;

struct reference_weights {
    const hmt_host *host;
    const hmt_source *source;
    pthread_mutex_t lock;
    entry *first;
};

static int64_t count_of(const hmt_plan_weight *weight)
{
    return weight->shape[0] * weight->shape[1] * weight->shape[2] * weight->shape[3];
}

/* Whether two weights have the same value: all fields equal but the name and who trains them. */
static bool same(const hmt_plan_weight *a, const hmt_plan_weight *b)
{
    return a->param == b->param && a->is_bias == b->is_bias && a->epsilon == b->epsilon &&
           a->scale == b->scale && memcmp(a->fold, b->fold, sizeof(a->fold)) == 0 &&
           memcmp(a->shape, b->shape, sizeof(a->shape)) == 0;
}

static entry *lookup(const reference_weights *home, const hmt_plan_weight *weight)
{
    entry *e = home->first;

    while (e && !same(&e->weight, weight))
        e = e->next;
    return e;
}

static void entry_free(const hmt_host *host, entry *e)
{
    if (!e)
        return;
    reference_release(host, e->copy);
    reference_release(host, e->momentum);
    reference_release(host, e);
}

/* Reads a weight from the model and adds it to the list. */
static hmt_status entry_add(reference_weights *home, const hmt_plan_weight *weight, entry **out)
{
    void *memory;
    entry *e;
    hmt_status status =
        reference_allocate(home->host, 1, sizeof(entry), "a weight's entry", &memory);

    if (status != HMT_OK)
        return status;
    e = memory;
    *e = (entry){NULL, *weight, count_of(weight), NULL, NULL, NULL};
    e->weight.name = NULL;
    e->values = home->source->view(home->source->user, weight);
    if (!e->values) {
        status = reference_allocate(home->host, (uint64_t)e->count, sizeof(float), weight->name,
                                    &memory);
        if (status != HMT_OK)
            goto fail;
        e->values = e->copy = memory;
        status = home->source->read(home->source->user, weight, 0, weight->shape[0], e->copy);
        if (status != HMT_OK)
            goto fail;
    }
    e->next = home->first;
    home->first = e;
    *out = e;
    return HMT_OK;
fail:
    entry_free(home->host, e);
    return status;
}

static hmt_status entry_add_momentum(const reference_weights *home, entry *e)
{
    void *memory = e->momentum;
    hmt_status status = HMT_OK;

    if (!memory)
        status =
            reference_allocate(home->host, (uint64_t)e->count, sizeof(float), "momentum", &memory);
    if (status == HMT_OK && !e->momentum)
        memset(memory, 0, (size_t)e->count * sizeof(float));
    e->momentum = memory;
    return status;
}

hmt_status reference_weights_find(reference_weights *home, const hmt_plan_weight *weight,
                                  float **values, float **momentum)
{
    hmt_status status = HMT_OK;
    entry *e;

    pthread_mutex_lock(&home->lock);
    e = lookup(home, weight);
    if (!e)
        status = entry_add(home, weight, &e);
    if (status == HMT_OK && momentum)
        status = entry_add_momentum(home, e);
    if (status == HMT_OK) {
        *values = e->values;
        if (momentum)
            *momentum = e->momentum;
    }
    pthread_mutex_unlock(&home->lock);
    return status;
}

uint64_t reference_weights_bytes(reference_weights *home)
{
    uint64_t floats = 0;

    pthread_mutex_lock(&home->lock);
    for (const entry *e = home->first; e; e = e->next)
        floats += (uint64_t)e->count * ((e->copy != NULL) + (e->momentum != NULL));
    pthread_mutex_unlock(&home->lock);
    return floats * sizeof(float);
}

hmt_status reference_weights_create(void *device, const hmt_source *source, void **weights)
{
    const hmt_host *host = ((reference_device *)device)->host;
    reference_weights *home;
    void *memory;
    hmt_status status = reference_allocate(host, 1, sizeof(*home), "the weights' home", &memory);

    if (status != HMT_OK)
        return status;
    home = memory;
    home->host = host;
    home->source = source;
    home->first = NULL;
    if (pthread_mutex_init(&home->lock, NULL) != 0) {
        reference_release(host, home);
        return host->fail(HMT_ERROR_MEMORY, "out of memory: a mutex");
    }
    *weights = home;
    return HMT_OK;
}

void reference_weights_destroy(void *weights)
{
    reference_weights *home = weights;
    entry *next;

    if (!home)
        return;
    for (entry *e = home->first; e; e = next) {
        next = e->next;
        entry_free(home->host, e);
    }
    pthread_mutex_destroy(&home->lock);
    reference_release(home->host, home);
}

hmt_status reference_weights_get(void *weights, const hmt_plan_weight *weight, hmt_slot slot,
                                 float *values)
{
    reference_weights *home = weights;
    size_t bytes = (size_t)count_of(weight) * sizeof(float);
    hmt_status status = HMT_OK;
    const entry *e;

    pthread_mutex_lock(&home->lock);
    e = lookup(home, weight);
    if (slot == HMT_SLOT_MOMENTUM && (!e || !e->momentum))
        memset(values, 0, bytes);
    else if (!e)
        status = home->source->read(home->source->user, weight, 0, weight->shape[0], values);
    else
        memcpy(values, slot == HMT_SLOT_MOMENTUM ? e->momentum : e->values, bytes);
    pthread_mutex_unlock(&home->lock);
    return status;
}

hmt_status reference_weights_set(void *weights, const hmt_plan_weight *weight, hmt_slot slot,
                                 const float *values)
{
    reference_weights *home = weights;
    float *storage = NULL, *momentum = NULL;
    hmt_status status = reference_weights_find(home, weight, &storage,
                                               slot == HMT_SLOT_MOMENTUM ? &momentum : NULL);

    if (status == HMT_OK)
        memcpy(slot == HMT_SLOT_MOMENTUM ? momentum : storage, values,
               (size_t)count_of(weight) * sizeof(float));
    return status;
}
