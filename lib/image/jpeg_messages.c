/*
 * What libjpeg's messages mean. It goes on after most damage, with pixels that are wrong; here only
 * what loses no pixel is let pass.
 */
#include <jerror.h>

#include "core/status.h"
#include "image/jpeg.h"

enum { SOF_LOSSLESS = 0xc3, SOF_LOSSLESS_ARITHMETIC = 0xcb, SOF_JPEG_LS = 0xf7 };

/* Warnings that are about something other than pixels. */
static bool is_harmless(int code)
{
    switch (code) {
    case JWRN_ADOBE_XFORM:     /* an unknown colour transform counts as the usual one */
    case JWRN_EXTRANEOUS_DATA: /* bytes between segments are skipped */
    case JWRN_JFIF_MAJOR:      /* JFIF 0.x and 2.x differ in nothing that matters here */
    case JWRN_NOT_SEQUENTIAL: /* baseline scans have all coefficients, whatever their header says */
    case JWRN_TOO_MUCH_DATA:  /* about rows that were asked for */
    case JWRN_BOGUS_ICC:      /* colour profiles are not read */
        return true;
    default:
        return false;
    }
}

/* Warnings that a file leads to which ends too early. The first of them is JWRN_JPEG_EOF, which by
 * itself says only that there is no end marker; or a tool has put an end marker there. */
static bool is_truncation(const jpeg_reader *r, int code)
{
    const bool at_end = r->ended || r->jpeg.unread_marker == JPEG_EOI;

    return at_end &&
           (code == JWRN_HIT_MARKER || code == JWRN_MUST_RESYNC || code == JWRN_HUFF_BAD_CODE);
}

_Noreturn void jpeg_give_up(jpeg_reader *r, hmt_status status)
{
    r->status = status;
    longjmp(r->escape, 1);
}

static hmt_status unsupported(const char *what)
{
    return status_fail(HMT_ERROR_UNSUPPORTED,
                       "%s is not supported: convert it to a baseline or progressive JPEG, or PNG",
                       what);
}

/* Frames that are valid, but not decoded here; HMT_OK if it is something else. */
static hmt_status unsupported_frame(const jpeg_reader *r, int code, int parameter)
{
    switch (code) {
    case JERR_SOF_UNSUPPORTED:
        return unsupported(parameter == SOF_LOSSLESS || parameter == SOF_LOSSLESS_ARITHMETIC
                               ? "a lossless JPEG"
                               : "a hierarchical JPEG");
    case JERR_UNKNOWN_MARKER:
        return parameter == SOF_JPEG_LS && !r->in_scans ? unsupported("a JPEG-LS") : HMT_OK;
    case JERR_ARITH_NOTIMPL:
        return unsupported("a JPEG with arithmetic coding");
    case JERR_BAD_PRECISION:
        return unsupported(parameter == 12 ? "a JPEG of 12 bits a sample"
                                           : "a JPEG of other than 8 bits a sample");
    case JERR_EMPTY_IMAGE:
        return r->jpeg.image_height == 0 && r->jpeg.image_width > 0
                   ? unsupported("a JPEG whose height is in a DNL marker")
                   : HMT_OK;
    case JERR_COMPONENT_COUNT:
    case JERR_CONVERSION_NOTIMPL:
        return unsupported("a JPEG with other than 1, 3 or 4 components");
    case JERR_CCIR601_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
        return unsupported("a JPEG with this chroma subsampling");
    default:
        return HMT_OK;
    }
}

static void fail(j_common_ptr common)
{
    jpeg_reader *r = common->client_data;
    const int code = common->err->msg_code;
    char why[JMSG_LENGTH_MAX];
    hmt_status status = unsupported_frame(r, code, common->err->msg_parm.i[0]);

    if (status != HMT_OK)
        jpeg_give_up(r, status);
    if (code == JERR_OUT_OF_MEMORY)
        jpeg_give_up(r, status_fail(HMT_ERROR_MEMORY, "out of memory in the JPEG decoder"));
    common->err->format_message(common, why);
    jpeg_give_up(r,
                 status_fail(code == JERR_IMAGE_TOO_BIG ? HMT_ERROR_LIMIT : HMT_ERROR_FORMAT,
                             "%s: %s", code == JERR_IMAGE_TOO_BIG ? "JPEG" : "damaged JPEG", why));
}

/* Warnings come with level -1. */
static void warn(j_common_ptr common, int level)
{
    jpeg_reader *r = common->client_data;
    const int code = common->err->msg_code;

    if (level >= 0 || is_harmless(code))
        return;
    if (code == JWRN_JPEG_EOF && r->in_scans) {
        r->ended = true;
        return;
    }
    if (!is_truncation(r, code))
        fail(common);
    if (r->d->options.allow_truncated == 0)
        jpeg_give_up(r, status_fail(HMT_ERROR_FORMAT, "damaged JPEG: " IMAGE_TRUNCATED));
    r->missing = true;
}

static void be_silent(j_common_ptr common)
{
    (void)common;
}

void jpeg_catch_messages(jpeg_reader *r)
{
    r->jpeg.err = jpeg_std_error(&r->errors);
    r->jpeg.client_data = r;
    r->errors.error_exit = fail;
    r->errors.emit_message = warn;
    r->errors.output_message = be_silent;
}
