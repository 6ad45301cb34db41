/* A module that needs a library which is not there when it is loaded, as one for a GPU does on a
 * machine without its libraries. The library is tests/module_absent_library.h's function. */
#include "reference/reference.h"

#include "module_absent_library.h"

__attribute__((visibility("default"))) const hmt_backend *hmt_backend_module(void);

const hmt_backend *hmt_backend_module(void)
{
    return module_absent_library() ? &backend_reference : NULL;
}
