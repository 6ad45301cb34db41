/*
 * What a home of parameters is made of, and how values get in and out of it: for weights.c, which
 * holds the lock.
 */
#ifndef HMT_CUDNN_TRANSFER_H
#define HMT_CUDNN_TRANSFER_H

#include "weights.h"

struct weights {
    const device *device;
    const hmt_source *source;
    pthread_mutex_t lock;
    cudaStream_t stream;
    weight *list;
    uint64_t room; /* of the two buffers that a chunk passes through */
    float *pinned;
    float *passing;
    uint64_t bytes; /* on the device */
};

/* Fills `values` and, unless it is NULL, the bfloat16 `copy` of a weight: from `given`, (O,I,h,w),
 * or from the model if that is NULL. */
hmt_status transfer_fill(weights *w, const weight *e, const float *given, float *values,
                         void *copy);
/* Reads a slot of a weight into `values`, (O,I,h,w). */
hmt_status transfer_take(weights *w, const weight *e, const float *slot, float *values);

#endif
