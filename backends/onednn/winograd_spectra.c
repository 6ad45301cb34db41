/*
 * Spectra of a convolution's kernels: packed once and kept with the weights, panel by panel, or
 * made anew in each run from weights that a trainer changes.
 */
#include "winograd_spectra.h"

#include <string.h>

#include "format/half.h"

int64_t winograd_width(const winograd *w)
{
    return w->stored == HMT_DTYPE_F32 ? sizeof(float) : sizeof(uint16_t);
}

/* Where panel j of the spectra at `to` lies. */
static void find_slabs(const winograd *w, float *to, int64_t j, winograd_slab *slabs)
{
    for (int32_t point = 0; point < w->points; ++point) {
        const winograd_part *part = &w->part[point];

        slabs[point] =
            (winograd_slab){to + part->before + j * part->size, part->first_row, part->rows};
    }
}

/* Operands: weights (kh,kw,I,O), their spectra. */
static void kernels_loop(const exec *e, const op *o, const member *m)
{
    const winograd *w = o->state;
    const kernels *k = exec_kernels(e);
    winograd_slab slabs[WINOGRAD_SQUARE];
    span part;

    while (team_take(m, w->panels, 1, &part)) {
        find_slabs(w, exec_data(e, o, 1), part.from, slabs);
        k->winograd_kernels(w->m, &w->kernel, exec_data(e, o, 0), w->transposed,
                            part.from * k->panel, w->rows, slabs);
    }
}

/* Strides of weights stored (O,I,kh,kw), and (kh,kw,I,O). */
static void dense_strides(winograd_kernel *k)
{
    k->tap_step[1] = 1;
    k->tap_step[0] = k->size[1];
    k->input_step = (int64_t)k->size[0] * k->size[1];
    k->output_step = k->inputs * k->input_step;
}

void winograd_outputs_last(winograd_kernel *k)
{
    k->output_step = 1;
    k->input_step = k->outputs;
    k->tap_step[1] = k->inputs * k->outputs;
    k->tap_step[0] = k->size[1] * k->tap_step[1];
}

typedef struct packing {
    const exec *e;
    const winograd *w;
} packing;

/* Panel j's spectra, from the dense weights of `kernel` of which it begins with column `column`. */
static void pack_panel(const packing *p, const winograd_kernel *kernel, const float *dense,
                       int64_t column, int64_t j, float *values, float *to)
{
    const winograd *w = p->w;
    const kernels *k = exec_kernels(p->e);
    winograd_slab slabs[WINOGRAD_SQUARE];

    find_slabs(w, to, j, slabs);
    for (int32_t point = 0; point < w->points && w->stored != HMT_DTYPE_F32; ++point)
        slabs[point].values = values + point * w->rows * k->panel; /* to be rounded */
    k->winograd_kernels(w->m, kernel, dense, w->transposed, column, w->rows, slabs);
    for (int32_t point = 0; point < w->points && w->stored != HMT_DTYPE_F32; ++point) {
        const winograd_part *part = &w->part[point];
        uint16_t *halves = (uint16_t *)(void *)to + part->before + j * part->size;

        if (w->stored == HMT_DTYPE_I8)
            k->winograd_kernel_counts(part->rows, slabs[point].values, (int16_t *)halves);
        else if (w->stored == HMT_DTYPE_F16)
            half_array_to_f16(slabs[point].values, halves, (size_t)part->size);
        else
            half_array_to_bf16(slabs[point].values, halves, (size_t)part->size);
    }
}

/* Packing one weight, shared out by panels. Columns are outputs, whose weights lie together, so
 * that each member reads those of a panel into its own `slab`; of a transposed kernel they are
 * inputs, which takes all weights, `dense`, at once. */
typedef struct packing_job {
    const packing *packing;
    const weights *from;
    const hmt_plan_weight *weight;
    float *dense, *own, *to;
    int64_t slab, own_floats; /* of a member: its slab and a panel's spectra before rounding */
    hmt_status *status;       /* of each member */
} packing_job;

static hmt_status pack_column(const packing_job *job, int32_t index, int64_t j)
{
    const winograd *w = job->packing->w;
    const int64_t panel = exec_kernels(job->packing->e)->panel;
    const int64_t column = j * panel, left = job->weight->shape[0] - column;
    float *slab = job->own + index * job->own_floats;
    winograd_kernel part = w->kernel;
    hmt_status status;

    if (w->transposed) {
        pack_panel(job->packing, &part, job->dense, column, j, slab, job->to);
        return HMT_OK;
    }
    part.outputs = left < panel ? left : panel;
    status = weights_read(job->from, job->weight, column, part.outputs, slab);
    if (status == HMT_OK)
        pack_panel(job->packing, &part, slab, 0, j, slab + job->slab, job->to);
    return status;
}

static void pack_loop(void *user, const member *m)
{
    const packing_job *job = user;
    span part;

    while (team_take(m, job->packing->w->panels, 1, &part))
        if (job->status[m->index] == HMT_OK)
            job->status[m->index] = pack_column(job, m->index, part.from);
}

/* After a failure: all panels, on the calling thread, which then has the sentence of the error. */
static hmt_status pack_again(const packing_job *job)
{
    hmt_status status = HMT_OK;

    for (int64_t j = 0; j < job->packing->w->panels && status == HMT_OK; ++j)
        status = pack_column(job, 0, j);
    return status;
}

static hmt_status pack(const void *user, const weights *from, const hmt_plan_weight *weight,
                       float *to)
{
    const packing *p = user;
    const winograd *w = p->w;
    const int64_t panel = exec_kernels(p->e)->panel, threads = p->e->device->host->threads;
    const int64_t output = weight->shape[1] * weight->shape[2] * weight->shape[3];
    const int64_t shared = w->transposed ? weight->shape[0] * output : 0;
    packing_job job = {.packing = p, .from = from, .weight = weight, .to = to};
    void *block;
    hmt_status status;

    job.slab = w->transposed ? 0 : panel * output;
    job.own_floats = job.slab + (w->stored == HMT_DTYPE_F32 ? 0 : w->points * w->rows * panel);
    status = device_allocate(p->e->device,
                             (uint64_t)(shared + threads * job.own_floats) * sizeof(float) +
                                 (uint64_t)threads * sizeof *job.status,
                             "a packed weight", &block);
    if (status != HMT_OK)
        return status;
    job.dense = block;
    job.own = job.dense + shared;
    job.status = memset(job.own + threads * job.own_floats, 0,
                        (size_t)threads * sizeof *job.status); /* HMT_OK */
    if (w->transposed)
        status = weights_read(from, weight, 0, weight->shape[0], block);
    if (status == HMT_OK)
        team_run(p->e->team, pack_loop, &job);
    for (int64_t i = 0; i < threads && status == HMT_OK; ++i)
        if (job.status[i] != HMT_OK)
            status = pack_again(&job);
    device_free(p->e->device, block);
    return status;
}

/* Of 8-bit weights: spectra as 16-bit counts, where that is faster, else in half precision, as
 * those that gradients, with their wide range of magnitudes, meet. */
static void choose_counts(const exec *e, winograd *w)
{
    if (!exec_kernels(e)->integers_faster || w->transposed)
        w->stored = HMT_DTYPE_F16;
    else
        winograd_plan_counts(w, exec_kernels(e)->panel);
}

int32_t winograd_spectra(exec *e, winograd *w, int32_t weight)
{
    int32_t from, to;

    if (!exec_is_trained(e, weight)) {
        const packing p = {e, w};
        const float *scales;
        int64_t size;

        weights_stored(e->weights, &e->plan->weights[weight], &w->stored, &scales);
        if (w->stored == HMT_DTYPE_I8) /* spectra take more bits than the weights */
            choose_counts(e, w);
        size = divide_up(w->kernel_values * winograd_width(w), sizeof(float));
        dense_strides(&w->kernel);
        return exec_weight_form(
            e, weight, exec_describe(e, 1, &size, dnnl_a),
            &(weights_form){w->m + 100 * (int32_t)w->stored + 1000 * w->transposed, pack, &p});
    }
    winograd_outputs_last(&w->kernel);
    from = exec_weight(e, weight, exec_describe(e, 4, e->plan->weights[weight].shape, dnnl_hwio));
    to = exec_scratch(e, w->kernel_values);
    exec_shared(e, kernels_loop, w);
    exec_operand(e, from);
    exec_operand(e, to);
    return to;
}
