/*
 * Convolutions of few input channels by kernels of ours; see first.c and first_gradient.c.
 */
#ifndef HMT_ONEDNN_FIRST_H
#define HMT_ONEDNN_FIRST_H

#include "exec.h"

/* Ids of the packed weights; see weights_form. */
enum {
    FIRST_FORM = 1 << 20,
    FIRST_INTEGER_FORM,
    FIRST_TILES_FORM /* and the grids added to it */
};

/* Append the step and, where it may, the max pool behind it, which is then prepared. Return 0, and
 * append nothing, where the step is left to others. */
int first_forward(exec *e, const hmt_plan_step *s);
int first_backward_weights(exec *e, const hmt_plan_step *s);

/* Whether they may take a convolution of tensor x, and its shape. */
int first_fits(const exec *e, const hmt_plan_step *s, int32_t x);
first_shape first_describe(const exec *e, const hmt_plan_step *s, int32_t x, int32_t y);

#endif
