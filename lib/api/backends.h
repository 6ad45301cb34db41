/*
 * Tables of backends: checked, enumerated, and asked for what they may leave out.
 */
#ifndef HMT_API_BACKENDS_H
#define HMT_API_BACKENDS_H

#include <stddef.h>

#include "api/context.h"

/* Whether a table is large enough to have a field. */
#define BACKEND_HAS(backend, field)                                                                \
    ((backend)->struct_size >= offsetof(hmt_backend, field) + sizeof(backend)->field)

/* HMT_FEATURE_... bits; 0 for tables that end before them. */
uint32_t backend_features(const hmt_backend *backend);

/* Refuses a table that the library cannot use: another interface (HMT_ERROR_UNSUPPORTED, with both
 * numbers), too small, nameless or with a hole (`wrong`). `what` begins the sentence. */
hmt_status backend_check(const hmt_backend *backend, const char *what, hmt_status wrong);

/* Backend `index` of the host's own ones, the built-in ones and the context's modules; NULL past
 * the end. */
const hmt_backend *backend_at(const hmt_context *context, size_t index);

/* Sets context->backend to the one that was asked for, loading its module if need be, or to the
 * first that has a device; refuses a device or precision that it does not have. */
hmt_status backend_choose(hmt_context *context);

#endif
