/*
 * Inner products over whole maps, as matrices: what linear.c shares with linear_update.c.
 */
#ifndef HMT_ONEDNN_LINEAR_H
#define HMT_ONEDNN_LINEAR_H

#include "exec.h"

/* x (N,K), y (N,O), weight (O,K), all row-major, and bias (O) or NULL. */
typedef struct matrices {
    const_dnnl_memory_desc_t x, y, weight, bias;
} matrices;

/* Of a layer from tensor x to tensor y. */
matrices linear_matrices(exec *e, int32_t x, int32_t y, int bias);
/* A tensor as a matrix, to read. */
int32_t linear_input(exec *e, int32_t tensor, const_dnnl_memory_desc_t md);

/* Prepares a LINEAR_BACKWARD_WEIGHTS step together with the SGD step behind it; 0 if it cannot. */
int linear_update(exec *e, const hmt_plan_step *s);

#endif
