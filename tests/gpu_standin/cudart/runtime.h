/*
 * runtime.h - the inside of the stand-in for the CUDA runtime: settings, streams, events, captures
 * and graphs as its files see them. Everything is called with the lock held.
 */
#ifndef GPU_STANDIN_RUNTIME_H
#define GPU_STANDIN_RUNTIME_H

#include "../core.h"

#define STANDIN_DEVICES_MAX 16

/* settings.c */
typedef enum run_order {
    ORDER_RANDOM,  /* any stream that can go on */
    ORDER_LATE,    /* only what the caller waits for */
    ORDER_REVERSE, /* the youngest stream first, what is waited for last */
    ORDER_EAGER    /* at once */
} run_order;

struct settings {
    uint64_t seed;
    run_order order;
    int devices; /* -1: no driver */
    size_t memory;
    int capability;
    unsigned deadlock_ms;
    int quiet, trace, leaks_fail, leaks_quiet;
    standin_fusing fusing;
};
extern struct settings settings;
void settings_load(void);

/* calls.c */
cudaError_t call_begin(
    const char *name); /* standin_enter() as a CUDA error: planned fault, no driver, lost device */
cudaError_t call_end(cudaError_t error); /* unlocks and keeps the error for cudaGetLastError() */
void call_note(cudaError_t error);       /* keeps the error only */
cudaError_t device_error(int device);    /* success, or what a lost device gives */

/* errors.c */
extern _Thread_local cudaError_t last_error;

/* objects.c */
void objects_count_call(const char *name);

/* memory.c */
cudaError_t memory_allocate(int device, size_t bytes, void **out);
cudaError_t memory_free(void *address, int *device);
cudaError_t pinned_allocate(size_t bytes, void **out);
cudaError_t pinned_free(void *address);
size_t memory_free_bytes(int device);
void memory_view(int device); /* opens that device's memory alone; MEMORY_ALL, MEMORY_NONE */
enum { MEMORY_ALL = -1, MEMORY_NONE = -2 };
void memory_running(const char *operation); /* for the message of a fault */

/* scheduler.c */

/* A point in a stream, which others wait for. Shared by the event and everything that waits. */
struct marker {
    int references;
    int done;
    double time;                /* in microseconds of a clock that is made up */
    struct CUstream_st *stream; /* where it was recorded; NULL once done */
};
struct marker *marker_create(struct CUstream_st *stream);
void marker_hold(struct marker *marker);
void marker_release(struct marker *marker);

struct operation {
    struct operation *next;
    standin_work work; /* run is NULL for markers */
    int device;
    struct marker *wait;   /* wait for this one */
    struct marker *record; /* or set this one */
};

struct capture;
struct CUstream_st {
    int device;
    size_t age; /* counts streams from 1 */
    struct operation *head, *tail;
    uint64_t blocked_at; /* the progress count at which the head could do nothing */
    int needed;          /* scratch of the scheduler */
    struct CUstream_st *next;
    struct capture *capture; /* or NULL */
    int *frontier;           /* nodes of the capture that the next node depends on */
    size_t frontier_count;
};
extern struct CUstream_st *streams;

struct CUevent_st {
    int device;
    unsigned flags;
    struct marker *marker;   /* the last record, or NULL */
    struct capture *capture; /* recorded in a capture: its nodes; else NULL */
    uint64_t capture_id;
    int *nodes;
    size_t node_count;
};

cudaError_t stream_push(cudaStream_t stream, const standin_work *work, struct marker *wait,
                        struct marker *record);
cudaError_t stream_drain(cudaStream_t stream);
cudaError_t device_drain(int device);
void stream_discard(cudaStream_t stream);
double scheduler_tick(void); /* the made-up clock moves on */

/* capture.c */
struct node {
    standin_work work; /* args are the node's own copy */
    int device;
    int *needs;
    size_t need_count;
};
struct CUgraph_st {
    struct node *nodes;
    size_t count;
};
struct capture {
    uint64_t id;
    struct CUstream_st *origin;
    enum cudaStreamCaptureMode mode;
    unsigned long thread;
    int invalid;
    cudaError_t why;
    struct CUgraph_st *graph;
    struct capture *next;
};
cudaError_t capture_add(cudaStream_t stream, const standin_work *work);
cudaError_t capture_record(cudaEvent_t event, cudaStream_t stream);
cudaError_t capture_wait(cudaStream_t stream, cudaEvent_t event);
void capture_stream_gone(cudaStream_t stream);
void capture_invalidate(struct capture *capture);
int event_captured(cudaEvent_t event); /* recorded in a capture that is still going on */

/* graphs.c */
void graph_free(struct CUgraph_st *graph);
int node_copy(struct node *to, const struct node *from);
void node_clear(struct node *node);

#endif
