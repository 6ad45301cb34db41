/*
 * Preparing a plan: the buffers and operations that the step families ask for, layouts compared and
 * reorders put in. Lifetimes are noted here as operands are added; exec.c lays out the arena.
 */
#include <string.h>

#include "exec.h"

static const char *step_name(const exec *e)
{
    return e->step < (int32_t)e->plan->step_count ? e->plan->steps[e->step].name : NULL;
}

hmt_status exec_check(exec *e, const char *function, dnnl_status_t status)
{
    return exec_note(e, device_check(e->device, step_name(e), function, status));
}

hmt_status exec_note(exec *e, hmt_status status)
{
    if (e->status == HMT_OK)
        e->status = status;
    return e->status;
}

/* Makes room for one more element in an array that grows by doubling; its index, -1 after a
 * failure. */
static int32_t grow(exec *e, void **array, int32_t *count, int32_t *room, size_t size)
{
    void *larger;

    if (e->status != HMT_OK)
        return -1;
    if (*count == *room) {
        int32_t wanted = *room > 0 ? *room * 2 : 256;

        if (exec_note(e, device_allocate(e->device, (uint64_t)wanted * size, "a prepared plan",
                                         &larger)) != HMT_OK)
            return -1;
        if (*count > 0)
            memcpy(larger, *array, (size_t)*count * size);
        device_free(e->device, *array);
        *array = larger;
        *room = wanted;
    }
    memset((char *)*array + (size_t)*count * size, 0, size);
    return (*count)++;
}

const_dnnl_memory_desc_t exec_describe(exec *e, int32_t ndims, const int64_t *dims,
                                       dnnl_format_tag_t tag)
{
    void *array = e->mds;
    int32_t i = grow(e, &array, &e->md_count, &e->md_room, sizeof *e->mds);

    dnnl_dims_t all = {0};

    e->mds = array;
    if (i < 0)
        return NULL;
    memcpy(all, dims, (size_t)ndims * sizeof dims[0]);
    EXEC_CALL(e, dnnl_memory_desc_create_with_tag, &e->mds[i], ndims, all, dnnl_f32, tag);
    return e->mds[i];
}

const_dnnl_memory_desc_t exec_like(exec *e, int32_t tensor, dnnl_format_tag_t tag)
{
    return exec_describe(e, 4, e->plan->tensors[tensor].shape, tag);
}

const_dnnl_memory_desc_t exec_blocked(exec *e, int32_t tensor)
{
    return exec_like(e, tensor, exec_kernels(e)->lanes == 16 ? dnnl_nChw16c : dnnl_nChw8c);
}

int32_t exec_buffer(exec *e, const_dnnl_memory_desc_t md)
{
    void *array = e->buffers;
    int32_t i = grow(e, &array, &e->buffer_count, &e->buffer_room, sizeof *e->buffers);

    e->buffers = array;
    if (i < 0)
        return -1;
    e->buffers[i].root = i;
    e->buffers[i].first = -1;
    EXEC_CALL(e, dnnl_memory_desc_clone, &e->buffers[i].md, md);
    if (e->status == HMT_OK)
        e->buffers[i].bytes = dnnl_memory_desc_get_size(md);
    return i;
}

int32_t exec_scratch(exec *e, int64_t floats)
{
    return exec_buffer(e, exec_describe(e, 1, &floats, dnnl_a));
}

int32_t exec_scratch_each(exec *e, int64_t floats)
{
    const int64_t lines = divide_up(floats > 0 ? floats : 1, CACHE_LINE);

    return exec_scratch(e, lines * CACHE_LINE * e->device->host->threads);
}

int32_t exec_alias(exec *e, int32_t of, const_dnnl_memory_desc_t md)
{
    int32_t i = exec_buffer(e, md);

    if (e->status != HMT_OK)
        return -1;
    e->buffers[i].root = e->buffers[of].root;
    e->buffers[i].data = e->buffers[of].data;
    return i;
}

const_dnnl_memory_desc_t exec_md(const exec *e, int32_t buffer)
{
    return e->status == HMT_OK ? e->buffers[buffer].md : NULL;
}

int32_t exec_input(exec *e, int32_t tensor, const_dnnl_memory_desc_t md)
{
    tensor_state *t = &e->tensors[tensor];
    int32_t copy;

    if (e->status != HMT_OK)
        return -1;
    if (t->home < 0) {
        exec_note(e, e->device->host->fail(HMT_ERROR_ARGUMENT,
                                           "%s: reads a tensor that no step has written",
                                           step_name(e)));
        return -1;
    }
    if (md == NULL || dnnl_memory_desc_equal(exec_md(e, t->home), md))
        return t->home;
    for (int32_t i = 0; i < t->copies; ++i)
        if (dnnl_memory_desc_equal(exec_md(e, t->copy[i]), md))
            return t->copy[i];
    copy = exec_buffer(e, md);
    exec_reorder(e, t->home, copy);
    if (t->copies < TENSOR_COPIES)
        t->copy[t->copies++] = copy;
    return copy;
}

int32_t exec_output(exec *e, int32_t tensor, const_dnnl_memory_desc_t md)
{
    tensor_state *t = &e->tensors[tensor];

    if (e->status != HMT_OK)
        return -1;
    t->copies = 0; /* what they hold is out of date from here on */
    if (t->home < 0 || !dnnl_memory_desc_equal(exec_md(e, t->home), md))
        t->home = exec_buffer(e, md);
    return t->home;
}

int32_t exec_vector_input(exec *e, int32_t tensor)
{
    const int64_t *shape = e->plan->tensors[tensor].shape;

    return exec_alias(e, exec_input(e, tensor, exec_like(e, tensor, dnnl_nchw)),
                      exec_describe(e, 1, &shape[1], dnnl_a));
}

int32_t exec_vector_output(exec *e, int32_t tensor, int64_t length)
{
    const_dnnl_memory_desc_t md = exec_describe(e, 1, &length, dnnl_a);

    if (tensor < 0)
        return exec_buffer(e, md);
    return exec_alias(e, exec_output(e, tensor, exec_like(e, tensor, dnnl_nchw)), md);
}

static packed *acquire(exec *e, int32_t weight, const_dnnl_memory_desc_t md,
                       const weights_form *form)
{
    void *array = e->packs;
    int32_t i = grow(e, &array, &e->pack_count, &e->pack_room, sizeof *e->packs);

    e->packs = array;
    if (i < 0)
        return NULL;
    exec_note(e, weights_acquire(e->weights, &e->plan->weights[weight], md, form, &e->packs[i]));
    return e->packs[i];
}

/* A buffer outside the arena. */
static int32_t outside(exec *e, const_dnnl_memory_desc_t md, float *data)
{
    int32_t i = exec_buffer(e, md);

    if (e->status == HMT_OK)
        e->buffers[i].data = data;
    return i;
}

int32_t exec_weight(exec *e, int32_t weight, const_dnnl_memory_desc_t md)
{
    packed *p = acquire(e, weight, md, NULL);
    int32_t stored, copy;

    if (e->status != HMT_OK)
        return -1;
    stored = outside(e, p->md, p->data);
    if (e->status != HMT_OK || dnnl_memory_desc_equal(p->md, md))
        return stored;
    copy = exec_buffer(e, md);
    exec_reorder(e, stored, copy);
    return copy;
}

int32_t exec_weight_vector(exec *e, int32_t weight)
{
    if (weight < 0)
        return -1;
    return exec_weight(e, weight, exec_describe(e, 1, e->plan->weights[weight].shape, dnnl_a));
}

/* Operands: filled-up vector, [vector]. */
static void fill_loop(const exec *e, const op *o)
{
    float *to = exec_data(e, o, 0);

    memset(to, 0, (size_t)exec_elements(e, o, 0) * sizeof *to);
    if (o->count > 1)
        memcpy(to, exec_data(e, o, 1), (size_t)exec_elements(e, o, 1) * sizeof *to);
}

int32_t exec_filled_vector(exec *e, int32_t weight, int64_t floats)
{
    const int32_t to = exec_scratch(e, floats);
    const int32_t from = exec_weight_vector(e, weight);

    exec_alone(e, fill_loop);
    exec_operand(e, to);
    exec_operand(e, from);
    return to;
}

int32_t exec_weight_form(exec *e, int32_t weight, const_dnnl_memory_desc_t md,
                         const weights_form *form)
{
    packed *p = acquire(e, weight, md, form);

    return e->status == HMT_OK ? outside(e, p->md, p->data) : -1;
}

int32_t exec_stored(exec *e, int32_t weight, hmt_dtype *dtype, const float **scales)
{
    const int64_t one = 1; /* oneDNN sees nothing but an address */
    const void *data = weights_stored(e->weights, &e->plan->weights[weight], dtype, scales);

    if (data == NULL || exec_is_trained(e, weight)) {
        *dtype = HMT_DTYPE_F32;
        return -1;
    }
    return outside(e, exec_describe(e, 1, &one, dnnl_a), (float *)data);
}

int exec_is_trained(const exec *e, int32_t weight)
{
    return e->plan->weights[weight].trained ||
           weights_has_master(e->weights, &e->plan->weights[weight]);
}

int32_t exec_master(exec *e, int32_t weight, const_dnnl_memory_desc_t md, int32_t *momentum)
{
    packed *p = acquire(e, weight, md, NULL);

    if (e->status == HMT_OK && momentum != NULL)
        exec_note(e, weights_momentum(e->weights, p));
    if (e->status != HMT_OK)
        return -1;
    if (momentum != NULL)
        *momentum = outside(e, p->md, p->momentum);
    return outside(e, p->md, p->data);
}

static op *append(exec *e)
{
    void *array = e->ops;
    int32_t i = grow(e, &array, &e->op_count, &e->op_room, sizeof *e->ops);

    e->ops = array;
    if (i < 0)
        return NULL;
    e->ops[i].step = e->step;
    return &e->ops[i];
}

void exec_alone(exec *e, void (*loop)(const exec *e, const op *o))
{
    op *o = append(e);

    if (o != NULL)
        o->alone = loop;
}

void exec_shared(exec *e, exec_shared_loop *loop, const void *state)
{
    op *o = append(e);

    if (o != NULL) {
        o->shared = loop;
        o->state = state;
    }
}

void exec_chose(exec *e, const char *kernel)
{
    e->steps[e->step].kernel = kernel;
}

void *exec_state(exec *e, uint64_t bytes)
{
    void *array = e->states;
    int32_t i = grow(e, &array, &e->state_count, &e->state_room, sizeof *e->states);

    e->states = array;
    if (i < 0)
        return NULL;
    exec_note(e, device_allocate(e->device, bytes, "a prepared plan", &e->states[i]));
    return e->states[i];
}

void exec_operand(exec *e, int32_t buffer)
{
    op *o;
    struct buffer *root;

    if (e->status != HMT_OK || buffer < 0)
        return;
    o = &e->ops[e->op_count - 1];
    if (o->count == OP_OPERANDS) {
        exec_note(e,
                  e->device->host->fail(HMT_ERROR_BACKEND, "%s: too many operands", step_name(e)));
        return;
    }
    o->buffer[o->count++] = buffer;
    root = &e->buffers[e->buffers[buffer].root];
    if (root->first < 0)
        root->first = e->time;
    root->last = e->time;
}
