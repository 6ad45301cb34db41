/*
 * mutations: 2000
 * Photos: decoding, then what a photo goes through before a network sees it. Nothing larger than
 * the limits asked for comes out, the pixels are all there to be read, and a file that decodes has
 * the same pixels where truncated files are allowed.
 *
 * Options, three bytes: more of the decoder's, its limits, then what is done with the pixels. Bit 1
 * of the limits mends a PNG's checksums, so that what is in its chunks is looked at.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hmtnet/data.h>

#include "fuzz.h"
#include "photo_writer.h"

enum {
    MOST_PIXELS = 1 << 14,
    CROP = 8,
    RESIZE = 12,
    /* The most that the PNG decoder may ask for a chunk, and what zlib and the resize take. */
    CODEC_BYTES = (8 << 20) + (1 << 20)
};

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
        write_number(file + at + 8 + length, photo_checksum(file + at + 4, 4 + length));
    }
}

/* `more`: whether truncated files are allowed, and in its other bits KiB of memory; 0: enough. */
static hmt_decode_options decode_options(uint8_t option, uint8_t more)
{
    hmt_decode_options o = HMT_DECODE_OPTIONS_INIT;

    o.allow_truncated = more & 1;
    o.max_memory = (uint64_t)(more >> 1) << 10;
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

/* Decodes once more, a truncated file being allowed. */
static void decode_leniently(const uint8_t *file, size_t size, hmt_decode_options o,
                             const hmt_pixels *pixels)
{
    hmt_pixels again = {0};

    o.allow_truncated = 1;
    FUZZ_OK(hmt_decode_memory(fuzz_context(), file, size, &o, &again));
    FUZZ_CHECK(again.width == pixels->width && again.height == pixels->height);
    FUZZ_CHECK(
        memcmp(again.data, pixels->data, 3 * (size_t)pixels->width * (size_t)pixels->height) == 0);
    hmt_pixels_free(fuzz_context(), &again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const hmt_pixels untouched;
    const uint8_t what = fuzz_option(data, &size), limits = fuzz_option(data, &size),
                  more = fuzz_option(data, &size);
    const hmt_decode_options o = decode_options(limits, more);
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
        if (o.allow_truncated == 0)
            decode_leniently(file, size, o, &pixels);
        use(&pixels, what);
        hmt_pixels_free(context, &pixels);
    }
    FUZZ_CHECK(memcmp(&pixels, &untouched, sizeof pixels) == 0);
    fuzz_end();
    free(file);
    return 0;
}

static void seed(photo *p, uint8_t more)
{
    const char options[] = {(char)more, 2, 0};

    fuzz_seed(p->data, p->size, options, sizeof options);
    photo_free(p);
}

/* Orientations in every place that has one. */
static void seed_orientations(void)
{
    static const char xmp[] = "http://ns.adobe.com/xap/1.0/", key[] = "Raw profile type exif",
                      digits[] = "\nexif\n      32\n"
                                 "4578696600004d4d002a00000008000101120003000000010006000000000000";
    photo tiff = photo_tiff(true, 0x112, 4, 6), p = photo_read("rgb8.png"), text = {0};

    photo_chunk(&p, PNG_AFTER_IHDR, "eXIf", tiff.data, tiff.size);
    seed(&p, 0);
    p = photo_read("baseline.jpg");
    photo_segment(&p, JPEG_AFTER_JFIF, 0xe1, "Exif\0\0", 6, tiff.data, tiff.size);
    photo_segment(&p, JPEG_AFTER_JFIF, 0xe1, xmp, sizeof xmp, "<x tiff:Orientation='6'>", 24);
    seed(&p, 1);
    photo_put(&text, key, sizeof key);
    photo_put(&text, digits, sizeof digits - 1);
    p = photo_read("gray1.png");
    photo_chunk(&p, PNG_AFTER_IHDR, "tEXt", text.data, text.size);
    seed(&p, 0);
    text.size = sizeof key;
    photo_byte(&text, 0);
    photo_deflate(&text, digits, sizeof digits - 1, 0);
    p = photo_read("palette.png");
    photo_chunk(&p, PNG_AFTER_IHDR, "zTXt", text.data, text.size);
    seed(&p, 1);
    text.size = 0;
    photo_put(&text, "XML:com.adobe.xmp\0\0\0\0\0<tiff:Orientation>6<", 41);
    p = photo_read("gray8.png");
    photo_chunk(&p, p.size - PNG_IEND, "iTXt", text.data, text.size);
    seed(&p, 0);
    photo_free(&tiff);
    photo_free(&text);
}

/* Several scans, too many scans, a component without one, ends that are missing. */
static void seed_scans(void)
{
    static const grey_jpeg images[] = {{0xc2, 40, 30, 3, 6, false},
                                       {0xc2, 8, 8, 1, 300, false},
                                       {0xc0, 40, 30, 3, 0, true},
                                       {0xc0, 40, 30, 4, 0, false}};

    for (uint8_t i = 0; i < 4; ++i) {
        photo p = photo_grey_jpeg(&images[i]);

        p.size -= i % 2 == 0 ? 2 : 0;
        seed(&p, i);
    }
}

void fuzz_seeds(void)
{
    static const char folder[] = HMT_SOURCE_DIR "/tests/data/images";
    DIR *images = opendir(folder);
    struct dirent *entry;
    char path[1024], options[3] = {0, 0, 0};

    seed_orientations();
    seed_scans();
    FUZZ_CHECK(images != NULL);
    while ((entry = readdir(images)) != NULL)
        if (entry->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            fuzz_seed_file(path, options, sizeof options);
            options[0] = (char)(options[0] + 1);
            options[1] = (char)(options[1] + 4); /* min_side */
            options[2] = (char)(options[2] + 37);
        }
    closedir(images);
}
