/*
 * Max pooling by loops of ours over blocks of channels; see max_pool.c. first.c and norm_pool.c
 * pool what they have just computed with the same functions.
 */
#ifndef HMT_ONEDNN_MAX_POOL_H
#define HMT_ONEDNN_MAX_POOL_H

#include "exec.h"

/* Rows of x under one window. */
enum { POOL_ROWS = 32 };

/* Whether max_pool_forward() could take the step, whatever the layout. */
int max_pool_fits(const exec *e, const hmt_plan_step *s);
/* Append the step; return 0, and append nothing, where it is left to pool.c. In training the
 * forward step's workspace tells which tap won, a byte for each value. */
int max_pool_forward(exec *e, const hmt_plan_step *s);
int max_pool_backward(exec *e, const hmt_plan_step *s);
/* That workspace, for tensor y in cells of `cell` channels. */
int32_t max_pool_workspace(exec *e, int32_t y, int32_t cell);

/* The step across a row, and its rows of x, [from, until), under row `row` of y. */
pool_shape max_pool_across(const exec *e, const hmt_plan_step *s, int32_t cell);
typedef struct pool_rows {
    int64_t from, until;
    int32_t skipped; /* the window's rows above x */
} pool_rows;
pool_rows max_pool_down(const exec *e, const hmt_plan_step *s, int64_t row);

/* Row `row` of dx, the gradient of an image's block of channels: from its dy and winners. */
void max_pool_gradient_row(const exec *e, const hmt_plan_step *forward, const pool_shape *shape,
                           int64_t row, const float *dy, const uint8_t *winners, float *dx);

#endif
