/* A module on a machine without its device. */
#include "reference/reference.h"

static hmt_backend table;

static int32_t no_devices(void)
{
    return 0;
}

__attribute__((constructor)) static void fill(void)
{
    table = backend_reference;
    table.name = "nodevice";
    table.device_count = no_devices;
}

__attribute__((visibility("default"))) const hmt_backend *hmt_backend_module(void);

const hmt_backend *hmt_backend_module(void)
{
    return &table;
}
