/*
 * core.h - what the stand-ins share among each other: one lock, the count of calls, live objects,
 * streams and memory. Kept by the stand-in for the CUDA runtime and exported by it; no test needs
 * it.
 */
#ifndef GPU_STANDIN_CORE_H
#define GPU_STANDIN_CORE_H

#include <stdint.h>

#include "standin.h"

/* Everything below is called with the lock held, but for standin_enter(). */

typedef enum standin_kind {
    STANDIN_DEVICE_MEMORY,
    STANDIN_PINNED_MEMORY,
    STANDIN_STREAM,
    STANDIN_EVENT,
    STANDIN_GRAPH,
    STANDIN_GRAPH_EXEC,
    STANDIN_CUDNN_HANDLE,
    STANDIN_CUDNN_DESCRIPTOR,
    STANDIN_CUBLASLT_HANDLE,
    STANDIN_CUBLASLT_MATMUL,
    STANDIN_CUBLASLT_LAYOUT,
    STANDIN_CUBLASLT_PREFERENCE,
    STANDIN_NCCL_COMM,
    STANDIN_KINDS
} standin_kind;

/* What becomes of a call. */
typedef enum standin_verdict {
    STANDIN_GO,   /* do it */
    STANDIN_FAIL, /* a planned fault: give an error. What destroys does its work first */
    STANDIN_LOST  /* the current device is lost */
} standin_verdict;

/* Begins a call: takes the lock, counts, says whether a fault was planned. */
standin_verdict standin_enter(const char *name);
void standin_leave(void);

/* The name of the call that holds the lock, and its number. */
const char *standin_call_name(void);
size_t standin_call_number(void);

/* A rule is broken: the sentence goes to stderr with the name of the call, and is kept for
 * standin_complaint(). */
void standin_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Live objects. What is registered and never forgotten is a leak. */
void standin_born(standin_kind kind, const void *object, size_t bytes);
void standin_died(const void *object);
int standin_alive(standin_kind kind, const void *object);

/* Devices. */
int standin_device_count(void);
int standin_current_device(void);
int standin_device_lost(int device);
int standin_capability(void); /* 80 for 8.0 */

/* What becomes of bias and relu behind a convolution or product. */
typedef enum standin_fusing {
    STANDIN_FUSED,    /* engines and algorithms do them, too */
    STANDIN_OFFERED,  /* these are offered and planned, but not to be run */
    STANDIN_NOT_FUSED /* none is offered */
} standin_fusing;
standin_fusing standin_fuses(void);

/* Memory: -1 if the address is in no device's range; 1 if all bytes lie inside one allocation of
 * the device. */
int standin_memory_device(const void *address);
int standin_memory_holds(int device, const void *address, size_t bytes);
int standin_pinned_holds(const void *address, size_t bytes);

/* Streams. The device of a live stream that the caller may use, or -1 (with a complaint) for what
 * is none: also the default stream, which the module must not use. */
int standin_stream_device(cudaStream_t stream);
int standin_stream_capturing(cudaStream_t stream);
cudaError_t standin_queue(cudaStream_t stream, const standin_work *work);

/* A call that may not be made while a stream captures: invalidates the capture and gives the
 * documented error. */
cudaError_t standin_unsafe_in_capture(void);

/* Runs queued work until finished(what) is true. */
cudaError_t standin_run_until(int (*finished)(void *), void *what);

/* Something happened that may let blocked work go on. */
void standin_wake(void);

/* A number from the seeded sequence, below `limit`. */
uint32_t standin_random(uint32_t limit);

#endif
