/* Entry points for images: checked arguments, then lib/image. */
#include "api/images.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/context.h"
#include "api/options.h"
#include "core/file.h"
#include "core/float_mode.h"
#include "core/memory.h"
#include "core/status.h"
#include "image/image.h"

enum { DEFAULT_BYTES = 64 << 20 };

hmt_status images_decode_options(const hmt_decode_options *given, hmt_decode_options *o)
{
    hmt_decode_options defaults = HMT_DECODE_OPTIONS_INIT;
    hmt_status status;

    *o = defaults;
    status = options_copy(o, sizeof *o, given, "hmt_decode_options");
    if (status != HMT_OK)
        return status;
    if (o->min_side < 0)
        return status_fail(HMT_ERROR_ARGUMENT, "options: min_side is %d", o->min_side);
    if (o->max_bytes == 0)
        o->max_bytes = DEFAULT_BYTES;
    if (o->max_pixels == 0)
        o->max_pixels = IMAGE_MOST_PIXELS;
    if (o->max_memory == 0)
        o->max_memory = o->max_pixels > (UINT64_MAX - IMAGE_SPARE_BYTES) / IMAGE_PIXEL_BYTES
                            ? UINT64_MAX
                            : IMAGE_PIXEL_BYTES * o->max_pixels + IMAGE_SPARE_BYTES;
    return HMT_OK;
}

static void give_pixels(const image *decoded, hmt_pixels *pixels)
{
    *pixels = (hmt_pixels){.data = decoded->data,
                           .width = decoded->width,
                           .height = decoded->height,
                           .stride = 3 * (int64_t)decoded->width,
                           .format = HMT_PIXEL_RGB};
}

/* Decodes with a context's hooks; `name` is the photo's in the log. */
static hmt_status decode(const hmt_context *context, bool tell, const char *name, decoding *d,
                         hmt_pixels *pixels)
{
    const hmt_context_options *hooks = context != NULL ? &context->options : NULL;
    char line[512];
    image upright;
    bool truncated;
    hmt_status status;

    if (hooks != NULL && tell) {
        d->progress = hooks->progress;
        d->progress_user = hooks->progress_user;
    }
    d->allocator = context_allocator(context);
    status = image_decode(d, &upright, &truncated);
    if (status != HMT_OK)
        return status;
    if (truncated && hooks != NULL && hooks->log != NULL) {
        snprintf(line, sizeof line, "%s: the file is truncated; the pixels that it lacks are grey",
                 name);
        hooks->log(hooks->log_user, HMT_LOG_WARNING, line);
    }
    give_pixels(&upright, pixels);
    return HMT_OK;
}

hmt_status hmt_decode_memory(const hmt_context *context, const void *data, size_t size,
                             const hmt_decode_options *options, hmt_pixels *pixels)
{
    FLOAT_MODE_DEFAULT;
    decoding d = {.data = data, .size = size};
    hmt_status status;

    status_clear();
    if (data == NULL || pixels == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_decode_memory: data or pixels is NULL");
    status = images_decode_options(options, &d.options);
    return status == HMT_OK ? decode(context, true, "an image in memory", &d, pixels) : status;
}

hmt_status images_decode_file(const hmt_context *context, bool tell, const char *path,
                              const hmt_decode_options *options, hmt_pixels *pixels)
{
    const hmt_allocator *allocator = context_allocator(context);
    decoding d = {0};
    unsigned char *data = NULL;
    hmt_status status = images_decode_options(options, &d.options);

    if (status == HMT_OK)
        status = file_read(allocator, path, d.options.max_bytes, &data, &d.size);
    if (status != HMT_OK)
        return status;
    d.data = data;
    status = decode(context, tell, path, &d, pixels);
    memory_free(allocator, data);
    return status == HMT_OK ? HMT_OK : status_fail_at(status, path);
}

hmt_status hmt_decode_file(const hmt_context *context, const char *path,
                           const hmt_decode_options *options, hmt_pixels *pixels)
{
    FLOAT_MODE_DEFAULT;
    status_clear();
    if (path == NULL || pixels == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_decode_file: path or pixels is NULL");
    return images_decode_file(context, true, path, options, pixels);
}

void hmt_pixels_free(const hmt_context *context, hmt_pixels *pixels)
{
    if (pixels == NULL)
        return;
    memory_free(context_allocator(context), (void *)pixels->data);
    memset(pixels, 0, sizeof *pixels);
}

static hmt_status check_pixels(const hmt_pixels *pixels)
{
    static const int64_t bytes_of[] = {3, 3, 4, 4, 1};
    int64_t row;

    if (pixels == NULL || pixels->data == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "pixels: the struct or its data is NULL");
    if ((int)pixels->format < HMT_PIXEL_RGB || pixels->format > HMT_PIXEL_GRAY)
        return status_fail(HMT_ERROR_ARGUMENT, "pixels: no format has the number %d",
                           (int)pixels->format);
    if (pixels->width < 1 || pixels->height < 1 || pixels->width > IMAGE_LONGEST_SIDE ||
        pixels->height > IMAGE_LONGEST_SIDE)
        return status_fail(HMT_ERROR_ARGUMENT, "pixels: %d x %d is not from 1 to %d a side",
                           pixels->width, pixels->height, IMAGE_LONGEST_SIDE);
    if (pixels->stride > INT64_MAX / IMAGE_LONGEST_SIDE ||
        pixels->stride < -INT64_MAX / IMAGE_LONGEST_SIDE)
        return status_fail(HMT_ERROR_ARGUMENT, "pixels: no image has a stride of %lld bytes",
                           (long long)pixels->stride);
    row = bytes_of[pixels->format] * pixels->width;
    if (pixels->stride != 0 && pixels->stride < row && pixels->stride > -row)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "pixels: a stride of %lld bytes is less than a row of %lld",
                           (long long)pixels->stride, (long long)row);
    return HMT_OK;
}

/* What preprocessing and augmentation have in common. */
static hmt_status check_geometry(int32_t resize, int32_t crop_size, const float mean[3],
                                 const float deviation[3])
{
    if (crop_size < 1 || resize < crop_size || resize > 4096)
        return status_fail(
            HMT_ERROR_ARGUMENT,
            "options: crop_size %d and resize %d are not 1 <= crop_size <= resize <= 4096",
            crop_size, resize);
    for (int c = 0; c < 3; ++c)
        if (!isfinite(mean[c]) || !isfinite(deviation[c]) || !(deviation[c] > 0.0f))
            return status_fail(HMT_ERROR_ARGUMENT,
                               "options: normalisation of channel %d is (level - %g) / %g", c,
                               mean[c], deviation[c]);
    return HMT_OK;
}

static hmt_status check_preprocess(const hmt_preprocess_options *o)
{
    if ((int)o->crop < HMT_CROP_CENTER || o->crop > HMT_CROP_RANDOM || o->flip < 0 || o->flip > 2)
        return status_fail(HMT_ERROR_ARGUMENT, "options: no crop has the number %d, or no flip %d",
                           (int)o->crop, o->flip);
    return check_geometry(o->resize, o->crop_size, o->mean, o->deviation);
}

static hmt_status check_augment(const hmt_augment_options *o)
{
    const struct {
        const char *name;
        double value, most;
    } ranges[] = {{"rotation", o->rotation, 180.0},
                  {"brightness", o->brightness, 1.0},
                  {"contrast", o->contrast, 1.0},
                  {"saturation", o->saturation, 1.0},
                  {"hue", o->hue, 0.5},
                  {"flip", o->flip, 1.0}};

    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; ++i)
        if (!(ranges[i].value >= 0.0 && ranges[i].value <= ranges[i].most))
            return status_fail(HMT_ERROR_ARGUMENT, "options: %s is %g, not in [0, %g]",
                               ranges[i].name, ranges[i].value, ranges[i].most);
    return check_geometry(o->resize, o->crop_size, o->mean, o->deviation);
}

/* Checks everything; `count` is how many values there is room for, of the kind `what`. */
static hmt_status begin_preprocess(const hmt_pixels *pixels, const hmt_preprocess_options *options,
                                   const char *function, const char *what, const void *result,
                                   size_t count, hmt_preprocess_options *o)
{
    size_t wanted;
    hmt_status status;

    if (result == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "%s: there is no room for the result", function);
    status = options_copy(o, sizeof *o, options, "hmt_preprocess_options");
    if (status == HMT_OK)
        status = check_pixels(pixels);
    if (status == HMT_OK)
        status = check_preprocess(o);
    if (status != HMT_OK)
        return status;
    wanted = 3 * (size_t)o->crop_size * (size_t)o->crop_size * (o->crop == HMT_CROP_FIVE ? 5 : 1);
    return count >= wanted ? HMT_OK
                           : status_fail(HMT_ERROR_ARGUMENT, "%s: room for %zu %s, %zu are needed",
                                         function, count, what, wanted);
}

hmt_status hmt_preprocess(const hmt_context *context, const hmt_pixels *pixels,
                          const hmt_preprocess_options *options, float *tensor, size_t count)
{
    FLOAT_MODE_DEFAULT;
    hmt_preprocess_options o = HMT_PREPROCESS_OPTIONS_INIT;
    hmt_status status;

    status_clear();
    status = begin_preprocess(pixels, options, "hmt_preprocess", "floats", tensor, count, &o);
    return status == HMT_OK ? image_preprocess(context_allocator(context), pixels, &o, tensor)
                            : status;
}

hmt_status hmt_preprocess_crops(const hmt_context *context, const hmt_pixels *pixels,
                                const hmt_preprocess_options *options, uint8_t *crops, size_t bytes)
{
    FLOAT_MODE_DEFAULT;
    hmt_preprocess_options o = HMT_PREPROCESS_OPTIONS_INIT;
    hmt_status status;

    status_clear();
    status = begin_preprocess(pixels, options, "hmt_preprocess_crops", "bytes", crops, bytes, &o);
    return status == HMT_OK ? image_crops(context_allocator(context), pixels, &o, crops) : status;
}

hmt_status hmt_resize(const hmt_context *context, const hmt_pixels *pixels, int32_t shorter_side,
                      hmt_pixels *resized)
{
    FLOAT_MODE_DEFAULT;
    const hmt_allocator *allocator = context_allocator(context);
    image in = {NULL, 0, 0}, out = {NULL, 0, 0};
    int32_t width, height;
    hmt_status status;

    status_clear();
    if (resized == NULL || shorter_side < 1 || shorter_side > IMAGE_LONGEST_SIDE)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "hmt_resize: resized is NULL, or the side %d is not in 1..%d",
                           shorter_side, IMAGE_LONGEST_SIDE);
    status = check_pixels(pixels);
    if (status != HMT_OK)
        return status;
    image_resized_size(pixels->width, pixels->height, shorter_side, &width, &height);
    status = image_check_resized(width, height);
    if (status == HMT_OK)
        status = image_from_pixels(allocator, pixels, &in);
    if (status == HMT_OK)
        status = image_allocate(allocator, width, height, &out);
    if (status == HMT_OK)
        status = image_resize(allocator, &in, width, height, 0, 0, &out);
    memory_free(allocator, in.data);
    if (status != HMT_OK) {
        memory_free(allocator, out.data);
        return status;
    }
    give_pixels(&out, resized);
    return HMT_OK;
}

/* The checked options, and levels from 0 to 255 in planes of (3,crop_size,crop_size) that the
 * caller frees. There is room for `count` of them. */
static hmt_status augment(const hmt_allocator *allocator, const hmt_pixels *pixels,
                          const hmt_augment_options *options, uint64_t seed, size_t count,
                          hmt_augment_options *o, float **planes)
{
    hmt_status status = options_copy(o, sizeof *o, options, "hmt_augment_options");
    void *block = NULL;

    if (status == HMT_OK)
        status = check_pixels(pixels);
    if (status == HMT_OK)
        status = check_augment(o);
    if (status == HMT_OK && count < 3 * (size_t)o->crop_size * (size_t)o->crop_size)
        status = status_fail(HMT_ERROR_ARGUMENT, "hmt_augment: room for %zu floats, %zu are needed",
                             count, 3 * (size_t)o->crop_size * (size_t)o->crop_size);
    if (status == HMT_OK)
        status = memory_uninitialised(allocator, 3 * (size_t)o->crop_size * (size_t)o->crop_size,
                                      sizeof(float), "an augmented photo", &block);
    if (status != HMT_OK)
        return status;
    *planes = block;
    return image_augment(allocator, pixels, o, seed, *planes);
}

hmt_status hmt_augment(const hmt_context *context, const hmt_pixels *pixels,
                       const hmt_augment_options *options, uint64_t seed, float *tensor,
                       size_t count)
{
    FLOAT_MODE_DEFAULT;
    const hmt_allocator *allocator = context_allocator(context);
    hmt_augment_options o = HMT_AUGMENT_OPTIONS_INIT;
    float *planes = NULL;
    size_t area;
    hmt_status status;

    status_clear();
    if (tensor == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_augment: tensor is NULL");
    status = augment(allocator, pixels, options, seed, count, &o, &planes);
    area = (size_t)o.crop_size * (size_t)o.crop_size;
    for (size_t c = 0; status == HMT_OK && c < 3; ++c)
        for (size_t i = 0; i < area; ++i)
            tensor[c * area + i] = (planes[c * area + i] / 255.0f - o.mean[c]) / o.deviation[c];
    memory_free(allocator, planes);
    return status;
}

hmt_status hmt_augment_pixels(const hmt_context *context, const hmt_pixels *pixels,
                              const hmt_augment_options *options, uint64_t seed,
                              hmt_pixels *augmented)
{
    FLOAT_MODE_DEFAULT;
    const hmt_allocator *allocator = context_allocator(context);
    hmt_augment_options o = HMT_AUGMENT_OPTIONS_INIT;
    image out = {NULL, 0, 0};
    float *planes = NULL;
    size_t area;
    hmt_status status;

    status_clear();
    if (augmented == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_augment_pixels: augmented is NULL");
    status = augment(allocator, pixels, options, seed, SIZE_MAX, &o, &planes);
    area = (size_t)o.crop_size * (size_t)o.crop_size;
    if (status == HMT_OK)
        status = image_allocate(allocator, o.crop_size, o.crop_size, &out);
    for (size_t c = 0; status == HMT_OK && c < 3; ++c)
        for (size_t i = 0; i < area; ++i)
            out.data[3 * i + c] = (uint8_t)(planes[c * area + i] + 0.5f);
    memory_free(allocator, planes);
    if (status == HMT_OK)
        give_pixels(&out, augmented);
    return status;
}
