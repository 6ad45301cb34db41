/*
 * mutations: 10000
 * safetensors files: what is indexed lies within the file, is found by its name, and reads the same
 * in place and converted; memory stays within what the header of safetensors.h promises.
 *
 * Options: bit 0 mends the header's length.
 */
#include <stdlib.h>
#include <string.h>

#include "core/status.h"
#include "format/safetensors.h"
#include "fuzz.h"
#include "fuzz_tensor.h"

enum { ENTRIES_ASKED = 200 };

/* I8 tensors are read with the scales that a model would take for them. */
static void check_scaled(const tensors_index *index, const tensors_entry *entry,
                         const tensors_entry *scales)
{
    float *values;

    if (entry->dtype != TENSORS_I8 || scales->dtype != TENSORS_F32 || scales->rank != 1 ||
        entry->rank < 1 || scales->shape[0] != entry->shape[0])
        return;
    values = malloc(entry->count * sizeof *values + 1);
    FUZZ_CHECK(values != NULL);
    tensors_read_scaled(index, entry, scales, values);
    free(values);
}

static void check_index(const tensors_index *index, size_t size)
{
    const size_t asked = index->count < ENTRIES_ASKED ? index->count : ENTRIES_ASKED;

    for (size_t i = 0; i < asked; ++i) {
        fuzz_tensor(index, &index->entries[i], size);
        FUZZ_CHECK(!index->entries[i].strided);
        check_scaled(index, &index->entries[i], &index->entries[(i + 1) % index->count]);
    }
    for (size_t i = 0; i < index->metadata_count; ++i) {
        const tensors_pair *pair = &index->metadata[i];

        if (i < ENTRIES_ASKED)
            FUZZ_CHECK(tensors_metadata(index, pair->key) == pair);
        FUZZ_CHECK(pair->value[pair->value_size] == '\0');
        FUZZ_CHECK(fuzz_utf8(pair->value, pair->value_size));
    }
    FUZZ_CHECK(tensors_find(index, "no such tensor, surely") == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const tensors_index none;
    const uint8_t options = fuzz_option(data, &size);
    tensors_index index;
    uint8_t *file = fuzz_copy(data, size);

    if (options & 1)
        fuzz_mend_header(file, size);
    status_clear();
    fuzz_begin(4 * size + 1024);
    if (FUZZ_STATUS(safetensors_open(&fuzz_allocator, file, size, "file", &index),
                    FUZZ_CODE(FORMAT) | FUZZ_CODE(UNSUPPORTED)) == HMT_OK)
        check_index(&index, size);
    else
        FUZZ_CHECK(memcmp(&index, &none, sizeof index) == 0);
    tensors_close(&index);
    fuzz_end();
    free(file);
    return 0;
}

/* A file of a header and `size` bytes of data. */
static void seed(const char *header, size_t size)
{
    uint8_t file[4096] = {0};
    const size_t length = strlen(header);

    file[0] = (uint8_t)length;
    file[1] = (uint8_t)(length >> 8);
    memcpy(file + 8, header, length);
    for (size_t i = 0; i < size; ++i)
        file[8 + length + i] = (uint8_t)(i * 37 % 120);
    fuzz_seed(file, 8 + length + size, "\0", 1);
    fuzz_seed(file, 8 + length + size, "\1", 1);
}

void fuzz_seeds(void)
{
    seed("{}", 0);
    seed("{\"__metadata__\":{},\"__metadata__\":{}}", 0);
    seed("{\"a\":{\"dtype\":\"U8\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,1]}}", 1);
    seed("{\"a\":{\"dtype\":\"F64\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0);
    seed("{\"__metadata__\":{\"format\":\"pt\",\"k\\u00e9y\":\"a \\\"quote\\\" \\ud83d\\ude00\"}}",
         0);
    seed("{\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}}   ", 24);
    seed("{\"scalar\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[0,2]},"
         "\"empty\":{\"dtype\":\"F16\",\"shape\":[0,9],\"data_offsets\":[2,2]},"
         "\"half\":{\"data_offsets\":[2,10],\"shape\":[4],\"dtype\":\"F16\"}}",
         10);
    seed("{\"w\":{\"dtype\":\"I8\",\"shape\":[2,3],\"data_offsets\":[8,14]},"
         "\"w_scale\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
         14);
    seed("{\"a\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]},"
         "\"b\":{\"dtype\":\"I64\",\"shape\":[1,1,1,1,1,1,1,1],\"data_offsets\":[8,16]},"
         "\"c\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[16,19]},"
         "\"d\":{\"dtype\":\"F8_E4M3\",\"shape\":[1],\"data_offsets\":[19,20]},"
         "\"e\":{\"dtype\":\"C64\",\"shape\":[1],\"data_offsets\":[20,28]},"
         "\"\":{\"dtype\":\"U16\",\"shape\":[2],\"data_offsets\":[28,32]}}",
         32);
}
