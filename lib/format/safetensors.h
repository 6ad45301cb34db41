/*
 * safetensors files: an index over bytes in memory, conversions of what it names, and a writer.
 *
 * A file is 8 bytes with the header's length N, N bytes of JSON, then the tensors' data, little
 * endian, without holes: {"__metadata__":{"key":"value"},"name":{"dtype":"F32","shape":[2,3],
 * "data_offsets":[begin,end]},...}. Nothing in it is trusted before it was checked.
 */
#ifndef HMT_FORMAT_SAFETENSORS_H
#define HMT_FORMAT_SAFETENSORS_H

#include <stdbool.h>

#include "core/file.h"

enum {
    SAFETENSORS_MAX_RANK = 8,
    SAFETENSORS_MAX_HEADER = 100 * 1000 * 1000 /* bytes, as in the reference implementation */
};

typedef enum safetensors_dtype {
    SAFETENSORS_F32,
    SAFETENSORS_F16,
    SAFETENSORS_BF16,
    /* What follows is indexed, not converted. */
    SAFETENSORS_F64,
    SAFETENSORS_I64,
    SAFETENSORS_I32,
    SAFETENSORS_I16,
    SAFETENSORS_I8,
    SAFETENSORS_U64,
    SAFETENSORS_U32,
    SAFETENSORS_U16,
    SAFETENSORS_U8,
    SAFETENSORS_BOOL,
    SAFETENSORS_F8_E4M3,
    SAFETENSORS_F8_E5M2,
    SAFETENSORS_F8_E8M0,
    SAFETENSORS_C64,
    SAFETENSORS_DTYPE_COUNT
} safetensors_dtype;

/* As in files, e.g. "BF16"; bytes of one element. */
const char *safetensors_dtype_name(safetensors_dtype dtype);
size_t safetensors_dtype_size(safetensors_dtype dtype);

/* ---- reading ---- */

typedef struct safetensors_entry {
    const char *name; /* the index's; no zero byte within */
    safetensors_dtype dtype;
    int32_t rank;                        /* 0 for a scalar */
    int64_t shape[SAFETENSORS_MAX_RANK]; /* entries from rank on are 1 */
    uint64_t count;                      /* of elements */
    uint64_t offset;                     /* of the data, from the beginning of the file */
    uint64_t bytes;                      /* count times the dtype's size */
} safetensors_entry;

typedef struct safetensors_pair {
    const char *key; /* no zero byte within */
    const char *value;
    size_t value_size; /* the value has a terminating zero besides */
} safetensors_pair;

typedef struct safetensors_index {
    const hmt_allocator *allocator;
    const char *what;           /* as given to safetensors_open() */
    const unsigned char *data;  /* the whole file, the caller's */
    safetensors_entry *entries; /* (count), in the header's order */
    size_t count;
    safetensors_pair *metadata; /* (metadata_count), in the header's order */
    size_t metadata_count;
    const void **order; /* (count or metadata_count, the larger); by name after opening */
    char *names;        /* all strings */
} safetensors_index;

/* Indexes the `size` bytes at `data`, which must stay until the index is closed. `what`, a file
 * name or the like, begins every message and must stay as long. Memory asked for is at most four
 * times the header's length and some. HMT_ERROR_FORMAT, _UNSUPPORTED (a dtype not in the list, more
 * than 8 dimensions), _MEMORY. On failure *index is zero. */
hmt_status safetensors_open(const hmt_allocator *allocator, const unsigned char *data, size_t size,
                            const char *what, safetensors_index *index);
/* Frees the index, not the data, and sets it to zero. */
void safetensors_close(safetensors_index *index);

/* NULL if there is none. */
const safetensors_entry *safetensors_find(const safetensors_index *index, const char *name);
const safetensors_pair *safetensors_metadata(const safetensors_index *index, const char *key);

/* The data itself where it can be used in place: F32, aligned, on a little endian machine; else
 * NULL. */
const float *safetensors_in_place(const safetensors_index *index, const safetensors_entry *entry);
/* The same for F16, BF16 and I8 of two dimensions or more; vectors are always read as float32. */
const void *safetensors_narrow(const safetensors_index *index, const safetensors_entry *entry);
/* Converts F32, F16 or BF16 data to entry->count floats; other dtypes are HMT_ERROR_UNSUPPORTED. */
hmt_status safetensors_read(const safetensors_index *index, const safetensors_entry *entry,
                            float *values);
/* Converts I8 data, times one of the entry->shape[0] F32 values of `scales` for each index of the
 * first dimension, to entry->count floats. */
void safetensors_read_scaled(const safetensors_index *index, const safetensors_entry *entry,
                             const safetensors_entry *scales, float *values);

/* ---- writing ---- */

typedef struct safetensors_tensor {
    const char *name;
    safetensors_dtype dtype; /* F32, F16, BF16 or I8: what is stored */
    int32_t rank;
    int64_t shape[SAFETENSORS_MAX_RANK];
    const float *values; /* dense; not used where the job has a fetch function */
    const float *scales; /* of I8, (shape[0]): a value is stored as the nearest multiple from -127
                            to 127 of its scale */
} safetensors_tensor;

/* Everything that goes into a file. Tensors are written in the order given, without holes: put F32
 * first, so that each can be used in place. Names and metadata are distinct and valid UTF-8. */
typedef struct safetensors_job {
    const safetensors_tensor *tensors;
    size_t tensor_count;
    const safetensors_pair *metadata;
    size_t metadata_count;
    /* Gives the values of tensors[index]; they are used until the next call. NULL: tensors[].values
     */
    hmt_status (*fetch)(void *fetch_user, size_t index, const float **values);
    void *fetch_user;
    hmt_progress_fn progress; /* told "save" and bytes of data before each tensor and at the end */
    void *progress_user;
} safetensors_job;

/* Writes header and data; the data begins at a multiple of 64 bytes. Committing is left to the
 * caller; after a failure the writer is discarded. HMT_ERROR_LIMIT where a finite value overflows
 * F16 or BF16 or is not finite in I8, _CANCELLED, _ARGUMENT, _IO, _MEMORY, or what fetch returned.
 */
hmt_status safetensors_write(file_writer *writer, const hmt_allocator *allocator,
                             const safetensors_job *job);

#endif
