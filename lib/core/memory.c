/* Memory through the host's allocator. */
#define _GNU_SOURCE /* MADV_HUGEPAGE */
#include "core/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/status.h"

enum { LARGE = 8 << 20, HUGE_PAGE = 2 << 20 /* bytes */ };

/* Asks for large pages, where the system gives them on request: half of the time of copying 400 MB
 * of parameters into fresh memory goes into faults of 4 KiB each. */
static void prefer_large_pages(void *block, size_t size)
{
#ifdef MADV_HUGEPAGE
    const uintptr_t at = (uintptr_t)block;
    const uintptr_t first = (at + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    const uintptr_t end = (at + size) / HUGE_PAGE * HUGE_PAGE;

    if (size >= LARGE)
        madvise((void *)first, end - first, MADV_HUGEPAGE);
#else
    (void)block, (void)size;
#endif
}

static void *default_allocate(void *user, size_t size, size_t alignment)
{
    void *pointer = NULL;
    (void)user;
    if (posix_memalign(&pointer, alignment, size) != 0)
        return NULL;
    prefer_large_pages(pointer, size);
    return pointer;
}

static void default_release(void *user, void *pointer)
{
    (void)user;
    free(pointer);
}

const hmt_allocator memory_default = {default_allocate, default_release, NULL};

const hmt_allocator *memory_choose(const hmt_allocator *given)
{
    return given != NULL && given->allocate != NULL ? given : &memory_default;
}

bool size_multiply(size_t a, size_t b, size_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

bool size_add(size_t a, size_t b, size_t *sum)
{
    return !__builtin_add_overflow(a, b, sum);
}

hmt_status memory_uninitialised(const hmt_allocator *allocator, size_t count, size_t size,
                                const char *what, void **out)
{
    size_t bytes;

    *out = NULL;
    if (!size_multiply(count, size, &bytes) || bytes > PTRDIFF_MAX)
        return status_fail(HMT_ERROR_MEMORY,
                           "out of memory: %zu times %zu bytes for %s is beyond this machine",
                           count, size, what);
    *out = allocator->allocate(allocator->user, bytes > 0 ? bytes : 1, MEMORY_ALIGNMENT);
    if (*out == NULL)
        return status_fail(HMT_ERROR_MEMORY, "out of memory: %zu bytes for %s", bytes, what);
    return HMT_OK;
}

hmt_status memory_zeroed(const hmt_allocator *allocator, size_t count, size_t size,
                         const char *what, void **out)
{
    hmt_status status = memory_uninitialised(allocator, count, size, what, out);

    if (status == HMT_OK)
        memset(*out, 0, count * size);
    return status;
}

hmt_status memory_string(const hmt_allocator *allocator, const char *text, char **out)
{
    size_t size = strlen(text) + 1;
    void *copy;
    hmt_status status = memory_uninitialised(allocator, size, 1, "a name", &copy);

    *out = copy;
    if (status == HMT_OK)
        memcpy(copy, text, size);
    return status;
}

void memory_free(const hmt_allocator *allocator, void *pointer)
{
    if (pointer != NULL)
        allocator->release(allocator->user, pointer);
}
