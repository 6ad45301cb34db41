/*
 * The reference in a lower precision; see conformance_noise.h. Its maps are rounded where the
 * linker lets us: the step functions of backends/reference are wrapped (CMakeLists.txt lists them).
 */
#include "conformance_noise.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "fill.h"
#include "reference/internal.h"
#include "reference/reference.h"

/* How many of a float's low bits samples go without while they run; 0: everything is exact. */
static int dropped;

/* ---------------------------------------------------------------------------- rounding ---------
 */

/* To nearest, ties to even, in place. */
static void round_map(const reference_tensor *t)
{
    const int64_t count = t->at != NULL && dropped > 0 ? reference_count(t) : 0;

    for (int64_t i = 0; i < count; ++i) {
        uint32_t bits;

        if (!isfinite(t->at[i]))
            continue;
        memcpy(&bits, &t->at[i], sizeof bits);
        bits += (1u << (dropped - 1)) - 1 + (bits >> dropped & 1);
        bits &= ~0u << dropped;
        memcpy(&t->at[i], &bits, sizeof bits);
    }
}

/* Without the wrapping nobody calls these. */
#define ROUNDED(name)                                                                              \
    extern void __real_##name(const reference_operands *o);                                        \
    void __wrap_##name(const reference_operands *o);                                               \
    void __wrap_##name(const reference_operands *o)                                                \
    {                                                                                              \
        __real_##name(o);                                                                          \
        round_map(&o->out[0]);                                                                     \
    }
ROUNDED(reference_conv)
ROUNDED(reference_conv_backward_data)
ROUNDED(reference_conv_backward_weights)
ROUNDED(reference_linear)
ROUNDED(reference_linear_backward_data)
ROUNDED(reference_linear_backward_weights)
ROUNDED(reference_batch_norm)
ROUNDED(reference_batch_norm_train)
ROUNDED(reference_batch_norm_backward)
ROUNDED(reference_batch_norm_backward_data)
ROUNDED(reference_average_pool)
ROUNDED(reference_average_pool_backward)
ROUNDED(reference_max_pool_backward)
ROUNDED(reference_sum)
ROUNDED(reference_dropout)
ROUNDED(reference_cross_entropy)
ROUNDED(reference_regression_loss)

/* ---------------------------------------------------------------------------- samples ----------
 */

double noise_unit(hmt_precision precision)
{
    if (precision == HMT_PRECISION_TF32)
        return 0x1p-11;
    return precision == HMT_PRECISION_BFLOAT16 ? 0x1p-8 : 0.0;
}

/* Moves values by some roundings; sample 0 stays as it is: it is rounded only. */
static void move(float *values, int64_t count, double unit, uint64_t *state)
{
    if (*state != 0)
        fill_disturb(count, values, NOISE_REACH * unit, state);
}

hmt_status noise_open(noise *n, const graph *g, hmt_precision precision)
{
    hmt_status status = HMT_OK;

    memset(n, 0, sizeof *n);
    n->unit = noise_unit(precision);
    for (int i = 0; i < NOISE_SAMPLES && n->unit > 0.0 && status == HMT_OK; ++i) {
        uint64_t state = (uint64_t)i;
        rig *r = &n->rigs[i];

        status = rig_open(r, &backend_reference, g, 1, HMT_PRECISION_FLOAT32, true);
        if (status != HMT_OK)
            break;
        ++n->count;
        for (int32_t k = 0; k < g->param_count; ++k)
            move(r->params[k], g->params[k].count, n->unit, &state);
    }
    return status;
}

void noise_close(noise *n)
{
    for (int i = 0; i < n->count; ++i)
        rig_close(&n->rigs[i]);
    n->count = 0;
}

hmt_status noise_prepare(noise *n, const lower_options *options)
{
    hmt_status status = HMT_OK;

    for (int i = 0; i < n->count && status == HMT_OK; ++i) {
        uint64_t state = (uint64_t)i * 100;
        rig_plan *p = &n->plans[i];

        status = rig_prepare(&n->rigs[i], options, p);
        if (status == HMT_OK)
            move(p->input, rig_count(p->low->plan.tensors[p->low->plan.input].shape), n->unit,
                 &state);
    }
    return status;
}

void noise_release(noise *n)
{
    for (int i = 0; i < n->count; ++i)
        if (n->plans[i].exec)
            rig_release(&n->plans[i]);
}

hmt_status noise_step(noise *n, const hmt_sgd *sgd)
{
    hmt_status status = HMT_OK;

    dropped = n->unit == noise_unit(HMT_PRECISION_BFLOAT16) ? 16 : 13;
    for (int i = 0; i < n->count && status == HMT_OK; ++i)
        status = rig_step(&n->plans[i], sgd);
    dropped = 0;
    return status;
}
