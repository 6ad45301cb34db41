/*
 * objects.c - every live object with the call that made it: handles are looked up here before they
 * are touched, and what is left at the end is a leak.
 */
#include <stdlib.h>
#include <unistd.h>

#include "runtime.h"

struct record {
    const void *object; /* NULL: free slot */
    standin_kind kind;
    size_t bytes, call;
    const char *maker;
};

static struct record *records; /* open addressing; `capacity` is a power of two */
static size_t capacity, used;

static const char *const kind_names[STANDIN_KINDS] = {
    "device memory", "pinned memory",     "stream",      "event",           "graph",
    "graph exec",    "cuDNN handle",      "descriptor",  "cuBLASLt handle", "matmul descriptor",
    "matrix layout", "matmul preference", "communicator"};

static size_t slot_of(const void *object)
{
    size_t slot = ((uintptr_t)object >> 4) * 0x9E3779B97F4A7C15ull >> 20 & (capacity - 1);
    while (records[slot].object != NULL && records[slot].object != object)
        slot = (slot + 1) & (capacity - 1);
    return slot;
}

static void insert(struct record record)
{
    records[slot_of(record.object)] = record;
}

static void grow(void)
{
    struct record *old = records;
    size_t old_capacity = capacity;

    capacity = old_capacity > 0 ? 2 * old_capacity : 1024;
    records = calloc(capacity, sizeof *records);
    if (records == NULL)
        abort();
    for (size_t i = 0; i < old_capacity; i++)
        if (old[i].object != NULL)
            insert(old[i]);
    free(old);
}

void standin_born(standin_kind kind, const void *object, size_t bytes)
{
    if (2 * used >= capacity)
        grow();
    ++used;
    insert((struct record){object, kind, bytes, standin_call_number(), standin_call_name()});
}

/* What follows in the same run of slots moves up, so that look-ups still find it. */
void standin_died(const void *object)
{
    size_t slot;
    if (capacity == 0 || records[slot = slot_of(object)].object == NULL)
        return;
    records[slot].object = NULL;
    --used;
    for (slot = (slot + 1) & (capacity - 1); records[slot].object != NULL;
         slot = (slot + 1) & (capacity - 1)) {
        struct record moved = records[slot];
        records[slot].object = NULL;
        insert(moved);
    }
}

int standin_alive(standin_kind kind, const void *object)
{
    size_t slot;
    if (object == NULL || capacity == 0)
        return 0;
    slot = slot_of(object);
    return records[slot].object == object && records[slot].kind == kind;
}

size_t standin_leaks(FILE *out)
{
    for (size_t i = 0; out != NULL && i < capacity; i++)
        if (records[i].object != NULL)
            fprintf(out, "standin: alive: %s %p, %zu bytes, made by call %zu, %s\n",
                    kind_names[records[i].kind], records[i].object, records[i].bytes,
                    records[i].call, records[i].maker);
    return used;
}

/* At the end of the process. */
__attribute__((destructor)) static void report(void)
{
    if (used == 0 || settings.leaks_quiet)
        return;
    standin_leaks(stderr);
    fprintf(stderr, "standin: %zu objects leaked\n", used);
    if (settings.leaks_fail) {
        fflush(NULL);
        _exit(86);
    }
}
