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

static bool failed(const char *what, const char *path)
{
    cli_error("cannot %s %s: %s", what, path ? path : "standard output", strerror(errno));
    return false;
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
        return failed("write to", out->path);
    }
    out->stream = fdopen(descriptor, "w");
    if (!out->stream || fchmod(descriptor, mode)) {
        failed("write to", out->path);
        if (!out->stream)
            close(descriptor);
        return false;
    }
    return true;
}

bool output_open(output *out, const char *path)
{
    struct stat info;
    *out = (output){stdout, NULL, NULL};
    if (!path || strcmp(path, "-") == 0)
        return true;
    char *target = realpath(path, NULL);
    bool exists = target && stat(target, &info) == 0;
    out->path = target ? target : cli_copy(path);
    out->stream = NULL;
    if (exists && S_ISDIR(info.st_mode)) {
        errno = EISDIR;
        return failed("write to", path);
    }
    if (exists && !S_ISREG(info.st_mode)) {
        out->stream = fopen(out->path, "w");
        return out->stream ? true : failed("write to", path);
    }
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

bool output_commit(output *out)
{
    bool good = fflush(out->stream) == 0;
    if (good &&
        ferror(out->stream)) { /* an earlier write was lost, its reason is no longer known */
        errno = EIO;
        good = false;
    }
    if (!out->path)
        return good ? true : failed("write to", NULL);
    if (good && out->temporary)
        good = fsync(fileno(out->stream)) == 0;
    good = (fclose(out->stream) == 0) && good;
    out->stream = NULL;
    if (good && out->temporary)
        good = rename(out->temporary, out->path) == 0;
    if (!good)
        return failed("write to", out->path);
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
    free(out->temporary);
    free(out->path);
    *out = (output){0};
}
