/*
 * Results to standard output or atomically to a file (see output.h), which is replaced as the
 * library replaces model files. What is not a regular file, such as /dev/null or a pipe, is written
 * to directly.
 */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

static bool failed(const char *path)
{
    cli_error("cannot write to %s: %s", path ? path : "standard output", strerror(errno));
    return false;
}

/* The stream to a descriptor that was opened for `out`. */
static bool take_descriptor(output *out, int descriptor)
{
    out->sink = cli_allocate(1, sizeof *out->sink);
    out->stream = descriptor < 0 ? NULL : sink_open(out->sink, descriptor);
    if (out->stream)
        return true;
    if (descriptor >= 0)
        close(descriptor);
    return failed(out->path);
}

/* A failure of the file's replacement. */
static bool not_replaced(const output *out, int error)
{
    const char *why = out->file.why ? out->file.why : strerror(error);
    cli_error("cannot write to %s: %s", out->path, why);
    return false;
}

bool output_open(output *out, const char *path)
{
    struct stat info;
    *out = (output){.stream = stdout, .sink = cli_standard_output()};
    if (!path || strcmp(path, "-") == 0)
        return true;
    out->path = cli_copy(path);
    out->stream = NULL;
    out->sink = NULL;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))
        return take_descriptor(out, open(path, O_WRONLY | O_CLOEXEC));
    int error = replace_open(&out->file, path);
    if (error)
        return not_replaced(out, error);
    out->replacing = true;
    /* The stream has a descriptor of its own: closing it must not close the file. */
    return take_descriptor(out, fcntl(out->file.descriptor, F_DUPFD_CLOEXEC, 0));
}

bool output_check(const char *path)
{
    struct stat info;
    output probe;
    if (strcmp(path, "-") == 0 ||
        (stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))) {
        cli_error("cannot write to %s: it is no regular file", path);
        return false;
    }
    bool good = output_open(&probe, path);
    output_discard(&probe);
    return good;
}

bool output_failed(output *out)
{
    errno = out->sink && out->sink->error ? out->sink->error : errno;
    if (!out->path)
        cli_output_told();
    return failed(out->path);
}

bool output_commit(output *out)
{
    bool good = fflush(out->stream) == 0 && !ferror(out->stream);
    if (!out->path)
        return good || output_failed(out);
    good = (fclose(out->stream) == 0) && good;
    out->stream = NULL;
    if (!good)
        return output_failed(out);
    if (!out->replacing)
        return true;
    out->replacing = false;
    int error = replace_commit(&out->file);
    return error ? not_replaced(out, error) : true;
}

void output_discard(output *out)
{
    if (out->path && out->stream)
        fclose(out->stream);
    if (out->replacing)
        replace_discard(&out->file);
    if (out->path)
        free(out->sink);
    free(out->path);
    *out = (output){0};
}
