/* tier: quick
 * Models in files: what is saved is what is loaded, a file alone is enough, other people's files
 * are understood, and files that lie are refused with what is wrong and where.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "core/memory.h"
#include "fill.h"
#include "format/safetensors.h"
#include "model_params.h"

static char path[256];

static hmt_model *make(double width)
{
    hmt_model_config config;
    hmt_model *model = NULL;

    hmt_model_config_init(&config);
    config.width = width;
    config.wiring = HMT_WIRING_PAPER;
    config.aggregator = HMT_AGGREGATOR_CONCATENATE;
    config.race_classes = 3;
    strcpy(config.race_labels[2], "\xc3\xa4\"\\ other");
    config.score_min = 1.0f;
    config.score_max = 10.0f;
    config.score_mean = 5.25f;
    config.resize = 240;
    CHECK_STATUS(hmt_model_create(NULL, &config, 11, &model), HMT_OK);
    return model;
}

static void round_trips(void)
{
    static const double allowed[] = {0.0, 1e-3, 8e-3};
    hmt_model *model = make(0.03);

    for (int dtype = HMT_DTYPE_F32; dtype <= HMT_DTYPE_BF16; ++dtype)
        for (int copy = 0; copy < 2; ++copy) {
            hmt_load_options o = HMT_LOAD_OPTIONS_INIT;
            hmt_model_config a = {.struct_size = sizeof a}, b = {.struct_size = sizeof b};
            hmt_model *loaded = NULL;
            double off;

            o.map = !copy;
            CHECK_STATUS(hmt_model_save(model, path, (hmt_dtype)dtype), HMT_OK);
            CHECK_STATUS(hmt_model_load(NULL, path, &o, &loaded), HMT_OK);
            off = params_difference(model, loaded);
            CHECK(off <= allowed[dtype] && (dtype == HMT_DTYPE_F32 || off > 0.0));
            CHECK_STATUS(hmt_model_get_config(model, &a), HMT_OK);
            CHECK_STATUS(hmt_model_get_config(loaded, &b), HMT_OK);
            CHECK(memcmp(&a, &b, sizeof a) == 0);
            CHECK(strcmp(hmt_model_label(loaded, HMT_TASK_RACE, 2), "\xc3\xa4\"\\ other") == 0);
            hmt_model_free(loaded);
        }
    CHECK_STATUS(hmt_model_save(model, "/nonexistent/folder/m.safetensors", HMT_DTYPE_F32),
                 HMT_ERROR_NOT_FOUND);
    CHECK_STATUS(hmt_model_save(model, path, (hmt_dtype)7), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_model_save(NULL, path, HMT_DTYPE_F32), HMT_ERROR_ARGUMENT);
    hmt_model_free(model);
}

/* Writes to a mapped model stay in memory. */
static void mapped_files_do_not_change(void)
{
    hmt_model *model = make(0.03), *first = NULL, *second = NULL;
    float value = 99.0f;
    size_t index = 0;

    CHECK_STATUS(hmt_model_save(model, path, HMT_DTYPE_F32), HMT_OK);
    CHECK_STATUS(hmt_model_load(NULL, path, NULL, &first), HMT_OK);
    CHECK_STATUS(hmt_model_param_find(first, "fc8.bias", &index), HMT_OK);
    CHECK_STATUS(hmt_model_param_write(first, index, &value, 1), HMT_OK);
    CHECK_STATUS(hmt_model_load(NULL, path, NULL, &second), HMT_OK);
    CHECK(params_difference(model, second) == 0.0);
    /* Replacing the file by a new one leaves those that are mapped alone. */
    CHECK_STATUS(hmt_model_save(first, path, HMT_DTYPE_F32), HMT_OK);
    CHECK(params_difference(model, second) == 0.0);
    hmt_model_free(second);
    CHECK_STATUS(hmt_model_load(NULL, path, NULL, &second), HMT_OK);
    CHECK(params_difference(first, second) == 0.0);
    hmt_model_free(first);
    hmt_model_free(second);
    hmt_model_free(model);
}

/* Reads the file into memory. */
static unsigned char *slurp(size_t *size)
{
    unsigned char *data;
    FILE *file = fopen(path, "rb");

    CHECK(file != NULL);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    data = malloc(*size);
    CHECK(fread(data, 1, *size, file) == *size);
    fclose(file);
    return data;
}

/* Replaces one piece of a file's header by another of the same length; the message must have
 * `said`. */
static void lie(const char *piece, const char *other, hmt_status code, const char *said)
{
    hmt_model *model = make(0.03), *loaded = NULL;
    unsigned char *data, *at = NULL;
    size_t size, length = strlen(piece);

    CHECK(strlen(other) == length);
    CHECK_STATUS(hmt_model_save(model, path, HMT_DTYPE_F32), HMT_OK);
    hmt_model_free(model);
    data = slurp(&size);
    for (size_t i = 0; i + length <= size && at == NULL; ++i)
        if (memcmp(data + i, piece, length) == 0)
            at = data + i;
    CHECK(at != NULL);
    if (at != NULL) {
        memcpy(at, other, length);
        CHECK_STATUS(hmt_model_load_memory(NULL, data, size, NULL, &loaded), code);
        CHECK(loaded == NULL && strstr(hmt_last_error(), said) != NULL);
        if (strstr(hmt_last_error(), said) == NULL)
            printf("%s\n", hmt_last_error());
    }
    free(data);
}

static void lies(void)
{
    hmt_model *model = make(0.03), *loaded = NULL;
    unsigned char *data;
    size_t size;

    lie("\"conv2.bias\"", "\"conv9.bias\"", HMT_ERROR_FORMAT, "has no tensor conv2.bias");
    lie("\"fc8.bias\":{\"dtype\":\"F32\"", "\"fc8.bias\":{\"dtype\":\"I32\"", HMT_ERROR_UNSUPPORTED,
        "fc8.bias");
    lie("\\\"width\\\":0.03", "\\\"width\\\":0.02", HMT_ERROR_FORMAT, "tensor");
    lie("\\\"width\\\":0.03", "\\\"width\\\":9.03", HMT_ERROR_FORMAT, "width");
    CHECK_STATUS(hmt_model_save(model, path, HMT_DTYPE_F32), HMT_OK);
    data = slurp(&size);
    for (size_t length = 0; length < size; length += 1 + length / 3)
        CHECK_STATUS(hmt_model_load_memory(NULL, data, length, NULL, &loaded), HMT_ERROR_FORMAT);
    CHECK_STATUS(hmt_model_load_memory(NULL, data, size, NULL, &loaded), HMT_OK);
    CHECK(params_difference(model, loaded) == 0.0);
    hmt_model_free(loaded);
    CHECK_STATUS(hmt_model_load_memory(NULL, NULL, size, NULL, &loaded), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_model_load(NULL, "/nonexistent.safetensors", NULL, &loaded),
                 HMT_ERROR_NOT_FOUND);
    CHECK_STATUS(hmt_model_load(NULL, "/tmp", NULL, &loaded), HMT_ERROR_IO);
    free(data);
    hmt_model_free(model);
}

/* Writes the model's parameters with vectors as (length,1): in 16 bits, those called `name` in 8.
 */
static void write_flat_vectors(const hmt_model *model, const char *name)
{
    static float ones[4096];
    const size_t count = hmt_model_param_count(model);
    safetensors_tensor *tensors = calloc(count, sizeof *tensors);
    const safetensors_job job = {.tensors = tensors, .tensor_count = count};
    float *values[128];
    file_writer writer = {0};

    CHECK(count <= 128);
    for (size_t i = 0; i < sizeof ones / sizeof ones[0]; ++i)
        ones[i] = 1.0f;
    for (size_t i = 0; i < count; ++i) {
        hmt_param_info info = HMT_PARAM_INFO_INIT;

        CHECK_STATUS(hmt_model_param_info(model, i, &info), HMT_OK);
        values[i] = malloc((size_t)info.count * sizeof(float));
        CHECK_STATUS(hmt_model_param_read(model, i, values[i], (size_t)info.count), HMT_OK);
        tensors[i] =
            (safetensors_tensor){.name = info.name,
                                 .dtype = strcmp(info.name, name) == 0 ? TENSORS_I8 : TENSORS_F16,
                                 .rank = info.dimensions > 1 ? info.dimensions : 2,
                                 .values = values[i],
                                 .scales = ones};
        memcpy(tensors[i].shape, info.shape, sizeof info.shape);
    }
    CHECK_STATUS(file_writer_open(&writer, &memory_default, path), HMT_OK);
    CHECK_STATUS(safetensors_write(&writer, &memory_default, &job), HMT_OK);
    CHECK_STATUS(file_writer_commit(&writer), HMT_OK);
    for (size_t i = 0; i < count; ++i)
        free(values[i]);
    free(tensors);
}

/* Vectors become float32 however many dimensions they have in the file; only weights stay narrow.
 */
static void flat_vectors_are_vectors(void)
{
    hmt_model *model = make(0.03), *loaded[2] = {NULL, NULL};
    float *images = calloc(3 * 224 * 224, sizeof *images);
    hmt_load_options options = HMT_LOAD_OPTIONS_INIT;
    hmt_model_config config = {.struct_size = sizeof config};
    hmt_prediction p[2];

    CHECK_STATUS(hmt_model_get_config(model, &config), HMT_OK);
    options.config = &config;
    write_flat_vectors(model, "");
    for (int copy = 0; copy < 2; ++copy) {
        hmt_session *session = NULL;

        options.map = !copy;
        CHECK_STATUS(hmt_model_load(NULL, path, &options, &loaded[copy]), HMT_OK);
        CHECK_STATUS(hmt_session_create(loaded[copy], NULL, &session), HMT_OK);
        CHECK_STATUS(hmt_infer(session, images, 1, &p[copy]), HMT_OK);
        hmt_session_free(session);
    }
    CHECK(p[0].score == p[1].score && params_difference(loaded[0], loaded[1]) == 0.0);
    hmt_model_free(loaded[0]);
    hmt_model_free(loaded[1]);
    write_flat_vectors(model, "bn49.running_var");
    for (options.map = 0; options.map < 2; ++options.map)
        CHECK_STATUS(hmt_model_load(NULL, path, &options, &loaded[0]), HMT_ERROR_UNSUPPORTED);
    hmt_model_free(model);
    free(images);
}

/* Without our config the shapes tell, and those of empty tensors may be of any size. */
static void a_shape_can_be_any_number(void)
{
    static const char header[] =
        "{\"conv1.weight\":{\"dtype\":\"F32\",\"shape\":[96,0],\"data_offsets\":[0,0]},"
        "\"conv5.weight\":{\"dtype\":\"F32\",\"shape\":[9223372036854775807,0],\"data_offsets\":[0,"
        "0]},"
        "\"fc6.weight\":{\"dtype\":\"F32\",\"shape\":[0,9223372036854775806],\"data_offsets\":[0,0]"
        "},"
        "\"gbranch.gconv3.weight\":{\"dtype\":\"F32\",\"shape\":[2,0],\"data_offsets\":[0,0]},"
        "\"rbranch.rconv3.weight\":{\"dtype\":\"F32\",\"shape\":[2,0],\"data_offsets\":[0,0]}}";
    unsigned char file[8 + sizeof header] = {(sizeof header - 1) % 256, (sizeof header - 1) / 256};
    hmt_model *model = NULL;

    memcpy(file + 8, header, sizeof header - 1);
    CHECK_STATUS(hmt_model_load_memory(NULL, file, 8 + sizeof header - 1, NULL, &model),
                 HMT_ERROR_FORMAT);
    CHECK(strstr(hmt_last_error(), "nor the tensors of an HMTNet") != NULL);
}

/* A file of many tensors that are let pass and of much metadata is not compared pair by pair: it
 * took minutes of a processor. */
static void long_headers_are_read_at_once(void)
{
    enum { PAIRS = 200 * 1000, TENSORS = 30 * 1000, ROOM = 100 * TENSORS + 16 * PAIRS };
    static const char first[] = "{\"__metadata__\":{\"-\":\"\"";
    char *file = malloc(8 + ROOM), *at = file + 8 + sizeof first - 1;
    hmt_load_options options = HMT_LOAD_OPTIONS_INIT;
    hmt_model_config all;
    hmt_model *model = NULL;
    clock_t begin;
    size_t length;

    CHECK(file != NULL);
    memcpy(file + 8, first, sizeof first - 1);
    for (int i = 0; i < PAIRS; ++i)
        at += sprintf(at, ",\"%x\":\"\"", (unsigned)i);
    at += sprintf(at, "}");
    for (int i = 0; i < TENSORS; ++i)
        at += sprintf(at,
                      ",\"%x.num_batches_tracked\":{\"dtype\":\"U8\",\"shape\":[0],"
                      "\"data_offsets\":[0,0]}",
                      (unsigned)i);
    at += sprintf(at, "}");
    length = (size_t)(at - file) - 8;
    for (int i = 0; i < 8; ++i)
        file[i] = (char)(length >> 8 * i & 0xff);
    hmt_model_config_init(&all);
    options.config = &all;
    begin = clock();
    CHECK_STATUS(hmt_model_load_memory(NULL, file, 8 + length, &options, &model), HMT_ERROR_FORMAT);
    CHECK(strstr(hmt_last_error(), "has no tensor conv1.weight") != NULL);
    CHECK((double)(clock() - begin) / CLOCKS_PER_SEC < 10.0);
    free(file);
}

/* PyTorch's own safetensors file, which carries no config: its shapes tell, and its predictions are
 * known. */
static void foreign_file(void)
{
    const char *shared = test_shared(), *names[] = {"w16.safetensors", "w16_bf16.safetensors"};
    const double allowed[] = {1e-5, 3e-2};

    if (shared == NULL) {
        printf("skipped: checkpoints made by PyTorch are not here\n");
        return;
    }
    for (int i = 0; i < 2; ++i) {
        char file[512];
        hmt_model *model = NULL;
        hmt_session *session = NULL;
        hmt_prediction p[2];
        const int64_t shape[4] = {2, 3, 224, 224};
        float *images = malloc(2 * 3 * 224 * 224 * sizeof *images), race[4];

        snprintf(file, sizeof file, "%s/checkpoints/%s", shared, names[i]);
        fill_tensor("input.checkpoint", 4, shape, images);
        CHECK_STATUS(hmt_model_load(NULL, file, NULL, &model), HMT_OK);
        CHECK_STATUS(hmt_session_create(model, NULL, &session), HMT_OK);
        for (int k = 0; k < 2; ++k) {
            CHECK_STATUS(hmt_infer(session, images + k * 150528, 1, &p[k]), HMT_OK);
            CHECK_STATUS(hmt_session_logits(session, HMT_TASK_RACE, race + 2 * k, 2), HMT_OK);
        }
        CHECK(fabs(p[0].score - -1.903874158859253) < 2.0 * allowed[i]);
        CHECK(fabs(p[1].score - -1.3613791465759277) < 2.0 * allowed[i]);
        CHECK(fabs(race[0] - 0.406899631023407) < allowed[i] &&
              fabs(race[3] - 0.9836322665214539) < allowed[i]);
        hmt_session_free(session);
        hmt_model_free(model);
        free(images);
    }
}

int main(void)
{
    snprintf(path, sizeof path, "/tmp/hmtnet-model-file-%ld.safetensors", (long)getpid());
    round_trips();
    mapped_files_do_not_change();
    lies();
    flat_vectors_are_vectors();
    a_shape_can_be_any_number();
    long_headers_are_read_at_once();
    foreign_file();
    remove(path);
    return test_finish();
}
