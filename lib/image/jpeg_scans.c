/*
 * The scans of a JPEG, counted before it is decoded: each passes over the image, and a few hundred
 * bytes are enough to ask for one. Counts no fewer than libjpeg finds, which jpeg.c checks.
 */
#include <string.h>

#include "image/jpeg.h"

/* The place of the next marker's second byte, from `at` on; `size` if there is none. Stuffed and
 * fill bytes, restart markers and codes that no segment has are passed over. */
static size_t next_marker(const uint8_t *data, size_t size, size_t at)
{
    while (at + 1 < size) {
        const uint8_t *found = memchr(data + at, 0xff, size - 1 - at);

        if (found == NULL)
            break;
        at = (size_t)(found - data) + 1;
        if (data[at] >= 0xc0 && data[at] < 0xff && (data[at] < 0xd0 || data[at] > 0xd8))
            return at;
    }
    return size;
}

void jpeg_find_scans(const uint8_t *data, size_t size, jpeg_scans *found)
{
    enum { EOI = 0xd9, SOS = 0xda };
    size_t at = 0;

    *found = (jpeg_scans){.size = size};
    while ((at = next_marker(data, size, at)) < size && data[at] != EOI) {
        const size_t length = size - at > 2 ? (size_t)data[at + 1] << 8 | data[at + 2] : 0;

        if (size - at <= 2 || length >= size - at) {
            found->size = at - 1;
            return;
        }
        if (data[at] == SOS && length > 2) {
            ++found->scans;
            found->components += data[at + 3];
        }
        at += 1 + (length > 2 ? length : 2);
    }
    if (at < size)
        found->size = at + 1;
}
