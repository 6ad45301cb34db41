/*
 * The stand-in for NCCL: sums and means over devices from one thread in a group and from a thread
 * each, a rank that does not come, abort, capture, rules.
 */
#include <pthread.h>

#include <nccl.h>

#include "standin_rig.h"

#define NCCL(call) CHECK((call) == ncclSuccess)

enum { RANKS = 3, COUNT = 1000 };

static ncclComm_t comms[RANKS];
static cudaStream_t streams[RANKS];
static float *memory[RANKS];

/* Rank r holds r + 1 + i everywhere. */
static void fill(void)
{
    float values[COUNT];
    for (int rank = 0; rank < RANKS; rank++) {
        OK(cudaSetDevice(rank));
        if (memory[rank] != NULL)
            OK(cudaFree(memory[rank]));
        for (int i = 0; i < COUNT; i++)
            values[i] = (float)(rank + 1 + i);
        memory[rank] = rig_upload(values, COUNT, 0, streams[rank]);
    }
    OK(cudaSetDevice(0));
}

static void check_values(int rank, float offset, float factor)
{
    float values[COUNT];
    int wrong = 0;
    rig_download(values, memory[rank], COUNT, 0, streams[rank]);
    for (int i = 0; i < COUNT; i++)
        wrong += values[i] != offset + factor * (float)i;
    CHECK(wrong == 0);
}

static ncclResult_t reduce(int rank, size_t count, ncclRedOp_t operation)
{
    return ncclAllReduce(memory[rank], memory[rank], count, ncclFloat32, operation, comms[rank],
                         streams[rank]);
}

static void test_group(void)
{
    fill();
    NCCL(ncclGroupStart());
    for (int rank = 0; rank < RANKS; rank++)
        NCCL(reduce(rank, COUNT, ncclSum));
    NCCL(ncclGroupEnd());
    for (int rank = 0; rank < RANKS; rank++)
        check_values(rank, 6, 3);
    fill();
    NCCL(ncclGroupStart());
    for (int rank = 0; rank < RANKS; rank++)
        NCCL(reduce(rank, COUNT, ncclAvg));
    NCCL(ncclGroupEnd());
    for (int rank = 0; rank < RANKS; rank++)
        check_values(rank, 2, 1);
}

/* Each thread waits for its own stream before the others may have called. */
static void *one_rank(void *argument)
{
    int rank = (int)(intptr_t)argument;
    OK(cudaSetDevice(rank));
    for (int i = 0; i < 3; i++) {
        usleep(1000 * (unsigned)(rank * 5));
        NCCL(reduce(rank, COUNT, i == 0 ? ncclSum : ncclAvg));
        OK(cudaStreamSynchronize(streams[rank]));
    }
    return NULL;
}

static void test_threads(void)
{
    pthread_t threads[RANKS];
    fill();
    for (int rank = 0; rank < RANKS; rank++)
        pthread_create(&threads[rank], NULL, one_rank, (void *)(intptr_t)rank);
    for (int rank = 0; rank < RANKS; rank++)
        pthread_join(threads[rank], NULL);
    for (int rank = 0; rank < RANKS; rank++)
        check_values(rank, 6, 3);
}

static void test_missing_rank(void)
{
    ncclResult_t error = ncclSuccess;
    fill();
    standin_set("STANDIN_DEADLOCK_MS", "50");
    NCCL(reduce(0, COUNT, ncclSum));
    NCCL(reduce(1, COUNT, ncclSum));
    CHECK(cudaStreamSynchronize(streams[0]) == cudaErrorLaunchTimeout);
    CHECK(strstr(standin_complaint(), "all-reduce") != NULL);
    NCCL(ncclCommGetAsyncError(comms[0], &error));
    CHECK(error == ncclRemoteError);
    CHECK(reduce(2, COUNT, ncclSum) == ncclRemoteError);
    standin_set("STANDIN_DEADLOCK_MS", "5000");
    cudaGetLastError();
}

/* Another thread aborts while this one waits. */
static void *abort_soon(void *argument)
{
    (void)argument;
    usleep(20000);
    for (int rank = 0; rank < RANKS; rank++)
        NCCL(ncclCommAbort(comms[rank]));
    return NULL;
}

static void test_abort(void)
{
    pthread_t thread;
    fill();
    NCCL(reduce(0, COUNT, ncclSum));
    pthread_create(&thread, NULL, abort_soon, NULL);
    OK(cudaStreamSynchronize(streams[0]));
    pthread_join(thread, NULL);
    CHECK(reduce(0, COUNT, ncclSum) == ncclInvalidArgument);
}

/* Replayed like any other node. */
static void test_capture(void)
{
    cudaGraphExec_t execs[RANKS];
    fill();
    for (int rank = 0; rank < RANKS; rank++) {
        cudaGraph_t graph;
        OK(cudaSetDevice(rank));
        OK(cudaStreamBeginCapture(streams[rank], cudaStreamCaptureModeThreadLocal));
        NCCL(reduce(rank, COUNT, ncclAvg));
        OK(cudaStreamEndCapture(streams[rank], &graph));
        OK(cudaGraphInstantiate(&execs[rank], graph, 0));
        OK(cudaGraphDestroy(graph));
    }
    for (int i = 0; i < 2; i++)
        for (int rank = 0; rank < RANKS; rank++)
            OK(cudaGraphLaunch(execs[rank], streams[rank]));
    for (int rank = 0; rank < RANKS; rank++) {
        check_values(rank, 2, 1);
        OK(cudaGraphExecDestroy(execs[rank]));
    }
    OK(cudaSetDevice(0));
}

static void test_rules(void)
{
    static const int twice[] = {0, 0}, far[] = {0, 9};
    ncclComm_t none[2];
    ncclResult_t error;

    CHECK(ncclCommInitAll(none, 2, twice) == ncclInvalidUsage);
    CHECK(ncclCommInitAll(none, 2, far) == ncclInvalidArgument);
    CHECK(ncclAllReduce(memory[0], memory[0], COUNT, ncclFloat32, ncclSum, comms[0], streams[1]) ==
          ncclInvalidUsage);
    CHECK(ncclAllReduce(memory[1], memory[1], COUNT, ncclFloat32, ncclSum, comms[0], streams[0]) ==
          ncclInvalidArgument);
    CHECK(ncclAllReduce(memory[0], memory[0] + 1, COUNT - 1, ncclFloat32, ncclSum, comms[0],
                        streams[0]) == ncclInvalidArgument);
    CHECK(reduce(0, COUNT + 1, ncclSum) == ncclInvalidArgument);
    CHECK(ncclAllReduce(memory[0], memory[0], COUNT, ncclFloat64, ncclSum, comms[0], streams[0]) ==
          ncclInvalidArgument);
    CHECK(ncclGroupEnd() == ncclInvalidUsage);
    NCCL(ncclGroupStart());
    for (int rank = 0; rank < RANKS; rank++)
        NCCL(reduce(rank, rank == 2 ? 7 : COUNT, ncclSum));
    NCCL(ncclGroupEnd());
    for (int rank = 0; rank < RANKS; rank++)
        OK(cudaStreamSynchronize(streams[rank]));
    NCCL(ncclCommGetAsyncError(comms[1], &error));
    CHECK(error == ncclInvalidUsage);
}

static void open_all(void)
{
    NCCL(ncclCommInitAll(comms, RANKS, NULL));
}

static void close_all(void)
{
    for (int rank = 0; rank < RANKS; rank++)
        NCCL(ncclCommDestroy(comms[rank]));
}

int main(void)
{
    size_t before = standin_leaks(NULL);

    standin_set("STANDIN_QUIET", getenv("STANDIN_QUIET") != NULL ? getenv("STANDIN_QUIET") : "1");
    standin_set("STANDIN_DEVICES", "3");
    for (int rank = 0; rank < RANKS; rank++) {
        OK(cudaSetDevice(rank));
        streams[rank] = rig_stream();
    }
    open_all();
    test_group();
    test_threads();
    test_capture();
    test_rules();
    close_all();
    open_all();
    test_missing_rank();
    close_all();
    open_all();
    test_abort();
    for (int rank = 0; rank < RANKS; rank++) {
        OK(cudaSetDevice(rank));
        OK(cudaFree(memory[rank]));
        OK(cudaStreamDestroy(streams[rank]));
    }
    CHECK(standin_leaks(stdout) == before);
    return test_finish();
}
