/*
 * calls.c - what happens around every call: the lock, the count, planned faults, lost devices,
 * complaints about broken rules.
 */
#include <pthread.h>
#include <stdarg.h>
#include <string.h>

#include "runtime.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static size_t calls, fail_at, lose_at, complaints;
static const char *failed_call;
static char complaint[512];
static char lost[STANDIN_DEVICES_MAX];
static _Thread_local const char *call_name = "";

_Thread_local cudaError_t last_error = cudaSuccess;

pthread_mutex_t *standin_mutex(void);
pthread_mutex_t *standin_mutex(void)
{
    return &lock;
}

size_t standin_calls(void)
{
    return calls;
}

void standin_fail_at(size_t n)
{
    fail_at = n > 0 ? calls + n : 0;
}

void standin_lose_at(size_t n)
{
    lose_at = n > 0 ? calls + n : 0;
}

const char *standin_failed_call(void)
{
    return failed_call;
}

size_t standin_complaints(void)
{
    return complaints;
}

const char *standin_complaint(void)
{
    return complaints > 0 ? complaint : NULL;
}

void standin_complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(complaint, sizeof complaint, format, arguments);
    va_end(arguments);
    ++complaints;
    if (!settings.quiet)
        fprintf(stderr, "standin: %s (call %zu): %s\n", call_name, calls, complaint);
}

const char *standin_call_name(void)
{
    return call_name;
}

size_t standin_call_number(void)
{
    return calls;
}

/* What was queued on it never runs. */
static void lose(int device)
{
    if (device < 0 || device >= STANDIN_DEVICES_MAX || lost[device])
        return;
    lost[device] = 1;
    for (struct CUstream_st *stream = streams; stream != NULL; stream = stream->next)
        if (stream->device == device)
            stream_discard(stream);
    standin_wake();
}

void standin_lose_device(int device)
{
    pthread_mutex_lock(&lock);
    lose(device);
    pthread_mutex_unlock(&lock);
}

void standin_reset(void)
{
    calls = fail_at = lose_at = complaints = 0;
    failed_call = NULL;
    memset(lost, 0, sizeof lost);
}

int standin_device_lost(int device)
{
    return device >= 0 && device < STANDIN_DEVICES_MAX && lost[device];
}

standin_verdict standin_enter(const char *name)
{
    int device;

    pthread_mutex_lock(&lock);
    call_name = name;
    ++calls;
    device = standin_current_device();
    if (settings.trace)
        fprintf(stderr, "standin: %zu %s, device %d\n", calls, name, device);
    if (calls == lose_at)
        lose(device);
    if (standin_device_lost(device))
        return STANDIN_LOST;
    if (calls != fail_at)
        return STANDIN_GO;
    failed_call = name;
    return STANDIN_FAIL;
}

void standin_leave(void)
{
    pthread_mutex_unlock(&lock);
}

void call_note(cudaError_t error)
{
    if (error != cudaSuccess && error != cudaErrorNotReady)
        last_error = error;
}

/* The error that a call of this name plausibly gives. */
static cudaError_t planned_fault(const char *name)
{
    if (strstr(name, "Malloc") != NULL || strstr(name, "Instantiate") != NULL)
        return cudaErrorMemoryAllocation;
    if (strstr(name, "Create") != NULL)
        return cudaErrorOperatingSystem;
    if (strstr(name, "Launch") != NULL || strstr(name, "kernel") != NULL)
        return cudaErrorLaunchOutOfResources;
    if (strstr(name, "Synchronize") != NULL)
        return cudaErrorLaunchFailure;
    return cudaErrorUnknown;
}

cudaError_t call_begin(const char *name)
{
    switch (standin_enter(name)) {
    case STANDIN_FAIL:
        return planned_fault(name);
    case STANDIN_LOST:
        return cudaErrorECCUncorrectable;
    default:
        break;
    }
    if (settings.devices < 0)
        return cudaErrorInsufficientDriver;
    return settings.devices == 0 ? cudaErrorNoDevice : cudaSuccess;
}

cudaError_t call_end(cudaError_t error)
{
    call_note(error);
    standin_leave();
    return error;
}

cudaError_t device_error(int device)
{
    return standin_device_lost(device) ? cudaErrorECCUncorrectable : cudaSuccess;
}
