/*
 * mutations: 6000
 * PyTorch checkpoints: what is indexed lies within the file, no element in two tensors, is found by
 * its name and can be read; memory stays within a bound that follows from the file's length.
 *
 * Options: bit 0 puts the stream format's beginning in front, so that the input is an object's
 * pickle with what follows it.
 */
#include <stdlib.h>
#include <string.h>

#include "core/status.h"
#include "format/torch.h"
#include "fuzz.h"
#include "fuzz_tensor.h"
#include "torch_writer.h"

enum { ENTRIES_ASKED = 200, BYTES_A_BYTE = 128 };

static const char preface[] = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
                              "\x80\x02M\xe9\x03.\x80\x02}X\x0d\0\0\0little_endian\x88s.";

/* Entries share no byte. */
static void check_apart(const tensors_index *index)
{
    for (size_t i = 0; i < index->count && i < ENTRIES_ASKED; ++i)
        for (size_t k = 0; k < i; ++k) {
            const tensors_entry *a = &index->entries[i], *b = &index->entries[k];

            FUZZ_CHECK(a->bytes == 0 || b->bytes == 0 || a->offset >= b->offset + b->bytes ||
                       b->offset >= a->offset + a->bytes);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const tensors_index none;
    const uint8_t options = fuzz_option(data, &size);
    const size_t front = options & 1 ? sizeof preface - 1 : 0;
    const size_t length = front + size;
    uint8_t *joined = malloc(length + 1), *file;
    tensors_index index;

    FUZZ_CHECK(joined != NULL);
    memcpy(joined, preface, front);
    if (size > 0)
        memcpy(joined + front, data, size);
    file = fuzz_copy(joined, length);
    free(joined);
    if (torch_is(file, length)) {
        status_clear();
        fuzz_begin(BYTES_A_BYTE * length + 4096);
        if (FUZZ_STATUS(torch_open(&fuzz_allocator, file, length, "file", NULL, &index),
                        FUZZ_CODE(FORMAT) | FUZZ_CODE(UNSUPPORTED) | FUZZ_CODE(LIMIT)) == HMT_OK) {
            for (size_t i = 0; i < index.count && i < ENTRIES_ASKED; ++i)
                fuzz_tensor(&index, &index.entries[i], length);
            check_apart(&index);
        } else {
            FUZZ_CHECK(memcmp(&index, &none, sizeof index) == 0);
        }
        tensors_close(&index);
        fuzz_end();
    }
    free(file);
    return 0;
}

static const float numbers[12] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

static void seed(torch_recipe recipe)
{
    const torch_tensor tensors[] = {
        {"module.a.weight",
         "FloatStorage",
         2,
         {3, 4},
         {1, 3},
         0,
         12,
         numbers,
         48,
         NULL,
         false,
         "neg"},
        {"module.b.bias", "HalfStorage", 1, {5}, {0}, 2, 7, numbers, 14, NULL, true, NULL},
        {"module.c.weight",
         "DoubleStorage",
         3,
         {1, 2, 2},
         {0},
         0,
         4,
         numbers,
         32,
         "k",
         false,
         "neg"},
        {"module.d.steps", "LongStorage", 0, {0}, {0}, 0, 1, numbers, 8, NULL, false, NULL},
    };
    torch_bytes bytes = {NULL, 0, 0};

    torch_write(&bytes, &recipe, tensors, 4);
    fuzz_seed(bytes.data, bytes.size, "\0", 1);
    torch_release(&bytes);
    recipe.stream = true;
    torch_write_object(&bytes, &recipe, tensors, 4);
    fuzz_seed(bytes.data, bytes.size, "\1", 1);
    torch_release(&bytes);
}

void fuzz_seeds(void)
{
    /* Opcodes that a state dict does not need. */
    static const char opcodes[] =
        "\x80\x04\x95\0\0\0\0\0\0\0\0]\x94(K\1M\2\0J\3\0\0\0\x8a\1\4G\0\0\0\0\0\0\0\0\x8c\1s"
        "C\1b\x88\x89N)\x85\x86\x87h\0j\0\0\0\0e\x8f\x94(\x90\x93\x81\x92Rb012q\1r\2\0\0\0Q.";

    seed((torch_recipe){.prefix = ""});
    seed((torch_recipe){.zip64 = true, .within = "state_dict"});
    seed((torch_recipe){.stream = true});
    seed((torch_recipe){.stream = true, .within = "model", .beside = "ema"});
    seed((torch_recipe){.stream = true, .protocol = 4, .calls = {"torch", "Size"}});
    seed((torch_recipe){.calls = {"os", "system"}});
    seed((torch_recipe){.compressed = true});
    seed((torch_recipe){.big_endian = true});
    fuzz_seed(opcodes, sizeof opcodes - 1, "\1", 1);
}
