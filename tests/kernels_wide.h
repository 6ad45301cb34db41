/* Vectors of 16 lanes without a processor that has them; see kernels_wide.c. */
#ifndef HMT_TESTS_KERNELS_WIDE_H
#define HMT_TESTS_KERNELS_WIDE_H

#include "onednn/kernels/kernels.h"

extern const kernels kernels_wide;

#endif
