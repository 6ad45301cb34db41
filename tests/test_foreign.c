/* tier: quick
 * links: torch_writer
 * Other people's model files: names with something in front, tensors that are left over, several
 * state dicts, negated views; and files that are no models, each called what it is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "core/memory.h"
#include "format/safetensors.h"
#include "model_params.h"
#include "torch_writer.h"

enum { MOST = 128 };

static char path[64];
static char logged[2][512]; /* the last two warnings */
static int warnings;
static hmt_context *context;
static hmt_model *model; /* whose parameters the files have */
static float *values[MOST];
static char names[MOST][96];

static void keep_warning(void *user, hmt_log_level level, const char *message)
{
    (void)user;
    if (level == HMT_LOG_WARNING)
        snprintf(logged[warnings++ % 2], sizeof logged[0], "%s", message);
}

static bool says(const char *message, const char *text)
{
    if (strstr(message, text) != NULL)
        return true;
    printf("it says: %s\n", message);
    return false;
}

static void put(const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");

    CHECK(file != NULL && fwrite(data, 1, size, file) == size && fclose(file) == 0);
}

/* Loads the file, which must be the model's, with this many warnings. */
static void loads(const hmt_load_options *options, int expected)
{
    hmt_model *loaded = NULL;

    warnings = 0;
    CHECK_STATUS(hmt_model_load(context, path, options, &loaded), HMT_OK);
    CHECK(warnings == expected);
    CHECK(loaded == NULL || params_difference(model, loaded) == 0.0);
    hmt_model_free(loaded);
}

/* ---- safetensors ---- */

/* The parameters with `prefix` before all names, and tensors besides. */
static void write_safetensors(const char *prefix, const char *const *extra, size_t extras)
{
    static const float nothing[2] = {1.0f, 2.0f};
    const size_t count = hmt_model_param_count(model);
    safetensors_tensor tensors[MOST] = {{.name = NULL}};
    const safetensors_job job = {.tensors = tensors, .tensor_count = count + extras};
    file_writer writer = {0};

    for (size_t i = 0; i < count; ++i) {
        hmt_param_info info = HMT_PARAM_INFO_INIT;

        CHECK_STATUS(hmt_model_param_info(model, i, &info), HMT_OK);
        snprintf(names[i], sizeof names[i], "%s%s", prefix, info.name);
        tensors[i] = (safetensors_tensor){
            .name = names[i], .dtype = TENSORS_F32, .rank = info.dimensions, .values = values[i]};
        memcpy(tensors[i].shape, info.shape, sizeof info.shape);
    }
    for (size_t i = 0; i < extras; ++i)
        tensors[count + i] = (safetensors_tensor){
            .name = extra[i], .dtype = TENSORS_F32, .rank = 1, .shape = {2}, .values = nothing};
    CHECK_STATUS(file_writer_open(&writer, &memory_default, path), HMT_OK);
    CHECK_STATUS(safetensors_write(&writer, &memory_default, &job), HMT_OK);
    CHECK_STATUS(file_writer_commit(&writer), HMT_OK);
}

static void names_with_something_in_front(void)
{
    static const char *const extra[] = {"optimiser.steps", "head.weight", "head.bias", "z"};
    static const char *const twice[] = {"ema.conv1.weight"};
    static const char *const clash[] = {"conv2.bias"};
    hmt_load_options o = HMT_LOAD_OPTIONS_INIT;
    hmt_model *loaded = NULL, *other = NULL;
    hmt_model_config config = {.struct_size = sizeof config};

    CHECK_STATUS(hmt_model_get_config(model, &config), HMT_OK);
    o.config = &config;
    write_safetensors("module.", NULL, 0);
    loads(&o, 0);
    o.map = 1;
    loads(&o, 0);
    CHECK_STATUS(hmt_model_create(context, &config, 77, &other), HMT_OK);
    CHECK_STATUS(hmt_model_import(other, path, NULL, 0), HMT_OK);
    CHECK(params_difference(model, other) == 0.0);
    hmt_model_free(other);
    o.map = 0;
    write_safetensors("_orig_mod.module.", extra, 2);
    loads(&o, 1);
    CHECK(says(logged[0], "2 tensors are not part of the network and were left: optimiser.steps, "
                          "head.weight") &&
          says(logged[0], path));
    write_safetensors("", extra, 4);
    loads(&o, 1);
    CHECK(says(logged[0], "4 tensors") && says(logged[0], "head.bias, ..."));
    write_safetensors("module.", twice, 1); /* of two, nobody can say which */
    CHECK_STATUS(hmt_model_load(context, path, &o, &loaded), HMT_ERROR_FORMAT);
    CHECK(says(hmt_last_error(), "has no tensor conv1.weight"));
    write_safetensors("module.", clash, 1);
    CHECK_STATUS(hmt_model_load(context, path, &o, &loaded), HMT_ERROR_FORMAT);
    CHECK(says(hmt_last_error(), "conv2.bias"));
    o.state_dict = "ema";
    write_safetensors("", NULL, 0);
    CHECK_STATUS(hmt_model_load(context, path, &o, &loaded), HMT_ERROR_NOT_FOUND);
    CHECK(says(hmt_last_error(), "no state dict \"ema\""));
}

/* ---- PyTorch ---- */

static void write_torch(const torch_recipe *recipe, const char *bit)
{
    const size_t count = hmt_model_param_count(model);
    torch_tensor tensors[MOST] = {{.name = NULL}};
    torch_bytes bytes = {NULL, 0, 0};

    for (size_t i = 0; i < count; ++i) {
        hmt_param_info info = HMT_PARAM_INFO_INIT;

        CHECK_STATUS(hmt_model_param_info(model, i, &info), HMT_OK);
        tensors[i] = (torch_tensor){.name = info.name,
                                    .storage_class = "FloatStorage",
                                    .rank = info.dimensions,
                                    .elements = info.count,
                                    .data = values[i],
                                    .bytes = (size_t)info.count * sizeof(float),
                                    .bit = i % 3 == 0 ? bit : NULL};
        for (int k = 0; k < info.dimensions; ++k)
            tensors[i].shape[k] = info.shape[k];
    }
    torch_write(&bytes, recipe, tensors, count);
    put(bytes.data, bytes.size);
    torch_release(&bytes);
}

static void several_state_dicts(void)
{
    const torch_recipe two = {.within = "state_dict", .beside = "state_dict_ema"};
    const torch_recipe unusual = {.within = "teacher", .beside = "student"};
    hmt_load_options o = HMT_LOAD_OPTIONS_INIT;
    hmt_model *loaded = NULL;

    write_torch(&two, NULL);
    loads(NULL, 1);
    CHECK(says(logged[0], "took the state dict \"state_dict\"; it also has state_dict_ema"));
    o.state_dict = "state_dict_ema";
    loads(&o, 1);
    CHECK(says(logged[0], "took the state dict \"state_dict_ema\"; it also has state_dict"));
    o.state_dict = "emma";
    CHECK_STATUS(hmt_model_load(context, path, &o, &loaded), HMT_ERROR_NOT_FOUND);
    CHECK(says(hmt_last_error(), "no state dict \"emma\"; it has: state_dict, state_dict_ema"));
    write_torch(&unusual, NULL);
    CHECK_STATUS(hmt_model_load(context, path, NULL, &loaded), HMT_ERROR_UNSUPPORTED);
    CHECK(says(hmt_last_error(), "2 dicts with tensors"));
    o.state_dict = "student";
    loads(&o, 1);
}

/* A view whose values are what is stored, negated. */
static void negative_bits(void)
{
    const torch_recipe recipe = {.within = NULL};
    const size_t count = hmt_model_param_count(model);
    hmt_model *loaded = NULL;

    for (int negate = 0; negate < 2; ++negate) {
        for (size_t i = 0; i < count; i += 3) {
            hmt_param_info info = HMT_PARAM_INFO_INIT;

            CHECK_STATUS(hmt_model_param_info(model, i, &info), HMT_OK);
            for (int64_t k = 0; k < info.count; ++k)
                values[i][k] = -values[i][k];
        }
        if (negate == 0) {
            hmt_load_options o = HMT_LOAD_OPTIONS_INIT;

            write_torch(&recipe, "neg");
            for (o.map = 0; o.map < 2; ++o.map)
                loads(&o, 0);
        }
    }
    write_torch(&recipe, "conj");
    CHECK_STATUS(hmt_model_load(context, path, NULL, &loaded), HMT_ERROR_UNSUPPORTED);
    CHECK(says(hmt_last_error(), "unknown kind"));
}

/* ---- what is no model ---- */

static void foreign_files_are_named(void)
{
    static const struct {
        size_t size;
        const char *bytes, *name;
    } cases[] = {
#define CASE(bytes, name) {sizeof(bytes) - 1, bytes, name}

        CASE("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146", "Git LFS pointer"),
        CASE("\n<!DOCTYPE html>\n<html><head><title>Sign", "a web page"),
        CASE("<HTML><BODY>404 not found, sorry for that", "a web page"),
        CASE("\x1f\x8b\x08\0\0\0\0\0\0\x03 and so on", "gzip"),
        CASE("BZh91AY&SY..", "bzip2"),
        CASE("\xfd"
             "7zXZ\0......",
             "xz"),
        CASE("\x28\xb5\x2f\xfd........", "zstd"),
        CASE("\x08\x07\x12\x07pytorch\x1a\x05"
             "2.1.0:....",
             "ONNX"),
        CASE("\x89HDF\r\n\x1a\n................", "HDF5"),
        CASE("\x1c\0\0\0TFL3................", "TensorFlow Lite"),
        CASE("GGUF\x03\0\0\0................", "GGUF"),
        CASE("\x93NUMPY\x01\0................", "NumPy"),
        CASE("\xff\xd8\xff\xe0\0\x10JFIF\0...........", "JPEG"),
        CASE("\x89PNG\r\n\x1a\n................", "PNG"),
        CASE("\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\x04main.......", "Python pickle"),
        CASE("\x80\x02"
             "c__main__\nNet\nq\0)\x81.....",
             "Python pickle"),
#undef CASE
    };
    hmt_load_options o = HMT_LOAD_OPTIONS_INIT;
    hmt_model *loaded = NULL;
    char tar[512] = "model.pth";

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        put(cases[i].bytes, cases[i].size);
        for (o.map = 0; o.map < 2; ++o.map) {
            CHECK_STATUS(hmt_model_load(NULL, path, &o, &loaded), HMT_ERROR_UNSUPPORTED);
            CHECK(says(hmt_last_error(), cases[i].name) && says(hmt_last_error(), path));
        }
        CHECK_STATUS(hmt_model_load_memory(NULL, cases[i].bytes, cases[i].size, NULL, &loaded),
                     HMT_ERROR_UNSUPPORTED);
        CHECK_STATUS(hmt_model_import(model, path, NULL, 0), HMT_ERROR_UNSUPPORTED);
        for (size_t size = 1; size < cases[i].size; ++size) /* cut anywhere: no model either */
            CHECK(hmt_model_load_memory(NULL, cases[i].bytes, size, NULL, &loaded) != HMT_OK);
    }
    memcpy(tar + 257, "ustar", 5);
    put(tar, sizeof tar);
    CHECK_STATUS(hmt_model_load(NULL, path, NULL, &loaded), HMT_ERROR_UNSUPPORTED);
    CHECK(says(hmt_last_error(), "tar archive"));
}

int main(void)
{
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;
    hmt_model_config config;

    snprintf(path, sizeof path, "/tmp/hmtnet-foreign-%ld", (long)getpid());
    o.log = keep_warning;
    hmt_model_config_init(&config);
    config.width = 0.03125;
    CHECK_STATUS(hmt_context_create(&o, &context), HMT_OK);
    CHECK_STATUS(hmt_model_create(context, &config, 6, &model), HMT_OK);
    for (size_t i = 0; i < hmt_model_param_count(model); ++i) {
        hmt_param_info info;

        values[i] = read_param(model, i, &info);
        if (strstr(info.name, "running_var") == NULL)
            for (int64_t k = 0; k < info.count; ++k)
                values[i][k] += 0.25f;
        CHECK_STATUS(hmt_model_param_write(model, i, values[i], (size_t)info.count), HMT_OK);
    }
    names_with_something_in_front();
    several_state_dicts();
    negative_bits();
    foreign_files_are_named();
    for (size_t i = 0; i < hmt_model_param_count(model); ++i)
        free(values[i]);
    hmt_model_free(model);
    hmt_context_free(context);
    unlink(path);
    return test_finish();
}
