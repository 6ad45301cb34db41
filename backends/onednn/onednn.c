/*
 * The backend's table of functions and its one device, the processor.
 */
#include "onednn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/processors.h"
#include "exec.h"
#include "processor.h"

static int32_t device_count(void)
{
    return 1;
}

/* The processor's name as the kernel gives it; "CPU" where it gives none. */
static void processor_name(char *name, size_t size)
{
    char line[256], *value, *end;
    FILE *file = fopen("/proc/cpuinfo", "re");

    snprintf(name, size, "CPU");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "model name", 10) != 0 || (value = strchr(line, ':')) == NULL)
            continue;
        value += 1 + strspn(value + 1, " \t");
        for (end = value + strlen(value); end > value && (unsigned char)end[-1] <= ' ';)
            *--end = '\0';
        if (*value != '\0')
            snprintf(name, size, "%.*s", (int)size - 1, value);
        break;
    }
    if (file != NULL)
        fclose(file);
}

static hmt_status device_info(int32_t index, hmt_device_info *info)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);

    if (index != 0)
        return HMT_ERROR_NOT_FOUND;
    processor_name(info->name, sizeof info->name);
    info->memory = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
    info->threads = processors_available();
    return HMT_OK;
}

/* The convolutions asked for: im2col, or Winograd's with the largest tiles; else the best. */
static int32_t convolution_tile(const char *name)
{
    static const struct {
        const char *name;
        int32_t tile;
    } tiles[] = {{"im2col", 0},    {"winograd2", 2}, {"winograd3", 3},
                 {"winograd4", 4}, {"winograd5", 5}, {"winograd6", 6}};

    for (size_t i = 0; name != NULL && i < sizeof tiles / sizeof tiles[0]; ++i)
        if (strcmp(name, tiles[i].name) == 0)
            return tiles[i].tile;
    return -1;
}

static void describe(const device *d, const hmt_host *host)
{
    const dnnl_version_t *version = dnnl_version();
    char message[64];

    snprintf(message, sizeof message, "oneDNN %d.%d.%d, %s kernels, %d threads", version->major,
             version->minor, version->patch, d->kernels->name, (int)host->threads);
    host->log(host, HMT_LOG_INFO, message);
}

static hmt_status device_open(int32_t index, const hmt_host *host, void **opened)
{
    const device unopened = {.host = host};
    device *d;
    void *block;
    hmt_status status;

    if (index != 0)
        return host->fail(HMT_ERROR_NOT_FOUND, "onednn has one device, not a device %d",
                          (int)index);
    status = device_allocate(&unopened, sizeof *d, "a device", &block);
    if (status != HMT_OK)
        return status;
    d = block;
    *d = unopened;
    d->kernels = kernels_select();
    d->prefetch = processor_prefetch(getenv("HMT_PREFETCH"));
    d->tile = convolution_tile(getenv("HMT_CONV"));
    describe(d, host);
    *opened = d;
    return HMT_OK;
}

static void device_close(void *opened)
{
    device *d = opened;

    if (d != NULL)
        device_free(d, d);
}

static hmt_status memory(void *home, void *prepared, hmt_backend_memory *bytes)
{
    const exec *e = prepared;

    bytes->packed = weights_bytes(home);
    bytes->arena = e != NULL ? e->arena_bytes : 0;
    bytes->staging = 0;
    return HMT_OK;
}

const hmt_backend backend_onednn = {
    .struct_size = sizeof(hmt_backend),
    .abi = HMT_BACKEND_ABI,
    .name = "onednn",
    .description = "the CPU: own kernels, tensors described by oneDNN 3",
    .device_count = device_count,
    .device_info = device_info,
    .device_open = device_open,
    .device_close = device_close,
    .weights_create = weights_create,
    .weights_destroy = weights_destroy,
    .weights_get = weights_get,
    .weights_set = weights_set,
    .exec_create = exec_create,
    .exec_destroy = exec_destroy,
    .exec_run = exec_run,
    .exec_read = exec_read,
    .memory = memory,
    .step_kernel = exec_kernel,
};
