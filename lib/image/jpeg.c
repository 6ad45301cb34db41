/*
 * JPEG through libjpeg-turbo: any colour space to RGB, as Pillow has it. libjpeg reports errors by
 * calling back; the callback jumps out to decode(), whose caller cleans up. Damage that libjpeg
 * would paper over is an error here.
 */
#include <setjmp.h>
#include <stdio.h> /* jpeglib.h needs FILE */
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

#include "core/memory.h"
#include "core/status.h"
#include "image/image.h"

enum {
    MOST_SCANS = 500, /* of a progressive file: more are made to waste time */
    MARKER_BYTES = 0xffff
};

/* Everything that must survive a jump. */
typedef struct reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    hmt_status status;
} reader;

static void fail(j_common_ptr common)
{
    reader *r = common->client_data;
    char why[JMSG_LENGTH_MAX];

    common->err->format_message(common, why);
    if (common->err->msg_code == JERR_OUT_OF_MEMORY)
        r->status = status_fail(HMT_ERROR_MEMORY, "out of memory in the JPEG decoder");
    else
        r->status = status_fail(HMT_ERROR_FORMAT, "damaged JPEG: %s", why);
    longjmp(r->escape, 1);
}

/* Warnings come with level -1. Those that lose no pixels are let pass. */
static void warn(j_common_ptr common, int level)
{
    int code = common->err->msg_code;

    if (level >= 0 || code == JWRN_EXTRANEOUS_DATA || code == JWRN_ADOBE_XFORM ||
        code == JWRN_TOO_MUCH_DATA)
        return;
    fail(common);
}

static void be_silent(j_common_ptr common)
{
    (void)common;
}

static void count_scans(j_common_ptr common)
{
    reader *r = common->client_data;

    if (r->jpeg.input_scan_number <= MOST_SCANS)
        return;
    r->status = status_fail(HMT_ERROR_LIMIT, "the JPEG has more than %d scans", MOST_SCANS);
    longjmp(r->escape, 1);
}

/* The orientation in the EXIF marker, if there is one. */
static int orientation_of(const reader *r)
{
    static const char exif[6] = "Exif\0";

    for (jpeg_saved_marker_ptr m = r->jpeg.marker_list; m != NULL; m = m->next)
        if (m->marker == JPEG_APP0 + 1 && m->data_length > sizeof exif &&
            memcmp(m->data, exif, sizeof exif) == 0)
            return image_exif_orientation(m->data + sizeof exif, m->data_length - sizeof exif);
    return 1;
}

/* The strongest reduction that leaves the shorter side at least min_side pixels. */
static unsigned reduction(const reader *r, int32_t min_side)
{
    unsigned shorter =
        r->jpeg.image_width < r->jpeg.image_height ? r->jpeg.image_width : r->jpeg.image_height;
    unsigned by = 8;

    while (by > 1 && (min_side < 1 || (shorter + by - 1) / by < (unsigned)min_side))
        by /= 2;
    return by;
}

/* a * b / 255, rounded. */
static uint8_t scale_level(uint32_t a, uint32_t b)
{
    uint32_t product = a * b + 128;

    return (uint8_t)((product + (product >> 8)) >> 8);
}

/* Inverted CMYK, as every program writes it into JPEG, to RGB with Pillow's arithmetic. */
static void cmyk_to_rgb(const uint8_t *cmyk, int32_t width, uint8_t *rgb)
{
    for (int32_t x = 0; x < width; ++x, cmyk += 4, rgb += 3)
        for (int i = 0; i < 3; ++i)
            rgb[i] = (uint8_t)(cmyk[3] - scale_level(255u - cmyk[i], cmyk[3]));
}

static void read_rows(reader *r, const image *out)
{
    size_t width = (size_t)out->width;
    bool cmyk = r->jpeg.out_color_space == JCS_CMYK;
    JSAMPARRAY row = r->jpeg.mem->alloc_sarray((j_common_ptr)&r->jpeg, JPOOL_IMAGE,
                                               r->jpeg.output_width * (cmyk ? 4 : 1), 1);

    while (r->jpeg.output_scanline < r->jpeg.output_height) {
        uint8_t *to = out->data + 3 * width * r->jpeg.output_scanline;

        if (!cmyk)
            row[0] = to;
        jpeg_read_scanlines(&r->jpeg, row, 1);
        if (cmyk)
            cmyk_to_rgb(row[0], out->width, to);
    }
}

/* All that may jump. Nothing here needs cleaning up. */
static void decode(reader *r, const hmt_allocator *allocator, const uint8_t *data, size_t size,
                   const hmt_decode_options *o, decoded *out)
{
    if (setjmp(r->escape))
        return;
    jpeg_create_decompress(&r->jpeg);
    r->jpeg.client_data = r;
    r->jpeg.progress = &r->progress;
    jpeg_mem_src(&r->jpeg, data, (unsigned long)size);
    jpeg_save_markers(&r->jpeg, JPEG_APP0 + 1, MARKER_BYTES);
    jpeg_read_header(&r->jpeg, TRUE);
    r->status = image_check_size(r->jpeg.image_width, r->jpeg.image_height, o->max_pixels);
    if (r->status != HMT_OK)
        return;
    out->orientation = orientation_of(r);
    r->jpeg.out_color_space = r->jpeg.num_components == 4 ? JCS_CMYK : JCS_RGB;
    r->jpeg.scale_num = 1;
    r->jpeg.scale_denom = reduction(r, o->min_side);
    jpeg_start_decompress(&r->jpeg);
    r->status = image_allocate(allocator, r->jpeg.output_width, r->jpeg.output_height,
                               o->max_pixels, &out->image);
    if (r->status != HMT_OK)
        return;
    read_rows(r, &out->image);
    jpeg_finish_decompress(&r->jpeg);
}

hmt_status image_decode_jpeg(const hmt_allocator *allocator, const uint8_t *data, size_t size,
                             const hmt_decode_options *o, decoded *out)
{
    reader r;

    memset(&r, 0, sizeof r);
    r.jpeg.err = jpeg_std_error(&r.errors);
    r.jpeg.client_data = &r;
    r.errors.error_exit = fail;
    r.errors.emit_message = warn;
    r.errors.output_message = be_silent;
    r.progress.progress_monitor = count_scans;
    decode(&r, allocator, data, size, o, out);
    jpeg_destroy_decompress(&r.jpeg);
    return r.status;
}
