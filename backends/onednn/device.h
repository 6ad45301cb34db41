/*
 * An opened device, and what every file of this backend needs: oneDNN's status as ours, plain
 * memory descriptors, and memory through the host's allocator.
 */
#ifndef HMT_ONEDNN_DEVICE_H
#define HMT_ONEDNN_DEVICE_H

#include <dnnl.h>
#include <hmtnet/backend.h>

#include "kernels/kernels.h"

typedef struct device {
    const hmt_host *host;
    const kernels *kernels;   /* ours, for this processor */
    weight_prefetch prefetch; /* HMT_PREFETCH, else by the processor */
    int32_t tile; /* HMT_CONV: outputs of a Winograd tile's side, 0: im2col, -1: the best */
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

#endif
