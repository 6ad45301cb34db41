/*
 * communicators.c - NCCL's communicators over the devices of one process, their errors, and groups
 * of calls.
 */
#include <stdlib.h>
#include <string.h>

#include "clique.h"

static _Thread_local int group_depth;
static _Thread_local struct reduction *group_calls;
static _Thread_local size_t group_count;

static ncclResult_t begin(const char *name)
{
    switch (standin_enter(name)) {
    case STANDIN_FAIL:
        return strstr(name, "Init") != NULL ? ncclSystemError : ncclInternalError;
    case STANDIN_LOST:
        return ncclUnhandledCudaError;
    default:
        return standin_device_count() > 0 ? ncclSuccess : ncclUnhandledCudaError;
    }
}

static ncclResult_t end(ncclResult_t result)
{
    standin_leave();
    return result;
}

ncclResult_t ncclGetVersion(int *version)
{
    if (version == NULL)
        return ncclInvalidArgument;
    *version = NCCL_VERSION_CODE;
    return ncclSuccess;
}

const char *ncclGetErrorString(ncclResult_t result)
{
    static const char *const texts[] = {
        "no error",         "a CUDA call failed", "a system call failed", "internal error",
        "invalid argument", "invalid usage",      "a peer has failed",    "still in progress"};
    return (unsigned)result < sizeof texts / sizeof texts[0] ? texts[result] : "unknown result";
}

static struct ncclComm *alive(ncclComm_t comm)
{
    if (standin_alive(STANDIN_NCCL_COMM, comm))
        return comm;
    standin_complain("%p is no communicator, or was destroyed", (void *)comm);
    return NULL;
}

static ncclResult_t check_devices(int count, const int *devices)
{
    for (int i = 0; i < count; i++) {
        int device = devices != NULL ? devices[i] : i;
        if (device < 0 || device >= standin_device_count())
            return ncclInvalidArgument;
        if (standin_device_lost(device))
            return ncclUnhandledCudaError;
        for (int j = 0; j < i; j++)
            if (device == (devices != NULL ? devices[j] : j)) {
                standin_complain("device %d is in the list twice", device);
                return ncclInvalidUsage;
            }
    }
    return ncclSuccess;
}

static ncclResult_t init_all(ncclComm_t *out, int count, const int *devices)
{
    struct clique *clique;
    ncclResult_t result;

    if (out == NULL || count <= 0 || count > RANKS_MAX)
        return ncclInvalidArgument;
    if ((result = check_devices(count, devices)) != ncclSuccess)
        return result;
    if (standin_unsafe_in_capture() != cudaSuccess)
        return ncclUnhandledCudaError;
    clique = calloc(1, sizeof *clique);
    if (clique == NULL)
        return ncclSystemError;
    clique->ranks = count;
    for (int i = 0; i < count; i++) {
        struct ncclComm *comm = calloc(1, sizeof *comm);
        if (comm == NULL)
            abort(); /* the machine is out of memory */
        comm->clique = clique;
        comm->rank = i;
        comm->device = devices != NULL ? devices[i] : i;
        ++clique->references;
        standin_born(STANDIN_NCCL_COMM, comm, sizeof *comm);
        out[i] = comm;
    }
    return ncclSuccess;
}

ncclResult_t ncclCommInitAll(ncclComm_t *comms, int count, const int *devices)
{
    ncclResult_t result = begin("ncclCommInitAll");
    return end(result == ncclSuccess ? init_all(comms, count, devices) : result);
}

static ncclResult_t destroy(ncclComm_t handle, int give_up)
{
    struct ncclComm *comm = alive(handle);

    if (comm == NULL)
        return ncclInvalidArgument;
    if (give_up && comm->clique->captured) {
        fprintf(stderr, "ncclCommAbort: waits for ever for the graphs that captured operations of "
                        "this communicator\n");
        abort();
    }
    if (give_up)
        clique_abort(comm->clique);
    else if (comm->clique->outstanding[comm->rank] > 0)
        standin_complain("a communicator is destroyed before its work is done");
    clique_release(comm->clique);
    standin_died(comm);
    free(comm);
    return ncclSuccess;
}

ncclResult_t ncclCommDestroy(ncclComm_t comm)
{
    ncclResult_t planned = begin("ncclCommDestroy"), result = destroy(comm, 0);
    return end(planned != ncclSuccess ? planned : result);
}

/* What waits for peers ends without a result. */
ncclResult_t ncclCommAbort(ncclComm_t comm)
{
    ncclResult_t planned = begin("ncclCommAbort"), result = destroy(comm, 1);
    return end(planned != ncclSuccess ? planned : result);
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t handle, ncclResult_t *error)
{
    ncclResult_t result = begin("ncclCommGetAsyncError");
    struct ncclComm *comm = alive(handle);

    if (result == ncclSuccess && (comm == NULL || error == NULL))
        result = ncclInvalidArgument;
    if (result == ncclSuccess)
        *error = comm->clique->error;
    return end(result);
}

static ncclResult_t queue(struct reduction *r)
{
    standin_work work = {.name = "all-reduce",
                         .run = reduction_run,
                         .forget = reduction_forget,
                         .copied = reduction_copied,
                         .args = r,
                         .bytes = sizeof *r,
                         .all_devices = 1};
    if (standin_stream_capturing(r->stream))
        r->clique->captured = 1;
    return standin_queue(r->stream, &work) == cudaSuccess ? ncclSuccess : ncclUnhandledCudaError;
}

static ncclResult_t check(const struct reduction *r, ncclDataType_t type,
                          const struct ncclComm *comm)
{
    int device = standin_stream_device(r->stream);
    size_t bytes = r->count * sizeof(float);

    if (type != ncclFloat32 || (r->operation != ncclSum && r->operation != ncclAvg)) {
        standin_complain("the stand-in adds and averages floats");
        return ncclInvalidArgument;
    }
    if (device != comm->device) {
        standin_complain("the stream is of device %d, the communicator of device %d", device,
                         comm->device);
        return ncclInvalidUsage;
    }
    if (!standin_memory_holds(device, r->from, bytes) ||
        !standin_memory_holds(device, r->to, bytes)) {
        standin_complain("%zu bytes at %p or %p are not inside one allocation of device %d", bytes,
                         (const void *)r->from, (const void *)r->to, device);
        return ncclInvalidArgument;
    }
    if (r->from != r->to && r->from < r->to + r->count && r->to < r->from + r->count) {
        standin_complain("the buffers overlap without being the same");
        return ncclInvalidArgument;
    }
    return comm->clique->error;
}

/* Kept until the group ends. */
static ncclResult_t postpone(const struct reduction *r)
{
    struct reduction *grown = realloc(group_calls, (group_count + 1) * sizeof *grown);
    if (grown == NULL)
        return ncclSystemError;
    group_calls = grown;
    group_calls[group_count++] = *r;
    return ncclSuccess;
}

ncclResult_t ncclAllReduce(const void *from, void *to, size_t count, ncclDataType_t type,
                           ncclRedOp_t operation, ncclComm_t handle, cudaStream_t stream)
{
    ncclResult_t result = begin("ncclAllReduce");
    struct ncclComm *comm = alive(handle);
    struct reduction r = {
        .from = from, .to = to, .count = count, .operation = operation, .stream = stream};

    if (result == ncclSuccess && comm == NULL)
        result = ncclInvalidArgument;
    if (result == ncclSuccess)
        result = check(&r, type, comm);
    if (result != ncclSuccess || count == 0)
        return end(result);
    r.clique = comm->clique;
    r.rank = comm->rank;
    return end(group_depth > 0 ? postpone(&r) : queue(&r));
}

ncclResult_t ncclGroupStart(void)
{
    ncclResult_t result = begin("ncclGroupStart");
    if (result == ncclSuccess)
        ++group_depth;
    return end(result);
}

/* A planned fault ends the group and drops its calls. */
ncclResult_t ncclGroupEnd(void)
{
    ncclResult_t result = begin("ncclGroupEnd");

    if (group_depth == 0) {
        standin_complain("no group was started");
        return end(ncclInvalidUsage);
    }
    if (--group_depth > 0)
        return end(result);
    for (size_t i = 0; i < group_count && result == ncclSuccess; i++)
        result = queue(&group_calls[i]);
    free(group_calls);
    group_calls = NULL;
    group_count = 0;
    return end(result);
}
