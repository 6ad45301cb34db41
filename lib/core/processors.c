/* Counting processors; see processors.h. */
#define _GNU_SOURCE /* sched_getaffinity */
#include "core/processors.h"

#include <sched.h>
#include <unistd.h>

int32_t processors_available(void)
{
    cpu_set_t set;
    long online;

    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
    online = sysconf(_SC_NPROCESSORS_ONLN); /* of a machine with more than a set has room for */
    return online > 0 ? (int32_t)online : 1;
}
