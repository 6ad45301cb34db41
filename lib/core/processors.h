/*
 * The machine's processors.
 */
#ifndef HMT_CORE_PROCESSORS_H
#define HMT_CORE_PROCESSORS_H

#include <stdint.h>

/* How many of them this process may use, by its affinity mask and the CPU quota of its control
 * groups, rounded up; at least 1. */
int32_t processors_available(void);

/* The quota in processors, rounded up: the least of the process's group, as `self` (a file like
 * /proc/self/cgroup) names it, and all above it, in the hierarchies mounted at `mount`. 0: none, or
 * the files are absent or make no sense. */
int32_t processors_quota(const char *self, const char *mount);

#endif
