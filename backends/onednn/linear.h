/*
 * Inner products over whole maps, as matrices: what the files linear*.c share.
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
/* A tensor as a matrix, to read and to write. */
int32_t linear_input(exec *e, int32_t tensor, const_dnnl_memory_desc_t md);
int32_t linear_output(exec *e, int32_t tensor, const_dnnl_memory_desc_t md);

/* Appends a LINEAR step's product, its weight in buffer `weight`, for a batch of many images; 0 if
 * that would not be faster. */
int linear_panels(exec *e, const hmt_plan_step *s, matrices m, int32_t weight, hmt_dtype stored);

/* Prepares a LINEAR_BACKWARD_WEIGHTS step together with the SGD step behind it; 0 if it cannot. */
int linear_update(exec *e, const hmt_plan_step *s);
/* The same step by itself: its gradient is written. */
void linear_gradient(exec *e, const hmt_plan_step *s);

#endif
