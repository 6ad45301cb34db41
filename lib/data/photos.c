/* Photos as tensors (see photos.h). */
#include "data/photos.h"

#include <string.h>

#include "api/context.h"
#include "api/images.h"
#include "core/memory.h"
#include "core/status.h"

static int32_t shorter_side(const photos *p)
{
    return p->augment != NULL ? p->augment->resize : p->preprocess.resize;
}

hmt_status photos_open(photos *p, uint64_t keep_bytes)
{
    const hmt_allocator *allocator = context_allocator(p->context);
    void *block;
    hmt_status status;

    p->count = hmt_dataset_count(p->dataset);
    p->bound = keep_bytes;
    p->decode.min_side = shorter_side(p);
    status = memory_zeroed(allocator, p->count, sizeof *p->bad, "photos", &block);
    if (status != HMT_OK)
        return status;
    p->bad = block;
    if (keep_bytes > 0) {
        status = memory_zeroed(allocator, p->count, sizeof *p->kept, "photos to keep", &block);
        p->kept = status == HMT_OK ? block : NULL;
    }
    if (status == HMT_OK && pthread_mutex_init(&p->lock, NULL) != 0)
        status = status_fail(HMT_ERROR_MEMORY, "out of memory for a lock");
    if (status != HMT_OK) {
        memory_free(allocator, p->kept);
        memory_free(allocator, p->bad);
    }
    return status;
}

void photos_close(photos *p)
{
    const hmt_allocator *allocator = context_allocator(p->context);

    for (size_t i = 0; p->kept != NULL && i < p->count; ++i)
        memory_free(allocator, (void *)p->kept[i].data);
    memory_free(allocator, p->kept);
    memory_free(allocator, p->bad);
    pthread_mutex_destroy(&p->lock);
}

void photos_adopt(photos *p)
{
    pthread_mutex_init(&p->lock, NULL);
    p->bound = 0; /* what another thread was about to keep is not to be trusted */
    p->kept = NULL;
}

bool photos_mark_bad(photos *p, size_t sample)
{
    bool news;

    pthread_mutex_lock(&p->lock);
    news = !p->bad[sample];
    p->bad[sample] = true;
    pthread_mutex_unlock(&p->lock);
    return news;
}

bool photos_is_bad(photos *p, size_t sample)
{
    bool bad;

    pthread_mutex_lock(&p->lock);
    bad = p->bad[sample];
    pthread_mutex_unlock(&p->lock);
    return bad;
}

/* Puts "TABLE:LINE: PATH: " in front of this thread's message. */
static hmt_status fail_at(const hmt_sample *sample, hmt_status status)
{
    return sample->line > 0 ? status_fail_at_line(status, sample->table, sample->line)
                            : status_fail_at(status, sample->name);
}

/* Decodes a sample's photo and resizes it. */
static hmt_status read_photo(const photos *p, const hmt_sample *sample, hmt_pixels *resized)
{
    hmt_pixels whole;
    hmt_status status = images_decode_file(p->context, false, sample->path, &p->decode, &whole);

    if (status == HMT_OK) {
        status = hmt_resize(p->context, &whole, shorter_side(p), resized);
        hmt_pixels_free(p->context, &whole);
    }
    return status == HMT_OK ? HMT_OK : fail_at(sample, status);
}

/* Keeps a photo if there is room, and if no other thread was faster. Returns whether it was. */
static bool keep(photos *p, size_t sample, const hmt_pixels *resized)
{
    const uint64_t bytes = (uint64_t)(3 * (int64_t)resized->width * resized->height);
    bool kept = false;

    pthread_mutex_lock(&p->lock);
    if (p->kept != NULL && p->kept[sample].data == NULL && bytes <= p->bound - p->bytes) {
        p->kept[sample] = *resized;
        p->bytes += bytes;
        kept = true;
    }
    pthread_mutex_unlock(&p->lock);
    return kept;
}

static hmt_status to_tensor(const photos *p, const hmt_pixels *resized, uint64_t seed,
                            float *tensor)
{
    const size_t crop =
        (size_t)(p->augment != NULL ? p->augment->crop_size : p->preprocess.crop_size);

    if (p->augment != NULL)
        return hmt_augment(p->context, resized, p->augment, seed, tensor, 3 * crop * crop);
    return hmt_preprocess(p->context, resized, &p->preprocess, tensor, 3 * crop * crop);
}

hmt_status photos_tensor(photos *p, size_t sample, uint64_t seed, float *tensor)
{
    hmt_sample about = HMT_SAMPLE_INIT;
    hmt_pixels resized = {0};
    bool kept;
    hmt_status status = hmt_dataset_sample(p->dataset, sample, &about);

    if (status != HMT_OK)
        return status;
    pthread_mutex_lock(&p->lock);
    if (p->kept != NULL)
        resized = p->kept[sample];
    pthread_mutex_unlock(&p->lock);
    kept = resized.data != NULL; /* what is kept stays until the end */
    if (!kept) {
        status = read_photo(p, &about, &resized);
        kept = status == HMT_OK && keep(p, sample, &resized);
    }
    if (status == HMT_OK) {
        status = to_tensor(p, &resized, seed, tensor);
        if (status != HMT_OK)
            status = fail_at(&about, status);
    }
    if (!kept)
        hmt_pixels_free(p->context, &resized);
    return status;
}
