/*
 * Helpers around an opened device; see device.h. Nothing here knows plans or steps.
 */
#include "device.h"

#include <omp.h>
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

hmt_status device_reorder(const device *d, const char *where, const_dnnl_memory_desc_t from_md,
                          const void *from, const_dnnl_memory_desc_t to_md, void *to)
{
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_memory_t memory[2] = {NULL, NULL};
    dnnl_stream_t stream = NULL;
    dnnl_status_t status;

    status = dnnl_reorder_primitive_desc_create(&pd, from_md, d->engine, to_md, d->engine, NULL);
    if (status == dnnl_success)
        status = dnnl_primitive_create(&primitive, pd);
    if (status == dnnl_success)
        status = dnnl_memory_create(&memory[0], from_md, d->engine, (void *)from);
    if (status == dnnl_success)
        status = dnnl_memory_create(&memory[1], to_md, d->engine, to);
    if (status == dnnl_success)
        status = dnnl_stream_create(&stream, d->engine, dnnl_stream_default_flags);
    if (status == dnnl_success) {
        const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, memory[0]}, {DNNL_ARG_TO, memory[1]}};

        status = dnnl_primitive_execute(primitive, stream, 2, args);
    }
    if (status == dnnl_success)
        status = dnnl_stream_wait(stream);
    dnnl_stream_destroy(stream);
    dnnl_memory_destroy(memory[0]);
    dnnl_memory_destroy(memory[1]);
    dnnl_primitive_destroy(primitive);
    dnnl_primitive_desc_destroy(pd);
    return device_check(d, where, "reorder", status);
}

hmt_status device_threads_enter(const device *d, int32_t threads, device_threads *before)
{
    if (threads > 1 &&
        (omp_in_parallel() || omp_get_max_active_levels() < 1 || omp_get_thread_limit() < threads))
        return d->host->fail(
            HMT_ERROR_STATE,
            "OpenMP would not give the context's %d threads here: inside a parallel "
            "region, or under a thread limit, make the context with 1 thread",
            (int)threads);
    *before = (device_threads){omp_get_max_threads(), omp_get_dynamic()};
    omp_set_num_threads(threads);
    omp_set_dynamic(0);
    return HMT_OK;
}

void device_threads_leave(const device_threads *before)
{
    omp_set_num_threads(before->threads);
    omp_set_dynamic(before->dynamic);
}
