/*
 * The photos of a data set as tensors: decoded, resized, and kept in memory as far as a bound
 * allows, so that later epochs need not decode again. May be used by several threads at once.
 */
#ifndef HMT_DATA_PHOTOS_H
#define HMT_DATA_PHOTOS_H

#include <pthread.h>

#include "image/image.h"

typedef struct photos {
    const hmt_context *context;
    const hmt_dataset *dataset;
    const hmt_augment_options *augment; /* NULL: preprocess */
    hmt_preprocess_options preprocess;
    hmt_decode_options decode;
    pthread_mutex_t lock;
    hmt_pixels *kept; /* by sample, resized; data NULL: not kept. Under lock; NULL: keep none */
    size_t count;
    bool *bad;             /* by sample: it could not be read before. Under lock */
    uint64_t bytes, bound; /* kept, and how many may be. Under lock */
} photos;

/* Sets up what the other fields do not say: the lock and the room for what is kept. */
hmt_status photos_open(photos *p, uint64_t keep_bytes);
void photos_close(photos *p);
/* In a child after fork(), whose parent's threads were using them: as if none had been kept. */
void photos_adopt(photos *p);

/* Tensor (3,crop,crop) of a sample. On failure the message begins with the table's file and line.
 */
hmt_status photos_tensor(photos *p, size_t sample, uint64_t seed, float *tensor);

/* Remembers that a sample cannot be read. Returns whether that is news. */
bool photos_mark_bad(photos *p, size_t sample);
bool photos_is_bad(photos *p, size_t sample);

#endif
