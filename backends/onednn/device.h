/*
 * An opened device, and what every file of this backend needs: oneDNN's status as ours, plain
 * memory descriptors, memory through the host's allocator, and the number of threads.
 */
#ifndef HMT_ONEDNN_DEVICE_H
#define HMT_ONEDNN_DEVICE_H

#include <dnnl.h>
#include <hmtnet/backend.h>

#include "kernels/kernels.h"

typedef struct device {
    const hmt_host *host;
    dnnl_engine_t engine;
    const kernels *kernels;   /* ours, for this processor */
    weight_prefetch prefetch; /* HMT_PREFETCH, else by the processor */
    int32_t tile; /* HMT_CONV: outputs of a Winograd tile's side, 0: direct, -1: the best */
} device;

/* HMT_OK for dnnl_success; else fails with "WHERE: FUNCTION failed: why". `where` may be NULL. */
hmt_status device_check(const device *d, const char *where, const char *function,
                        dnnl_status_t status);

/* memory from the host's allocator, aligned to a cache line; not initialised. Freeing NULL is
 * allowed. */
hmt_status device_allocate(const device *d, uint64_t bytes, const char *what, void **out);
void device_free(const device *d, void *pointer);

/* Row-major descriptor of the same dimensions as `md`. The caller destroys it. */
dnnl_status_t device_plain_md(const_dnnl_memory_desc_t md, dnnl_memory_desc_t *plain);

/* Copies a buffer into another layout. */
hmt_status device_reorder(const device *d, const char *where, const_dnnl_memory_desc_t from_md,
                          const void *from, const_dnnl_memory_desc_t to_md, void *to);

/* The host's OpenMP settings, as they were before. */
typedef struct device_threads {
    int threads;
    int dynamic;
} device_threads;

/* The calling thread's primitives compute with `threads` threads until it hands back what enter()
 * noted in `before`, so that the host's own OpenMP settings survive every call. HMT_ERROR_STATE
 * where OpenMP would give fewer: oneDNN's primitives would leave out their work, or wait for ever.
 */
hmt_status device_threads_enter(const device *d, int32_t threads, device_threads *before);
void device_threads_leave(const device_threads *before);

#endif
