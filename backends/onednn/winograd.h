/*
 * Convolutions by Winograd's minimal filtering, where windows are small enough; see
 * winograd.c. Each function returns 0, and appends nothing, where the device's choice for the step
 * is another kernel.
 */
#ifndef HMT_ONEDNN_WINOGRAD_H
#define HMT_ONEDNN_WINOGRAD_H

#include "exec.h"

/* Whether winograd_forward() would take the step. */
int winograd_chosen(const exec *e, const hmt_plan_step *s);
int winograd_forward(exec *e, const hmt_plan_step *s);
int winograd_backward_data(exec *e, const hmt_plan_step *s);
int winograd_backward_weights(exec *e, const hmt_plan_step *s);

#endif
