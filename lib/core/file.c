/*
 * Files that are read: whole, piece by piece, and mapped. Speaks POSIX and nothing else; all memory
 * is the caller's allocator's.
 */
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/status.h"

enum { LONGEST_CALL = 1 << 30 /* bytes asked of one read() */ };

static hmt_status refuse_kind(mode_t mode, const char *path)
{
    return status_fail(HMT_ERROR_IO, "cannot read %s: it is %s", path,
                       S_ISDIR(mode) ? "a directory" : "not a regular file");
}

/* Opens a regular file for reading; O_NONBLOCK, so that a FIFO without a writer returns at once. */
static hmt_status open_regular(const char *path, int *descriptor, struct stat *info)
{
    hmt_status status;

    do
        *descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    while (*descriptor < 0 && errno == EINTR);
    if (*descriptor < 0)
        return status_fail_errno(errno, "open", path);

    if (fstat(*descriptor, info) != 0)
        status = status_fail_errno(errno, "examine", path);
    else if (!S_ISREG(info->st_mode))
        status = refuse_kind(info->st_mode, path);
    else
        return HMT_OK;
    close(*descriptor);
    return status;
}

/* Reads until `size` bytes are there or the file ends. */
static hmt_status read_fully(int descriptor, const char *path, unsigned char *data, size_t size,
                             size_t *got)
{
    *got = 0;
    while (*got < size) {
        size_t rest = size - *got;
        ssize_t n = read(descriptor, data + *got, rest < LONGEST_CALL ? rest : LONGEST_CALL);

        if (n == 0)
            break;
        if (n > 0)
            *got += (size_t)n;
        else if (errno != EINTR)
            return status_fail_errno(errno, "read", path);
    }
    return HMT_OK;
}

hmt_status file_read(const hmt_allocator *allocator, const char *path, uint64_t max_bytes,
                     unsigned char **data, size_t *size)
{
    int descriptor;
    struct stat info;
    uint64_t length;
    size_t got = 0;
    void *block = NULL;
    hmt_status status = open_regular(path, &descriptor, &info);

    *data = NULL;
    *size = 0;
    if (status != HMT_OK)
        return status;
    length = (uint64_t)info.st_size;
    if (length > max_bytes || length >= SIZE_MAX) {
        status = status_fail(HMT_ERROR_LIMIT,
                             "%s has %" PRIu64 " bytes, more than the limit of %" PRIu64, path,
                             length, max_bytes);
        goto done;
    }
    /* One byte more than the file has tells whether it grew; it holds the zero afterwards. */
    status = memory_uninitialised(allocator, (size_t)length + 1, 1, "a file", &block);
    if (status == HMT_OK)
        status = read_fully(descriptor, path, block, (size_t)length + 1, &got);
    if (status == HMT_OK && got != length)
        status = status_fail(HMT_ERROR_IO, "%s changed its length while it was read", path);
    if (status != HMT_OK)
        goto done;
    *data = block;
    *size = got;
    (*data)[got] = 0;
    block = NULL;
done:
    memory_free(allocator, block);
    close(descriptor);
    return status;
}

hmt_status file_reader_open(const char *path, file_reader *reader)
{
    struct stat info;
    hmt_status status;

    memset(reader, 0, sizeof *reader);
    status = open_regular(path, &reader->descriptor, &info);
    if (status != HMT_OK)
        return status;
    reader->path = path;
    reader->open = true;
    reader->size = (uint64_t)info.st_size;
    reader->written[0] = info.st_mtim.tv_sec;
    reader->written[1] = info.st_mtim.tv_nsec;
    if (reader->size > 0)
        return HMT_OK;
    file_reader_close(reader);
    return status_fail(HMT_ERROR_FORMAT, "%s is empty", path);
}

hmt_status file_reader_read(const file_reader *reader, uint64_t offset, void *data, size_t size)
{
    unsigned char *at = data;

    while (size > 0) {
        ssize_t n =
            pread(reader->descriptor, at, size < LONGEST_CALL ? size : LONGEST_CALL, (off_t)offset);

        if (n == 0)
            return status_fail(HMT_ERROR_IO, "%s became shorter while it was read", reader->path);
        if (n < 0 && errno != EINTR)
            return status_fail_errno(errno, "read", reader->path);
        if (n > 0) {
            at += n;
            offset += (uint64_t)n;
            size -= (size_t)n;
        }
    }
    return HMT_OK;
}

hmt_status file_reader_check(const file_reader *reader)
{
    struct stat info;

    if (fstat(reader->descriptor, &info) != 0)
        return status_fail_errno(errno, "examine", reader->path);
    if ((uint64_t)info.st_size == reader->size && info.st_mtim.tv_sec == reader->written[0] &&
        info.st_mtim.tv_nsec == reader->written[1])
        return HMT_OK;
    return status_fail(HMT_ERROR_IO, "%s was written to while it was read; read it again",
                       reader->path);
}

void file_reader_close(file_reader *reader)
{
    if (reader->open)
        close(reader->descriptor);
    memset(reader, 0, sizeof *reader);
}

hmt_status file_map_open(const char *path, file_map *map)
{
    int descriptor;
    struct stat info;
    uint64_t length;
    void *data;
    hmt_status status = open_regular(path, &descriptor, &info);

    memset(map, 0, sizeof *map);
    if (status != HMT_OK)
        return status;
    length = (uint64_t)info.st_size;
    if (length == 0)
        status = status_fail(HMT_ERROR_FORMAT, "%s is empty", path);
    else if (length > PTRDIFF_MAX)
        status =
            status_fail(HMT_ERROR_LIMIT, "%s has %" PRIu64 " bytes: too many to map", path, length);
    else {
        data = mmap(NULL, (size_t)length, PROT_READ | PROT_WRITE, MAP_PRIVATE, descriptor, 0);
        if (data == MAP_FAILED) {
            status = status_fail_errno(errno, "map", path);
        } else {
            map->data = data;
            map->size = (size_t)length;
        }
    }
    close(descriptor);
    return status;
}

void file_map_forget(const file_map *map, const void *from, size_t bytes)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)from;
    const uintptr_t first = (at + page - 1) / page * page, end = (at + bytes) / page * page;

    if (map->data != NULL && at >= (uintptr_t)map->data &&
        at + bytes <= (uintptr_t)map->data + map->size && first < end)
        madvise((void *)first, end - first, MADV_DONTNEED);
}

void file_map_close(file_map *map)
{
    if (map->data != NULL)
        munmap(map->data, map->size);
    memset(map, 0, sizeof *map);
}
