/*
 * What execs that train as one share, and what each has of its own: for group.c and group_join.c.
 */
#ifndef HMT_CUDNN_GROUP_H
#define HMT_CUDNN_GROUP_H

#include <pthread.h>
#include <stdatomic.h>

#include "exec.h"
#include "nccl_calls.h"

/* What all members share. */
typedef struct group {
    nccl_calls nccl;
    atomic_int broken;
    atomic_int members;
    int32_t size;
    pthread_mutex_t lock; /* of aborting */
    nccl_comm *comms;
} group;

typedef struct bucket {
    int32_t last; /* SGD step that closes it */
    int64_t count;
    float *at;
    cudaEvent_t ready;
} bucket;

struct member {
    group *group;
    int32_t rank;
    cudaStream_t stream;
    cudaEvent_t done;
    bucket *buckets;
    int32_t bucket_count;
    int32_t *bucket_of;     /* by step: of SGD steps, else -1 */
    int64_t *gradient_at;   /* by step: of SGD steps, in their bucket */
    int64_t *statistics_at; /* by step: of STATISTICS steps, in floats, else -1 */
    int32_t statistics_last;
    int64_t statistics_count;
    float *statistics;
    cudaEvent_t statistics_ready;
};

/* Where the gradient of an SGD step lies in its bucket. */
static inline float *gradient_of(const member *m, int32_t step)
{
    return m->buckets[m->bucket_of[step]].at + m->gradient_at[step];
}

#endif
