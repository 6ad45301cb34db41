/* Placing blocks with known lifetimes in one arena: first fit, largest first. */
#include "graph/arena.h"

#include <stdlib.h>

#include "core/memory.h"
#include "core/status.h"

enum { ALIGN = MEMORY_ALIGNMENT };

static bool alive_together(const hmt_interval *a, const hmt_interval *b)
{
    return a->first <= b->last && b->first <= a->last;
}

static int larger_first(const void *left, const void *right)
{
    const hmt_interval *a = *(hmt_interval *const *)left, *b = *(hmt_interval *const *)right;

    if (a->bytes != b->bytes)
        return a->bytes > b->bytes ? -1 : 1;
    return a < b ? -1 : 1; /* the order of the array: the same placement everywhere */
}

static int lower_first(const void *left, const void *right)
{
    const hmt_interval *a = *(hmt_interval *const *)left, *b = *(hmt_interval *const *)right;

    return (a->offset > b->offset) - (a->offset < b->offset);
}

/* The lowest offset at which `wanted` meets none of the `count` blocks, which are sorted by offset.
 */
static uint64_t lowest_gap(const hmt_interval *wanted, hmt_interval *const *near, size_t count)
{
    uint64_t offset = 0;

    for (size_t i = 0; i < count; ++i) {
        uint64_t end = (near[i]->offset + near[i]->bytes + ALIGN - 1) / ALIGN * ALIGN;

        if (near[i]->offset >= offset + wanted->bytes)
            break;
        if (end > offset)
            offset = end;
    }
    return offset;
}

hmt_status arena_place(const hmt_allocator *allocator, hmt_interval *intervals, size_t count,
                       uint64_t *total)
{
    hmt_interval **order, **near;
    void *block;
    uint64_t sum = 0;
    hmt_status status =
        memory_zeroed(allocator, count, 2 * sizeof *order, "memory planning", &block);

    *total = 0;
    if (status != HMT_OK)
        return status;
    order = block;
    near = order + count;
    for (size_t i = 0; i < count; ++i) {
        order[i] = &intervals[i];
        if (__builtin_add_overflow(sum, intervals[i].bytes, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)ALIGN, &sum) || sum > PTRDIFF_MAX) {
            status = status_fail(HMT_ERROR_LIMIT, "a plan's maps are larger than any memory");
            goto done;
        }
    }
    qsort(order, count, sizeof *order, larger_first);
    for (size_t i = 0; i < count; ++i) {
        size_t close = 0;

        for (size_t k = 0; k < i; ++k)
            if (alive_together(order[k], order[i]))
                near[close++] = order[k];
        qsort(near, close, sizeof *near, lower_first);
        order[i]->offset = lowest_gap(order[i], near, close);
        if (order[i]->offset + order[i]->bytes > *total)
            *total = order[i]->offset + order[i]->bytes;
    }
done:
    memory_free(allocator, block);
    return status;
}
