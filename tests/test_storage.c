/*
 * Models with 16-bit and 8-bit weights: they stay so in memory, say the same as when they are
 * widened, and can be written to, saved again and trained; and files whose scales are wrong.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hmtnet/hmtnet.h>

#include "check.h"

enum { FLOATS = 3 * 224 * 224 };

static hmt_context *context;
static float images[2 * FLOATS];
static char path[64], again[64];

static void make_file(hmt_dtype dtype)
{
    hmt_model_config config;
    hmt_model *model = NULL;

    hmt_model_config_init(&config);
    config.width = 0.125;
    CHECK(hmt_model_create(context, &config, 7, &model) == HMT_OK);
    CHECK(hmt_model_save(model, path, dtype) == HMT_OK);
    hmt_model_free(model);
}

static hmt_model *load(const char *from, int copy)
{
    hmt_load_options options = HMT_LOAD_OPTIONS_INIT;
    hmt_model *model = NULL;

    options.map = !copy;
    options.allow_nonfinite = 1;
    CHECK(hmt_model_load(context, from, &options, &model) == HMT_OK);
    return model;
}

/* Predictions, and what the session says the parameters take. */
static uint64_t predict(hmt_model *model, hmt_prediction *faces)
{
    hmt_session_options options = HMT_SESSION_OPTIONS_INIT;
    hmt_memory memory = HMT_MEMORY_INIT;
    hmt_session *session = NULL;

    options.batch = 2;
    CHECK(hmt_session_create(model, &options, &session) == HMT_OK);
    CHECK(hmt_infer(session, images, 2, faces) == HMT_OK);
    CHECK(hmt_session_memory(session, &memory) == HMT_OK);
    hmt_session_free(session);
    return memory.parameters;
}

static bool alike(const hmt_prediction *a, const hmt_prediction *b, double tolerance)
{
    bool same = true;

    for (int i = 0; i < 2; ++i)
        same = same && fabs((double)a[i].score - b[i].score) <= tolerance &&
               fabs((double)a[i].gender.probabilities[0] - b[i].gender.probabilities[0]) <=
                   tolerance &&
               fabs((double)a[i].race.probabilities[0] - b[i].race.probabilities[0]) <= tolerance;
    return same;
}

static bool parameters_within(const hmt_model *a, const hmt_model *b, double tolerance)
{
    bool same = true;

    for (size_t i = 0; i < hmt_model_param_count(a); ++i) {
        hmt_param_info info = HMT_PARAM_INFO_INIT;
        float *left, *right;

        CHECK(hmt_model_param_info(a, i, &info) == HMT_OK);
        left = malloc((size_t)info.count * sizeof *left);
        right = malloc((size_t)info.count * sizeof *right);
        CHECK(hmt_model_param_read(a, i, left, (size_t)info.count) == HMT_OK);
        CHECK(hmt_model_param_read(b, i, right, (size_t)info.count) == HMT_OK);
        for (int64_t k = 0; k < info.count; ++k)
            same = same && fabs((double)left[k] - right[k]) <= tolerance;
        free(left);
        free(right);
    }
    return same;
}

static bool same_parameters(const hmt_model *a, const hmt_model *b)
{
    return parameters_within(a, b, 0.0);
}

/* Writing any parameter does it. */
static void widen(hmt_model *model)
{
    float bias;
    size_t index;

    CHECK(hmt_model_param_find(model, "fc8.bias", &index) == HMT_OK);
    CHECK(hmt_model_param_read(model, index, &bias, 1) == HMT_OK);
    CHECK(hmt_model_param_write(model, index, &bias, 1) == HMT_OK);
}

static void narrow_says_the_same_as_wide(hmt_dtype dtype, double tolerance, double share)
{
    hmt_prediction here[2], wide[2];
    hmt_model *mapped, *copied;
    uint64_t small, large;

    make_file(dtype);
    mapped = load(path, 0);
    copied = load(path, 1);
    CHECK(same_parameters(mapped, copied));
    small = predict(mapped, here);
    CHECK(predict(copied, wide) == small && alike(here, wide, 0.0));
    widen(copied);
    large = predict(copied, wide);
    CHECK(alike(here, wide, tolerance));
    CHECK(small < large * share);
    hmt_model_free(mapped);
    hmt_model_free(copied);
}

static void narrow_can_be_written_and_saved(hmt_dtype dtype)
{
    hmt_model *mapped, *saved;
    float bias[1] = {2.5f}, found[1];
    size_t index;

    make_file(dtype);
    mapped = load(path, 0);
    CHECK(hmt_model_save(mapped, again, HMT_DTYPE_F32) == HMT_OK);
    saved = load(again, 0);
    CHECK(same_parameters(mapped, saved));
    hmt_model_free(saved);
    CHECK(hmt_model_param_find(mapped, "fc8.bias", &index) == HMT_OK);
    CHECK(hmt_model_param_write(mapped, index, bias, 1) == HMT_OK);
    CHECK(hmt_model_param_read(mapped, index, found, 1) == HMT_OK);
    CHECK(found[0] == bias[0]);
    CHECK(hmt_model_save(mapped, again, dtype) == HMT_OK);
    saved = load(again, 0);
    CHECK(parameters_within(mapped, saved, 1e-6));
    hmt_model_free(saved);
    hmt_model_free(mapped);
}

static void narrow_can_be_trained(hmt_dtype dtype)
{
    hmt_trainer_options options = HMT_TRAINER_OPTIONS_INIT;
    int32_t labels[2] = {0, 1};
    float scores[2] = {2.0f, 4.0f};
    hmt_batch batch = {sizeof batch, 2, images, labels, labels, scores};
    hmt_prediction before[2], after[2];
    hmt_trainer *trainer = NULL;
    hmt_model *mapped, *untouched;

    make_file(dtype);
    mapped = load(path, 0);
    predict(mapped, before);
    options.batch = 2;
    options.learning_rate = 0.01;
    CHECK(hmt_trainer_create(mapped, &options, &trainer) == HMT_OK);
    CHECK(hmt_train_step(trainer, &batch, NULL) == HMT_OK);
    hmt_trainer_free(trainer);
    predict(mapped, after);
    untouched = load(path, 0);
    CHECK(!same_parameters(mapped, untouched));
    CHECK(!alike(before, after, 1e-6));
    predict(untouched, after);
    CHECK(alike(before, after, 0.0));
    hmt_model_free(untouched);
    hmt_model_free(mapped);
}

/* Half a step of 1/127 of each output's largest weight. */
static void integers_are_near_what_was_saved(void)
{
    hmt_model *exact, *integers;
    hmt_param_info info = HMT_PARAM_INFO_INIT;
    float *left, *right;
    size_t index;

    make_file(HMT_DTYPE_F32);
    exact = load(path, 1);
    CHECK(hmt_model_save(exact, again, HMT_DTYPE_I8) == HMT_OK);
    integers = load(again, 0);
    CHECK(hmt_model_param_find(exact, "conv3.weight", &index) == HMT_OK);
    CHECK(hmt_model_param_info(exact, index, &info) == HMT_OK);
    left = malloc((size_t)info.count * sizeof *left);
    right = malloc((size_t)info.count * sizeof *right);
    CHECK(hmt_model_param_read(exact, index, left, (size_t)info.count) == HMT_OK);
    CHECK(hmt_model_param_read(integers, index, right, (size_t)info.count) == HMT_OK);
    for (int64_t o = 0, row = info.count / info.shape[0]; o < info.shape[0]; ++o) {
        float most = 0.0f, off = 0.0f;

        for (int64_t i = o * row; i < (o + 1) * row; ++i) {
            most = fmaxf(most, fabsf(left[i]));
            off = fmaxf(off, fabsf(left[i] - right[i]));
        }
        CHECK(off > 0.0f && off <= most / 127.0f * 0.5001f);
    }
    free(left);
    free(right);
    hmt_model_free(exact);
    hmt_model_free(integers);
}

/* Writes the file `source` to `target` with `from` replaced by `to`, of equal length. */
static void replace(const char *source, const char *target, const char *from, const char *to)
{
    FILE *file = fopen(source, "rb");
    char *bytes, *at = NULL;
    long size;

    CHECK(file != NULL && fseek(file, 0, SEEK_END) == 0);
    size = ftell(file);
    rewind(file);
    bytes = malloc((size_t)size);
    CHECK(fread(bytes, 1, (size_t)size, file) == (size_t)size);
    fclose(file);
    for (long i = 0; i + (long)strlen(from) <= size && at == NULL; ++i)
        if (memcmp(bytes + i, from, strlen(from)) == 0)
            at = bytes + i;
    CHECK(at != NULL && strlen(from) == strlen(to));
    memcpy(at, to, strlen(to));
    file = fopen(target, "wb");
    CHECK(fwrite(bytes, 1, (size_t)size, file) == (size_t)size);
    fclose(file);
    free(bytes);
}

/* Mapped and read, the file with `from` replaced by `to` is refused. */
static void fails_with(const char *from, const char *to, const char *message)
{
    hmt_load_options options = HMT_LOAD_OPTIONS_INIT;
    hmt_model *model = NULL;

    replace(path, again, from, to);
    for (options.map = 0; options.map < 2; ++options.map) {
        CHECK(hmt_model_load(context, again, &options, &model) == HMT_ERROR_FORMAT);
        CHECK(strstr(hmt_last_error(), message) != NULL);
    }
}

static void wrong_scales_are_named(void)
{
    make_file(HMT_DTYPE_I8);
    fails_with("gbranch.gconv1.weight_scale", "xxxxxxx.num_batches_tracked",
               "tensor gbranch.gconv1.weight has dtype I8 but no scales");
    fails_with("\"fc8.weight_scale\":{\"dtype\":\"F32\"", "\"fc8.weight_scale\":{\"dtype\":\"I32\"",
               "fc8.weight_scale is not a vector of 1 float32 scales");
    fails_with("fc8.weight_scale", "fc8_weight_scale", "fc8.weight has dtype I8 but no scales");
    replace(path, path, "fc7.weight_scale", "fcX.weight_scale"); /* exchanges those of fc7, fc8 */
    replace(path, path, "fc8.weight_scale", "fc7.weight_scale");
    fails_with("fcX.weight_scale", "fc8.weight_scale", "float32 scales");
}

static void infinite_weights_cannot_be_integers(void)
{
    hmt_param_info info = HMT_PARAM_INFO_INIT;
    hmt_model *model;
    float *values;
    size_t index;

    make_file(HMT_DTYPE_F32);
    model = load(path, 1);
    CHECK(hmt_model_param_find(model, "fc7.weight", &index) == HMT_OK);
    CHECK(hmt_model_param_info(model, index, &info) == HMT_OK);
    values = calloc((size_t)info.count, sizeof *values);
    values[1] = INFINITY;
    CHECK(hmt_model_param_write(model, index, values, (size_t)info.count) == HMT_OK);
    CHECK(hmt_model_save(model, again, HMT_DTYPE_I8) == HMT_ERROR_LIMIT);
    CHECK(strstr(hmt_last_error(), "'fc7.weight' cannot be stored as I8: element 1 is inf") !=
          NULL);
    values[1] = 0.0f; /* nothing but zeros: scales of zero */
    CHECK(hmt_model_param_write(model, index, values, (size_t)info.count) == HMT_OK);
    CHECK(hmt_model_save(model, again, HMT_DTYPE_I8) == HMT_OK);
    free(values);
    hmt_model_free(model);
    model = load(again, 0);
    predict(model, (hmt_prediction[2]){{0}});
    hmt_model_free(model);
}

int main(void)
{
    uint32_t seed = 1;

    for (int i = 0; i < 2 * FLOATS; ++i) {
        seed = seed * 1664525u + 1013904223u;
        images[i] = (float)(seed >> 8) / 4194304.0f - 2.0f;
    }
    snprintf(path, sizeof path, "/tmp/hmtnet-storage-%ld.safetensors", (long)getpid());
    snprintf(again, sizeof again, "/tmp/hmtnet-storage-%ld-2.safetensors", (long)getpid());
    CHECK(hmt_context_create(NULL, &context) == HMT_OK);
    narrow_says_the_same_as_wide(HMT_DTYPE_F16, 0.01, 0.52);
    narrow_says_the_same_as_wide(HMT_DTYPE_BF16, 0.05, 0.52);
    narrow_says_the_same_as_wide(HMT_DTYPE_I8, 0.01, 0.27);
    for (int dtype = HMT_DTYPE_F16; dtype <= HMT_DTYPE_I8; ++dtype) {
        narrow_can_be_written_and_saved((hmt_dtype)dtype);
        narrow_can_be_trained((hmt_dtype)dtype);
    }
    integers_are_near_what_was_saved();
    wrong_scales_are_named();
    infinite_weights_cannot_be_integers();
    hmt_context_free(context);
    unlink(path);
    unlink(again);
    return test_finish();
}
