/*
 * reduction.c - an all-reduce in the streams of all ranks: each arrives when its stream comes to it
 * and waits there, the last one adds up in the order of the ranks. Nobody comes: the scheduler
 * reports a deadlock.
 */
#include <stdlib.h>
#include <string.h>

#include "clique.h"

void clique_release(struct clique *clique)
{
    if (--clique->references > 0)
        return;
    while (clique->meetings != NULL) {
        struct meeting *next = clique->meetings->next;
        free(clique->meetings);
        clique->meetings = next;
    }
    free(clique);
}

void clique_abort(struct clique *clique)
{
    clique->aborted = 1;
    if (clique->error == ncclSuccess)
        clique->error = ncclRemoteError;
    standin_wake();
}

void reduction_copied(void *args)
{
    struct reduction *r = args;
    ++r->clique->references;
    ++r->clique->outstanding[r->rank];
}

/* A part that never ran keeps the others waiting, as on devices; they can ask for the error and
 * abort. */
void reduction_forget(void *args)
{
    struct reduction *r = args;
    --r->clique->outstanding[r->rank];
    if (r->meeting != NULL && !r->meeting->computed && r->clique->error == ncclSuccess)
        r->clique->error = ncclRemoteError;
    clique_release(r->clique);
}

/* The meeting with this number; made by the first who comes. */
static struct meeting *find(struct reduction *r)
{
    uint64_t number = r->clique->next[r->rank]++;
    struct meeting *m = r->clique->meetings;

    while (m != NULL && m->number != number)
        m = m->next;
    if (m != NULL)
        return m;
    m = calloc(1, sizeof *m);
    if (m == NULL)
        abort();
    m->number = number;
    m->count = r->count;
    m->operation = r->operation;
    m->next = r->clique->meetings;
    r->clique->meetings = m;
    return m;
}

static void arrive(struct reduction *r)
{
    struct meeting *m = r->meeting = find(r);
    if (m->count != r->count || m->operation != r->operation) {
        standin_complain(
            "rank %d comes with %zu elements, another one with %zu, or with another operation",
            r->rank, r->count, m->count);
        r->clique->error = ncclInvalidUsage;
        m->count = m->count < r->count ? m->count : r->count;
    }
    m->from[r->rank] = r->from;
    m->to[r->rank] = r->to;
    ++m->arrived;
}

static void compute(struct meeting *m, int ranks)
{
    float factor = m->operation == ncclAvg ? 1.0f / (float)ranks : 1.0f;
    for (size_t i = 0; i < m->count; i++) {
        float sum = 0;
        for (int rank = 0; rank < ranks; rank++)
            sum += m->from[rank][i];
        for (int rank = 0; rank < ranks; rank++)
            m->to[rank][i] = sum * factor;
    }
    m->computed = 1;
}

static void leave(struct clique *clique, struct meeting *m)
{
    struct meeting **link = &clique->meetings;
    if (++m->left < clique->ranks)
        return;
    while (*link != m)
        link = &(*link)->next;
    *link = m->next;
    free(m);
}

standin_progress reduction_run(void *args)
{
    struct reduction *r = args;

    if (r->clique->aborted)
        return STANDIN_DONE;
    if (r->meeting == NULL) {
        arrive(r);
        return STANDIN_AGAIN;
    }
    if (r->meeting->arrived < r->clique->ranks)
        return STANDIN_BLOCKED;
    if (!r->meeting->computed)
        compute(r->meeting, r->clique->ranks);
    leave(r->clique, r->meeting);
    r->meeting = NULL;
    return STANDIN_DONE;
}
