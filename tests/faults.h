/*
 * System calls that fail on demand. A test that includes this names the calls in its `wrap:` line;
 * the linker then leads them here. Arm `fault` and the call it names fails, with an errno or by a
 * short transfer. Define _GNU_SOURCE first.
 */
#ifndef HMT_TESTS_FAULTS_H
#define HMT_TESTS_FAULTS_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of open and openat, read and pread; LINK to UNLINK and READLINK are the calls that begin at a
 * directory. */
enum call {
    OPEN,
    CLOSE,
    READ,
    WRITE,
    FSTAT,
    STAT,
    FCHMOD,
    FCHOWN,
    FSYNC,
    LINK,
    RENAME,
    UNLINK,
    MMAP,
    READLINK,
    LOCK,
    ACCESS,
    CALLS
};
static const char *const names[CALLS] = {
    "open",  "close",  "read",     "write",    "fstat", "fstatat",    "fchmod", "fchown",
    "fsync", "linkat", "renameat", "unlinkat", "mmap",  "readlinkat", "flock",  "faccessat"};

/* File systems that have no files without a name. */
static bool no_unnamed;

enum { SHORT = -1 }; /* in place of an errno: transfers one byte */

static struct {
    bool armed;
    bool fired;
    enum call call; /* which call is to fail */
    int after;      /* how many of it succeed before */
    int error;      /* errno, or SHORT */
    int times;      /* how many fail in a row */
} fault;

/* 0: go on; otherwise an errno or SHORT. */
static int strike(enum call call)
{
    if (!fault.armed || fault.call != call || fault.times == 0 || fault.after-- > 0)
        return 0;
    fault.after = 0;
    --fault.times;
    fault.fired = true;
    return fault.error;
}

#define FAIL_AS(call, failure)                                                                     \
    do {                                                                                           \
        int error_ = strike(call);                                                                 \
        if (error_ > 0) {                                                                          \
            errno = error_;                                                                        \
            return failure;                                                                        \
        }                                                                                          \
    } while (0)

int __real_open(const char *path, int flags, ...);
int __real_openat(int directory, const char *path, int flags, ...);
int __real_close(int descriptor);
int __real_closedir(DIR *stream);
ssize_t __real_read(int descriptor, void *data, size_t size);
ssize_t __real_pread(int descriptor, void *data, size_t size, off_t offset);
ssize_t __real_write(int descriptor, const void *data, size_t size);
int __real_fstat(int descriptor, struct stat *info);
int __real_fstatat(int directory, const char *path, struct stat *info, int flags);
int __real_fchmod(int descriptor, mode_t mode);
int __real_fchown(int descriptor, uid_t owner, gid_t group);
int __real_fsync(int descriptor);
int __real_linkat(int from, const char *path, int to, const char *name, int flags);
int __real_renameat(int from, const char *path, int to, const char *name);
int __real_unlinkat(int directory, const char *path, int flags);
void *__real_mmap(void *at, size_t size, int protection, int flags, int descriptor, off_t offset);
ssize_t __real_readlinkat(int directory, const char *path, char *target, size_t size);
int __real_flock(int descriptor, int operation);
int __real_faccessat(int directory, const char *path, int mode, int flags);

int __wrap_open(const char *path, int flags, ...);
int __wrap_openat(int directory, const char *path, int flags, ...);
int __wrap_close(int descriptor);
int __wrap_closedir(DIR *stream);
ssize_t __wrap_read(int descriptor, void *data, size_t size);
ssize_t __wrap_pread(int descriptor, void *data, size_t size, off_t offset);
ssize_t __wrap_write(int descriptor, const void *data, size_t size);
int __wrap_fstat(int descriptor, struct stat *info);
int __wrap_fstatat(int directory, const char *path, struct stat *info, int flags);
int __wrap_fchmod(int descriptor, mode_t mode);
int __wrap_fchown(int descriptor, uid_t owner, gid_t group);
int __wrap_fsync(int descriptor);
int __wrap_linkat(int from, const char *path, int to, const char *name, int flags);
int __wrap_renameat(int from, const char *path, int to, const char *name);
int __wrap_unlinkat(int directory, const char *path, int flags);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int descriptor, off_t offset);
ssize_t __wrap_readlinkat(int directory, const char *path, char *target, size_t size);
int __wrap_flock(int descriptor, int operation);
int __wrap_faccessat(int directory, const char *path, int mode, int flags);

static int open_descriptors; /* opened less closed, while armed */

int __wrap_open(const char *path, int flags, ...)
{
    va_list arguments;
    int descriptor;
    mode_t mode;

    FAIL_AS(OPEN, -1);
    va_start(arguments, flags);
    mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    descriptor = __real_open(path, flags, mode);
    open_descriptors += fault.armed && descriptor >= 0;
    return descriptor;
}

int __wrap_openat(int directory, const char *path, int flags, ...)
{
    va_list arguments;
    int descriptor;
    mode_t mode;

    FAIL_AS(OPEN, -1);
    if (no_unnamed && (flags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    va_start(arguments, flags);
    mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    descriptor = __real_openat(directory, path, flags, mode);
    open_descriptors += fault.armed && descriptor >= 0;
    return descriptor;
}

int __wrap_closedir(DIR *stream)
{
    open_descriptors -= fault.armed;
    return __real_closedir(stream);
}

/* As Linux does: the descriptor is closed, whatever is returned. */
int __wrap_close(int descriptor)
{
    int result = __real_close(descriptor);

    open_descriptors -= fault.armed;
    FAIL_AS(CLOSE, -1);
    return result;
}

ssize_t __wrap_read(int descriptor, void *data, size_t size)
{
    int error = strike(READ);

    if (error > 0) {
        errno = error;
        return -1;
    }
    return __real_read(descriptor, data, error == SHORT && size > 0 ? 1 : size);
}

ssize_t __wrap_pread(int descriptor, void *data, size_t size, off_t offset)
{
    int error = strike(READ);

    if (error > 0) {
        errno = error;
        return -1;
    }
    return __real_pread(descriptor, data, error == SHORT && size > 0 ? 1 : size, offset);
}

ssize_t __wrap_write(int descriptor, const void *data, size_t size)
{
    int error = strike(WRITE);

    if (error > 0) {
        errno = error;
        return -1;
    }
    return __real_write(descriptor, data, error == SHORT && size > 0 ? 1 : size);
}

int __wrap_fstat(int descriptor, struct stat *info)
{
    FAIL_AS(FSTAT, -1);
    return __real_fstat(descriptor, info);
}

int __wrap_fstatat(int directory, const char *path, struct stat *info, int flags)
{
    FAIL_AS(STAT, -1);
    return __real_fstatat(directory, path, info, flags);
}

int __wrap_fchown(int descriptor, uid_t owner, gid_t group)
{
    FAIL_AS(FCHOWN, -1);
    return __real_fchown(descriptor, owner, group);
}

int __wrap_fchmod(int descriptor, mode_t mode)
{
    FAIL_AS(FCHMOD, -1);
    return __real_fchmod(descriptor, mode);
}

int __wrap_fsync(int descriptor)
{
    FAIL_AS(FSYNC, -1);
    return __real_fsync(descriptor);
}

int __wrap_linkat(int from, const char *path, int to, const char *name, int flags)
{
    FAIL_AS(LINK, -1);
    return __real_linkat(from, path, to, name, flags);
}

int __wrap_renameat(int from, const char *path, int to, const char *name)
{
    FAIL_AS(RENAME, -1);
    return __real_renameat(from, path, to, name);
}

int __wrap_unlinkat(int directory, const char *path, int flags)
{
    FAIL_AS(UNLINK, -1);
    return __real_unlinkat(directory, path, flags);
}

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int descriptor, off_t offset)
{
    FAIL_AS(MMAP, MAP_FAILED);
    return __real_mmap(at, size, protection, flags, descriptor, offset);
}

ssize_t __wrap_readlinkat(int directory, const char *path, char *target, size_t size)
{
    FAIL_AS(READLINK, -1);
    return __real_readlinkat(directory, path, target, size);
}

int __wrap_flock(int descriptor, int operation)
{
    FAIL_AS(LOCK, -1);
    return __real_flock(descriptor, operation);
}

int __wrap_faccessat(int directory, const char *path, int mode, int flags)
{
    FAIL_AS(ACCESS, -1);
    return __real_faccessat(directory, path, mode, flags);
}

#endif
