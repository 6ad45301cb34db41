/*
 * The home of one model's parameters on the CPU: the model's own storage where its layout will do,
 * packed copies where not, and the optimiser's momentum.
 */
#ifndef HMT_ONEDNN_WEIGHTS_H
#define HMT_ONEDNN_WEIGHTS_H

#include "device.h"

typedef struct weights weights;

/* One weight in one layout. Of a trained weight there is one only, the master: SGD changes it and
 * every exec reads it. */
typedef struct packed {
    hmt_plan_weight key;
    dnnl_memory_desc_t md;
    float *data;
    float *momentum; /* masters that SGD updates; data's layout */
    uint64_t bytes;  /* of data */
    int32_t form;    /* a weights_form's id; 0: as md says */
    int32_t owned;   /* data is ours, not the model's */
    int32_t users;   /* execs that hold it */
    struct packed *next;
} packed;

/* A layout that oneDNN does not know. Weights of equal shape and id have equal forms. */
typedef struct weights_form {
    int32_t id; /* not 0 */
    hmt_status (*pack)(const void *user, const weights *w, const hmt_plan_weight *weight,
                       float *packed); /* from weights_read() */
    const void *user;
} weights_form;

hmt_status weights_create(void *opened, const hmt_source *source, void **out);
void weights_destroy(void *home);
hmt_status weights_get(void *home, const hmt_plan_weight *weight, hmt_slot slot, float *values);
hmt_status weights_set(void *home, const hmt_plan_weight *weight, hmt_slot slot,
                       const float *values);
uint64_t weights_bytes(weights *w);

/*
 * The weight in layout `md`, which has the weight's elements in row-major order in any number of
 * dimensions. Of a weight that has a master the master is given, in whatever layout it has: compare
 * (*out)->md. Released with weights_release. With `form` (else NULL) it is what form->pack makes,
 * and `md` tells its size only; not for a weight that has a master.
 */
hmt_status weights_acquire(weights *w, const hmt_plan_weight *weight, const_dnnl_memory_desc_t md,
                           const weights_form *form, packed **out);
int weights_has_master(weights *w, const hmt_plan_weight *weight);

/* Outputs `first` to `first` + `count` of the weight, dense (hmt_source.read). */
hmt_status weights_read(const weights *w, const hmt_plan_weight *weight, int64_t first,
                        int64_t count, float *values);

/* How the model stores the weight's parameter (hmt_source.stored). */
const void *weights_stored(const weights *w, const hmt_plan_weight *weight, hmt_dtype *dtype,
                           const float **scales);
void weights_release(weights *w, packed *p);

/* Gives a master its momentum, zeros at first. */
hmt_status weights_momentum(weights *w, packed *p);

#endif
