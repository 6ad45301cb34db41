/*
 * Sorting for hostile input: in place, without memory of its own (qsort() may ask for some), n log
 * n steps whatever the order is at first.
 */
#ifndef HMT_CORE_SORT_H
#define HMT_CORE_SORT_H

#include <stddef.h>

/* Puts items[0..n) in the order that `compare` gives: below, at or above 0 for what two of them
 * point to. Equal ones come in any order. */
void sort_pointers(const void **items, size_t n, int (*compare)(const void *, const void *));

#endif
