/* Heap sort and binary search (see sort.h). */
#include "core/sort.h"

#include <string.h>

void sort_pointers(const void **items, size_t n, int (*compare)(const void *, const void *))
{
    for (size_t root = n / 2, end = n; end > 1;) {
        const void *item;
        size_t hole, child;

        if (root > 0) { /* still building the heap */
            item = items[--root];
        } else {
            item = items[--end];
            items[end] = items[0];
        }
        for (hole = root; (child = 2 * hole + 1) < end; hole = child) {
            if (child + 1 < end && compare(items[child], items[child + 1]) < 0)
                ++child;
            if (compare(item, items[child]) >= 0)
                break;
            items[hole] = items[child];
        }
        items[hole] = item;
    }
}

const void *sort_find(const void *const *items, size_t n, const void *key,
                      int (*compare)(const void *key, const void *item))
{
    size_t low = 0, high = n;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const int order = compare(key, items[middle]);

        if (order == 0)
            return items[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

int sort_bytes(const char *a, size_t a_size, const char *b, size_t b_size)
{
    const int order = memcmp(a, b, a_size < b_size ? a_size : b_size);

    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}
