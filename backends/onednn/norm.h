/*
 * What the batch norm's forward and backward pass share: how a map is taken apart, the numbers that
 * are kept for each channel, and the max pool that may be joined with both.
 */
#ifndef HMT_ONEDNN_NORM_H
#define HMT_ONEDNN_NORM_H

#include "layout.h"
#include "max_pool.h"

typedef struct norm {
    layout l;
    int64_t width;             /* channels at once */
    int64_t groups;            /* of so many, in a block */
    int64_t parts;             /* of the batch, for sums */
    int64_t filled;            /* channels and those that fill up the last block */
    int32_t large;             /* as in norm_shape */
    const hmt_plan_step *pool; /* joined with it, NULL: none */
    pool_shape across;
} norm;

/* Channels of a group in some images. */
typedef struct strip {
    norm_shape shape;
    int64_t first;  /* channel */
    int64_t offset; /* in floats */
} strip;

/* Tensor `x`, to read in a layout that norm_plan() knows. */
int32_t norm_input(exec *e, int32_t x);
/* How buffer x is taken apart for the batch norm of forward step `s`; NULL after a failure. */
norm *norm_plan(exec *e, const hmt_plan_step *s, int32_t x);

strip norm_strip(const norm *n, int64_t group, int64_t from, int64_t until);
/* Part `task` of all groups' parts; *part receives its number. Loops share them out. */
strip norm_strip_of_part(const norm *n, int64_t task, int64_t *part);
span norm_share_parts(const norm *n, const member *m);
/* Likewise one image of a group. */
strip norm_strip_of_image(const norm *n, int64_t task);
span norm_share_images(const norm *n, const member *m);

/* What a part adds up, two sums for each channel, in a buffer of norm_partials(). */
int32_t norm_partials(exec *e, const norm *n);
double *norm_partial(const norm *n, float *partials, int64_t part);
/* A strip's numbers, of all centres, then factors, then shifts. */
norm_affine norm_affine_of(const norm *n, const hmt_plan_step *s, const float *affine,
                           const strip *part);

/* The max pool behind training batch norm `s` of tensor x that is joined with it: its result alone
 * is read by others. NULL: none. */
const hmt_plan_step *norm_pool(exec *e, const hmt_plan_step *s, const layout *l);
/* Appends the loop that normalises x and pools: the map between is never stored. The pool's steps
 * are then prepared. Floats on the stack for rows that wait. */
enum { NORM_RING = 1 << 14 };
void norm_pool_forward(exec *e, const norm *n, int32_t x, int32_t affine);

#endif
