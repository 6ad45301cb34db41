/*
 * What the fuzz targets share: checks that stop the process, an allocator that counts and has a
 * bound, a folder for files, and seeds.
 *
 * A target is one file fuzz_*.c with the two functions declared first. Its input is hostile bytes,
 * and a few behind them that choose options.
 */
#ifndef HMT_TESTS_FUZZ_H
#define HMT_TESTS_FUZZ_H

#include <stdbool.h>
#include <stdint.h>

#include <hmtnet/hmtnet.h>

/* The target: one input. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Gives inputs to begin with to fuzz_seed(). */
void fuzz_seeds(void);

/* Says where it was and traps. */
#define FUZZ_CHECK(condition) ((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition))
_Noreturn void fuzz_fail(const char *file, int line, const char *what);

/* Every status is checked by one of these and comes back: with a failure goes one line of UTF-8,
 * with HMT_OK none. `allowed` are the codes the function's comment names, FUZZ_CODE() of each. */
#define FUZZ_CODE(code) (1u << -(int)HMT_ERROR_##code)
#define FUZZ_STATUS(call, allowed) fuzz_status((call), (allowed), __FILE__, __LINE__, #call)
hmt_status fuzz_status(hmt_status status, unsigned allowed, const char *file, int line,
                       const char *call);
/* Well-formed UTF-8; not the library's own judgement. */
bool fuzz_utf8(const char *text, size_t size);
/* A call that must succeed. */
#define FUZZ_OK(call) ((void)FUZZ_STATUS(call, 0))

/* The allocator, for one thread. Between begin and end no more than `bound` bytes may be taken at
 * a time, and all of them must have come back. */
extern const hmt_allocator fuzz_allocator;
void fuzz_begin(size_t bound);
void fuzz_end(void);
/* A context with it and the reference backend, made at the first call. */
hmt_context *fuzz_context(void);

/* A path below a folder of this process, which is removed at its end. Good until the next call but
 * three. */
const char *fuzz_path(const char *name);
/* The same, of a file with this content; folders in its name are made. */
const char *fuzz_file(const char *name, const void *data, size_t size);

/* The last byte, taken away; 0 if there is none. */
uint8_t fuzz_option(const uint8_t *data, size_t *size);
/* The bytes on the heap, without one to spare, so that a sanitizer sees a read beyond them. */
uint8_t *fuzz_copy(const uint8_t *data, size_t size);
/* Sets the length in a safetensors file so that the header ends where its JSON does, or with the
 * spaces behind that: mutations of the JSON then reach what lies behind it. */
void fuzz_mend_header(uint8_t *data, size_t size);

/* An input to begin with: `size` bytes and those of `options`. Copied. */
void fuzz_seed(const void *data, size_t size, const char *options, size_t count);
/* The same of a file. */
void fuzz_seed_file(const char *path, const char *options, size_t count);

/* For making seeds from files: a file's content, at most `room` bytes; and bytes with their first
 * `from`, which must be there, spelt `to`, as long. */
size_t fuzz_read(const char *path, uint8_t *content, size_t room);
void fuzz_respell(uint8_t *data, size_t size, const char *from, const char *to);

/* What fuzz_seed() was given, for the program that replays them. */
typedef struct fuzz_input {
    uint8_t *data;
    size_t size;
} fuzz_input;
const fuzz_input *fuzz_inputs(size_t *count);

#endif
