/*
 * Helpers around an opened device; see device.h. Nothing here knows plans or steps.
 */
#include "device.h"

#include <stddef.h>
#include <sys/mman.h>

static const char *reason(dnnl_status_t status)
{
    switch (status) {
    case dnnl_out_of_memory:
        return "out of memory";
    case dnnl_invalid_arguments:
        return "invalid arguments";
    case dnnl_unimplemented:
        return "not implemented for these shapes";
    case dnnl_runtime_error:
        return "run-time error";
    default:
        return "unexpected status";
    }
}

hmt_status device_check(const device *d, const char *where, const char *function,
                        dnnl_status_t status)
{
    hmt_status code = HMT_ERROR_BACKEND;

    if (status == dnnl_success)
        return HMT_OK;
    if (status == dnnl_out_of_memory)
        code = HMT_ERROR_MEMORY;
    if (where == NULL)
        return d->host->fail(code, "%s failed: %s", function, reason(status));
    return d->host->fail(code, "%s: %s failed: %s", where, function, reason(status));
}

/* Asks for huge pages within a large block: weights are streamed, and a page is translated for each
 * 4 KiB otherwise. Only whole ones, so that no memory is added; a wish that may be refused. */
static void prefer_huge_pages(void *block, uint64_t bytes)
{
#ifdef MADV_HUGEPAGE
    const uintptr_t page = (uintptr_t)2 << 20;
    const uintptr_t first = ((uintptr_t)block + page - 1) & ~(page - 1);
    const uintptr_t last = ((uintptr_t)block + bytes) & ~(page - 1);

    if (last > first)
        (void)madvise((void *)first, last - first, MADV_HUGEPAGE);
#else
    (void)block, (void)bytes;
#endif
}

hmt_status device_allocate(const device *d, uint64_t bytes, const char *what, void **out)
{
    const hmt_allocator *a = &d->host->allocator;

    *out = bytes <= SIZE_MAX - 64 ? a->allocate(a->user, (size_t)bytes + 64, 64) : NULL;
    if (*out != NULL) {
        prefer_huge_pages(*out, bytes);
        return HMT_OK;
    }
    return d->host->fail(HMT_ERROR_MEMORY, "out of memory: %llu bytes for %s",
                         (unsigned long long)bytes, what);
}

void device_free(const device *d, void *pointer)
{
    if (pointer != NULL)
        d->host->allocator.release(d->host->allocator.user, pointer);
}

dnnl_status_t device_plain_md(const_dnnl_memory_desc_t md, dnnl_memory_desc_t *plain)
{
    static const dnnl_format_tag_t tags[] = {dnnl_a, dnnl_ab, dnnl_abc, dnnl_abcd, dnnl_abcde};
    const dnnl_dims_t *dims;
    int32_t ndims = 0;
    dnnl_status_t status = dnnl_memory_desc_query(md, dnnl_query_ndims_s32, &ndims);

    *plain = NULL;
    if (status == dnnl_success)
        status = dnnl_memory_desc_query(md, dnnl_query_dims, &dims);
    if (status != dnnl_success)
        return status;
    if (ndims < 1 || ndims > 5)
        return dnnl_invalid_arguments;
    return dnnl_memory_desc_create_with_tag(plain, ndims, *dims, dnnl_f32, tags[ndims - 1]);
}
