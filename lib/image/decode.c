/*
 * Decoding: what kind of file it is, limits, progress, orientation. The codecs are in jpeg.c and
 * png.c.
 */
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "image/image.h"

hmt_status image_check_size(int64_t width, int64_t height, uint64_t max_pixels)
{
    if (width < 1 || height < 1)
        return status_fail(HMT_ERROR_FORMAT, "the image is %lld x %lld pixels", (long long)width,
                           (long long)height);
    if (width > IMAGE_LONGEST_SIDE || height > IMAGE_LONGEST_SIDE)
        return status_fail(HMT_ERROR_LIMIT,
                           "the image is %lld x %lld pixels, more than %d on a side",
                           (long long)width, (long long)height, IMAGE_LONGEST_SIDE);
    if ((uint64_t)width * (uint64_t)height > max_pixels)
        return status_fail(HMT_ERROR_LIMIT,
                           "the image is %lld x %lld pixels, more than max_pixels, %llu: raise it "
                           "to decode such images",
                           (long long)width, (long long)height, (unsigned long long)max_pixels);
    return HMT_OK;
}

hmt_status image_check_memory(const decoding *d, uint64_t bytes)
{
    if (bytes <= d->options.max_memory)
        return HMT_OK;
    return status_fail(HMT_ERROR_LIMIT,
                       "decoding the image takes %llu bytes, more than max_memory, %llu: raise it "
                       "to decode such images",
                       (unsigned long long)bytes, (unsigned long long)d->options.max_memory);
}

hmt_status image_progress(decoding *d, uint64_t done, uint64_t total)
{
    enum { INTERVAL = 1 << 20 }; /* about 10 ms of work */

    if (d->progress == NULL || done < d->told)
        return HMT_OK;
    d->told = done + INTERVAL;
    if (d->progress(d->progress_user, "decode", done < total ? done : total, total) == 0)
        return HMT_OK;
    return status_fail(HMT_ERROR_CANCELLED, "decode cancelled by the host at %llu of %llu pixels",
                       (unsigned long long)done, (unsigned long long)total);
}

hmt_status image_check_resized(int32_t width, int32_t height)
{
    if ((int64_t)width * height <= IMAGE_MOST_PIXELS)
        return HMT_OK;
    return status_fail(HMT_ERROR_LIMIT,
                       "resized, the image would have %d x %d pixels, more than %d in all: crop it "
                       "first",
                       width, height, IMAGE_MOST_PIXELS);
}

hmt_status image_allocate(const hmt_allocator *allocator, int32_t width, int32_t height, image *out)
{
    void *block;
    hmt_status status =
        memory_uninitialised(allocator, (size_t)width * (size_t)height, 3, "an image", &block);

    if (status == HMT_OK)
        *out = (image){block, width, height};
    return status;
}

/* HMT_ERROR_LIMIT if there is no room for the second copy. */
static hmt_status turn_upright(const decoding *d, decoded *result)
{
    const uint64_t count = (uint64_t)result->image.width * (uint64_t)result->image.height;
    hmt_status status = HMT_OK;

    if (d->options.ignore_orientation != 0)
        return HMT_OK;
    if (result->orientation > 1)
        status = image_check_memory(d, 6 * count);
    if (status == HMT_OK)
        status = image_orient(d->allocator, &result->image, result->orientation);
    return status;
}

hmt_status image_decode(decoding *d, image *out, bool *truncated)
{
    static const uint8_t jpeg[3] = {0xff, 0xd8, 0xff},
                         png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    decoded result = {{NULL, 0, 0}, 1, false};
    hmt_status status;

    if (d->size > d->options.max_bytes)
        return status_fail(HMT_ERROR_LIMIT,
                           "the encoded image has %zu bytes, more than max_bytes, %llu: raise it "
                           "to decode such images",
                           d->size, (unsigned long long)d->options.max_bytes);
    if (d->size >= sizeof jpeg && memcmp(d->data, jpeg, sizeof jpeg) == 0)
        status = image_decode_jpeg(d, &result);
    else if (d->size >= sizeof png && memcmp(d->data, png, sizeof png) == 0)
        status = image_decode_png(d, &result);
    else
        status = image_refuse(d->data, d->size);
    if (status == HMT_OK)
        status = turn_upright(d, &result);
    if (status != HMT_OK) {
        memory_free(d->allocator, result.image.data);
        return status;
    }
    *out = result.image;
    *truncated = result.truncated;
    return HMT_OK;
}
