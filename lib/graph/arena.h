/*
 * Placing blocks with known lifetimes in one arena, so that its size is known before anything runs.
 */
#ifndef HMT_GRAPH_ARENA_H
#define HMT_GRAPH_ARENA_H

#include <hmtnet/backend.h>

/* Sets each interval's offset (a multiple of 64) so that no two that are alive at the same step
 * overlap; *total receives the arena's size. Largest first, lowest gap that fits. */
hmt_status arena_place(const hmt_allocator *allocator, hmt_interval *intervals, size_t count,
                       uint64_t *total);

#endif
