/*
 * Convolutions of few input channels by a kernel of ours; see first.c.
 */
#ifndef HMT_ONEDNN_FIRST_H
#define HMT_ONEDNN_FIRST_H

#include "exec.h"

/* Appends the step and, where it may, the max pool behind it, which is then prepared. Returns 0,
 * and appends nothing, where the step is left to others. */
int first_forward(exec *e, const hmt_plan_step *s);

#endif
