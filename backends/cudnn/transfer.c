/*
 * Values of parameters to the device and back, in chunks through pinned memory. The dense O,I,h,w
 * order exists only on the way.
 */
#include "transfer.h"

#include <string.h>

enum { CHUNK = 4 << 20 }; /* bytes that travel at a time, or one output's if that is more */

static int64_t inner_count(const weight *e)
{
    return e->count / e->order.n;
}

/* Makes room for a chunk of a weight; *outputs receives how many outputs fit. */
static hmt_status make_room(weights *w, const weight *e, int64_t *outputs)
{
    const uint64_t row = (uint64_t)inner_count(e) * sizeof(float);
    const uint64_t all = row * (uint64_t)e->order.n;
    uint64_t bytes = row > CHUNK ? row : (all < CHUNK ? all : CHUNK);
    void *pinned, *passing;
    hmt_status status;

    *outputs = (int64_t)(bytes / row);
    if (bytes <= w->room)
        return HMT_OK;
    status = device_pinned(w->device, bytes, "a chunk of weights", &pinned);
    if (status != HMT_OK)
        return status;
    status = device_memory(w->device, bytes, "a chunk of weights", &passing);
    if (status != HMT_OK) {
        device_pinned_free(pinned);
        return status;
    }
    device_pinned_free(w->pinned);
    device_memory_free(w->passing);
    w->bytes += bytes - w->room;
    w->pinned = pinned;
    w->passing = passing;
    w->room = bytes;
    return HMT_OK;
}

static map part_of(void *at, storage type, int64_t first)
{
    return (map){at != NULL ? (char *)at + (uint64_t)first * storage_size(type) : NULL, type};
}

static extent rows_of(const weight *e, int64_t outputs)
{
    return (extent){(int32_t)outputs, e->order.c, e->order.h, e->order.w};
}

static extent dense_rows(const weight *e, int64_t outputs)
{
    return (extent){(int32_t)outputs, (int32_t)inner_count(e), 1, 1};
}

/* Brings outputs [first, first + count), which lie in the pinned buffer, into their places: those
 * of values and copy that are not NULL. */
static hmt_status bring(weights *w, const weight *e, int64_t first, int64_t count, float *values,
                        void *copy)
{
    const int64_t inner = inner_count(e);
    const map passing = {w->passing, STORAGE_FLOAT};
    const map targets[] = {part_of(values, STORAGE_FLOAT, first * inner),
                           part_of(copy, STORAGE_BFLOAT16, first * inner)};
    hmt_status status =
        CUDA_CALL(w->device, NULL, cudaMemcpyAsync, w->passing, w->pinned,
                  (size_t)(count * inner) * sizeof(float), cudaMemcpyHostToDevice, w->stream);

    for (int i = 0; i < 2 && status == HMT_OK; ++i)
        if (targets[i].at != NULL) {
            kernel_reorder(passing, dense_rows(e, count), targets[i], rows_of(e, count), w->stream);
            status = status_launch(w->device, "weights");
        }
    if (status == HMT_OK)
        status = CUDA_CALL(w->device, NULL, cudaStreamSynchronize, w->stream);
    return status;
}

/* Fills values and copy from dense `given` values, or from the model if that is NULL. */
hmt_status transfer_fill(weights *w, const weight *e, const float *given, float *values, void *copy)
{
    const int64_t inner = inner_count(e);
    int64_t step = 1;
    hmt_status status = make_room(w, e, &step);

    for (int64_t first = 0; first < e->order.n && status == HMT_OK; first += step) {
        const int64_t count = e->order.n - first < step ? e->order.n - first : step;

        if (given != NULL)
            memcpy(w->pinned, given + first * inner, (size_t)(count * inner) * sizeof(float));
        else
            status = w->source->read(w->source->user, &e->key, first, count, w->pinned);
        if (status == HMT_OK)
            status = bring(w, e, first, count, values, copy);
    }
    return status;
}

/* Copies a slot out, dense. */
hmt_status transfer_take(weights *w, const weight *e, const float *slot, float *values)
{
    const int64_t inner = inner_count(e);
    int64_t step = 1;
    hmt_status status = make_room(w, e, &step);

    for (int64_t first = 0; first < e->order.n && status == HMT_OK; first += step) {
        const int64_t count = e->order.n - first < step ? e->order.n - first : step;
        const size_t bytes = (size_t)(count * inner) * sizeof(float);

        kernel_reorder((map){(void *)(uintptr_t)(slot + first * inner), STORAGE_FLOAT},
                       rows_of(e, count), (map){w->passing, STORAGE_FLOAT}, dense_rows(e, count),
                       w->stream);
        status = status_launch(w->device, "weights");
        if (status == HMT_OK)
            status = CUDA_CALL(w->device, NULL, cudaMemcpyAsync, w->pinned, w->passing, bytes,
                               cudaMemcpyDeviceToHost, w->stream);
        if (status == HMT_OK)
            status = CUDA_CALL(w->device, NULL, cudaStreamSynchronize, w->stream);
        if (status == HMT_OK)
            memcpy(values + first * inner, w->pinned, bytes);
    }
    return status;
}
