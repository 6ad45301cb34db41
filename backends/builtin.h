/*
 * The backends that are linked into the library, best first. The one place that knows their names.
 */
#ifndef HMT_BACKENDS_BUILTIN_H
#define HMT_BACKENDS_BUILTIN_H

#include <hmtnet/backend.h>

/* Ends with NULL. */
extern const hmt_backend *const backends_builtin[];

#endif
