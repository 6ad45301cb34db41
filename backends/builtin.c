/* The table of built-in backends, best first. A new one is one line here and a folder beside this
 * file. */
#include "builtin.h"

#include <stddef.h>

#include "onednn/onednn.h"
#include "reference/reference.h"

const hmt_backend *const backends_builtin[] = {&backend_onednn, &backend_reference, NULL};
