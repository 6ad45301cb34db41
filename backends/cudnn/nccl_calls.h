/*
 * The few functions of NCCL that a group of GPUs needs, found in libnccl.so.2 when the first group
 * is made, so that nobody else needs the library. Declared here, since NCCL's header may not be
 * there when the module is built; types and numbers are those of NCCL 2's ABI.
 */
#ifndef HMT_CUDNN_NCCL_CALLS_H
#define HMT_CUDNN_NCCL_CALLS_H

#include "device.h"

typedef struct ncclComm *nccl_comm;
enum { NCCL_SUCCESS = 0, NCCL_SUM = 0, NCCL_FLOAT = 7 };

typedef struct nccl_calls {
    void *library;
    int (*init_all)(nccl_comm *comms, int count, const int *devices);
    int (*destroy)(nccl_comm comm);
    int (*abort)(nccl_comm comm);
    int (*all_reduce)(const void *from, void *to, size_t count, int type, int operation,
                      nccl_comm comm, cudaStream_t stream);
    int (*async_error)(nccl_comm comm, int *error);
    const char *(*text)(int error);
} nccl_calls;

hmt_status nccl_load(const device *d, nccl_calls *calls);
void nccl_unload(nccl_calls *calls);
hmt_status nccl_check(const device *d, const nccl_calls *calls, const char *call, int error);

#endif
