/*
 * What holds for every tensor of an index, whatever file it is of: it lies within the file, is
 * found by its name, and reads the same in place and converted.
 */
#ifndef HMT_TESTS_FUZZ_TENSOR_H
#define HMT_TESTS_FUZZ_TENSOR_H

#include <stdlib.h>
#include <string.h>

#include "core/status.h"
#include "format/tensors.h"
#include "fuzz.h"

/* `size`: of the file. */
static inline void fuzz_tensor(const tensors_index *index, const tensors_entry *entry, size_t size)
{
    const float *in_place = tensors_in_place(index, entry);
    const unsigned char *narrow = tensors_narrow(index, entry);
    const uint64_t dense = entry->count * tensors_dtype_size(entry->dtype);
    float *values;

    FUZZ_CHECK(tensors_find(index, entry->name) == entry);
    FUZZ_CHECK(fuzz_utf8(entry->name, strlen(entry->name)));
    FUZZ_CHECK(entry->rank >= 0 && entry->rank <= TENSORS_MAX_RANK);
    FUZZ_CHECK(entry->offset <= size && entry->bytes <= size - entry->offset);
    FUZZ_CHECK(entry->strided ? dense <= entry->bytes : dense == entry->bytes);
    FUZZ_CHECK(!entry->strided || (in_place == NULL && narrow == NULL));
    FUZZ_CHECK(in_place == NULL || (const unsigned char *)in_place == index->data + entry->offset);
    FUZZ_CHECK(narrow == NULL || (narrow == index->data + entry->offset && entry->rank >= 2));
    values = malloc(entry->count * sizeof *values + 1);
    FUZZ_CHECK(values != NULL);
    status_clear();
    if (entry->dtype > TENSORS_F64)
        FUZZ_CHECK(FUZZ_STATUS(tensors_read(index, entry, values), FUZZ_CODE(UNSUPPORTED)) !=
                   HMT_OK);
    else
        FUZZ_OK(tensors_read(index, entry, values));
    if (in_place != NULL)
        FUZZ_CHECK(memcmp(in_place, values, entry->bytes) == 0);
    free(values);
}

#endif
