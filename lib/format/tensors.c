/*
 * What an opened index of tensors is asked: dtypes, look-up by name, and tensor data as float32, in
 * place or converted; and what the readers of all formats share. The ranges that are read here were
 * checked when the index was opened.
 */
#include <string.h>

#include "core/memory.h"
#include "core/sort.h"
#include "core/status.h"
#include "format/foreign.h"
#include "format/half.h"
#include "format/little_endian.h"
#include "format/safetensors.h"
#include "format/tensors.h"
#include "format/torch.h"

enum {
    CHUNK = 1024 /* elements converted at a time, on the stack */
};

static const struct {
    const char *name;
    size_t size;
} dtypes[TENSORS_DTYPE_COUNT] = {
    [TENSORS_F32] = {"F32", 4},         [TENSORS_F16] = {"F16", 2},
    [TENSORS_BF16] = {"BF16", 2},       [TENSORS_F64] = {"F64", 8},
    [TENSORS_I64] = {"I64", 8},         [TENSORS_I32] = {"I32", 4},
    [TENSORS_I16] = {"I16", 2},         [TENSORS_I8] = {"I8", 1},
    [TENSORS_U64] = {"U64", 8},         [TENSORS_U32] = {"U32", 4},
    [TENSORS_U16] = {"U16", 2},         [TENSORS_U8] = {"U8", 1},
    [TENSORS_BOOL] = {"BOOL", 1},       [TENSORS_F8_E4M3] = {"F8_E4M3", 1},
    [TENSORS_F8_E5M2] = {"F8_E5M2", 1}, [TENSORS_F8_E8M0] = {"F8_E8M0", 1},
    [TENSORS_C64] = {"C64", 8},
};

const char *tensors_dtype_name(tensors_dtype dtype)
{
    return dtypes[dtype].name;
}

size_t tensors_dtype_size(tensors_dtype dtype)
{
    return dtypes[dtype].size;
}

static int compare_name(const void *name, const void *entry)
{
    return strcmp(name, ((const tensors_entry *)entry)->name);
}

const tensors_entry *tensors_find(const tensors_index *index, const char *name)
{
    return sort_find(index->order, index->count, name, compare_name);
}

const tensors_pair *tensors_metadata(const tensors_index *index, const char *key)
{
    for (size_t i = 0; i < index->metadata_count; ++i)
        if (strcmp(index->metadata[i].key, key) == 0)
            return &index->metadata[i];
    return NULL;
}

bool tensors_has_shape(const tensors_entry *entry, const int64_t shape[4])
{
    return entry->rank <= 4 && memcmp(entry->shape, shape, 4 * sizeof *shape) == 0;
}

const float *tensors_in_place(const tensors_index *index, const tensors_entry *entry)
{
    const unsigned char *data = index->data;

    if (data == NULL || entry->dtype != TENSORS_F32 || entry->strided || entry->negated ||
        !half_little_endian())
        return NULL;
    data += entry->offset;
    return (uintptr_t)data % sizeof(float) == 0 ? (const float *)(const void *)data : NULL;
}

bool tensors_is_narrow(const tensors_entry *entry)
{
    const bool half = entry->dtype == TENSORS_F16 || entry->dtype == TENSORS_BF16;

    return entry->rank >= 2 && !entry->strided && !entry->negated &&
           (entry->dtype == TENSORS_I8 || (half && half_little_endian()));
}

const void *tensors_narrow(const tensors_index *index, const tensors_entry *entry)
{
    const unsigned char *data = index->data;

    if (data == NULL || !tensors_is_narrow(entry))
        return NULL;
    data += entry->offset;
    return (uintptr_t)data % tensors_dtype_size(entry->dtype) == 0 ? data : NULL;
}

hmt_status tensors_copy(const tensors_index *index, const tensors_entry *entry, void *bytes)
{
    if (index->data == NULL)
        return file_reader_read(index->file, entry->offset, bytes, (size_t)entry->bytes);
    memcpy(bytes, index->data + entry->offset, (size_t)entry->bytes);
    return HMT_OK;
}

/* Where the bytes are, or a copy of them in *block, which the caller frees. */
static hmt_status fetch(const tensors_index *index, const tensors_entry *entry,
                        const unsigned char **data, void **block)
{
    hmt_status status;

    *block = NULL;
    *data = index->data;
    if (*data != NULL) {
        *data += entry->offset;
        return HMT_OK;
    }
    status = memory_uninitialised(index->allocator, (size_t)entry->bytes, 1, entry->name, block);
    if (status == HMT_OK)
        status = tensors_copy(index, entry, *block);
    *data = *block;
    return status;
}

static void read_f32(const unsigned char *data, float *values, size_t count)
{
    if (half_little_endian()) {
        memcpy(values, data, count * sizeof *values);
        return;
    }
    for (size_t i = 0; i < count; ++i)
        values[i] = half_float((uint32_t)little_endian(data + 4 * i, 4));
}

static void read_f64(const unsigned char *data, float *values, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        const uint64_t bits = little_endian(data + 8 * i, 8);
        double value;

        memcpy(&value, &bits, sizeof value);
        values[i] = (float)value;
    }
}

static void read_half(tensors_dtype dtype, const unsigned char *data, float *values, size_t count)
{
    uint16_t chunk[CHUNK];

    for (size_t done = 0, n; done < count; done += n) {
        n = count - done < CHUNK ? count - done : CHUNK;
        for (size_t i = 0; i < n; ++i)
            chunk[i] = (uint16_t)little_endian(data + 2 * (done + i), 2);
        if (dtype == TENSORS_F16)
            half_array_from_f16(chunk, values + done, n);
        else
            half_array_from_bf16(chunk, values + done, n);
    }
}

/* Dense data of a dtype that is converted. */
static void read_dense(tensors_dtype dtype, const unsigned char *data, float *values, size_t count)
{
    if (dtype == TENSORS_F32)
        read_f32(data, values, count);
    else if (dtype == TENSORS_F64)
        read_f64(data, values, count);
    else
        read_half(dtype, data, values, count);
}

/* Rows along the last dimension, each gathered in pieces. */
static void read_strided(const tensors_entry *entry, const unsigned char *data, float *values)
{
    const size_t element = tensors_dtype_size(entry->dtype), last = (size_t)entry->rank - 1;
    unsigned char piece[CHUNK * 8];
    int64_t at[TENSORS_MAX_RANK] = {0};

    for (uint64_t done = 0; done < entry->count;) {
        const unsigned char *row = data;
        size_t n = 0, axis = last;

        for (size_t i = 0; i <= last; ++i)
            row += (size_t)(at[i] * entry->stride[i]) * element;
        for (; n < CHUNK && at[last] < entry->shape[last]; ++n, ++at[last]) {
            memcpy(piece + n * element, row, element);
            row += (size_t)entry->stride[last] * element;
        }
        read_dense(entry->dtype, piece, values + done, n);
        done += n;
        for (; axis > 0 && at[axis] == entry->shape[axis]; ++at[--axis])
            at[axis] = 0;
    }
}

hmt_status tensors_check_dtype(const tensors_index *index, const tensors_entry *entry)
{
    if (entry->dtype <= TENSORS_F64)
        return HMT_OK;
    return status_fail(HMT_ERROR_UNSUPPORTED,
                       "%s: tensor '%s' has dtype %s; F32, F16, BF16 or F64 is needed", index->what,
                       entry->name, tensors_dtype_name(entry->dtype));
}

hmt_status tensors_read(const tensors_index *index, const tensors_entry *entry, float *values)
{
    const unsigned char *data;
    void *block = NULL;
    hmt_status status = tensors_check_dtype(index, entry);

    if (status != HMT_OK || entry->count == 0)
        return status;
    if (entry->dtype == TENSORS_F32 && !entry->strided && !entry->negated && half_little_endian())
        return tensors_copy(index, entry, values);
    status = fetch(index, entry, &data, &block);
    if (status == HMT_OK && entry->strided)
        read_strided(entry, data, values);
    else if (status == HMT_OK)
        read_dense(entry->dtype, data, values, (size_t)entry->count);
    for (uint64_t i = 0; status == HMT_OK && entry->negated && i < entry->count; ++i)
        values[i] = -values[i];
    memory_free(index->allocator, block);
    return status;
}

static void scale_rows(const tensors_entry *entry, const unsigned char *data,
                       const unsigned char *scale, float *values)
{
    const size_t row = entry->shape[0] > 0 ? (size_t)entry->count / (size_t)entry->shape[0] : 0;

    for (int64_t o = 0; o < entry->shape[0]; ++o, scale += sizeof(float)) {
        float factor;

        read_f32(scale, &factor, 1);
        for (size_t i = 0; i < row; ++i)
            *values++ = (float)((data[i] ^ 0x80) - 0x80) * factor;
        data += row;
    }
}

hmt_status tensors_read_scaled(const tensors_index *index, const tensors_entry *entry,
                               const tensors_entry *scales, float *values)
{
    const unsigned char *data, *scale;
    void *block = NULL, *scale_block = NULL;
    hmt_status status = fetch(index, entry, &data, &block);

    if (status == HMT_OK)
        status = fetch(index, scales, &scale, &scale_block);
    if (status == HMT_OK)
        scale_rows(entry, data, scale, values);
    memory_free(index->allocator, block);
    memory_free(index->allocator, scale_block);
    return status;
}

/* ---- for the readers of formats ---- */

/* Refuses what cannot be a safetensors file, and a state dict that one has not. */
static hmt_status check_safetensors(const unsigned char *head, size_t size, const char *what,
                                    const char *state_dict)
{
    hmt_status status = foreign_check(head, size, what);

    if (status == HMT_OK && state_dict != NULL)
        status = status_fail(HMT_ERROR_NOT_FOUND,
                             "%s: has no state dict \"%.60s\": it is no PyTorch checkpoint", what,
                             state_dict);
    return status;
}

hmt_status tensors_open(const hmt_allocator *allocator, const unsigned char *data, size_t size,
                        const char *what, const char *state_dict, tensors_index *index)
{
    hmt_status status;

    memset(index, 0, sizeof *index);
    if (torch_is(data, size))
        return torch_open(allocator, data, size, what, state_dict, index);
    status = check_safetensors(data, size, what, state_dict);
    return status == HMT_OK ? safetensors_open(allocator, data, size, what, index) : status;
}

/* The header of a safetensors file. */
static hmt_status open_header(const hmt_allocator *allocator, const file_reader *file,
                              const unsigned char *head, size_t head_size, tensors_index *index)
{
    const size_t size = safetensors_header_size(head, head_size, file->size);
    void *block = NULL;
    hmt_status status = memory_uninitialised(allocator, size, 1, "a file's header", &block);

    if (status == HMT_OK)
        status = file_reader_read(file, 0, block, size);
    if (status == HMT_OK)
        status = safetensors_open(allocator, block, (size_t)file->size, file->path, index);
    memory_free(allocator, block);
    if (status == HMT_OK) {
        index->data = NULL;
        index->file = file;
    }
    return status;
}

/* A PyTorch checkpoint, whose parts lie all over the file. */
static hmt_status open_whole(const hmt_allocator *allocator, const file_reader *file,
                             const char *state_dict, tensors_index *index)
{
    const size_t size = (size_t)file->size;
    void *block = NULL;
    hmt_status status = memory_uninitialised(allocator, size, 1, "a checkpoint", &block);

    if (status == HMT_OK)
        status = file_reader_read(file, 0, block, size);
    if (status == HMT_OK)
        status = torch_open(allocator, block, size, file->path, state_dict, index);
    if (status == HMT_OK)
        index->block = block;
    else
        memory_free(allocator, block);
    return status;
}

hmt_status tensors_open_file(const hmt_allocator *allocator, const file_reader *file,
                             const char *state_dict, tensors_index *index)
{
    unsigned char head[FOREIGN_HEAD];
    const size_t size = file->size < sizeof head ? (size_t)file->size : sizeof head;
    hmt_status status = file_reader_read(file, 0, head, size);

    memset(index, 0, sizeof *index);
    if (status != HMT_OK)
        return status;
    if (file->size > PTRDIFF_MAX)
        return status_fail(HMT_ERROR_LIMIT, "%s is larger than the memory of this machine",
                           file->path);
    if (torch_is(head, size))
        return open_whole(allocator, file, state_dict, index);
    status = check_safetensors(head, size, file->path, state_dict);
    return status == HMT_OK ? open_header(allocator, file, head, size, index) : status;
}

void tensors_close(tensors_index *index)
{
    if (index->allocator == NULL)
        return;
    memory_free(index->allocator, index->block);
    memory_free(index->allocator, index->entries);
    memory_free(index->allocator, index->metadata);
    memory_free(index->allocator, (void *)index->order);
    memory_free(index->allocator, index->names);
    memset(index, 0, sizeof *index);
}

hmt_status tensors_allocate(tensors_index *index, size_t count, size_t pairs, size_t string_bytes)
{
    size_t order = count > pairs ? count : pairs;
    void *block;
    hmt_status status = memory_zeroed(index->allocator, count, sizeof *index->entries,
                                      "an index of tensors", &block);

    index->entries = block;
    if (status != HMT_OK)
        return status;
    status = memory_zeroed(index->allocator, pairs, sizeof *index->metadata, "metadata", &block);
    index->metadata = block;
    if (status != HMT_OK)
        return status;
    status =
        memory_zeroed(index->allocator, order, sizeof *index->order, "an index of tensors", &block);
    index->order = block;
    if (status != HMT_OK)
        return status;
    status = memory_zeroed(index->allocator, string_bytes, 1, "tensor names", &block);
    index->names = block;
    index->count = count;
    index->metadata_count = pairs;
    return status;
}

static int by_name(const void *a, const void *b)
{
    return compare_name(((const tensors_entry *)a)->name, b);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const tensors_pair *)a)->key, ((const tensors_pair *)b)->key);
}

static int by_offset(const void *left, const void *right)
{
    const tensors_entry *a = left, *b = right;

    if (a->offset != b->offset)
        return a->offset < b->offset ? -1 : 1;
    return (a->bytes > b->bytes) - (a->bytes < b->bytes); /* empty ones first */
}

void tensors_order_by_offset(tensors_index *index)
{
    for (size_t i = 0; i < index->count; ++i)
        index->order[i] = &index->entries[i];
    sort_pointers(index->order, index->count, by_offset);
}

hmt_status tensors_order_by_name(tensors_index *index)
{
    for (size_t i = 0; i < index->metadata_count; ++i)
        index->order[i] = &index->metadata[i];
    sort_pointers(index->order, index->metadata_count, by_key);
    for (size_t i = 1; i < index->metadata_count; ++i)
        if (by_key(index->order[i - 1], index->order[i]) == 0)
            return status_fail(HMT_ERROR_FORMAT, "%s: the metadata key '%s' stands twice",
                               index->what, ((const tensors_pair *)index->order[i])->key);

    for (size_t i = 0; i < index->count; ++i)
        index->order[i] = &index->entries[i];
    sort_pointers(index->order, index->count, by_name);
    for (size_t i = 1; i < index->count; ++i)
        if (by_name(index->order[i - 1], index->order[i]) == 0)
            return status_fail(HMT_ERROR_FORMAT, "%s: tensor '%s' stands twice", index->what,
                               ((const tensors_entry *)index->order[i])->name);
    return HMT_OK;
}

/* Whether `name` ends in a dot and `wanted`; then how much stands before. */
static bool ends_in(const char *name, const char *wanted, size_t *before)
{
    const size_t length = strlen(name), tail = strlen(wanted);

    if (length <= tail + 1 || name[length - tail - 1] != '.' ||
        strcmp(name + length - tail, wanted) != 0)
        return false;
    *before = length - tail;
    return true;
}

hmt_status tensors_strip(tensors_index *index, const char *wanted)
{
    const char *prefix = NULL;
    size_t length = 0, other;

    if (tensors_find(index, wanted) != NULL)
        return HMT_OK;
    for (size_t i = 0; i < index->count; ++i) {
        if (!ends_in(index->entries[i].name, wanted, &other))
            continue;
        if (prefix != NULL)
            return HMT_OK; /* which of them is not for us to say */
        prefix = index->entries[i].name;
        length = other;
    }
    /* The prefix's own tensor is among those that lose it. */
    for (size_t i = 0; i < index->count && prefix != NULL; ++i)
        if (index->entries[i].name != prefix &&
            strncmp(index->entries[i].name, prefix, length) == 0)
            index->entries[i].name += length;
    for (size_t i = 0; i < index->count && prefix != NULL; ++i)
        if (index->entries[i].name == prefix)
            index->entries[i].name += length;
    return prefix != NULL ? tensors_order_by_name(index) : HMT_OK;
}
