/*
 * A module with several devices, each the reference backend with parameters of its own: it takes
 * 8-bit pixels, keeps what is handed over, and sums gradients across the threads that run its
 * devices. Any of its functions can be made to fail, and a device to be lost.
 *
 * The linker sends the reference's SGD and STATISTICS steps through __wrap_ functions here, which
 * meet the other devices' before they go on.
 */
#include "module_several.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "reference/internal.h"
#include "reference/reference.h"

static several_state state;

__attribute__((visibility("default"))) several_state *several_module_state(void);

several_state *several_module_state(void)
{
    return &state;
}

typedef struct device {
    const hmt_host *host;
    int32_t number;
    void *inner;
} device;

typedef struct weights {
    device *device;
    hmt_source source;
    void *inner;
} weights;

/* Execs that train as one. */
typedef struct group {
    pthread_mutex_t lock;
    pthread_cond_t met;
    size_t count, here, users;
    uint64_t round;
    bool broken;
    float *values[SEVERAL_DEVICES];
} group;

/* Something handed over. */
typedef struct staged {
    const void *from; /* NULL: nothing */
    float *values;
    uint64_t age;
} staged;

typedef struct exec {
    device *device;
    void *inner;
    const hmt_plan *plan;
    size_t floats;     /* of the input */
    float *input;      /* made from pixels */
    float *statistics; /* (2,widest): a mean and a variance */
    size_t widest;     /* channels of the widest tensor */
    staged kept[2];
    uint64_t ages;
    group *group; /* NULL: alone */
    size_t rank;
    bool left; /* the others are waited for no more */
} exec;

/* A run that knows whose it is: a step sees only the run. */
typedef struct owned_run {
    hmt_run run;
    exec *exec;
} owned_run;

/* Every function that can fail begins with it. */
static hmt_status enter(const device *d, const hmt_host *host)
{
    const int call = atomic_fetch_add(&state.calls, 1) + 1;

    if (call == atomic_load(&state.fail_call)) {
        atomic_fetch_add(&state.failed, 1);
        return host->fail(HMT_ERROR_BACKEND, "several: call %d was made to fail", call);
    }
    if (d != NULL && d->number + 1 == atomic_load(&state.lost))
        return host->fail(HMT_ERROR_BACKEND, "several: device %d was lost", d->number);
    return HMT_OK;
}

/* ---- devices and weights ---- */

static int32_t device_count(void)
{
    return SEVERAL_DEVICES;
}

static hmt_status device_info(int32_t number, hmt_device_info *info)
{
    (void)number;
    return backend_reference.device_info(0, info);
}

static hmt_status device_open(int32_t number, const hmt_host *host, void **opened)
{
    hmt_status status = enter(NULL, host);
    void *block = NULL;
    device *d;

    if (status == HMT_OK)
        status = reference_allocate(host, 1, sizeof *d, "a device", &block);
    if (status != HMT_OK)
        return status;
    d = block;
    *d = (device){host, number, NULL};
    status = backend_reference.device_open(0, host, &d->inner);
    if (status != HMT_OK) {
        reference_release(host, d);
        return status;
    }
    atomic_fetch_add(&state.live, 1);
    atomic_fetch_add(&state.opened[number], 1);
    atomic_store(&state.precision, (int)host->precision);
    *opened = d;
    return HMT_OK;
}

static void device_close(void *opened)
{
    device *d = opened;

    backend_reference.device_close(d->inner);
    reference_release(d->host, d);
    atomic_fetch_sub(&state.live, 1);
}

static float *no_view(void *user, const hmt_plan_weight *weight)
{
    (void)user, (void)weight;
    return NULL;
}

static hmt_status weights_create(void *opened, const hmt_source *source, void **out)
{
    device *d = opened;
    hmt_status status = enter(d, d->host);
    void *block = NULL;
    weights *w;

    if (status == HMT_OK)
        status = reference_allocate(d->host, 1, sizeof *w, "weights", &block);
    if (status != HMT_OK)
        return status;
    w = block;
    *w = (weights){d, *source, NULL};
    if (atomic_load(&state.views) == 0)
        w->source.view = no_view; /* as on a device with memory of its own */
    status = backend_reference.weights_create(d->inner, &w->source, &w->inner);
    if (status != HMT_OK) {
        reference_release(d->host, w);
        return status;
    }
    atomic_fetch_add(&state.live, 1);
    *out = w;
    return HMT_OK;
}

static void weights_destroy(void *home)
{
    weights *w = home;

    backend_reference.weights_destroy(w->inner);
    reference_release(w->device->host, w);
    atomic_fetch_sub(&state.live, 1);
}

static hmt_status weights_get(void *home, const hmt_plan_weight *weight, hmt_slot slot,
                              float *values)
{
    weights *w = home;
    hmt_status status = enter(w->device, w->device->host);

    return status == HMT_OK ? backend_reference.weights_get(w->inner, weight, slot, values)
                            : status;
}

static hmt_status weights_set(void *home, const hmt_plan_weight *weight, hmt_slot slot,
                              const float *values)
{
    weights *w = home;
    hmt_status status = enter(w->device, w->device->host);

    return status == HMT_OK ? backend_reference.weights_set(w->inner, weight, slot, values)
                            : status;
}

/* ---- devices that train as one ---- */

/* Waits for the others of the group; false once one of them has failed. */
static bool meet(group *g)
{
    uint64_t round;
    bool whole;

    pthread_mutex_lock(&g->lock);
    round = g->round;
    if (++g->here == g->count) {
        g->here = 0;
        ++g->round;
        pthread_cond_broadcast(&g->met);
    }
    while (g->round == round && !g->broken)
        pthread_cond_wait(&g->met, &g->lock);
    whole = !g->broken;
    pthread_mutex_unlock(&g->lock);
    return whole;
}

static void break_group(group *g)
{
    pthread_mutex_lock(&g->lock);
    g->broken = true;
    pthread_cond_broadcast(&g->met);
    pthread_mutex_unlock(&g->lock);
}

/* Puts factor * the sum over the devices in the place of everybody's values. */
static void add_up(exec *e, float *values, int64_t count, float factor)
{
    group *g = e->group;

    if (g == NULL || e->left)
        return;
    g->values[e->rank] = values;
    e->left = !meet(g);
    for (int64_t i = 0; !e->left && e->rank == 0 && i < count; ++i) {
        float sum = 0.0f;

        for (size_t k = 0; k < g->count; ++k)
            sum += g->values[k][i];
        for (size_t k = 0; k < g->count; ++k)
            g->values[k][i] = factor * sum;
    }
    if (!e->left)
        e->left = !meet(g);
    atomic_fetch_add(&state.summed, e->rank == 0);
}

void __real_reference_sgd(const reference_operands *o);
void __wrap_reference_sgd(const reference_operands *o);
void __real_reference_statistics(const reference_operands *o);
void __wrap_reference_statistics(const reference_operands *o);

void __wrap_reference_sgd(const reference_operands *o)
{
    exec *e = ((owned_run *)(void *)o->run)->exec;

    add_up(e, o->in[0].at, reference_count(&o->in[0]), 1.0f);
    if (!e->left)
        __real_reference_sgd(o);
}

/* A copy is averaged: the backward step of the batch norm may still read this device's own. */
void __wrap_reference_statistics(const reference_operands *o)
{
    exec *e = ((owned_run *)(void *)o->run)->exec;

    reference_operands mean = *o;

    for (int i = 0; i < 2 && e->group != NULL; ++i) {
        const int64_t count = reference_count(&o->in[i]);

        mean.in[i].at = e->statistics + (size_t)i * e->widest;
        memcpy(mean.in[i].at, o->in[i].at, (size_t)count * sizeof(float));
        add_up(e, mean.in[i].at, count, 1.0f / (float)e->group->count);
    }
    if (!e->left)
        __real_reference_statistics(&mean);
}

static hmt_status exec_join(void *const *execs, size_t count)
{
    const device *d = ((const exec *)execs[0])->device;
    hmt_status status = enter(d, d->host);
    void *block = NULL;
    group *g;

    if (status == HMT_OK && count > SEVERAL_DEVICES)
        status = d->host->fail(HMT_ERROR_ARGUMENT, "several: %zu execs to join", count);
    if (status == HMT_OK)
        status = reference_allocate(d->host, 1, sizeof *g, "a group", &block);
    if (status != HMT_OK)
        return status;
    g = block;
    memset(g, 0, sizeof *g);
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->met, NULL);
    g->count = g->users = count;
    for (size_t i = 0; i < count; ++i) {
        exec *e = execs[i];

        e->group = g;
        e->rank = i;
    }
    atomic_store(&state.joined, (int)count);
    return HMT_OK;
}

static void leave(const exec *e)
{
    group *g = e->group;

    if (g == NULL || --g->users > 0)
        return;
    pthread_cond_destroy(&g->met);
    pthread_mutex_destroy(&g->lock);
    reference_release(e->device->host, g);
}

/* ---- execs ---- */

static void exec_destroy(void *prepared)
{
    exec *e = prepared;
    const hmt_host *host = e->device->host;

    leave(e);
    if (e->inner != NULL)
        backend_reference.exec_destroy(e->inner);
    for (int i = 0; i < 2; ++i)
        reference_release(host, e->kept[i].values);
    reference_release(host, e->input);
    reference_release(host, e->statistics);
    reference_release(host, e);
    atomic_fetch_sub(&state.live, 1);
}

static hmt_status exec_create(void *opened, const hmt_plan *plan, void *home, void **out)
{
    const int64_t *shape = plan->tensors[plan->input].shape;
    device *d = opened;
    hmt_status status = enter(d, d->host);
    void *block = NULL;
    exec *e;

    if (status == HMT_OK)
        status = reference_allocate(d->host, 1, sizeof *e, "an exec", &block);
    if (status != HMT_OK)
        return status;
    e = block;
    *e = (exec){.device = d, .plan = plan};
    e->floats = (size_t)(shape[0] * shape[1] * shape[2] * shape[3]);
    atomic_fetch_add(&state.live, 1);
    status = reference_allocate(d->host, e->floats, sizeof(float), "pixels", &block);
    e->input = block;
    for (size_t i = 0; i < plan->tensor_count; ++i)
        if ((size_t)plan->tensors[i].shape[1] > e->widest)
            e->widest = (size_t)plan->tensors[i].shape[1];
    if (status == HMT_OK)
        status = reference_allocate(d->host, e->widest, 2 * sizeof(float), "statistics", &block);
    e->statistics = status == HMT_OK ? block : NULL;
    for (int i = 0; i < 2 && status == HMT_OK; ++i) {
        status = reference_allocate(d->host, e->floats, sizeof(float), "staging", &block);
        e->kept[i].values = status == HMT_OK ? block : NULL;
    }
    if (status == HMT_OK)
        status = backend_reference.exec_create(d->inner, plan, ((weights *)home)->inner, &e->inner);
    if (status != HMT_OK) {
        exec_destroy(e);
        return status;
    }
    *out = e;
    return HMT_OK;
}

/* The run's input as floats. */
static void convert(const exec *e, const hmt_run *run, float *values)
{
    const int64_t *shape = e->plan->tensors[e->plan->input].shape;
    const size_t area = (size_t)(shape[2] * shape[3]), channels = (size_t)shape[1];

    if (run->pixels == NULL) {
        memcpy(values, run->input, e->floats * sizeof *values);
        return;
    }
    for (size_t n = 0; n < (size_t)shape[0]; ++n)
        for (size_t i = 0; i < area; ++i)
            for (size_t c = 0; c < channels; ++c)
                values[(n * channels + c) * area + i] =
                    (float)run->pixels[(n * area + i) * channels + c] * run->pixel_scale[c] +
                    run->pixel_shift[c];
}

static const void *key_of(const hmt_run *run)
{
    return run->pixels != NULL ? (const void *)run->pixels : run->input;
}

static hmt_status exec_stage(void *prepared, const hmt_run *next)
{
    exec *e = prepared;
    hmt_status status = enter(e->device, e->device->host);
    staged *place = &e->kept[0];

    if (status != HMT_OK)
        return status;
    if (place->from != NULL && (e->kept[1].from == NULL || e->kept[1].age < place->age))
        place = &e->kept[1];
    convert(e, next, place->values);
    place->from = key_of(next);
    place->age = ++e->ages;
    atomic_fetch_add(&state.staged, 1);
    return HMT_OK;
}

/* What the run computes from: what was handed over, if it was; NULL if it was changed since. */
static const float *input_of(exec *e, const hmt_run *run)
{
    atomic_fetch_add(&state.pixels, run->pixels != NULL);
    convert(e, run, e->input);
    for (int i = 0; i < 2; ++i)
        if (e->kept[i].from == key_of(run)) {
            e->kept[i].from = NULL;
            atomic_fetch_add(&state.used, 1);
            return memcmp(e->kept[i].values, e->input, e->floats * sizeof(float)) == 0
                       ? e->kept[i].values
                       : NULL;
        }
    return e->input;
}

static hmt_status exec_run(void *prepared, hmt_run *run)
{
    exec *e = prepared;
    int expected = e->device->number + 1;
    owned_run owned = {*run, e};
    hmt_status status = enter(e->device, e->device->host);

    if (run->phase == HMT_PHASE_FORWARD && status == HMT_OK)
        owned.run.input = input_of(e, run);
    if (run->phase == HMT_PHASE_FORWARD && status == HMT_OK && owned.run.input == NULL)
        status = e->device->host->fail(HMT_ERROR_BACKEND,
                                       "several: what was handed over has been changed since");
    if (run->phase == HMT_PHASE_BACKWARD && status == HMT_OK &&
        atomic_compare_exchange_strong(&state.fail_backward, &expected, 0))
        status = e->device->host->fail(HMT_ERROR_BACKEND, "several: the backward run fails");
    if (status == HMT_OK)
        status = backend_reference.exec_run(e->inner, &owned.run);
    run->bad_step = owned.run.bad_step;
    if (e->group != NULL && run->phase == HMT_PHASE_BACKWARD) {
        if (status != HMT_OK)
            break_group(e->group);
        else if (e->left)
            status = e->device->host->fail(HMT_ERROR_BACKEND, "several: another device failed");
    }
    return status;
}

static hmt_status exec_read(void *prepared, int32_t tensor, float *values)
{
    exec *e = prepared;
    hmt_status status = enter(e->device, e->device->host);

    return status == HMT_OK ? backend_reference.exec_read(e->inner, tensor, values) : status;
}

static hmt_status memory(void *home, void *prepared, hmt_backend_memory *bytes)
{
    const weights *w = home;
    const exec *e = prepared;
    hmt_status status = enter(w->device, w->device->host);

    return status == HMT_OK ? backend_reference.memory(w->inner, e != NULL ? e->inner : NULL, bytes)
                            : status;
}

static const hmt_backend table = {.struct_size = sizeof table,
                                  .abi = HMT_BACKEND_ABI,
                                  .name = "several",
                                  .description = "four devices in plain memory",
                                  .device_count = device_count,
                                  .device_info = device_info,
                                  .device_open = device_open,
                                  .device_close = device_close,
                                  .weights_create = weights_create,
                                  .weights_destroy = weights_destroy,
                                  .weights_get = weights_get,
                                  .weights_set = weights_set,
                                  .exec_create = exec_create,
                                  .exec_destroy = exec_destroy,
                                  .exec_run = exec_run,
                                  .exec_read = exec_read,
                                  .memory = memory,
                                  .features = HMT_FEATURE_PIXELS | HMT_FEATURE_TF32,
                                  .exec_stage = exec_stage,
                                  .exec_join = exec_join};

__attribute__((visibility("default"))) const hmt_backend *hmt_backend_module(void);

const hmt_backend *hmt_backend_module(void)
{
    return &table;
}
