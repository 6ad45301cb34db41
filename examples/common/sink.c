/* Streams that remember why writing failed (see sink.h). */
#define _GNU_SOURCE /* fopencookie */
#include "sink.h"

#include <errno.h>
#include <unistd.h>

static ssize_t write_all(void *cookie, const char *bytes, size_t size)
{
    sink *s = cookie;
    size_t done = 0;
    while (done < size) {
        ssize_t count = write(s->descriptor, bytes + done, size - done);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0) {
            if (!s->error)
                s->error = count < 0 ? errno : EIO;
            errno = s->error;
            break;
        }
        done += (size_t)count;
    }
    return (ssize_t)done; /* fewer than size: the stream is marked as failed */
}

static int seek(void *cookie, off64_t *offset, int whence)
{
    off64_t at = lseek64(((sink *)cookie)->descriptor, *offset, whence);
    if (at < 0)
        return -1;
    *offset = at;
    return 0;
}

static int close_descriptor(void *cookie)
{
    return close(((sink *)cookie)->descriptor);
}

FILE *sink_open(sink *s, int descriptor)
{
    *s = (sink){.descriptor = descriptor};
    return fopencookie(
        s, "w",
        (cookie_io_functions_t){.write = write_all, .seek = seek, .close = close_descriptor});
}
