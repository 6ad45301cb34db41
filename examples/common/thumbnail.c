/* Thumbnails (see thumbnail.h). */
#include "thumbnail.h"

#include <string.h>

#include <hmtnet/data.h>

#include "photo.h"

bool thumbnail(const char *path, int32_t side, uint8_t *rgb)
{
    hmt_augment_options centre = HMT_AUGMENT_OPTIONS_INIT;
    hmt_pixels whole = {0}, small = {0};
    centre.resize = centre.crop_size = side;
    centre.random_crop = 0;
    centre.rotation = centre.brightness = centre.contrast = centre.saturation = centre.hue =
        centre.flip = 0;
    bool good = hmt_decode_file(NULL, path, &photo_decoding, &whole) == HMT_OK &&
                hmt_augment_pixels(NULL, &whole, &centre, 0, &small) == HMT_OK;
    if (good)
        memcpy(rgb, small.data, 3 * (size_t)side * (size_t)side);
    hmt_pixels_free(NULL, &whole);
    hmt_pixels_free(NULL, &small);
    return good;
}
