/*
 * The context: an opened device and the host's hooks, shared by the objects made in it and counted
 * by them.
 */
#ifndef HMT_API_CONTEXT_H
#define HMT_API_CONTEXT_H

#include <stdatomic.h>

#include <hmtnet/backend.h>

/* The most modules a context lists. */
enum { CONTEXT_MODULES = 16 };

struct hmt_context {
    atomic_int references;
    hmt_context_options options; /* a copy; backends points to our own array */
    hmt_allocator allocator;
    hmt_host host; /* what the backend may call */
    const hmt_backend *backend;
    void *device;
    const hmt_backend *modules[CONTEXT_MODULES]; /* loaded for it */
    size_t module_count;
    const hmt_backend *own[]; /* the host's backends */
};

/* The context's allocator; malloc's for NULL. */
const hmt_allocator *context_allocator(const hmt_context *context);

/* One more holder of `context`; NULL makes a context with default options. */
hmt_status context_acquire(hmt_context *context, hmt_context **held);
void context_release(hmt_context *context);

/* Tells the host of progress; HMT_ERROR_CANCELLED with a message if it wants to stop. */
hmt_status context_progress(const hmt_context *context, const char *what, uint64_t done,
                            uint64_t total);

#endif
