/* Status codes and the per-thread message. Touches nothing but its thread's buffer. */
#include "core/status.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/message.h"
#include "core/utf8.h"

static _Thread_local char message[STATUS_SIZE];

void status_clear(void)
{
    message[0] = '\0';
}

void status_keep(char kept[STATUS_SIZE])
{
    memcpy(kept, message, sizeof message);
    status_clear();
}

void status_restore(const char kept[STATUS_SIZE])
{
    memcpy(message, kept, sizeof message);
}

/* A file's bytes may stand in a message, and a name in it may have been cut: control characters and
 * what is not UTF-8 become '?'. */
void status_printable(char *text)
{
    for (size_t left = strlen(text), length; left > 0; text += length, left -= length) {
        length = utf8_length(text, left);
        if (length > 0 && utf8_is_printable(text, length))
            continue;
        *text = '?';
        length = 1;
    }
}

hmt_status status_fail_v(hmt_status status, const char *format, va_list arguments)
{
    if (message[0] != '\0')
        return status;
    message_format(message, sizeof message, format, arguments);
    status_printable(message);
    return status;
}

hmt_status status_fail(hmt_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    status_fail_v(status, format, arguments);
    va_end(arguments);
    return status;
}

hmt_status status_fail_errno(int error, const char *what, const char *path)
{
    char why[128];
    hmt_status status = HMT_ERROR_IO;

    if (error == ENOENT || error == ENOTDIR)
        status = HMT_ERROR_NOT_FOUND;
    else if (error == ENOMEM)
        status = HMT_ERROR_MEMORY;
    if (strerror_r(error, why, sizeof why) != 0)
        snprintf(why, sizeof why, "error %d", error);
    return status_fail(status, "cannot %s %s: %s", what, path, why);
}

hmt_status status_fail_at(hmt_status status, const char *path)
{
    char inner[sizeof message];

    status_keep(inner);
    return status_fail(status, "%s: %s", path, inner);
}

hmt_status status_fail_at_line(hmt_status status, const char *path, size_t line)
{
    char inner[sizeof message];

    status_keep(inner);
    return status_fail(status, "%s:%zu: %s", path, line, inner);
}

const char *hmt_last_error(void)
{
    return message;
}

const char *hmt_status_name(hmt_status status)
{
    switch (status) {
    case HMT_OK:
        return "HMT_OK";
    case HMT_ERROR_ARGUMENT:
        return "HMT_ERROR_ARGUMENT";
    case HMT_ERROR_MEMORY:
        return "HMT_ERROR_MEMORY";
    case HMT_ERROR_IO:
        return "HMT_ERROR_IO";
    case HMT_ERROR_FORMAT:
        return "HMT_ERROR_FORMAT";
    case HMT_ERROR_LIMIT:
        return "HMT_ERROR_LIMIT";
    case HMT_ERROR_UNSUPPORTED:
        return "HMT_ERROR_UNSUPPORTED";
    case HMT_ERROR_STATE:
        return "HMT_ERROR_STATE";
    case HMT_ERROR_NOT_FOUND:
        return "HMT_ERROR_NOT_FOUND";
    case HMT_ERROR_BACKEND:
        return "HMT_ERROR_BACKEND";
    case HMT_ERROR_NONFINITE:
        return "HMT_ERROR_NONFINITE";
    case HMT_ERROR_CANCELLED:
        return "HMT_ERROR_CANCELLED";
    }
    return "unknown status";
}
