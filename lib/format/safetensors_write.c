/*
 * Writes a safetensors file: the header in one piece, then tensor by tensor through one small
 * buffer, converting on the way. No tensor is copied whole.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "format/half.h"
#include "format/json.h"
#include "format/safetensors.h"

enum {
    LENGTH_BYTES = 8,
    DATA_ALIGNMENT = 64, /* of the first tensor, in bytes from the beginning of the file */
    CHUNK = 16384,       /* elements fetched and written at a time */
    PIECE = 1024         /* converted at a time, on the stack */
};

static hmt_status count_elements(const safetensors_tensor *tensor, uint64_t *count)
{
    uint64_t bytes;
    bool fits = tensor->rank >= 0 && tensor->rank <= TENSORS_MAX_RANK &&
                (tensor->dtype <= TENSORS_BF16 || tensor->dtype == TENSORS_I8);

    *count = 1;
    for (int32_t i = 0; fits && i < tensor->rank; ++i)
        fits = tensor->shape[i] >= 0 &&
               !__builtin_mul_overflow(*count, (uint64_t)tensor->shape[i], count);
    if (!fits || __builtin_mul_overflow(*count, (uint64_t)8, &bytes))
        return status_fail(HMT_ERROR_ARGUMENT, "tensor '%s' cannot be saved: rank %d, dtype %d",
                           tensor->name, tensor->rank, (int)tensor->dtype);
    return HMT_OK;
}

static hmt_status check_text(const char *what, const char *text, size_t size)
{
    if (json_utf8_valid(text, size))
        return HMT_OK;
    return status_fail(HMT_ERROR_ARGUMENT, "%s cannot be saved: it is not valid UTF-8", what);
}

/* Checks everything that goes into the header; *total receives the bytes of data. */
static hmt_status check_job(const safetensors_job *job, uint64_t *total)
{
    hmt_status status = HMT_OK;

    *total = 0;
    for (size_t i = 0; i < job->metadata_count && status == HMT_OK; ++i) {
        const tensors_pair *pair = &job->metadata[i];

        status = check_text("a metadata key", pair->key, strlen(pair->key));
        if (status == HMT_OK)
            status = check_text(pair->key, pair->value, pair->value_size);
    }
    for (size_t i = 0; i < job->tensor_count && status == HMT_OK; ++i) {
        const safetensors_tensor *tensor = &job->tensors[i];
        uint64_t count;

        status = check_text("a tensor's name", tensor->name, strlen(tensor->name));
        if (status == HMT_OK)
            status = count_elements(tensor, &count);
        if (status == HMT_OK &&
            (__builtin_add_overflow(*total, count * tensors_dtype_size(tensor->dtype), total) ||
             *total > INT64_MAX))
            status = status_fail(HMT_ERROR_ARGUMENT, "the tensors are larger than any file");
    }
    return status;
}

static void put_tensor(json_writer *json, const safetensors_tensor *tensor, uint64_t *offset)
{
    uint64_t bytes = tensors_dtype_size(tensor->dtype);

    json_put_string(json, tensor->name, strlen(tensor->name));
    json_put(json, ":{\"dtype\":\"");
    json_put(json, tensors_dtype_name(tensor->dtype));
    json_put(json, "\",\"shape\":[");
    for (int32_t i = 0; i < tensor->rank; ++i) {
        if (i > 0)
            json_put(json, ",");
        json_put_int64(json, tensor->shape[i]);
        bytes *= (uint64_t)tensor->shape[i];
    }
    json_put(json, "],\"data_offsets\":[");
    json_put_int64(json, (int64_t)*offset);
    json_put(json, ",");
    *offset += bytes;
    json_put_int64(json, (int64_t)*offset);
    json_put(json, "]}");
}

static void put_header(json_writer *json, const safetensors_job *job)
{
    uint64_t offset = 0;

    json_put(json, "{");
    if (job->metadata_count > 0) {
        json_put(json, "\"__metadata__\":{");
        for (size_t i = 0; i < job->metadata_count; ++i) {
            const tensors_pair *pair = &job->metadata[i];

            if (i > 0)
                json_put(json, ",");
            json_put_string(json, pair->key, strlen(pair->key));
            json_put(json, ":");
            json_put_string(json, pair->value, pair->value_size);
        }
        json_put(json, "}");
    }
    for (size_t i = 0; i < job->tensor_count; ++i) {
        if (i > 0 || job->metadata_count > 0)
            json_put(json, ",");
        put_tensor(json, &job->tensors[i], &offset);
    }
    json_put(json, "}");
    while ((LENGTH_BYTES + json->size) % DATA_ALIGNMENT != 0)
        json_put(json, " ");
}

static hmt_status write_header(file_writer *writer, const hmt_allocator *allocator,
                               const safetensors_job *job)
{
    json_writer json = {NULL, 0, 0};
    unsigned char length[LENGTH_BYTES];
    void *text;
    hmt_status status;

    put_header(&json, job);
    if (json.size > SAFETENSORS_MAX_HEADER)
        return status_fail(HMT_ERROR_LIMIT, "the header would have %zu bytes, more than %d",
                           json.size, SAFETENSORS_MAX_HEADER);
    status = memory_uninitialised(allocator, json.size, 1, "a file header", &text);
    if (status != HMT_OK)
        return status;
    json = (json_writer){text, json.size, 0};
    put_header(&json, job);
    for (int i = 0; i < LENGTH_BYTES; ++i)
        length[i] = (unsigned char)((uint64_t)json.size >> (8 * i));
    status = file_writer_write(writer, length, sizeof length);
    if (status == HMT_OK)
        status = file_writer_write(writer, text, json.size);
    memory_free(allocator, text);
    return status;
}

static hmt_status cannot_store(const safetensors_tensor *tensor, uint64_t element, float value)
{
    return status_fail(HMT_ERROR_LIMIT,
                       "tensor '%s' cannot be stored as %s: element %" PRIu64 " is %g",
                       tensor->name, tensors_dtype_name(tensor->dtype), element, (double)value);
}

/* convert() to integers. */
static hmt_status quantise(const safetensors_tensor *tensor, const float *values, size_t count,
                           uint64_t first, unsigned char *out)
{
    uint64_t all = 0, row;
    hmt_status status = count_elements(tensor, &all);

    row = all / (uint64_t)tensor->shape[0];
    for (size_t i = 0; status == HMT_OK && i < count; ++i) {
        const float scale = tensor->scales[(first + i) / row];
        const float steps = scale > 0.0f ? values[i] / scale : 0.0f;

        if (!isfinite(values[i]))
            status = cannot_store(tensor, first + i, values[i]);
        else
            out[i] = (unsigned char)(int8_t)lrintf(fminf(fmaxf(steps, -127.0f), 127.0f));
    }
    return status;
}

/* convert() to 16 bits. */
static hmt_status round_to_half(const safetensors_tensor *tensor, const float *values, size_t count,
                                uint64_t first, unsigned char *out)
{
    const bool f16 = tensor->dtype == TENSORS_F16;
    const size_t bad = half_first_overflow(values, count, f16 ? HALF_F16_LIMIT : HALF_BF16_LIMIT);
    uint16_t half[PIECE];

    if (bad < count)
        return cannot_store(tensor, first + bad, values[bad]);
    for (size_t done = 0, n; done < count; done += n) {
        n = count - done < PIECE ? count - done : PIECE;
        if (f16)
            half_array_to_f16(values + done, half, n);
        else
            half_array_to_bf16(values + done, half, n);
        for (size_t i = 0; i < n; ++i, out += 2) {
            out[0] = (unsigned char)half[i];
            out[1] = (unsigned char)(half[i] >> 8);
        }
    }
    return HMT_OK;
}

/* `count` values, at most CHUNK, from element `first` of the tensor, as stored, into out. */
static hmt_status convert(const safetensors_tensor *tensor, const float *values, size_t count,
                          uint64_t first, unsigned char *out)
{
    if (tensor->dtype == TENSORS_I8)
        return quantise(tensor, values, count, first, out);
    if (tensor->dtype != TENSORS_F32)
        return round_to_half(tensor, values, count, first, out);
    for (size_t i = 0; i < count; ++i)
        for (int byte = 0; byte < 4; ++byte)
            out[4 * i + (size_t)byte] = (unsigned char)(half_bits(values[i]) >> (8 * byte));
    return HMT_OK;
}

/* `room` and `buffer` have CHUNK values each. */
static hmt_status write_tensor(file_writer *writer, const safetensors_job *job, size_t index,
                               float *room, unsigned char *buffer)
{
    const safetensors_tensor *tensor = &job->tensors[index];
    const bool as_it_is = tensor->dtype == TENSORS_F32 && half_little_endian();
    uint64_t count;
    hmt_status status = count_elements(tensor, &count);

    for (uint64_t done = 0; done < count && status == HMT_OK; done += CHUNK) {
        const size_t n = (size_t)(count - done < CHUNK ? count - done : CHUNK);
        const float *values = job->fetch == NULL ? tensor->values + done : NULL;

        if (job->fetch != NULL)
            status = job->fetch(job->fetch_user, index, done, n, room, &values);
        if (status == HMT_OK && !as_it_is)
            status = convert(tensor, values, n, done, buffer);
        if (status == HMT_OK)
            status = file_writer_write(writer, as_it_is ? (const void *)values : buffer,
                                       n * tensors_dtype_size(tensor->dtype));
    }
    return status;
}

static hmt_status tell(const safetensors_job *job, uint64_t done, uint64_t total)
{
    if (job->progress != NULL && job->progress(job->progress_user, "save", done, total) != 0)
        return status_fail(HMT_ERROR_CANCELLED, "saving was cancelled");
    return HMT_OK;
}

static hmt_status write_data(file_writer *writer, const safetensors_job *job, uint64_t total,
                             float *room, unsigned char *buffer)
{
    uint64_t done = 0, count;
    hmt_status status = tell(job, 0, total);

    for (size_t i = 0; i < job->tensor_count && status == HMT_OK; ++i) {
        const safetensors_tensor *tensor = &job->tensors[i];

        status = write_tensor(writer, job, i, room, buffer);
        if (status == HMT_OK)
            status = count_elements(tensor, &count);
        if (status != HMT_OK)
            break;
        done += count * tensors_dtype_size(tensor->dtype);
        status = tell(job, done, total);
    }
    return status;
}

hmt_status safetensors_write(file_writer *writer, const hmt_allocator *allocator,
                             const safetensors_job *job)
{
    uint64_t total;
    void *buffer = NULL;
    hmt_status status = check_job(job, &total);

    if (status == HMT_OK)
        status =
            memory_uninitialised(allocator, 2 * CHUNK, sizeof(float), "a write buffer", &buffer);
    if (status == HMT_OK)
        status = write_header(writer, allocator, job);
    if (status == HMT_OK)
        status = write_data(writer, job, total, buffer, (unsigned char *)((float *)buffer + CHUNK));
    memory_free(allocator, buffer);
    if (status != HMT_OK)
        file_writer_discard(writer);
    return status;
}
