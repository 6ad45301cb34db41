/* Measuring candidates, and remembering who won; see choice.h. */
#include "choice.h"

#include <string.h>

enum { TIMED_RUNS = 3 };

struct choice {
    struct choice *next;
    choice_key key;
    int32_t rank;
};

int32_t choice_find(device *d, const choice_key *key)
{
    int32_t rank = -1;

    pthread_mutex_lock(&d->lock);
    for (const choice *c = d->choices; c != NULL && rank < 0; c = c->next)
        if (memcmp(&c->key, key, sizeof *key) == 0)
            rank = c->rank;
    pthread_mutex_unlock(&d->lock);
    return rank;
}

void choice_keep(device *d, const choice_key *key, int32_t rank)
{
    const hmt_allocator *a = &d->host->allocator;
    choice *c = a->allocate(a->user, sizeof *c, 64);

    if (c == NULL)
        return;
    c->key = *key;
    c->rank = rank;
    pthread_mutex_lock(&d->lock);
    c->next = d->choices;
    d->choices = c;
    pthread_mutex_unlock(&d->lock);
}

void choice_clear(device *d)
{
    while (d->choices != NULL) {
        choice *next = d->choices->next;

        device_host_free(d, d->choices);
        d->choices = next;
    }
}

/* One run between the two events. */
static hmt_status time_once(const device *d, const char *where, cudaStream_t stream,
                            cudaEvent_t before, cudaEvent_t after, int32_t i, choice_run run,
                            void *user, float *milliseconds)
{
    hmt_status status = CUDA_CALL(d, where, cudaEventRecord, before, stream);

    if (status == HMT_OK)
        status = run(user, i);
    if (status == HMT_OK)
        status = CUDA_CALL(d, where, cudaEventRecord, after, stream);
    if (status == HMT_OK)
        status = CUDA_CALL(d, where, cudaEventSynchronize, after);
    if (status == HMT_OK)
        status = CUDA_CALL(d, where, cudaEventElapsedTime, milliseconds, before, after);
    return status;
}

hmt_status choice_measure(const device *d, const char *where, cudaStream_t stream,
                          cudaEvent_t before, cudaEvent_t after, int32_t count, choice_run run,
                          void *user, int32_t *best)
{
    float fastest = 0.0f, taken = 0.0f;
    hmt_status status = HMT_OK;

    *best = 0;
    if (count < 2)
        return HMT_OK;
    for (int32_t i = 0; i < count && status == HMT_OK; ++i) {
        float least = 0.0f;

        for (int k = 0; k <= TIMED_RUNS && status == HMT_OK; ++k) { /* the first warms up */
            status = time_once(d, where, stream, before, after, i, run, user, &taken);
            if (k == 1 || (k > 1 && taken < least))
                least = taken;
        }
        if (i == 0 || least < fastest) {
            fastest = least;
            *best = i;
        }
    }
    return status;
}
