/* tier: quick
 * links: torch_writer
 * Models and the files they come from: whatever happens to a file after it was opened changes no
 * answer and kills nobody; one that is written to while it is read is refused; values that are not
 * finite are named, wherever they come from; saving leaves a model in the storage that it has.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "core/memory.h"
#include "core/status.h"
#include "format/safetensors.h"
#include "model_params.h"
#include "torch_writer.h"

enum { BATCH = 2, IMAGE = 3 * 224 * 224 };

static float images[BATCH * IMAGE];
static char path[64], other[64];

static hmt_model *make(uint64_t seed)
{
    hmt_model_config config;
    hmt_model *model = NULL;

    hmt_model_config_init(&config);
    config.width = 0.03;
    CHECK_STATUS(hmt_model_create(NULL, &config, seed, &model), HMT_OK);
    return model;
}

static void save(hmt_dtype dtype)
{
    hmt_model *model = make(4);

    CHECK_STATUS(hmt_model_save(model, path, dtype), HMT_OK);
    hmt_model_free(model);
}

static bool says(const char *text)
{
    if (strstr(hmt_last_error(), text) != NULL)
        return true;
    printf("it says: %s\n", hmt_last_error());
    return false;
}

/* ---- what happens to a file ---- */

/* Zeros over a whole file, or no bytes at all. */
static void ruin(bool shorten)
{
    static const char zeros[4096];
    FILE *file = fopen(path, "r+b");
    long left;

    CHECK(file != NULL && fseek(file, 0, SEEK_END) == 0);
    left = ftell(file);
    rewind(file);
    for (; left > 0; left -= (long)sizeof zeros)
        CHECK(fwrite(zeros, 1, sizeof zeros, file) == sizeof zeros);
    CHECK(fclose(file) == 0);
    if (shorten)
        CHECK(truncate(path, 0) == 0);
}

static void a_model_outlives_its_file(hmt_dtype dtype, bool shorten)
{
    hmt_session *session = NULL, *late = NULL;
    hmt_prediction before, after, anew;
    hmt_model *model = NULL, *truth = NULL;

    save(dtype);
    CHECK_STATUS(hmt_model_load(NULL, path, NULL, &truth), HMT_OK);
    CHECK_STATUS(hmt_open(path, &session), HMT_OK);
    CHECK_STATUS(hmt_model_load(NULL, path, NULL, &model), HMT_OK);
    CHECK_STATUS(hmt_infer(session, images, 1, &before), HMT_OK);
    ruin(shorten);
    CHECK_STATUS(hmt_infer(session, images, 1, &after), HMT_OK);
    CHECK(memcmp(&before, &after, sizeof before.tasks + sizeof before.score) == 0);
    CHECK_STATUS(hmt_session_create(model, NULL, &late), HMT_OK); /* packs from the copy */
    CHECK_STATUS(hmt_infer(late, images, 1, &anew), HMT_OK);
    CHECK(memcmp(&before.score, &anew.score, sizeof before.score) == 0);
    CHECK(params_difference(model, truth) == 0.0);
    CHECK_STATUS(hmt_model_save(model, other, HMT_DTYPE_F32), HMT_OK);
    hmt_session_free(late);
    hmt_session_free(session);
    hmt_model_free(model);
    hmt_model_free(truth);
}

/* Writes one byte into the file in the middle of a load. */
static int meddle(void *user, const char *what, uint64_t done, uint64_t total)
{
    FILE *file;
    int *byte = user;

    if (strcmp(what, "load") != 0 || done != total / 2)
        return 0;
    if (*byte < 0)
        return truncate(path, 5000);
    file = fopen(path, "r+b");
    fseek(file, -1, SEEK_END);
    fputc(*byte, file);
    return fclose(file);
}

static void files_that_change_meanwhile_are_refused(void)
{
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;
    hmt_context *context = NULL;
    hmt_model *model = NULL;
    int byte = 1;

    save(HMT_DTYPE_F32);
    o.progress = meddle;
    o.progress_user = &byte;
    CHECK_STATUS(hmt_context_create(&o, &context), HMT_OK);
    CHECK_STATUS(hmt_model_load(context, path, NULL, &model), HMT_ERROR_IO);
    CHECK(says("was written to while it was read") && says(path));
    byte = -1;
    CHECK_STATUS(hmt_model_load(context, path, NULL, &model), HMT_ERROR_IO);
    CHECK(says("became shorter while it was read") && says(path));
    hmt_context_free(context);
}

/* ---- what saving leaves behind ---- */

static uint64_t bytes_of(hmt_model *model)
{
    hmt_memory memory = HMT_MEMORY_INIT;
    hmt_session *session = NULL;

    CHECK_STATUS(hmt_session_create(model, NULL, &session), HMT_OK);
    CHECK_STATUS(hmt_session_memory(session, &memory), HMT_OK);
    hmt_session_free(session);
    return memory.parameters;
}

/* In each storage it is saved in, with the bytes that a wide copy of it has there. */
static void saving_keeps_the_storage(hmt_dtype dtype)
{
    hmt_model *narrow = NULL, *wide = NULL;
    hmt_param_info info;
    float *bias;
    uint64_t before;

    save(dtype);
    CHECK_STATUS(hmt_model_load(NULL, path, NULL, &narrow), HMT_OK);
    CHECK_STATUS(hmt_model_copy(narrow, NULL, &wide), HMT_OK);
    bias = read_param(wide, 1, &info);
    CHECK_STATUS(hmt_model_param_write(wide, 1, bias, (size_t)info.count), HMT_OK);
    before = bytes_of(narrow);
    CHECK(before < bytes_of(wide) && params_difference(narrow, wide) == 0.0);
    for (int as = HMT_DTYPE_F32; as <= HMT_DTYPE_I8; ++as) {
        hmt_model *one = NULL, *two = NULL;

        CHECK_STATUS(hmt_model_save(narrow, path, (hmt_dtype)as), HMT_OK);
        CHECK_STATUS(hmt_model_save(wide, other, (hmt_dtype)as), HMT_OK);
        CHECK(bytes_of(narrow) == before);
        CHECK_STATUS(hmt_model_load(NULL, path, NULL, &one), HMT_OK);
        CHECK_STATUS(hmt_model_load(NULL, other, NULL, &two), HMT_OK);
        CHECK(params_difference(one, two) == 0.0);
        hmt_model_free(one);
        hmt_model_free(two);
    }
    free(bias);
    hmt_model_free(narrow);
    hmt_model_free(wide);
}

/* ---- numbers that are not finite ---- */

/* Overwrites element `at` of a tensor in the file, which has `width` bytes. */
static void poison(const char *tensor, uint64_t at, const void *element, size_t width)
{
    unsigned char *data;
    size_t size;
    tensors_index index;
    const tensors_entry *entry;
    FILE *file;

    CHECK_STATUS(file_read(&memory_default, path, UINT64_MAX, &data, &size), HMT_OK);
    CHECK_STATUS(tensors_open(&memory_default, data, size, path, NULL, &index), HMT_OK);
    entry = tensors_find(&index, tensor);
    CHECK(entry != NULL && tensors_dtype_size(entry->dtype) == width);
    file = fopen(path, "r+b");
    CHECK(file != NULL && fseek(file, (long)(entry->offset + at * width), SEEK_SET) == 0);
    CHECK(fwrite(element, width, 1, file) == 1 && fclose(file) == 0);
    tensors_close(&index);
    memory_free(&memory_default, data);
}

/* Copied, mapped, from memory, opened and taken over; `found` and `tensor` are in the message. */
static void is_refused(const char *tensor, const char *found)
{
    hmt_load_options o = HMT_LOAD_OPTIONS_INIT;
    hmt_model *model = NULL, *whole = make(9), *same = make(9);
    hmt_session *session = NULL;
    unsigned char *data;
    size_t size;

    CHECK_STATUS(file_read(&memory_default, path, UINT64_MAX, &data, &size), HMT_OK);
    for (o.map = 0; o.map < 2; ++o.map) {
        o.allow_nonfinite = 0;
        CHECK_STATUS(hmt_model_load(NULL, path, &o, &model), HMT_ERROR_NONFINITE);
        CHECK(model == NULL && says(path) && says(tensor) && says(found));
        o.allow_nonfinite = 1;
        CHECK_STATUS(hmt_model_load(NULL, path, &o, &model), HMT_OK);
        hmt_model_free(model);
        model = NULL;
    }
    CHECK_STATUS(hmt_model_load_memory(NULL, data, size, NULL, &model), HMT_ERROR_NONFINITE);
    CHECK(says("model in memory") && says(tensor) && says(found));
    CHECK_STATUS(hmt_open(path, &session), HMT_ERROR_NONFINITE);
    if (strstr(tensor, "scale") == NULL) {
        hmt_status status = hmt_model_import(whole, path, NULL, 0);

        CHECK(status == HMT_ERROR_NONFINITE || status == HMT_ERROR_UNSUPPORTED); /* 8 bits */
        CHECK(params_difference(whole, same) == 0.0);
    }
    hmt_model_free(whole);
    hmt_model_free(same);
    memory_free(&memory_default, data);
}

static void files_are_checked(void)
{
    const float nan = NAN, infinite = -INFINITY, huge = 1e38f, below = -0.25f, zero = -0.0f;
    const uint16_t f16_nan = 0x7e01, f16_infinite = 0xfc00, bf16_nan = 0x7fc0;
    hmt_model *model = NULL;

    save(HMT_DTYPE_F32);
    poison("conv1.weight", 0, &nan, 4);
    is_refused("conv1.weight", "element 0 of");
    save(HMT_DTYPE_F32);
    poison("fc6.weight", 5001, &infinite, 4);
    is_refused("fc6.weight", "element 5001 of fc6.weight is -inf");
    save(HMT_DTYPE_F32);
    poison("fc8.bias", 0, &nan, 4);
    is_refused("fc8.bias", "nan");
    save(HMT_DTYPE_F32);
    poison("bn49.running_var", 2, &below, 4);
    is_refused("bn49.running_var", "element 2 of bn49.running_var is -0.25: no variance");
    save(HMT_DTYPE_F32);
    poison("bn49.running_var", 2, &zero, 4);
    poison("bn49.running_mean", 2, &below, 4);
    CHECK_STATUS(hmt_model_load(NULL, path, NULL, &model), HMT_OK);
    hmt_model_free(model);
    save(HMT_DTYPE_F16);
    poison("fc6.weight", 4999, &f16_nan, 2);
    is_refused("fc6.weight", "element 4999 of fc6.weight is nan");
    save(HMT_DTYPE_F16);
    poison("fc8.weight", 0, &f16_infinite, 2);
    is_refused("fc8.weight", "element 0 of fc8.weight is -inf");
    save(HMT_DTYPE_BF16);
    poison("conv3.weight", 17, &bf16_nan, 2);
    is_refused("conv3.weight", "element 17 of conv3.weight is nan");
    save(HMT_DTYPE_I8);
    poison("conv3.weight_scale", 3, &nan, 4);
    is_refused("conv3.weight", "scale 3 of conv3.weight is nan");
    save(HMT_DTYPE_I8);
    poison("fc8.weight_scale", 0, &huge, 4);
    is_refused("fc8.weight", "scale 0 of fc8.weight is 1e+38");
}

/* A PyTorch checkpoint in float64, one value of which is too large for float32. */
static void checkpoints_of_pytorch_are_checked(void)
{
    hmt_model *model = make(4), *loaded = NULL;
    const size_t count = hmt_model_param_count(model);
    torch_tensor *tensors = calloc(count, sizeof *tensors);
    torch_bytes bytes = {NULL, 0, 0};
    torch_recipe recipe = {.prefix = "module."};
    FILE *file;

    for (size_t i = 0; i < count; ++i) {
        hmt_param_info info;
        float *values = read_param(model, i, &info);
        double *wide = malloc((size_t)info.count * sizeof *wide);

        for (int64_t k = 0; k < info.count; ++k)
            wide[k] = strcmp(info.name, "conv4.bias") == 0 && k == 1 ? 1e300 : values[k];
        tensors[i] = (torch_tensor){.name = info.name,
                                    .storage_class = "DoubleStorage",
                                    .rank = info.dimensions,
                                    .elements = info.count,
                                    .data = wide,
                                    .bytes = (size_t)info.count * sizeof *wide};
        for (int k = 0; k < info.dimensions; ++k)
            tensors[i].shape[k] = info.shape[k];
        free(values);
    }
    torch_write(&bytes, &recipe, tensors, count);
    file = fopen(path, "wb");
    CHECK(file != NULL && fwrite(bytes.data, 1, bytes.size, file) == bytes.size);
    CHECK(fclose(file) == 0);
    is_refused("conv4.bias", "element 1 of conv4.bias is inf");
    torch_release(&bytes);
    for (size_t i = 0; i < count; ++i)
        free((void *)(uintptr_t)tensors[i].data);
    free(tensors);
    hmt_model_free(loaded);
    hmt_model_free(model);
}

/* What a host writes, and what it may have if it asks. */
static void writing_is_checked(void)
{
    hmt_load_options o = HMT_LOAD_OPTIONS_INIT;
    hmt_model *model = NULL, *copy = NULL;
    hmt_param_info info;
    float *values, back;
    size_t index = 0;

    save(HMT_DTYPE_F32);
    CHECK_STATUS(hmt_model_load(NULL, path, NULL, &model), HMT_OK);
    CHECK_STATUS(hmt_model_param_find(model, "bn50.running_var", &index), HMT_OK);
    values = read_param(model, index, &info);
    values[1] = -1.0f;
    CHECK_STATUS(hmt_model_param_write(model, index, values, (size_t)info.count),
                 HMT_ERROR_NONFINITE);
    CHECK(says("hmt_model_param_write: element 1 of bn50.running_var is -1"));
    free(values);
    hmt_model_free(model);
    o.allow_nonfinite = 1;
    CHECK_STATUS(hmt_model_load(NULL, path, &o, &model), HMT_OK);
    CHECK_STATUS(hmt_model_param_find(model, "fc8.bias", &index), HMT_OK);
    back = NAN;
    CHECK_STATUS(hmt_model_param_write(model, index, &back, 1), HMT_OK);
    CHECK_STATUS(hmt_model_save(model, path, HMT_DTYPE_F32), HMT_OK);
    CHECK_STATUS(hmt_model_copy(model, NULL, &copy), HMT_OK);
    CHECK_STATUS(hmt_model_save(copy, other, HMT_DTYPE_BF16), HMT_OK);
    is_refused("fc8.bias", "nan");
    hmt_model_free(copy);
    hmt_model_free(model);
}

/* ---- trainers ---- */

static hmt_status go_on(const hmt_trainer_options *options, hmt_load_options *load)
{
    hmt_model *model = NULL;
    hmt_trainer *trainer = NULL;
    hmt_status status;

    CHECK_STATUS(hmt_model_load(NULL, path, load, &model), HMT_OK);
    CHECK_STATUS(hmt_trainer_create(model, options, &trainer), HMT_OK);
    status = hmt_trainer_resume(trainer, path);
    hmt_trainer_free(trainer);
    hmt_model_free(model);
    return status;
}

static void checkpoints_are_checked(void)
{
    static const float scores[BATCH] = {2.0f, 4.0f};
    const float nan = NAN, below = -1.0f;
    hmt_trainer_options options = HMT_TRAINER_OPTIONS_INIT;
    hmt_batch batch = HMT_BATCH_INIT;
    hmt_trainer *trainer = NULL;
    hmt_model *model = make(4);
    unsigned char *data;
    size_t size;
    FILE *file;

    options.batch = BATCH;
    options.average = 0.9;
    batch.count = BATCH;
    batch.images = images;
    batch.score = scores;
    CHECK_STATUS(hmt_trainer_create(model, &options, &trainer), HMT_OK);
    CHECK_STATUS(hmt_train_step(trainer, &batch, NULL), HMT_OK);
    CHECK_STATUS(hmt_trainer_save(trainer, path, NULL), HMT_OK);
    hmt_trainer_free(trainer);
    hmt_model_free(model);
    CHECK_STATUS(go_on(&options, NULL), HMT_OK);
    CHECK_STATUS(file_read(&memory_default, path, UINT64_MAX, &data, &size), HMT_OK);

    poison("momentum.fc7.weight", 11, &nan, 4);
    CHECK_STATUS(go_on(&options, NULL), HMT_ERROR_NONFINITE);
    CHECK(says("element 11 of momentum.fc7.weight is nan") && says(path));
    for (int round = 0; round < 2; ++round) {
        file = fopen(path, "wb");
        CHECK(file != NULL && fwrite(data, 1, size, file) == size && fclose(file) == 0);
        poison(round == 0 ? "trained.bn50.running_var" : "momentum.bn50.weight", 1, &below, 4);
        CHECK_STATUS(go_on(&options, NULL), round == 0 ? HMT_ERROR_NONFINITE : HMT_OK);
        CHECK(round != 0 || says("element 1 of trained.bn50.running_var is -1"));
    }
    memory_free(&memory_default, data);
}

/* A step whose loss is finite and whose update is not: the last file that is good stays. */
static void a_run_that_diverges_does_not_replace_its_file(void)
{
    static const float scores[BATCH] = {2.0f, 4.0f};
    hmt_trainer_options options = HMT_TRAINER_OPTIONS_INIT;
    hmt_batch batch = HMT_BATCH_INIT;
    hmt_trainer *trainer = NULL;
    hmt_model *model = make(4), *kept = NULL;

    options.batch = BATCH;
    options.learning_rate = 1e300;
    batch.count = BATCH;
    batch.images = images;
    batch.score = scores;
    CHECK_STATUS(hmt_model_save(model, path, HMT_DTYPE_F32), HMT_OK);
    CHECK_STATUS(hmt_trainer_create(model, &options, &trainer), HMT_OK);
    CHECK_STATUS(hmt_train_step(trainer, &batch, NULL), HMT_OK);
    CHECK_STATUS(hmt_model_save(model, path, HMT_DTYPE_F32), HMT_ERROR_NONFINITE);
    CHECK(says(path));
    CHECK_STATUS(hmt_trainer_save(trainer, path, NULL), HMT_ERROR_NONFINITE);
    hmt_trainer_free(trainer);
    CHECK_STATUS(hmt_model_load(NULL, path, NULL, &kept), HMT_OK);
    hmt_model_free(kept);
    hmt_model_free(model);
}

int main(void)
{
    uint64_t seed = 3;

    for (size_t i = 0; i < BATCH * IMAGE; ++i) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        images[i] = (float)(seed >> 40) / 8388608.0f - 1.0f;
    }
    snprintf(path, sizeof path, "/tmp/hmtnet-private-%ld.safetensors", (long)getpid());
    snprintf(other, sizeof other, "/tmp/hmtnet-private-%ld-2.safetensors", (long)getpid());
    for (int dtype = HMT_DTYPE_F32; dtype <= HMT_DTYPE_I8; ++dtype) {
        a_model_outlives_its_file((hmt_dtype)dtype, false);
        a_model_outlives_its_file((hmt_dtype)dtype, true);
        if (dtype != HMT_DTYPE_F32)
            saving_keeps_the_storage((hmt_dtype)dtype);
    }
    files_that_change_meanwhile_are_refused();
    files_are_checked();
    checkpoints_of_pytorch_are_checked();
    writing_is_checked();
    checkpoints_are_checked();
    a_run_that_diverges_does_not_replace_its_file();
    unlink(path);
    unlink(other);
    return test_finish();
}
