/*
 * The file around a PyTorch checkpoint's pickle: finds the pickle in a zip archive or a stream,
 * checks what it names, and finds the bytes of each storage that it names.
 */
#ifndef HMT_FORMAT_TORCH_FILE_H
#define HMT_FORMAT_TORCH_FILE_H

#include "format/pickle.h"
#include "format/tensors.h"

/* A storage that the pickle names. */
typedef struct torch_storage {
    const pickle_value *key; /* text */
    tensors_dtype dtype;
    uint64_t count;  /* of elements */
    uint64_t offset; /* in the file */
    bool placed;     /* offset counts */
} torch_storage;

typedef struct torch_file {
    const hmt_allocator *allocator;
    const unsigned char *data;
    size_t size;
    const char *what;
    pickle object;
    torch_storage *storages; /* (count): one for each persistent value, in the pickle's order */
    const void **order;      /* (distinct), by key, each key once */
    size_t count, distinct;
} torch_file;

/* Opens the `size` bytes at `data`, for which torch_is() holds. On failure, too, torch_file_close()
 * releases what *file has. */
hmt_status torch_file_open(const hmt_allocator *allocator, const unsigned char *data, size_t size,
                           const char *what, torch_file *file);
void torch_file_close(torch_file *file);

/* The storage with this key that is in the file; NULL if there is none. */
const torch_storage *torch_file_storage(const torch_file *file, const pickle_value *key);

#endif
