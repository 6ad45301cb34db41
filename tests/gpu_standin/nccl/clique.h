/*
 * clique.h - the communicators that were made together, and a collective as plain data for the
 * stream.
 */
#ifndef GPU_STANDIN_CLIQUE_H
#define GPU_STANDIN_CLIQUE_H

#include <nccl.h>

#include "../core.h"

enum { RANKS_MAX = 16 };

/* The n-th collective: where each rank's data is. */
struct meeting {
    struct meeting *next;
    uint64_t number;
    int arrived, left, computed;
    const float *from[RANKS_MAX];
    float *to[RANKS_MAX];
    size_t count;
    ncclRedOp_t operation;
};

struct clique {
    int ranks, references, aborted;
    int captured;       /* a graph has held its operations, and may still */
    ncclResult_t error; /* for ncclCommGetAsyncError() */
    uint64_t next[RANKS_MAX];
    int outstanding[RANKS_MAX]; /* queued and not run */
    struct meeting *meetings;
};

struct ncclComm {
    struct clique *clique;
    int rank, device;
};

/* One rank's part of an all-reduce. */
struct reduction {
    struct clique *clique;
    int rank;
    struct meeting *meeting; /* NULL until the rank arrives */
    const float *from;
    float *to;
    size_t count;
    ncclRedOp_t operation;
    cudaStream_t stream;
};

standin_progress reduction_run(void *reduction);
void reduction_copied(void *reduction);
void reduction_forget(void *reduction);
void clique_release(struct clique *clique);
void clique_abort(struct clique *clique);

#endif
