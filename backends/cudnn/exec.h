/*
 * A prepared plan on a device. Each step has an operation of its kind (a row of the table in
 * steps.c): prepare() says what it needs before there is memory, link() binds it to memory, run()
 * starts it on the compute stream, in the order of the plan. Tensors lie in one arena, NHWC, where
 * hmt_host.place puts them; scratch and workspace are shared by all steps, since one runs after the
 * other.
 */
#ifndef HMT_CUDNN_EXEC_H
#define HMT_CUDNN_EXEC_H

#include <stdbool.h>

#include "conv_graph.h"
#include "weights.h"

typedef struct exec exec;
typedef struct member member;

/* A tensor's place. */
typedef struct tensor {
    extent order; /* n = samples, or outputs of a weight's gradient */
    storage type;
    int32_t root; /* the tensor whose memory it shares; itself if none */
    int64_t count;
    char *at;
} tensor;

/* One of two buffers that images pass through on their way in. */
typedef struct slot {
    char *pinned;
    char *images; /* on the device */
    cudaEvent_t uploaded;
    const void *source; /* the caller's memory that was staged, NULL: none */
    int32_t levels;     /* bytes, not floats */
    bool waiting;       /* staged, but not yet uploaded: the next run does that */
    uint64_t age;
} slot;

enum { SLOTS = 2, PHASES = 2 };

/* A phase's launches, captured after its first run. */
typedef struct phase {
    bool warm;
    cudaGraphExec_t graph;
    uint64_t results_first, results_bytes; /* its part of the results */
} phase;

/* What goes in before a phase, in one block: pinned, and the same on the device. */
typedef struct inputs {
    char *pinned, *device;
    uint64_t bytes;
    uint64_t groups, scales, labels, targets; /* offsets; run_block is at 0 */
    int32_t group_count;
} inputs;

/* What comes back after a phase: losses, flags of batch norms, small outputs. */
typedef struct results {
    char *pinned, *device;
    uint64_t bytes;
    uint64_t flags;    /* offset of int32 for each step; losses (double) are at 0 */
    int64_t *read_at;  /* by tensor: offset of its dense values, -1: exec_read() fetches it */
    float *dense;      /* on the device: where a large output is put in order, (dense_count) */
    float *dense_host; /* pinned */
    int64_t dense_count;
} results;

struct exec {
    device *device;
    const hmt_plan *plan;
    weights *weights;
    cudaStream_t compute, copy;
    cudaEvent_t before, after; /* to time with */
    cudnnHandle_t dnn;
    cublasLtHandle_t blas;
    tensor *tensors;
    extent *weight_order; /* by weight */
    weight **held;        /* by weight */
    void **states;        /* by step: the operation's own */
    char *arena;
    char *scratch;
    void *workspace;
    uint64_t arena_bytes, scratch_bytes, workspace_bytes;
    slot slots[SLOTS];
    uint64_t images_bytes; /* of a slot */
    uint64_t ages;
    inputs in;
    results out;
    phase phases[PHASES];
    member *member; /* of a group that trains together, or NULL */
};

/* One kind of step. Entries may be NULL but run. */
typedef struct operation {
    hmt_step_kind kind;
    hmt_status (*prepare)(exec *e, int32_t step);
    hmt_status (*choose)(exec *e, int32_t step);
    hmt_status (*link)(exec *e, int32_t step);
    hmt_status (*run)(exec *e, int32_t step);
    void (*release)(exec *e, int32_t step);
    const char *(*kernel)(const exec *e, int32_t step);
} operation;
const operation *operation_of(hmt_step_kind kind);

/* order.c: in which order each tensor and each linear weight lies in memory, and as what type. */
hmt_status order_decide(exec *e);

/* io.c: images, labels and rates in; losses and outputs out. */
hmt_status io_create(exec *e);
void io_destroy(exec *e);
hmt_status io_stage(void *prepared, const hmt_run *next);
/* Sends what has been staged on its way. Called while a run computes, so that copying to pinned
 * memory takes none of the device's time. */
hmt_status io_upload_staged(exec *e);
/* Brings a forward run's images to a slot and fills the pinned inputs. */
hmt_status io_begin(exec *e, const hmt_run *run);
/* First and last operations of a phase on the compute stream. */
hmt_status io_enqueue_inputs(exec *e, hmt_phase phase);
hmt_status io_enqueue_results(exec *e, hmt_phase phase);
/* After the stream has finished: losses and bad_step to the caller. */
void io_end(const exec *e, hmt_run *run);
hmt_status io_read(void *prepared, int32_t index, float *values);
uint64_t io_bytes(const exec *e);

/* run.c */
hmt_status exec_run(void *prepared, hmt_run *run);
/* Forgets captured phases: pointers have changed. */
void exec_forget(exec *e);

/* exec.c: the vtable's entries, and what operations ask for. */
hmt_status exec_create(void *opened, const hmt_plan *plan, void *home, void **out);
void exec_destroy(void *prepared);
const char *exec_kernel(void *prepared, int32_t step);
hmt_status exec_link(exec *e);
void exec_scratch(exec *e, uint64_t bytes);
void exec_workspace(exec *e, uint64_t bytes);

/* group.c: execs on several devices that train as one. */
hmt_status group_join(void *const *execs, size_t count);
void group_leave(exec *e);
bool group_updates(const exec *e, const hmt_plan_step *s);
hmt_status group_update(exec *e, int32_t step);
hmt_status group_finish(exec *e);
/* Whether a run may begin; what becomes of one that ended with `status`. */
hmt_status group_check(const exec *e);
hmt_status group_end(exec *e, hmt_status status);

/* Small things for operations. */
static inline const hmt_plan_step *exec_step(const exec *e, int32_t step)
{
    return &e->plan->steps[step];
}
static inline map exec_map(const exec *e, int32_t index)
{
    if (index < 0)
        return (map){NULL, STORAGE_FLOAT};
    return (map){e->tensors[index].at, e->tensors[index].type};
}
static inline extent exec_extent(const exec *e, int32_t index)
{
    return e->tensors[index].order;
}
static inline float *exec_floats(const exec *e, int32_t index)
{
    return index < 0 ? NULL : (float *)(void *)e->tensors[index].at;
}
static inline float *exec_values(const exec *e, int32_t weight)
{
    return weight < 0 ? NULL : e->held[weight]->values;
}
/* What convolutions and products read: in the type of the maps. */
static inline void *exec_factor(const exec *e, int32_t weight)
{
    if (weight < 0)
        return NULL;
    return e->device->type == STORAGE_BFLOAT16 ? e->held[weight]->copy
                                               : (void *)e->held[weight]->values;
}
static inline int64_t exec_rows(extent e)
{
    return (int64_t)e.n * e.h * e.w;
}

/* The operations, by family; see steps.c. */
#define OPERATION(name)                                                                            \
    hmt_status name##_prepare(exec *e, int32_t step);                                              \
    hmt_status name##_choose(exec *e, int32_t step);                                               \
    hmt_status name##_link(exec *e, int32_t step);                                                 \
    hmt_status name##_run(exec *e, int32_t step);                                                  \
    void name##_release(exec *e, int32_t step);                                                    \
    const char *name##_kernel(const exec *e, int32_t step)
OPERATION(conv);
OPERATION(linear);
#undef OPERATION
hmt_status norm_prepare(exec *e, int32_t step);
hmt_status norm_run(exec *e, int32_t step);
hmt_status norm_train_run(exec *e, int32_t step);
hmt_status norm_backward_run(exec *e, int32_t step);
hmt_status norm_backward_data_run(exec *e, int32_t step);
hmt_status loss_prepare(exec *e, int32_t step);
hmt_status cross_entropy_run(exec *e, int32_t step);
hmt_status regression_run(exec *e, int32_t step);
hmt_status one_hot_run(exec *e, int32_t step);

#endif
