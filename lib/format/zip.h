/*
 * The directory of a zip archive in memory, to use its members where they lie. Sizes and offsets
 * are checked against the archive's length; checksums are not looked at.
 */
#ifndef HMT_FORMAT_ZIP_H
#define HMT_FORMAT_ZIP_H

#include <stdbool.h>

#include <hmtnet/hmtnet.h>

typedef struct zip_member {
    const char *name; /* in the archive, not terminated */
    size_t name_size;
    uint64_t offset; /* of the content, in the archive */
    uint64_t size;   /* there */
    bool stored;     /* as it is; else compressed or encrypted */
} zip_member;

typedef struct zip_directory {
    const hmt_allocator *allocator;
    zip_member *members; /* (count), in the archive's order */
    size_t count;
    const void **order; /* (count), by name */
} zip_directory;

/* Does an archive begin here? */
bool zip_is(const unsigned char *data, size_t size);
/* Reads the directory of the archive that is the `size` bytes at `data`, with or without zip64
 * records. HMT_ERROR_FORMAT, _UNSUPPORTED (several volumes), _MEMORY. On failure *out is zero. */
hmt_status zip_open(const hmt_allocator *allocator, const unsigned char *data, size_t size,
                    const char *what, zip_directory *out);
/* Frees it and sets it to zero. */
void zip_close(zip_directory *directory);

/* The member whose name is `folder` (of folder_size bytes) and behind it `name` (of name_size);
 * NULL if there is none. */
const zip_member *zip_find(const zip_directory *directory, const char *folder, size_t folder_size,
                           const char *name, size_t name_size);

#endif
