/*
 * How formulas are written so that every backend compiles the same lines: as static inline C, and
 * as CUDA device code.
 */
#ifndef HMT_OBJECTIVE_INLINE_H
#define HMT_OBJECTIVE_INLINE_H

#include <math.h>
#include <stdint.h>

#ifdef __CUDACC__
#define OBJECTIVE_INLINE static __host__ __device__ inline
#else
#define OBJECTIVE_INLINE static inline
#endif

#endif
