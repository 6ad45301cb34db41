/*
 * runtime_rig.h - what the tests of the runtime's stand-in share besides: objects, and a kernel by
 * hand.
 */
#ifndef GPU_STANDIN_RUNTIME_RIG_H
#define GPU_STANDIN_RUNTIME_RIG_H

#include "standin_rig.h"

static inline cudaEvent_t new_event(unsigned flags)
{
    cudaEvent_t event = NULL;
    OK(cudaEventCreateWithFlags(&event, flags));
    return event;
}

static inline int *new_memory(size_t count)
{
    void *memory = NULL;
    OK(cudaMalloc(&memory, count * sizeof(int)));
    return memory;
}

static inline int *new_pinned(size_t count)
{
    void *memory = NULL;
    OK(cudaMallocHost(&memory, count * sizeof(int)));
    return memory;
}

/* A kernel by hand: *to = *from + add. */
struct addition {
    int *to;
    const int *from;
    int add;
};

static inline standin_progress add(void *args)
{
    struct addition *a = args;
    *a->to = *a->from + a->add;
    return STANDIN_DONE;
}

static inline void launch_add(int *to, const int *from, int number, cudaStream_t stream)
{
    struct addition args = {to, from, number};
    standin_work work = {.name = "add", .run = add, .args = &args, .bytes = sizeof args};
    dim3 one = {1, 1, 1};
    standin_launch(one, one, stream, &work);
}

#endif
