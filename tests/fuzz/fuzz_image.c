/*
 * mutations: 2000
 * Photos: decoding, then what a photo goes through before a network sees it. Nothing larger than
 * the limits asked for comes out, and the pixels are all there to be read.
 *
 * Options, two bytes: the decoder's limits, then what is done with the pixels. Bit 1 of the first
 * mends a PNG's checksums, so that what is in its chunks is looked at.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hmtnet/data.h>

#include "fuzz.h"

enum {
    MOST_PIXELS = 1 << 14,
    CROP = 8,
    RESIZE = 12,
    /* The most that the PNG decoder may ask for a chunk, and what zlib and the resize take. */
    CODEC_BYTES = (8 << 20) + (1 << 20)
};

/* The checksum of PNG and zlib, a bit at a time. */
static uint32_t checksum(const uint8_t *data, size_t size)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < 8 * size; ++i) {
        crc ^= i % 8 == 0 ? data[i / 8] : 0;
        crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static uint32_t read_number(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void write_number(uint8_t *at, uint32_t number)
{
    for (int i = 0; i < 4; ++i)
        at[i] = (uint8_t)(number >> (24 - 8 * i));
}

/* Gives every chunk of a PNG its checksum; other files stay as they are. */
static void mend_checksums(uint8_t *file, size_t size)
{
    if (size < 8 || memcmp(file, "\x89PNG", 4) != 0)
        return;
    for (size_t at = 8, length; size - at >= 12; at += 12 + length) {
        length = read_number(file + at);
        if (length > size - at - 12)
            return;
        write_number(file + at + 8 + length, checksum(file + at + 4, 4 + length));
    }
}

static hmt_decode_options decode_options(uint8_t option)
{
    hmt_decode_options o = HMT_DECODE_OPTIONS_INIT;

    o.max_pixels = option & 1 ? 1024 : MOST_PIXELS;
    o.max_bytes = (option & 3) == 3 ? 700 : 0;
    o.min_side = option >> 2 & 31;
    o.ignore_orientation = option >> 7;
    return o;
}

static void crop(const hmt_pixels *pixels, uint8_t option)
{
    hmt_preprocess_options o = HMT_PREPROCESS_OPTIONS_INIT;
    uint8_t crops[5 * 3 * CROP * CROP];

    o.resize = CROP + (option >> 4);
    o.crop_size = CROP;
    o.crop = (hmt_crop)(option % 3);
    o.flip = option >> 2 & 1;
    o.seed = option;
    FUZZ_OK(hmt_preprocess_crops(fuzz_context(), pixels, &o, crops, sizeof crops));
}

static void resize(const hmt_pixels *pixels, uint8_t option)
{
    const int32_t side = 1 + (option >> 2);
    const int64_t longer = pixels->width > pixels->height ? pixels->width : pixels->height;
    const int64_t shorter = pixels->width + pixels->height - longer;
    hmt_pixels resized = {0};

    if (longer * side / shorter > MOST_PIXELS) /* a legal wish, but a slow one */
        return;
    FUZZ_OK(hmt_resize(fuzz_context(), pixels, side, &resized));
    FUZZ_CHECK((resized.width < resized.height ? resized.width : resized.height) == side);
    hmt_pixels_free(fuzz_context(), &resized);
}

static void augment(const hmt_pixels *pixels, uint8_t option)
{
    hmt_augment_options o = HMT_AUGMENT_OPTIONS_INIT;
    float tensor[3 * CROP * CROP];

    o.resize = RESIZE;
    o.crop_size = CROP;
    FUZZ_OK(hmt_augment(fuzz_context(), pixels, &o, option, tensor, 3 * CROP * CROP));
}

static void use(const hmt_pixels *pixels, uint8_t option)
{
    const size_t bytes = 3 * (size_t)pixels->width * (size_t)pixels->height;
    uint8_t *copy = malloc(bytes);

    FUZZ_CHECK(copy != NULL);
    memcpy(copy, pixels->data, bytes); /* a decoder that left some out is memory sanitizer's find */
    free(copy);
    if (option & 1)
        crop(pixels, option);
    else if (option & 2)
        resize(pixels, option);
    else
        augment(pixels, option);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const hmt_pixels untouched;
    const uint8_t what = fuzz_option(data, &size), limits = fuzz_option(data, &size);
    const hmt_decode_options o = decode_options(limits);
    hmt_pixels pixels = {0};
    hmt_context *context = fuzz_context();
    uint8_t *file = fuzz_copy(data, size);

    if (limits & 2)
        mend_checksums(file, size);
    fuzz_begin(CODEC_BYTES + 2 * size + 64 * (size_t)MOST_PIXELS);
    if (FUZZ_STATUS(hmt_decode_memory(context, file, size, &o, &pixels),
                    FUZZ_CODE(FORMAT) | FUZZ_CODE(UNSUPPORTED) | FUZZ_CODE(LIMIT)) == HMT_OK) {
        FUZZ_CHECK(pixels.format == HMT_PIXEL_RGB && pixels.width > 0 && pixels.height > 0);
        FUZZ_CHECK((uint64_t)pixels.width * (uint64_t)pixels.height <= o.max_pixels);
        FUZZ_CHECK(pixels.stride == 3 * (int64_t)pixels.width);
        use(&pixels, what);
        hmt_pixels_free(context, &pixels);
    }
    FUZZ_CHECK(memcmp(&pixels, &untouched, sizeof pixels) == 0);
    fuzz_end();
    free(file);
    return 0;
}

/* A photo with an orientation, which few programs write into a PNG: a chunk behind the first. */
static void seed_png_exif(void)
{
    static const uint8_t chunk[38] = "\0\0\0\x1a"
                                     "eXIfMM\0*\0\0\0\10"
                                     "\0\1"
                                     "\1\x12\0\3\0\0\0\1\0\6\0\0"
                                     "\0\0\0\0";
    enum { FIRST_END = 33 };
    uint8_t file[2048];
    const size_t size =
        fuzz_read(HMT_SOURCE_DIR "/tests/data/images/rgb8.png", file, sizeof file - sizeof chunk);

    memmove(file + FIRST_END + sizeof chunk, file + FIRST_END, size - FIRST_END);
    memcpy(file + FIRST_END, chunk, sizeof chunk);
    fuzz_seed(file, size + sizeof chunk, "\2\0", 2);
}

void fuzz_seeds(void)
{
    static const char folder[] = HMT_SOURCE_DIR "/tests/data/images";
    DIR *images = opendir(folder);
    struct dirent *entry;
    char path[1024], options[2] = {0, 0};

    seed_png_exif();
    FUZZ_CHECK(images != NULL);
    while ((entry = readdir(images)) != NULL)
        if (entry->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            fuzz_seed_file(path, options, sizeof options);
            options[0] = (char)(options[0] + 4); /* min_side */
            options[1] = (char)(options[1] + 37);
        }
    closedir(images);
}
