/*
 * JPEG through libjpeg-turbo: any colour space to RGB, as Pillow has it. libjpeg reports errors by
 * calling back (jpeg_messages.c), from where decode() is jumped out of; its caller cleans up.
 */
#include <limits.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "image/jpeg.h"

enum {
    MOST_SCANS = 500, /* of any file: more are made to waste time */
    MARKER_BYTES = 0xffff
};

static uint64_t pixel_count(const jpeg_reader *r)
{
    return (uint64_t)r->jpeg.image_width * r->jpeg.image_height;
}

/* Called for each row of blocks of each scan that is kept in memory, and for each row of pixels. */
static void count_work(j_common_ptr common)
{
    jpeg_reader *r = common->client_data;
    hmt_status status;

    if (r->jpeg.input_scan_number > 0 && (uint64_t)r->jpeg.input_scan_number > r->scans.scans)
        jpeg_give_up(r, status_fail(HMT_ERROR_FORMAT, "damaged JPEG: scans where none can be"));
    status = image_progress(r->d, r->done, r->total);
    if (status != HMT_OK)
        jpeg_give_up(r, status);
    r->done += (uint64_t)r->jpeg.image_width *
               (jpeg_has_multiple_scans(&r->jpeg) && r->jpeg.output_scanline == 0
                    ? 8 * (unsigned)r->jpeg.max_v_samp_factor
                    : 1);
}

/* The orientation in EXIF, else in XMP, each in a marker of its own; 1 if there is none. */
static int orientation_of(const jpeg_reader *r)
{
    static const char exif[] = "Exif\0", xmp[] = "http://ns.adobe.com/xap/1.0/";
    int in_xmp = 0;

    for (jpeg_saved_marker_ptr m = r->jpeg.marker_list; m != NULL; m = m->next) {
        int value = 0;

        if (m->data_length > sizeof exif && memcmp(m->data, exif, sizeof exif) == 0)
            value = image_exif_orientation(m->data, m->data_length);
        if (value > 0)
            return value;
        if (in_xmp == 0 && m->data_length > sizeof xmp && memcmp(m->data, xmp, sizeof xmp) == 0)
            in_xmp = image_xmp_orientation(m->data + sizeof xmp, m->data_length - sizeof xmp);
    }
    return in_xmp > 0 ? in_xmp : 1;
}

/* The strongest reduction that leaves the shorter side at least min_side pixels. */
static unsigned reduction(const jpeg_reader *r, int32_t min_side)
{
    unsigned shorter =
        r->jpeg.image_width < r->jpeg.image_height ? r->jpeg.image_width : r->jpeg.image_height;
    unsigned by = 8;

    while (by > 1 && (min_side < 1 || (shorter + by - 1) / by < (unsigned)min_side))
        by /= 2;
    return by;
}

/* Bytes of the coefficients, which are kept where an image comes in several scans. */
static uint64_t coefficient_bytes(const jpeg_reader *r)
{
    uint64_t blocks = 0;

    if (!jpeg_has_multiple_scans((j_decompress_ptr)&r->jpeg))
        return 0;
    for (int c = 0; c < r->jpeg.num_components; ++c) {
        const jpeg_component_info *info = &r->jpeg.comp_info[c];
        const uint64_t h = (uint64_t)info->h_samp_factor, v = (uint64_t)info->v_samp_factor;

        blocks +=
            (info->width_in_blocks + h - 1) / h * h * ((info->height_in_blocks + v - 1) / v * v);
    }
    return blocks * DCTSIZE2 * sizeof(JCOEF);
}

/* What would cost too much, before any of it is paid; the output's size is known. */
static hmt_status check_cost(const jpeg_reader *r)
{
    const uint64_t pixels = pixel_count(r), most = r->d->options.max_pixels;
    const uint64_t output = (uint64_t)r->jpeg.output_width * r->jpeg.output_height;

    if (jpeg_has_multiple_scans((j_decompress_ptr)&r->jpeg)) {
        if (r->scans.scans > MOST_SCANS)
            return status_fail(HMT_ERROR_LIMIT, "the JPEG has %llu scans, more than %d",
                               (unsigned long long)r->scans.scans, MOST_SCANS);
        if (r->scans.components * pixels / IMAGE_PIXEL_SCANS > most)
            return status_fail(HMT_ERROR_LIMIT,
                               "the JPEG has %llu scans of %u x %u pixels, in all more than %d "
                               "times max_pixels, %llu: raise it to decode such images",
                               (unsigned long long)r->scans.scans, r->jpeg.image_width,
                               r->jpeg.image_height, IMAGE_PIXEL_SCANS, (unsigned long long)most);
    }
    return image_check_memory(r->d, 3 * output + coefficient_bytes(r));
}

/* What the header says is looked at, and how to decode is settled. */
static hmt_status prepare(jpeg_reader *r, decoded *out)
{
    hmt_status status =
        image_check_size(r->jpeg.image_width, r->jpeg.image_height, r->d->options.max_pixels);

    if (status != HMT_OK)
        return status;
    if (r->jpeg.arith_code) /* no end of its data can be told from damage */
        return status_fail(HMT_ERROR_UNSUPPORTED, "a JPEG with arithmetic coding is not supported: "
                                                  "convert it to a baseline JPEG, or PNG");
    out->orientation = orientation_of(r);
    r->jpeg.out_color_space = r->jpeg.num_components == 4 ? JCS_CMYK : JCS_RGB;
    r->jpeg.scale_num = 1;
    r->jpeg.scale_denom = reduction(r, r->d->options.min_side);
    jpeg_calc_output_dimensions(&r->jpeg);
    r->total = pixel_count(r) * (1 + (jpeg_has_multiple_scans(&r->jpeg) ? r->scans.scans : 0));
    return check_cost(r);
}

/* Whether the scans have brought all there is: every coefficient of every component, to its last
 * bit. Only in memory can that be incomplete without a warning. */
static bool is_complete(const jpeg_reader *r, bool to_the_last_bit)
{
    for (int c = 0; c < r->jpeg.num_components; ++c) {
        if (r->jpeg.comp_info[c].quant_table == NULL) /* in no scan */
            return false;
        if (r->jpeg.coef_bits == NULL)
            continue;
        if (r->jpeg.coef_bits[c][0] < 0)
            return false;
        for (int k = 0; to_the_last_bit && k < DCTSIZE2; ++k)
            if (r->jpeg.coef_bits[c][k] != 0)
                return false;
    }
    return true;
}

/* After all scans have been read into memory. Without an end marker more may have followed. */
static void check_complete(jpeg_reader *r)
{
    if (is_complete(r, r->ended))
        return;
    if (r->d->options.allow_truncated == 0)
        jpeg_give_up(r, status_fail(HMT_ERROR_FORMAT, "damaged JPEG: %s",
                                    r->ended ? IMAGE_TRUNCATED : "a component is missing"));
    r->missing = true;
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

static void read_rows(jpeg_reader *r, const image *out)
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

/* All that may jump. Nothing here needs cleaning up. What follows the last row is not read: it
 * changes no pixel, whether it is an end marker, a video or nothing. */
static void decode(jpeg_reader *r, decoded *out)
{
    if (setjmp(r->escape))
        return;
    jpeg_create_decompress(&r->jpeg);
    r->jpeg.client_data = r;
    r->jpeg.progress = &r->progress;
    r->jpeg.mem->max_memory_to_use = LONG_MAX; /* the environment's JPEGMEM is not ours */
    jpeg_mem_src(&r->jpeg, r->d->data, (unsigned long)r->scans.size);
    jpeg_save_markers(&r->jpeg, JPEG_APP0 + 1, MARKER_BYTES);
    jpeg_read_header(&r->jpeg, TRUE);
    r->in_scans = true;
    r->status = prepare(r, out);
    if (r->status != HMT_OK)
        return;
    jpeg_start_decompress(&r->jpeg);
    if (jpeg_has_multiple_scans(&r->jpeg))
        check_complete(r);
    r->status = image_allocate(r->d->allocator, (int32_t)r->jpeg.output_width,
                               (int32_t)r->jpeg.output_height, &out->image);
    if (r->status == HMT_OK)
        read_rows(r, &out->image);
}

hmt_status image_decode_jpeg(decoding *d, decoded *out)
{
    jpeg_reader r;

    memset(&r, 0, sizeof r);
    r.d = d;
    r.progress.progress_monitor = count_work;
    jpeg_find_scans(d->data, d->size, &r.scans);
    jpeg_catch_messages(&r);
    decode(&r, out);
    out->truncated = r.missing;
    jpeg_destroy_decompress(&r.jpeg);
    return r.status;
}
