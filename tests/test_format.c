/*
 * What the safetensors reader and writer promise: round trips, a sentence for every kind of lie,
 * memory bounded by the file's length, and no crash on damaged bytes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "core/file.h"
#include "core/memory.h"
#include "core/random.h"
#include "core/status.h"
#include "counter.h"
#include "format/half.h"
#include "format/json.h"
#include "format/safetensors.h"

/* A file with this header and `data` bytes behind it, in memory. */
static unsigned char *blob(const char *header, size_t data, size_t *size)
{
    size_t length = strlen(header);
    unsigned char *bytes = calloc(1, 8 + length + data);

    for (int i = 0; i < 8; ++i)
        bytes[i] = (unsigned char)((uint64_t)length >> (8 * i));
    memcpy(bytes + 8, header, length);
    *size = 8 + length + data;
    return bytes;
}

static hmt_status open_and_close(const unsigned char *data, size_t size)
{
    tensors_index index;
    hmt_status status;

    status_clear();
    status = safetensors_open(&memory_default, data, size, "f", &index);
    CHECK(status == HMT_OK || (index.entries == NULL && hmt_last_error()[0] != '\0'));
    tensors_close(&index);
    return status;
}

#define T(dtype, shape, begin, end)                                                                \
    "{\"dtype\":\"" dtype "\",\"shape\":[" shape "],\"data_offsets\":[" #begin "," #end "]}"

static const struct {
    const char *header;
    size_t data;
    hmt_status status;
    const char *fragment;
} headers[] = {
    {"{}", 0, HMT_OK, ""},
    {"{\"a\":" T("F32", "2,3", 0, 24) "}", 24, HMT_OK, ""},
    {"{\"a\":" T("I64", "", 0, 8) "}   ", 8, HMT_OK, ""},
    {"{\"a\":" T("F32", "0,9223372036854775807,9223372036854775807", 0, 0) "}", 0, HMT_OK, ""},
    {"{\"b\":" T("F16", "1", 4, 6) ",\"a\":" T("F32", "1", 0, 4) "}", 6, HMT_OK, ""},
    {"{\"__metadata__\":{\"k\":\"\\u00e9\"}}", 0, HMT_OK, ""},
    {"{\"a\":" T("U8", "1", 0, 1) ",\"e\":" T("U8", "0", 1, 1) "}", 1, HMT_OK, ""},
    {" {}", 0, HMT_ERROR_FORMAT, "does not begin with '{' (byte 8)"},
    {"[]", 0, HMT_ERROR_FORMAT, "does not begin with '{'"},
    {"{}x", 0, HMT_ERROR_FORMAT, "something follows the end of the JSON value (byte 10)"},
    {"{\"a\":1}", 0, HMT_ERROR_FORMAT, "tensor 'a' lacks its dtype, shape or data_offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1,1,1]}}", 0, HMT_ERROR_UNSUPPORTED,
     "more than 8 dimensions"},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]           }}", 4, HMT_ERROR_FORMAT,
     "tensor 'a' has no shape"},
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]               }}", 4, HMT_ERROR_FORMAT,
     "tensor 'a' has no dtype"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1]      }}", 4, HMT_ERROR_FORMAT,
     "tensor 'a' has no data_offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
     HMT_ERROR_FORMAT, "tensor 'a' has two fields 'dtype'"},
    {"{\"a\":{\"dtype\":\"F32\",\"x\":0,\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
     HMT_ERROR_FORMAT, "tensor 'a' has the unknown field 'x'"},
    {"{\"a\":" T("F31", "1", 0, 4) "}", 4, HMT_ERROR_UNSUPPORTED,
     "tensor 'a' has the unknown dtype 'F31'"},
    {"{\"a\":" T("F32", "1.0", 0, 4) "}", 4, HMT_ERROR_FORMAT, "whole number"},
    {"{\"a\":" T("F32", "\"1\"", 0, 4) "}", 4, HMT_ERROR_FORMAT, "a number is expected"},
    {"{\"a\":" T("F32", "-1", 0, 4) "}", 4, HMT_ERROR_FORMAT, "tensor 'a' has the negative extent"},
    {"{\"a\":" T("F32", "4294967296,4294967296", 0, 0) "}", 0, HMT_ERROR_FORMAT,
     "the shape of tensor 'a' is larger than any file"},
    {"{\"a\":" T("F32", "4611686018427387904", 0, 0) "}", 0, HMT_ERROR_FORMAT, "larger than any"},
    {"{\"a\":" T("F32", "2", 0, 4) "}", 4, HMT_ERROR_FORMAT,
     "tensor 'a' has 4 bytes, but its shape and dtype F32 need 8"},
    {"{\"a\":" T("F32", "1", 0, 4) "}", 3, HMT_ERROR_FORMAT,
     "tensor 'a' ends at 4 of the data, which has only 3 bytes"},
    {"{\"a\":" T("F32", "1", 4, 0) "}", 4, HMT_ERROR_FORMAT,
     "tensor 'a' begins at 4 and ends at 0"},
    {"{\"a\":" T("F32", "1", -4, 0) "}", 4, HMT_ERROR_FORMAT, "tensor 'a' begins at -4"},
    {"{\"a\":" T("F32", "1", 0, 9223372036854775807) "}", 4, HMT_ERROR_FORMAT, "ends at 92233720"},
    {"{\"a\":" T("F32", "1", 0, 9223372036854775808) "}", 4, HMT_ERROR_FORMAT, "whole number"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4, HMT_ERROR_FORMAT,
     "tensor 'a' has 3 data offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[]    }}", 4, HMT_ERROR_FORMAT,
     "tensor 'a' has 0 data offsets"},
    {"{\"a\":" T("F32", "1", 0, 4) "}", 5, HMT_ERROR_FORMAT, "1 bytes follow the last tensor"},
    {"{}", 1, HMT_ERROR_FORMAT, "1 bytes follow the last tensor (byte 10)"},
    {"{\"a\":" T("F32", "1", 1, 5) "}", 5, HMT_ERROR_FORMAT, "before tensor 'a'"},
    {"{\"a\":" T("F32", "1", 0, 4) ",\"b\":" T("F32", "1", 5, 9) "}", 9, HMT_ERROR_FORMAT,
     "before tensor 'b'"},
    {"{\"a\":" T("F32", "1", 0, 4) ",\"b\":" T("F32", "1", 3, 7) "}", 7, HMT_ERROR_FORMAT,
     "tensor 'b' overlaps another one"},
    {"{\"a\":" T("F32", "1", 0, 4) ",\"b\":" T("F32", "1", 0, 4) "}", 4, HMT_ERROR_FORMAT,
     "overlaps another one"},
    {"{\"a\":" T("F32", "1", 0, 4) ",\"\\u0061\":" T("F32", "1", 4, 8) "}", 8, HMT_ERROR_FORMAT,
     "tensor 'a' stands twice"},
    {"{\"a\\u0000b\":" T("F32", "1", 0, 4) "}", 4, HMT_ERROR_FORMAT, "behind a zero byte"},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, HMT_ERROR_FORMAT, "a second __metadata__"},
    {"{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"}}", 0, HMT_ERROR_FORMAT,
     "the metadata key 'k' stands twice"},
    {"{\"__metadata__\":{\"k\":1}}", 0, HMT_ERROR_FORMAT, "'\"' is expected (byte 29)"},
    {"{\"__metadata__\":[]}", 0, HMT_ERROR_FORMAT, "'{' is expected"},
};

static void lies_are_named(void)
{
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; ++i) {
        size_t size;
        unsigned char *data = blob(headers[i].header, headers[i].data, &size);

        CHECK_STATUS(open_and_close(data, size), headers[i].status);
        if (strstr(hmt_last_error(), headers[i].fragment) == NULL)
            printf("expected '%s', found '%s'\n", headers[i].fragment, hmt_last_error());
        CHECK(strstr(hmt_last_error(), headers[i].fragment) != NULL);
        free(data);
    }
}

/* Where a message cuts a name short it stays UTF-8. */
static void messages_are_whole_characters(void)
{
    for (int shift = 0; shift < 2; ++shift) {
        char header[1000] = "{\"a";
        size_t size;
        unsigned char *data;

        header[2 + shift] = '\0';
        for (int i = 0; i < 400; ++i)
            strcat(header, "\xC3\xA4");
        strcat(header, "\":{}}");
        data = blob(header, 0, &size);
        CHECK_STATUS(open_and_close(data, size), HMT_ERROR_FORMAT);
        CHECK(json_utf8_valid(hmt_last_error(), strlen(hmt_last_error())));
        free(data);
    }
}

static void lengths_are_checked(void)
{
    unsigned char bytes[64] = {0};

    CHECK_STATUS(open_and_close(bytes, 0), HMT_ERROR_FORMAT);
    CHECK_STATUS(open_and_close(bytes, 9), HMT_ERROR_FORMAT);
    CHECK_STATUS(open_and_close(bytes, 64), HMT_ERROR_FORMAT); /* an empty header */
    bytes[0] = 57;
    CHECK_STATUS(open_and_close(bytes, 64), HMT_ERROR_FORMAT);
    CHECK(strstr(hmt_last_error(), "the header has 57 bytes, but the file ends after 56") != NULL);
    memset(bytes, 0xff, 8);
    CHECK_STATUS(open_and_close(bytes, 64), HMT_ERROR_FORMAT);
    CHECK(strstr(hmt_last_error(), "18446744073709551615 bytes, more than 100000000") != NULL);
    memcpy(bytes, "\x89PNG\r\n\x1a\n", 8);
    CHECK_STATUS(open_and_close(bytes, 64), HMT_ERROR_FORMAT);
    CHECK(strstr(hmt_last_error(), "not a safetensors file") != NULL);
}

/* The cheapest text for each thing that costs memory, many times over. */
static void memory_is_bounded(void)
{
    static const char *const units[] = {
        "\"%d\":0",
        "\"%d\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0,0]}",
        "\"%d\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
        "\"\":\"\"",
        "\"%d\":\"\"",
    };

    for (size_t u = 0; u < sizeof units / sizeof units[0]; ++u) {
        enum { COUNT = 20000 };
        counter c = {0, 0, 0, -1};
        hmt_allocator allocator = {counted_allocate, counted_release, &c};
        char *header = malloc(COUNT * 80);
        size_t at = (size_t)sprintf(header, u < 3 ? "{" : "{\"__metadata__\":{"), size;
        unsigned char *data;
        tensors_index index;

        for (int i = 0; i < COUNT; ++i) {
            if (i > 0)
                header[at++] = ',';
            at += (size_t)sprintf(header + at, units[u], i);
        }
        strcpy(header + at, u < 3 ? "}" : "}}");
        data = blob(header, 0, &size);
        status_clear();
        safetensors_open(&allocator, data, size, "f", &index);
        CHECK(c.bytes <= 6 * size + 256);
        CHECK(index.count == (u == 2 ? COUNT : 0));
        tensors_close(&index);
        CHECK(c.live == 0);
        free(data);
        free(header);
    }
}

static char path[] = "/tmp/hmtnet_format_XXXXXX";

static const float weights[6] = {1.0f, -2.5f, 0.333333343f, 65504.0f, 1e-7f, 0.0f};
static const float bias[3] = {3.0e38f, -0.0f, 1e-40f};

static const safetensors_tensor tensors[] = {
    {"conv1.bias", TENSORS_F32, 1, {3}, bias, NULL},
    {"conv1.weight", TENSORS_F16, 4, {1, 2, 3, 1}, weights, NULL},
    {"caf\xc3\xa9 \"\\\n", TENSORS_BF16, 2, {2, 3}, weights, NULL},
    {"scalar", TENSORS_F32, 0, {0}, weights, NULL},
    {"empty", TENSORS_F32, 2, {0, 7}, NULL, NULL},
};
static const tensors_pair pairs[] = {{"hmtnet.config", "{\"version\":1}", 13}, {"zero", "a\0b", 3}};

static safetensors_job sample(void)
{
    safetensors_job job = {tensors, sizeof tensors / sizeof tensors[0], pairs, 2, NULL, NULL, NULL,
                           NULL};
    return job;
}

static hmt_status save(const safetensors_job *job, const hmt_allocator *allocator)
{
    file_writer writer;
    hmt_status status;

    status_clear();
    status = file_writer_open(&writer, allocator, path);
    if (status == HMT_OK)
        status = safetensors_write(&writer, allocator, job);
    if (status == HMT_OK)
        status = file_writer_commit(&writer);
    file_writer_discard(&writer);
    return status;
}

static void check_sample(const tensors_index *index)
{
    const tensors_entry *entry = tensors_find(index, "conv1.weight");
    const tensors_pair *pair = tensors_metadata(index, "zero");
    float values[6];

    CHECK(index->count == 5 && index->metadata_count == 2);
    CHECK(entry != NULL && entry->rank == 4 && entry->shape[1] == 2 && entry->shape[2] == 3);
    CHECK(entry->shape[4] == 1 && entry->count == 6 && entry->bytes == 12);
    CHECK_STATUS(tensors_read(index, entry, values), HMT_OK);
    for (int i = 0; i < 6; ++i)
        CHECK(values[i] == half_from_f16(half_to_f16(weights[i])));
    CHECK_STATUS(tensors_read(index, tensors_find(index, tensors[2].name), values), HMT_OK);
    for (int i = 0; i < 6; ++i)
        CHECK(values[i] == half_from_bf16(half_to_bf16(weights[i])));
    entry = tensors_find(index, "conv1.bias");
    CHECK_STATUS(tensors_read(index, entry, values), HMT_OK);
    CHECK(memcmp(values, bias, sizeof bias) == 0);
    CHECK(tensors_in_place(index, entry) != NULL && entry->offset % 64 == 0);
    CHECK(memcmp(tensors_in_place(index, entry), bias, sizeof bias) == 0);
    entry = tensors_find(index, "empty");
    CHECK(entry != NULL && entry->count == 0 && entry->shape[0] == 0 && entry->shape[1] == 7);
    CHECK_STATUS(tensors_read(index, entry, values), HMT_OK);
    CHECK(tensors_find(index, "scalar")->count == 1);
    CHECK(tensors_find(index, "nothing") == NULL && tensors_find(index, "") == NULL);
    CHECK(pair != NULL && pair->value_size == 3 && memcmp(pair->value, "a\0b", 3) == 0);
    CHECK(tensors_metadata(index, "none") == NULL);
}

static void what_is_written_comes_back(void)
{
    safetensors_job job = sample();
    tensors_index index;
    file_map map;

    CHECK_STATUS(save(&job, &memory_default), HMT_OK);
    CHECK_STATUS(file_map_open(path, &map), HMT_OK);
    CHECK_STATUS(safetensors_open(&memory_default, map.data, map.size, path, &index), HMT_OK);
    check_sample(&index);
    tensors_close(&index);
    tensors_close(&index);
    file_map_close(&map);
}

/* Every prefix of a file, every byte changed in a few ways, and many random changes at once. */
static void damage_is_survived(void)
{
    unsigned char *data, *copy;
    size_t size;

    CHECK_STATUS(file_read(&memory_default, path, 1 << 20, &data, &size), HMT_OK);
    for (size_t n = 0; n < size; ++n) {
        copy = malloc(n > 0 ? n : 1); /* of its own, so that a read beyond it is seen */
        memcpy(copy, data, n);
        CHECK_STATUS(open_and_close(copy, n), HMT_ERROR_FORMAT);
        free(copy);
    }
    copy = malloc(size);
    for (uint64_t i = 0; i < 60000; ++i) {
        uint64_t changes = 1 + random_bits(5, i) % 4;

        memcpy(copy, data, size);
        for (uint64_t k = 0; k < changes; ++k) {
            uint64_t bits = random_bits(random_split(6, i), k);
            copy[(bits >> 8) % size] =
                bits & 1 ? (unsigned char)(bits >> 40) : (unsigned char)"{}[],:\"0\\9"[bits % 10];
        }
        open_and_close(copy, size);
    }
    free(copy);
    memory_free(&memory_default, data);
}

static void memory_that_fails_is_reported(void)
{
    safetensors_job job = sample();
    unsigned char *data;
    size_t size;
    hmt_status status = HMT_ERROR_MEMORY;

    CHECK_STATUS(file_read(&memory_default, path, 1 << 20, &data, &size), HMT_OK);
    for (int n = 0; status == HMT_ERROR_MEMORY && n < 100; ++n) {
        counter c = {0, 0, 0, n};
        hmt_allocator allocator = {counted_allocate, counted_release, &c};
        tensors_index index;

        status_clear();
        status = safetensors_open(&allocator, data, size, "f", &index);
        CHECK(status == HMT_OK || strstr(hmt_last_error(), "out of memory") != NULL);
        tensors_close(&index);
        CHECK(c.live == 0);
    }
    CHECK_STATUS(status, HMT_OK);
    status = HMT_ERROR_MEMORY;
    for (int n = 0; status == HMT_ERROR_MEMORY && n < 100; ++n) {
        counter c = {0, 0, 0, n};
        hmt_allocator allocator = {counted_allocate, counted_release, &c};

        status = save(&job, &allocator);
        CHECK(c.live == 0);
    }
    CHECK_STATUS(status, HMT_OK);
    memory_free(&memory_default, data);
}

static int cancel(void *user, const char *what, uint64_t done, uint64_t total)
{
    CHECK(strcmp(what, "save") == 0 && done <= total && total == 12 + 12 + 12 + 4);
    return done >= *(const uint64_t *)user;
}

static hmt_status fetch(void *user, size_t index, uint64_t first, size_t count, float *room,
                        const float **values)
{
    memcpy(room, tensors[index].values + first, count * sizeof *room);
    *values = room;
    return index == *(const size_t *)user ? status_fail(HMT_ERROR_BACKEND, "no values") : HMT_OK;
}

static void saving_can_be_refused(void)
{
    safetensors_job job = sample();
    safetensors_tensor large = {"big", TENSORS_F16, 1, {3}, bias, NULL};
    safetensors_tensor bad = {"bad", TENSORS_I64, 1, {1}, bias, NULL};
    uint64_t stop = 24;
    size_t failing = 3;
    tensors_pair latin = {"k", "\xe9", 1};

    job.progress = cancel;
    job.progress_user = &stop;
    CHECK_STATUS(save(&job, &memory_default), HMT_ERROR_CANCELLED);
    stop = 100;
    CHECK_STATUS(save(&job, &memory_default), HMT_OK);
    job.fetch = fetch;
    job.fetch_user = &failing;
    CHECK_STATUS(save(&job, &memory_default), HMT_ERROR_BACKEND);
    failing = 100;
    CHECK_STATUS(save(&job, &memory_default), HMT_OK);
    job = sample();
    job.metadata = &latin;
    job.metadata_count = 1;
    CHECK_STATUS(save(&job, &memory_default), HMT_ERROR_ARGUMENT);
    job = (safetensors_job){.tensors = &large, .tensor_count = 1};
    CHECK_STATUS(save(&job, &memory_default), HMT_ERROR_LIMIT);
    CHECK(strstr(hmt_last_error(), "tensor 'big' cannot be stored as F16: element 0 is 3e+38"));
    job.tensors = &bad;
    CHECK_STATUS(save(&job, &memory_default), HMT_ERROR_ARGUMENT);
    bad.dtype = TENSORS_F32;
    bad.shape[0] = -1;
    CHECK_STATUS(save(&job, &memory_default), HMT_ERROR_ARGUMENT);
    what_is_written_comes_back();
}

/* `shift` spaces move the data, so that it comes to lie at every address modulo 4. */
static void unaligned_and_other_dtypes(int shift)
{
    char header[256];
    size_t size;
    unsigned char *data;
    const float truth[2] = {1.5f, -3.25f}, *place;
    float values[2];
    tensors_index index;

    sprintf(header, "{\"b\":" T("F32", "2", 1, 9) ",\"a\":" T("U8", "", 0, 1) "}%*s", shift, "");
    data = blob(header, 9, &size);
    memcpy(data + size - 8, truth, 8);
    status_clear();
    CHECK_STATUS(safetensors_open(&memory_default, data, size, "f", &index), HMT_OK);
    CHECK(strcmp(index.entries[0].name, "b") == 0);
    CHECK_STATUS(tensors_read(&index, &index.entries[0], values), HMT_OK);
    CHECK(memcmp(values, truth, 8) == 0);
    place = tensors_in_place(&index, &index.entries[0]);
    CHECK(place == NULL ? (size - 8) % 4 != 0 : (size - 8) % 4 == 0 && place[1] == truth[1]);
    CHECK(tensors_in_place(&index, &index.entries[1]) == NULL);
    CHECK_STATUS(tensors_read(&index, &index.entries[1], values), HMT_ERROR_UNSUPPORTED);
    CHECK(strcmp(hmt_last_error(), "f: tensor 'a' has dtype U8; F32, F16, BF16 or F64 is needed") ==
          0);
    tensors_close(&index);
    free(data);
}

/* More elements than are converted at a time. */
static void long_tensors_come_back(void)
{
    enum { LONG = 30011 };
    static float values[LONG], back[LONG];
    safetensors_tensor three[] = {{"f32", TENSORS_F32, 1, {LONG}, values, NULL},
                                  {"f16", TENSORS_F16, 1, {LONG}, values, NULL},
                                  {"bf16", TENSORS_BF16, 1, {LONG}, values, NULL}};
    safetensors_job job = {.tensors = three, .tensor_count = 3};
    tensors_index index;
    unsigned char *data;
    size_t size;

    for (size_t i = 0; i < LONG; ++i)
        values[i] = (float)random_uniform(9, i);
    CHECK_STATUS(save(&job, &memory_default), HMT_OK);
    CHECK_STATUS(file_read(&memory_default, path, 1 << 20, &data, &size), HMT_OK);
    CHECK_STATUS(safetensors_open(&memory_default, data, size, path, &index), HMT_OK);
    for (size_t t = 0; t < 3; ++t) {
        const tensors_entry *entry = tensors_find(&index, three[t].name);

        CHECK_STATUS(tensors_read(&index, entry, back), HMT_OK);
        for (size_t i = 0; i < LONG; ++i)
            CHECK(back[i] == (t == 0   ? values[i]
                              : t == 1 ? half_from_f16(half_to_f16(values[i]))
                                       : half_from_bf16(half_to_bf16(values[i]))));
    }
    tensors_close(&index);
    memory_free(&memory_default, data);
}

/* Files that the reference implementation wrote. */
static void foreign_files_are_read(void)
{
    static const char *const names[] = {"w16.safetensors", "w16_bf16.safetensors"};
    const char *shared = test_shared();
    float bias_of[2][6];
    char name[4096];

    if (shared == NULL) {
        printf("skipped: the shared checkpoints are not there\n");
        return;
    }
    for (int i = 0; i < 2; ++i) {
        file_map map;
        tensors_index index;
        const tensors_entry *entry;

        snprintf(name, sizeof name, "%s/checkpoints/%s", shared, names[i]);
        status_clear();
        CHECK_STATUS(file_map_open(name, &map), HMT_OK);
        CHECK_STATUS(safetensors_open(&memory_default, map.data, map.size, name, &index), HMT_OK);
        entry = tensors_find(&index, "bn49.num_batches_tracked");
        CHECK(entry != NULL && entry->dtype == TENSORS_I64 && entry->count == 1);
        entry = tensors_find(&index, "conv1.bias");
        CHECK(entry != NULL && entry->count == 6);
        if (entry != NULL && entry->count == 6)
            CHECK_STATUS(tensors_read(&index, entry, bias_of[i]), HMT_OK);
        tensors_close(&index);
        file_map_close(&map);
    }
    for (int i = 0; i < 6; ++i)
        CHECK(half_from_bf16(half_to_bf16(bias_of[0][i])) == bias_of[1][i]);
}

int main(void)
{
    int descriptor = mkstemp(path);

    if (descriptor < 0)
        return 1;
    close(descriptor);
    lies_are_named();
    messages_are_whole_characters();
    lengths_are_checked();
    memory_is_bounded();
    what_is_written_comes_back();
    damage_is_survived();
    memory_that_fails_is_reported();
    saving_can_be_refused();
    for (int shift = 0; shift < 4; ++shift)
        unaligned_and_other_dtypes(shift);
    long_tensors_come_back();
    foreign_files_are_read();
    unlink(path);
    return test_finish();
}
