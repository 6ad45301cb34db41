/*
 * From a host's pixels to the network's input (paper, section 4.2): RGB, resize, crop, mirror, and
 * from the 8-bit crops to normalised planes. Only what the crop needs is computed.
 */
#include <string.h>

#include "core/memory.h"
#include "core/random.h"
#include "image/image.h"

/* A square of the resized image. */
typedef struct square {
    int32_t left;
    int32_t top;
} square;

hmt_status image_from_pixels(const hmt_allocator *allocator, const hmt_pixels *pixels, image *out)
{
    static const int bytes_of[] = {3, 3, 4, 4, 1};
    int bytes = bytes_of[pixels->format];
    bool swapped = pixels->format == HMT_PIXEL_BGR || pixels->format == HMT_PIXEL_BGRA;
    int64_t stride = pixels->stride != 0 ? pixels->stride : (int64_t)bytes * pixels->width;
    hmt_status status = image_allocate(allocator, pixels->width, pixels->height, out);
    uint8_t *to = out->data;

    if (status != HMT_OK)
        return status;
    for (int32_t y = 0; y < pixels->height; ++y) {
        const uint8_t *from = pixels->data + y * stride;

        for (int32_t x = 0; x < pixels->width; ++x, from += bytes, to += 3)
            for (int c = 0; c < 3; ++c) {
                uint8_t level = from[bytes == 1 ? 0 : swapped ? 2 - c : c];

                to[c] = bytes == 4 ? image_over_white(level, from[3]) : level;
            }
    }
    return HMT_OK;
}

int32_t image_centre(int32_t length, int32_t crop)
{
    int32_t room = length - crop, half = room / 2;

    return half + (room % 2 != 0 && half % 2 != 0);
}

/* The squares to cut out of a width x height image; returns how many. */
static int squares(const hmt_preprocess_options *o, int32_t width, int32_t height, square at[5])
{
    int32_t right = width - o->crop_size, bottom = height - o->crop_size;
    square middle = {image_centre(width, o->crop_size), image_centre(height, o->crop_size)};

    if (o->crop == HMT_CROP_FIVE) {
        at[0] = (square){0, 0};
        at[1] = (square){right, 0};
        at[2] = (square){0, bottom};
        at[3] = (square){right, bottom};
        at[4] = middle;
        return 5;
    }
    at[0] = middle;
    if (o->crop == HMT_CROP_RANDOM) {
        at[0].left = (int32_t)(random_uniform(o->seed, 0) * (right + 1));
        at[0].top = (int32_t)(random_uniform(o->seed, 1) * (bottom + 1));
    }
    return 1;
}

void image_normalise(const uint8_t *crops, size_t count, size_t area, const float mean[3],
                     const float deviation[3], float *tensor)
{
    float table[3][256];

    for (int c = 0; c < 3; ++c)
        for (int level = 0; level < 256; ++level)
            table[c][level] = ((float)level / 255.0f - mean[c]) / deviation[c];
    for (size_t n = 0; n < count; ++n, tensor += 3 * area)
        for (size_t i = 0; i < area; ++i, crops += 3) {
            tensor[i] = table[0][crops[0]];
            tensor[area + i] = table[1][crops[1]];
            tensor[2 * area + i] = table[2][crops[2]];
        }
}

static void mirror_rows(const image *crop)
{
    for (int32_t y = 0; y < crop->height; ++y) {
        uint8_t *left = crop->data + 3 * (size_t)y * (size_t)crop->width;

        for (uint8_t *right = left + 3 * (crop->width - 1); left < right; left += 3, right -= 3)
            for (int c = 0; c < 3; ++c) {
                const uint8_t level = left[c];

                left[c] = right[c];
                right[c] = level;
            }
    }
}

hmt_status image_crops(const hmt_allocator *allocator, const hmt_pixels *pixels,
                       const hmt_preprocess_options *o, uint8_t *crops)
{
    bool dense = pixels->format == HMT_PIXEL_RGB &&
                 (pixels->stride == 0 || pixels->stride == 3 * (int64_t)pixels->width);
    image source = {(uint8_t *)pixels->data, pixels->width, pixels->height};
    image crop = {crops, o->crop_size, o->crop_size};
    bool mirror = o->flip == 1 || (o->flip == 2 && random_uniform(o->seed, 2) < 0.5);
    size_t bytes = 3 * (size_t)o->crop_size * (size_t)o->crop_size;
    int32_t width, height;
    square at[5];
    int count;
    hmt_status status = HMT_OK;

    if (!dense) {
        source.data = NULL;
        status = image_from_pixels(allocator, pixels, &source);
    }
    image_resized_size(pixels->width, pixels->height, o->resize, &width, &height);
    count = squares(o, width, height, at);
    for (int i = 0; i < count && status == HMT_OK; ++i) {
        status = image_resize(allocator, &source, width, height, at[i].left, at[i].top, &crop);
        if (status == HMT_OK && mirror)
            mirror_rows(&crop);
        crop.data += bytes;
    }
    if (!dense)
        memory_free(allocator, source.data);
    return status;
}

hmt_status image_preprocess(const hmt_allocator *allocator, const hmt_pixels *pixels,
                            const hmt_preprocess_options *o, float *tensor)
{
    const size_t area = (size_t)o->crop_size * (size_t)o->crop_size;
    const size_t count = o->crop == HMT_CROP_FIVE ? 5 : 1;
    void *crops;
    hmt_status status =
        memory_uninitialised(allocator, count * area, 3, "an image's crops", &crops);

    if (status != HMT_OK)
        return status;
    status = image_crops(allocator, pixels, o, crops);
    if (status == HMT_OK)
        image_normalise(crops, count, area, o->mean, o->deviation, tensor);
    memory_free(allocator, crops);
    return status;
}
