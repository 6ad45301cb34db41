/*
 * Photos made byte by byte, as real and hostile ones are: fixtures with segments or chunks put into
 * them, and JPEGs and PNGs of one colour, of any size, that take few bytes.
 */
#ifndef HMT_TESTS_PHOTO_WRITER_H
#define HMT_TESTS_PHOTO_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/file.h"
#include "core/memory.h"

/* A file in the making. Grows; photo_free() releases it. */
typedef struct photo {
    uint8_t *data;
    size_t size, room;
    uint64_t bits; /* not yet written, and how many: for the entropy coded parts */
    int bit_count;
} photo;

static inline void photo_put(photo *p, const void *bytes, size_t size)
{
    if (p->size + size > p->room) {
        uint8_t *larger = realloc(p->data, 2 * (p->size + size));

        if (larger == NULL)
            abort();
        p->data = larger;
        p->room = 2 * (p->size + size);
    }
    if (size > 0)
        memcpy(p->data + p->size, bytes, size);
    p->size += size;
}

static inline void photo_byte(photo *p, unsigned byte)
{
    const uint8_t b = (uint8_t)byte;

    photo_put(p, &b, 1);
}

static inline void photo_big_endian(photo *p, uint32_t number, int bytes)
{
    while (--bytes >= 0)
        photo_byte(p, number >> 8 * bytes);
}

static inline void photo_free(photo *p)
{
    free(p->data);
    memset(p, 0, sizeof *p);
}

/* A fixture of data/images. */
static inline photo photo_read(const char *name)
{
    char path[1024];
    unsigned char *data = NULL;
    size_t size = 0;
    photo p = {0};

    snprintf(path, sizeof path, "%s/tests/data/images/%s", HMT_SOURCE_DIR, name);
    CHECK_STATUS(file_read(&memory_default, path, 1 << 20, &data, &size), HMT_OK);
    photo_put(&p, data, size);
    memory_free(&memory_default, data);
    return p;
}

/* `size` bytes at `at`, which move the rest. */
static inline void photo_insert(photo *p, size_t at, const void *bytes, size_t size)
{
    photo rest = {0};

    photo_put(&rest, p->data + at, p->size - at);
    p->size = at;
    photo_put(p, bytes, size);
    photo_put(p, rest.data, rest.size);
    photo_free(&rest);
}

/* Where these bytes stand first. */
static inline size_t photo_find(const photo *p, const char *bytes, size_t size)
{
    size_t at = 0;

    while (at + size <= p->size && memcmp(p->data + at, bytes, size) != 0)
        ++at;
    CHECK(at + size <= p->size);
    return at;
}

/* ---- JPEG ---- */

enum { JPEG_AFTER_SOI = 2, JPEG_AFTER_JFIF = 20 };

/* A segment at `at`: marker, length, then one or two pieces of content. */
static inline void photo_segment(photo *p, size_t at, uint8_t marker, const void *a, size_t a_size,
                                 const void *b, size_t b_size)
{
    photo s = {0};

    photo_byte(&s, 0xff), photo_byte(&s, marker);
    photo_big_endian(&s, (uint32_t)(2 + a_size + b_size), 2);
    photo_put(&s, a, a_size);
    photo_put(&s, b, b_size);
    photo_insert(p, at, s.data, s.size);
    photo_free(&s);
}

/* A TIFF block with one entry: an orientation of type SHORT (3), LONG (4) or whatever. */
static inline photo photo_tiff(bool big_endian, unsigned tag, unsigned type, unsigned value)
{
    static const uint8_t big[] = "MM\0*\0\0\0\x08\0\1", little[] = "II*\0\x08\0\0\0\1\0";
    const unsigned numbers[] = {tag, type, 1, value};
    photo p = {0};

    photo_put(&p, big_endian ? big : little, 10);
    for (int i = 0; i < 4; ++i) {
        const int bytes = i < 2 || (i == 3 && type == 3) ? 2 : 4;

        for (int b = 0; b < bytes; ++b)
            photo_byte(&p, numbers[i] >> 8 * (big_endian ? bytes - 1 - b : b));
        if (i == 3 && bytes == 2)
            photo_big_endian(&p, 0, 2);
    }
    photo_big_endian(&p, 0, 4);
    return p;
}

static inline void photo_bits(photo *p, uint32_t value, int count)
{
    p->bits = p->bits << count | value;
    for (p->bit_count += count; p->bit_count >= 8; p->bit_count -= 8) {
        const unsigned byte = (unsigned)(p->bits >> (p->bit_count - 8)) & 0xff;

        photo_byte(p, byte);
        if (byte == 0xff)
            photo_byte(p, 0); /* stuffed */
    }
}

/* One bits up to the next byte. */
static inline void photo_end_bits(photo *p)
{
    if (p->bit_count > 0)
        photo_bits(p, 0xffu >> p->bit_count, 8 - p->bit_count);
    p->bits = 0;
    p->bit_count = 0;
}

/* What photo_grey_jpeg() writes: `frame` is the SOF marker's second byte, 0xc0 or 0xc2. */
typedef struct grey_jpeg {
    unsigned frame, width, height, components;
    unsigned ac_scans;  /* progressive: scans of all AC coefficients, of one component each */
    bool one_component; /* sequential: the only scan has the first component alone */
} grey_jpeg;

static inline void photo_scan(photo *p, unsigned first, unsigned count, unsigned from, unsigned to)
{
    photo_byte(p, 0xff), photo_byte(p, 0xda);
    photo_big_endian(p, 6 + 2 * count, 2);
    photo_byte(p, count);
    for (unsigned c = 0; c < count; ++c)
        photo_byte(p, first + c), photo_byte(p, 0);
    photo_byte(p, from), photo_byte(p, to), photo_byte(p, 0);
}

/* An image of mid-grey. Each Huffman table has one code of one bit: difference 0 for DC, for AC
 * the end of the block, or in progressive scans a run of up to 32767 such ends. */
static inline photo photo_grey_jpeg(const grey_jpeg *g)
{
    const bool progressive = g->frame == 0xc2;
    const uint32_t blocks = (g->width + 7) / 8 * ((g->height + 7) / 8);
    const unsigned scanned = g->one_component ? 1 : g->components;
    static const uint8_t ones[64] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                     1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                     1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                     1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const uint8_t dc[18] = {0, 1}, ac[18] = {0x10, 1, [17] = progressive ? 0xe0 : 0};
    photo p = {0}, frame = {0};

    photo_put(&p, "\xff\xd8", 2);
    photo_segment(&p, p.size, 0xdb, "", 1, ones, 64);
    photo_byte(&frame, 8);
    photo_big_endian(&frame, g->height, 2);
    photo_big_endian(&frame, g->width, 2);
    photo_byte(&frame, g->components);
    for (unsigned c = 1; c <= g->components; ++c)
        photo_byte(&frame, c), photo_byte(&frame, 0x11), photo_byte(&frame, 0);
    photo_segment(&p, p.size, (uint8_t)g->frame, frame.data, frame.size, NULL, 0);
    photo_free(&frame);
    photo_segment(&p, p.size, 0xc4, dc, 18, NULL, 0);
    photo_segment(&p, p.size, 0xc4, ac, 18, NULL, 0);
    photo_scan(&p, 1, scanned, 0, progressive ? 0 : 63);
    for (uint32_t i = 0; i < blocks * scanned; ++i)
        photo_bits(&p, 0, progressive ? 1 : 2);
    photo_end_bits(&p);
    for (unsigned s = 0; s < g->ac_scans; ++s) {
        photo_scan(&p, 1 + s % g->components, 1, 1, 63);
        for (uint32_t i = 0; i < blocks; i += 32767)
            photo_bits(&p, 0x3fff, 15);
        photo_end_bits(&p);
    }
    photo_put(&p, "\xff\xd9", 2);
    return p;
}

/* ---- PNG ---- */

enum { PNG_AFTER_IHDR = 33, PNG_IEND = 12 }; /* of a file's beginning, of its end */

static inline uint32_t photo_checksum(const uint8_t *data, size_t size)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < 8 * size; ++i) {
        crc ^= i % 8 == 0 ? data[i / 8] : 0;
        crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static inline void photo_chunk(photo *p, size_t at, const char *type, const void *content,
                               size_t size)
{
    photo c = {0};

    photo_big_endian(&c, (uint32_t)size, 4);
    photo_put(&c, type, 4);
    photo_put(&c, content, size);
    photo_big_endian(&c, photo_checksum(c.data + 4, size + 4), 4);
    photo_insert(p, at, c.data, c.size);
    photo_free(&c);
}

/* Deflate's bits go from a byte's lowest bit up. */
static inline void photo_low_bits(photo *p, uint32_t value, int count)
{
    p->bits |= (uint64_t)value << p->bit_count;
    for (p->bit_count += count; p->bit_count >= 8; p->bit_count -= 8, p->bits >>= 8)
        photo_byte(p, (unsigned)p->bits & 0xff);
}

/* A zlib stream of `head`, then at least `zeros` zero bytes: a stored block, and one with the fixed
 * codes in which every 13 bits are 258 bytes. `zeros` is rounded up to 1 and a multiple of 258. */
static inline void photo_deflate(photo *p, const void *head, size_t size, uint64_t zeros)
{
    const uint8_t *bytes = head;
    const uint64_t runs = (zeros + 257) / 258;
    uint64_t a = 1, b = 0;

    photo_put(p, "\x78\x01", 2);
    photo_byte(p, 0);
    photo_byte(p, size & 0xff), photo_byte(p, size >> 8);
    photo_byte(p, ~size & 0xff), photo_byte(p, ~size >> 8 & 0xff);
    photo_put(p, head, size);
    photo_low_bits(p, 3, 3);
    photo_low_bits(p, 0x0c, 8); /* literal 0 */
    for (uint64_t i = 0; i < runs; ++i) {
        photo_low_bits(p, 0xa3, 8); /* length 258 */
        photo_low_bits(p, 0, 5);    /* distance 1 */
    }
    photo_low_bits(p, 0, 7);
    photo_low_bits(p, 0, p->bit_count > 0 ? 8 - p->bit_count : 0);
    for (size_t i = 0; i < size; ++i) {
        a = (a + bytes[i]) % 65521;
        b = (b + a) % 65521;
    }
    b = (b + (258 * runs + 1) % 65521 * a) % 65521;
    photo_big_endian(p, (uint32_t)(b << 16 | a), 4);
    p->bits = 0;
    p->bit_count = 0;
}

/* A black PNG, grey with 8 bits, whose data unpack to `bytes` zeros and up to 258 more: one for
 * each row and each pixel are needed, and for interlaced ones another for each row of each pass. */
static inline photo photo_black_png(uint32_t width, uint32_t height, bool interlaced,
                                    uint64_t bytes)
{
    photo p = {0}, header = {0}, data = {0};

    photo_put(&p, "\x89PNG\r\n\x1a\n", 8);
    photo_big_endian(&header, width, 4);
    photo_big_endian(&header, height, 4);
    photo_put(&header, interlaced ? "\x08\0\0\0\1" : "\x08\0\0\0\0", 5);
    photo_chunk(&p, p.size, "IHDR", header.data, header.size);
    photo_deflate(&data, "", 0, bytes);
    photo_chunk(&p, p.size, "IDAT", data.data, data.size);
    photo_chunk(&p, p.size, "IEND", "", 0);
    photo_free(&header);
    photo_free(&data);
    return p;
}

#endif
