/* Replacing a file atomically (see replace.h). All is done within the opened directory, so that
 * nobody who renames folders or plants links meanwhile changes where the file goes. */
#define _GNU_SOURCE /* O_TMPFILE, O_PATH, AT_EMPTY_PATH */
#include "core/replace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LONGEST_STEM = 200,      /* of the target's name, kept in the temporary one */
    TEMPORARY_NAMES = 10000, /* tried before giving up */
    LINKS_FOLLOWED = 40      /* as many as the kernel */
};

const char replace_unsynced[] = "sync the directory of the written file";

static int fail(replacement *r, int error, const char *what, const char *why)
{
    replace_discard(r);
    r->what = what;
    r->why = why;
    return error;
}

static int open_at(int directory, const char *name, int flags, mode_t mode)
{
    int descriptor;

    do
        descriptor = openat(directory, name, flags | O_CLOEXEC, mode);
    while (descriptor < 0 && errno == EINTR);
    return descriptor;
}

/* ---- the target ---- */

/* Whether two descriptions are of one file. */
static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* As the kernel does with fs.protected_symlinks, whose setting does not matter here. */
static bool may_follow(const struct stat *link, const struct stat *directory)
{
    const mode_t shared = S_ISVTX | S_IWOTH;

    return (directory->st_mode & shared) != shared || link->st_uid == geteuid() ||
           link->st_uid == directory->st_uid;
}

/* Goes to the directory of `path`, as seen from r->directory or the current one, and keeps the last
 * component. The kernel follows, and judges, what leads there. */
static int enter(replacement *r, const char *path)
{
    const char *slash = strrchr(path, '/');
    const size_t length = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    const char *name = path + length;
    char folder[PATH_MAX];
    int directory;

    if (strlen(path) >= PATH_MAX || strlen(name) >= REPLACE_NAME)
        return ENAMETOOLONG;
    if (name[0] == '\0')
        return length == 0 ? ENOENT : EISDIR;
    memcpy(folder, length == 0 ? "." : path, length == 0 ? 1 : length);
    folder[length == 0 ? 1 : length] = '\0';
    memcpy(r->name, name, strlen(name) + 1);
    directory =
        open_at(r->directory >= 0 ? r->directory : AT_FDCWD, folder, O_PATH | O_DIRECTORY, 0);
    if (directory < 0)
        return errno;
    if (r->directory >= 0)
        close(r->directory);
    r->directory = directory;
    return 0;
}

/* Reads the link that `descriptor` is; it is followed from its directory. */
static int follow(replacement *r, int descriptor, const struct stat *link)
{
    char target[PATH_MAX];
    struct stat directory;
    ssize_t length;

    if (fstat(r->directory, &directory) != 0)
        return errno;
    if (!may_follow(link, &directory)) {
        r->why = "it is another user's symbolic link in a folder that all may write to";
        return EACCES;
    }
    length = readlinkat(descriptor, "", target, sizeof target - 1);
    if (length < 0)
        return errno;
    target[length] = '\0';
    return enter(r, target);
}

/* Looks at what r->name is. *done: there is nothing to follow any more. */
static int look(replacement *r, bool *done)
{
    struct stat info;
    const int descriptor = open_at(r->directory, r->name, O_PATH | O_NOFOLLOW, 0);
    int error = 0;

    *done = true;
    if (descriptor < 0)
        return errno == ENOENT ? 0 : errno;
    if (fstat(descriptor, &info) != 0) {
        error = errno;
    } else if (S_ISLNK(info.st_mode)) {
        *done = false;
        error = follow(r, descriptor, &info);
    } else if (!S_ISREG(info.st_mode)) {
        error = S_ISDIR(info.st_mode) ? EISDIR : EINVAL;
        r->why = S_ISDIR(info.st_mode) ? "it is a directory" : "it is not a regular file";
    } else {
        r->replaces = true;
        r->mode = info.st_mode & 0777;
        r->owner = info.st_uid;
        r->group = info.st_gid;
    }
    close(descriptor);
    return error;
}

static int find_target(replacement *r, const char *path)
{
    bool done = false;
    int error = enter(r, path);

    for (int i = 0; error == 0 && !done; ++i)
        error = i <= LINKS_FOLLOWED ? look(r, &done) : ELOOP;
    return error;
}

/* ---- what dead processes have left ---- */

/* Is it .NAME.PID.NUMBER.tmp of this target? */
static bool is_temporary(const replacement *r, const char *entry)
{
    static const char digits[] = "0123456789";
    const size_t stem = strnlen(r->name, LONGEST_STEM);
    size_t length;

    if (entry[0] != '.' || strncmp(entry + 1, r->name, stem) != 0 || entry[1 + stem] != '.')
        return false;
    entry += stem + 2;
    length = strspn(entry, digits);
    if (length == 0 || entry[length] != '.')
        return false;
    entry += length + 1;
    length = strspn(entry, digits);
    return length > 0 && strcmp(entry + length, ".tmp") == 0;
}

/* Removes one of our temporary files that no process has locked. Locks end with their process,
 * whatever its number and namespace; whoever creates a file looks whether it is still there when it
 * has the lock.
 */
static void remove_if_dead(int directory, const char *name)
{
    const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    const int descriptor = open_at(directory, name, flags, 0);
    struct stat opened, named;

    if (descriptor < 0)
        return;
    if (fstat(descriptor, &opened) == 0 && S_ISREG(opened.st_mode) && opened.st_uid == geteuid() &&
        opened.st_nlink == 1 && flock(descriptor, LOCK_EX | LOCK_NB) == 0 &&
        fstatat(directory, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && same_file(&opened, &named))
        unlinkat(directory, name, 0);
    close(descriptor);
}

/* A directory that may not be read is left as it is. */
static void remove_dead(const replacement *r)
{
    const int descriptor = open_at(r->directory, ".", O_RDONLY | O_DIRECTORY, 0);
    DIR *entries = descriptor >= 0 ? fdopendir(descriptor) : NULL;
    const struct dirent *entry;

    if (entries == NULL) {
        if (descriptor >= 0)
            close(descriptor);
        return;
    }
    while ((entry = readdir(entries)) != NULL)
        if (is_temporary(r, entry->d_name))
            remove_if_dead(r->directory, entry->d_name);
    closedir(entries);
}

/* ---- the new file ---- */

static void name_temporary(replacement *r, int number)
{
    snprintf(r->temporary, sizeof r->temporary, ".%.*s.%ld.%d.tmp",
             (int)strnlen(r->name, LONGEST_STEM), r->name, (long)getpid(), number);
}

static void descriptor_path(const replacement *r, char path[32])
{
    snprintf(path, 32, "/proc/self/fd/%d", r->descriptor);
}

/* A file without a name, if one can be made and be given a name later. 0 also if not. */
static int create_unnamed(replacement *r, mode_t mode)
{
    char path[32];

    r->descriptor = open_at(r->directory, ".", O_TMPFILE | O_WRONLY, mode);
    if (r->descriptor < 0) /* older kernels and some file systems do not know how */
        return errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT || errno == EINVAL ? 0
                                                                                            : errno;
    descriptor_path(r, path);
    if (faccessat(AT_FDCWD, path, F_OK, 0) != 0) {
        close(r->descriptor);
        r->descriptor = -1;
        return 0;
    }
    flock(r->descriptor, LOCK_EX | LOCK_NB); /* for when it has a name */
    return 0;
}

/* Locks the file just created, if its file system has locks. EAGAIN: somebody took it for that of a
 * dead process, and removes it. */
static int keep(const replacement *r)
{
    struct stat opened, named;

    if (flock(r->descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return EAGAIN;
    if (fstat(r->descriptor, &opened) != 0)
        return errno;
    if (fstatat(r->directory, r->temporary, &named, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? EAGAIN : errno;
    return same_file(&opened, &named) ? 0 : EAGAIN;
}

static int create_named(replacement *r, mode_t mode)
{
    int error = EEXIST;

    for (int number = 0; number < TEMPORARY_NAMES; ++number) {
        name_temporary(r, number);
        r->descriptor =
            open_at(r->directory, r->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOCTTY, mode);
        if (r->descriptor >= 0) {
            error = keep(r);
            if (error != EAGAIN)
                return error;
            close(r->descriptor);
            r->descriptor = -1;
        } else if (errno != EEXIST) {
            error = errno;
            break;
        }
    }
    r->temporary[0] = '\0'; /* not ours */
    return error;
}

int replace_open(replacement *r, const char *path)
{
    mode_t mode;
    int error;

    memset(r, 0, sizeof *r);
    r->descriptor = r->directory = -1;
    error = find_target(r, path);
    if (error != 0)
        return fail(r, error, r->why != NULL ? "replace" : "write", r->why);
    remove_dead(r);
    mode = r->replaces ? 0600 : 0666; /* never wider than the old file's */
    error = create_unnamed(r, mode);
    if (error == 0 && r->descriptor < 0)
        error = create_named(r, mode);
    return error == 0 ? 0 : fail(r, error, "create", NULL);
}

/* Gives the new file the old one's owner, if this is root, its group, if that may be, and its
 * permissions. */
static int take_over(const replacement *r)
{
    const bool root = geteuid() == 0;
    struct stat info;

    if (!r->replaces)
        return 0;
    if (fstat(r->descriptor, &info) != 0)
        return errno;
    if (((root && info.st_uid != r->owner) || info.st_gid != r->group) &&
        fchown(r->descriptor, root ? r->owner : (uid_t)-1, r->group) != 0 && errno != EPERM &&
        errno != EINVAL) /* not a member of the group; not mapped in this namespace */
        return errno;
    return fchmod(r->descriptor, r->mode) == 0 ? 0 : errno;
}

static int sync_descriptor(int descriptor)
{
    int result;

    do
        result = fsync(descriptor);
    while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : errno;
}

/* Gives an unnamed file the target's name, if nothing has it, else a temporary one. */
static int give_name(replacement *r, bool *placed)
{
    char path[32];

    descriptor_path(r, path);
    *placed = !r->replaces && linkat(AT_FDCWD, path, r->directory, r->name, AT_SYMLINK_FOLLOW) == 0;
    if (*placed)
        return 0;
    if (!r->replaces && errno != EEXIST)
        return errno;
    for (int number = 0; number < TEMPORARY_NAMES; ++number) {
        name_temporary(r, number);
        if (linkat(AT_FDCWD, path, r->directory, r->temporary, AT_SYMLINK_FOLLOW) == 0)
            return 0;
        if (errno != EEXIST)
            break;
    }
    r->temporary[0] = '\0'; /* not ours */
    return errno;
}

static int place(replacement *r)
{
    bool placed = false;
    int error = r->temporary[0] == '\0' ? give_name(r, &placed) : 0;

    if (error == 0 && !placed && renameat(r->directory, r->temporary, r->directory, r->name) != 0)
        error = errno;
    if (error == 0)
        r->temporary[0] = '\0'; /* it is the target */
    return error;
}

int replace_commit(replacement *r)
{
    int directory, error;

    directory = open_at(r->directory, ".", O_RDONLY | O_DIRECTORY, 0);
    if (directory < 0 && errno != EACCES) /* it need not be readable to be written to */
        return fail(r, errno, "open the directory of", NULL);
    error = take_over(r);
    if (error != 0)
        fail(r, error, "set the permissions of", NULL);
    else if ((error = sync_descriptor(r->descriptor)) != 0)
        fail(r, error, "sync", NULL);
    else if ((error = place(r)) != 0)
        fail(r, error, "replace", NULL);
    else if (directory >= 0 && (error = sync_descriptor(directory)) == EINVAL)
        error = 0; /* a file system that has nothing to sync in a directory */
    if (error != 0 && r->what == NULL)
        r->what = replace_unsynced;
    if (directory >= 0)
        close(directory);
    if (r->descriptor >= 0) {
        close(r->descriptor); /* synced: there is nothing left that closing could lose */
        r->descriptor = -1;
    }
    replace_discard(r);
    return error;
}

void replace_discard(replacement *r)
{
    if (r->temporary[0] != '\0')
        unlinkat(r->directory, r->temporary, 0);
    r->temporary[0] = '\0';
    if (r->descriptor >= 0)
        close(r->descriptor);
    if (r->directory >= 0)
        close(r->directory);
    r->descriptor = r->directory = -1;
}
