/*
 * The model: a network's config, graph and parameters, which sessions share and a trainer changes.
 */
#ifndef HMT_API_MODEL_H
#define HMT_API_MODEL_H

#include <pthread.h>
#include <stdatomic.h>

#include "api/context.h"
#include "core/file.h"
#include "graph/graph.h"

/* The backend's home of one generation of a model's parameters, for inference. Freed with its last
 * session. */
typedef struct model_weights {
    int references; /* under the model's lock */
    uint64_t generation;
    void *weights;
} model_weights;

/* A parameter's storage in less than 32 bits an element. */
typedef struct model_narrow {
    const void *data;
    hmt_dtype dtype;
    float *scales; /* (outputs), of 8-bit integers */
    void *block;   /* holds both, if they are ours; NULL: they are in the model's map */
} model_narrow;

struct hmt_model {
    atomic_int references;
    hmt_context *context;
    hmt_model_config config;
    graph graph;
    float **values;       /* by parameter: dense float32, ours or in map; NULL where it is narrow */
    model_narrow *narrow; /* by parameter; data NULL where it is not */
    bool *owned;          /* by parameter: allocated rather than mapped */
    file_map map;         /* the file the model came from, if its host wants it mapped */
    hmt_source source;    /* how a backend reads values */
    bool allow_nonfinite; /* as its host loaded it: values are not checked */

    pthread_mutex_t lock;
    /* Of the parameters: goes up by one when they begin to change and when they have changed, so it
     * is odd meanwhile. */
    atomic_uint_least64_t generation;
    model_weights *weights; /* the newest; held by its sessions, not by the model. Under lock */
    hmt_trainer *trainer;   /* under lock */
    bool stale;             /* values are behind the trainer's parameters */
    bool spoiled;           /* values are those of no step. Under lock */
};

/* The generation of a model that nobody has changed since it was made. */
enum { MODEL_UNCHANGED = 2 };

/* Makes a model of config without values (all NULL). The caller fills them in or releases the
 * model. */
hmt_status model_make(hmt_context *context, const hmt_model_config *config, hmt_model **model);
/* Bytes of a narrow parameter's data. */
size_t model_narrow_bytes(const hmt_model *model, int32_t param);
/* What parameter `index` occupies: in the file if it is mapped, and as float32 if there is that. */
uint64_t model_param_bytes(const hmt_model *model, int32_t index);
/* Allocates the values of parameter `index`; its data and scales in a narrow dtype. */
hmt_status model_allocate(hmt_model *model, int32_t index);
hmt_status model_allocate_narrow(hmt_model *model, int32_t index, hmt_dtype dtype);
/* `count` values of a parameter from element `from` on, as float32. */
void model_read_values(const hmt_model *model, int32_t param, int64_t from, int64_t count,
                       float *values);
/* Gives every parameter float32 values, which alone count from now on. */
hmt_status model_widen(hmt_model *model);

/* HMT_ERROR_NONFINITE if `values` of the parameter, called `name`, are not finite, or a variance is
 * negative; the same for what the model has. `what` begins the message. */
hmt_status model_check_values(const graph_param *param, const char *name, const float *values,
                              const char *what);
hmt_status model_check_param(const hmt_model *model, int32_t index, const char *what);

void model_acquire(hmt_model *model);
void model_release(hmt_model *model);

/* Brings a trainer's parameters back, if there is one that has gone on since: hmt_model_sync(). */
hmt_status model_sync(hmt_model *model);

/*
 * Whoever changes parameters does it between model_change_begin() and model_change_end(); whoever
 * reads them, while another thread might train the model against the rules, does it between
 * model_read_begin() and model_read_end(), and throws away what was read if either fails. Nobody
 * waits for anybody.
 */
void model_change_begin(hmt_model *model);
void model_change_end(hmt_model *model);
/* Brings the parameters up to date, as model_sync(). HMT_ERROR_STATE while they are being changed.
 */
hmt_status model_read_begin(hmt_model *model, uint64_t *generation);
/* HMT_ERROR_STATE if they have changed since. */
hmt_status model_read_end(hmt_model *model, uint64_t generation);
/* The generation now; what was read before stays before it. */
uint64_t model_generation(hmt_model *model);

/* HMT_ERROR_STATE if a host may not change the model: it is spoiled, or its trainer alone may.
 * Under the model's lock. */
hmt_status model_check_writable(const hmt_model *model);
/* HMT_ERROR_STATE: the model is spoiled; another thread is changing it. */
hmt_status model_fail_spoiled(void);
hmt_status model_fail_changing(void);

/* The weights that the sessions of a generation share; release with model_weights_release(). */
hmt_status model_weights_acquire(hmt_model *model, uint64_t generation, model_weights **weights);
void model_weights_release(hmt_model *model, model_weights *weights);

#endif
