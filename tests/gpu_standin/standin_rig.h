/*
 * standin_rig.h - what the stand-ins' tests share: streams, memory with values in it, made-up
 * numbers, children that may die.
 */
#ifndef GPU_STANDIN_RIG_H
#define GPU_STANDIN_RIG_H

#include <math.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../check.h"
#include "arithmetic/rounding.h"
#include "standin.h"

#define OK(call) CHECK((call) == cudaSuccess)

static inline cudaStream_t rig_stream(void)
{
    cudaStream_t stream = NULL;
    OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    return stream;
}

/* Runs in a child: 0 if it returned, its exit status or the signal that ended it, or -1. What it
 * said on stderr is kept. */
static inline int rig_child(void (*run)(void), char *said, size_t room)
{
    int ends[2], status = 0;
    pid_t child;
    size_t got = 0;
    ssize_t part;

    fflush(NULL);
    if (pipe(ends) != 0 || (child = fork()) < 0)
        return -1;
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        run();
        _exit(0);
    }
    close(ends[1]);
    while (got < room - 1 && (part = read(ends[0], said + got, room - 1 - got)) > 0)
        got += (size_t)part;
    said[got] = '\0';
    close(ends[0]);
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

/* -1..1, the same for the same seed. */
static inline float rig_number(unsigned seed, size_t i)
{
    uint32_t x = (uint32_t)(i + 1) * 2654435761u ^ seed * 40503u;
    x ^= x >> 15;
    x *= 2246822519u;
    x ^= x >> 13;
    return (float)(int32_t)x / 2147483648.0f;
}

/* Device memory with these floats, as bfloat16 if asked; and back. */
static inline void *rig_upload(const float *values, size_t count, int bfloat16, cudaStream_t stream)
{
    void *memory = NULL, *host = NULL;
    size_t bytes = count * (bfloat16 ? 2 : 4);

    OK(cudaMalloc(&memory, bytes));
    OK(cudaMallocHost(&host, bytes));
    for (size_t i = 0; i < count; i++)
        if (bfloat16)
            ((uint16_t *)host)[i] = bfloat16_of(values[i]);
        else
            ((float *)host)[i] = values[i];
    OK(cudaMemcpyAsync(memory, host, bytes, cudaMemcpyHostToDevice, stream));
    OK(cudaStreamSynchronize(stream));
    OK(cudaFreeHost(host));
    return memory;
}

static inline void rig_download(float *values, const void *memory, size_t count, int bfloat16,
                                cudaStream_t stream)
{
    void *host = NULL;
    size_t bytes = count * (bfloat16 ? 2 : 4);

    OK(cudaMallocHost(&host, bytes));
    OK(cudaMemcpyAsync(host, memory, bytes, cudaMemcpyDeviceToHost, stream));
    OK(cudaStreamSynchronize(stream));
    for (size_t i = 0; i < count; i++)
        values[i] = bfloat16 ? float_of_bfloat16(((uint16_t *)host)[i]) : ((float *)host)[i];
    OK(cudaFreeHost(host));
}

/* The largest difference, as a share of the largest value. */
static inline double rig_difference(const float *got, const double *wanted, size_t count)
{
    double worst = 0, largest = 1e-30;
    for (size_t i = 0; i < count; i++) {
        if (!(fabs(got[i] - wanted[i]) <= worst))
            worst = fabs(got[i] - wanted[i]);
        if (fabs(wanted[i]) > largest)
            largest = fabs(wanted[i]);
    }
    return worst / largest;
}

#endif
