/*
 * safetensors files: a reader of their index, and a writer.
 *
 * A file is 8 bytes with the header's length N, N bytes of JSON, then the tensors' data, little
 * endian, without holes: {"__metadata__":{"key":"value"},"name":{"dtype":"F32","shape":[2,3],
 * "data_offsets":[begin,end]},...}.
 */
#ifndef HMT_FORMAT_SAFETENSORS_H
#define HMT_FORMAT_SAFETENSORS_H

#include "core/file.h"
#include "format/tensors.h"

enum { SAFETENSORS_MAX_HEADER = 100 * 1000 * 1000 /* bytes, as in the reference implementation */ };

/* tensors_open() of a safetensors file. Only the header is read here. Memory asked for is at most
 * four times the header's length and some. HMT_ERROR_FORMAT, _UNSUPPORTED (a dtype not in the list,
 * more than 8 dimensions), _MEMORY. */
hmt_status safetensors_open(const hmt_allocator *allocator, const unsigned char *data, size_t size,
                            const char *what, tensors_index *index);

/* How much of a file of `size` bytes, which begins with these, safetensors_open() reads: its
 * header, or what is enough to refuse it. */
size_t safetensors_header_size(const unsigned char *head, size_t head_size, uint64_t size);

typedef struct safetensors_tensor {
    const char *name;
    tensors_dtype dtype; /* F32, F16, BF16 or I8: what is stored */
    int32_t rank;
    int64_t shape[TENSORS_MAX_RANK];
    const float *values; /* dense; not used where the job has a fetch function */
    const float *scales; /* of I8, (shape[0]): a value is stored as the nearest multiple from -127
                            to 127 of its scale */
} safetensors_tensor;

/* Everything that goes into a file. Tensors are written in the order given, without holes: put F32
 * first, so that each can be used in place. Names and metadata are distinct and valid UTF-8. */
typedef struct safetensors_job {
    const safetensors_tensor *tensors;
    size_t tensor_count;
    const tensors_pair *metadata;
    size_t metadata_count;
    /* Gives `count` values of tensors[index] from element `first` on, which are used until the next
     * call; `room` has room for them. NULL: tensors[].values */
    hmt_status (*fetch)(void *fetch_user, size_t index, uint64_t first, size_t count, float *room,
                        const float **values);
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
