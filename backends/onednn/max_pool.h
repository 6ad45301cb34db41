/*
 * Max pooling at inference by a loop of ours over blocks of channels; see max_pool.c. first.c pools
 * what it has just computed with the same functions.
 */
#ifndef HMT_ONEDNN_MAX_POOL_H
#define HMT_ONEDNN_MAX_POOL_H

#include "exec.h"

/* Rows of x under one window. */
enum { POOL_ROWS = 32 };

/* Whether max_pool_forward() could take the step, whatever the layout. */
int max_pool_fits(const exec *e, const hmt_plan_step *s);
/* Appends the step; returns 0, and appends nothing, where it is left to oneDNN. */
int max_pool_forward(exec *e, const hmt_plan_step *s);

/* The step across a row, and its rows of x, [from, until), under row `row` of y. */
pool_shape max_pool_across(const exec *e, const hmt_plan_step *s, int32_t cell);
typedef struct pool_rows {
    int64_t from, until;
} pool_rows;
pool_rows max_pool_down(const exec *e, const hmt_plan_step *s, int64_t row);

#endif
