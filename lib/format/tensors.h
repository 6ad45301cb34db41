/*
 * The tensors of a model file: an index over bytes in memory, whatever format they are in, and
 * conversions of what it names. Nothing in a file is trusted before it was checked.
 */
#ifndef HMT_FORMAT_TENSORS_H
#define HMT_FORMAT_TENSORS_H

#include <stdbool.h>

#include "core/file.h"

enum { TENSORS_MAX_RANK = 8 };

typedef enum tensors_dtype {
    TENSORS_F32,
    TENSORS_F16,
    TENSORS_BF16,
    TENSORS_F64,
    /* What follows is indexed, not converted. */
    TENSORS_I64,
    TENSORS_I32,
    TENSORS_I16,
    TENSORS_I8,
    TENSORS_U64,
    TENSORS_U32,
    TENSORS_U16,
    TENSORS_U8,
    TENSORS_BOOL,
    TENSORS_F8_E4M3,
    TENSORS_F8_E5M2,
    TENSORS_F8_E8M0,
    TENSORS_C64,
    TENSORS_DTYPE_COUNT
} tensors_dtype;

/* As in safetensors files, e.g. "BF16"; bytes of one element. */
const char *tensors_dtype_name(tensors_dtype dtype);
size_t tensors_dtype_size(tensors_dtype dtype);

typedef struct tensors_entry {
    const char *name; /* the index's; no zero byte within */
    tensors_dtype dtype;
    int32_t rank;                    /* 0 for a scalar */
    int64_t shape[TENSORS_MAX_RANK]; /* entries from rank on are 1 */
    /* Elements from one to the next along a dimension, where the data is not dense in the shape's
     * order: from none to what makes the last element end at the last byte. */
    int64_t stride[TENSORS_MAX_RANK];
    bool strided;    /* stride counts; else the data is dense */
    bool negated;    /* a value is what is stored, negated: PyTorch's negative bit */
    uint64_t count;  /* of elements */
    uint64_t offset; /* of the data, from the beginning of the file */
    uint64_t bytes;  /* from there to the last element's end; no two entries share a byte */
} tensors_entry;

typedef struct tensors_pair {
    const char *key; /* no zero byte within */
    const char *value;
    size_t value_size; /* the value has a terminating zero besides */
} tensors_pair;

typedef struct tensors_index {
    const hmt_allocator *allocator;
    const char *what;          /* as given to tensors_open() */
    const unsigned char *data; /* the whole file, the caller's or block; NULL: only file has it */
    const file_reader *file;   /* the caller's; NULL: data has all */
    void *block;               /* the whole file, where its format needs that; NULL */
    tensors_entry *entries;    /* (count), in the file's order */
    size_t count;
    tensors_pair *metadata; /* (metadata_count), in the file's order */
    size_t metadata_count;
    const void **order; /* (count or metadata_count, the larger); by name after opening */
    char *names;        /* all strings */
    /* Of a PyTorch checkpoint: the state dict's name, "" where it is the whole object, and the
     * names of others that it has beside. As much of them as there is room for. */
    char state_dict[64], others[128];
} tensors_index;

/* Indexes the `size` bytes at `data`, which must stay until the index is closed: a safetensors file
 * or a PyTorch checkpoint (torch.h), as its first bytes say. `what`, a file name or the like,
 * begins every message and must stay as long. `state_dict` is the name of the one to take of a
 * checkpoint, NULL: the usual one. HMT_ERROR_FORMAT, _UNSUPPORTED, _NOT_FOUND (no such state dict),
 * _LIMIT, _MEMORY. On failure *index is zero. */
hmt_status tensors_open(const hmt_allocator *allocator, const unsigned char *data, size_t size,
                        const char *what, const char *state_dict, tensors_index *index);
/* The same for an open file, which must stay open as long; its path begins every message. Of a
 * safetensors file the header alone is read. HMT_ERROR_IO besides. */
hmt_status tensors_open_file(const hmt_allocator *allocator, const file_reader *file,
                             const char *state_dict, tensors_index *index);
/* Frees the index, not the data, and sets it to zero. */
void tensors_close(tensors_index *index);

/* NULL if there is none. */
const tensors_entry *tensors_find(const tensors_index *index, const char *name);
const tensors_pair *tensors_metadata(const tensors_index *index, const char *key);

/* If no tensor is called `wanted`, and of one alone the name ends in a dot and that: takes what
 * stands before off all names that have it, such as "module.". HMT_ERROR_FORMAT if two are then the
 * same. */
hmt_status tensors_strip(tensors_index *index, const char *wanted);

bool tensors_has_shape(const tensors_entry *entry, const int64_t shape[4]);

/* The data itself where it is in memory and can be used in place: F32, dense, aligned, on a little
 * endian machine; else NULL. */
const float *tensors_in_place(const tensors_index *index, const tensors_entry *entry);
/* The same for what tensors_is_narrow() says. */
const void *tensors_narrow(const tensors_index *index, const tensors_entry *entry);
/* Can a copy of the bytes be used as F16, BF16 or I8: dense, two dimensions or more, on a little
 * endian machine? Vectors are always read as float32. */
bool tensors_is_narrow(const tensors_entry *entry);
/* Copies the entry->bytes bytes of dense data out. HMT_ERROR_IO. */
hmt_status tensors_copy(const tensors_index *index, const tensors_entry *entry, void *bytes);
/* HMT_ERROR_UNSUPPORTED for a dtype that tensors_read() does not convert. */
hmt_status tensors_check_dtype(const tensors_index *index, const tensors_entry *entry);
/* Converts F32, F16, BF16 or F64 data to entry->count floats, dense in the shape's order; fails as
 * tensors_check_dtype() does and else, where the data is in memory, never; where it is in a file
 * with HMT_ERROR_IO or _MEMORY. */
hmt_status tensors_read(const tensors_index *index, const tensors_entry *entry, float *values);
/* Converts dense I8 data, times one of the entry->shape[0] dense F32 values of `scales` for each
 * index of the first dimension, to entry->count floats. As tensors_read(). */
hmt_status tensors_read_scaled(const tensors_index *index, const tensors_entry *entry,
                               const tensors_entry *scales, float *values);

/* ---- for the readers of formats ---- */

/* Room for an index of `count` tensors and `pairs` of metadata, with strings of `string_bytes`
 * bytes in all, zeroed. */
hmt_status tensors_allocate(tensors_index *index, size_t count, size_t pairs, size_t string_bytes);
/* Puts index->order by offset, empty tensors first among equals. */
void tensors_order_by_offset(tensors_index *index);
/* No metadata key and no name stands twice, or HMT_ERROR_FORMAT. Leaves index->order by name. */
hmt_status tensors_order_by_name(tensors_index *index);

#endif
