/*
 * Writes PyTorch checkpoints for tests, as torch.save() does: byte by byte, so that any part can be
 * made to lie.
 */
#ifndef HMT_TESTS_TORCH_WRITER_H
#define HMT_TESTS_TORCH_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that grow. */
typedef struct torch_bytes {
    unsigned char *data; /* malloc's */
    size_t size, room;
} torch_bytes;

void torch_put(torch_bytes *out, const void *data, size_t size);
void torch_number(torch_bytes *out, uint64_t value, size_t bytes); /* little endian */
void torch_release(torch_bytes *out);

/* A tensor, and its storage; of tensors with the same key the first one writes it. What is checked
 * against each other by a reader can be set apart here. */
typedef struct torch_tensor {
    const char *name;
    const char *storage_class; /* "FloatStorage" */
    int rank;
    int64_t shape[9];
    int64_t stride[9]; /* all 0: dense */
    int64_t offset;
    int64_t elements; /* as the pickle says */
    const void *data;
    size_t bytes;    /* that the storage has */
    const char *key; /* of the storage; NULL: the tensor's number */
    bool parameter;  /* wrapped as an nn.Parameter */
    const char *bit; /* metadata that is set: "neg"; NULL: none */
} torch_tensor;

/* How a checkpoint is written. All zero: a zip archive whose object is the state dict. */
typedef struct torch_recipe {
    bool stream;          /* the format before PyTorch 1.6 */
    bool zip64;           /* 64-bit records */
    bool big_endian;      /* said, not done */
    bool compressed;      /* likewise */
    bool keys_twice;      /* a stream that lists its storages twice */
    int protocol;         /* 0: 2 */
    const char *within;   /* the state dict stands under this key, beside an "epoch" */
    const char *beside;   /* and the same under this one */
    const char *prefix;   /* of all names */
    const char *calls[2]; /* module and name of something that is called, too */
    bool list;            /* a list in the state dict's place */
} torch_recipe;

/* What a stream has behind its preface: the object's pickle, the storages' keys, the storages. */
void torch_write_object(torch_bytes *out, const torch_recipe *recipe, const torch_tensor *tensors,
                        size_t count);
void torch_write(torch_bytes *out, const torch_recipe *recipe, const torch_tensor *tensors,
                 size_t count);

#endif
