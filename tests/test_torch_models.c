/* tier: quick
 * links: torch_writer
 * PyTorch checkpoints as models: whole ones come back from either kind of file, those that PyTorch
 * wrote predict what they should, and hmt_model_import() takes what fits, all or none.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "fill.h"
#include "format/half.h"
#include "model_params.h"
#include "torch_writer.h"

static char path[64];

/* ---- whole models ---- */

enum { MOST_PARAMS = 128 };

static hmt_model *make(double width, uint64_t seed)
{
    hmt_model_config config;
    hmt_model *model = NULL;

    hmt_model_config_init(&config);
    config.width = width;
    CHECK_STATUS(hmt_model_create(NULL, &config, seed, &model), HMT_OK);
    return model;
}

/* `values` of a (a,b,c,d) tensor with the second dimension innermost, as channels_last lies. */
static void channels_last(const float *values, const int64_t shape[4], float *out)
{
    for (int64_t a = 0; a < shape[0]; ++a)
        for (int64_t b = 0; b < shape[1]; ++b)
            for (int64_t i = 0; i < shape[2] * shape[3]; ++i)
                out[(a * shape[2] * shape[3] + i) * shape[1] + b] = *values++;
}

/* The values in a storage's type. */
static void encode(const char *class, const float *values, size_t count, unsigned char *out)
{
    for (size_t i = 0; i < count; ++i) {
        const double wide = values[i];
        const uint16_t half = class[0] == 'H' ? half_to_f16(values[i]) : half_to_bf16(values[i]);

        if (class[0] == 'F')
            memcpy(out + 4 * i, &values[i], 4);
        else if (class[0] == 'D')
            memcpy(out + 8 * i, &wide, 8);
        else
            memcpy(out + 2 * i, &half, 2);
    }
}

static size_t width_of(const char *class)
{
    return class[0] == 'F' ? 4 : class[0] == 'D' ? 8 : 2;
}

/* A model's parameters as tensors to write. */
typedef struct state {
    torch_tensor tensors[MOST_PARAMS];
    char names[MOST_PARAMS][64];
    size_t count;
} state;

/* A copy of each lies some elements into its storage. */
static void state_of(const hmt_model *model, const char *class, bool last, int offset, state *s)
{
    *s = (state){.count = hmt_model_param_count(model)};
    for (size_t i = 0; i < s->count; ++i) {
        torch_tensor *tensor = &s->tensors[i];
        hmt_param_info info;
        float *values = read_param(model, i, &info), *order = malloc((size_t)info.count * 4);
        const size_t width = width_of(class);
        unsigned char *data = calloc((size_t)(info.count + offset), width);

        snprintf(s->names[i], sizeof s->names[i], "%s", info.name);
        *tensor = (torch_tensor){.name = s->names[i],
                                 .storage_class = class,
                                 .rank = info.dimensions,
                                 .offset = offset,
                                 .elements = info.count + offset,
                                 .data = data,
                                 .bytes = (size_t)(info.count + offset) * width};
        memcpy(tensor->shape, info.shape, sizeof info.shape);
        memcpy(order, values, (size_t)info.count * 4);
        if (last && info.dimensions == 4) {
            const int64_t area = info.shape[2] * info.shape[3];

            channels_last(values, info.shape, order);
            memcpy(
                tensor->stride,
                (int64_t[]){info.shape[1] * area, 1, info.shape[3] * info.shape[1], info.shape[1]},
                4 * sizeof(int64_t));
        }
        encode(class, order, (size_t)info.count, data + (size_t)offset * width);
        free(values);
        free(order);
    }
}

static void state_free(state *s)
{
    for (size_t i = 0; i < s->count; ++i)
        free((void *)s->tensors[i].data);
}

static void write_file(const torch_bytes *bytes)
{
    FILE *file = fopen(path, "wb");

    CHECK(file != NULL && fwrite(bytes->data, 1, bytes->size, file) == bytes->size);
    CHECK(file != NULL && fclose(file) == 0);
}

static void save(const torch_recipe *recipe, const state *s)
{
    torch_bytes bytes = {NULL, 0, 0};

    torch_write(&bytes, recipe, s->tensors, s->count);
    write_file(&bytes);
    torch_release(&bytes);
}

static void whole_models_come_back(void)
{
    static const struct {
        const char *class;
        bool last;
        int offset;
        torch_recipe recipe;
        double allowed;
    } cases[] = {
        {"FloatStorage", false, 0, {0}, 0},
        {"FloatStorage", false, 3, {.zip64 = true, .prefix = "module."}, 0},
        {"FloatStorage", true, 0, {.within = "state_dict"}, 0},
        {"FloatStorage", true, 5, {.stream = true, .prefix = "_orig_mod.module."}, 0},
        {"FloatStorage", false, 0, {.stream = true, .within = "weights"}, 0},
        {"FloatStorage", false, 0, {.within = "ema", .beside = "model_state_dict"}, 0},
        {"FloatStorage", false, 0, {.protocol = 4}, 0},
        {"FloatStorage", false, 0, {.protocol = 5, .stream = true}, 0},
        {"DoubleStorage", true, 1, {.stream = true}, 0},
        {"HalfStorage", false, 0, {.prefix = "net."}, 1e-3},
        {"HalfStorage", true, 1, {0}, 1e-3},
        {"BFloat16Storage", false, 0, {.stream = true, .prefix = "module."}, 8e-3},
    };
    hmt_model *model = make(0.02, 3);

    for (size_t n = 0; n < sizeof cases / sizeof cases[0]; ++n) {
        hmt_model *loaded = NULL;
        state s;

        state_of(model, cases[n].class, cases[n].last, cases[n].offset, &s);
        s.tensors[1].parameter = true;
        save(&cases[n].recipe, &s);
        for (int32_t copy = 0; copy < 2; ++copy) {
            hmt_load_options o = HMT_LOAD_OPTIONS_INIT;

            o.map = !copy;
            CHECK_STATUS(hmt_model_load(NULL, path, &o, &loaded), HMT_OK);
            if (loaded == NULL)
                continue;
            CHECK(params_difference(model, loaded) <= cases[n].allowed);
            hmt_model_free(loaded);
            loaded = NULL;
        }
        state_free(&s);
    }
    hmt_model_free(model);
}

/* What PyTorch itself wrote, with what it predicts from it. */
static void pytorchs_own_files(void)
{
    static const char *const names[] = {"w16_plain_legacy", "w16_dataparallel_legacy",
                                        "w16_dataparallel_zip", "w16_nested_zip", "w16_half_zip"};
    static const char *const hostile[] = {"hostile_legacy", "hostile_zip"};
    const char *shared = test_shared();
    const int64_t shape[4] = {2, 3, 224, 224};
    float *images = malloc(2 * 3 * 224 * 224 * sizeof *images);
    char file[512];

    if (shared == NULL) {
        printf("skipped: checkpoints made by PyTorch are not here\n");
        free(images);
        return;
    }
    fill_tensor("input.checkpoint", 4, shape, images);
    for (size_t n = 0; n < sizeof names / sizeof names[0]; ++n) {
        const double allowed = n == 4 ? 4e-3 : 1e-5;
        hmt_session_options o = HMT_SESSION_OPTIONS_INIT;
        hmt_model *model = NULL;
        hmt_session *session = NULL;
        hmt_prediction p[2];
        float race[4];

        o.batch = 2;
        snprintf(file, sizeof file, "%s/checkpoints/%s.pth", shared, names[n]);
        CHECK_STATUS(hmt_model_load(NULL, file, NULL, &model), HMT_OK);
        CHECK_STATUS(hmt_session_create(model, &o, &session), HMT_OK);
        CHECK_STATUS(hmt_infer(session, images, 2, p), HMT_OK);
        CHECK_STATUS(hmt_session_logits(session, HMT_TASK_RACE, race, 4), HMT_OK);
        CHECK(fabs(p[0].score - -1.903874158859253) < 2.0 * allowed);
        CHECK(fabs(p[1].score - -1.3613791465759277) < 2.0 * allowed);
        CHECK(fabs(race[0] - 0.406899631023407) < allowed);
        CHECK(fabs(race[3] - 0.9836322665214539) < allowed);
        hmt_session_free(session);
        hmt_model_free(model);
    }
    for (size_t n = 0; n < sizeof hostile / sizeof hostile[0]; ++n) {
        hmt_model *model = NULL;

        snprintf(file, sizeof file, "%s/checkpoints/%s.pth", shared, hostile[n]);
        CHECK_STATUS(hmt_model_load(NULL, file, NULL, &model), HMT_ERROR_UNSUPPORTED);
        CHECK(model == NULL && strstr(hmt_last_error(), "posix.system") != NULL);
        CHECK(access("PWNED", F_OK) != 0);
    }
    free(images);
}

/* ---- taking over ---- */

/* A trunk whose last layer has other outputs, and one tensor of a batch norm's counter. */
static void what_fits_is_taken(void)
{
    static const int64_t counted = 7;
    hmt_model *trunk = make(0.02, 5), *model = make(0.02, 6), *before = make(0.02, 6);
    const size_t count = hmt_model_param_count(model);
    int32_t *taken = calloc(count, sizeof *taken);
    size_t kept = 0, fc8 = 0;
    hmt_session *session = NULL;
    hmt_prediction p;
    float *image = calloc(3 * 224 * 224, sizeof *image);
    state s;

    CHECK_STATUS(hmt_session_create(model, NULL, &session), HMT_OK);
    state_of(trunk, "FloatStorage", false, 0, &s);
    CHECK_STATUS(hmt_model_param_find(model, "fc8.weight", &fc8), HMT_OK);
    s.tensors[fc8].shape[0] = 1;
    s.tensors[fc8].shape[1] -= 1;
    free((void *)s.tensors[0].data);
    s.tensors[0] = (torch_tensor){.name = "bn49.num_batches_tracked",
                                  .storage_class = "LongStorage",
                                  .elements = 1,
                                  .data = &counted,
                                  .bytes = 8};
    save(&(torch_recipe){.prefix = "module."}, &s);
    CHECK_STATUS(hmt_model_import(model, path, taken, count), HMT_OK);
    for (size_t i = 0; i < count; ++i) {
        hmt_param_info info;
        float *now = read_param(model, i, &info);
        float *wanted = read_param(taken[i] ? trunk : before, i, &info);

        CHECK(memcmp(now, wanted, (size_t)info.count * sizeof *now) == 0);
        kept += !taken[i];
        free(now);
        free(wanted);
    }
    CHECK(kept == 2 && !taken[0] && !taken[fc8]);
    CHECK_STATUS(hmt_infer(session, image, 1, &p), HMT_ERROR_STATE);
    CHECK_STATUS(hmt_model_import(model, path, NULL, 0), HMT_OK);
    CHECK_STATUS(hmt_model_import(model, path, taken, count - 1), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_model_import(NULL, path, NULL, 0), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_model_import(model, NULL, NULL, 0), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_model_import(model, "/nonexistent.pth", NULL, 0), HMT_ERROR_NOT_FOUND);
    s.tensors[0].data = NULL; /* not ours */
    state_free(&s);
    hmt_session_free(session);
    hmt_model_free(trunk);
    hmt_model_free(model);
    hmt_model_free(before);
    free(taken);
    free(image);
}

static void nothing_is_half_taken(void)
{
    hmt_model *trunk = make(0.02, 5), *model = make(0.02, 6), *before = make(0.02, 6);
    hmt_model *other = make(0.03, 6);
    hmt_trainer *trainer = NULL;
    state s;

    state_of(trunk, "FloatStorage", false, 0, &s);
    s.tensors[s.count - 1].storage_class = "IntStorage"; /* fits, but cannot be read */
    save(&(torch_recipe){0}, &s);
    CHECK_STATUS(hmt_model_import(model, path, NULL, 0), HMT_ERROR_UNSUPPORTED);
    CHECK(strstr(hmt_last_error(), "has dtype I32") != NULL);
    CHECK(params_difference(model, before) == 0.0);
    s.tensors[s.count - 1].storage_class = "FloatStorage";
    s.tensors[s.count - 1].elements = 1 << 20; /* a damaged file */
    save(&(torch_recipe){0}, &s);
    CHECK_STATUS(hmt_model_import(model, path, NULL, 0), HMT_ERROR_FORMAT);
    CHECK(params_difference(model, before) == 0.0);
    state_free(&s);
    CHECK_STATUS(hmt_model_save(trunk, path, HMT_DTYPE_F32), HMT_OK);
    CHECK_STATUS(hmt_trainer_create(model, NULL, &trainer), HMT_OK);
    CHECK_STATUS(hmt_model_import(model, path, NULL, 0), HMT_ERROR_STATE);
    hmt_trainer_free(trainer);
    CHECK(params_difference(model, before) == 0.0);
    CHECK_STATUS(hmt_model_import(model, path, NULL, 0), HMT_OK); /* a safetensors file, too */
    CHECK(params_difference(model, trunk) == 0.0);
    CHECK_STATUS(hmt_model_save(other, path, HMT_DTYPE_F32), HMT_OK);
    hmt_model_free(other);
    other = make(0.2, 1);
    CHECK_STATUS(hmt_model_import(other, path, NULL, 0), HMT_OK); /* the heads' biases fit */
    hmt_model_free(trunk);
    hmt_model_free(model);
    hmt_model_free(before);
    hmt_model_free(other);
}

int main(void)
{
    snprintf(path, sizeof path, "/tmp/hmtnet-torch-%ld.pth", (long)getpid());
    whole_models_come_back();
    pytorchs_own_files();
    what_fits_is_taken();
    nothing_is_half_taken();
    remove(path);
    return test_finish();
}
