/*
 * The real cuDNN without a GPU: it chooses engines and makes execution plans for a GPU that is only
 * described to it (CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, cuDNN 9.8 and later). Nothing can be run.
 * The sources of the backend that are linked with described_gpu.c ask it as they ask cuDNN: their
 * calls go to the library that was opened, the described GPU in place of their handle.
 */
#ifndef HMT_TESTS_DESCRIBED_GPU_H
#define HMT_TESTS_DESCRIBED_GPU_H

#include <stdbool.h>
#include <stddef.h>

#include "cudnn/device.h"

/* What cuDNN wants to know of a GPU besides what is equal on all of them. */
typedef struct gpu_description {
    const char *name;
    int capability;          /* 80 for 8.0 */
    int multiprocessors;     /* that are enabled */
    int clock, memory_clock; /* kHz */
    int cache;               /* of level 2, bytes */
    int shared;              /* memory that a block may ask for, bytes */
    int shared_by_system;    /* and what is taken of it besides */
    int threads, blocks;     /* that a multiprocessor holds at once */
    long long memory;        /* bytes */
} gpu_description;

/* Opens libcudnn.so. False: it cannot be loaded or is too old; `why` gets a sentence. */
bool described_open(const char *library, char *why, size_t size);
/* Its version, 91900 for 9.19.0. */
size_t described_version(void);

/* Plans are made for this GPU from now on: to be called before the first. */
cudnnStatus_t described_use(const gpu_description *gpu);
/* Drops the description. The library stays loaded. */
void described_close(void);

#endif
