/*
 * The module with several devices (module_several.c) as tests use it: its switches and counters,
 * contexts on it, small models, made-up batches, and a trainer's parameters.
 */
#ifndef HMT_TESTS_SEVERAL_H
#define HMT_TESTS_SEVERAL_H

#include <dlfcn.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "check.h"
#include "module_several.h"

enum { IMAGE = 3 * 224 * 224 };

/* Loads the module for good and gives its state. */
static inline several_state *several_load(void)
{
    void *handle = dlopen(HMT_MODULES "/libhmtnet_several.so", RTLD_NOW | RTLD_LOCAL);
    void *symbol = handle != NULL ? dlsym(handle, SEVERAL_STATE_SYMBOL) : NULL;
    several_state_fn get;

    if (symbol == NULL) {
        printf("cannot load the module: %s\n", dlerror());
        exit(1);
    }
    memcpy(&get, &symbol, sizeof get);
    return get();
}

/* The last error that a context logged. */
static char several_logged[512];

static inline void several_log(void *user, hmt_log_level level, const char *message)
{
    (void)user;
    if (level == HMT_LOG_ERROR)
        snprintf(several_logged, sizeof several_logged, "%s", message);
}

/* "several" or a built-in backend; allocator NULL: malloc's. */
static inline hmt_status several_open(const char *backend, const hmt_allocator *allocator,
                                      hmt_context **context)
{
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;

    o.backend = backend;
    o.log = several_log;
    o.module_path = HMT_MODULES;
    o.threads = 1;
    if (allocator != NULL)
        o.allocator = *allocator;
    return hmt_context_create(&o, context);
}

static inline hmt_status several_model(hmt_context *context, hmt_model **model)
{
    hmt_model_config config;

    hmt_model_config_init(&config);
    config.width = 0.02;
    return hmt_model_create(context, &config, 5, model);
}

/* Values in [-1, 1) that differ from image to image. */
static inline void several_fill(float *images, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count * IMAGE; ++i) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        images[i] = (float)(seed >> 40) / 8388608.0f - 1.0f;
    }
}

/* All parameters, one behind the other. The caller frees them. */
static inline float *several_params(hmt_model *model, size_t *count)
{
    float *values;

    *count = 0;
    for (size_t i = 0; i < hmt_model_param_count(model); ++i) {
        hmt_param_info info = HMT_PARAM_INFO_INIT;

        CHECK_STATUS(hmt_model_param_info(model, i, &info), HMT_OK);
        *count += (size_t)info.count;
    }
    values = calloc(*count, sizeof *values);
    for (size_t i = 0, at = 0; i < hmt_model_param_count(model); ++i) {
        hmt_param_info info = HMT_PARAM_INFO_INIT;

        CHECK_STATUS(hmt_model_param_info(model, i, &info), HMT_OK);
        CHECK_STATUS(hmt_model_param_read(model, i, values + at, (size_t)info.count), HMT_OK);
        at += (size_t)info.count;
    }
    return values;
}

/* Whether a model's parameters are these, bit by bit. */
static inline bool several_same(hmt_model *model, const float *expected)
{
    size_t count;
    float *values = several_params(model, &count);
    bool same = memcmp(values, expected, count * sizeof *values) == 0;

    free(values);
    return same;
}

/* A trainer with what it needs. */
typedef struct several_run {
    hmt_context *context;
    hmt_model *model;
    hmt_trainer *trainer;
} several_run;

static inline void several_end(several_run *r)
{
    hmt_trainer_free(r->trainer);
    hmt_model_free(r->model);
    hmt_context_free(r->context);
}

#endif
