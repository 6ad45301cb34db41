/*
 * What this machine can do, measured: floating-point rate, memory bandwidth, memory used so far.
 */
#ifndef EXAMPLES_MACHINE_H
#define EXAMPLES_MACHINE_H

#include <stdint.h>

/* Highest rate of float32 multiply-adds from registers on `threads` threads, GFLOP/s. About half a
 * second. */
double machine_peak(int threads);
/* Memory bandwidth of a = b + s * c on arrays that no cache holds, GB/s: 12 bytes an element. */
double machine_bandwidth(int threads);
/* The largest resident memory of this process so far, in bytes; 0 if the system does not say. */
uint64_t machine_peak_memory(void);
/* The processor's name; "unknown processor" if the system does not say. */
const char *machine_processor(char name[128]);

#endif
