/*
 * Images in memory, and the parts of decoding: from encoded bytes to upright RGB.
 *
 * Bytes come from files and are hostile: sizes are checked against limits before anything is
 * allocated for them. Pixels leave as dense 8-bit RGB rows in the allocator's memory.
 */
#ifndef HMT_IMAGE_IMAGE_H
#define HMT_IMAGE_IMAGE_H

#include <stdbool.h>

#include <hmtnet/data.h>

/* What a resized image may have. */
enum { IMAGE_MOST_PIXELS = 100 * 1000 * 1000 };

/* Dense 8-bit RGB, (height,width,3). Owned: `data` is released with memory_free(). */
typedef struct image {
    uint8_t *data;
    int32_t width;
    int32_t height;
} image;

/* One image to decode: the bytes, what they may cost, and the host that is told of the work. */
typedef struct decoding {
    const hmt_allocator *allocator;
    const uint8_t *data;
    size_t size;
    hmt_decode_options options; /* no limit is 0 */
    hmt_progress_fn progress;   /* NULL: nobody is told */
    void *progress_user;
    uint64_t told; /* pixels of work at which the host is told next */
} decoding;

/* What a codec makes of it. The orientation, 1 to 8, says how the image must be turned to stand
 * upright. */
typedef struct decoded {
    image image;
    int orientation;
    bool truncated; /* the file ends too early, and what is missing is grey */
} decoded;

/* What decoding may cost beside max_pixels: the longest side, and for each pixel bytes of memory
 * and components of scans. */
enum {
    IMAGE_LONGEST_SIDE = 1 << 16,
    IMAGE_PIXEL_BYTES = 12,
    IMAGE_SPARE_BYTES = 32 << 20,
    IMAGE_PIXEL_SCANS = 32
};

/* Allocates width x height pixels, uninitialised. */
hmt_status image_allocate(const hmt_allocator *allocator, int32_t width, int32_t height,
                          image *out);
/* HMT_ERROR_LIMIT, with the size in the message, for an image to decode that is too long or has
 * more than max_pixels; and for one that a resize would make. */
hmt_status image_check_size(int64_t width, int64_t height, uint64_t max_pixels);
hmt_status image_check_resized(int32_t width, int32_t height);
/* What a truncated file's message says. */
#define IMAGE_TRUNCATED "the file is truncated: set allow_truncated to decode as much as there is"

/* HMT_ERROR_LIMIT if `bytes` is more than decoding may take at a time. */
hmt_status image_check_memory(const decoding *d, uint64_t bytes);
/* Tells the host that `done` of `total` pixels are done, once in a while. HMT_ERROR_CANCELLED. */
hmt_status image_progress(decoding *d, uint64_t done, uint64_t total);

/* Decodes JPEG or PNG, whichever the bytes are; *truncated as in `decoded`. */
hmt_status image_decode(decoding *d, image *out, bool *truncated);
/* jpeg.c and png.c */
hmt_status image_decode_jpeg(decoding *d, decoded *out);
hmt_status image_decode_png(decoding *d, decoded *out);
/* Refuses what is neither, by its name if it has one. */
hmt_status image_refuse(const uint8_t *data, size_t size);

/*
 * Orientations, 1 to 8; 0 if the metadata has none. A number that is no orientation counts as 1.
 * In a TIFF block, as EXIF has it, perhaps after "Exif\0\0"; in an XMP packet; in a raw profile of
 * ImageMagick (hexadecimal digits, which are decoded in place), *exif saying which of the two it
 * is.
 */
int image_exif_orientation(const uint8_t *tiff, size_t size);
int image_xmp_orientation(const uint8_t *packet, size_t size);
int image_profile_orientation(uint8_t *text, size_t size, bool *exif);
/* Turns an image upright, in new memory where that is needed. */
hmt_status image_orient(const hmt_allocator *allocator, image *image, int orientation);

/* Any host's pixels as dense RGB: alpha over white, grey copied to all three. */
hmt_status image_from_pixels(const hmt_allocator *allocator, const hmt_pixels *pixels, image *out);
/* One colour level over white with the given alpha, rounded. */
static inline uint8_t image_over_white(uint8_t level, uint8_t alpha)
{
    uint32_t mixed = (uint32_t)level * alpha + 255u * (255u - alpha);

    return (uint8_t)((mixed + 127u) / 255u);
}

/*
 * Pillow's antialiased bilinear resize of `pixels` to width x height, of which only the rectangle
 * from (left, top) with out->width x out->height pixels is computed. out->data has been allocated.
 */
hmt_status image_resize(const hmt_allocator *allocator, const image *in, int32_t width,
                        int32_t height, int32_t left, int32_t top, const image *out);
/* The size with the given shorter side, as torchvision's Resize makes it. */
void image_resized_size(int32_t width, int32_t height, int32_t shorter_side, int32_t *new_width,
                        int32_t *new_height);

/* Where a centred crop begins: (length - crop) / 2 rounded to nearest, halves to even, as
 * torchvision's center crop does. */
int32_t image_centre(int32_t length, int32_t crop);

/* hmt_augment() with checked arguments, before it normalises: levels from 0 to 255 in planes of
 * (3,crop_size,crop_size). */
hmt_status image_augment(const hmt_allocator *allocator, const hmt_pixels *pixels,
                         const hmt_augment_options *o, uint64_t seed, float *planes);

/* hmt_preprocess_crops() with checked arguments. crops: (1 or 5,crop_size,crop_size,3). */
hmt_status image_crops(const hmt_allocator *allocator, const hmt_pixels *pixels,
                       const hmt_preprocess_options *o, uint8_t *crops);
/* (level / 255 - mean) / deviation: from (count,area,3) levels to (count,3,area) values. */
void image_normalise(const uint8_t *crops, size_t count, size_t area, const float mean[3],
                     const float deviation[3], float *tensor);
/* hmt_preprocess() with checked arguments. tensor: (1 or 5,3,crop_size,crop_size). */
hmt_status image_preprocess(const hmt_allocator *allocator, const hmt_pixels *pixels,
                            const hmt_preprocess_options *o, float *tensor);

#endif
