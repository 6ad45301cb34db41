/* Heap sort (see sort.h). */
#include "core/sort.h"

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
