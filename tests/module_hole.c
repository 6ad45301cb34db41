/* A module whose table lacks a function. */
#include "reference/reference.h"

static hmt_backend table;

__attribute__((constructor)) static void fill(void)
{
    table = backend_reference;
    table.name = "hole";
    table.exec_run = NULL;
}

__attribute__((visibility("default"))) const hmt_backend *hmt_backend_module(void);

const hmt_backend *hmt_backend_module(void)
{
    return &table;
}
