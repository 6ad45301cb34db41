/* tier: quick
 * links: torch_writer
 * What the reader of PyTorch checkpoints promises: a sentence for every kind of lie in either kind
 * of file, nothing run, and no crash on damaged bytes or where memory fails.
 */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "core/memory.h"
#include "core/random.h"
#include "core/status.h"
#include "counter.h"
#include "format/torch.h"
#include "torch_writer.h"

static const float numbers[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

static hmt_status open_and_close(const unsigned char *data, size_t size)
{
    tensors_index index;
    hmt_status status;

    status_clear();
    status = tensors_open(&memory_default, data, size, "f", NULL, &index);
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
            status = tensors_open(&allocator, bytes.data, bytes.size, "f", NULL, &index);
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

int main(void)
{
    shapes_that_lie_are_named();
    storages_that_lie_are_named();
    objects_that_lie_are_named();
    files_lie();
    members_end_within_the_archive();
    damage_is_survived();
    memory_that_fails_is_reported();
    repeated_dicts_cost_nothing();
    return test_finish();
}
