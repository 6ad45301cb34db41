/*
 * Backends in shared libraries of their own: where they are looked for, loaded and checked.
 */
#ifndef HMT_API_MODULE_H
#define HMT_API_MODULE_H

#include "api/context.h"

/* Loads the module of that name, which no backend of the context has, and adds it to the context's.
 * HMT_ERROR_NOT_FOUND where there is none, HMT_ERROR_UNSUPPORTED where it cannot be used. */
hmt_status modules_find(hmt_context *context, const char *name, const hmt_backend **backend);

/* Loads every module there is and adds it to the context's; those that cannot be used are logged.
 */
void modules_list(hmt_context *context);

#endif
