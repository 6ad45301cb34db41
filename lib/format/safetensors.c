/*
 * Reads the index of a safetensors file. Two passes over the header: the first checks the JSON and
 * counts, the second fills arrays of exactly that size. Then the data ranges are checked against
 * each other and against the file's length.
 */
#include "format/safetensors.h"

#include <inttypes.h>
#include <string.h>

#include "core/status.h"
#include "format/json.h"
#include "format/little_endian.h"

enum {
    LENGTH_BYTES = 8, /* of the header's length, at the beginning of the file */
    /* What a tensor takes at least: {"dtype":"U8","shape":[],"data_offsets":[0,0]} */
    SHORTEST_TENSOR = 46
};

/* What the two passes share. */
typedef struct header {
    const char *what;
    const char *text; /* the JSON */
    size_t size;
    uint64_t data_begin; /* offset in the file */
    uint64_t data_size;
    size_t tensors, pairs, string_bytes; /* found by the first pass */
} header;

static hmt_status find_header(const unsigned char *data, size_t size, const char *what, header *h)
{
    uint64_t length;

    memset(h, 0, sizeof *h);
    h->what = what;
    if (size < LENGTH_BYTES + 2)
        return status_fail(HMT_ERROR_FORMAT, "%s: %zu bytes are too few for a safetensors file",
                           what, size);
    length = little_endian(data, LENGTH_BYTES);
    if (length > SAFETENSORS_MAX_HEADER)
        return status_fail(HMT_ERROR_FORMAT,
                           "%s: not a safetensors file: its header would have %" PRIu64
                           " bytes, more than %d",
                           what, length, SAFETENSORS_MAX_HEADER);
    if (length > size - LENGTH_BYTES)
        return status_fail(HMT_ERROR_FORMAT,
                           "%s: the header has %" PRIu64 " bytes, but the file ends after %zu",
                           what, length, size - LENGTH_BYTES);
    h->text = (const char *)data + LENGTH_BYTES;
    h->size = (size_t)length;
    h->data_begin = LENGTH_BYTES + length;
    h->data_size = size - h->data_begin;
    if (h->size == 0 || h->text[0] != '{')
        return status_fail(HMT_ERROR_FORMAT, "%s: the header does not begin with '{' (byte %d)",
                           what, LENGTH_BYTES);
    return HMT_OK;
}

size_t safetensors_header_size(const unsigned char *head, size_t head_size, uint64_t size)
{
    const uint64_t length = head_size >= LENGTH_BYTES ? little_endian(head, LENGTH_BYTES) : 0;

    if (length > SAFETENSORS_MAX_HEADER || length > size - LENGTH_BYTES)
        return head_size;
    return head_size < LENGTH_BYTES ? head_size : LENGTH_BYTES + (size_t)length;
}

static void begin(json_reader *json, const header *h)
{
    json_begin(json, h->text, h->size, h->what);
    json->base = LENGTH_BYTES;
}

/* First pass: is it JSON all through, and how much memory will its content take? */
static hmt_status count(header *h)
{
    json_reader json;
    json_string key, value;
    size_t value_begin;

    begin(&json, h);
    json_enter(&json, '{');
    while (json_member(&json, &key)) {
        if (!json_equals(key, "__metadata__")) {
            ++h->tensors;
            h->string_bytes += key.size + 1;
            value_begin = json.at;
            json_skip(&json);
            /* Each costs us an entry, so that no short text may call for a long array. */
            if (json.status == HMT_OK && json.at - value_begin < SHORTEST_TENSOR)
                json_fail(&json, "tensor '%.*s' lacks its dtype, shape or data_offsets",
                          (int)(key.size < 100 ? key.size : 100), key.text);
            continue;
        }
        json_enter(&json, '{');
        while (json_member(&json, &key)) {
            value = json_text(&json);
            ++h->pairs;
            h->string_bytes += key.size + value.size + 2;
        }
    }
    return json_end(&json);
}

/* Second pass: the index as it fills up. */
typedef struct filler {
    const header *header;
    json_reader json;
    tensors_index *index;
    size_t tensors, pairs;
    bool metadata_seen;
    char *string; /* the next free byte of index->names */
} filler;

static const char *keep(filler *f, json_string string, size_t *size)
{
    char *kept = f->string;

    *size = json_decode(string, kept);
    kept[*size] = '\0';
    f->string += *size + 1;
    return kept;
}

/* A name or key, which may not hold a zero byte. */
static const char *keep_name(filler *f, json_string string)
{
    size_t size;
    const char *kept = keep(f, string, &size);

    if (strlen(kept) != size)
        json_fail(&f->json, "the name '%s' goes on behind a zero byte", kept);
    return kept;
}

static void read_dtype(filler *f, tensors_entry *entry)
{
    json_string name = json_text(&f->json);

    for (int i = 0; i < TENSORS_DTYPE_COUNT && f->json.status == HMT_OK; ++i)
        if (json_equals(name, tensors_dtype_name((tensors_dtype)i))) {
            entry->dtype = (tensors_dtype)i;
            return;
        }
    if (f->json.status == HMT_OK)
        f->json.status = status_fail(
            HMT_ERROR_UNSUPPORTED, "%s: tensor '%s' has the unknown dtype '%.*s'", f->header->what,
            entry->name, (int)(name.size < 32 ? name.size : 32), name.text);
}

static void read_shape(filler *f, tensors_entry *entry)
{
    json_enter(&f->json, '[');
    while (json_element(&f->json)) {
        int64_t extent = json_int64(&f->json);

        if (f->json.status != HMT_OK)
            return;
        if (entry->rank == TENSORS_MAX_RANK) {
            f->json.status =
                status_fail(HMT_ERROR_UNSUPPORTED, "%s: tensor '%s' has more than %d dimensions",
                            f->header->what, entry->name, TENSORS_MAX_RANK);
            return;
        }
        if (extent < 0) {
            json_fail(&f->json, "tensor '%s' has the negative extent %" PRId64, entry->name,
                      extent);
            return;
        }
        entry->shape[entry->rank++] = extent;
    }
}

/* data_offsets, relative to the end of the header. */
static void read_offsets(filler *f, tensors_entry *entry)
{
    int64_t offsets[2] = {0, 0};
    size_t n = 0;

    json_enter(&f->json, '[');
    for (; json_element(&f->json); ++n) {
        int64_t offset = json_int64(&f->json);
        if (n < 2)
            offsets[n] = offset;
    }
    if (f->json.status != HMT_OK)
        return;
    if (n != 2)
        json_fail(&f->json, "tensor '%s' has %zu data offsets in place of 2", entry->name, n);
    else if (offsets[0] < 0 || offsets[1] < offsets[0])
        json_fail(&f->json, "tensor '%s' begins at %" PRId64 " and ends at %" PRId64, entry->name,
                  offsets[0], offsets[1]);
    else if ((uint64_t)offsets[1] > f->header->data_size)
        json_fail(&f->json,
                  "tensor '%s' ends at %" PRId64 " of the data, which has only %" PRIu64 " bytes",
                  entry->name, offsets[1], f->header->data_size);
    entry->offset = f->header->data_begin + (uint64_t)offsets[0];
    entry->bytes = (uint64_t)(offsets[1] - offsets[0]);
}

/* Does the shape need exactly the bytes that the offsets give? */
static void check_bytes(filler *f, tensors_entry *entry)
{
    uint64_t bytes;
    bool fits = true, empty = false;

    for (int32_t i = 0; i < entry->rank; ++i)
        empty = empty || entry->shape[i] == 0;
    entry->count = empty ? 0 : 1;
    for (int32_t i = 0; i < entry->rank && !empty && fits; ++i)
        fits = !__builtin_mul_overflow(entry->count, (uint64_t)entry->shape[i], &entry->count);
    fits = fits && !__builtin_mul_overflow(entry->count, tensors_dtype_size(entry->dtype), &bytes);
    if (!fits)
        json_fail(&f->json, "the shape of tensor '%s' is larger than any file", entry->name);
    else if (bytes != entry->bytes)
        json_fail(&f->json,
                  "tensor '%s' has %" PRIu64 " bytes, but its shape and dtype %s need %" PRIu64,
                  entry->name, entry->bytes, tensors_dtype_name(entry->dtype), bytes);
}

static void read_tensor(filler *f, json_string name)
{
    static const char *const fields[] = {"dtype", "shape", "data_offsets"};
    static void (*const readers[])(filler *, tensors_entry *) = {read_dtype, read_shape,
                                                                 read_offsets};
    tensors_entry *entry = &f->index->entries[f->tensors++];
    bool seen[3] = {false, false, false};
    json_string key;

    entry->name = keep_name(f, name);
    for (int i = 0; i < TENSORS_MAX_RANK; ++i)
        entry->shape[i] = 1;
    json_enter(&f->json, '{');
    while (json_member(&f->json, &key)) {
        int field = 0;

        while (field < 3 && !json_equals(key, fields[field]))
            ++field;
        if (field == 3)
            json_fail(&f->json, "tensor '%s' has the unknown field '%.*s'", entry->name,
                      (int)(key.size < 32 ? key.size : 32), key.text);
        else if (seen[field])
            json_fail(&f->json, "tensor '%s' has two fields '%s'", entry->name, fields[field]);
        else
            readers[field](f, entry);
        if (field < 3)
            seen[field] = true;
    }
    for (int i = 0; i < 3; ++i)
        if (!seen[i])
            json_fail(&f->json, "tensor '%s' has no %s", entry->name, fields[i]);
    if (f->json.status == HMT_OK)
        check_bytes(f, entry);
}

static void read_metadata(filler *f)
{
    json_string key;

    if (f->metadata_seen)
        json_fail(&f->json, "there is a second __metadata__");
    f->metadata_seen = true;
    json_enter(&f->json, '{');
    while (json_member(&f->json, &key)) {
        tensors_pair *pair = &f->index->metadata[f->pairs++];

        pair->key = keep_name(f, key);
        pair->value = keep(f, json_text(&f->json), &pair->value_size);
    }
}

static hmt_status fill(filler *f)
{
    json_string key;

    begin(&f->json, f->header);
    json_enter(&f->json, '{');
    while (json_member(&f->json, &key)) {
        if (json_equals(key, "__metadata__"))
            read_metadata(f);
        else
            read_tensor(f, key);
    }
    return json_end(&f->json);
}

/* The data has neither holes nor overlaps, and nothing stands behind it. */
static hmt_status check_ranges(const header *h, tensors_index *index)
{
    uint64_t end = h->data_begin;

    tensors_order_by_offset(index);
    for (size_t i = 0; i < index->count; ++i) {
        const tensors_entry *entry = index->order[i];

        if (entry->offset < end)
            return status_fail(HMT_ERROR_FORMAT,
                               "%s: tensor '%s' overlaps another one (byte %" PRIu64 ")", h->what,
                               entry->name, entry->offset);
        if (entry->offset > end)
            return status_fail(HMT_ERROR_FORMAT,
                               "%s: no tensor has the bytes %" PRIu64 " to %" PRIu64
                               ", before tensor '%s'",
                               h->what, end, entry->offset - 1, entry->name);
        end += entry->bytes;
    }
    if (end != h->data_begin + h->data_size)
        return status_fail(HMT_ERROR_FORMAT,
                           "%s: %" PRIu64 " bytes follow the last tensor (byte %" PRIu64 ")",
                           h->what, h->data_begin + h->data_size - end, end);
    return HMT_OK;
}

hmt_status safetensors_open(const hmt_allocator *allocator, const unsigned char *data, size_t size,
                            const char *what, tensors_index *index)
{
    header h;
    filler f;
    hmt_status status;

    memset(index, 0, sizeof *index);
    index->allocator = allocator;
    index->what = what;
    index->data = data;
    status = find_header(data, size, what, &h);
    if (status == HMT_OK)
        status = count(&h);
    if (status == HMT_OK)
        status = tensors_allocate(index, h.tensors, h.pairs, h.string_bytes);
    if (status == HMT_OK) {
        memset(&f, 0, sizeof f);
        f.header = &h;
        f.index = index;
        f.string = index->names;
        status = fill(&f);
    }
    if (status == HMT_OK)
        status = check_ranges(&h, index);
    if (status == HMT_OK)
        status = tensors_order_by_name(index);
    if (status != HMT_OK)
        tensors_close(index);
    return status;
}
