/*
 * What differs between processors with the same instructions: their makers and generations.
 */
#ifndef HMT_ONEDNN_PROCESSOR_H
#define HMT_ONEDNN_PROCESSOR_H

#include "kernels/kernels.h"

/* Who made a processor, as CPUID says it; the numbers are 0 where that is not known. */
typedef struct processor {
    char maker[13]; /* e.g. "AuthenticAMD" */
    int32_t family;
} processor;

processor processor_detect(void);

/* The prefetch that `name` asks for ("hardware" or "nontemporal"), else (NULL, another name) this
 * processor's. */
weight_prefetch processor_prefetch(const char *name);
/* The one that is faster on a processor. */
weight_prefetch processor_best_prefetch(const processor *p);

#endif
