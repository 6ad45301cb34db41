/*
 * What the files of the reference backend share. A step is a function of its operands alone
 * (reference_step); reference.c finds the operands in the plan, weights.c in the model.
 */
#ifndef HMT_BACKENDS_REFERENCE_INTERNAL_H
#define HMT_BACKENDS_REFERENCE_INTERNAL_H

#include <stdbool.h>

#include <hmtnet/backend.h>

/* A dense float32 tensor, N,C,H,W; at is NULL where a step has no such operand. */
typedef struct reference_tensor {
    float *at;
    int64_t n, c, h, w;
} reference_tensor;

/* Everything that one step reads and writes. */
typedef struct reference_operands {
    const hmt_plan_step *step;
    int32_t index; /* of the step in its plan */
    reference_tensor in[HMT_STEP_INPUTS];
    reference_tensor out[HMT_STEP_OUTPUTS];
    float *weight[4]; /* dense, NULL where absent */
    int64_t count;    /* elements of weight[0] */
    float *momentum;  /* SGD: the velocity of weight[0], as many */
    float *scratch;   /* convolutions: reference_conv_scratch() floats */
    hmt_run *run;     /* labels, rates, seed; receives what is not finite */
} reference_operands;

typedef void (*reference_step)(const reference_operands *o);

/* The function for a kind of step; NULL if there is none. */
reference_step reference_find(hmt_step_kind kind);

/* conv.c */
void reference_conv(const reference_operands *o);
void reference_conv_backward_data(const reference_operands *o);
void reference_conv_backward_weights(const reference_operands *o);
/* Floats of scratch that a convolution with this window needs: `in` is (N,C,H,W) of x, `out` of y.
 */
int64_t reference_conv_scratch(const hmt_window *window, const int64_t in[4], const int64_t out[4]);

/* linear.c */
void reference_linear(const reference_operands *o);
void reference_linear_backward_data(const reference_operands *o);
void reference_linear_backward_weights(const reference_operands *o);

/* batch_norm.c */
void reference_batch_norm(const reference_operands *o);
void reference_batch_norm_train(const reference_operands *o);
void reference_batch_norm_backward(const reference_operands *o);
void reference_batch_norm_backward_data(const reference_operands *o);

/* pool.c */
void reference_max_pool(const reference_operands *o);
void reference_max_pool_backward(const reference_operands *o);
void reference_average_pool(const reference_operands *o);
void reference_average_pool_backward(const reference_operands *o);

/* elementwise.c */
void reference_relu(const reference_operands *o);
void reference_relu_backward(const reference_operands *o);
void reference_sum(const reference_operands *o);
void reference_concat(const reference_operands *o);
void reference_slice(const reference_operands *o);
void reference_reshape(const reference_operands *o);
void reference_dropout(const reference_operands *o);

/* losses.c */
void reference_cross_entropy(const reference_operands *o);
void reference_regression_loss(const reference_operands *o);
void reference_one_hot(const reference_operands *o);

/* update.c */
void reference_sgd(const reference_operands *o);
void reference_statistics(const reference_operands *o);

/* product.c: c(m,n) += a(m,k) b(k,n). Rows of b and c are contiguous and so many floats apart; an
 * element of a is at a[row * a_row + column * a_column]. */
void reference_product(int64_t m, int64_t k, int64_t n, const float *a, int64_t a_row,
                       int64_t a_column, const float *b, int64_t b_row, float *c, int64_t c_row);

/* Small things that several files need. */
static inline int64_t reference_count(const reference_tensor *t)
{
    return t->n * t->c * t->h * t->w;
}

/* max(0, v) that keeps NaN, so that a loss shows it. */
static inline float reference_rectify(float v)
{
    return v < 0.0f ? 0.0f : v;
}

/* weights.c: one model's parameters. Entries stay where they are until the home is destroyed. */
typedef struct reference_weights reference_weights;

hmt_status reference_weights_create(void *device, const hmt_source *source, void **weights);
void reference_weights_destroy(void *weights);
hmt_status reference_weights_get(void *weights, const hmt_plan_weight *weight, hmt_slot slot,
                                 float *values);
hmt_status reference_weights_set(void *weights, const hmt_plan_weight *weight, hmt_slot slot,
                                 const float *values);
/* The storage of a weight, read from the model at its first use. With momentum not NULL also its
 * velocity, zeros at first. */
hmt_status reference_weights_find(reference_weights *home, const hmt_plan_weight *weight,
                                  float **values, float **momentum);
uint64_t reference_weights_bytes(reference_weights *home);

/* reference.c: memory from the host, aligned to 64 bytes; `what` goes into the message. */
typedef struct reference_device {
    const hmt_host *host;
} reference_device;

hmt_status reference_allocate(const hmt_host *host, uint64_t count, uint64_t size, const char *what,
                              void **out);
void reference_release(const hmt_host *host, void *pointer);

#endif
