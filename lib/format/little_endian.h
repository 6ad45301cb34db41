/* Numbers as the files here have them: little endian, at any address. */
#ifndef HMT_FORMAT_LITTLE_ENDIAN_H
#define HMT_FORMAT_LITTLE_ENDIAN_H

#include <stddef.h>
#include <stdint.h>

/* The number in `count` bytes, at most 8. */
static inline uint64_t little_endian(const unsigned char *bytes, size_t count)
{
    uint64_t value = 0;

    while (count-- > 0)
        value = value << 8 | bytes[count];
    return value;
}

#endif
