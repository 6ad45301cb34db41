/*
 * The home of one model's parameters on a device. Weights that have equal values are kept once,
 * whoever asks, so that what a training plan changes every exec sees. Values are float32 in the
 * order that NHWC maps need (O,h,w,c); beside them, where an exec computes in it, a bfloat16 copy
 * that each update renews, and the momentum.
 */
#ifndef HMT_CUDNN_WEIGHTS_H
#define HMT_CUDNN_WEIGHTS_H

#include "device.h"

typedef struct weights weights;

/* What an exec needs of a weight. */
enum { WEIGHT_VALUES = 1, WEIGHT_COPY = 2, WEIGHT_MOMENTUM = 4 };

typedef struct weight {
    struct weight *next;
    hmt_plan_weight key; /* the name is not used */
    extent order;        /* outputs, and the order of each one's elements */
    int64_t count;
    int32_t users;
    int32_t trained; /* stays when its users have gone, for weights_get() */
    float *values;
    void *copy; /* bfloat16 */
    float *momentum;
} weight;

/* A weight with at least what `needs` names; read from the model at its first use. Never moves. The
 * device must be entered. */
hmt_status weights_acquire(weights *w, const hmt_plan_weight *key, extent order, uint32_t needs,
                           weight **out);
void weights_release(weights *w, weight *held);
const device *weights_device(const weights *w);
uint64_t weights_bytes(weights *w);

/* The vtable's entries. */
hmt_status weights_create(void *opened, const hmt_source *source, void **out);
void weights_destroy(void *home);
hmt_status weights_get(void *home, const hmt_plan_weight *key, hmt_slot slot, float *values);
hmt_status weights_set(void *home, const hmt_plan_weight *key, hmt_slot slot, const float *values);

#endif
