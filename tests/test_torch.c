/* tier: quick
 * links: torch_writer
 * What the reader of PyTorch checkpoints promises: whole models in either kind of file, a sentence
 * for every kind of lie, nothing run, memory bounded by the file's length, and no crash on damaged
 * bytes. And hmt_model_import(): what fits is taken, all or none.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "core/memory.h"
#include "core/random.h"
#include "core/status.h"
#include "counter.h"
#include "fill.h"
#include "format/half.h"
#include "format/pickle.h"
#include "format/torch.h"
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

static float *read_param(const hmt_model *model, size_t i, hmt_param_info *info)
{
    float *values;

    *info = (hmt_param_info)HMT_PARAM_INFO_INIT;
    CHECK_STATUS(hmt_model_param_info(model, i, info), HMT_OK);
    values = malloc((size_t)info->count * sizeof *values);
    CHECK_STATUS(hmt_model_param_read(model, i, values, (size_t)info->count), HMT_OK);
    return values;
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

/* The largest difference relative to a parameter's largest value. */
static double difference(const hmt_model *a, const hmt_model *b)
{
    double worst = 0.0;

    CHECK(hmt_model_param_count(a) == hmt_model_param_count(b));
    for (size_t i = 0; i < hmt_model_param_count(a); ++i) {
        hmt_param_info info;
        float *x = read_param(a, i, &info), *y = read_param(b, i, &info);
        double largest = 1e-30, off = 0.0;

        for (int64_t k = 0; k < info.count; ++k) {
            largest = fmax(largest, fabs(x[k]));
            off = fmax(off, fabs((double)x[k] - y[k]));
        }
        worst = fmax(worst, off / largest);
        free(x);
        free(y);
    }
    return worst;
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

            o.copy = copy;
            CHECK_STATUS(hmt_model_load(NULL, path, &o, &loaded), HMT_OK);
            if (loaded == NULL)
                continue;
            CHECK(difference(model, loaded) <= cases[n].allowed);
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

/* ---- lies ---- */

static const float numbers[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

static hmt_status open_and_close(const unsigned char *data, size_t size)
{
    tensors_index index;
    hmt_status status;

    status_clear();
    status = tensors_open(&memory_default, data, size, "f", &index);
    CHECK(status == HMT_OK || (index.entries == NULL && hmt_last_error()[0] != '\0'));
    tensors_close(&index);
    return status;
}

/* Opens a checkpoint of these two tensors, in both kinds of file. */
static void expect(torch_recipe recipe, torch_tensor first, torch_tensor second, hmt_status wanted,
                   const char *said)
{
    const torch_tensor tensors[2] = {first, second};

    for (int stream = 0; stream < 2; ++stream) {
        torch_bytes bytes = {NULL, 0, 0};

        recipe.stream = stream;
        torch_write(&bytes, &recipe, tensors, 2);
        CHECK_STATUS(open_and_close(bytes.data, bytes.size), wanted);
        CHECK(strstr(hmt_last_error(), said) != NULL);
        if (strstr(hmt_last_error(), said) == NULL)
            printf("'%s' is not in '%s'\n", said, hmt_last_error());
        torch_release(&bytes);
    }
}

/* A tensor of 3 x 4 numbers, and the same with something changed. */
static torch_tensor tensor(const char *name)
{
    return (torch_tensor){.name = name,
                          .storage_class = "FloatStorage",
                          .rank = 2,
                          .shape = {3, 4},
                          .elements = 12,
                          .data = numbers,
                          .bytes = sizeof numbers};
}

static torch_tensor shaped(torch_tensor t, int rank, int64_t a, int64_t b, int64_t c)
{
    t.rank = rank;
    memcpy(t.shape, (int64_t[9]){a, b, c, 1, 1, 1, 1, 1, 1}, sizeof t.shape);
    return t;
}

static torch_tensor strided(torch_tensor t, int64_t a, int64_t b, int64_t c)
{
    memcpy(t.stride, (int64_t[9]){a, b, c}, sizeof t.stride);
    return t;
}

static torch_tensor placed(torch_tensor t, int64_t offset, const char *key)
{
    t.offset = offset;
    t.key = key;
    return t;
}

static torch_tensor stored(torch_tensor t, const char *class, int64_t elements)
{
    t.storage_class = class;
    t.elements = elements;
    return t;
}

static void shapes_that_lie_are_named(void)
{
    const torch_recipe plain = {0};
    const torch_tensor a = tensor("a.weight"), b = tensor("b.weight");
    const torch_tensor beyond[] = {
        shaped(b, 2, 3, 5, 1),
        placed(b, 1, NULL),
        placed(b, INT64_MAX, NULL),
        shaped(b, 2, INT64_MAX, INT64_MAX, 1),
        strided(b, INT64_MAX, 1, 0),
        strided(b, 1, 4, 0),
        strided(shaped(b, 3, 1000, 1000, 1), 0, 0, 1 << 30),
    };

    for (size_t i = 0; i < sizeof beyond / sizeof beyond[0]; ++i)
        expect(plain, a, beyond[i], i == 6 ? HMT_ERROR_UNSUPPORTED : HMT_ERROR_FORMAT,
               i == 6 ? "is expanded" : "tensor 'b.weight' reaches beyond its storage");
    expect(plain, a, b, HMT_OK, "");
    expect(plain, a, strided(b, 1, 3, 0), HMT_OK, "");
    expect(plain, a, shaped(b, 2, 0, 4, 1), HMT_OK, "");
    expect(plain, a, shaped(b, 0, 1, 1, 1), HMT_OK, "");
    expect(plain, a, placed(b, -1, NULL), HMT_ERROR_FORMAT, "is not made from a storage");
    expect(plain, a, shaped(b, 2, -3, 4, 1), HMT_ERROR_FORMAT, "a shape or strides that cannot be");
    expect(plain, a, strided(b, -4, 1, 0), HMT_ERROR_FORMAT, "a shape or strides that cannot be");
    expect(plain, a, shaped(b, 9, 1, 3, 4), HMT_ERROR_FORMAT, "a shape or strides that cannot be");
    expect(plain, a, strided(shaped(b, 3, 9, 3, 4), 0, 4, 1), HMT_ERROR_UNSUPPORTED,
           "'b.weight' is expanded");
}

static void storages_that_lie_are_named(void)
{
    const torch_recipe plain = {0};
    const torch_tensor a = tensor("a.weight"), b = tensor("b.weight");
    const torch_tensor shared = placed(a, 0, "k");

    expect(plain, a, stored(b, "FloatStorage", 13), HMT_ERROR_FORMAT,
           "should have 13 elements of 4 bytes");
    expect(plain, a, stored(b, "FloatStorage", -12), HMT_ERROR_FORMAT,
           "something that is no storage");
    expect(plain, a, stored(b, "FloatStorage", INT64_MAX), HMT_ERROR_FORMAT, "which are not there");
    expect(plain, a, stored(b, "DoubleStorage", 12), HMT_ERROR_FORMAT,
           "should have 12 elements of 8 bytes");
    expect(plain, a, stored(b, "QuantStorage", 12), HMT_ERROR_UNSUPPORTED,
           "holds or calls torch.QuantStorage");
    expect(plain, shared, stored(placed(b, 0, "k"), "LongStorage", 12), HMT_ERROR_FORMAT,
           "storage k of the checkpoint has two sizes");
    expect(plain, shared, shaped(placed(b, 11, "k"), 2, 1, 1, 1), HMT_ERROR_UNSUPPORTED,
           "'b.weight' shares elements");
    expect(plain, shaped(shared, 2, 1, 4, 1), shaped(placed(b, 4, "k"), 2, 2, 4, 1), HMT_OK, "");
}

static void objects_that_lie_are_named(void)
{
    const torch_tensor a = tensor("a.weight"), b = tensor("b.weight");

    expect((torch_recipe){0}, a, a, HMT_ERROR_FORMAT, "'a.weight' stands twice");
    expect((torch_recipe){0}, a, tensor("b.\xff"), HMT_ERROR_FORMAT, "not UTF-8");
    expect((torch_recipe){.big_endian = true}, a, b, HMT_ERROR_UNSUPPORTED, "not little endian");
    expect((torch_recipe){.list = true}, a, b, HMT_ERROR_UNSUPPORTED, "is no dict");
    expect((torch_recipe){.within = "x", .list = true}, a, b, HMT_ERROR_UNSUPPORTED,
           "has no state dict");
    expect((torch_recipe){.within = "x", .beside = "y"}, a, b, HMT_ERROR_UNSUPPORTED,
           "2 dicts with tensors, none called state_dict");
    expect((torch_recipe){.calls = {"os", "system"}}, a, b, HMT_ERROR_UNSUPPORTED,
           "f: the checkpoint holds or calls os.system, which no state dict needs");
    expect((torch_recipe){.calls = {"torch", "Size"}}, a, b, HMT_OK, "");
    expect((torch_recipe){.protocol = 6}, a, b, HMT_ERROR_FORMAT, "only protocols 2 to 5");
}

/* What only one of the two kinds of file can say. */
static void files_lie(void)
{
    const torch_tensor a = tensor("a.weight");
    torch_bytes bytes = {NULL, 0, 0};
    unsigned char *at;

    torch_write(&bytes, &(torch_recipe){.compressed = true}, &a, 1);
    CHECK_STATUS(open_and_close(bytes.data, bytes.size), HMT_ERROR_UNSUPPORTED);
    CHECK(strstr(hmt_last_error(), "the checkpoint's member faces/data.pkl is compressed") != NULL);
    torch_release(&bytes);

    torch_write(&bytes, &(torch_recipe){.stream = true, .keys_twice = true}, &a, 1);
    CHECK_STATUS(open_and_close(bytes.data, bytes.size), HMT_ERROR_FORMAT);
    CHECK(strstr(hmt_last_error(), "or one twice") != NULL);
    torch_release(&bytes);

    torch_write(&bytes, &(torch_recipe){.stream = true}, &a, 1);
    bytes.data[18] = 0xe8; /* 1000 */
    CHECK_STATUS(open_and_close(bytes.data, bytes.size), HMT_ERROR_UNSUPPORTED);
    CHECK(strstr(hmt_last_error(), "another protocol than 1001") != NULL);
    torch_release(&bytes);

    torch_write(&bytes, &(torch_recipe){0}, &a, 1);
    at = memchr(bytes.data, 'd', bytes.size); /* of "faces/data.pkl" */
    *at = 'D';
    CHECK_STATUS(open_and_close(bytes.data, bytes.size), HMT_OK); /* the directory counts */
    for (at = bytes.data + bytes.size - 40; memcmp(at, "faces/version", 13) != 0; --at) {
    }
    memcpy(at, "faces/data/00", 13);
    CHECK_STATUS(open_and_close(bytes.data, bytes.size), HMT_OK);
    for (; memcmp(at, "faces/data.pkl", 14) != 0; --at) {
    }
    at[6] = 'D';
    CHECK_STATUS(open_and_close(bytes.data, bytes.size), HMT_ERROR_FORMAT);
    CHECK(strstr(hmt_last_error(), "no PyTorch checkpoint: no data.pkl in it") != NULL);
    torch_release(&bytes);
}

/* A directory that gives a member more bytes than the archive has. */
static void members_end_within_the_archive(void)
{
    const torch_tensor a =
        shaped(stored(tensor("a.weight"), "FloatStorage", 1 << 20), 1, 1 << 20, 1, 1);
    torch_bytes bytes = {NULL, 0, 0};
    unsigned char *entry;

    torch_write(&bytes, &(torch_recipe){0}, &a, 1);
    for (entry = bytes.data + bytes.size - 60; memcmp(entry + 46, "faces/data/0", 12) != 0;
         --entry) {
    }
    for (int i = 0; i < 2; ++i)
        memcpy(entry + 20 + 4 * i, "\0\0\x40\0", 4); /* both sizes, 4 MiB */
    CHECK_STATUS(open_and_close(bytes.data, bytes.size), HMT_ERROR_FORMAT);
    CHECK(strstr(hmt_last_error(), "the zip archive's member is damaged") != NULL);
    torch_release(&bytes);
}

/* ---- the pickle machine ---- */

#define PICKLE(bytes) bytes, sizeof bytes - 1

static void pickles_are_checked(void)
{
    static const struct {
        const char *bytes;
        size_t size;
        hmt_status status;
        const char *said;
    } cases[] = {
        {PICKLE("\x80\x02N."), HMT_OK, ""},
        {PICKLE("\x80\x05\x95\x01\0\0\0\0\0\0\0N."), HMT_OK, ""},
        {PICKLE("(K\x01K\x02t."), HMT_OK, ""},
        {PICKLE("(K\x01K\x02"
                "dN0."),
         HMT_OK, ""},
        {PICKLE("](K\x01K\x02"
                "e."),
         HMT_OK, ""},
        {PICKLE("]K\x01"
                "a."),
         HMT_OK, ""},
        {PICKLE("\x8f(K\x01\x90."), HMT_OK, ""},
        {PICKLE("}q\0(h\0h\0u."), HMT_OK, ""},
        {PICKLE("K\x07\x94h\0\x86."), HMT_OK, ""},
        {PICKLE("K\x07\x94\x86."), HMT_ERROR_FORMAT, "opcode 0x86 (byte 3): the stack has too"},
        {PICKLE("((K\x01"
                "1N."),
         HMT_OK, ""},
        {PICKLE("N2\x86."), HMT_OK, ""},
        {PICKLE("\x8c\x01m\x8c\x01n\x93)\x81."), HMT_OK, ""},
        {PICKLE("\x8c\x01m\x8c\x01n\x93)}\x92."), HMT_OK, ""},
        {PICKLE(""), HMT_ERROR_FORMAT, "f: the file ends within a pickle (byte 0)"},
        {PICKLE("N"), HMT_ERROR_FORMAT, "the file ends within a pickle (byte 1)"},
        {PICKLE("."), HMT_ERROR_FORMAT, "the stack has no value for it"},
        {PICKLE("(."), HMT_ERROR_FORMAT, "the stack has no value for it"},
        {PICKLE("0N."), HMT_ERROR_FORMAT, "the stack is empty"},
        {PICKLE("2."), HMT_ERROR_FORMAT, "opcode 0x32 (byte 0): the stack has no value for it"},
        {PICKLE("t."), HMT_ERROR_FORMAT, "the stack has no mark for it"},
        {PICKLE("1N."), HMT_ERROR_FORMAT, "the stack has no mark for it"},
        {PICKLE("(K\x01"
                "d."),
         HMT_ERROR_FORMAT, "a key without its value"},
        {PICKLE("}(K\x01u."), HMT_ERROR_FORMAT, "a key without its value"},
        {PICKLE("(N\x86."), HMT_ERROR_FORMAT, "too few values"},
        {PICKLE("}(Ns."), HMT_ERROR_FORMAT, "nothing that takes these items"},
        {PICKLE("(Ns."), HMT_ERROR_FORMAT, "nothing that takes these items"},
        {PICKLE("Ns."), HMT_ERROR_FORMAT, "too few values"},
        {PICKLE("NNs."), HMT_ERROR_FORMAT, "nothing that takes these items"},
        {PICKLE("N(NNu."), HMT_ERROR_FORMAT, "nothing that takes these items"},
        {PICKLE("](NNu."), HMT_ERROR_FORMAT, "nothing that takes these items"},
        {PICKLE("}N"
                "a."),
         HMT_ERROR_FORMAT, "nothing that takes these items"},
        {PICKLE("(e."), HMT_ERROR_FORMAT, "nothing that takes these items"},
        {PICKLE("h\0."), HMT_ERROR_FORMAT, "nothing has been kept under its number"},
        {PICKLE("Nq\x01h\0."), HMT_ERROR_FORMAT, "nothing has been kept"},
        {PICKLE("Nq\x02."), HMT_ERROR_FORMAT, "its number is larger than there are numbers"},
        {PICKLE("Nr\xff\xff\xff\xff."), HMT_ERROR_FORMAT, "its number is larger"},
        {PICKLE("j\xff\xff\xff\xff."), HMT_ERROR_FORMAT, "nothing has been kept"},
        {PICKLE("(q\0."), HMT_ERROR_FORMAT, "the stack has no value for it"},
        {PICKLE("NN\x93."), HMT_ERROR_FORMAT, "a global without a name"},
        {PICKLE("R."), HMT_ERROR_FORMAT, "the stack has no value"},
        {PICKLE("Q."), HMT_ERROR_FORMAT, "the stack has no value"},
        {PICKLE("b."), HMT_ERROR_FORMAT, "the stack has no value"},
        {PICKLE("X\xff\xff\xff\xff."), HMT_ERROR_FORMAT, "goes beyond the file's end"},
        {PICKLE("\x8d\xff\xff\xff\xff\xff\xff\xff\xffN."), HMT_ERROR_FORMAT, "beyond the file's"},
        {PICKLE("X\x01\0"), HMT_ERROR_FORMAT, "opcode 0x58 (byte 0) goes beyond the file's end"},
        {PICKLE("cos\nsystem."), HMT_ERROR_FORMAT, "beyond the file's end"},
        {PICKLE("\x80\x01N."), HMT_ERROR_FORMAT, "only protocols 2 to 5"},
        {PICKLE("I1\n."), HMT_ERROR_UNSUPPORTED, "opcode 0x49 (byte 0) is none of a pickle"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        unsigned char *copy = malloc(cases[i].size + 1); /* its own block: reads beyond are seen */
        pickle p;

        memcpy(copy, cases[i].bytes, cases[i].size);
        copy = realloc(copy, cases[i].size > 0 ? cases[i].size : 1);
        status_clear();
        CHECK_STATUS(pickle_read(&memory_default, copy, 0, cases[i].size, "f", &p),
                     cases[i].status);
        CHECK(strstr(hmt_last_error(), cases[i].said) != NULL);
        if (strstr(hmt_last_error(), cases[i].said) == NULL)
            printf("%zu: %s\n", i, hmt_last_error());
        CHECK((p.root != NULL) == (cases[i].status == HMT_OK));
        pickle_free(&p);
        free(copy);
    }
}

static void pickles_are_understood(void)
{
    static const char bytes[] = "\x80\x02(J\xfe\xff\xff\xffM\x01\x02\x8a\x02\xff\x7f\x8a\x01\xff"
                                "\x8a\x09\0\0\0\0\0\0\0\0\x01G\xbf\xf8\0\0\0\0\0\0"
                                "X\x02\0\0\0abU\x02"
                                "cdt.";
    static const int64_t integers[] = {-2, 513, 32767, -1};
    pickle p;

    CHECK_STATUS(
        pickle_read(&memory_default, (const unsigned char *)bytes, 0, sizeof bytes - 1, "f", &p),
        HMT_OK);
    CHECK(p.root->kind == PICKLE_LIST && p.root->size == 8 && p.end == sizeof bytes - 1);
    for (size_t i = 0; i < 4; ++i)
        CHECK(pickle_at(p.root, i)->kind == PICKLE_INT &&
              pickle_at(p.root, i)->integer == integers[i]);
    CHECK(pickle_at(p.root, 4)->kind == PICKLE_LONG && pickle_at(p.root, 4)->size == 9);
    CHECK(pickle_at(p.root, 5)->kind == PICKLE_FLOAT && pickle_at(p.root, 5)->number == -1.5);
    CHECK(pickle_text_is(pickle_at(p.root, 6), "ab") && pickle_text_is(pickle_at(p.root, 7), "cd"));
    CHECK(pickle_at(p.root, 8) == NULL && pickle_at(pickle_at(p.root, 0), 0) == NULL);
    pickle_free(&p);
}

/* ---- damage, memory ---- */

static void sample(torch_bytes *bytes, bool stream, bool zip64)
{
    const torch_tensor tensors[] = {
        strided(tensor("module.a.weight"), 1, 3, 0),
        {.name = "module.b.weight",
         .storage_class = "HalfStorage",
         .rank = 1,
         .shape = {5},
         .elements = 5,
         .data = numbers,
         .bytes = 10,
         .parameter = true},
        tensor("module.c.weight"),
    };

    torch_write(bytes, &(torch_recipe){.stream = stream, .zip64 = zip64, .within = "state_dict"},
                tensors, 3);
}

static void damage_is_survived(void)
{
    for (int kind = 0; kind < 3; ++kind) {
        torch_bytes bytes = {NULL, 0, 0};
        unsigned char *copy;

        sample(&bytes, kind == 2, kind == 1);
        CHECK_STATUS(open_and_close(bytes.data, bytes.size), HMT_OK);
        for (size_t n = 0; n < bytes.size; ++n) {
            copy = malloc(n > 0 ? n : 1); /* its own, so that a read beyond it is seen */
            memcpy(copy, bytes.data, n);
            CHECK(open_and_close(copy, n) != HMT_OK);
            free(copy);
        }
        copy = malloc(bytes.size);
        for (uint64_t i = 0; i < 40000; ++i) {
            const uint64_t changes = 1 + random_bits(7, i) % 3;

            memcpy(copy, bytes.data, bytes.size);
            for (uint64_t k = 0; k < changes; ++k) {
                const uint64_t bits = random_bits(random_split(8, i), k);

                copy[(bits >> 8) % bytes.size] = bits & 1
                                                     ? (unsigned char)(bits >> 40)
                                                     : (unsigned char)"(t.Qh}u)R\xff"[bits % 10];
            }
            open_and_close(copy, bytes.size);
        }
        free(copy);
        torch_release(&bytes);
    }
}

/* Opcodes that cost memory, many times over. */
static void memory_is_bounded(void)
{
    static const char *const units[] = {"N", ")", "(", "}q\1", "K\1\x85", "h\1", "2"};
    enum { COUNT = 50000 };

    for (size_t u = 0; u < sizeof units / sizeof units[0]; ++u) {
        counter c = {0, 0, 0, -1};
        const hmt_allocator allocator = {counted_allocate, counted_release, &c};
        torch_bytes bytes = {NULL, 0, 0};
        pickle p;

        torch_put(&bytes, "\x80\x02Nq\1", 5);
        for (int i = 0; i < COUNT; ++i)
            torch_put(&bytes, units[u], strlen(units[u]));
        torch_put(&bytes, "N.", 2);
        status_clear();
        CHECK_STATUS(pickle_read(&allocator, bytes.data, 0, bytes.size, "f", &p), HMT_OK);
        CHECK(c.bytes <= 96 * bytes.size + 256);
        pickle_free(&p);
        CHECK(c.live == 0);
        torch_release(&bytes);
    }
}

static void too_many_values_are_refused(void)
{
    torch_bytes bytes = {NULL, 0, 0};
    pickle p;

    for (int i = 0; i < PICKLE_MAX_VALUES; ++i)
        torch_put(&bytes, ")", 1);
    torch_put(&bytes, ".", 1);
    CHECK_STATUS(pickle_read(&memory_default, bytes.data, 0, bytes.size, "f", &p), HMT_ERROR_LIMIT);
    pickle_free(&p);
    torch_release(&bytes);
}

static void memory_that_fails_is_reported(void)
{
    for (int stream = 0; stream < 2; ++stream) {
        torch_bytes bytes = {NULL, 0, 0};
        hmt_status status = HMT_ERROR_MEMORY;

        sample(&bytes, stream, false);
        for (int n = 0; status == HMT_ERROR_MEMORY && n < 100; ++n) {
            counter c = {0, 0, 0, n};
            const hmt_allocator allocator = {counted_allocate, counted_release, &c};
            tensors_index index;

            status_clear();
            status = tensors_open(&allocator, bytes.data, bytes.size, "f", &index);
            CHECK(status == HMT_OK || strstr(hmt_last_error(), "out of memory") != NULL);
            tensors_close(&index);
            CHECK(c.live == 0);
        }
        CHECK_STATUS(status, HMT_OK);
        torch_release(&bytes);
    }
}

/* One dict, a hundred thousand times under other keys. */
static void repeated_dicts_cost_nothing(void)
{
    torch_bytes bytes = {NULL, 0, 0}, whole = {NULL, 0, 0};
    enum { ITEMS = 200000, TIMES = 100000 };

    torch_put(&whole, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 15);
    torch_put(&whole, "\x80\x02M\xe9\x03.", 6);
    torch_put(&whole, "\x80\x02}X\x0d\0\0\0little_endian\x88s.", 24);
    torch_put(&bytes, "\x80\x02}(Nq\0}q\1(", 11);
    for (int i = 0; i < ITEMS; ++i)
        torch_put(&bytes, "h\0h\0", 4);
    torch_put(&bytes, "u", 1);
    for (int i = 0; i < TIMES; ++i)
        torch_put(&bytes, "h\0h\1", 4);
    torch_put(&bytes, "u.\x80\x02].", 6);
    torch_put(&whole, bytes.data, bytes.size);
    CHECK_STATUS(open_and_close(whole.data, whole.size), HMT_ERROR_LIMIT);
    CHECK(strstr(hmt_last_error(), "names too many dicts") != NULL);
    torch_release(&bytes);
    torch_release(&whole);
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
    CHECK(difference(model, before) == 0.0);
    s.tensors[s.count - 1].storage_class = "FloatStorage";
    s.tensors[s.count - 1].elements = 1 << 20; /* a damaged file */
    save(&(torch_recipe){0}, &s);
    CHECK_STATUS(hmt_model_import(model, path, NULL, 0), HMT_ERROR_FORMAT);
    CHECK(difference(model, before) == 0.0);
    state_free(&s);
    CHECK_STATUS(hmt_model_save(trunk, path, HMT_DTYPE_F32), HMT_OK);
    CHECK_STATUS(hmt_trainer_create(model, NULL, &trainer), HMT_OK);
    CHECK_STATUS(hmt_model_import(model, path, NULL, 0), HMT_ERROR_STATE);
    hmt_trainer_free(trainer);
    CHECK(difference(model, before) == 0.0);
    CHECK_STATUS(hmt_model_import(model, path, NULL, 0), HMT_OK); /* a safetensors file, too */
    CHECK(difference(model, trunk) == 0.0);
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
    pickles_are_checked();
    pickles_are_understood();
    shapes_that_lie_are_named();
    storages_that_lie_are_named();
    objects_that_lie_are_named();
    files_lie();
    members_end_within_the_archive();
    damage_is_survived();
    memory_is_bounded();
    too_many_values_are_refused();
    memory_that_fails_is_reported();
    repeated_dicts_cost_nothing();
    whole_models_come_back();
    pytorchs_own_files();
    what_fits_is_taken();
    nothing_is_half_taken();
    remove(path);
    return test_finish();
}
