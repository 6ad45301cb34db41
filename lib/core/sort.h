/*
 * Sorting for hostile input, and finding what was sorted: in place, without memory of its own
 * (qsort() may ask for some), n log n steps whatever the order is at first.
 */
#ifndef HMT_CORE_SORT_H
#define HMT_CORE_SORT_H

#include <stddef.h>

/* Puts items[0..n) in the order that `compare` gives: below, at or above 0 for what two of them
 * point to. Equal ones come in any order. */
void sort_pointers(const void **items, size_t n, int (*compare)(const void *, const void *));

/* One of such items for which compare(key, item) is 0; NULL if there is none. */
const void *sort_find(const void *const *items, size_t n, const void *key,
                      int (*compare)(const void *key, const void *item));

/* The order of byte strings: below, at or above 0. */
int sort_bytes(const char *a, size_t a_size, const char *b, size_t b_size);

#endif
