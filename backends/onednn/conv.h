/*
 * What convolutions share, whatever their kernel.
 */
#ifndef HMT_ONEDNN_CONV_H
#define HMT_ONEDNN_CONV_H

#include "exec.h"

/* Appends the gradient of the bias, if the CONV_BACKWARD_WEIGHTS step has one, from dy in blocks of
 * channels. */
void conv_bias_gradient(exec *e, const hmt_plan_step *s, int32_t dy);

#endif
