/*
 * Choosing among several ways to compute the same: each candidate is run a few times on the exec's
 * own memory while a plan is being prepared, and the winner's number is kept with the device, so
 * that the same shape is measured once.
 */
#ifndef HMT_CUDNN_CHOICE_H
#define HMT_CUDNN_CHOICE_H

#include <stdbool.h>

#include "device.h"

/* What a problem is, byte by byte: to be zeroed before it is filled. */
typedef struct choice_key {
    int32_t kind; /* of the problem; the caller's numbers */
    int32_t numbers[20];
} choice_key;

/* The winner's name from before, or -1. */
int32_t choice_find(device *d, const choice_key *key);
/* Keeps a winner, by a number that names it to the caller. Out of memory is no failure: it is
 * measured again next time. */
void choice_keep(device *d, const choice_key *key, int32_t name);
void choice_clear(device *d);

/* Starts candidate `i` on the stream; false if it cannot be run after all, which sets no sentence.
 */
typedef bool (*choice_run)(void *user, int32_t i);

/* The fastest of `count` candidates in *best, or, if only `most` of them shall be timed, of the
 * first so many that run; -1 if none does. With `most` 1 the first that runs is taken. */
hmt_status choice_measure(const device *d, const char *where, cudaStream_t stream,
                          cudaEvent_t before, cudaEvent_t after, int32_t count, int32_t most,
                          choice_run run, void *user, int32_t *best);

#endif
