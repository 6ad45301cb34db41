/*
 * An opened GPU, and what every file here needs of it: statuses of NVIDIA's libraries turned into
 * ours, and memory. Nothing here knows plans. A failed call sets the sentence once and gives its
 * status back.
 */
#ifndef HMT_CUDNN_DEVICE_H
#define HMT_CUDNN_DEVICE_H

#include <cublasLt.h>
#include <cudnn.h>
#include <pthread.h>

#include "kernels/kernels.h"

/* Memory blocks on the device begin at multiples of this. */
enum { DEVICE_ALIGNMENT = 256 };

typedef struct choice choice;

typedef struct device {
    const hmt_host *host;
    int32_t index;
    int32_t capability; /* 80 for 8.0 */
    hmt_precision precision;
    storage type;       /* of maps */
    int32_t candidates; /* of a convolution or product, that are measured; 1: the first is taken */
    uint64_t workspace; /* bytes that one convolution or product may ask for at most */
    pthread_mutex_t lock;
    choice *choices; /* what was measured before; see choice.h */
} device;

/* The vtable's entries. */
int32_t device_count(void);
hmt_status device_info(int32_t index, hmt_device_info *info);
hmt_status device_open(int32_t index, const hmt_host *host, void **opened);
void device_close(void *opened);

/* Makes the device the calling thread's: first in every entry. */
hmt_status device_enter(const device *d);

/*
 * While one thread records a CUDA graph, no thread may call what waits for a whole GPU, as making
 * and destroying cuDNN's handles does: it would spoil the recording. Both stand between these two.
 */
void device_exclusive_begin(void);
void device_exclusive_end(void);

/* status.c: `where` is a layer or parameter, or NULL. */
hmt_status status_cuda(const device *d, const char *where, const char *call, cudaError_t error);
hmt_status status_cudnn(const device *d, const char *where, const char *call, cudnnStatus_t status);
hmt_status status_cublas(const device *d, const char *where, const char *call,
                         cublasStatus_t status);
/* Whether the kernels launched since the last look could be started. */
hmt_status status_launch(const device *d, const char *where);

#define CUDA_CALL(d, where, function, ...)                                                         \
    status_cuda((d), (where), #function, function(__VA_ARGS__))
#define CUDNN_CALL(d, where, function, ...)                                                        \
    status_cudnn((d), (where), #function, function(__VA_ARGS__))
#define CUBLAS_CALL(d, where, function, ...)                                                       \
    status_cublas((d), (where), #function, function(__VA_ARGS__))

/* Memory of the host, zeroed, from its allocator; of the device; of the host, pinned. `what` goes
 * into the message. The device must be entered. Freeing takes NULL. */
hmt_status device_host_memory(const device *d, uint64_t count, uint64_t size, const char *what,
                              void **out);
void device_host_free(const device *d, void *pointer);
hmt_status device_memory(const device *d, uint64_t bytes, const char *what, void **out);
void device_memory_free(void *pointer);
hmt_status device_pinned(const device *d, uint64_t bytes, const char *what, void **out);
void device_pinned_free(void *pointer);

/* Rounded up to the alignment. */
static inline uint64_t device_round(uint64_t bytes)
{
    return (bytes + DEVICE_ALIGNMENT - 1) / DEVICE_ALIGNMENT * DEVICE_ALIGNMENT;
}
static inline uint64_t storage_size(storage type)
{
    return type == STORAGE_BFLOAT16 ? 2 : 4;
}

#endif
