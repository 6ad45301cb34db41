/*
 * How far a lower precision may carry a result. The reference computes the same again a few times,
 * with every map, gradient and parameter rounded to the precision, and parameters and input moved
 * by up to one more rounding; the largest distance from the exact result says how much a rounding
 * is worth at this place of this network: little behind a linear layer, a lot behind a batch norm
 * of few values, or where a relu or max pool flips.
 */
#ifndef HMT_TESTS_CONFORMANCE_NOISE_H
#define HMT_TESTS_CONFORMANCE_NOISE_H

#include "conformance_rig.h"

/* Parameters and pixels move by up to REACH roundings: what would flip has to flip in some sample.
 */
enum { NOISE_SAMPLES = 6 };
#define NOISE_REACH 4.0

typedef struct noise {
    int count;   /* of samples: 0 in float32, which has tolerances of its own */
    double unit; /* one rounding, relative */
    rig rigs[NOISE_SAMPLES];
    rig_plan plans[NOISE_SAMPLES];
} noise;

/* One rounding to a precision's factors, relative; 0 for float32. */
double noise_unit(hmt_precision precision);

/* These stop at the first failure; noise_close() and noise_release() take what there is. */
hmt_status noise_open(noise *n, const graph *g, hmt_precision precision);
void noise_close(noise *n);
hmt_status noise_prepare(noise *n, const lower_options *options);
void noise_release(noise *n);
/* rig_step() of every sample. */
hmt_status noise_step(noise *n, const hmt_sgd *sgd);

#endif
