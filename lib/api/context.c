/*
 * Contexts: opening a backend's device, lending it the host's allocator and log.
 */
#include "api/context.h"

#include <stddef.h>
#include <stdio.h>

#include "api/backends.h"
#include "api/options.h"
#include "core/memory.h"
#include "core/processors.h"
#include "core/status.h"
#include "graph/arena.h"

#define STRING(x) #x
#define VERSION(major, minor, patch) STRING(major) "." STRING(minor) "." STRING(patch)

enum { MOST_THREADS = 1024 };

const char *hmt_version(void)
{
    return VERSION(HMT_VERSION_MAJOR, HMT_VERSION_MINOR, HMT_VERSION_PATCH);
}

uint32_t hmt_version_number(void)
{
    return HMT_VERSION_NUMBER;
}

const hmt_allocator *context_allocator(const hmt_context *context)
{
    return context != NULL ? &context->allocator : &memory_default;
}

hmt_status context_progress(const hmt_context *context, const char *what, uint64_t done,
                            uint64_t total)
{
    const hmt_context_options *o = &context->options;

    if (o->progress != NULL && o->progress(o->progress_user, what, done, total) != 0)
        return status_fail(HMT_ERROR_CANCELLED, "%s cancelled by the host at %llu of %llu", what,
                           (unsigned long long)done, (unsigned long long)total);
    return HMT_OK;
}

static void end_busy(bool **busy)
{
    **busy = false;
}

hmt_status context_progress_busy(const hmt_context *context, bool *busy, const char *what,
                                 uint64_t done, uint64_t total)
{
    bool *ended __attribute__((cleanup(end_busy))) = busy;

    *ended = true;
    return context_progress(context, what, done, total);
}

hmt_status context_check_busy(bool busy, const char *object)
{
    return busy
               ? status_fail(HMT_ERROR_STATE,
                             "the %s is in the middle of a call, from whose progress callback this "
                             "one comes; wait until that has returned",
                             object)
               : HMT_OK;
}

/* ---- hooks ---- */

static void guarded_log(void *user, hmt_log_level level, const char *message)
{
    const context_hooks *hooks = &((const hmt_context *)user)->hooks;
    char kept[STATUS_SIZE], line[STATUS_SIZE];

    snprintf(line, sizeof line, "%s", message); /* it may be the thread's own */
    status_keep(kept);
    hooks->log(hooks->log_user, level, line);
    status_restore(kept);
}

static int guarded_progress(void *user, const char *what, uint64_t done, uint64_t total)
{
    const context_hooks *hooks = &((const hmt_context *)user)->hooks;
    char kept[STATUS_SIZE];
    int answer;

    status_keep(kept);
    answer = hooks->progress(hooks->progress_user, what, done, total);
    status_restore(kept);
    return answer;
}

static void guard_hooks(hmt_context *context)
{
    hmt_context_options *o = &context->options;

    context->hooks = (context_hooks){o->log, o->log_user, o->progress, o->progress_user};
    if (o->log != NULL) {
        o->log = guarded_log;
        o->log_user = context;
    }
    if (o->progress != NULL) {
        o->progress = guarded_progress;
        o->progress_user = context;
    }
}

static void host_log(const hmt_host *host, hmt_log_level level, const char *message)
{
    const hmt_context *context = host->internal;

    if (context->options.log != NULL)
        context->options.log(context->options.log_user, level, message);
}

static hmt_status host_place(const hmt_host *host, hmt_interval *intervals, size_t count,
                             uint64_t *total)
{
    return arena_place(&host->allocator, intervals, count, total);
}

/* A closed context with the options copied in. */
static hmt_status make(const hmt_context_options *o, hmt_context **out)
{
    const hmt_allocator *allocator = memory_choose(&o->allocator);
    hmt_context *context;
    void *block;
    hmt_status status;

    if (o->backend_count > 4096)
        return status_fail(HMT_ERROR_ARGUMENT, "options: backend_count is %zu", o->backend_count);
    status =
        memory_zeroed(allocator, 1, sizeof *context + o->backend_count * sizeof context->own[0],
                      "a context", &block);
    if (status != HMT_OK)
        return status;
    context = block;
    atomic_init(&context->references, 1);
    context->options = *o;
    guard_hooks(context);
    context->allocator = *allocator;
    for (size_t i = 0; i < o->backend_count; ++i)
        context->own[i] = o->backends[i];
    context->host = (hmt_host){.struct_size = sizeof context->host,
                               .allocator = *allocator,
                               .threads = o->threads > 0 ? o->threads : processors_available(),
                               .executor = o->executor,
                               .fail = status_fail,
                               .log = host_log,
                               .place = host_place,
                               .internal = context,
                               .precision = o->precision};
    *out = context;
    return HMT_OK;
}

/* A table that the host gave. */
static hmt_status check_own(const hmt_backend *backend)
{
    char what[96];

    if (backend == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "options: a backend is NULL");
    snprintf(what, sizeof what, "backend %.64s",
             backend->struct_size >= offsetof(hmt_backend, description) && backend->name != NULL
                 ? backend->name
                 : "without a name");
    return backend_check(backend, what, HMT_ERROR_ARGUMENT);
}

hmt_status hmt_context_create(const hmt_context_options *options, hmt_context **out)
{
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;
    hmt_context *context = NULL;
    hmt_status status;

    status_clear();
    if (out == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_context_create: context is NULL");
    status = options_copy(&o, sizeof o, options, "hmt_context_options");
    if (status != HMT_OK)
        return status;
    if (o.threads < 0 || o.threads > MOST_THREADS)
        return status_fail(HMT_ERROR_ARGUMENT, "options: threads is %d, not in 0..%d", o.threads,
                           MOST_THREADS);
    if ((int)o.precision < HMT_PRECISION_AUTO || o.precision > HMT_PRECISION_BFLOAT16)
        return status_fail(HMT_ERROR_ARGUMENT, "options: no precision has the number %d",
                           (int)o.precision);
    if ((o.allocator.allocate == NULL) != (o.allocator.release == NULL))
        return status_fail(HMT_ERROR_ARGUMENT,
                           "options: the allocator needs both allocate and release");
    if (o.backend_count > 0 && o.backends == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "options: backends is NULL, backend_count is not 0");
    for (size_t i = 0; i < o.backend_count; ++i) {
        status = check_own(o.backends[i]);
        if (status != HMT_OK)
            return status;
    }
    status = make(&o, &context);
    if (status != HMT_OK)
        return status;
    status = backend_choose(context);
    if (status == HMT_OK)
        status = context->backend->device_open(o.device, &context->host, &context->device);
    /* The caller's strings; the name is the backend's from here on. */
    context->options.backend = context->options.module_path = NULL;
    if (status != HMT_OK) {
        memory_free(memory_choose(&o.allocator), context);
        return status;
    }
    *out = context;
    return HMT_OK;
}

void hmt_context_free(hmt_context *context)
{
    context_release(context);
}

void context_hold(const hmt_context *context)
{
    if (context != NULL)
        atomic_fetch_add(&((hmt_context *)context)->references, 1);
}

hmt_status context_acquire(hmt_context *context, hmt_context **held)
{
    if (context == NULL)
        return hmt_context_create(NULL, held);
    context_hold(context);
    *held = context;
    return HMT_OK;
}

void context_release(hmt_context *context)
{
    hmt_allocator allocator;

    if (context == NULL || atomic_fetch_sub(&context->references, 1) != 1)
        return;
    context->backend->device_close(context->device);
    allocator = context->allocator; /* it releases the memory that holds it */
    memory_free(&allocator, context);
}

const char *hmt_context_backend(const hmt_context *context)
{
    return context != NULL ? context->backend->name : "";
}

int32_t hmt_context_threads(const hmt_context *context)
{
    return context != NULL ? context->host.threads : 0;
}
