/*
 * The reference backend: plain C, one thread, no dependency. It is the definition of every step:
 * written to be read, checked by finite differences, and what the conformance suite compares the
 * others with.
 */
#ifndef HMT_BACKENDS_REFERENCE_H
#define HMT_BACKENDS_REFERENCE_H

#include <hmtnet/backend.h>

extern const hmt_backend backend_reference;

#endif
