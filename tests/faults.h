/*
 * System calls that fail on demand. A test that includes this names the calls in its `wrap:` line;
 * the linker then leads them here. Arm `fault` and the call it names fails, with an errno or by a
 * short transfer.
 */
#ifndef HMT_TESTS_FAULTS_H
#define HMT_TESTS_FAULTS_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum call {
    OPEN,
    CLOSE,
    READ,
    WRITE,
    FSTAT,
    STAT,
    FCHMOD,
    FSYNC,
    RENAME,
    UNLINK,
    MMAP,
    READLINK,
    CALLS
};
static const char *const names[CALLS] = {"open",   "close",  "read",   "write",
                                         "fstat",  "stat",   "fchmod", "fsync",
                                         "rename", "unlink", "mmap",   "readlink"};

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
int __real_close(int descriptor);
ssize_t __real_read(int descriptor, void *data, size_t size);
ssize_t __real_write(int descriptor, const void *data, size_t size);
int __real_fstat(int descriptor, struct stat *info);
int __real_stat(const char *path, struct stat *info);
int __real_fchmod(int descriptor, mode_t mode);
int __real_fsync(int descriptor);
int __real_rename(const char *from, const char *to);
int __real_unlink(const char *path);
void *__real_mmap(void *at, size_t size, int protection, int flags, int descriptor, off_t offset);
ssize_t __real_readlink(const char *path, char *target, size_t size);

int __wrap_open(const char *path, int flags, ...);
int __wrap_close(int descriptor);
ssize_t __wrap_read(int descriptor, void *data, size_t size);
ssize_t __wrap_write(int descriptor, const void *data, size_t size);
int __wrap_fstat(int descriptor, struct stat *info);
int __wrap_stat(const char *path, struct stat *info);
int __wrap_fchmod(int descriptor, mode_t mode);
int __wrap_fsync(int descriptor);
int __wrap_rename(const char *from, const char *to);
int __wrap_unlink(const char *path);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int descriptor, off_t offset);
ssize_t __wrap_readlink(const char *path, char *target, size_t size);

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

int __wrap_stat(const char *path, struct stat *info)
{
    FAIL_AS(STAT, -1);
    return __real_stat(path, info);
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

int __wrap_rename(const char *from, const char *to)
{
    FAIL_AS(RENAME, -1);
    return __real_rename(from, to);
}

int __wrap_unlink(const char *path)
{
    FAIL_AS(UNLINK, -1);
    return __real_unlink(path);
}

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int descriptor, off_t offset)
{
    FAIL_AS(MMAP, MAP_FAILED);
    return __real_mmap(at, size, protection, flags, descriptor, offset);
}

ssize_t __wrap_readlink(const char *path, char *target, size_t size)
{
    FAIL_AS(READLINK, -1);
    return __real_readlink(path, target, size);
}

#endif
