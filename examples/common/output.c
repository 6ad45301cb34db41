/*
 * Results to standard output or atomically to a file (see output.h).
 *
 * A symbolic link is followed, so that the file it points to is replaced. What is not a regular
 * file, such as /dev/null or a pipe, is written to directly.
 */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "files.h"

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

/* Permissions of the new file: the old one's, or what the umask gives. */
static mode_t permissions(const struct stat *old, bool exists)
{
    if (exists)
        return old->st_mode & 0777;
    mode_t mask = umask(0);
    umask(mask);
    return 0666 & ~mask;
}

static bool open_temporary(output *out, mode_t mode)
{
    size_t room = strlen(out->path) + sizeof ".XXXXXX";
    out->temporary = cli_allocate(room, 1);
    snprintf(out->temporary, room, "%s.XXXXXX", out->path);
    int descriptor = mkstemp(out->temporary);
    if (descriptor < 0) {
        int error = errno;
        free(out->temporary);
        out->temporary = NULL;
        errno = error;
        return failed(out->path);
    }
    return take_descriptor(out, descriptor) && (!fchmod(descriptor, mode) || failed(out->path));
}

bool output_open(output *out, const char *path)
{
    struct stat info;
    *out = (output){.stream = stdout, .sink = cli_standard_output()};
    if (!path || strcmp(path, "-") == 0)
        return true;
    /* stat(), as realpath() reads links that the kernel would not follow (protected_symlinks). */
    bool exists = stat(path, &info) == 0, usable = exists || errno == ENOENT;
    char *target = usable ? realpath(path, NULL) : NULL;
    out->path = target ? target : cli_copy(path);
    out->stream = NULL;
    out->sink = NULL;
    if (!usable)
        return failed(path);
    if (exists && S_ISDIR(info.st_mode)) {
        errno = EISDIR;
        return failed(path);
    }
    if (exists && !S_ISREG(info.st_mode))
        return take_descriptor(out, open(out->path, O_WRONLY | O_CLOEXEC));
    return open_temporary(out, permissions(&info, exists));
}

/* Makes the renaming itself last: syncs the folder, as far as its file system can. */
static void sync_folder(const char *path)
{
    char *folder = files_folder(path);
    int descriptor = open(folder, O_RDONLY | O_CLOEXEC);
    if (descriptor >= 0) {
        fsync(descriptor);
        close(descriptor);
    }
    free(folder);
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
    if (good && out->temporary)
        good = fsync(out->sink->descriptor) == 0;
    good = (fclose(out->stream) == 0) && good;
    out->stream = NULL;
    if (good && out->temporary)
        good = rename(out->temporary, out->path) == 0;
    if (!good)
        return output_failed(out);
    if (out->temporary)
        sync_folder(out->path);
    free(out->temporary);
    out->temporary = NULL;
    return true;
}

void output_discard(output *out)
{
    if (out->path && out->stream)
        fclose(out->stream);
    if (out->temporary)
        unlink(out->temporary);
    if (out->path)
        free(out->sink);
    free(out->temporary);
    free(out->path);
    *out = (output){0};
}
