/*
 * Convolutions of any shape as matrix products; see im2col.c. They are what is left to do where
 * neither winograd.c nor first.c takes the step.
 */
#ifndef HMT_ONEDNN_IM2COL_H
#define HMT_ONEDNN_IM2COL_H

#include "exec.h"

void im2col_forward(exec *e, const hmt_plan_step *s);
void im2col_backward_data(exec *e, const hmt_plan_step *s);
void im2col_backward_weights(exec *e, const hmt_plan_step *s);

#endif
