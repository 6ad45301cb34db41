/*
 * standin.h - what the stand-ins for NVIDIA's libraries offer beside NVIDIA's own entry points:
 * controls for tests (first part) and the door through which work gets into a stream (second part;
 * host_kernels.h and the other stand-ins use it). All of it is exported by the stand-in for the
 * CUDA runtime. README.md says what the stand-ins promise.
 */
#ifndef GPU_STANDIN_H
#define GPU_STANDIN_H

#include <stddef.h>
#include <stdio.h>

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ----------------------------------------------------------------------------------------------------------
 * Controls
 * ----------------------------------------------------------------------------------------------------------
 */

/* Changes a setting while the program runs: the names and values are those of the environment
 * variables (README.md). Returns 0, or -1 if there is no such setting or the value makes no sense.
 */
int standin_set(const char *name, const char *value);

/* How many calls that can fail were made since the start or standin_reset(). */
size_t standin_calls(void);

/* The n-th call from now on (1 is the next one) fails; 0: none. */
void standin_fail_at(size_t n);

/* From the n-th call from now on the device in use is lost; 0: never. */
void standin_lose_at(size_t n);

/* The name of the call that was made to fail last, or NULL. */
const char *standin_failed_call(void);

/* The device is gone: every call that concerns it gives the same error from now on. */
void standin_lose_device(int device);

/* Call count 0, no fault planned, no device lost. Objects stay. */
void standin_reset(void);

/* How many objects (handles, streams, events, graphs, memory, descriptors) are alive. Names each on
 * `out` unless that is NULL. */
size_t standin_leaks(FILE *out);

/* How often a rule was broken (each is also told on stderr, unless STANDIN_QUIET is set), and the
 * last rule's sentence or NULL. */
size_t standin_complaints(void);
const char *standin_complaint(void);

/* Bytes of device memory in use, and the most there ever were since the start or standin_reset().
 */
size_t standin_memory_used(int device);
size_t standin_memory_peak(int device);

/* ----------------------------------------------------------------------------------------------------------
 * Work
 * ----------------------------------------------------------------------------------------------------------
 */

typedef enum standin_progress {
    STANDIN_DONE = 0,   /* finished */
    STANDIN_AGAIN = 1,  /* did a part of it: call once more, now or later */
    STANDIN_BLOCKED = 2 /* can do nothing until other work is done */
} standin_progress;

/* One operation for a stream. `args` are copied when it is queued or captured, so they must be
 * plain bytes. */
typedef struct standin_work {
    const char *name;                    /* lives as long as the process */
    standin_progress (*run)(void *args); /* runs with the device's memory open */
    void (*forget)(
        void *args); /* called instead of or after run when the bytes are freed; may be NULL */
    void (*copied)(
        void *args); /* called for each copy of the bytes, e.g. to count references; may be NULL */
    const void *args;
    size_t bytes;
    int all_devices; /* may touch the memory of every device */
} standin_work;

/* Queues a kernel, as kernel<<<>>>() does: checks the configuration, counts as a call, and leaves
 * an error for cudaGetLastError(). */
void standin_launch(dim3 grid, dim3 block, cudaStream_t stream, const standin_work *work);

#ifdef __cplusplus
}
#endif

#endif
