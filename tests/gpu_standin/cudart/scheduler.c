/*
 * scheduler.c - streams as queues that run late: work waits until some call needs a result, then a
 * stream is picked again and again by the seeded order, bound by events alone. Also the made-up
 * clock of events.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime.h"

pthread_mutex_t *standin_mutex(void);

struct CUstream_st *streams;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static uint64_t progress = 1; /* counts whatever may unblock a stream */
static double now;            /* microseconds */

struct marker *marker_create(struct CUstream_st *stream)
{
    struct marker *marker = calloc(1, sizeof *marker);
    if (marker != NULL) {
        marker->references = 1;
        marker->stream = stream;
    }
    return marker;
}

void marker_hold(struct marker *marker)
{
    if (marker != NULL)
        ++marker->references;
}

void marker_release(struct marker *marker)
{
    if (marker != NULL && --marker->references == 0)
        free(marker);
}

static void marker_set(struct marker *marker)
{
    marker->done = 1;
    marker->time = now;
    marker->stream = NULL;
}

void standin_wake(void)
{
    ++progress;
    pthread_cond_broadcast(&changed);
}

double scheduler_tick(void)
{
    now += 5.0 + standin_random(64);
    return now;
}

/* Takes the head out of the queue, done or not. */
static void pop(struct CUstream_st *stream)
{
    struct operation *head = stream->head;

    stream->head = head->next;
    if (stream->head == NULL)
        stream->tail = NULL;
    if (head->record != NULL)
        marker_set(head->record);
    marker_release(head->record);
    marker_release(head->wait);
    if (head->work.forget != NULL)
        head->work.forget((void *)head->work.args);
    free((void *)head->work.args);
    free(head);
    standin_wake();
}

void stream_discard(cudaStream_t stream)
{
    while (stream->head != NULL)
        pop(stream);
}

static int can_go_on(const struct CUstream_st *stream)
{
    const struct operation *head = stream->head;
    if (head == NULL || stream->blocked_at == progress)
        return 0;
    return head->wait == NULL || head->wait->done;
}

/* Runs the head, or a part of it. */
static void step(struct CUstream_st *stream)
{
    struct operation *head = stream->head;
    standin_progress result = STANDIN_DONE;

    if (head->work.run != NULL) {
        memory_view(head->work.all_devices ? MEMORY_ALL : head->device);
        memory_running(head->work.name);
        result = head->work.run((void *)head->work.args);
        memory_running(NULL);
    }
    if (result == STANDIN_BLOCKED) {
        stream->blocked_at = progress;
        return;
    }
    if (head->work.run != NULL)
        scheduler_tick();
    if (result == STANDIN_DONE)
        pop(stream);
    else
        standin_wake();
}

/* Marks what the stream waits for through events, itself included. */
static void mark_needed(struct CUstream_st *stream)
{
    if (stream == NULL || stream->needed)
        return;
    stream->needed = 1;
    for (const struct operation *each = stream->head; each != NULL; each = each->next)
        if (each->wait != NULL && !each->wait->done)
            mark_needed(each->wait->stream);
}

enum { ANY, NEEDED, NOT_NEEDED };

static struct CUstream_st *pick(int wanted, int youngest)
{
    struct CUstream_st *chosen = NULL;
    uint32_t count = 0;

    for (struct CUstream_st *each = streams; each != NULL; each = each->next) {
        if (!can_go_on(each) || (wanted == NEEDED && !each->needed) ||
            (wanted == NOT_NEEDED && each->needed))
            continue;
        ++count;
        if (chosen == NULL || (youngest ? each->age > chosen->age : standin_random(count) == 0))
            chosen = each;
    }
    return chosen;
}

/* What the order says, and if nothing of that can go on, whatever can. */
static struct CUstream_st *choose(void)
{
    struct CUstream_st *chosen = NULL;
    if (settings.order == ORDER_LATE)
        chosen = pick(NEEDED, 0);
    else if (settings.order == ORDER_REVERSE)
        chosen = pick(NOT_NEEDED, 1);
    return chosen != NULL ? chosen : pick(ANY, settings.order == ORDER_REVERSE);
}

/* Lets other threads queue what is missing. 0 if nobody did for too long. */
static int wait_for_others(void)
{
    struct timespec until;
    uint64_t before = progress;

    memory_view(MEMORY_NONE);
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += settings.deadlock_ms / 1000;
    until.tv_nsec += (long)(settings.deadlock_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        ++until.tv_sec;
        until.tv_nsec -= 1000000000;
    }
    while (progress == before)
        if (pthread_cond_timedwait(&changed, standin_mutex(), &until) == ETIMEDOUT)
            return progress != before;
    return 1;
}

/* Names what every stream waits for, and ends it, as a time limit for kernels would. */
static void end_deadlock(void)
{
    for (const struct CUstream_st *each = streams; each != NULL; each = each->next)
        if (each->head != NULL)
            standin_complain("deadlock: stream %zu of device %d is stuck at %s", each->age,
                             each->device,
                             each->head->work.run != NULL ? each->head->work.name : "an event");
    for (struct CUstream_st *each = streams; each != NULL; each = each->next)
        stream_discard(each);
}

cudaError_t standin_run_until(int (*finished)(void *), void *what)
{
    cudaError_t error = cudaSuccess;

    while (error == cudaSuccess && !finished(what)) {
        struct CUstream_st *stream = choose();
        if (stream != NULL) {
            step(stream);
        } else if (!wait_for_others()) {
            end_deadlock();
            error = cudaErrorLaunchTimeout;
        }
    }
    memory_view(MEMORY_NONE);
    return error;
}

static int stream_empty(void *stream)
{
    return ((struct CUstream_st *)stream)->head == NULL;
}

cudaError_t stream_drain(cudaStream_t stream)
{
    for (struct CUstream_st *each = streams; each != NULL; each = each->next)
        each->needed = 0;
    mark_needed(stream);
    return standin_run_until(stream_empty, stream);
}

static int device_empty(void *device)
{
    for (const struct CUstream_st *each = streams; each != NULL; each = each->next)
        if (each->device == *(int *)device && each->head != NULL)
            return 0;
    return 1;
}

cudaError_t device_drain(int device)
{
    for (struct CUstream_st *each = streams; each != NULL; each = each->next)
        each->needed = 0;
    for (struct CUstream_st *each = streams; each != NULL; each = each->next)
        if (each->device == device)
            mark_needed(each);
    return standin_run_until(device_empty, &device);
}

cudaError_t stream_push(cudaStream_t stream, const standin_work *work, struct marker *wait,
                        struct marker *record)
{
    struct operation *operation = calloc(1, sizeof *operation);
    void *args = NULL;

    if (operation == NULL ||
        (work != NULL && work->bytes > 0 && (args = malloc(work->bytes)) == NULL)) {
        free(operation);
        return cudaErrorMemoryAllocation;
    }
    operation->device = stream->device;
    if (work != NULL) {
        operation->work = *work;
        if (work->bytes > 0)
            memcpy(args, work->args, work->bytes);
        operation->work.args = args;
        if (work->copied != NULL)
            work->copied(args);
    }
    operation->wait = wait;
    operation->record = record;
    marker_hold(wait);
    marker_hold(record);
    if (stream->tail != NULL)
        stream->tail->next = operation;
    else
        stream->head = operation;
    stream->tail = operation;
    standin_wake();
    if (settings.order == ORDER_EAGER) {
        while (can_go_on(stream))
            step(stream);
        memory_view(MEMORY_NONE);
    }
    return cudaSuccess;
}
