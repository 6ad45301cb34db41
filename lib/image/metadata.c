/*
 * The orientation in a photo's metadata: EXIF, XMP, and either of them as a raw profile. All of it
 * may say anything; each reader passes over its bytes once.
 */
#include <string.h>

#include "image/image.h"

/* A TIFF block of `size` bytes in either byte order. Reads beyond its end give 0. */
typedef struct tiff {
    const uint8_t *data;
    size_t size;
    bool big_endian;
} tiff;

static uint32_t number(const tiff *t, size_t at, size_t bytes)
{
    uint32_t value = 0;

    if (at > t->size || bytes > t->size - at)
        return 0;
    for (size_t i = 0; i < bytes; ++i)
        value |= (uint32_t)t->data[at + i] << 8 * (t->big_endian ? bytes - 1 - i : i);
    return value;
}

/* A value that stands for something, as an orientation. */
static int orientation(uint32_t value)
{
    return value >= 1 && value <= 8 ? (int)value : 1;
}

int image_exif_orientation(const uint8_t *data, size_t size)
{
    enum { TAG_ORIENTATION = 0x0112, ENTRY = 12 };
    /* Bytes of a value by its type: SHORT and LONG, and integers with a sign. */
    static const uint8_t bytes_of[10] = {[3] = 2, [4] = 4, [6] = 1, [8] = 2, [9] = 4};
    tiff t;
    size_t directory;
    uint32_t count;

    while (size >= 6 && memcmp(data, "Exif\0", 6) == 0)
        data += 6, size -= 6;
    if (size < 8 || (memcmp(data, "II*\0", 4) != 0 && memcmp(data, "MM\0*", 4) != 0))
        return 0;
    t = (tiff){data, size, data[0] == 'M'};
    directory = number(&t, 4, 4);
    count = number(&t, directory, 2);
    for (uint32_t i = 0; i < count; ++i) {
        const size_t entry = directory + 2 + (size_t)i * ENTRY;
        const uint32_t type = number(&t, entry + 2, 2);

        if (entry > size)
            break;
        if (number(&t, entry, 2) == TAG_ORIENTATION && type < sizeof bytes_of && bytes_of[type] > 0)
            return orientation(number(&t, entry + 8, bytes_of[type]));
    }
    return 0;
}

static size_t skip_blanks(const uint8_t *text, size_t size, size_t at)
{
    while (at < size && (text[at] == ' ' || (text[at] >= '\t' && text[at] <= '\r')))
        ++at;
    return at;
}

/* What follows the name: ="6" of an attribute, or >6 of an element. 0 if it is neither. */
static int value_after(const uint8_t *text, size_t size, size_t at)
{
    at = skip_blanks(text, size, at);
    if (at < size && text[at] == '=') {
        at = skip_blanks(text, size, at + 1);
        if (at == size || (text[at] != '"' && text[at] != '\''))
            return 0;
    } else if (at == size || text[at] != '>') {
        return 0;
    }
    at = skip_blanks(text, size, at + 1);
    return at < size && text[at] >= '0' && text[at] <= '9' ? orientation(text[at] - '0') : 0;
}

int image_xmp_orientation(const uint8_t *packet, size_t size)
{
    static const char name[] = "tiff:Orientation";
    const size_t length = sizeof name - 1;
    const uint8_t *at = packet, *const end = packet + size;

    while ((size_t)(end - at) > length && (at = memchr(at, 't', (size_t)(end - at))) != NULL) {
        int value = 0;

        if ((size_t)(end - at) > length && memcmp(at, name, length) == 0)
            value = value_after(packet, size, (size_t)(at - packet) + length);
        if (value > 0)
            return value;
        ++at;
    }
    return 0;
}

static int digit(uint8_t letter)
{
    const int lower = letter | 0x20;

    return letter >= '0' && letter <= '9' ? letter - '0'
           : lower >= 'a' && lower <= 'f' ? lower - 'a' + 10
                                          : -1;
}

/* A name and a number stand before the digits: "\nexif\n      38\n45786966...". */
static size_t skip_word(const uint8_t *text, size_t size, size_t at)
{
    at = skip_blanks(text, size, at);
    while (at < size && skip_blanks(text, size, at) == at)
        ++at;
    return at;
}

int image_profile_orientation(uint8_t *text, size_t size, bool *exif)
{
    size_t at = skip_word(text, size, skip_word(text, size, 0)), bytes = 0;
    int found, high;

    for (high = -1; (at = skip_blanks(text, size, at)) < size && digit(text[at]) >= 0; ++at) {
        if (high >= 0)
            text[bytes++] = (uint8_t)(high << 4 | digit(text[at]));
        high = high >= 0 ? -1 : digit(text[at]);
    }
    found = image_exif_orientation(text, bytes);
    *exif = found > 0;
    if (found == 0)
        found = image_xmp_orientation(text, bytes);
    return found;
}
