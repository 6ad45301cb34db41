/* EXIF orientation: reading it from a TIFF block that may say anything, and turning pixels. */
#include <string.h>

#include "core/memory.h"
#include "image/image.h"

/* A TIFF block of `size` bytes in either byte order. Reads beyond its end give 0. */
typedef struct tiff {
    const uint8_t *data;
    size_t size;
    bool big_endian;
} tiff;

static uint32_t number(const tiff *t, size_t at, size_t bytes)
{
    uint32_t value = 0;

    if (at > t->size || bytes > t->size - at)
        return 0;
    for (size_t i = 0; i < bytes; ++i)
        value |= (uint32_t)t->data[at + i] << 8 * (t->big_endian ? bytes - 1 - i : i);
    return value;
}

int image_exif_orientation(const uint8_t *data, size_t size)
{
    enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, ENTRY = 12 };
    tiff t = {data, size, false};
    size_t directory;
    uint32_t count;

    if (size < 8 || (memcmp(data, "II*\0", 4) != 0 && memcmp(data, "MM\0*", 4) != 0))
        return 1;
    t.big_endian = data[0] == 'M';
    directory = number(&t, 4, 4);
    count = number(&t, directory, 2);
    for (uint32_t i = 0; i < count; ++i) {
        size_t entry = directory + 2 + (size_t)i * ENTRY;

        if (entry > size)
            break;
        if (number(&t, entry, 2) == TAG_ORIENTATION && number(&t, entry + 2, 2) == TYPE_SHORT) {
            uint32_t value = number(&t, entry + 8, 2);
            return value >= 1 && value <= 8 ? (int)value : 1;
        }
    }
    return 1;
}

hmt_status image_orient(const hmt_allocator *allocator, image *in, int orientation)
{
    bool swap = orientation >= 5; /* rows become columns */
    bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 ||
                  orientation == 8; /* of the source */
    bool flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    image out = {NULL, 0, 0};
    uint8_t *to;
    hmt_status status;

    if (orientation <= 1 || orientation > 8)
        return HMT_OK;
    status = image_allocate(allocator, swap ? in->height : in->width, swap ? in->width : in->height,
                            0, &out);
    if (status != HMT_OK)
        return status;
    to = out.data;
    for (int32_t y = 0; y < out.height; ++y)
        for (int32_t x = 0; x < out.width; ++x, to += 3) {
            int32_t sx = swap ? y : x, sy = swap ? x : y;

            if (flip_x)
                sx = in->width - 1 - sx;
            if (flip_y)
                sy = in->height - 1 - sy;
            memcpy(to, in->data + 3 * ((size_t)sy * (size_t)in->width + (size_t)sx), 3);
        }
    memory_free(allocator, in->data);
    *in = out;
    return HMT_OK;
}
