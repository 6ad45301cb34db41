/* Decoding: what kind of file it is, size limits, orientation. The codecs are in jpeg.c and png.c.
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
    if (width > INT32_MAX || height > INT32_MAX || (uint64_t)width * (uint64_t)height > max_pixels)
        return status_fail(HMT_ERROR_LIMIT,
                           "the image is %lld x %lld pixels, more than the limit of %llu",
                           (long long)width, (long long)height, (unsigned long long)max_pixels);
    return HMT_OK;
}

hmt_status image_allocate(const hmt_allocator *allocator, int64_t width, int64_t height,
                          uint64_t max_pixels, image *out)
{
    void *block;
    hmt_status status = image_check_size(width, height, max_pixels > 0 ? max_pixels : UINT64_MAX);

    if (status == HMT_OK)
        status =
            memory_uninitialised(allocator, (size_t)width * (size_t)height, 3, "an image", &block);
    if (status != HMT_OK)
        return status;
    *out = (image){block, (int32_t)width, (int32_t)height};
    return HMT_OK;
}

/* Kinds of files that people do hand over, to be refused by name. */
static const char *foreign_kind(const uint8_t *data, size_t size)
{
    static const struct {
        size_t offset, length;
        const char *magic, *name;
    } kinds[] = {{0, 4, "GIF8", "GIF"},
                 {0, 2, "BM", "BMP"},
                 {8, 4, "WEBP", "WebP"},
                 {0, 4, "II*\0", "TIFF"},
                 {0, 4, "MM\0*", "TIFF"},
                 {4, 8, "ftypavif", "AVIF"},
                 {4, 8, "ftypheic", "HEIC"},
                 {4, 8, "ftypmif1", "HEIF"},
                 {0, 4, "%PDF", "PDF"},
                 {0, 4, "8BPS", "Photoshop"},
                 {4, 8, "jP  \r\n\x87\n", "JPEG 2000"}};

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; ++i)
        if (size >= kinds[i].offset + kinds[i].length &&
            memcmp(data + kinds[i].offset, kinds[i].magic, kinds[i].length) == 0)
            return kinds[i].name;
    return NULL;
}

static hmt_status refuse(const uint8_t *data, size_t size)
{
    const char *kind = foreign_kind(data, size);

    if (size == 0)
        return status_fail(HMT_ERROR_FORMAT, "the image is empty: 0 bytes");
    if (kind != NULL)
        return status_fail(HMT_ERROR_UNSUPPORTED, "%s images are not supported, only JPEG and PNG",
                           kind);
    return status_fail(HMT_ERROR_UNSUPPORTED, "not a JPEG or PNG image: it begins with byte 0x%02x",
                       data[0]);
}

hmt_status image_decode(const hmt_allocator *allocator, const uint8_t *data, size_t size,
                        const hmt_decode_options *o, image *out)
{
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    decoded result = {{NULL, 0, 0}, 1};
    hmt_status status;

    if (size > o->max_bytes)
        return status_fail(HMT_ERROR_LIMIT,
                           "the encoded image has %zu bytes, more than the limit of %llu", size,
                           (unsigned long long)o->max_bytes);
    if (size >= 3 && data[0] == 0xff && data[1] == 0xd8 && data[2] == 0xff)
        status = image_decode_jpeg(allocator, data, size, o, &result);
    else if (size >= sizeof png && memcmp(data, png, sizeof png) == 0)
        status = image_decode_png(allocator, data, size, o, &result);
    else
        status = refuse(data, size);
    if (status == HMT_OK && !o->ignore_orientation)
        status = image_orient(allocator, &result.image, result.orientation);
    if (status != HMT_OK) {
        memory_free(allocator, result.image.data);
        return status;
    }
    *out = result.image;
    return HMT_OK;
}
