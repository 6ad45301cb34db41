/*
 * PNG through libpng: every colour type and depth to RGB, transparency over white. libpng reports
 * errors by calling back; the callback jumps out to decode(), whose caller cleans up. Its memory
 * comes from our allocator.
 */
#include <setjmp.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "image/png_decoder.h"

/* Compressed bytes that may follow those of the last row. */
enum { LAST_ROW_SPARE = 64 << 10 };

static bool in_chunk(png_structp png, const char *name)
{
    const png_uint_32 type = png_get_io_chunk_type(png);

    return type == ((png_uint_32)(uint8_t)name[0] << 24 | (png_uint_32)(uint8_t)name[1] << 16 |
                    (png_uint_32)(uint8_t)name[2] << 8 | (uint8_t)name[3]);
}

/* Whether the orientation may be in what cannot be read. */
static bool in_metadata(png_structp png)
{
    if ((png_get_io_state(png) & PNG_IO_MASK_LOC) == PNG_IO_CHUNK_HDR)
        return false; /* libpng still has the name of the chunk before */
    return in_chunk(png, "eXIf") || in_chunk(png, "tEXt") || in_chunk(png, "zTXt") ||
           in_chunk(png, "iTXt");
}

/* The first failure counts. */
static bool note_status(png_reader *r, hmt_status status)
{
    if (r->status == HMT_OK)
        r->status = status;
    return r->status == HMT_OK;
}

/* After the last row what is wrong with a chunk changes no pixel. */
static void fail(png_structp png, const char *why)
{
    png_reader *r = png_get_error_ptr(png);

    if (r->status == HMT_OK && (!r->rows_done || in_metadata(png)))
        r->status = status_fail(HMT_ERROR_FORMAT, "damaged PNG: %s", why);
    png_longjmp(png, 1);
}

/* libpng leaves out what has a wrong checksum and is not needed for the pixels. Transparency and
 * orientation change them all the same. */
static void warn(png_structp png, const char *why)
{
    png_reader *r = png_get_error_ptr(png);

    if (strstr(why, "CRC error") == NULL)
        return;
    if (in_chunk(png, "tRNS") || in_chunk(png, "eXIf"))
        fail(png, why);
    r->bad_checksum = true;
}

void *png_reader_allocate(png_structp png, png_alloc_size_t size)
{
    png_reader *r = png_get_mem_ptr(png);
    void *block;
    hmt_status status;

    if (size > PNG_CHUNK_BYTES)
        return NULL;
    status = memory_uninitialised(r->d->allocator, size, 1, "the PNG decoder", &block);
    note_status(r, status);
    return block;
}

void png_reader_release(png_structp png, void *block)
{
    memory_free(((png_reader *)png_get_mem_ptr(png))->d->allocator, block);
}

/* The file has no more bytes. */
static void end_early(png_reader *r)
{
    if ((r->in_rows || r->rows_done) && r->d->options.allow_truncated != 0) {
        r->truncated = true;
        png_longjmp(r->png, 1);
    }
    png_error(r->png, r->in_rows || r->rows_done ? IMAGE_TRUNCATED : "the file is truncated");
}

/* Gives a chunk of pixels that the file cuts off the length that is there, so that libpng takes
 * all of it: it reads whole blocks. */
static void shorten_chunk(const png_reader *r, uint8_t header[8])
{
    size_t length =
        (size_t)header[0] << 24 | (size_t)header[1] << 16 | (size_t)header[2] << 8 | header[3];

    if (memcmp(header + 4, "IDAT", 4) != 0 || length <= r->left)
        return;
    length = r->left;
    for (int i = 0; i < 4; ++i)
        header[i] = (uint8_t)(length >> (24 - 8 * i));
}

static void read_bytes(png_structp png, uint8_t *to, size_t size)
{
    png_reader *r = png_get_io_ptr(png);

    if (size > r->left)
        end_early(r);
    memcpy(to, r->data, size);
    r->data += size;
    r->left -= size;
    if ((png_get_io_state(png) & PNG_IO_MASK_LOC) == PNG_IO_CHUNK_HDR && size == 8 &&
        r->d->options.allow_truncated != 0)
        shorten_chunk(r, to);
    if (!r->in_last_row || !in_chunk(png, "IDAT"))
        return;
    /* libpng unpacks all that follows the last row, only to see whether there is something. */
    r->last_row_bytes += size;
    if (r->last_row_bytes > LAST_ROW_SPARE + 2 * (uint64_t)png_get_rowbytes(png, r->info))
        png_error(png, "compressed data after the last row");
}

/* Asks libpng for 8-bit RGB, with alpha where the file has some. 16-bit levels keep their high
 * byte, as in Pillow. Returns how often rows come. */
static int set_transforms(png_reader *r)
{
    const bool alpha = (png_get_color_type(r->png, r->info) & PNG_COLOR_MASK_ALPHA) != 0 ||
                       png_get_valid(r->png, r->info, PNG_INFO_tRNS) != 0;
    int passes;

    png_set_expand(r->png);
    png_set_strip_16(r->png);
    png_set_gray_to_rgb(r->png);
    passes = png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    r->channels = alpha ? 4 : 3;
    if (png_get_channels(r->png, r->info) != r->channels)
        png_error(r->png, "it has other channels than its header says");
    return passes;
}

/* Memory for the rows, grey where a file that may be truncated can leave it. The final image is
 * made in the same block. */
static hmt_status allocate_rows(png_reader *r, size_t count)
{
    const size_t bytes = r->channels * count;
    void *block;
    hmt_status status = image_check_memory(r->d, bytes);

    if (status == HMT_OK)
        status = memory_uninitialised(r->d->allocator, count, r->channels, "an image", &block);
    if (status != HMT_OK)
        return status;
    r->pixels = block;
    if (r->d->options.allow_truncated == 0)
        return HMT_OK;
    memset(r->pixels, 128, bytes);
    for (size_t i = 3; r->channels == 4 && i < bytes; i += 4)
        r->pixels[i] = 255;
    return HMT_OK;
}

/* An interlaced image is built up in blocks that become smaller with each pass. */
static void read_rows(png_reader *r, int passes, const image *out)
{
    const size_t row = r->channels * (size_t)out->width;
    const uint64_t count = (uint64_t)out->width * (uint64_t)out->height;

    for (int pass = 0; pass < passes; ++pass)
        for (int32_t y = 0; y < out->height; ++y) {
            const uint64_t done = (uint64_t)pass * count + (uint64_t)y * (uint64_t)out->width;
            uint8_t *to = r->pixels + row * (size_t)y;

            if (!note_status(r, image_progress(r->d, done, (uint64_t)passes * count)))
                return;
            r->in_last_row = pass == passes - 1 && y == out->height - 1;
            png_read_row(r->png, passes > 1 ? NULL : to, passes > 1 ? to : NULL);
        }
}

/* RGBA to RGB over white, in place. */
static void flatten(uint8_t *pixels, size_t count)
{
    const uint8_t *from = pixels;

    for (size_t i = 0; i < count; ++i, from += 4, pixels += 3) {
        uint8_t alpha = from[3];

        for (int k = 0; k < 3; ++k)
            pixels[k] = image_over_white(from[k], alpha);
    }
}

static void set_limits(png_reader *r)
{
    png_set_user_limits(r->png, INT32_MAX, INT32_MAX); /* ours follow, with a better message */
    png_set_chunk_malloc_max(r->png, PNG_CHUNK_BYTES);
    /* No chunk is read but those that make the pixels, and those that may have an orientation. */
    png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_read_user_chunk_fn(r->png, r, png_note_orientation);
}

/* All that may jump. Nothing here needs cleaning up. */
static void decode(png_reader *r, decoded *out)
{
    int passes;

    if (setjmp(png_jmpbuf(r->png)))
        return;
    png_set_read_fn(r->png, r, read_bytes);
    set_limits(r);
    png_read_info(r->png, r->info);
    if (!note_status(r, image_check_size(png_get_image_width(r->png, r->info),
                                         png_get_image_height(r->png, r->info),
                                         r->d->options.max_pixels)))
        return;
    out->image.width = (int32_t)png_get_image_width(r->png, r->info);
    out->image.height = (int32_t)png_get_image_height(r->png, r->info);
    passes = set_transforms(r);
    if (!note_status(r, allocate_rows(r, (size_t)out->image.width * (size_t)out->image.height)))
        return;
    r->in_rows = true;
    read_rows(r, passes, &out->image);
    if (r->status != HMT_OK)
        return;
    r->in_rows = false;
    r->rows_done = true;
    png_read_end(r->png, r->info);
}

hmt_status image_decode_png(decoding *d, decoded *out)
{
    png_reader r = {.d = d, .data = d->data, .left = d->size, .status = HMT_OK};

    r.png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &r, fail, warn, &r, png_reader_allocate,
                                     png_reader_release);
    if (r.png != NULL)
        r.info = png_create_info_struct(r.png);
    if (r.info == NULL) {
        png_destroy_read_struct(&r.png, NULL, NULL);
        return status_fail(HMT_ERROR_MEMORY, "out of memory in the PNG decoder");
    }
    decode(&r, out);
    png_destroy_read_struct(&r.png, &r.info, NULL);
    if (r.status != HMT_OK) {
        memory_free(d->allocator, r.pixels);
        return r.status;
    }
    if (r.channels == 4)
        flatten(r.pixels, (size_t)out->image.width * (size_t)out->image.height);
    out->image.data = r.pixels;
    out->truncated = r.truncated;
    out->orientation = r.exif > 0 ? r.exif : r.profile > 0 ? r.profile : r.xmp > 0 ? r.xmp : 1;
    return HMT_OK;
}
