/* Making, ending and reading loaders (see loader.h). */
#include "data/loader.h"

#include <signal.h>

#include "api/context.h"
#include "api/images.h"
#include "api/options.h"
#include "core/float_mode.h"
#include "core/memory.h"
#include "core/processors.h"
#include "core/status.h"
#include "data/dataset.h"

enum { MOST_BATCH = 1 << 20, MOST_WORKERS = 256, MOST_SLOTS = 64, MOST_LENT = 8 };
static const uint64_t default_ahead = (uint64_t)256 << 20;

/* ---- making and ending ---- */

static hmt_status check_options(const hmt_loader_options *o, size_t samples)
{
    if (o->batch < 1 || o->batch > MOST_BATCH)
        return status_fail(HMT_ERROR_ARGUMENT, "options: batch is %zu, not in 1..%d", o->batch,
                           MOST_BATCH);
    if (o->workers < 0 || o->workers > MOST_WORKERS)
        return status_fail(HMT_ERROR_ARGUMENT, "options: workers is %d, not in 0..%d", o->workers,
                           MOST_WORKERS);
    if (o->lend < 0 || o->lend > MOST_LENT)
        return status_fail(HMT_ERROR_ARGUMENT, "options: lend is %d, not in 0..%d", o->lend,
                           MOST_LENT);
    if (o->indices == NULL && o->index_count > 0)
        return status_fail(HMT_ERROR_ARGUMENT, "options: indices is NULL, index_count is %zu",
                           o->index_count);
    for (size_t i = 0; i < o->index_count; ++i)
        if (o->indices[i] >= samples)
            return status_fail(HMT_ERROR_ARGUMENT,
                               "options: index %zu names sample %zu, there are %zu", i,
                               o->indices[i], samples);
    return HMT_OK;
}

/* The options as copies of our own, and checked by a first use. */
static hmt_status take_options(hmt_loader *loader, const hmt_loader_options *o)
{
    const hmt_preprocess_options plain = HMT_PREPROCESS_OPTIONS_INIT;
    const hmt_augment_options paper = HMT_AUGMENT_OPTIONS_INIT;
    size_t side;
    hmt_status status = HMT_OK;

    loader->options = *o;
    loader->lent = o->lend > 0 ? (uint64_t)o->lend : 1;
    loader->photos.preprocess = plain;
    loader->augment = paper;
    if (o->augment != NULL) {
        status = options_copy(&loader->augment, sizeof loader->augment, o->augment,
                              "hmt_augment_options");
        loader->photos.augment = &loader->augment;
    } else if (o->preprocess != NULL) {
        status = options_copy(&loader->photos.preprocess, sizeof loader->photos.preprocess,
                              o->preprocess, "hmt_preprocess_options");
    }
    if (status == HMT_OK)
        status = images_decode_options(o->decode, &loader->photos.decode);
    if (status != HMT_OK)
        return status;
    if (loader->photos.preprocess.crop == HMT_CROP_FIVE)
        return status_fail(HMT_ERROR_ARGUMENT, "options: a loader takes one crop of each photo");
    side = (size_t)(o->augment != NULL ? loader->augment.crop_size
                                       : loader->photos.preprocess.crop_size);
    if (side < 1 || side > 4096)
        return status_fail(HMT_ERROR_ARGUMENT, "options: crop_size is not in 1..4096");
    loader->floats = 3 * side * side;
    return HMT_OK;
}

static hmt_status take_indices(hmt_loader *loader, const hmt_loader_options *o, size_t samples)
{
    void *block;
    hmt_status status;

    loader->count = o->indices != NULL ? o->index_count : samples;
    loader->per_epoch = loader->count / o->batch;
    if (!o->drop_last && loader->count % o->batch != 0)
        ++loader->per_epoch;
    if (loader->per_epoch == 0)
        return status_fail(HMT_ERROR_ARGUMENT, "%zu samples do not fill a batch of %zu",
                           loader->count, o->batch);
    status = memory_uninitialised(loader->allocator, loader->count, 2 * sizeof(size_t),
                                  "a loader's order", &block);
    if (status != HMT_OK)
        return status;
    loader->indices = block;
    loader->order = loader->indices + loader->count;
    for (size_t i = 0; i < loader->count; ++i)
        loader->indices[i] = o->indices != NULL ? o->indices[i] : i;
    return HMT_OK;
}

/* As many buffers as fit in ahead_bytes: one more than are lent at least, and beyond those for a
 * whole epoch at most. */
static hmt_status make_slots(hmt_loader *loader)
{
    const size_t batch = loader->options.batch;
    const uint64_t bytes = (uint64_t)batch * loader->floats * sizeof(float);
    const uint64_t bound =
        loader->options.ahead_bytes > 0 ? loader->options.ahead_bytes : default_ahead;
    uint64_t slots = bound / bytes;
    void *block;
    hmt_status status;

    slots = slots > MOST_SLOTS ? MOST_SLOTS : slots;
    if (slots > loader->per_epoch + loader->lent)
        slots = loader->per_epoch + loader->lent;
    if (slots < loader->lent + 1)
        slots = loader->lent + 1;
    status =
        memory_zeroed(loader->allocator, (size_t)slots, sizeof *loader->slots, "a loader", &block);
    if (status != HMT_OK)
        return status;
    loader->slots = block;
    loader->slot_count = (size_t)slots;
    for (size_t i = 0; i < loader->slot_count; ++i) {
        slot *s = &loader->slots[i];

        status = memory_uninitialised(loader->allocator, batch, loader->floats * sizeof(float),
                                      "a loader's batch", &block);
        if (status != HMT_OK)
            return status;
        s->images = block;
        status = memory_uninitialised(loader->allocator, batch,
                                      sizeof(size_t) + 2 * sizeof(int32_t) + sizeof(float),
                                      "a loader's labels", &block);
        if (status != HMT_OK)
            return status;
        s->samples = block;
        s->gender = (int32_t *)(s->samples + batch);
        s->race = s->gender + batch;
        s->score = (float *)(s->race + batch);
    }
    return HMT_OK;
}

static size_t worker_count(const hmt_loader_options *o)
{
    return (size_t)(o->workers > 0 ? o->workers : (processors_available() + 3) / 4);
}

/* Workers are started with every signal blocked, so that signals reach the host's own threads. */
static hmt_status start_workers(hmt_loader *loader)
{
    const size_t wanted = worker_count(&loader->options);
    sigset_t all, before;
    void *block;
    hmt_status status = memory_zeroed(loader->allocator, wanted, sizeof *loader->threads,
                                      "a loader's threads", &block);

    if (status != HMT_OK)
        return status;
    loader->threads = block;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (loader->started < wanted &&
           pthread_create(&loader->threads[loader->started], NULL, loader_work, loader) == 0)
        ++loader->started;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return loader->started > 0 ? HMT_OK
                               : status_fail(HMT_ERROR_STATE, "a loader's thread did not start");
}

static hmt_status make_locks(hmt_loader *loader)
{
    if (pthread_mutex_init(&loader->lock, NULL) != 0)
        return status_fail(HMT_ERROR_MEMORY, "out of memory for a lock");
    if (pthread_cond_init(&loader->work, NULL) != 0) {
        pthread_mutex_destroy(&loader->lock);
        return status_fail(HMT_ERROR_MEMORY, "out of memory for a lock");
    }
    if (pthread_cond_init(&loader->filled, NULL) != 0) {
        pthread_cond_destroy(&loader->work);
        pthread_mutex_destroy(&loader->lock);
        return status_fail(HMT_ERROR_MEMORY, "out of memory for a lock");
    }
    return HMT_OK;
}

/* What was allocated, without threads, locks and kept photos. */
static void release(hmt_loader *loader)
{
    hmt_context *context = (hmt_context *)loader->photos.context;
    hmt_dataset *dataset = (hmt_dataset *)loader->photos.dataset;

    for (size_t i = 0; i < loader->slot_count; ++i) {
        memory_free(loader->allocator, loader->slots[i].images);
        memory_free(loader->allocator, loader->slots[i].samples);
    }
    memory_free(loader->allocator, loader->slots);
    memory_free(loader->allocator, loader->indices);
    memory_free(loader->allocator, loader->threads);
    memory_free(loader->allocator, loader);
    hmt_dataset_free(dataset);
    context_release(context); /* whose allocator that was */
}

hmt_status hmt_loader_create(const hmt_context *context, const hmt_dataset *dataset,
                             const hmt_loader_options *options, hmt_loader **out)
{
    hmt_loader_options o = HMT_LOADER_OPTIONS_INIT;
    hmt_loader *loader;
    void *block;
    hmt_status status;

    status_clear();
    if (dataset == NULL || out == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_loader_create: dataset or loader is NULL");
    status = options_copy(&o, sizeof o, options, "hmt_loader_options");
    if (status == HMT_OK)
        status = check_options(&o, hmt_dataset_count(dataset));
    if (status == HMT_OK)
        status = memory_zeroed(context_allocator(context), 1, sizeof *loader, "a loader", &block);
    if (status != HMT_OK)
        return status;
    loader = block;
    loader->allocator = context_allocator(context);
    loader->photos.context = context; /* both live on as long as the loader */
    loader->photos.dataset = dataset;
    context_hold(context);
    dataset_hold(dataset);
    loader->order_epoch = UINT64_MAX;
    status = take_options(loader, &o);
    if (status == HMT_OK)
        status = take_indices(loader, &o, hmt_dataset_count(dataset));
    if (status == HMT_OK)
        status = make_slots(loader);
    if (status == HMT_OK)
        status = photos_open(&loader->photos, o.keep_bytes);
    if (status != HMT_OK) {
        release(loader);
        return status;
    }
    status = make_locks(loader);
    if (status != HMT_OK) {
        photos_close(&loader->photos);
        release(loader);
        return status;
    }
    owner_take(&loader->owner);
    status = start_workers(loader);
    if (status != HMT_OK) {
        hmt_loader_free(loader);
        return status;
    }
    *out = loader;
    return HMT_OK;
}

/* In a child after fork(): there are no workers, and what they were doing is begun anew. The lock
 * may have been anybody's. */
static hmt_status adopt(hmt_loader *loader)
{
    if (owner_is_here(&loader->owner))
        return HMT_OK;
    owner_release(&loader->owner);
    owner_take(&loader->owner);
    photos_adopt(&loader->photos);
    loader->started = 0;
    loader->busy = 0;
    loader->next_batch = loader->taken;
    loader->next_place = 0;
    loader->order_epoch = UINT64_MAX;
    loader->paused = false;
    for (uint64_t i = loader->taken; i < loader->released + loader->slot_count; ++i)
        loader->slots[i % loader->slot_count].size = loader->slots[i % loader->slot_count].done = 0;
    return make_locks(loader);
}

void hmt_loader_free(hmt_loader *loader)
{
    if (loader == NULL || adopt(loader) != HMT_OK)
        return;
    pthread_mutex_lock(&loader->lock);
    loader->stop = true;
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->lock);
    for (size_t i = 0; i < loader->started; ++i)
        pthread_join(loader->threads[i], NULL);
    pthread_cond_destroy(&loader->filled);
    pthread_cond_destroy(&loader->work);
    pthread_mutex_destroy(&loader->lock);
    photos_close(&loader->photos);
    owner_release(&loader->owner);
    release(loader);
}

/* ---- taking batches ---- */

uint64_t hmt_loader_batches(const hmt_loader *loader)
{
    return loader != NULL ? loader->per_epoch : 0;
}

hmt_status hmt_loader_seek(hmt_loader *loader, uint64_t epoch, uint64_t batch)
{
    uint64_t number;

    status_clear();
    if (loader == NULL || batch > loader->per_epoch || epoch > UINT32_MAX)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "hmt_loader_seek: loader is NULL, or no epoch has a batch %llu",
                           (unsigned long long)batch);
    if (adopt(loader) != HMT_OK)
        return HMT_ERROR_MEMORY;
    number = epoch * loader->per_epoch + batch;
    pthread_mutex_lock(&loader->lock);
    loader->paused = true;
    while (loader->busy > 0)
        pthread_cond_wait(&loader->filled, &loader->lock);
    loader->next_batch = loader->taken = loader->released = number;
    loader->next_place = 0;
    loader->at_end = batch == loader->per_epoch;
    for (size_t i = 0; i < loader->slot_count; ++i)
        loader->slots[i].size = loader->slots[i].done = 0;
    loader->paused = false;
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->lock);
    return HMT_OK;
}

/* Waits until the batch is whole, or makes it so. Under the lock. */
static slot *wait_for(hmt_loader *loader, uint64_t number)
{
    slot *s = &loader->slots[number % loader->slot_count];

    while (loader->next_batch < number ||
           (loader->next_batch == number && loader->next_place == 0) || s->done < s->size)
        if (loader->started > 0) {
            pthread_cond_wait(&loader->filled, &loader->lock);
        } else {
            pthread_mutex_unlock(&loader->lock);
            (void)loader_fill(loader);
            pthread_mutex_lock(&loader->lock);
        }
    return s;
}

/* Takes the oldest batch back, if as many as may be are lent, and gives the next one's buffer; NULL
 * at the end of an epoch. */
static slot *next_slot(hmt_loader *loader)
{
    slot *s = NULL;

    pthread_mutex_lock(&loader->lock);
    if (loader->taken - loader->released == loader->lent) {
        ++loader->released;
        pthread_cond_broadcast(&loader->work);
    }
    if (loader->at_end) {
        loader->at_end = false;
    } else {
        s = wait_for(loader, loader->taken++);
        loader->at_end = loader->taken % loader->per_epoch == 0;
    }
    pthread_mutex_unlock(&loader->lock);
    return s;
}

hmt_status hmt_loader_next(hmt_loader *loader, hmt_batch *out, const size_t **samples)
{
    FLOAT_MODE_DEFAULT;
    hmt_batch batch = HMT_BATCH_INIT;
    const slot *s;
    hmt_status status;

    status_clear();
    if (loader == NULL || out == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_loader_next: loader or batch is NULL");
    status = options_check(out, "hmt_batch"); /* before a batch is taken */
    if (status != HMT_OK)
        return status;
    if (adopt(loader) != HMT_OK)
        return HMT_ERROR_MEMORY;
    s = next_slot(loader);
    if (s != NULL && s->status != HMT_OK)
        return status_fail(s->status, "%s", s->message);
    if (s != NULL) {
        batch.count = s->size;
        batch.images = s->images;
        batch.gender = s->gender;
        batch.race = s->race;
        batch.score = s->score;
    }
    status = options_give(out, &batch, sizeof batch, "hmt_batch");
    if (status == HMT_OK && samples != NULL)
        *samples = s != NULL ? s->samples : NULL;
    return status;
}
