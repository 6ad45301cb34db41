/* Writes PyTorch checkpoints for tests (see torch_writer.h). */
#include "torch_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void torch_put(torch_bytes *out, const void *data, size_t size)
{
    if (out->size + size > out->room) {
        out->room = 2 * (out->size + size);
        out->data = realloc(out->data, out->room);
        if (out->data == NULL)
            abort();
    }
    if (size > 0)
        memcpy(out->data + out->size, data, size);
    out->size += size;
}

void torch_number(torch_bytes *out, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; ++i, value >>= 8)
        torch_put(out, &(unsigned char){(unsigned char)value}, 1);
}

void torch_release(torch_bytes *out)
{
    free(out->data);
    *out = (torch_bytes){NULL, 0, 0};
}

/* ---- pickles ---- */

static void put_op(torch_bytes *out, const char *codes)
{
    torch_put(out, codes, strlen(codes));
}

static void put_text(torch_bytes *out, const char *text)
{
    put_op(out, "X");
    torch_number(out, strlen(text), 4);
    torch_put(out, text, strlen(text));
}

static void put_int(torch_bytes *out, int64_t value)
{
    if (value >= 0 && value < 256) {
        put_op(out, "K");
        torch_number(out, (uint64_t)value, 1);
    } else if (value >= 0 && value < 65536) {
        put_op(out, "M");
        torch_number(out, (uint64_t)value, 2);
    } else if (value >= INT32_MIN && value <= INT32_MAX) {
        put_op(out, "J");
        torch_number(out, (uint64_t)value, 4);
    } else {
        put_op(out, "\x8a\x08");
        torch_number(out, (uint64_t)value, 8);
    }
}

static void put_global(torch_bytes *out, const char *module, const char *name)
{
    put_op(out, "c");
    put_op(out, module);
    put_op(out, "\n");
    put_op(out, name);
    put_op(out, "\n");
}

static void put_ints(torch_bytes *out, const int64_t *values, int count)
{
    put_op(out, "(");
    for (int i = 0; i < count; ++i)
        put_int(out, values[i]);
    put_op(out, "t");
}

static void key_of(const torch_tensor *tensor, size_t index, char key[32])
{
    snprintf(key, 32, "%zu", index);
    if (tensor->key != NULL)
        snprintf(key, 32, "%s", tensor->key);
}

static void put_tensor(torch_bytes *out, const torch_recipe *recipe, const torch_tensor *tensor,
                       size_t index)
{
    int64_t stride[9] = {0}, step = 1;
    bool dense = true;
    char key[32];

    key_of(tensor, index, key);
    for (int i = 0; i < tensor->rank; ++i)
        dense = dense && tensor->stride[i] == 0;
    for (int i = tensor->rank - 1; i >= 0; --i) {
        stride[i] = dense ? step : tensor->stride[i];
        step = (int64_t)((uint64_t)step * (uint64_t)tensor->shape[i]); /* shapes may lie */
    }
    if (tensor->parameter) {
        put_global(out, "torch._utils", "_rebuild_parameter");
        put_op(out, "(");
    }
    put_global(out, "torch._utils", "_rebuild_tensor_v2");
    put_op(out, "((");
    put_text(out, "storage");
    put_global(out, "torch", tensor->storage_class);
    put_text(out, key);
    put_text(out, "cpu");
    put_int(out, tensor->elements);
    put_op(out, recipe->stream ? "NtQ" : "tQ");
    put_int(out, tensor->offset);
    put_ints(out, tensor->shape, tensor->rank);
    put_ints(out, stride, tensor->rank);
    put_op(out, "\x89");
    put_global(out, "collections", "OrderedDict");
    put_op(out, ")R");
    if (tensor->bit != NULL) {
        put_op(out, "}");
        put_text(out, tensor->bit);
        put_op(out, "\x88s");
    }
    put_op(out, "tR");
    if (tensor->parameter) {
        put_op(out, "\x88");
        put_global(out, "collections", "OrderedDict");
        put_op(out, ")RtR");
    }
}

static void put_state(torch_bytes *out, const torch_recipe *recipe, const torch_tensor *tensors,
                      size_t count)
{
    if (recipe->list) {
        put_op(out, "]");
        return;
    }
    put_global(out, "collections", "OrderedDict");
    put_op(out, ")R(");
    for (size_t i = 0; i < count; ++i) {
        char name[128];

        snprintf(name, sizeof name, "%s%s", recipe->prefix != NULL ? recipe->prefix : "",
                 tensors[i].name);
        put_text(out, name);
        put_tensor(out, recipe, &tensors[i], i);
    }
    put_op(out, "u");
    /* As state_dict() does: its _metadata become the dict's state. */
    put_op(out, "}");
    put_text(out, "_metadata");
    put_op(out, "}sb");
}

static void put_object(torch_bytes *out, const torch_recipe *recipe, const torch_tensor *tensors,
                       size_t count)
{
    put_op(out, "\x80");
    torch_number(out, recipe->protocol != 0 ? (uint64_t)recipe->protocol : 2, 1);
    if (recipe->calls[0] != NULL) {
        put_global(out, recipe->calls[0], recipe->calls[1]);
        put_text(out, "true");
        put_op(out, "\x85R0");
    }
    if (recipe->within != NULL) {
        put_op(out, "}q\x01(");
        if (!recipe->list) { /* one outside the state dict */
            put_text(out, "best");
            put_tensor(out, recipe, tensors, 0);
        }
        put_text(out, "epoch");
        put_int(out, 70000);
        put_text(out, "loss");
        torch_put(out, "G\x3f\xe0\0\0\0\0\0\0", 9);
        put_text(out, recipe->within);
    }
    put_state(out, recipe, tensors, count);
    if (recipe->beside != NULL) {
        put_text(out, recipe->beside);
        put_state(out, recipe, tensors, count);
    }
    put_op(out, recipe->within != NULL ? "u." : ".");
}

/* Has an earlier tensor the same storage? */
static bool is_written(const torch_tensor *tensors, size_t index)
{
    for (size_t i = 0; i < index; ++i)
        if (tensors[index].key != NULL && tensors[i].key != NULL &&
            strcmp(tensors[index].key, tensors[i].key) == 0)
            return true;
    return false;
}

/* ---- the stream ---- */

void torch_write_object(torch_bytes *out, const torch_recipe *recipe, const torch_tensor *tensors,
                        size_t count)
{
    put_object(out, recipe, tensors, count);
    put_op(out, "\x80\x02](");
    for (size_t i = 0; i < count * (recipe->keys_twice ? 2 : 1); ++i) {
        char key[32];

        if (is_written(tensors, i % count))
            continue;
        key_of(&tensors[i % count], i % count, key);
        put_text(out, key);
    }
    put_op(out, "e.");
    for (size_t i = 0; i < count; ++i) {
        if (is_written(tensors, i))
            continue;
        torch_number(out, (uint64_t)tensors[i].elements, 8);
        torch_put(out, tensors[i].data, tensors[i].bytes);
    }
}

static void write_stream(torch_bytes *out, const torch_recipe *recipe, const torch_tensor *tensors,
                         size_t count)
{
    if (recipe->protocol >= 4)
        torch_put(out, "\x80\x04\x95\x0d\0\0\0\0\0\0\0", 11);
    else
        torch_put(out, "\x80\x02", 2);
    torch_put(out, "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 13);
    torch_put(out, "\x80\x02M\xe9\x03.", 6);
    torch_put(out, "\x80\x02}(", 4);
    put_text(out, "protocol_version");
    put_int(out, 1001);
    put_text(out, "little_endian");
    put_op(out, recipe->big_endian ? "\x89u." : "\x88u.");
    torch_write_object(out, recipe, tensors, count);
}

/* ---- the archive ---- */

typedef struct archive {
    torch_bytes *out;
    torch_bytes directory;
    uint64_t members;
    const torch_recipe *recipe;
} archive;

/* A stored member whose content begins at a multiple of 64 bytes, by means of an extra field. */
static void put_member(archive *a, const char *name, const void *data, size_t size)
{
    const uint64_t header = a->out->size, length = strlen(name);
    const uint64_t padding = (64 - (header + 30 + length + 4) % 64) % 64;
    const int wide = a->recipe->zip64;

    torch_number(a->out, 0x04034b50, 4);
    torch_number(a->out, 0, 4); /* version, flags */
    torch_number(a->out, a->recipe->compressed ? 8 : 0, 2);
    torch_number(a->out, 0, 8); /* time, date, checksum */
    torch_number(a->out, size, 4);
    torch_number(a->out, size, 4);
    torch_number(a->out, length, 2);
    torch_number(a->out, 4 + padding, 2);
    torch_put(a->out, name, length);
    torch_put(a->out, "FB", 2);
    torch_number(a->out, padding, 2);
    for (uint64_t i = 0; i < padding; ++i)
        torch_put(a->out, "Z", 1);
    torch_put(a->out, data, size);

    torch_number(&a->directory, 0x02014b50, 4);
    torch_number(&a->directory, 0, 6);
    torch_number(&a->directory, a->recipe->compressed ? 8 : 0, 2);
    torch_number(&a->directory, 0, 8);
    torch_number(&a->directory, wide ? UINT32_MAX : size, 4);
    torch_number(&a->directory, wide ? UINT32_MAX : size, 4);
    torch_number(&a->directory, length, 2);
    torch_number(&a->directory, wide ? 28 + 5 : 0, 2);
    torch_number(&a->directory, 0, 10);
    torch_number(&a->directory, wide ? UINT32_MAX : header, 4);
    torch_put(&a->directory, name, length);
    if (wide) {
        torch_put(&a->directory, "??\x01\0!", 5); /* another field first */
        torch_number(&a->directory, 1, 2);
        torch_number(&a->directory, 24, 2);
        torch_number(&a->directory, size, 8);
        torch_number(&a->directory, size, 8);
        torch_number(&a->directory, header, 8);
    }
    ++a->members;
}

static void finish_archive(archive *a)
{
    const uint64_t begin = a->out->size, size = a->directory.size;
    const bool wide = a->recipe->zip64;

    torch_put(a->out, a->directory.data, a->directory.size);
    if (wide) {
        const uint64_t record = a->out->size;

        torch_number(a->out, 0x06064b50, 4);
        torch_number(a->out, 44, 8);
        torch_number(a->out, 0, 12);
        torch_number(a->out, a->members, 8);
        torch_number(a->out, a->members, 8);
        torch_number(a->out, size, 8);
        torch_number(a->out, begin, 8);
        torch_number(a->out, 0x07064b50, 4);
        torch_number(a->out, 0, 4);
        torch_number(a->out, record, 8);
        torch_number(a->out, 1, 4);
    }
    torch_number(a->out, 0x06054b50, 4);
    torch_number(a->out, 0, 4);
    torch_number(a->out, wide ? UINT16_MAX : a->members, 2);
    torch_number(a->out, wide ? UINT16_MAX : a->members, 2);
    torch_number(a->out, wide ? UINT32_MAX : size, 4);
    torch_number(a->out, wide ? UINT32_MAX : begin, 4);
    torch_number(a->out, 7, 2);
    torch_put(a->out, "comment", 7);
    torch_release(&a->directory);
}

static void write_archive(torch_bytes *out, const torch_recipe *recipe, const torch_tensor *tensors,
                          size_t count)
{
    archive a = {.out = out, .recipe = recipe};
    torch_bytes object = {NULL, 0, 0};

    put_object(&object, recipe, tensors, count);
    put_member(&a, "faces/data.pkl", object.data, object.size);
    torch_release(&object);
    put_member(&a, "faces/byteorder", recipe->big_endian ? "big" : "little",
               recipe->big_endian ? 3 : 6);
    for (size_t i = 0; i < count; ++i) {
        char name[64], key[32];

        if (is_written(tensors, i))
            continue;
        key_of(&tensors[i], i, key);
        snprintf(name, sizeof name, "faces/data/%s", key);
        put_member(&a, name, tensors[i].data, tensors[i].bytes);
    }
    put_member(&a, "faces/version", "3\n", 2);
    finish_archive(&a);
}

void torch_write(torch_bytes *out, const torch_recipe *recipe, const torch_tensor *tensors,
                 size_t count)
{
    if (recipe->list)
        count = 0;
    if (recipe->stream)
        write_stream(out, recipe, tensors, count);
    else
        write_archive(out, recipe, tensors, count);
}
