/*
 * The orientation in a PNG: EXIF in a chunk of its own or as a raw profile in a text, XMP in a
 * text. libpng hands over chunks as they stand in the file. Texts of these names alone are
 * unpacked, few of them and none to more than PNG_TEXT_BYTES, since a small one can unpack to
 * gigabytes.
 */
#include <setjmp.h>
#include <string.h>

#include "image/png_decoder.h"

enum { MOST_TEXTS = 8 };

static const char *const profiles[] = {"Raw profile type exif", "Raw profile type APP1",
                                       "Raw profile type app1", "Raw profile type xmp"};
static const char xmp_name[] = "XML:com.adobe.xmp";

/* A chunk as the only one of a PNG of one pixel, which libpng then reads: it knows the kinds of
 * texts and how to unpack them. The pixel's chunk is where it stops. */
typedef struct small_file {
    const uint8_t *parts[4];
    size_t sizes[4];
    size_t part, at;
} small_file;

static void read_small_file(png_structp png, uint8_t *to, size_t size)
{
    small_file *file = png_get_io_ptr(png);

    for (; size > 0; --size) {
        while (file->part < 4 && file->at == file->sizes[file->part])
            ++file->part, file->at = 0;
        if (file->part == 4)
            png_error(png, "end of file");
        *to++ = file->parts[file->part][file->at++];
    }
}

static void give_up(png_structp png, const char *why)
{
    (void)why;
    png_longjmp(png, 1);
}

static void be_silent(png_structp png, const char *why)
{
    (void)png, (void)why;
}

static void note(int *noted, int orientation)
{
    if (*noted == 0)
        *noted = orientation;
}

static void use_text(png_reader *r, const png_text *text)
{
    const size_t size = text->text_length > 0 ? text->text_length : text->itxt_length;
    bool exif = false;
    int found;

    if (strcmp(text->key, xmp_name) == 0) {
        note(&r->xmp, image_xmp_orientation((const uint8_t *)text->text, size));
        return;
    }
    found = image_profile_orientation((uint8_t *)text->text, size, &exif);
    note(exif ? &r->profile : &r->xmp, found);
}

/* May jump, to nobody but itself. Nothing here needs cleaning up. */
static void read_text(png_reader *r, png_structp png, png_infop info, small_file *file)
{
    png_textp texts = NULL;
    int count = 0;

    if (setjmp(png_jmpbuf(png)))
        return;
    png_set_read_fn(png, file, read_small_file);
    png_set_crc_action(png, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE); /* checked before */
    png_set_chunk_malloc_max(png, PNG_TEXT_BYTES);
    png_read_info(png, info);
    if (png_get_text(png, info, &texts, &count) > 0 && texts[0].text != NULL)
        use_text(r, &texts[0]);
}

static void unpack(png_reader *r, const png_unknown_chunk *chunk)
{
    static const uint8_t begin[] = "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\1\0\0\0\1\x08\0\0\0\0"
                                   "\x3a\x7e\x9b\x55",
                         end[] = "\0\0\0\0\0\0\0\1IDAT"; /* a checksum, then the next chunk */
    const uint8_t header[8] = {(uint8_t)(chunk->size >> 24),
                               (uint8_t)(chunk->size >> 16),
                               (uint8_t)(chunk->size >> 8),
                               (uint8_t)chunk->size,
                               chunk->name[0],
                               chunk->name[1],
                               chunk->name[2],
                               chunk->name[3]};
    small_file file = {{begin, header, chunk->data, end},
                       {sizeof begin - 1, sizeof header, chunk->size, sizeof end - 1},
                       0,
                       0};
    png_structp png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, NULL, give_up, be_silent, r,
                                               png_reader_allocate, png_reader_release);
    png_infop info = png != NULL ? png_create_info_struct(png) : NULL;

    if (info != NULL)
        read_text(r, png, info, &file);
    png_destroy_read_struct(&png, &info, NULL);
}

/* Whether a text's name is one of those above. */
static bool is_wanted(const png_unknown_chunk *chunk)
{
    const char *name = (const char *)chunk->data;

    if (memchr(name, '\0', chunk->size) == NULL)
        return false;
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; ++i)
        if (strcmp(name, profiles[i]) == 0)
            return true;
    return strcmp(name, xmp_name) == 0;
}

int png_note_orientation(png_structp png, png_unknown_chunkp chunk)
{
    png_reader *r = png_get_user_chunk_ptr(png);
    const char *name = (const char *)chunk->name;
    const bool good = !r->bad_checksum;

    r->bad_checksum = false;
    if (strcmp(name, "eXIf") == 0)
        note(&r->exif, image_exif_orientation(chunk->data, chunk->size));
    else if (strcmp(name, "tEXt") == 0 || strcmp(name, "zTXt") == 0 || strcmp(name, "iTXt") == 0) {
        if (good && chunk->size > 0 && chunk->size <= PNG_TEXT_BYTES && is_wanted(chunk) &&
            r->unpacked++ < MOST_TEXTS)
            unpack(r, chunk);
    } else {
        return 0; /* libpng decides */
    }
    return 1;
}
