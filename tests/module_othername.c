/* A module whose table has another name than its file. */
#include "reference/reference.h"

static hmt_backend table;

__attribute__((constructor)) static void fill(void)
{
    table = backend_reference;
    table.name = "othername";
    table.name = "somebody";
}

__attribute__((visibility("default"))) const hmt_backend *hmt_backend_module(void);

const hmt_backend *hmt_backend_module(void)
{
    return &table;
}
