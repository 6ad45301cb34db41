/*
 * What the image tests share: means of pixels, levels of normalised tensors, and a context whose
 * memory is measured and can be made to fail.
 */
#ifndef HMT_TESTS_IMAGES_H
#define HMT_TESTS_IMAGES_H

#include <math.h>
#include <stdlib.h>

#include "check.h"
#include "core/memory.h"

enum { SIDE = 224, CROP = 3 * SIDE * SIDE };

static inline void mean_of(const hmt_pixels *p, double mean[3])
{
    size_t count = (size_t)p->width * (size_t)p->height;

    mean[0] = mean[1] = mean[2] = 0.0;
    for (size_t i = 0; i < 3 * count; ++i)
        mean[i % 3] += p->data[i] / (double)count;
}

static inline int near(const double *a, const double *b, double tolerance)
{
    return fabs(a[0] - b[0]) <= tolerance && fabs(a[1] - b[1]) <= tolerance &&
           fabs(a[2] - b[2]) <= tolerance;
}

/* Levels of one crop of a tensor, from its normalised values. */
static inline double level(const float *tensor, size_t index)
{
    static const float mean[3] = {0.485f, 0.456f, 0.406f}, deviation[3] = {0.229f, 0.224f, 0.225f};
    size_t c = index / (SIDE * SIDE) % 3;

    return 255.0 * ((double)tensor[index] * deviation[c] + mean[c]);
}

/* An allocator that counts what is alive, notes the most, and can refuse. */
typedef struct meter {
    size_t calls, fail_at, live, most;
} meter;

static inline void *measured_allocate(void *user, size_t size, size_t alignment)
{
    meter *m = user;
    size_t *block;
    void *pointer = NULL;

    if (++m->calls == m->fail_at || posix_memalign(&pointer, alignment, size + alignment) != 0)
        return NULL;
    block = pointer;
    *block = size;
    m->live += size;
    m->most = m->live > m->most ? m->live : m->most;
    return (char *)pointer + alignment;
}

static inline void measured_release(void *user, void *pointer)
{
    size_t *block = (size_t *)(void *)((char *)pointer - MEMORY_ALIGNMENT);

    ((meter *)user)->live -= *block;
    free(block);
}

static inline hmt_context *metered(meter *m)
{
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;
    hmt_context *context = NULL;

    o.allocator = (hmt_allocator){measured_allocate, measured_release, m};
    o.backend = "reference";
    CHECK_STATUS(hmt_context_create(&o, &context), HMT_OK);
    return context;
}

#endif
