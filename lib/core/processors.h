/*
 * The machine's processors.
 */
#ifndef HMT_CORE_PROCESSORS_H
#define HMT_CORE_PROCESSORS_H

#include <stdint.h>

/* How many of them this process may run on; at least 1. */
int32_t processors_available(void);

#endif
