/* The further devices of a trainer (see devices.h). */
#include "api/devices.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "api/backends.h"
#include "core/float_mode.h"
#include "core/memory.h"
#include "core/owner.h"
#include "core/random.h"
#include "core/status.h"

enum { MOST_DEVICES = 64, MESSAGE = 512, IMAGE = 3 * 224 * 224 };

/* One of them. Its thread alone touches tasks, status and message while it is at work. */
typedef struct helper {
    devices *all;
    int32_t number; /* the backend's */
    size_t part;    /* which part of a batch it has, from 1 */
    void *device, *weights;
    execution train;
    pthread_t thread;
    hmt_run_task tasks[HMT_TASK_COUNT];
    hmt_status status;
    char message[MESSAGE];
} helper;

/* What is to be done; the caller's, for one run. */
typedef struct job {
    hmt_phase phase;
    const run_input *input;
    const hmt_run_task *tasks;
    const hmt_sgd *groups;
    uint64_t seed;
} job;

struct devices {
    hmt_model *model;
    hmt_source source; /* the model's, without views: each device has copies of its own */
    size_t part_batch; /* images of a part */
    helper *helpers;
    size_t count, started;
    owner owner;

    pthread_mutex_t lock;
    pthread_cond_t work,
        done;       /* for the threads: there is a job; for the caller: all are through */
    uint64_t round; /* number of the job */
    job job;
    size_t busy;
    const helper *failed_first; /* of this job; NULL: none, or the caller */
    bool failed, stop;
};

/* ---- options ---- */

static int32_t number_of(const hmt_context *context, const hmt_trainer_options *o, int32_t index)
{
    return o->devices != NULL ? o->devices[index] : context->options.device + index;
}

static hmt_status check_number(const hmt_context *context, const hmt_trainer_options *o,
                               int32_t index)
{
    const int32_t number = number_of(context, o, index);
    const int32_t there = context->backend->device_count();

    if (index == 0 && number != context->options.device)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "options: the first of the devices is %d, the context's is %d", number,
                           context->options.device);
    if (number < 0 || number >= there)
        return status_fail(HMT_ERROR_NOT_FOUND, "backend %s has %d devices, none has the number %d",
                           context->backend->name, there, number);
    for (int32_t i = 0; i < index; ++i)
        if (number_of(context, o, i) == number)
            return status_fail(HMT_ERROR_ARGUMENT, "options: device %d is named twice", number);
    return HMT_OK;
}

hmt_status devices_check(const hmt_context *context, const hmt_trainer_options *o)
{
    const hmt_backend *backend = context->backend;
    hmt_status status = HMT_OK;

    if (o->device_count < 0 || o->device_count > MOST_DEVICES)
        return status_fail(HMT_ERROR_ARGUMENT, "options: device_count is %d, not in 0..%d",
                           o->device_count, MOST_DEVICES);
    for (int32_t i = 0; i < o->device_count && status == HMT_OK; ++i)
        status = check_number(context, o, i);
    if (status != HMT_OK || o->device_count < 2)
        return status;
    if (o->batch % o->device_count != 0 || o->batch / o->device_count < 2)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "options: a batch of %d cannot be shared by %d devices in equal parts "
                           "of two images or more",
                           o->batch, o->device_count);
    if (!BACKEND_HAS(backend, exec_join) || backend->exec_join == NULL)
        return status_fail(HMT_ERROR_UNSUPPORTED, "backend %s trains on one device only",
                           backend->name);
    return HMT_OK;
}

/* ---- threads ---- */

/* The rows of a part: what of the batch's tasks and input begins at its first image. */
static void take_part(const devices *d, const job *job, size_t part, run_input *input,
                      hmt_run_task tasks[HMT_TASK_COUNT])
{
    const size_t first = part * d->part_batch;

    if (job->input != NULL)
        *input = (run_input){.images = job->input->images + first * IMAGE};
    for (int i = 0; i < HMT_TASK_COUNT; ++i) {
        tasks[i] = job->tasks[i];
        tasks[i].loss_sum = 0.0;
        if (tasks[i].labels != NULL)
            tasks[i].labels += first;
        if (tasks[i].targets != NULL)
            tasks[i].targets += first;
    }
}

static hmt_status run_part(const devices *d, const job *job, size_t part, execution *train,
                           hmt_run_task tasks[HMT_TASK_COUNT])
{
    run_input input = {.images = NULL};

    take_part(d, job, part, &input, tasks);
    return execution_run(train, job->phase, job->input != NULL ? &input : NULL, tasks, job->groups,
                         part == 0 ? job->seed : random_split(job->seed, part));
}

/* A device is through with its part. Under the lock. */
static void note(devices *d, const helper *h, hmt_status status)
{
    if (status == HMT_OK || d->failed)
        return;
    d->failed = true;
    d->failed_first = h;
}

static void *work(void *argument)
{
    FLOAT_MODE_DEFAULT;
    helper *h = argument;
    devices *d = h->all;
    uint64_t round = 0;

    pthread_mutex_lock(&d->lock);
    for (;;) {
        while (!d->stop && d->round == round)
            pthread_cond_wait(&d->work, &d->lock);
        if (d->stop)
            break;
        round = d->round;
        pthread_mutex_unlock(&d->lock);
        status_clear();
        h->status = run_part(d, &d->job, h->part, &h->train, h->tasks);
        if (h->status != HMT_OK)
            snprintf(h->message, sizeof h->message, "%s", hmt_last_error());
        pthread_mutex_lock(&d->lock);
        note(d, h, h->status);
        if (--d->busy == 0)
            pthread_cond_signal(&d->done);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

/* What a run came to: the first failure of all counts, the others may only have followed. */
static hmt_status outcome(const devices *d, hmt_status mine)
{
    const helper *h = d->failed_first;

    if (!d->failed || h == NULL)
        return mine;
    status_clear();
    return status_fail(h->status, "device %d: %s", h->number, h->message);
}

hmt_status devices_run(devices *d, execution *first, hmt_phase phase, const run_input *input,
                       hmt_run_task tasks[HMT_TASK_COUNT], const hmt_sgd *groups, uint64_t seed)
{
    hmt_run_task mine[HMT_TASK_COUNT];
    hmt_status status;

    if (d == NULL)
        return execution_run(first, phase, input, tasks, groups, seed);
    if (!owner_is_here(&d->owner))
        return status_fail(HMT_ERROR_STATE, "the devices' threads belong to the process that made "
                                            "this trainer: make one after fork()");
    pthread_mutex_lock(&d->lock);
    d->job = (job){phase, input, tasks, groups, seed};
    d->failed = false;
    d->failed_first = NULL;
    d->busy = d->count;
    ++d->round;
    pthread_cond_broadcast(&d->work);
    pthread_mutex_unlock(&d->lock);
    status = run_part(d, &d->job, 0, first, mine);
    pthread_mutex_lock(&d->lock);
    note(d, NULL, status);
    while (d->busy > 0)
        pthread_cond_wait(&d->done, &d->lock);
    status = outcome(d, status);
    pthread_mutex_unlock(&d->lock);
    for (int i = 0; i < HMT_TASK_COUNT && phase == HMT_PHASE_FORWARD; ++i) {
        tasks[i].loss_sum = mine[i].loss_sum;
        for (size_t k = 0; k < d->count; ++k)
            tasks[i].loss_sum += d->helpers[k].tasks[i].loss_sum;
    }
    return status;
}

hmt_status devices_stage(const devices *d, const execution *first, const run_input *input)
{
    hmt_status status = execution_stage(first, input);

    for (size_t i = 0; d != NULL && i < d->count && status == HMT_OK; ++i) {
        const run_input part = {.images =
                                    input->images + d->helpers[i].part * d->part_batch * IMAGE};

        status = execution_stage(&d->helpers[i].train, &part);
    }
    return status;
}

/* ---- making and closing ---- */

static float *no_view(void *user, const hmt_plan_weight *weight)
{
    (void)user, (void)weight;
    return NULL;
}

static hmt_status open_helper(helper *h, const lower_options *options)
{
    hmt_model *model = h->all->model;
    const hmt_context *context = model->context;
    hmt_status status = context->backend->device_open(h->number, &context->host, &h->device);

    if (status == HMT_OK)
        status = context->backend->weights_create(h->device, &h->all->source, &h->weights);
    if (status == HMT_OK)
        status = execution_create(&h->train, model, options, h->device, h->weights, false);
    return status;
}

static hmt_status join(devices *d, execution *first)
{
    const hmt_context *context = d->model->context;
    void *block, **execs;
    hmt_status status =
        memory_zeroed(&context->allocator, d->count + 1, sizeof *execs, "devices", &block);

    if (status != HMT_OK)
        return status;
    execs = block;
    execs[0] = first->exec;
    for (size_t i = 0; i < d->count; ++i)
        execs[i + 1] = d->helpers[i].train.exec;
    status = context->backend->exec_join(execs, d->count + 1);
    memory_free(&context->allocator, block);
    return status;
}

/* Threads begin with every signal blocked, so that signals reach the host's own. */
static hmt_status start_threads(devices *d)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (d->started < d->count &&
           pthread_create(&d->helpers[d->started].thread, NULL, work, &d->helpers[d->started]) == 0)
        ++d->started;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return d->started == d->count
               ? HMT_OK
               : status_fail(HMT_ERROR_STATE, "the thread of device %d did not start",
                             d->helpers[d->started].number);
}

/* Locks, and helpers that are closed yet. */
static hmt_status make(hmt_model *model, const hmt_trainer_options *o, devices **out)
{
    const hmt_allocator *allocator = &model->context->allocator;
    devices *d;
    void *block;
    hmt_status status = memory_zeroed(allocator, 1, sizeof *d, "devices", &block);

    if (status != HMT_OK)
        return status;
    d = block;
    status = memory_zeroed(allocator, (size_t)o->device_count - 1, sizeof *d->helpers, "devices",
                           &block);
    if (status != HMT_OK) {
        memory_free(allocator, d);
        return status;
    }
    d->helpers = block;
    d->count = (size_t)o->device_count - 1;
    d->model = model;
    d->source = model->source;
    d->source.view = no_view;
    d->part_batch = (size_t)(o->batch / o->device_count);
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->work, NULL);
    pthread_cond_init(&d->done, NULL);
    for (size_t i = 0; i < d->count; ++i) {
        d->helpers[i].all = d;
        d->helpers[i].part = i + 1;
        d->helpers[i].number = number_of(model->context, o, (int32_t)i + 1);
    }
    owner_take(&d->owner);
    *out = d;
    return HMT_OK;
}

hmt_status devices_open(hmt_model *model, const hmt_trainer_options *o,
                        const lower_options *options, execution *first, devices **out)
{
    devices *d = NULL;
    hmt_status status = make(model, o, &d);

    for (size_t i = 0; status == HMT_OK && i < d->count; ++i)
        status = open_helper(&d->helpers[i], options);
    if (status == HMT_OK)
        status = join(d, first);
    if (status == HMT_OK)
        status = start_threads(d);
    if (status != HMT_OK) {
        devices_close(d);
        return status;
    }
    *out = d;
    return HMT_OK;
}

/* And the locks, which in a child after fork() may be anybody's for ever. */
static void stop_threads(devices *d)
{
    pthread_mutex_lock(&d->lock);
    d->stop = true;
    pthread_cond_broadcast(&d->work);
    pthread_mutex_unlock(&d->lock);
    for (size_t i = 0; i < d->started; ++i)
        pthread_join(d->helpers[i].thread, NULL);
    pthread_cond_destroy(&d->done);
    pthread_cond_destroy(&d->work);
    pthread_mutex_destroy(&d->lock);
}

void devices_close(devices *d)
{
    const hmt_context *context;

    if (d == NULL)
        return;
    context = d->model->context;
    if (owner_is_here(&d->owner))
        stop_threads(d);
    owner_release(&d->owner);
    for (size_t i = 0; i < d->count; ++i) {
        helper *h = &d->helpers[i];

        execution_clear(&h->train);
        if (h->weights != NULL)
            context->backend->weights_destroy(h->weights);
        if (h->device != NULL)
            context->backend->device_close(h->device);
    }
    memory_free(&context->allocator, d->helpers);
    memory_free(&context->allocator, d);
}

hmt_status devices_set(const devices *d, const hmt_plan_weight *weight, hmt_slot slot,
                       const float *values)
{
    hmt_status status = HMT_OK;

    for (size_t i = 0; d != NULL && i < d->count && status == HMT_OK; ++i)
        status =
            d->model->context->backend->weights_set(d->helpers[i].weights, weight, slot, values);
    return status;
}

hmt_status devices_memory(const devices *d, hmt_memory *memory)
{
    hmt_status status = HMT_OK;

    for (size_t i = 0; d != NULL && i < d->count && status == HMT_OK; ++i) {
        hmt_memory part = HMT_MEMORY_INIT;

        status = execution_memory(&d->helpers[i].train, d->helpers[i].weights, &part);
        memory->packed += part.packed;
        memory->arena += part.arena;
        memory->staging += part.staging;
    }
    return status;
}
