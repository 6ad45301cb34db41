/*
 * PNG through libpng: every colour type and depth to RGB, transparency over white. libpng reports
 * errors by calling back; the callback jumps out to decode(), whose caller cleans up. Its memory
 * comes from our allocator.
 */
#include <setjmp.h>
#include <string.h>

#include <png.h>

#include "core/memory.h"
#include "core/status.h"
#include "image/image.h"

enum { CHUNK_BYTES = 8 << 20, CHUNKS = 1000 };

/* Everything that must survive a jump. */
typedef struct reader {
    png_structp png;
    png_infop info;
    const hmt_allocator *allocator;
    const uint8_t *data;
    size_t left;
    uint8_t **rows; /* of rgba */
    uint8_t *rgba;
    bool in_rows; /* between the chunks before the pixels and those behind them */
    hmt_status status;
} reader;

static void fail(png_structp png, const char *why)
{
    reader *r = png_get_error_ptr(png);

    if (r->status == HMT_OK)
        r->status = status_fail(HMT_ERROR_FORMAT, "damaged PNG: %s", why);
    png_longjmp(png, 1);
}

static void be_silent(png_structp png, const char *why)
{
    (void)png, (void)why;
}

static void *allocate(png_structp png, png_alloc_size_t size)
{
    reader *r = png_get_mem_ptr(png);
    void *block;
    hmt_status status;

    /* libpng only warns of a chunk that is larger than its limit, and asks for what the chunk says
     * that it has; without the memory it passes over the chunk, as far as that is there. */
    if (!r->in_rows && size > CHUNK_BYTES)
        return NULL;
    status = memory_uninitialised(r->allocator, size, 1, "the PNG decoder", &block);
    if (status != HMT_OK)
        r->status = status;
    return block;
}

static void release(png_structp png, void *block)
{
    memory_free(((reader *)png_get_mem_ptr(png))->allocator, block);
}

static void read_bytes(png_structp png, uint8_t *to, size_t size)
{
    reader *r = png_get_io_ptr(png);

    if (size > r->left)
        png_error(png, "the file is truncated");
    memcpy(to, r->data, size);
    r->data += size;
    r->left -= size;
}

/* Asks libpng for 8-bit RGBA whatever the file has. 16-bit levels keep their high byte, as in
 * Pillow. */
static void set_transforms(reader *r)
{
    png_set_expand(r->png);
    png_set_strip_16(r->png);
    png_set_gray_to_rgb(r->png);
    png_set_add_alpha(r->png, 0xff, PNG_FILLER_AFTER);
    png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
}

/* Memory for the RGBA rows. The final image is made in the same block. */
static hmt_status allocate_rows(reader *r, int32_t width, int32_t height)
{
    void *block;
    hmt_status status =
        memory_uninitialised(r->allocator, (size_t)width * (size_t)height, 4, "an image", &block);

    if (status != HMT_OK)
        return status;
    r->rgba = block;
    status =
        memory_uninitialised(r->allocator, (size_t)height, sizeof *r->rows, "an image", &block);
    r->rows = block;
    for (int32_t y = 0; status == HMT_OK && y < height; ++y)
        r->rows[y] = r->rgba + 4 * (size_t)width * (size_t)y;
    return status;
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

/* All that may jump. Nothing here needs cleaning up. */
static void decode(reader *r, const hmt_decode_options *o, decoded *out)
{
    png_uint_32 width, height;
    png_bytep exif;

    if (setjmp(png_jmpbuf(r->png)))
        return;
    png_set_read_fn(r->png, r, read_bytes);
    png_set_user_limits(r->png, INT32_MAX, INT32_MAX); /* ours follow, with a better message */
    png_set_chunk_malloc_max(r->png, CHUNK_BYTES);
    png_set_chunk_cache_max(r->png, CHUNKS);
    /* Texts and profiles are not unpacked: small ones can unpack to gigabytes. */
    png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_AS_DEFAULT, (png_const_bytep) "eXIf", 1);
    png_read_info(r->png, r->info);
    width = png_get_image_width(r->png, r->info);
    height = png_get_image_height(r->png, r->info);
    r->status = image_check_size(width, height, o->max_pixels);
    if (r->status == HMT_OK)
        r->status = allocate_rows(r, (int32_t)width, (int32_t)height);
    if (r->status != HMT_OK)
        return;
    r->in_rows = true;
    set_transforms(r);
    png_read_image(r->png, r->rows);
    r->in_rows = false;
    png_read_end(r->png, r->info);
    if (png_get_eXIf_1(r->png, r->info, &width, &exif) != 0)
        out->orientation = image_exif_orientation(exif, width);
    out->image.width = (int32_t)png_get_image_width(r->png, r->info);
    out->image.height = (int32_t)height;
}

hmt_status image_decode_png(const hmt_allocator *allocator, const uint8_t *data, size_t size,
                            const hmt_decode_options *o, decoded *out)
{
    reader r = {.allocator = allocator, .data = data, .left = size, .status = HMT_OK};

    r.png =
        png_create_read_struct_2(PNG_LIBPNG_VER_STRING, &r, fail, be_silent, &r, allocate, release);
    if (r.png != NULL)
        r.info = png_create_info_struct(r.png);
    if (r.info == NULL) {
        png_destroy_read_struct(&r.png, NULL, NULL);
        return status_fail(HMT_ERROR_MEMORY, "out of memory in the PNG decoder");
    }
    decode(&r, o, out);
    png_destroy_read_struct(&r.png, &r.info, NULL);
    memory_free(allocator, r.rows);
    if (r.status != HMT_OK) {
        memory_free(allocator, r.rgba);
        return r.status;
    }
    flatten(r.rgba, (size_t)out->image.width * (size_t)out->image.height);
    out->image.data = r.rgba;
    return HMT_OK;
}
