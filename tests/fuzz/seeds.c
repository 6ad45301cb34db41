/* The inputs that a target begins with (see fuzz.h), kept until the process ends. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

static fuzz_input *inputs;
static size_t input_count;

void fuzz_seed(const void *data, size_t size, const char *options, size_t count)
{
    fuzz_input *input;

    inputs = realloc(inputs, (input_count + 1) * sizeof *inputs);
    FUZZ_CHECK(inputs != NULL);
    input = &inputs[input_count++];
    input->size = size + count;
    input->data = malloc(input->size + 1);
    FUZZ_CHECK(input->data != NULL);
    memcpy(input->data, data, size);
    memcpy(input->data + size, options, count);
}

size_t fuzz_read(const char *path, uint8_t *content, size_t room)
{
    FILE *file = fopen(path, "rb");
    size_t size;

    FUZZ_CHECK(file != NULL);
    size = fread(content, 1, room, file);
    fclose(file);
    return size;
}

void fuzz_respell(uint8_t *data, size_t size, const char *from, const char *to)
{
    const size_t length = strlen(from);
    size_t at = 0;

    FUZZ_CHECK(strlen(to) == length);
    while (at + length <= size && memcmp(data + at, from, length) != 0)
        ++at;
    FUZZ_CHECK(at + length <= size);
    memcpy(data + at, to, length);
}

void fuzz_seed_file(const char *path, const char *options, size_t count)
{
    static uint8_t content[1 << 20];

    fuzz_seed(content, fuzz_read(path, content, sizeof content), options, count);
}

const fuzz_input *fuzz_inputs(size_t *count)
{
    if (input_count == 0)
        fuzz_seeds();
    *count = input_count;
    return inputs;
}
