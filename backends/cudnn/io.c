/*
 * Everything that passes between host and device in a run, through pinned memory: images into one
 * of two slots, uploaded in pieces while the next piece is being copied; labels, seed and rates as
 * one block, copied by a phase's first operation; losses, flags and small outputs as one block,
 * copied by its last. The caller's own memory is only touched by the calling thread.
 */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "exec.h"

enum { PIECE = 2 << 20, SMALL_OUTPUT = 16384, SMALL_OUTPUTS = 65536 };

/* ---------------------------------------------------------------------------- creation ---------
 */

static hmt_status both(const device *d, uint64_t bytes, const char *what, char **pinned,
                       char **on_device)
{
    void *block;
    hmt_status status = device_pinned(d, bytes, what, &block);

    *pinned = block;
    if (status == HMT_OK) {
        status = device_memory(d, bytes, what, &block);
        *on_device = block;
    }
    return status;
}

static hmt_status create_inputs(exec *e)
{
    inputs *in = &e->in;
    const uint64_t tasks = e->plan->task_count, rows = tasks * (uint64_t)e->plan->batch * 4;

    for (size_t i = 0; i < e->plan->step_count; ++i)
        if (e->plan->steps[i].kind == HMT_STEP_SGD && e->plan->steps[i].group >= in->group_count)
            in->group_count = e->plan->steps[i].group + 1;
    in->groups = device_round(sizeof(run_block));
    in->scales = in->groups + device_round((uint64_t)in->group_count * sizeof(hmt_sgd));
    in->labels = in->scales + device_round(tasks * sizeof(float));
    in->targets = in->labels + device_round(rows);
    in->bytes = in->targets + device_round(rows);
    return both(e->device, in->bytes, "a run's inputs", &in->pinned, &in->device);
}

/* Which outputs come back with every run: small ones, behind the losses and flags, those of the
 * forward phase first. */
static void place_outputs(exec *e)
{
    const hmt_plan *plan = e->plan;
    results *out = &e->out;
    int64_t all = 0;

    for (size_t i = 0; i < plan->tensor_count; ++i)
        out->read_at[i] = -1;
    for (int phase = 0; phase < PHASES; ++phase) {
        e->phases[phase].results_first = phase == 0 ? 0 : out->bytes;
        for (size_t i = 0; i < plan->tensor_count; ++i) {
            const int32_t by = plan->tensors[i].first_step;
            const int64_t count = e->tensors[i].count;

            if (!(plan->tensors[i].flags & HMT_TENSOR_OUTPUT) || by < 0 ||
                (int)plan->steps[by].phase != phase)
                continue;
            if (count <= SMALL_OUTPUT && all + count <= SMALL_OUTPUTS) {
                out->read_at[i] = (int64_t)out->bytes;
                out->bytes += device_round((uint64_t)count * sizeof(float));
                all += count;
            } else if (count > out->dense_count) {
                out->dense_count = count;
            }
        }
        e->phases[phase].results_bytes = out->bytes - e->phases[phase].results_first;
    }
    if (plan->input >= 0 && (plan->tensors[plan->input].flags & HMT_TENSOR_OUTPUT) &&
        e->tensors[plan->input].count > out->dense_count)
        out->dense_count = e->tensors[plan->input].count;
}

static hmt_status create_results(exec *e)
{
    results *out = &e->out;
    char *pinned = NULL, *on_device = NULL;
    void *block;
    hmt_status status = device_host_memory(e->device, e->plan->tensor_count, sizeof *out->read_at,
                                           "a prepared plan", &block);

    if (status != HMT_OK)
        return status;
    out->read_at = block;
    out->flags = device_round(e->plan->task_count * sizeof(double));
    out->bytes = out->flags + device_round(e->plan->step_count * sizeof(int32_t));
    place_outputs(e);
    status = both(e->device, out->bytes, "a run's results", &out->pinned, &out->device);
    if (status == HMT_OK && out->dense_count > 0)
        status = both(e->device, (uint64_t)out->dense_count * sizeof(float), "an output", &pinned,
                      &on_device);
    out->dense_host = (float *)(void *)pinned;
    out->dense = (float *)(void *)on_device;
    return status;
}

hmt_status io_create(exec *e)
{
    hmt_status status = create_inputs(e);

    if (status == HMT_OK)
        status = create_results(e);
    if (e->plan->input < 0)
        return status;
    e->images_bytes = (uint64_t)e->tensors[e->plan->input].count * sizeof(float);
    for (int i = 0; i < SLOTS && status == HMT_OK; ++i) {
        status = both(e->device, e->images_bytes, "a batch of images", &e->slots[i].pinned,
                      &e->slots[i].images);
        if (status == HMT_OK)
            status = CUDA_CALL(e->device, NULL, cudaEventCreateWithFlags, &e->slots[i].uploaded,
                               cudaEventDisableTiming);
    }
    return status;
}

void io_destroy(exec *e)
{
    for (int i = 0; i < SLOTS; ++i) {
        device_pinned_free(e->slots[i].pinned);
        device_memory_free(e->slots[i].images);
        if (e->slots[i].uploaded != NULL)
            (void)cudaEventDestroy(e->slots[i].uploaded);
    }
    device_pinned_free(e->in.pinned);
    device_memory_free(e->in.device);
    device_pinned_free(e->out.pinned);
    device_memory_free(e->out.device);
    device_pinned_free(e->out.dense_host);
    device_memory_free(e->out.dense);
    device_host_free(e->device, e->out.read_at);
}

uint64_t io_bytes(const exec *e)
{
    return 2 * (SLOTS * e->images_bytes + e->in.bytes + e->out.bytes +
                (uint64_t)e->out.dense_count * sizeof(float));
}

/* ---------------------------------------------------------------------------- images -----------
 */

/* The bytes that a run brings, and whether they are levels. */
static const void *images_of(const hmt_run *run, int32_t *levels)
{
    const bool knows = run->struct_size >= offsetof(hmt_run, pixel_shift) + sizeof run->pixel_shift;

    *levels = knows && run->pixels != NULL;
    return *levels ? (const void *)run->pixels : (const void *)run->input;
}

/* Copies to pinned memory and on to the device, piece by piece. */
static hmt_status upload(exec *e, slot *s, const char *from, int32_t levels, cudaStream_t stream)
{
    const uint64_t bytes = levels ? e->images_bytes / sizeof(float) : e->images_bytes;
    hmt_status status = HMT_OK;

    for (uint64_t first = 0; first < bytes && status == HMT_OK; first += PIECE) {
        const uint64_t count = bytes - first < PIECE ? bytes - first : PIECE;

        memcpy(s->pinned + first, from + first, (size_t)count);
        status = CUDA_CALL(e->device, NULL, cudaMemcpyAsync, s->images + first, s->pinned + first,
                           (size_t)count, cudaMemcpyHostToDevice, stream);
    }
    return status;
}

/* The slot that holds nothing, or what was staged first. */
static slot *free_slot(exec *e)
{
    slot *s = &e->slots[0];

    for (int i = 1; i < SLOTS; ++i)
        if (s->source != NULL && (e->slots[i].source == NULL || e->slots[i].age < s->age))
            s = &e->slots[i];
    return s;
}

/* Waits until an upload that nobody came for has read the pinned memory. */
static hmt_status reclaim(const exec *e, slot *s)
{
    const bool uploading = s->source != NULL && !s->waiting;

    s->source = NULL;
    s->waiting = false;
    return uploading ? CUDA_CALL(e->device, NULL, cudaEventSynchronize, s->uploaded) : HMT_OK;
}

hmt_status io_stage(void *prepared, const hmt_run *next)
{
    exec *e = prepared;
    int32_t levels;
    const void *from = images_of(next, &levels);
    slot *s;
    hmt_status status = device_enter(e->device);

    if (status != HMT_OK || from == NULL || e->plan->input < 0)
        return status;
    s = free_slot(e);
    status = reclaim(e, s);
    if (status != HMT_OK)
        return status;
    s->source = from;
    s->levels = levels;
    s->waiting = true;
    s->age = ++e->ages;
    return HMT_OK;
}

hmt_status io_upload_staged(exec *e)
{
    hmt_status status = HMT_OK;

    for (int i = 0; i < SLOTS && status == HMT_OK; ++i) {
        slot *s = &e->slots[i];

        if (s->source == NULL || !s->waiting)
            continue;
        status = upload(e, s, s->source, s->levels, e->copy);
        if (status == HMT_OK)
            status = CUDA_CALL(e->device, NULL, cudaEventRecord, s->uploaded, e->copy);
        s->waiting = false;
        if (status != HMT_OK)
            s->source = NULL;
    }
    return status;
}

/* The slot with the run's images, on their way at least: staged and uploaded during a run before,
 * or sent now. */
static hmt_status bring_images(exec *e, const void *from, int32_t levels, slot **out)
{
    slot *s = NULL;
    hmt_status status;

    for (int i = 0; i < SLOTS; ++i) {
        slot *k = &e->slots[i];

        if (k->source == from && k->levels == levels && (s == NULL || k->age < s->age))
            s = k;
    }
    *out = s != NULL ? s : free_slot(e);
    if (s != NULL && !s->waiting) {
        s->source = NULL;
        return CUDA_CALL(e->device, NULL, cudaStreamWaitEvent, e->compute, s->uploaded, 0);
    }
    status = reclaim(e, *out);
    return status == HMT_OK ? upload(e, *out, from, levels, e->compute) : status;
}

/* ---------------------------------------------------------------------------- runs -------------
 */

static void fill_tasks(const exec *e, const hmt_run *run)
{
    const inputs *in = &e->in;
    const size_t rows = (size_t)e->plan->batch;
    float *scales = (float *)(void *)(in->pinned + in->scales);
    int32_t *labels = (int32_t *)(void *)(in->pinned + in->labels);
    float *targets = (float *)(void *)(in->pinned + in->targets);

    for (size_t t = 0; t < e->plan->task_count && run->tasks != NULL; ++t) {
        const hmt_run_task *task = &run->tasks[t];

        scales[t] = task->scale;
        for (size_t n = 0; n < rows; ++n) {
            labels[t * rows + n] = task->labels != NULL ? task->labels[n] : -1;
            targets[t * rows + n] = task->targets != NULL ? task->targets[n] : NAN;
        }
    }
}

hmt_status io_begin(exec *e, const hmt_run *run)
{
    run_block *block = (run_block *)(void *)e->in.pinned;
    hmt_status status = HMT_OK;
    slot *s = NULL;
    int32_t levels;
    const void *from = images_of(run, &levels);

    if (run->phase == HMT_PHASE_FORWARD && e->plan->input >= 0) {
        if (from == NULL)
            return e->device->host->fail(HMT_ERROR_ARGUMENT, "a run without images");
        status = bring_images(e, from, levels, &s);
        block->images = s->images;
        block->levels = levels;
        for (int c = 0; c < 3 && levels; ++c) {
            block->pixel_scale[c] = run->pixel_scale[c];
            block->pixel_shift[c] = run->pixel_shift[c];
        }
    }
    block->seed = run->seed;
    fill_tasks(e, run);
    if (run->phase == HMT_PHASE_BACKWARD && e->in.group_count > 0)
        memcpy(e->in.pinned + e->in.groups, run->groups,
               (size_t)e->in.group_count * sizeof(hmt_sgd));
    return status;
}

hmt_status io_enqueue_inputs(exec *e, hmt_phase phase)
{
    const int32_t input = e->plan->input;
    hmt_status status = CUDA_CALL(e->device, NULL, cudaMemcpyAsync, e->in.device, e->in.pinned,
                                  (size_t)e->in.bytes, cudaMemcpyHostToDevice, e->compute);

    if (status != HMT_OK || phase != HMT_PHASE_FORWARD)
        return status;
    status = CUDA_CALL(e->device, NULL, cudaMemsetAsync, e->out.device, 0,
                       (size_t)e->phases[0].results_bytes, e->compute);
    if (status == HMT_OK && input >= 0) {
        kernel_images((const run_block *)(const void *)e->in.device, exec_map(e, input),
                      exec_extent(e, input), e->compute);
        status = status_launch(e->device, "the images");
    }
    return status;
}

/* All elements of a tensor in N,C,H,W order. */
static extent dense(const tensor *t)
{
    return (extent){t->order.n, (int32_t)(t->count / t->order.n), 1, 1};
}

hmt_status io_enqueue_results(exec *e, hmt_phase phase)
{
    const struct phase *p = &e->phases[phase];
    hmt_status status = HMT_OK;

    for (size_t i = 0; i < e->plan->tensor_count && status == HMT_OK; ++i) {
        const int64_t at = e->out.read_at[i];
        const tensor *t = &e->tensors[i];

        if (at < (int64_t)p->results_first || at >= (int64_t)(p->results_first + p->results_bytes))
            continue;
        kernel_reorder(exec_map(e, (int32_t)i), t->order, (map){e->out.device + at, STORAGE_FLOAT},
                       dense(t), e->compute);
        status = status_launch(e->device, e->plan->tensors[i].name);
    }
    if (status == HMT_OK && p->results_bytes > 0)
        status = CUDA_CALL(e->device, NULL, cudaMemcpyAsync, e->out.pinned + p->results_first,
                           e->out.device + p->results_first, (size_t)p->results_bytes,
                           cudaMemcpyDeviceToHost, e->compute);
    return status;
}

void io_end(const exec *e, hmt_run *run)
{
    const double *losses = (const double *)(const void *)e->out.pinned;
    const int32_t *flags = (const int32_t *)(const void *)(e->out.pinned + e->out.flags);

    if (run->phase != HMT_PHASE_FORWARD)
        return;
    for (size_t t = 0; t < e->plan->task_count && run->tasks != NULL; ++t)
        run->tasks[t].loss_sum = losses[t];
    for (size_t i = 0; i < e->plan->step_count && run->bad_step < 0; ++i)
        if (flags[i] != 0)
            run->bad_step = (int32_t)i;
}

hmt_status io_read(void *prepared, int32_t index, float *values)
{
    exec *e = prepared;
    const tensor *t;
    size_t bytes;
    hmt_status status;

    if (index < 0 || (size_t)index >= e->plan->tensor_count ||
        !(e->plan->tensors[index].flags & HMT_TENSOR_OUTPUT))
        return e->device->host->fail(HMT_ERROR_ARGUMENT, "tensor %d is not an output of the plan",
                                     index);
    t = &e->tensors[index];
    bytes = (size_t)t->count * sizeof(float);
    if (e->out.read_at[index] >= 0) {
        memcpy(values, e->out.pinned + e->out.read_at[index], bytes);
        return HMT_OK;
    }
    status = device_enter(e->device);
    if (status != HMT_OK)
        return status;
    kernel_reorder(exec_map(e, index), t->order, (map){e->out.dense, STORAGE_FLOAT}, dense(t),
                   e->compute);
    status = status_launch(e->device, e->plan->tensors[index].name);
    if (status == HMT_OK)
        status = CUDA_CALL(e->device, NULL, cudaMemcpyAsync, e->out.dense_host, e->out.dense, bytes,
                           cudaMemcpyDeviceToHost, e->compute);
    if (status == HMT_OK)
        status = CUDA_CALL(e->device, NULL, cudaStreamSynchronize, e->compute);
    if (status == HMT_OK)
        memcpy(values, e->out.dense_host, bytes);
    return status;
}
