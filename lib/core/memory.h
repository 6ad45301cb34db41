/*
 * Memory through the host's allocator (hmt_allocator), with overflow checks.
 *
 * Every block is aligned to MEMORY_ALIGNMENT. The same allocator must release it.
 */
#ifndef HMT_CORE_MEMORY_H
#define HMT_CORE_MEMORY_H

#include <stdbool.h>

#include <hmtnet/hmtnet.h>

enum { MEMORY_ALIGNMENT = 64 };

/* malloc's allocator, and the one to use for `given`: itself if it has functions, else malloc's. */
extern const hmt_allocator memory_default;
const hmt_allocator *memory_choose(const hmt_allocator *given);

/* *product = a * b, *sum = a + b; false on overflow. */
bool size_multiply(size_t a, size_t b, size_t *product);
bool size_add(size_t a, size_t b, size_t *sum);

/* `count` elements of `size` bytes, zeroed or not; *out is a void * to the block, NULL on failure.
 * `what` names it in the message ("out of memory: 1234 bytes for WHAT"). A count or size of 0 gives
 * a block that must not be read. */
hmt_status memory_zeroed(const hmt_allocator *allocator, size_t count, size_t size,
                         const char *what, void **out);
hmt_status memory_uninitialised(const hmt_allocator *allocator, size_t count, size_t size,
                                const char *what, void **out);
/* A copy of a string. */
hmt_status memory_string(const hmt_allocator *allocator, const char *text, char **out);
void memory_free(const hmt_allocator *allocator, void *pointer);

#endif
