/* The inputs that a target begins with (see fuzz.h), kept until the process ends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

enum { MOST_SEEDS = 256 };

static fuzz_input inputs[MOST_SEEDS];
static size_t input_count;

void fuzz_seed(const void *data, size_t size, const char *options, size_t count)
{
    fuzz_input *input = &inputs[input_count++];

    FUZZ_CHECK(input_count <= MOST_SEEDS);
    input->size = size + count;
    input->data = malloc(input->size + 1);
    FUZZ_CHECK(input->data != NULL);
    memcpy(input->data, data, size);
    memcpy(input->data + size, options, count);
}

void fuzz_seed_file(const char *path, const char *options, size_t count)
{
    static uint8_t content[1 << 20];
    FILE *file = fopen(path, "rb");
    size_t size;

    FUZZ_CHECK(file != NULL);
    size = fread(content, 1, sizeof content, file);
    fclose(file);
    fuzz_seed(content, size, options, count);
}

const fuzz_input *fuzz_inputs(size_t *count)
{
    if (input_count == 0)
        fuzz_seeds();
    *count = input_count;
    return inputs;
}
