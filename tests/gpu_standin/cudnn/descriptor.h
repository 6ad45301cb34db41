/*
 * descriptor.h - backend descriptors: a type, and a value for each attribute of the type's table.
 * What finalising found out is kept beside.
 */
#ifndef GPU_STANDIN_DESCRIPTOR_H
#define GPU_STANDIN_DESCRIPTOR_H

#include "problem.h"

enum { ATTRIBUTES_MAX = 16 };

/* What may be done with an attribute. */
enum {
    REQUIRED = 1,   /* must be set before finalising */
    READ_ONLY = 2,  /* only got, after finalising */
    WRITE_ONLY = 4, /* only set */
    FLOATING = 8    /* CUDNN_TYPE_FLOAT as well as CUDNN_TYPE_DOUBLE */
};

struct attribute {
    cudnnBackendAttributeName_t name;
    cudnnBackendAttributeType_t type;
    int64_t least, most; /* elements */
    unsigned flags;
    int child; /* BACKEND_DESCRIPTOR: what it must point to; ANY_OPERATION for operations */
};

enum { NO_CHILD = -1, ANY_OPERATION = -2 };

struct attribute_table {
    cudnnBackendDescriptorType_t type;
    const char *name;
    struct attribute attributes[ATTRIBUTES_MAX];
    int count;
};

struct value {
    int64_t count; /* 0: not set */
    void *data;
};

struct descriptor {
    const struct attribute_table *table;
    int finalized;
    struct value values[ATTRIBUTES_MAX];
    struct problem problem; /* operation graphs, engines, plans: what they solve */
    int engine;             /* engines, configurations, plans */
    int device;             /* operation graphs and plans: the handle's */
    int engines[16];        /* heuristics */
    int engine_count;
};

/* attributes.c */
const struct attribute_table *attribute_table_of(cudnnBackendDescriptorType_t type);
size_t attribute_size(cudnnBackendAttributeType_t type);

/* descriptors.c: values of a descriptor, by name. NULL or the fallback where nothing was set. */
const struct value *value_of(const struct descriptor *d, cudnnBackendAttributeName_t name);
struct descriptor *child_of(const struct descriptor *d, cudnnBackendAttributeName_t name,
                            int64_t i);
int64_t integer_of(const struct descriptor *d, cudnnBackendAttributeName_t name, int64_t i,
                   int64_t fallback);
int choice_of(const struct descriptor *d, cudnnBackendAttributeName_t name, int fallback);
int flag_of(const struct descriptor *d, cudnnBackendAttributeName_t name, int fallback);
double number_of(const struct descriptor *d, cudnnBackendAttributeName_t name, double fallback);
void *pointer_of(const struct descriptor *d, cudnnBackendAttributeName_t name, int64_t i);

/* finalize.c */
cudnnStatus_t descriptor_finalize(struct descriptor *d);

/* pattern.c */
cudnnStatus_t pattern_match(const struct descriptor *graph, struct problem *problem);

/* engines.c */
cudnnStatus_t engine_list(const struct problem *problem, cudnnBackendHeurMode_t mode, int *engines,
                          int *count);
int engine_count(void);
unsigned engine_how(int engine);
size_t engine_workspace(int engine, const struct problem *problem);
int engine_notes(int engine, const struct problem *problem, cudnnBackendNumericalNote_t *notes);
cudnnStatus_t engine_supports(int engine, const struct problem *problem);
cudnnStatus_t engine_plan(int engine, const struct problem *problem);
cudnnStatus_t engine_execute(int engine, const struct problem *problem);

/* handle.c */
struct cudnnContext {
    int device;
    cudaStream_t stream;
};

#endif
