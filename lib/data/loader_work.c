/* What a loader's workers do (see loader.h). */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/context.h"
#include "core/float_mode.h"
#include "core/status.h"
#include "data/loader.h"
#include "data/order.h"

/* Chooses the samples of batch `number`. Under the lock. */
static void begin_batch(hmt_loader *loader, uint64_t number, slot *s)
{
    const uint64_t epoch = number / loader->per_epoch;
    const size_t first = (size_t)(number % loader->per_epoch) * loader->options.batch;
    const size_t left = loader->count - first;

    if (loader->order_epoch != epoch) {
        order_fill(loader->order, loader->count, loader->options.shuffle != 0, loader->options.seed,
                   epoch);
        loader->order_epoch = epoch;
    }
    s->size = left < loader->options.batch ? left : loader->options.batch;
    s->done = 0;
    s->bad_place = s->size;
    s->status = HMT_OK;
    for (size_t i = 0; i < s->size; ++i)
        s->samples[i] = loader->indices[loader->order[first + i]];
}

/* Takes the next place to fill; waits for one. false: the loader ends. */
static bool take(hmt_loader *loader, uint64_t *batch, size_t *place)
{
    bool any;

    pthread_mutex_lock(&loader->lock);
    while (!loader->stop &&
           (loader->paused || loader->next_batch >= loader->released + loader->slot_count))
        pthread_cond_wait(&loader->work, &loader->lock);
    any = !loader->stop;
    if (any) {
        slot *s = &loader->slots[loader->next_batch % loader->slot_count];

        if (loader->next_place == 0)
            begin_batch(loader, loader->next_batch, s);
        *batch = loader->next_batch;
        *place = loader->next_place++;
        if (loader->next_place == s->size) {
            loader->next_place = 0;
            ++loader->next_batch;
        }
        ++loader->busy;
    }
    pthread_mutex_unlock(&loader->lock);
    return any;
}

static void set_labels(const hmt_loader *loader, slot *s, size_t place, bool known)
{
    hmt_sample sample = HMT_SAMPLE_INIT;

    (void)hmt_dataset_sample(loader->photos.dataset, s->samples[place], &sample);
    s->gender[place] = known ? sample.gender : -1;
    s->race[place] = known ? sample.race : -1;
    s->score[place] = known ? sample.score : NAN;
}

/* Loads a sample that may be left out: HMT_ERROR_NOT_FOUND if it cannot be read, which the
 * context's log is told once. */
static hmt_status try_sample(hmt_loader *loader, uint64_t epoch, size_t sample, float *tensor)
{
    const hmt_context *context = loader->photos.context;
    hmt_status status;

    if (photos_is_bad(&loader->photos, sample))
        return HMT_ERROR_NOT_FOUND;
    status = photos_tensor(&loader->photos, sample,
                           order_sample_seed(loader->options.seed, epoch, sample), tensor);
    if (status == HMT_OK || status == HMT_ERROR_MEMORY)
        return status;
    if (photos_mark_bad(&loader->photos, sample) && context != NULL && context->options.log != NULL)
        context->options.log(context->options.log_user, HMT_LOG_WARNING, hmt_last_error());
    return HMT_ERROR_NOT_FOUND;
}

/* Where a sample stands in the loader's list. */
static size_t find_index(const hmt_loader *loader, size_t sample)
{
    size_t at = 0;

    while (loader->indices[at] != sample)
        ++at;
    return at;
}

/* Loads one place, whatever can be read: see skip_bad. */
static hmt_status fill_anyhow(hmt_loader *loader, uint64_t epoch, slot *s, size_t place)
{
    float *tensor = s->images + place * loader->floats;
    hmt_status status = try_sample(loader, epoch, s->samples[place], tensor);

    if (status == HMT_ERROR_NOT_FOUND && loader->options.shuffle) {
        const size_t first = find_index(loader, s->samples[place]);

        for (size_t i = 1; i < loader->count && status == HMT_ERROR_NOT_FOUND; ++i) {
            s->samples[place] = loader->indices[(first + i) % loader->count];
            status = try_sample(loader, epoch, s->samples[place], tensor);
        }
        if (status == HMT_ERROR_NOT_FOUND)
            return status_fail(status, "none of %zu photos can be read", loader->count);
    }
    if (status == HMT_ERROR_NOT_FOUND)
        memset(tensor, 0, loader->floats * sizeof *tensor);
    else if (status != HMT_OK)
        return status;
    set_labels(loader, s, place, status == HMT_OK);
    return HMT_OK;
}

static hmt_status fill(hmt_loader *loader, uint64_t epoch, slot *s, size_t place)
{
    const size_t sample = s->samples[place];

    if (loader->options.skip_bad)
        return fill_anyhow(loader, epoch, s, place);
    set_labels(loader, s, place, true);
    return photos_tensor(&loader->photos, sample,
                         order_sample_seed(loader->options.seed, epoch, sample),
                         s->images + place * loader->floats);
}

bool loader_fill(hmt_loader *loader)
{
    uint64_t batch;
    size_t place;
    slot *s;
    hmt_status status;

    if (!take(loader, &batch, &place))
        return false;
    s = &loader->slots[batch % loader->slot_count];
    status = fill(loader, batch / loader->per_epoch, s, place);
    pthread_mutex_lock(&loader->lock);
    if (status != HMT_OK && place < s->bad_place) {
        s->bad_place = place;
        s->status = status;
        snprintf(s->message, sizeof s->message, "%s", hmt_last_error());
    }
    --loader->busy;
    ++s->done;
    pthread_cond_broadcast(&loader->filled);
    pthread_mutex_unlock(&loader->lock);
    return true;
}

void *loader_work(void *argument)
{
    FLOAT_MODE_DEFAULT;
    while (loader_fill(argument))
        ;
    return NULL;
}
