/* Structs that begin with struct_size. */
#include "api/options.h"

#include <string.h>

#include "core/status.h"

/* No struct of ours will ever be this large; an uninitialised struct_size likely is. */
enum { LARGEST = 1 << 16 };

static hmt_status check(const void *options, const char *name, size_t *size)
{
    memcpy(size, options, sizeof *size);
    if (*size < sizeof *size || *size > LARGEST)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "%s: struct_size is %zu; set the struct up with its initialiser", name,
                           *size);
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
    size_t given;
    hmt_status status;

    if (from == NULL)
        return HMT_OK;
    status = check(from, name, &given);
    if (status == HMT_OK)
        copy_fields(into, from, size, given);
    return status;
}

hmt_status options_give(void *into, const void *from, size_t size, const char *name)
{
    size_t room;
    hmt_status status;

    if (into == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "%s: the pointer is NULL", name);
    status = check(into, name, &room);
    if (status == HMT_OK)
        copy_fields(into, from, size, room);
    return status;
}
