/* A backend from a module's file, for programs that test one. The module stays loaded. */
#ifndef HMT_TESTS_LOAD_MODULE_H
#define HMT_TESTS_LOAD_MODULE_H

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include <hmtnet/backend.h>

/* NULL after a message. */
static inline const hmt_backend *load_module(const char *file)
{
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    void *symbol = handle != NULL ? dlsym(handle, HMT_BACKEND_MODULE_SYMBOL) : NULL;
    hmt_backend_module_fn table;

    if (symbol == NULL) {
        fprintf(stderr, "%s\n", dlerror());
        return NULL;
    }
    memcpy(&table, &symbol, sizeof table);
    return table();
}

#endif
