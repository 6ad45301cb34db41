/* Files that are neither JPEG nor PNG, refused by the name of what they are. */
#include <string.h>

#include "core/status.h"
#include "image/image.h"

/* What a file begins with, from `offset` on. */
typedef struct signature {
    uint8_t offset, length;
    const char *bytes, *name;
} signature;

static const signature signatures[] = {
    {0, 4, "GIF8", "a GIF"},
    {0, 2, "BM", "a BMP"},
    {8, 4, "WEBP", "a WebP"},
    {0, 2, "\xff\x0a", "a JPEG XL"},
    {4, 8, "JXL \r\n\x87\n", "a JPEG XL"},
    {4, 8, "jP  \r\n\x87\n", "a JPEG 2000"},
    {0, 4, "\xff\x4f\xff\x51", "a JPEG 2000"},
    {8, 4, "CR\2\0", "a camera's raw (Canon CR2)"}, /* before TIFF, as all raw photos */
    {0, 4, "IIRO", "a camera's raw (Olympus ORF)"},
    {0, 4, "IIRS", "a camera's raw (Olympus ORF)"},
    {0, 4, "MMOR", "a camera's raw (Olympus ORF)"},
    {0, 4, "IIU\0", "a camera's raw (Panasonic RW2)"},
    {0, 8, "FUJIFILM", "a camera's raw (Fujifilm RAF)"},
    {0, 4, "FOVb", "a camera's raw (Sigma X3F)"},
    {0, 4, "\0MRM", "a camera's raw (Minolta MRW)"},
    {6, 8, "HEAPCCDR", "a camera's raw (Canon CRW)"},
    {0, 4, "II*\0", "a TIFF, or a camera's raw,"},
    {0, 4, "MM\0*", "a TIFF, or a camera's raw,"},
    {0, 4, "II+\0", "a BigTIFF"},
    {0, 4, "MM\0+", "a BigTIFF"},
    {0, 4, "%PDF", "a PDF"},
    {0, 4, "%!PS", "a PostScript"},
    {0, 4, "8BPS", "a Photoshop"},
    {0, 4, "\0\0\1\0", "an icon"},
    {0, 4, "qoif", "a QOI"},
    {0, 4, "v/1\1", "an OpenEXR"},
    {0, 4, "\x8bJNG", "a JNG"},
    {0, 4, "\x8aMNG", "an MNG"},
    {0, 4, "\x1a\x45\xdf\xa3", "a video (Matroska, WebM)"},
    {8, 4, "AVI ", "a video (AVI)"},
};

/* The brands of the ISO base media file format, which stand after "ftyp". */
static const struct brand {
    const char *letters, *name;
} brands[] = {
    {"avif", "an AVIF"},
    {"avis", "an AVIF"},
    {"heic", "a HEIC"},
    {"heix", "a HEIC"},
    {"heim", "a HEIC"},
    {"heis", "a HEIC"},
    {"hevc", "a HEIC"},
    {"hevx", "a HEIC"},
    {"hevm", "a HEIC"},
    {"hevs", "a HEIC"},
    {"jxl ", "a JPEG XL"},
    {"jp2 ", "a JPEG 2000"},
    {"crx ", "a camera's raw (Canon CR3)"},
    {"mif1", "a HEIF"},
    {"msf1", "a HEIF"},
};

/* A HEIF file says which codec it uses in one of its brands: the major one, or one of those that
 * it is compatible with. Without any it is a video. */
static const char *brand_name(const uint8_t *data, size_t size)
{
    const size_t box = (size_t)data[2] << 8 | data[3], end = box < size ? box : size;

    for (size_t b = 0; b < sizeof brands / sizeof brands[0]; ++b)
        for (size_t at = 8; at < 12 || at + 4 <= end; at += at == 8 ? 8 : 4)
            if (memcmp(data + at, brands[b].letters, 4) == 0)
                return brands[b].name;
    return "a video (MP4, QuickTime)";
}

static const char *kind_of(const uint8_t *data, size_t size)
{
    if (size >= 12 && memcmp(data + 4, "ftyp", 4) == 0)
        return brand_name(data, size);
    for (size_t i = 0; i < sizeof signatures / sizeof signatures[0]; ++i) {
        const signature *s = &signatures[i];

        if (size >= (size_t)s->offset + s->length &&
            memcmp(data + s->offset, s->bytes, s->length) == 0)
            return s->name;
    }
    return NULL;
}

hmt_status image_refuse(const uint8_t *data, size_t size)
{
    const char *kind = kind_of(data, size);

    if (size == 0)
        return status_fail(HMT_ERROR_FORMAT, "the image is empty: 0 bytes");
    if (kind != NULL)
        return status_fail(HMT_ERROR_UNSUPPORTED,
                           "%s file is not supported: convert it to JPEG or PNG", kind);
    if (data[0] == '<')
        return status_fail(HMT_ERROR_UNSUPPORTED,
                           "not a JPEG or PNG image but text (a web page, an SVG?): it begins "
                           "with '<'");
    return status_fail(HMT_ERROR_UNSUPPORTED, "not a JPEG or PNG image: it begins with byte 0x%02x",
                       data[0]);
}
