/*
 * A prepared plan: buffers in one arena, and operations that read and write them. exec.c keeps both
 * and runs them; the files named after step families (conv.c, pool.c, ...) fill them, one function
 * for each step kind. While a plan is being prepared the first failure sticks: every function below
 * then does nothing, and its result must only be handed on.
 *
 * A tensor has a home, the buffer that its step wrote in the layout that it chose, and copies in
 * other layouts, made when a reader first asks for one and shared by later readers.
 */
#ifndef HMT_ONEDNN_EXEC_H
#define HMT_ONEDNN_EXEC_H

#include "team.h"
#include "weights.h"

enum { OP_OPERANDS = 10, TENSOR_COPIES = 3 };

/* Elements from which a loop of ours pays for more than one thread. */
enum { PARALLEL_FROM = 1 << 15 };

/* Floats of one. */
enum { CACHE_LINE = 16 };

typedef struct buffer {
    dnnl_memory_desc_t md;
    float *data; /* set from the start for weights, else when the arena is laid out */
    uint64_t bytes;
    int32_t
        root; /* the buffer whose memory this one shows with another descriptor; itself if none */
    int32_t first; /* time of the step that touches it first, -1: none yet; of roots only */
    int32_t last;
} buffer;

typedef struct exec exec;
typedef struct op op;
typedef void exec_shared_loop(const exec *e, const op *o, const member *m);

/* One thing to do: a loop that the team's members share, or one that its first does alone. */
struct op {
    int32_t step; /* that it belongs to, index into the plan */
    exec_shared_loop *shared;
    void (*alone)(const exec *e, const op *o);
    const void *state; /* of the loop, from exec_state() */
    int32_t count;
    int32_t buffer[OP_OPERANDS];
};

typedef struct tensor_state {
    int32_t home;                /* buffer, -1 until written */
    int32_t copy[TENSOR_COPIES]; /* buffers */
    int32_t copies;
    const_dnnl_memory_desc_t dense; /* of outputs, which are read so */
} tensor_state;

/* What a backward step needs from its forward step. */
typedef struct step_state {
    int32_t workspace;  /* buffer, -1: none */
    const char *kernel; /* that runs it, where there are several; in static storage */
    int32_t prepared;   /* steps may be prepared before their turn */
} step_state;

/* Operations that one thread does while the others begin with operation `by`; see beside.c. */
typedef struct beside {
    int32_t first, count;
    int32_t by; /* -1: none takes them along */
} beside;

struct exec {
    const device *device;
    const hmt_plan *plan;
    weights *weights;
    team *team;
    int rows_apart; /* an image's results must not depend on the others of its batch */
    hmt_status status;
    int32_t step; /* being prepared */
    int32_t time; /* steps prepared before it: buffers live by this order */
    beside beside;
    buffer *buffers;
    int32_t buffer_count, buffer_room;
    op *ops;
    int32_t op_count, op_room;
    dnnl_memory_desc_t *mds; /* made while preparing */
    int32_t md_count, md_room;
    packed **packs; /* held weights */
    int32_t pack_count, pack_room;
    void **states; /* of loops */
    int32_t state_count, state_room;
    tensor_state *tensors;
    step_state *steps;
    int32_t input; /* buffer that stands for the caller's images, -1 if they are copied */
    char *arena;
    uint64_t arena_bytes;
    hmt_run *run;   /* while running */
    int run_beside; /* likewise: whether `beside` is done so, or step by step to be timed */
};

/* Calls a oneDNN function unless something failed before. */
#define EXEC_CALL(e, function, ...)                                                                \
    ((e)->status == HMT_OK ? exec_check((e), #function, function(__VA_ARGS__)) : (e)->status)
hmt_status exec_check(exec *e, const char *function, dnnl_status_t status);
/* Notes a status of ours. */
hmt_status exec_note(exec *e, hmt_status status);

/* Descriptors that live as long as the exec. exec_like: a tensor's shape in a layout; exec_blocked:
 * in that of our kernels' feature maps. */
const_dnnl_memory_desc_t exec_describe(exec *e, int32_t ndims, const int64_t *dims,
                                       dnnl_format_tag_t tag);
const_dnnl_memory_desc_t exec_like(exec *e, int32_t tensor, dnnl_format_tag_t tag);
const_dnnl_memory_desc_t exec_blocked(exec *e, int32_t tensor);

/* Buffers: new in the arena; the same memory with another descriptor; a buffer's own descriptor. */
int32_t exec_buffer(exec *e, const_dnnl_memory_desc_t md);
int32_t exec_scratch(exec *e, int64_t floats); /* a vector */
/* So many floats for each thread, in cache lines of its own; a loop finds its by exec_own(). */
int32_t exec_scratch_each(exec *e, int64_t floats);
int32_t exec_alias(exec *e, int32_t of, const_dnnl_memory_desc_t md);
const_dnnl_memory_desc_t exec_md(const exec *e, int32_t buffer);

/* A tensor to read in layout `md` (NULL: as it is), and to write. */
int32_t exec_input(exec *e, int32_t tensor, const_dnnl_memory_desc_t md);
int32_t exec_output(exec *e, int32_t tensor, const_dnnl_memory_desc_t md);
/* The same for tensors (1,C,1,1) as vectors of C. Tensor -1 is written to nowhere in particular. */
int32_t exec_vector_input(exec *e, int32_t tensor);
int32_t exec_vector_output(exec *e, int32_t tensor, int64_t length);

/* A weight of the plan in layout `md`. exec_weight_vector: a vector. exec_master: as it is stored,
 * for updates; *momentum, if not NULL, receives the buffer of its momentum. */
int32_t exec_weight(exec *e, int32_t weight, const_dnnl_memory_desc_t md);
int32_t exec_weight_vector(exec *e, int32_t weight);
/* The same with zeros behind it, `floats` in all, for vectors of channels; only zeros for -1. */
int32_t exec_filled_vector(exec *e, int32_t weight, int64_t floats);
/* An untrained weight in a form that oneDNN does not know; `md` tells its size. */
int32_t exec_weight_form(exec *e, int32_t weight, const_dnnl_memory_desc_t md,
                         const weights_form *form);
/* A weight that the model stores in less than 32 bits, to read there (hmt_source.stored); -1, and
 * *dtype float32, if it does not. */
int32_t exec_stored(exec *e, int32_t weight, hmt_dtype *dtype, const float **scales);
/* Whether a trainer changes the weight: a copy in another layout must be made in each run. */
int exec_is_trained(const exec *e, int32_t weight);
int32_t exec_master(exec *e, int32_t weight, const_dnnl_memory_desc_t md, int32_t *momentum);

/* Operations, appended to the step being prepared. Operands that are -1 are left out by
 * exec_operand. */
void exec_alone(exec *e, void (*loop)(const exec *e, const op *o));
void exec_shared(exec *e, exec_shared_loop *loop, const void *state);
/* Notes the kernel that was chosen for the step being prepared; a name in static storage. */
void exec_chose(exec *e, const char *kernel);
/* Memory that lives as long as the exec; NULL after a failure. */
void *exec_state(exec *e, uint64_t bytes);
void exec_operand(exec *e, int32_t buffer);
/* Copies `from` to `to`, another layout. */
void exec_reorder(exec *e, int32_t from, int32_t to);

/* Prepares a step; beside_prepare: before it, what one thread may do beside it. beside_run: does
 * that, on the calling thread. */
void exec_prepare_step(exec *e, int32_t step);
void beside_prepare(exec *e, int32_t large);
void beside_run(const exec *e);

static inline int64_t divide_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* Ours, for this processor. */
static inline const kernels *exec_kernels(const exec *e)
{
    return e->device->kernels;
}

/* For loops, while running. */
static inline float *exec_data(const exec *e, const op *o, int32_t operand)
{
    return e->buffers[o->buffer[operand]].data;
}
static inline int64_t exec_elements(const exec *e, const op *o, int32_t operand)
{
    return (int64_t)(e->buffers[o->buffer[operand]].bytes / sizeof(float));
}

/* A member's part of exec_scratch_each(). */
static inline float *exec_own(const exec *e, const op *o, int32_t operand, const member *m)
{
    return exec_data(e, o, operand) +
           m->index * (exec_elements(e, o, operand) / e->device->host->threads);
}

/* A member's part of n elements: of few all or none, else whole cache lines. */
static inline span exec_share(const member *m, int64_t n)
{
    span part;

    if (n < PARALLEL_FROM)
        return (span){0, m->index == 0 ? n : 0};
    part = team_share(m, divide_up(n, CACHE_LINE));
    return (span){part.from * CACHE_LINE, part.to * CACHE_LINE < n ? part.to * CACHE_LINE : n};
}

/* Likewise of `pieces` that have n elements together. */
static inline span exec_share_pieces(const member *m, int64_t pieces, int64_t n)
{
    return n < PARALLEL_FROM ? (span){0, m->index == 0 ? pieces : 0} : team_share(m, pieces);
}

/* The backend's entries. */
hmt_status exec_create(void *opened, const hmt_plan *plan, void *home, void **out);
void exec_destroy(void *prepared);
hmt_status exec_run(void *prepared, hmt_run *run);
hmt_status exec_read(void *prepared, int32_t tensor, float *values);
const char *exec_kernel(void *prepared, int32_t step);

/* One function for each step kind, by family. */
void conv_forward(exec *e, const hmt_plan_step *s);
void conv_backward_data(exec *e, const hmt_plan_step *s);
void conv_backward_weights(exec *e, const hmt_plan_step *s);
void linear_forward(exec *e, const hmt_plan_step *s);
void linear_backward_data(exec *e, const hmt_plan_step *s);
void linear_backward_weights(exec *e, const hmt_plan_step *s);
void batch_norm_forward(exec *e, const hmt_plan_step *s);
void batch_norm_backward(exec *e, const hmt_plan_step *s);
void batch_norm_backward_data(exec *e, const hmt_plan_step *s);
void pool_forward(exec *e, const hmt_plan_step *s);
void pool_backward(exec *e, const hmt_plan_step *s);
void elementwise_relu(exec *e, const hmt_plan_step *s);
void elementwise_relu_backward(exec *e, const hmt_plan_step *s);
void elementwise_dropout(exec *e, const hmt_plan_step *s);
void elementwise_sum(exec *e, const hmt_plan_step *s);
void channels_concat(exec *e, const hmt_plan_step *s);
void channels_slice(exec *e, const hmt_plan_step *s);
void channels_reshape(exec *e, const hmt_plan_step *s);
void losses_cross_entropy_step(exec *e, const hmt_plan_step *s);
void losses_regression_step(exec *e, const hmt_plan_step *s);
void losses_one_hot(exec *e, const hmt_plan_step *s);
void update_sgd(exec *e, const hmt_plan_step *s);
void update_statistics(exec *e, const hmt_plan_step *s);

#endif
