/* A module as it should be: the reference backend under another name. */
#include "reference/reference.h"

static hmt_backend table;

__attribute__((constructor)) static void fill(void)
{
    table = backend_reference;
    table.name = "good";
    table.description = "the reference backend as a module";
}

__attribute__((visibility("default"))) const hmt_backend *hmt_backend_module(void);

const hmt_backend *hmt_backend_module(void)
{
    return &table;
}
