/* The frame of the fuzz targets (see fuzz.h): checks, the allocator, the folder. */
#define _XOPEN_SOURCE 700 /* nftw() */
#include "fuzz.h"

#include <ftw.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Noreturn void fuzz_fail(const char *file, int line, const char *what)
{
    fprintf(stderr, "%s:%d: failed: %s (last error: %s)\n", file, line, what, hmt_last_error());
    __builtin_trap();
}

bool fuzz_utf8(const char *text, size_t size)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *s = (const unsigned char *)text, *end = s + size;

    while (s < end) {
        const int length = *s < 0x80 ? 1 : *s < 0xc0 ? 0 : *s < 0xe0 ? 2 : *s < 0xf0 ? 3 : 4;
        uint32_t code = length < 2 ? *s : *s & (0xffu >> (length + 1));

        if (length == 0 || length > end - s || *s > 0xf7)
            return false;
        for (int i = 1; i < length; ++i) {
            if (s[i] >> 6 != 2)
                return false;
            code = code << 6 | (s[i] & 0x3f);
        }
        if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
            return false;
        s += length;
    }
    return true;
}

hmt_status fuzz_status(hmt_status status, unsigned allowed, const char *file, int line,
                       const char *call)
{
    const char *message = hmt_last_error();
    const size_t size = strlen(message);

    if (status != HMT_OK && (status > 0 || status < -31 || (allowed >> -(int)status & 1) == 0))
        fuzz_fail(file, line, call);
    if ((size == 0) != (status == HMT_OK) || !fuzz_utf8(message, size))
        fuzz_fail(file, line, "the message is one line of UTF-8, and there on failures only");
    for (size_t i = 0; i < size; ++i)
        if ((unsigned char)message[i] < 0x20 || message[i] == 0x7f)
            fuzz_fail(file, line, "the message has no control characters");
    return status;
}

/* ---- memory ---- */

static size_t live, begun, most;
static bool bounded;

static void *bounded_allocate(void *user, size_t size, size_t alignment)
{
    void *pointer = NULL;

    (void)user;
    if (bounded && (size > most || live - begun > most - size)) {
        fprintf(stderr, "%zu bytes asked for beside %zu, more than the bound of %zu\n", size,
                live - begun, most);
        FUZZ_CHECK(!"memory is bounded by the input's size");
    }
    if (posix_memalign(&pointer, alignment, size) != 0)
        return NULL;
    live += malloc_usable_size(pointer);
    return pointer;
}

static void counted_release(void *user, void *pointer)
{
    (void)user;
    live -= malloc_usable_size(pointer);
    free(pointer);
}

const hmt_allocator fuzz_allocator = {bounded_allocate, counted_release, NULL};

void fuzz_begin(size_t bound)
{
    begun = live;
    most = bound;
    bounded = true;
}

void fuzz_end(void)
{
    bounded = false;
    FUZZ_CHECK(live == begun);
}

hmt_context *fuzz_context(void)
{
    static hmt_context *context;
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;

    if (context != NULL)
        return context;
    o.allocator = fuzz_allocator;
    o.backend = "reference";
    o.threads = 1;
    FUZZ_OK(hmt_context_create(&o, &context));
    return context;
}

/* ---- files ---- */

static char folder[64];

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
    (void)info, (void)kind, (void)where;
    return remove(path);
}

static void remove_folder(void)
{
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *fuzz_path(const char *name)
{
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];

    if (folder[0] == '\0') { /* in memory, where there is that: files are synced */
        snprintf(folder, sizeof folder, "%s/hmtnet-fuzz-XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        FUZZ_CHECK(mkdtemp(folder) != NULL);
        atexit(remove_folder);
    }
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

const char *fuzz_file(const char *name, const void *data, size_t size)
{
    const char *path = fuzz_path(name);
    char parent[512];
    FILE *file = fopen(path, "wb");

    for (const char *c = name; file == NULL && (c = strchr(c, '/')) != NULL; ++c) {
        snprintf(parent, sizeof parent, "%s/%.*s", folder, (int)(c - name), name);
        mkdir(parent, 0777);
    }
    if (file == NULL)
        file = fopen(path, "wb");
    FUZZ_CHECK(file != NULL && fwrite(data, 1, size, file) == size && fclose(file) == 0);
    return path;
}

/* ---- inputs ---- */

uint8_t fuzz_option(const uint8_t *data, size_t *size)
{
    return *size > 0 ? data[--*size] : 0;
}

uint8_t *fuzz_copy(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);

    FUZZ_CHECK(copy != NULL);
    memcpy(copy, data, size);
    return copy;
}

/* Where the JSON object that begins at byte 8 ends; 0 if it does not. */
static size_t object_end(const uint8_t *data, size_t size)
{
    size_t depth = 0;
    bool quoted = false;

    for (size_t i = 8; i < size; ++i) {
        if (quoted && data[i] == '\\')
            ++i;
        else if (data[i] == '"')
            quoted = !quoted;
        else if (!quoted && data[i] == '{')
            ++depth;
        else if (!quoted && data[i] == '}' && (depth == 0 || --depth == 0))
            return i + 1;
    }
    return 0;
}

void fuzz_mend_header(uint8_t *data, size_t size)
{
    size_t end = object_end(data, size);

    if (end == 0)
        return;
    while (end < size && data[end] == ' ') /* padding */
        ++end;
    end -= 8;
    for (int i = 0; i < 8; ++i)
        data[i] = (uint8_t)(i < 4 ? end >> 8 * i : 0);
}
