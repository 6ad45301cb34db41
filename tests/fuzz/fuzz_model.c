/*
 * mutations: 500
 * Model files: what loads can be read, saved in every dtype and loaded again with the same
 * parameters and config, and infers. Memory stays within a multiple of the file.
 *
 * Options, two bytes: bits 0-1 how it is loaded (from memory, mapped, copied), bit 2 mends the
 * header's length, bit 3 gives a config for files without one, bit 4 infers, bit 5 allows values
 * that are not finite; then the dtype.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format/safetensors.h"
#include "fuzz.h"

enum { MEND = 4, CONFIG = 8, INFER = 16, ALLOW = 32 };

static const double width = 1.0 / 512; /* the smallest that shapes tell: one channel, 8 in fc6 */

static unsigned refusals(uint8_t option)
{
    return FUZZ_CODE(FORMAT) | FUZZ_CODE(UNSUPPORTED) | FUZZ_CODE(ARGUMENT) |
           (option & ALLOW ? 0 : FUZZ_CODE(NONFINITE));
}

static hmt_model *load(const uint8_t *data, size_t size, uint8_t option)
{
    static const char *const name = "model.safetensors";
    hmt_load_options o = HMT_LOAD_OPTIONS_INIT;
    hmt_model_config config;
    hmt_model *model = NULL;
    hmt_status status;

    hmt_model_config_init(&config);
    config.width = width;
    o.config = option & CONFIG ? &config : NULL;
    o.map = (option & 3) == 1;
    o.allow_nonfinite = (option & ALLOW) != 0;
    if ((option & 3) == 0)
        status = FUZZ_STATUS(hmt_model_load_memory(fuzz_context(), data, size, &o, &model),
                             refusals(option));
    else
        status =
            FUZZ_STATUS(hmt_model_load(fuzz_context(), fuzz_file(name, data, size), &o, &model),
                        refusals(option));
    FUZZ_CHECK((model != NULL) == (status == HMT_OK));
    return model;
}

static float *read_param(const hmt_model *model, size_t index, size_t *count)
{
    hmt_param_info info = HMT_PARAM_INFO_INIT;
    float *values;

    FUZZ_OK(hmt_model_param_info(model, index, &info));
    *count = (size_t)info.count;
    values = malloc((*count + 1) * sizeof *values);

    FUZZ_CHECK(values != NULL);
    FUZZ_OK(hmt_model_param_read(model, index, values, *count));
    values[*count] = 0.0f; /* seed_foreign() may take one more */
    return values;
}

/* What was loaded without that leave is finite. */
static void check_finite(const hmt_model *model)
{
    for (size_t i = 0; i < hmt_model_param_count(model); ++i) {
        size_t count;
        float *values = read_param(model, i, &count);

        for (size_t k = 0; k < count; ++k)
            FUZZ_CHECK(isfinite(values[k]));
        free(values);
    }
}

static void check_same(const hmt_model *a, const hmt_model *b)
{
    hmt_model_config x = {.struct_size = sizeof x}, y = {.struct_size = sizeof y};

    FUZZ_OK(hmt_model_get_config(a, &x));
    FUZZ_OK(hmt_model_get_config(b, &y));
    FUZZ_CHECK(memcmp(&x, &y, sizeof x) == 0);
    FUZZ_CHECK(hmt_model_param_count(a) == hmt_model_param_count(b));
    for (size_t i = 0; i < hmt_model_param_count(a); ++i) {
        size_t n, m;
        float *left = read_param(a, i, &n), *right = read_param(b, i, &m);

        FUZZ_CHECK(n == m && memcmp(left, right, n * sizeof *left) == 0);
        free(left);
        free(right);
    }
}

/* Saved in any dtype it loads; as float32 it is the same. */
static void save(hmt_model *model, hmt_dtype dtype, uint8_t option)
{
    hmt_load_options o = HMT_LOAD_OPTIONS_INIT;
    const char *path = fuzz_path("saved.safetensors");
    hmt_model *again = NULL;

    if (FUZZ_STATUS(hmt_model_save(model, path, dtype),
                    dtype == HMT_DTYPE_F32 ? 0 : FUZZ_CODE(LIMIT)) != HMT_OK)
        return;
    o.allow_nonfinite = (option & ALLOW) != 0;
    FUZZ_OK(hmt_model_load(fuzz_context(), path, &o, &again));
    if (dtype == HMT_DTYPE_F32)
        check_same(model, again);
    hmt_model_free(again);
}

/* From the weights as they lie in the file. */
static hmt_prediction infer(hmt_model *model)
{
    static float image[3 * 224 * 224];
    hmt_session *session = NULL;
    hmt_prediction who = {.tasks = 0};
    hmt_status status;

    FUZZ_OK(hmt_session_create(model, NULL, &session));
    /* Finite weights may still be too large for a finite answer. */
    status = FUZZ_STATUS(hmt_infer(session, image, 1, &who), FUZZ_CODE(NONFINITE));
    if (status != HMT_OK) {
        hmt_session_free(session);
        return (hmt_prediction){.tasks = 0};
    }
    FUZZ_CHECK(who.gender.label >= 0 && who.gender.label < who.gender.class_count);
    FUZZ_CHECK(who.race.name != NULL && who.race.name[0] != '\0');
    hmt_session_free(session);
    return who;
}

/* The same prediction, bit for bit, however the file is loaded. */
static void check_inference(hmt_model *model, const uint8_t *data, size_t size, uint8_t option)
{
    hmt_model *other = load(data, size, (option & (CONFIG | ALLOW)) | ((option & 3) == 0));
    const hmt_prediction a = infer(model), b = infer(other);

    FUZZ_CHECK(memcmp(&a.score, &b.score, sizeof a.score) == 0);
    FUZZ_CHECK(memcmp(a.race.probabilities, b.race.probabilities, sizeof a.race.probabilities) ==
               0);
    FUZZ_CHECK(
        memcmp(a.gender.probabilities, b.gender.probabilities, sizeof a.gender.probabilities) == 0);
    hmt_model_free(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const hmt_dtype dtype = (hmt_dtype)(fuzz_option(data, &size) % 4);
    const uint8_t option = fuzz_option(data, &size);
    uint8_t *file = fuzz_copy(data, size);
    hmt_model *model, *copy = NULL;

    if (option & MEND)
        fuzz_mend_header(file, size);
    (void)fuzz_context();
    /* The graph and its parameters' names, a write buffer; a session's maps beside that. */
    fuzz_begin(((size_t)(option & INFER ? 4096 : 512) << 10) + 32 * size);
    model = load(file, size, option);
    if (model != NULL) {
        if (option & INFER) /* before anything has widened the weights */
            check_inference(model, file, size, option);
        FUZZ_OK(hmt_model_copy(model, fuzz_context(), &copy));
        check_same(model, copy);
        hmt_model_free(copy);
        save(model, dtype, option);
        save(model, HMT_DTYPE_F32, option);
        if ((option & ALLOW) == 0)
            check_finite(model);
    }
    hmt_model_free(model);
    fuzz_end();
    free(file);
    return 0;
}

/* ---- seeds ---- */

/* Values that no layer does without: a fresh model's batch norms do nothing. */
static void fill(hmt_model *model)
{
    for (size_t i = 0; i < hmt_model_param_count(model); ++i) {
        size_t count;
        float *values = read_param(model, i, &count);

        for (size_t k = 0; k < count; ++k)
            values[k] = (float)((7 * i + 5 * k) % 17 + 8) / 16.0f;
        FUZZ_OK(hmt_model_param_write(model, i, values, count));
        free(values);
    }
}

/* A model's parameters, vectors too, in one dtype, as other programs save them; vectors have at
 * least `rank` dimensions, the vector `longer` an element too many. */
static void seed_foreign(const hmt_model *model, tensors_dtype dtype, int32_t rank,
                         const char *longer)
{
    static uint8_t file[1 << 16];
    const size_t count = hmt_model_param_count(model);
    const char *path = fuzz_path("foreign.safetensors");
    safetensors_tensor *tensors = calloc(count, sizeof *tensors);
    safetensors_job job = {.tensors = tensors, .tensor_count = count};
    file_writer writer = {0};

    FUZZ_CHECK(tensors != NULL);
    for (size_t i = 0; i < count; ++i) {
        hmt_param_info info = HMT_PARAM_INFO_INIT;
        size_t elements;

        FUZZ_OK(hmt_model_param_info(model, i, &info));
        tensors[i] = (safetensors_tensor){.name = info.name,
                                          .dtype = dtype,
                                          .rank = info.dimensions > rank ? info.dimensions : rank,
                                          .values = read_param(model, i, &elements)};
        memcpy(tensors[i].shape, info.shape, sizeof info.shape);
        tensors[i].shape[0] += strcmp(info.name, longer) == 0;
    }
    FUZZ_OK(file_writer_open(&writer, &fuzz_allocator, path));
    FUZZ_OK(safetensors_write(&writer, &fuzz_allocator, &job));
    FUZZ_OK(file_writer_commit(&writer));
    fuzz_seed(file, fuzz_read(path, file, sizeof file), "\25\1", 2);
    for (size_t i = 0; i < count; ++i)
        free((float *)(void *)(uintptr_t)tensors[i].values);
    free(tensors);
}

void fuzz_seeds(void)
{
    static const char *const options[] = {"\24\0", "\65\1", "\26\2", "\25\3"};
    static uint8_t file[1 << 16];
    const char *path = fuzz_path("seed.safetensors");
    hmt_model_config config;
    hmt_model *model = NULL;
    size_t size;

    hmt_model_config_init(&config);
    config.width = width;
    for (int dtype = HMT_DTYPE_F32; dtype <= HMT_DTYPE_I8; ++dtype) {
        config.wiring = (hmt_wiring)(dtype % 2);
        config.aggregator = (hmt_aggregator)(dtype / 2);
        FUZZ_OK(hmt_model_create(fuzz_context(), &config, 3, &model));
        fill(model);
        FUZZ_OK(hmt_model_save(model, path, (hmt_dtype)dtype));
        size = fuzz_read(path, file, sizeof file);
        fuzz_seed(file, size, options[dtype], 2);
        if (dtype == HMT_DTYPE_F32) { /* a file without our config */
            fuzz_respell(file, size, "hmtnet.config", "hmtnet_config");
            fuzz_seed(file, size, "\5\1", 2);
            fuzz_seed(file, size, "\35\1", 2);
            seed_foreign(model, TENSORS_F16, 1, "");
            seed_foreign(model, TENSORS_F16, 1, "bn49.running_var");
            seed_foreign(model, TENSORS_BF16, 2, "");
        }
        hmt_model_free(model);
    }
}
