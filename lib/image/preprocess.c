/*
 * From a host's pixels to the network's input (paper, section 4.2): RGB, resize, crop, normalise.
 * Only what the crop needs is computed.
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
    hmt_status status = image_allocate(allocator, pixels->width, pixels->height, 0, out);
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

/* (level / 255 - mean) / deviation, from interleaved levels to planes, mirrored if asked for. */
static void normalise(const image *crop, const hmt_preprocess_options *o, bool mirror,
                      float *tensor)
{
    size_t area = (size_t)crop->width * (size_t)crop->height;
    float table[3][256];

    for (int c = 0; c < 3; ++c)
        for (int level = 0; level < 256; ++level)
            table[c][level] = ((float)level / 255.0f - o->mean[c]) / o->deviation[c];
    for (int32_t y = 0; y < crop->height; ++y) {
        const uint8_t *from = crop->data + 3 * (size_t)y * (size_t)crop->width;
        float *row = tensor + (size_t)y * (size_t)crop->width + (mirror ? crop->width - 1 : 0);

        for (int32_t x = 0; x < crop->width; ++x, from += 3, row += mirror ? -1 : 1) {
            row[0] = table[0][from[0]];
            row[area] = table[1][from[1]];
            row[2 * area] = table[2][from[2]];
        }
    }
}

hmt_status image_preprocess(const hmt_allocator *allocator, const hmt_pixels *pixels,
                            const hmt_preprocess_options *o, float *tensor)
{
    bool dense = pixels->format == HMT_PIXEL_RGB &&
                 (pixels->stride == 0 || pixels->stride == 3 * (int64_t)pixels->width);
    image source = {(uint8_t *)pixels->data, pixels->width, pixels->height}, crop = {NULL, 0, 0};
    bool mirror = o->flip == 1 || (o->flip == 2 && random_uniform(o->seed, 2) < 0.5);
    size_t elements = 3 * (size_t)o->crop_size * (size_t)o->crop_size;
    int32_t width, height;
    square at[5];
    int count;
    hmt_status status = HMT_OK;

    if (!dense) {
        source.data = NULL;
        status = image_from_pixels(allocator, pixels, &source);
    }
    if (status == HMT_OK)
        status = image_allocate(allocator, o->crop_size, o->crop_size, 0, &crop);
    image_resized_size(pixels->width, pixels->height, o->resize, &width, &height);
    count = squares(o, width, height, at);
    for (int i = 0; i < count && status == HMT_OK; ++i) {
        status = image_resize(allocator, &source, width, height, at[i].left, at[i].top, &crop);
        if (status == HMT_OK)
            normalise(&crop, o, mirror, tensor + (size_t)i * elements);
    }
    memory_free(allocator, crop.data);
    if (!dense)
        memory_free(allocator, source.data);
    return status;
}
