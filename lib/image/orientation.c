/* Turning an image upright, as its EXIF orientation says. */
#include <string.h>

#include "core/memory.h"
#include "image/image.h"

/* From a pixel of the upright image to the next one on its right, and below, in the source. */
typedef struct walk {
    ptrdiff_t right, down; /* bytes */
    const uint8_t *first;  /* the source of the upright image's top left pixel */
} walk;

static walk walk_of(const image *in, int orientation)
{
    const bool swap = orientation >= 5; /* rows become columns */
    const bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 ||
                        orientation == 8; /* of the source */
    const bool flip_y =
        orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    const ptrdiff_t row = 3 * (ptrdiff_t)in->width;
    const ptrdiff_t x = flip_x ? -3 : 3, y = flip_y ? -row : row;
    walk w = {swap ? y : x, swap ? x : y, in->data};

    w.first += flip_x ? row - 3 : 0;
    w.first += flip_y ? row * (in->height - 1) : 0;
    return w;
}

hmt_status image_orient(const hmt_allocator *allocator, image *in, int orientation)
{
    enum { TILE = 32 }; /* whose rows and columns stay in the first cache */
    const bool swap = orientation >= 5;
    image out = {NULL, 0, 0};
    walk w;
    hmt_status status;

    if (orientation <= 1 || orientation > 8)
        return HMT_OK;
    status = image_allocate(allocator, swap ? in->height : in->width, swap ? in->width : in->height,
                            &out);
    if (status != HMT_OK)
        return status;
    w = walk_of(in, orientation);
    for (int32_t top = 0; top < out.height; top += TILE)
        for (int32_t left = 0; left < out.width; left += TILE)
            for (int32_t y = top; y < top + TILE && y < out.height; ++y) {
                const uint8_t *from = w.first + y * w.down + left * w.right;
                uint8_t *to = out.data + 3 * ((size_t)y * (size_t)out.width + (size_t)left);

                for (int32_t x = 0; x < TILE && left + x < out.width; ++x)
                    memcpy(to + 3 * x, from + x * w.right, 3);
            }
    memory_free(allocator, in->data);
    *in = out;
    return HMT_OK;
}
