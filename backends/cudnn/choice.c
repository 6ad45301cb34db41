/* Measuring candidates, and remembering who won; see choice.h. */
#include "choice.h"

#include <string.h>

enum { TIMED_RUNS = 3 };

struct choice {
    struct choice *next;
    choice_key key;
    int32_t name;
};

int32_t choice_find(device *d, const choice_key *key)
{
    int32_t name = -1;

    pthread_mutex_lock(&d->lock);
    for (const choice *c = d->choices; c != NULL && name < 0; c = c->next)
        if (memcmp(&c->key, key, sizeof *key) == 0)
            name = c->name;
    pthread_mutex_unlock(&d->lock);
    return name;
}

void choice_keep(device *d, const choice_key *key, int32_t name)
{
    const hmt_allocator *a = &d->host->allocator;
    choice *c = a->allocate(a->user, sizeof *c, 64);

    if (c == NULL)
        return;
    c->key = *key;
    c->name = name;
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

/* One run between the two events; *ran tells whether the candidate could be run. */
static hmt_status time_once(const device *d, const char *where, cudaStream_t stream,
                            cudaEvent_t before, cudaEvent_t after, int32_t i, choice_run run,
                            void *user, bool *ran, float *milliseconds)
{
    hmt_status status = CUDA_CALL(d, where, cudaEventRecord, before, stream);

    *ran = status == HMT_OK && run(user, i);
    if (!*ran)
        return status;
    status = CUDA_CALL(d, where, cudaEventRecord, after, stream);
    if (status == HMT_OK)
        status = CUDA_CALL(d, where, cudaEventSynchronize, after);
    if (status == HMT_OK)
        status = CUDA_CALL(d, where, cudaEventElapsedTime, milliseconds, before, after);
    return status;
}

hmt_status choice_measure(const device *d, const char *where, cudaStream_t stream,
                          cudaEvent_t before, cudaEvent_t after, int32_t count, int32_t most,
                          choice_run run, void *user, int32_t *best)
{
    float fastest = 0.0f, taken = 0.0f;
    hmt_status status = HMT_OK;
    int32_t ran = 0;

    *best = -1;
    for (int32_t i = 0; i < count && ran < most && status == HMT_OK; ++i) {
        const int runs = most > 1 ? 1 + TIMED_RUNS : 1; /* the first warms up */
        float least = 0.0f;
        bool runs_at_all = true;

        for (int k = 0; k < runs && runs_at_all && status == HMT_OK; ++k) {
            status = time_once(d, where, stream, before, after, i, run, user, &runs_at_all, &taken);
            if (k <= 1 || taken < least)
                least = taken;
        }
        if (!runs_at_all)
            continue;
        if (++ran == 1 || least < fastest) {
            fastest = least;
            *best = i;
        }
    }
    return status;
}
