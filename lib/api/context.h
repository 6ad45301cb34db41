/*
 * The context: an opened device and the host's hooks, shared by the objects made in it and counted
 * by them.
 */
#ifndef HMT_API_CONTEXT_H
#define HMT_API_CONTEXT_H

#include <stdatomic.h>
#include <stdbool.h>

#include <hmtnet/backend.h>

/* The most modules a context lists. */
enum { CONTEXT_MODULES = 16 };

/* The host's hooks as it gave them. */
typedef struct context_hooks {
    hmt_log_fn log;
    void *log_user;
    hmt_progress_fn progress;
    void *progress_user;
} context_hooks;

struct hmt_context {
    atomic_int references;
    hmt_context_options options; /* a copy; backends points to our own array, and the hooks are
                                    guards that call the host's: what a hook calls in its turn does
                                    not touch the message of the call that called it */
    context_hooks hooks;
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
/* One more holder of a context that is only read; nothing for NULL. */
void context_hold(const hmt_context *context);

/* Tells the host of progress; HMT_ERROR_CANCELLED with a message if it wants to stop. */
hmt_status context_progress(const hmt_context *context, const char *what, uint64_t done,
                            uint64_t total);
/* The same, with *busy set while the host is told, even if it leaves by an exception: calls on the
 * object that find it set come from within the hook. */
hmt_status context_progress_busy(const hmt_context *context, bool *busy, const char *what,
                                 uint64_t done, uint64_t total);
/* HMT_ERROR_STATE if it is set; `object` is what must not be used, e.g. "session". */
hmt_status context_check_busy(bool busy, const char *object);

#endif
