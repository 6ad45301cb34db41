/* Structs that begin with struct_size. */
#include "api/options.h"

#include <string.h>

#include "api/layouts.h"
#include "core/status.h"

/* No struct of ours will ever be this large; an uninitialised struct_size likely is. */
enum { LARGEST = 1 << 16 };

static size_t size_of(const void *options)
{
    size_t size;

    memcpy(&size, options, sizeof size);
    return size;
}

hmt_status options_check(const void *options, const char *name)
{
    const char *field;
    size_t size;

    if (options == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "%s: the pointer is NULL", name);
    size = size_of(options);
    if (size < sizeof size || size > LARGEST)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "%s: struct_size is %zu; set the struct up with its initialiser", name,
                           size);
    field = layouts_torn_field(name, size);
    if (field != NULL)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "%s: struct_size is %zu, which ends inside the field %s; set the struct "
                           "up with its initialiser",
                           name, size, field);
    return HMT_OK;
}

/* Copies what lies behind struct_size and within both sizes. */
static void copy_fields(void *into, const void *from, size_t a, size_t b)
{
    size_t size = a < b ? a : b, head = sizeof(size_t);

    memcpy((char *)into + head, (const char *)from + head, size - head);
}

hmt_status options_copy(void *into, size_t size, const void *from, const char *name)
{
    hmt_status status;

    if (from == NULL)
        return HMT_OK;
    status = options_check(from, name);
    if (status == HMT_OK)
        copy_fields(into, from, size, size_of(from));
    return status;
}

hmt_status options_give(void *into, const void *from, size_t size, const char *name)
{
    hmt_status status = options_check(into, name);

    if (status == HMT_OK)
        copy_fields(into, from, size, size_of(into));
    return status;
}
