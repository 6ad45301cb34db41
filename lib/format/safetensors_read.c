/*
 * What an opened safetensors index is asked: dtypes, look-up by name, and tensor data as float32,
 * in place or converted. The ranges it reads were checked by safetensors_open().
 */
#include <string.h>

#include "core/status.h"
#include "format/half.h"
#include "format/safetensors.h"

enum { CHUNK = 4096 }; /* elements converted at a time */

static const struct {
    const char *name;
    size_t size;
} dtypes[SAFETENSORS_DTYPE_COUNT] = {
    [SAFETENSORS_F32] = {"F32", 4},         [SAFETENSORS_F16] = {"F16", 2},
    [SAFETENSORS_BF16] = {"BF16", 2},       [SAFETENSORS_F64] = {"F64", 8},
    [SAFETENSORS_I64] = {"I64", 8},         [SAFETENSORS_I32] = {"I32", 4},
    [SAFETENSORS_I16] = {"I16", 2},         [SAFETENSORS_I8] = {"I8", 1},
    [SAFETENSORS_U64] = {"U64", 8},         [SAFETENSORS_U32] = {"U32", 4},
    [SAFETENSORS_U16] = {"U16", 2},         [SAFETENSORS_U8] = {"U8", 1},
    [SAFETENSORS_BOOL] = {"BOOL", 1},       [SAFETENSORS_F8_E4M3] = {"F8_E4M3", 1},
    [SAFETENSORS_F8_E5M2] = {"F8_E5M2", 1}, [SAFETENSORS_F8_E8M0] = {"F8_E8M0", 1},
    [SAFETENSORS_C64] = {"C64", 8},
};

const char *safetensors_dtype_name(safetensors_dtype dtype)
{
    return dtypes[dtype].name;
}

size_t safetensors_dtype_size(safetensors_dtype dtype)
{
    return dtypes[dtype].size;
}

const safetensors_entry *safetensors_find(const safetensors_index *index, const char *name)
{
    size_t low = 0, high = index->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const safetensors_entry *entry = index->order[middle];
        int order = strcmp(name, entry->name);

        if (order == 0)
            return entry;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const safetensors_pair *safetensors_metadata(const safetensors_index *index, const char *key)
{
    for (size_t i = 0; i < index->metadata_count; ++i)
        if (strcmp(index->metadata[i].key, key) == 0)
            return &index->metadata[i];
    return NULL;
}

const float *safetensors_in_place(const safetensors_index *index, const safetensors_entry *entry)
{
    const unsigned char *data = index->data + entry->offset;

    if (entry->dtype != SAFETENSORS_F32 || (uintptr_t)data % sizeof(float) != 0 ||
        !half_little_endian())
        return NULL;
    return (const float *)(const void *)data;
}

const void *safetensors_narrow(const safetensors_index *index, const safetensors_entry *entry)
{
    const unsigned char *data = index->data + entry->offset;

    if (entry->rank < 2)
        return NULL;
    if (entry->dtype == SAFETENSORS_I8)
        return data;
    if ((entry->dtype != SAFETENSORS_F16 && entry->dtype != SAFETENSORS_BF16) ||
        (uintptr_t)data % sizeof(uint16_t) != 0 || !half_little_endian())
        return NULL;
    return data;
}

static void read_f32(const unsigned char *data, float *values, size_t count)
{
    if (half_little_endian()) {
        memcpy(values, data, count * sizeof *values);
        return;
    }
    for (size_t i = 0; i < count; ++i, data += 4)
        values[i] = half_float((uint32_t)data[0] | (uint32_t)data[1] << 8 |
                               (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24);
}

static void read_half(safetensors_dtype dtype, const unsigned char *data, float *values,
                      size_t count)
{
    uint16_t chunk[CHUNK];

    for (size_t done = 0, n; done < count; done += n) {
        n = count - done < CHUNK ? count - done : CHUNK;
        for (size_t i = 0; i < n; ++i)
            chunk[i] = (uint16_t)(data[2 * (done + i)] | (unsigned)data[2 * (done + i) + 1] << 8);
        if (dtype == SAFETENSORS_F16)
            half_array_from_f16(chunk, values + done, n);
        else
            half_array_from_bf16(chunk, values + done, n);
    }
}

void safetensors_read_scaled(const safetensors_index *index, const safetensors_entry *entry,
                             const safetensors_entry *scales, float *values)
{
    const unsigned char *data = index->data + entry->offset, *scale = index->data + scales->offset;
    const size_t row = entry->shape[0] > 0 ? (size_t)entry->count / (size_t)entry->shape[0] : 0;

    for (int64_t o = 0; o < entry->shape[0]; ++o, scale += sizeof(float)) {
        float factor;

        read_f32(scale, &factor, 1);
        for (size_t i = 0; i < row; ++i)
            *values++ = (float)((data[i] ^ 0x80) - 0x80) * factor;
        data += row;
    }
}

hmt_status safetensors_read(const safetensors_index *index, const safetensors_entry *entry,
                            float *values)
{
    const unsigned char *data = index->data + entry->offset;

    if (entry->dtype == SAFETENSORS_F32 && entry->count > 0)
        read_f32(data, values, (size_t)entry->count);
    else if (entry->dtype == SAFETENSORS_F16 || entry->dtype == SAFETENSORS_BF16)
        read_half(entry->dtype, data, values, (size_t)entry->count);
    else if (entry->dtype != SAFETENSORS_F32)
        return status_fail(HMT_ERROR_UNSUPPORTED,
                           "%s: tensor '%s' has dtype %s; F32, F16 or BF16 is needed", index->what,
                           entry->name, safetensors_dtype_name(entry->dtype));
    return HMT_OK;
}
