/*
 * The loader: a ring of batch buffers that worker threads fill ahead of the caller. loader.c makes
 * and ends it and hands out batches, loader_work.c is what the workers do.
 *
 * Batches are numbered through all epochs; a worker takes the next place of the newest batch that
 * has a buffer. Shared fields are under one lock, decoding runs outside it. A batch's samples are
 * chosen when its first place is taken, so that the order of one epoch is all that is remembered.
 */
#ifndef HMT_DATA_LOADER_H
#define HMT_DATA_LOADER_H

#include <pthread.h>

#include "core/owner.h"
#include "data/photos.h"

enum { LOADER_MESSAGE = 512 };

/* One batch's buffer. */
typedef struct slot {
    float *images;          /* (batch,3,crop,crop) */
    size_t *samples;        /* (batch) */
    int32_t *gender, *race; /* (batch) */
    float *score;           /* (batch) */
    size_t size, done;      /* places that the batch has, and that are filled */
    size_t bad_place;       /* the first one that failed; size: none */
    hmt_status status;      /* what it came to */
    char message[LOADER_MESSAGE];
} slot;

struct hmt_loader {
    const hmt_allocator *allocator;
    hmt_loader_options options;
    hmt_augment_options augment;
    photos photos;
    size_t *indices;  /* (count) samples of an epoch */
    size_t count;     /* of them */
    size_t per_epoch; /* batches */
    size_t floats;    /* of an image */
    slot *slots;      /* (slot_count); batch b is in slot b % slot_count */
    size_t slot_count;
    uint64_t lent; /* batches that the caller may hold at once */
    pthread_t *threads;
    size_t started; /* 0 in a child after fork(): whoever asks for a batch fills it */
    owner owner;

    pthread_mutex_t lock;
    pthread_cond_t work, filled; /* for workers: there may be something to do; for the caller */
    size_t *order;               /* (count) of epoch order_epoch */
    uint64_t order_epoch;        /* UINT64_MAX: none yet */
    uint64_t next_batch;         /* being handed out to workers */
    size_t next_place;
    uint64_t taken, released; /* batches given to the caller, and given back */
    bool at_end;              /* the end of an epoch is to be told next */
    size_t busy;              /* workers outside the lock */
    bool paused, stop;
};

/* A worker's thread: fills places until the loader ends. `argument` is the loader. */
void *loader_work(void *argument);
/* Takes and fills the next place, waiting for one; false: the loader ends. */
bool loader_fill(hmt_loader *loader);

#endif
