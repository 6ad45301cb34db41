/*
 * backend.h - the interface between libhmtnet and whatever computes.
 *
 * The library turns a network into a plan: a flat list of steps over numbered tensors and numbered
 * weights. A backend prepares that list for its device once (chooses layouts, packs weights,
 * allocates) and runs it many times. It never needs to know which network, loss or schedule it
 * serves: all algebra (folding, pruning, gradients) has been done. A backend may merge neighbouring
 * steps, insert reorders or capture the whole run, as long as every tensor flagged as an output has
 * the value that the steps define.
 *
 * The arithmetic of losses, aggregation, SGD, batch norm statistics and dropout stands once, as
 * static inline functions in lib/objective, for every backend. backends/reference is the definition
 * of every step; the conformance suite in tests/ compares a backend with it.
 *
 * A host hands its own backends to hmt_context_options.backends, or the library loads them as
 * modules (see the end of this header). All structs begin with their size, so that fields can be
 * added at the end; a backend with another abi than HMT_BACKEND_ABI is refused.
 */
#ifndef HMTNET_BACKEND_H
#define HMTNET_BACKEND_H

#include <hmtnet/hmtnet.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Changes when a struct or rule below changes incompatibly. */
#define HMT_BACKEND_ABI 3u

/* ----------------------------------------------------------------------------------------------------------
 * The plan
 * ----------------------------------------------------------------------------------------------------------
 */

/** The most tensors a step reads, and writes. */
#define HMT_STEP_INPUTS 5
#define HMT_STEP_OUTPUTS 3

/**
 * What a step does. "x -> y" names the operands in the order of in[] and out[]; [..] may be absent
 * (-1); weights in braces are indices into hmt_plan.weights, in the order of weight[]. Shapes are
 * N,C,H,W.
 */
typedef enum hmt_step_kind {
    /* forward */
    HMT_STEP_CONV = 0, /**< x -> y {weight (O,I/groups,kh,kw), [bias (O)]}; window; relu */
    HMT_STEP_LINEAR =
        1, /**< x (N,C,H,W) -> y (N,O,1,1) {weight (O,C*H*W) row-major, [bias]}; relu */
    HMT_STEP_BATCH_NORM =
        2, /**< x -> y {[gamma], [beta], mean, variance}: running statistics; epsilon; relu */
    HMT_STEP_BATCH_NORM_TRAIN =
        3,             /**< x -> y, mean (1,C,1,1), variance (1,C,1,1, biased) {[gamma], [beta]} */
    HMT_STEP_RELU = 4, /**< x -> y; x and y may be the same tensor */
    HMT_STEP_MAX_POOL = 5,     /**< x -> y; window; padding never wins */
    HMT_STEP_AVERAGE_POOL = 6, /**< x -> y; window; the mean over the cells inside the input with
                                  its padding on all four sides, or inside x if exclude_padding */
    HMT_STEP_SUM = 7,          /**< x0..xn-1 -> y: y = sum of scale[i] * xi; relu; y may be x0 */
    HMT_STEP_CONCAT = 8,       /**< x0..xn-1 -> y along C */
    HMT_STEP_SLICE = 9,        /**< x -> y: the channels from `channel` on, as many as y has */
    HMT_STEP_RESHAPE = 10,     /**< x -> y: the same elements in N,C,H,W order */
    HMT_STEP_DROPOUT =
        11, /**< x -> y: objective/dropout.h with hmt_run.seed and `salt`; y may be x */

    /* losses: logits or predictions (N,K,1,1) -> [gradient], the gradient times hmt_run_task.scale;
       adds the loss to hmt_run_task.loss_sum. Rows without a label count nothing and have gradient
       0 */
    HMT_STEP_CROSS_ENTROPY = 20,
    HMT_STEP_REGRESSION_LOSS = 21, /**< loss, delta */

    /* backward: dy is the gradient of y, and so on. A forward value named in braces with "saved" is
       there for those that need it; a backend that keeps something smaller may ignore it */
    HMT_STEP_CONV_BACKWARD_DATA = 30, /**< dy -> dx {weight}; window */
    HMT_STEP_CONV_BACKWARD_WEIGHTS =
        31, /**< dy, x -> dweight (O,I/groups,kh,kw), [dbias (1,O,1,1)]; window */
    HMT_STEP_LINEAR_BACKWARD_DATA = 32,    /**< dy (N,O,1,1) -> dx (N,C,H,W) {weight} */
    HMT_STEP_LINEAR_BACKWARD_WEIGHTS = 33, /**< dy, x -> dweight (O,C,H,W), [dbias (1,O,1,1)] */
    HMT_STEP_BATCH_NORM_BACKWARD =
        34, /**< dy, x, mean, variance, [y saved, if relu] -> [dx], [dgamma (1,C,1,1)],
                 [dbeta] {[gamma], [beta]}; of BATCH_NORM_TRAIN, through its relu if set */
    HMT_STEP_RELU_BACKWARD = 35, /**< dy, y -> dx: dy where y > 0, else 0; dx may be dy */
    HMT_STEP_MAX_POOL_BACKWARD =
        36, /**< dy, x saved, y saved -> dx: to the first largest cell of the window */
    HMT_STEP_AVERAGE_POOL_BACKWARD = 37, /**< dy -> dx; window */
    HMT_STEP_DROPOUT_BACKWARD = 38,      /**< dy -> dx: the mask of `salt` again; dx may be dy */
    HMT_STEP_BATCH_NORM_BACKWARD_DATA =
        39, /**< dy -> dx {[gamma], [beta], mean, variance}: dy * gamma / sqrt(variance + epsilon),
                 of BATCH_NORM; dx may be dy */
    HMT_STEP_ONE_HOT = 40, /**< -> y (N,K,1,1): in row n 1 at hmt_run_task.labels[n], else 0; all 0
                              where that is not in 0..K-1, or labels is NULL. Where the gradient of
                              single logits starts */

    /* update */
    HMT_STEP_SGD = 50, /**< gradient {parameter}: objective/sgd.h with hmt_run.groups[group] */
    HMT_STEP_STATISTICS =
        51 /**< mean, variance {running mean, running variance}: objective/statistics.h */
} hmt_step_kind;

/** When a step runs: all steps of one phase stand together, in this order. */
typedef enum hmt_phase {
    HMT_PHASE_FORWARD = 0, /**< up to and with the losses; changes no weight */
    HMT_PHASE_BACKWARD = 1 /**< gradients and updates, mixed: a weight is updated once nothing else
                              reads its old value, so that its gradient can be freed at once */
} hmt_phase;

/** A sliding window. Output sizes are in the tensors, so floor and ceil need no flag: cells beyond
 * the padded input do not exist (pools) or are 0 (convolutions). */
typedef struct hmt_window {
    int32_t kernel[2]; /**< h, w */
    int32_t stride[2];
    int32_t pad[2]; /**< at the top and left; at the bottom and right what the output size needs */
    int32_t groups; /**< convolutions; else 1 */
    int32_t exclude_padding; /**< average pools */
} hmt_window;

typedef struct hmt_plan_step {
    hmt_step_kind kind;
    hmt_phase phase;
    const char *name;              /**< the node's, e.g. "conv3"; the plan's */
    int32_t in[HMT_STEP_INPUTS];   /**< tensor indices, -1 where absent */
    int32_t out[HMT_STEP_OUTPUTS]; /**< likewise */
    int32_t in_count;              /**< SUM, CONCAT: how many of in[] count */
    int32_t weight[4];             /**< indices into weights, -1 where absent */
    hmt_window window;
    float scale[HMT_STEP_INPUTS]; /**< SUM */
    int32_t relu;                 /**< non-zero: max(0, .) is applied to y */
    float epsilon;                /**< batch norms */
    float momentum;               /**< STATISTICS: share of the new value, 0.1 */
    int64_t samples;              /**< STATISTICS: N*H*W, for the unbiased variance */
    int32_t channel;              /**< SLICE */
    int32_t task;                 /**< losses, ONE_HOT: index into hmt_run.tasks */
    hmt_loss loss;                /**< REGRESSION_LOSS */
    float delta;                  /**< REGRESSION_LOSS */
    float drop;                   /**< DROPOUT: probability of 0 */
    int32_t salt;                 /**< DROPOUT: makes each layer's mask its own */
    int32_t group;                /**< SGD: index into hmt_run.groups */
    int32_t forward;  /**< backward steps: index of the forward step they belong to, else -1 */
    double flops;     /**< 2 for each multiply-add */
    float smoothing;  /**< CROSS_ENTROPY: share of a label spread over all classes */
    int32_t reserved; /**< 0 */
} hmt_plan_step;

/** Tensor flags. */
#define HMT_TENSOR_INPUT 1u  /**< written from hmt_run.input before the first step */
#define HMT_TENSOR_OUTPUT 2u /**< can be read after the run: alive to the end */

typedef struct hmt_plan_tensor {
    const char *name; /**< of the node that makes it; the plan's */
    int64_t shape[4]; /**< N,C,H,W; a weight's gradient: O,I,kh,kw */
    uint32_t flags;
    int32_t first_step; /**< writes it first; -1 for the input */
    int32_t last_step;  /**< touches it last; the number of steps for outputs */
    uint64_t offset; /**< in bytes, in an arena of hmt_plan.arena_bytes for dense float32 tensors; a
                        backend with other layouts places them itself with hmt_host.place */
} hmt_plan_tensor;

/**
 * A weight that steps read: parameter `param` as it is, or, where fold[] names a batch norm (its
 * gamma, beta, mean, variance parameters; -1 where absent), the parameter with that batch norm
 * folded into it; all times `scale`. Two weights, also of different plans on one weights object,
 * that are equal in param, is_bias, fold, epsilon, scale and shape have equal values: pack them
 * once. Once a training plan has changed a parameter, every exec on that weights object sees it.
 */
typedef struct hmt_plan_weight {
    const char *name;   /**< the parameter's; the plan's */
    int64_t shape[4];   /**< O,I,kh,kw; vectors: length,1,1,1 */
    int32_t dimensions; /**< 4 or 1 */
    int32_t param;      /**< index among the model's parameters; -1: a bias made by folding alone */
    int32_t is_bias;    /**< non-zero: folded as a bias is, not as a weight */
    int32_t fold[4];    /**< parameter indices of gamma, beta, mean, variance; mean -1: nothing is
                           folded */
    float epsilon;      /**< of the folded batch norm */
    float scale;        /**< weights: multiplied in (biases are not scaled) */
    int32_t trained;    /**< non-zero: SGD or STATISTICS steps of the plan change it */
} hmt_plan_weight;

typedef struct hmt_plan {
    size_t struct_size;
    int32_t training; /**< non-zero: has backward steps; without SGD and STATISTICS steps it changes
                         no weight, and may share a weights object with plans for inference */
    int32_t batch;    /**< N */
    int32_t input;    /**< tensor index of the images */
    const hmt_plan_tensor *tensors;
    size_t tensor_count;
    const hmt_plan_weight *weights;
    size_t weight_count;
    const hmt_plan_step *steps;
    size_t step_count;
    size_t task_count;    /**< entries that hmt_run.tasks needs */
    uint64_t arena_bytes; /**< for dense float32 tensors at their offsets */
} hmt_plan;

/* ----------------------------------------------------------------------------------------------------------
 * What the library does for a backend
 * ----------------------------------------------------------------------------------------------------------
 */

/** A block of memory needed from step `first` to step `last`, both included. */
typedef struct hmt_interval {
    uint64_t bytes;
    int32_t first;
    int32_t last;
    uint64_t offset; /**< set by place(): a multiple of 64 */
} hmt_interval;

/** Services, alive as long as the device. Every function may be called from any thread. */
typedef struct hmt_host {
    size_t struct_size;
    hmt_allocator allocator; /**< the context's; never empty */
    int32_t threads;         /**< to compute with, at least 1 */
    /** Sets the sentence of hmt_last_error() unless there is one, and returns `status`.
     * printf-style, one line. */
    hmt_status (*fail)(hmt_status status, const char *format, ...);
    void (*log)(const struct hmt_host *host, hmt_log_level level, const char *message);
    /** Places intervals in an arena so that those alive together do not overlap; *total receives
     * its size. */
    hmt_status (*place)(const struct hmt_host *host, hmt_interval *intervals, size_t count,
                        uint64_t *total);
    void *internal;
    hmt_precision precision; /**< to compute in: HMT_PRECISION_AUTO, _FLOAT32, or one that the
                                backend's features name. Where the device lacks it device_open()
                                returns HMT_ERROR_UNSUPPORTED */
    int32_t reserved;        /**< 0 */
    hmt_executor executor;   /**< the host's threads to compute with; run NULL: the backend's own */
} hmt_host;

/** Where a backend gets parameters from: the model. Alive as long as the weights object made from
 * it. */
typedef struct hmt_source {
    size_t struct_size;
    void *user;
    /** Writes outputs `first` to `first` + `count` of weight's value (folded, scaled) as dense
     * float32; a bias has one value for each. May be called by several threads at once. */
    hmt_status (*read)(void *user, const hmt_plan_weight *weight, int64_t first, int64_t count,
                       float *values);
    /** The parameter's own dense float32 storage in host memory, aligned to 4 bytes at least, if
     * the weight is that parameter unchanged; else NULL. With it a CPU backend need not copy: in
     * training it updates in place. */
    float *(*view)(void *user, const hmt_plan_weight *weight);
    /** (optional) How the weight's parameter is stored in *dtype; and, if that is not float32 and
     * the weight is the parameter unchanged, its dense storage, aligned to an element's size, else
     * NULL. *scales receives the factors of HMT_DTYPE_I8, (O), else NULL. With it a backend can
     * compute from narrow weights without a copy. */
    const void *(*stored)(void *user, const hmt_plan_weight *weight, hmt_dtype *dtype,
                          const float **scales);
} hmt_source;

/** What SGD does to one group of parameters; see objective/sgd.h. */
typedef struct hmt_sgd {
    float learning_rate;
    float momentum;
    float weight_decay;
    int32_t nesterov;
} hmt_sgd;

/** One task's labels in a run. */
typedef struct hmt_run_task {
    const int32_t *labels; /**< (N), negative: none; classification, and ONE_HOT */
    const float *targets;  /**< (N), NaN: none; regression */
    float scale; /**< what the loss gradient is multiplied by: alpha / number of labelled rows */
    double loss_sum; /**< 0 before the run; receives the sum of the loss over labelled rows */
} hmt_run_task;

/** One run of one phase. */
typedef struct hmt_run {
    size_t struct_size;
    hmt_phase phase;
    const float *input;    /**< (N,C,H,W) dense, in host memory; HMT_PHASE_FORWARD only */
    hmt_run_task *tasks;   /**< (task_count); NULL where the plan has no loss or ONE_HOT steps */
    const hmt_sgd *groups; /**< NULL where the plan has no SGD steps */
    uint64_t seed;         /**< of this training step's dropout masks */
    int32_t bad_step; /**< -1 before a forward run; receives the first BATCH_NORM_TRAIN step whose
                         mean or variance is not finite: a relu may hide that from the losses */
    double *milliseconds; /**< (step_count), or NULL: time of each step of this phase, synchronised;
                             a step that was merged into another gets 0 */
    const uint8_t *pixels; /**< (N,H,W,3) RGB levels, dense, in host memory, in place of input,
                              which is NULL then: the value is level * pixel_scale + pixel_shift of
                              its channel. NULL unless the backend has HMT_FEATURE_PIXELS */
    float pixel_scale[3];  /**< by channel R,G,B */
    float pixel_shift[3];
} hmt_run;

/* ----------------------------------------------------------------------------------------------------------
 * What a backend does
 * ----------------------------------------------------------------------------------------------------------
 */

/** Bytes that an exec or weights object holds. */
typedef struct hmt_backend_memory {
    size_t struct_size;
    uint64_t packed;  /**< weights: copies of parameters, optimiser state */
    uint64_t arena;   /**< exec: tensors and scratch */
    uint64_t staging; /**< exec: input and output buffers */
} hmt_backend_memory;

/** Which of a parameter's tensors weights_get() and weights_set() mean. */
typedef enum hmt_slot {
    HMT_SLOT_VALUE = 0,
    HMT_SLOT_MOMENTUM = 1 /**< zeros before the first update */
} hmt_slot;

/** What a backend can do beyond the table's functions: bits of hmt_backend.features. */
#define HMT_FEATURE_PIXELS 1u   /**< takes hmt_run.pixels */
#define HMT_FEATURE_TF32 2u     /**< knows HMT_PRECISION_TF32 */
#define HMT_FEATURE_BFLOAT16 4u /**< knows HMT_PRECISION_BFLOAT16 */

/**
 * The functions of a backend. `device`, `weights` and `exec` are its own objects. Unless it says
 * (optional), every entry must be set. Functions of one device may be called from several threads
 * at once for different execs; one exec is used by one thread at a time; a weights object whose
 * plans have no updates is shared by many execs at once. Each function returns a status and has
 * then called host->fail.
 */
typedef struct hmt_backend {
    size_t struct_size;
    uint32_t abi;            /**< HMT_BACKEND_ABI */
    const char *name;        /**< lower case, e.g. "onednn" */
    const char *description; /**< one line */

    int32_t (*device_count)(void);
    hmt_status (*device_info)(int32_t device,
                              hmt_device_info *info); /**< info->struct_size is set */
    hmt_status (*device_open)(int32_t device, const hmt_host *host, void **opened);
    void (*device_close)(void *device);

    /** The home of one model's parameters on the device. `source` outlives it. Weights are read
     * from the source when the first exec that needs them is created. */
    hmt_status (*weights_create)(void *device, const hmt_source *source, void **weights);
    void (*weights_destroy)(void *weights);
    /** Copies a slot of a trained parameter out, dense float32; `weight` is one of a training
     * plan's. */
    hmt_status (*weights_get)(void *weights, const hmt_plan_weight *weight, hmt_slot slot,
                              float *values);
    /** (optional: NULL if the slots cannot be set) Copies a slot in. */
    hmt_status (*weights_set)(void *weights, const hmt_plan_weight *weight, hmt_slot slot,
                              const float *values);

    /** Prepares a plan. The plan stays valid until exec_destroy. */
    hmt_status (*exec_create)(void *device, const hmt_plan *plan, void *weights, void **exec);
    void (*exec_destroy)(void *exec);
    hmt_status (*exec_run)(void *exec, hmt_run *run);
    /** Copies a tensor flagged HMT_TENSOR_OUTPUT out, as dense float32 N,C,H,W, after a run of the
     * phase that writes it. */
    hmt_status (*exec_read)(void *exec, int32_t tensor, float *values);

    hmt_status (*memory)(void *weights, void *exec,
                         hmt_backend_memory *memory); /**< exec may be NULL */

    /** (optional, and a table may end before it) Which of several kernels runs a step, for
     * profiles: a short name in static storage, or NULL where there is no choice. */
    const char *(*step_kernel)(void *exec, int32_t step);

    /** (optional, likewise) HMT_FEATURE_... bits. */
    uint32_t features;

    /**
     * (optional, likewise) Begins to bring the input or pixels of a later forward run to the
     * device, and returns at once. The next forward run with the same pointer uses it; the memory
     * is not changed before that run has returned. Called between runs, never during one. Two are
     * kept at most, the one of the next run and the one of the run after it; a third takes the
     * place of the oldest, whose run then reads its memory as if nothing had been staged.
     */
    hmt_status (*exec_stage)(void *exec, const hmt_run *next);

    /**
     * (optional, likewise) Makes `count` execs of equal training plans, each on a device and a
     * weights object of its own with equal values, train as one. From now on each SGD step takes
     * the sum of all their gradients, and each STATISTICS step the mean of their statistics, so
     * that parameters stay equal. (The mean goes into a copy: a later backward step may read the
     * device's own.) Their backward runs are called at the same time, each in a thread of its own.
     * If one of them fails the others end, too, and fail: none waits for ever, and no later run of
     * them succeeds. Called once, before any of them has run; they are destroyed one after the
     * other, when none runs.
     */
    hmt_status (*exec_join)(void *const *execs, size_t count);
} hmt_backend;

/* ----------------------------------------------------------------------------------------------------------
 * Modules
 * ----------------------------------------------------------------------------------------------------------
 */

/**
 * A module is a shared library libhmtnet_NAME.so that exports one function of this type under the
 * name HMT_BACKEND_MODULE_SYMBOL. It returns the backend's table, in static storage, whatever
 * version of the library asks: the library checks abi, and that the table's name is NAME. It may be
 * called more than once, from any thread. A module is never unloaded.
 */
typedef const hmt_backend *(*hmt_backend_module_fn)(void);
#define HMT_BACKEND_MODULE_SYMBOL "hmt_backend_module"

#ifdef __cplusplus
}
#endif

#endif /* HMTNET_BACKEND_H */
