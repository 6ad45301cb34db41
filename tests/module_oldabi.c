/* A module made for another version of the interface. */
#include "reference/reference.h"

static hmt_backend table;

__attribute__((constructor)) static void fill(void)
{
    table = backend_reference;
    table.name = "oldabi";
    table.abi = HMT_BACKEND_ABI + 5;
}

__attribute__((visibility("default"))) const hmt_backend *hmt_backend_module(void);

const hmt_backend *hmt_backend_module(void)
{
    return &table;
}
