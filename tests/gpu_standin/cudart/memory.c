/*
 * memory.c - device memory: a reserved range of addresses for each device, closed to the host.
 * While an operation runs, the allocations of its device are open; each ends at a closed page, its
 * slack holds a known pattern, and what is freed stays closed. New memory is full of NaN. A fault
 * that hits a range is explained and ends the process.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime.h"

#define PAGE ((size_t)4096)
#define RANGE ((size_t)64 << 30)
enum { ALIGNMENT = 256, SLACK = 0xA5, FRESH = 0xFF };

struct block {
    char *pages; /* address of the first page */
    char *address;
    size_t size, page_bytes, call;
};

struct device_memory {
    char *base;
    char *cursor; /* the search for room starts here, so that addresses are used again late */
    struct block *blocks; /* by address */
    size_t count, capacity, used, peak;
    int open;
};

static struct device_memory devices[STANDIN_DEVICES_MAX];
static struct {
    struct block *blocks;
    size_t count, capacity;
} pinned;
static const char *running; /* operation, and the thread that runs it */
static pthread_t runner;
static int viewed = MEMORY_NONE;
static struct sigaction old_action;

int standin_memory_device(const void *address)
{
    for (int i = 0; i < STANDIN_DEVICES_MAX; i++)
        if (devices[i].base != NULL && (const char *)address >= devices[i].base &&
            (const char *)address < devices[i].base + RANGE)
            return i;
    return -1;
}

/* The first block that ends behind the address. */
static size_t search(const struct device_memory *memory, const char *address)
{
    size_t low = 0, high = memory->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (memory->blocks[middle].pages + memory->blocks[middle].page_bytes <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const struct block *find(const struct device_memory *memory, const void *address)
{
    size_t i = search(memory, address);
    if (i == memory->count || (const char *)address < memory->blocks[i].address)
        return NULL;
    return &memory->blocks[i];
}

int standin_memory_holds(int device, const void *address, size_t bytes)
{
    const struct block *block;
    if (device < 0 || device != standin_memory_device(address) ||
        (block = find(&devices[device], address)) == NULL)
        return 0;
    return bytes <= block->size &&
           (const char *)address - block->address <= (ptrdiff_t)(block->size - bytes);
}

void memory_running(const char *operation)
{
    running = operation;
    runner = pthread_self();
}

/* Says what was touched. Not safe in a signal handler by the letter, but the process ends here
 * anyway. */
static void explain(const char *address)
{
    char text[512], place[256];
    int device = standin_memory_device(address),
        mine = running != NULL && pthread_equal(runner, pthread_self());
    const struct block *block = find(&devices[device], address);
    int length;

    if (block != NULL && address < block->address + block->size)
        snprintf(place, sizeof place, "byte %td of the %zu that call %zu allocated",
                 address - block->address, block->size, block->call);
    else
        snprintf(place, sizeof place, "never allocated, freed, or past the end of an allocation");
    length = snprintf(text, sizeof text, "standin: %s%s%s memory of device %d at %p (%s)\n",
                      mine ? "operation " : "", mine ? running : "host access to",
                      mine ? " touched" : "", device, (const void *)address, place);
    if (write(STDERR_FILENO, text, (size_t)length) < 0)
        _exit(87);
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (standin_memory_device(info->si_addr) <
        0) { /* not ours: fault again with the handler that was there */
        sigaction(number, &old_action, NULL);
        return;
    }
    explain(info->si_addr);
    signal(SIGABRT, SIG_DFL);
    abort();
}

__attribute__((constructor)) static void start(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, &old_action);
    settings_load();
}

static void protect(struct device_memory *memory, int open)
{
    if (memory->open == open)
        return;
    memory->open = open;
    for (size_t i = 0; i < memory->count; i++)
        if (mprotect(memory->blocks[i].pages, memory->blocks[i].page_bytes,
                     open ? PROT_READ | PROT_WRITE : PROT_NONE) != 0)
            abort();
}

void memory_view(int device)
{
    if (viewed == device)
        return;
    viewed = device;
    for (int i = 0; i < STANDIN_DEVICES_MAX; i++)
        protect(&devices[i], device == MEMORY_ALL || device == i);
}

/* Room for `bytes` and closed pages on both sides: at the cursor or behind it, else from the start.
 */
static char *find_room(struct device_memory *memory, size_t bytes)
{
    for (int pass = 0; pass < 2; pass++) {
        char *from = pass == 0 ? memory->cursor : memory->base;
        for (size_t i = search(memory, from);; i++) {
            if (i < memory->count && memory->blocks[i].pages <= from)
                from = memory->blocks[i].pages + memory->blocks[i].page_bytes;
            else if (bytes + 2 * PAGE <=
                     (size_t)((i < memory->count ? memory->blocks[i].pages : memory->base + RANGE) -
                              from))
                return from + PAGE;
            else if (i < memory->count)
                from = memory->blocks[i].pages + memory->blocks[i].page_bytes;
            if (i >= memory->count)
                break;
        }
    }
    return NULL;
}

static int list_grow(struct block **blocks, size_t count, size_t *capacity)
{
    size_t wanted = *capacity > 0 ? 2 * *capacity : 64;
    struct block *grown;
    if (count < *capacity)
        return 1;
    grown = realloc(*blocks, wanted * sizeof *grown);
    if (grown == NULL)
        return 0;
    *blocks = grown;
    *capacity = wanted;
    return 1;
}

static int reserve(struct device_memory *memory)
{
    void *base;
    if (memory->base != NULL)
        return 1;
    base = mmap(NULL, RANGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return 0;
    madvise(base, RANGE, MADV_DONTDUMP);
    memory->base = memory->cursor = base;
    return 1;
}

size_t memory_free_bytes(int device)
{
    return settings.memory > devices[device].used ? settings.memory - devices[device].used : 0;
}

cudaError_t memory_allocate(int device, size_t bytes, void **out)
{
    struct device_memory *memory = &devices[device];
    size_t size = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct block block = {.size = bytes,
                          .page_bytes = (size + PAGE - 1) / PAGE * PAGE,
                          .call = standin_call_number()};
    size_t place;

    *out = NULL;
    if (bytes == 0)
        return cudaSuccess;
    if (size < bytes || size > memory_free_bytes(device) || !reserve(memory) ||
        !list_grow(&memory->blocks, memory->count, &memory->capacity) ||
        (block.pages = find_room(memory, block.page_bytes)) == NULL ||
        mprotect(block.pages, block.page_bytes, PROT_READ | PROT_WRITE) != 0)
        return cudaErrorMemoryAllocation;
    block.address = block.pages + block.page_bytes - size;
    memset(block.pages, SLACK, block.page_bytes);
    memset(block.address, FRESH, bytes);
    if (!memory->open)
        mprotect(block.pages, block.page_bytes, PROT_NONE);
    place = search(memory, block.pages);
    memmove(&memory->blocks[place + 1], &memory->blocks[place],
            (memory->count - place) * sizeof block);
    memory->blocks[place] = block;
    ++memory->count;
    memory->cursor = block.pages + block.page_bytes;
    memory->used += size;
    if (memory->used > memory->peak)
        memory->peak = memory->used;
    *out = block.address;
    standin_born(STANDIN_DEVICE_MEMORY, block.address, bytes);
    return cudaSuccess;
}

static void check_slack(const struct block *block)
{
    const unsigned char *byte = (const unsigned char *)block->pages;
    for (size_t i = 0; i < block->page_bytes; i++) {
        if (byte + i == (const unsigned char *)block->address)
            i += block->size;
        if (i < block->page_bytes && byte[i] != SLACK) {
            standin_complain("something wrote at byte %td of the %zu that call %zu allocated",
                             (const char *)byte + i - block->address, block->size, block->call);
            return;
        }
    }
}

cudaError_t memory_free(void *address, int *device)
{
    struct device_memory *memory;
    size_t i;

    if (!standin_alive(STANDIN_DEVICE_MEMORY, address))
        return cudaErrorInvalidValue;
    *device = standin_memory_device(address);
    memory = &devices[*device];
    i = search(memory, address);
    mprotect(memory->blocks[i].pages, memory->blocks[i].page_bytes, PROT_READ);
    check_slack(&memory->blocks[i]);
    mmap(memory->blocks[i].pages, memory->blocks[i].page_bytes, PROT_NONE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    madvise(memory->blocks[i].pages, memory->blocks[i].page_bytes,
            MADV_DONTDUMP); /* as around it: one mapping again */
    memory->used -= (memory->blocks[i].size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    --memory->count;
    memmove(&memory->blocks[i], &memory->blocks[i + 1],
            (memory->count - i) * sizeof *memory->blocks);
    standin_died(address);
    return cudaSuccess;
}

size_t standin_memory_used(int device)
{
    return devices[device].used;
}

size_t standin_memory_peak(int device)
{
    return devices[device].peak;
}

cudaError_t pinned_allocate(size_t bytes, void **out)
{
    void *address;

    *out = NULL;
    if (bytes == 0)
        return cudaSuccess;
    if (!list_grow(&pinned.blocks, pinned.count, &pinned.capacity) ||
        posix_memalign(&address, ALIGNMENT, bytes) != 0)
        return cudaErrorMemoryAllocation;
    memset(address, FRESH, bytes);
    pinned.blocks[pinned.count++] =
        (struct block){.address = address, .size = bytes, .call = standin_call_number()};
    standin_born(STANDIN_PINNED_MEMORY, address, bytes);
    *out = address;
    return cudaSuccess;
}

cudaError_t pinned_free(void *address)
{
    if (!standin_alive(STANDIN_PINNED_MEMORY, address))
        return cudaErrorInvalidValue;
    for (size_t i = 0; i < pinned.count; i++)
        if (pinned.blocks[i].address == address) {
            memset(address, FRESH, pinned.blocks[i].size);
            pinned.blocks[i] = pinned.blocks[--pinned.count];
            break;
        }
    standin_died(address);
    free(address);
    return cudaSuccess;
}

int standin_pinned_holds(const void *address, size_t bytes)
{
    for (size_t i = 0; i < pinned.count; i++) {
        const struct block *block = &pinned.blocks[i];
        if ((const char *)address >= block->address &&
            (const char *)address < block->address + block->size)
            return bytes <= block->size &&
                   (const char *)address - block->address <= (ptrdiff_t)(block->size - bytes);
    }
    return 0;
}
