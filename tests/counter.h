/*
 * An allocator for tests that counts what is asked for and given back, and fails on demand:
 *
 *     counter c = {.fail_after = -1};
 *     hmt_allocator allocator = {counted_allocate, counted_release, &c};
 *
 * For one thread.
 */
#ifndef HMT_TESTS_COUNTER_H
#define HMT_TESTS_COUNTER_H

#include <stdlib.h>

/* malloc, counted. `fail_after` allocations succeed; negative: all do. */
typedef struct counter {
    size_t live, bytes, largest;
    int fail_after;
} counter;

static inline void *counted_allocate(void *user, size_t size, size_t alignment)
{
    counter *c = user;
    void *pointer = NULL;

    if (c->fail_after == 0)
        return NULL;
    if (c->fail_after > 0)
        --c->fail_after;
    c->bytes += size;
    c->largest = size > c->largest ? size : c->largest;
    ++c->live;
    return posix_memalign(&pointer, alignment, size) == 0 ? pointer : NULL;
}

static inline void counted_release(void *user, void *pointer)
{
    --((counter *)user)->live;
    free(pointer);
}

#endif
