/* Finding NCCL; see nccl_calls.h. */
#include "nccl_calls.h"

#include <dlfcn.h>
#include <string.h>

/* A function's address as a pointer to a function, which C has no cast for. */
static int find(void *library, const char *name, void *to)
{
    void *symbol = dlsym(library, name);

    memcpy(to, &symbol, sizeof symbol);
    return symbol != NULL;
}

hmt_status nccl_load(const device *d, nccl_calls *calls)
{
    /* Never unmapped: threads of its own may outlive its communicators. */
    void *library = dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    const char *why;

    memset(calls, 0, sizeof *calls);
    if (library == NULL) {
        why = dlerror();
        return d->host->fail(HMT_ERROR_NOT_FOUND, "training on several GPUs needs NCCL: %s",
                             why != NULL ? why : "libnccl.so.2 cannot be loaded");
    }
    calls->library = library;
    if (find(library, "ncclCommInitAll", &calls->init_all) &&
        find(library, "ncclCommDestroy", &calls->destroy) &&
        find(library, "ncclCommAbort", &calls->abort) &&
        find(library, "ncclAllReduce", &calls->all_reduce) &&
        find(library, "ncclCommGetAsyncError", &calls->async_error) &&
        find(library, "ncclGetErrorString", &calls->text))
        return HMT_OK;
    nccl_unload(calls);
    return d->host->fail(HMT_ERROR_UNSUPPORTED, "libnccl.so.2 lacks a function of NCCL 2");
}

void nccl_unload(nccl_calls *calls)
{
    if (calls->library != NULL)
        dlclose(calls->library);
    calls->library = NULL;
}

hmt_status nccl_check(const device *d, const nccl_calls *calls, const char *call, int error)
{
    if (error == NCCL_SUCCESS)
        return HMT_OK;
    return d->host->fail(HMT_ERROR_BACKEND, "%s: %s (GPU %d)", call, calls->text(error), d->index);
}
