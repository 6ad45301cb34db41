/*
 * Parameters on the CPU: found in the model's own storage or packed into oneDNN's layouts, once for
 * all execs. A mutex guards the list; the values of masters belong to the one exec that trains.
 */
#include "weights.h"

#include <pthread.h>
#include <string.h>

#include "copy.h"

struct weights {
    const device *device;
    const hmt_source *source;
    pthread_mutex_t lock;
    packed *list;
};

hmt_status weights_create(void *opened, const hmt_source *source, void **out)
{
    const device *d = opened;
    weights *w;
    void *block;
    hmt_status status = device_allocate(d, sizeof *w, "the weights", &block);

    if (status != HMT_OK)
        return status;
    w = block;
    *w = (weights){.device = d, .source = source};
    if (pthread_mutex_init(&w->lock, NULL) != 0) {
        device_free(d, w);
        return d->host->fail(HMT_ERROR_MEMORY, "cannot make a mutex for the weights");
    }
    *out = w;
    return HMT_OK;
}

const void *weights_stored(const weights *w, const hmt_plan_weight *weight, hmt_dtype *dtype,
                           const float **scales)
{
    *dtype = HMT_DTYPE_F32;
    *scales = NULL;
    return w->source->stored != NULL ? w->source->stored(w->source->user, weight, dtype, scales)
                                     : NULL;
}

hmt_status weights_read(const weights *w, const hmt_plan_weight *weight, int64_t first,
                        int64_t count, float *values)
{
    return w->source->read(w->source->user, weight, first, count, values);
}

static void drop(weights *w, packed *p)
{
    dnnl_memory_desc_destroy(p->md);
    if (p->owned)
        device_free(w->device, p->data);
    device_free(w->device, p->momentum);
    device_free(w->device, p);
}

void weights_destroy(void *home)
{
    weights *w = home;

    if (w == NULL)
        return;
    while (w->list != NULL) {
        packed *next = w->list->next;

        drop(w, w->list);
        w->list = next;
    }
    pthread_mutex_destroy(&w->lock);
    device_free(w->device, w);
}

/* Whether the weight is its parameter unchanged. */
static int is_plain_parameter(const hmt_plan_weight *weight)
{
    return weight->param >= 0 && weight->fold[2] < 0 && weight->scale == 1.0f;
}

static int same_value(const hmt_plan_weight *a, const hmt_plan_weight *b)
{
    return a->param == b->param && a->is_bias == b->is_bias && a->scale == b->scale &&
           a->epsilon == b->epsilon && memcmp(a->fold, b->fold, sizeof a->fold) == 0 &&
           memcmp(a->shape, b->shape, sizeof a->shape) == 0;
}

static packed *find_master(const weights *w, const hmt_plan_weight *weight)
{
    packed *p = NULL;

    if (is_plain_parameter(weight))
        for (p = w->list; p != NULL; p = p->next)
            if (p->key.trained && p->key.param == weight->param)
                break;
    return p;
}

static packed *find_copy(const weights *w, const hmt_plan_weight *weight,
                         const_dnnl_memory_desc_t md, int32_t form)
{
    packed *p = find_master(w, weight);

    if (p != NULL)
        return p;
    for (p = w->list; p != NULL && !weight->trained; p = p->next)
        if (!p->key.trained && same_value(&p->key, weight) && p->form == form &&
            dnnl_memory_desc_equal(p->md, md))
            return p;
    return NULL;
}

static size_t dense_bytes(const hmt_plan_weight *weight)
{
    return (size_t)(weight->shape[0] * weight->shape[1] * weight->shape[2] * weight->shape[3]) *
           sizeof(float);
}

static hmt_status copy(const weights *w, const packed *p, const_dnnl_memory_desc_t from_md,
                       const float *from, const_dnnl_memory_desc_t to_md, float *to)
{
    if (copy_whole(from_md, from, to_md, to))
        return HMT_OK;
    return w->device->host->fail(HMT_ERROR_BACKEND, "%s: its layout is not known", p->key.name);
}

/* Fills a copy of ours from the source: by the form, straight into it if it is plain, else through
 * the model's storage or a passing dense copy. */
static hmt_status fill(const weights *w, packed *p, const_dnnl_memory_desc_t plain, const float *at,
                       const weights_form *form)
{
    void *dense = NULL;
    hmt_status status = HMT_OK;

    if (form != NULL)
        return form->pack(form->user, w, &p->key, p->data);
    if (dnnl_memory_desc_equal(p->md, plain))
        return weights_read(w, &p->key, 0, p->key.shape[0], p->data);
    if (at == NULL) {
        status = device_allocate(w->device, dense_bytes(&p->key), p->key.name, &dense);
        if (status == HMT_OK)
            status = weights_read(w, &p->key, 0, p->key.shape[0], dense);
        if (status != HMT_OK)
            goto done;
        at = dense;
    }
    status = copy(w, p, plain, at, p->md, p->data);
done:
    device_free(w->device, dense);
    return status;
}

static hmt_status make(weights *w, const hmt_plan_weight *weight, const_dnnl_memory_desc_t md,
                       const weights_form *form, packed **out)
{
    dnnl_memory_desc_t plain = NULL;
    float *at = w->source->view(w->source->user, weight);
    packed *p;
    void *block;
    hmt_status status = device_allocate(w->device, sizeof *p, weight->name, &block);

    if (status != HMT_OK)
        return status;
    p = block;
    *p = (packed){.key = *weight,
                  .bytes = dnnl_memory_desc_get_size(md),
                  .form = form != NULL ? form->id : 0};
    status = device_check(w->device, weight->name, "dnnl_memory_desc_clone",
                          dnnl_memory_desc_clone(&p->md, md));
    if (status == HMT_OK)
        status = device_check(w->device, weight->name, "dnnl_memory_desc_create_with_tag",
                              device_plain_md(md, &plain));
    if (status != HMT_OK)
        goto done;
    if (at != NULL && form == NULL && dnnl_memory_desc_equal(md, plain)) {
        p->data = at;
    } else {
        status = device_allocate(w->device, p->bytes, weight->name, &block);
        if (status != HMT_OK)
            goto done;
        p->data = block;
        p->owned = 1;
        status = fill(w, p, plain, at, form);
    }
done:
    dnnl_memory_desc_destroy(plain);
    if (status == HMT_OK)
        *out = p;
    else
        drop(w, p);
    return status;
}

hmt_status weights_acquire(weights *w, const hmt_plan_weight *weight, const_dnnl_memory_desc_t md,
                           const weights_form *form, packed **out)
{
    hmt_status status = HMT_OK;
    packed *p;

    pthread_mutex_lock(&w->lock);
    p = find_copy(w, weight, md, form != NULL ? form->id : 0);
    if (p == NULL) {
        status = make(w, weight, md, form, &p);
        if (status == HMT_OK) {
            p->next = w->list;
            w->list = p;
        }
    }
    if (status == HMT_OK) {
        ++p->users;
        *out = p;
    }
    pthread_mutex_unlock(&w->lock);
    return status;
}

int weights_has_master(weights *w, const hmt_plan_weight *weight)
{
    int has;

    pthread_mutex_lock(&w->lock);
    has = find_master(w, weight) != NULL;
    pthread_mutex_unlock(&w->lock);
    return has;
}

/* Copies that nobody uses any more go; masters stay, for weights_get(). */
void weights_release(weights *w, packed *p)
{
    packed **link;

    pthread_mutex_lock(&w->lock);
    if (--p->users == 0 && !p->key.trained) {
        for (link = &w->list; *link != p; link = &(*link)->next)
            ;
        *link = p->next;
        drop(w, p);
    }
    pthread_mutex_unlock(&w->lock);
}

hmt_status weights_momentum(weights *w, packed *p)
{
    hmt_status status = HMT_OK;
    void *block;

    pthread_mutex_lock(&w->lock);
    if (p->momentum == NULL) {
        status = device_allocate(w->device, p->bytes, "the momentum", &block);
        if (status == HMT_OK)
            p->momentum = memset(block, 0, p->bytes);
    }
    pthread_mutex_unlock(&w->lock);
    return status;
}

/* Between a master's layout and dense float32, either way. */
static hmt_status transfer(const weights *w, const packed *p, float *slot, float *values,
                           int outwards)
{
    dnnl_memory_desc_t plain;
    hmt_status status = device_check(w->device, p->key.name, "dnnl_memory_desc_create_with_tag",
                                     device_plain_md(p->md, &plain));

    if (status != HMT_OK)
        return status;
    if (dnnl_memory_desc_equal(p->md, plain)) /* the two may be one and the same storage */
        memmove(outwards ? values : slot, outwards ? slot : values, p->bytes);
    else if (outwards)
        status = copy(w, p, p->md, slot, plain, values);
    else
        status = copy(w, p, plain, values, p->md, slot);
    dnnl_memory_desc_destroy(plain);
    return status;
}

hmt_status weights_get(void *home, const hmt_plan_weight *weight, hmt_slot slot, float *values)
{
    weights *w = home;
    packed *p;

    pthread_mutex_lock(&w->lock);
    p = find_master(w, weight);
    pthread_mutex_unlock(&w->lock);
    if (p != NULL && (slot == HMT_SLOT_VALUE || p->momentum != NULL))
        return transfer(w, p, slot == HMT_SLOT_VALUE ? p->data : p->momentum, values, 1);
    if (slot == HMT_SLOT_VALUE)
        return weights_read(w, weight, 0, weight->shape[0], values);
    memset(values, 0, dense_bytes(weight));
    return HMT_OK;
}

hmt_status weights_set(void *home, const hmt_plan_weight *weight, hmt_slot slot,
                       const float *values)
{
    weights *w = home;
    packed *p;
    hmt_status status = HMT_OK;

    pthread_mutex_lock(&w->lock);
    p = find_master(w, weight);
    pthread_mutex_unlock(&w->lock);
    if (p == NULL)
        return w->device->host->fail(HMT_ERROR_STATE, "%s: no plan trains this parameter yet",
                                     weight->name);
    if (slot == HMT_SLOT_MOMENTUM)
        status = weights_momentum(w, p);
    if (status != HMT_OK)
        return status;
    return transfer(w, p, slot == HMT_SLOT_VALUE ? p->data : p->momentum, (float *)values, 0);
}

uint64_t weights_bytes(weights *w)
{
    uint64_t bytes = 0;

    pthread_mutex_lock(&w->lock);
    for (const packed *p = w->list; p != NULL; p = p->next)
        bytes += (p->owned ? p->bytes : 0) + (p->momentum != NULL ? p->bytes : 0);
    pthread_mutex_unlock(&w->lock);
    return bytes;
}
