/*
 * problem.h - what an operation graph comes down to once it is recognised: one convolution, and how
 * an engine does it. Plain data, copied into the stream.
 */
#ifndef GPU_STANDIN_PROBLEM_H
#define GPU_STANDIN_PROBLEM_H

#include <stdint.h>

#include <cudnn.h>

#include "../core.h"

/* A 4-d tensor: dims N,C,H,W (filters K,C,R,S). The uid is -1 where there is none. */
struct problem_tensor {
    int64_t uid;
    cudnnDataType_t type;
    int64_t dims[4], strides[4], alignment;
};

typedef enum problem_kind { PROBLEM_FORWARD, PROBLEM_DATA, PROBLEM_FILTER } problem_kind;

/* FORWARD: x, w -> y, then bias and relu. DATA: y (as dy), w -> x. FILTER: y, x -> w. */
struct problem {
    problem_kind kind;
    struct problem_tensor x, w, y, bias;
    int relu;
    int64_t pre[2], post[2], stride[2], dilation[2], groups;
    double alpha, beta;
};

/* How an engine differs from plain arithmetic. */
enum {
    ROUND_TF32 = 1,     /* inputs */
    ROUND_BFLOAT16 = 2, /* inputs */
    ROUND_SUMS = 4,     /* to bfloat16, after each image of a sum over images or once */
    ANY_ORDER = 8       /* of sums over images */
};

struct convolution {
    struct problem problem;
    unsigned how;
    const void *x, *w, *y, *bias; /* the output is written, whichever it is */
    void *workspace;
    size_t workspace_bytes;
};

/* One of the stream's operations. */
standin_progress convolution_run(void *convolution);

/* Bytes from the first to the last element. */
size_t problem_tensor_bytes(const struct problem_tensor *tensor);
const struct problem_tensor *problem_output(const struct problem *problem);

#endif
