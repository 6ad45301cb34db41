/*
 * Files: read whole, mapped, and replaced atomically. Speaks POSIX and nothing else; all memory is
 * the caller's allocator's, and no file but the named one and its temporary neighbour is touched.
 */
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/status.h"

enum {
    BUFFER_SIZE = 64 * 1024, /* writes smaller than this are gathered */
    LONGEST_CALL = 1 << 30,  /* bytes asked of one read() or write() */
    LONGEST_STEM = 200,      /* of the old name, kept in the temporary one (NAME_MAX is 255) */
    SUFFIX_SIZE = 40,        /* ".PID.NUMBER.tmp" and the zero */
    TEMPORARY_NAMES = 10000, /* tried before giving up */
    LINKS_FOLLOWED = 40      /* as many as the kernel */
};

static hmt_status refuse_kind(mode_t mode, const char *what, const char *path)
{
    return status_fail(HMT_ERROR_IO, "cannot %s %s: it is %s", what, path,
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
        status = refuse_kind(info->st_mode, "read", path);
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

/* Where a path's last component begins: behind the last slash. */
static size_t directory_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? 0 : (size_t)(slash - path) + 1;
}

/* Follows `path` (PATH_MAX bytes) while it is a symbolic link, in place. What a link points to need
 * not exist. */
static hmt_status follow_links(const char *given, char *path)
{
    char target[PATH_MAX];

    if (strlen(given) >= PATH_MAX)
        return status_fail_errno(ENAMETOOLONG, "write", given);
    memcpy(path, given, strlen(given) + 1);
    for (int i = 0; i < LINKS_FOLLOWED; ++i) {
        ssize_t length = readlink(path, target, sizeof target);
        size_t stem;

        if (length < 0 && (errno == EINVAL || errno == ENOENT))
            return HMT_OK; /* not a link, or nothing there yet */
        if (length < 0)
            return status_fail_errno(errno, "write", given);
        stem = length > 0 && target[0] == '/' ? 0 : directory_length(path);
        if (stem + (size_t)length >= PATH_MAX)
            return status_fail_errno(ENAMETOOLONG, "write", given);
        memcpy(path + stem, target, (size_t)length);
        path[stem + (size_t)length] = '\0';
    }
    return status_fail_errno(ELOOP, "write", given);
}

/* Creates DIRECTORY/.NAME.PID.NUMBER.tmp for the first number that is free. */
static hmt_status create_temporary(file_writer *writer, mode_t mode)
{
    size_t stem = directory_length(writer->path);
    size_t name = strlen(writer->path + stem);
    size_t size = stem + 1 + LONGEST_STEM + SUFFIX_SIZE;
    void *block;
    char *path;
    hmt_status status = memory_uninitialised(writer->allocator, size, 1, "a file name", &block);

    if (status != HMT_OK)
        return status;
    path = block;
    for (int number = 0; number < TEMPORARY_NAMES; ++number) {
        snprintf(path, size, "%.*s.%.*s.%ld.%d.tmp", (int)stem, writer->path,
                 (int)(name < LONGEST_STEM ? name : LONGEST_STEM), writer->path + stem,
                 (long)getpid(), number);
        do
            writer->descriptor =
                open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, mode);
        while (writer->descriptor < 0 && errno == EINTR);
        if (writer->descriptor >= 0) {
            writer->temporary = path; /* from here on ours to remove */
            writer->open = true;
            return HMT_OK;
        }
        if (errno != EEXIST)
            break;
    }
    status = status_fail_errno(errno, "create", writer->path);
    memory_free(writer->allocator, path);
    return status;
}

hmt_status file_writer_open(file_writer *writer, const hmt_allocator *allocator, const char *path)
{
    char resolved[PATH_MAX];
    struct stat old, created;
    bool replaces;
    void *buffer;
    hmt_status status;

    memset(writer, 0, sizeof *writer);
    writer->allocator = allocator;
    status = follow_links(path, resolved);
    if (status != HMT_OK)
        return status;
    replaces = stat(resolved, &old) == 0;
    if (!replaces && errno != ENOENT)
        return status_fail_errno(errno, "write", path);
    if (replaces && !S_ISREG(old.st_mode))
        return refuse_kind(old.st_mode, "replace", path);

    status = memory_string(allocator, resolved, &writer->path);
    if (status != HMT_OK)
        goto fail;
    status = memory_uninitialised(allocator, BUFFER_SIZE, 1, "a write buffer", &buffer);
    if (status != HMT_OK)
        goto fail;
    writer->buffer = buffer;
    status = create_temporary(writer, replaces ? old.st_mode & 0777 : 0666);
    if (status != HMT_OK)
        goto fail;
    /* The umask may have taken away what the old file allowed; it is never wider meanwhile. */
    if (replaces && (fstat(writer->descriptor, &created) != 0 ||
                     ((created.st_mode & 0777) != (old.st_mode & 0777) &&
                      fchmod(writer->descriptor, old.st_mode & 0777) != 0))) {
        status = status_fail_errno(errno, "set the permissions of", path);
        goto fail;
    }
    return HMT_OK;
fail:
    file_writer_discard(writer);
    return status;
}

static hmt_status write_fully(file_writer *writer, const unsigned char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(writer->descriptor, data, size < LONGEST_CALL ? size : LONGEST_CALL);

        if (n > 0) {
            data += n;
            size -= (size_t)n;
        } else if (n == 0) { /* not in POSIX for a regular file: better a failure than a loop */
            return status_fail_errno(EIO, "write", writer->path);
        } else if (errno != EINTR) {
            return status_fail_errno(errno, "write", writer->path);
        }
    }
    return HMT_OK;
}

static hmt_status flush(file_writer *writer)
{
    hmt_status status = write_fully(writer, writer->buffer, writer->buffered);

    writer->buffered = 0;
    return status;
}

hmt_status file_writer_write(file_writer *writer, const void *data, size_t size)
{
    hmt_status status = HMT_OK;

    if (!writer->open)
        return status_fail(HMT_ERROR_STATE, "a file is written to that is not open");
    if (size > BUFFER_SIZE - writer->buffered)
        status = flush(writer);
    if (status == HMT_OK && size >= BUFFER_SIZE) {
        status = write_fully(writer, data, size);
    } else if (status == HMT_OK && size > 0) {
        memcpy(writer->buffer + writer->buffered, data, size);
        writer->buffered += size;
    }
    if (status != HMT_OK)
        file_writer_discard(writer);
    return status;
}

static int sync_descriptor(int descriptor)
{
    int result;

    do
        result = fsync(descriptor);
    while (result != 0 && errno == EINTR);
    return result;
}

/* Opens the directory of `path` to sync it later; -1 in *descriptor where it may not be read, which
 * does not keep anybody from writing into it. */
static hmt_status open_directory(const char *path, int *descriptor)
{
    char directory[PATH_MAX];
    size_t length = directory_length(path);

    if (length == 0)
        directory[length++] = '.';
    else
        memcpy(directory, path, length);
    directory[length] = '\0';
    do
        *descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (*descriptor < 0 && errno == EINTR);
    if (*descriptor < 0 && errno != EACCES)
        return status_fail_errno(errno, "open the directory of", path);
    return HMT_OK;
}

/* Syncs and closes the temporary file: after this its content is on the disk. */
static hmt_status finish_temporary(file_writer *writer)
{
    hmt_status status = flush(writer);
    int closed;

    if (status != HMT_OK)
        return status;
    if (sync_descriptor(writer->descriptor) != 0)
        return status_fail_errno(errno, "sync", writer->path);
    writer->open = false;
    closed = close(writer->descriptor);
    if (closed != 0 && errno != EINTR) /* interrupted, Linux has closed it all the same */
        return status_fail_errno(errno, "close", writer->path);
    return HMT_OK;
}

static void release(file_writer *writer)
{
    memory_free(writer->allocator, writer->path);
    memory_free(writer->allocator, writer->temporary);
    memory_free(writer->allocator, writer->buffer);
    memset(writer, 0, sizeof *writer);
}

hmt_status file_writer_commit(file_writer *writer)
{
    int directory = -1;
    hmt_status status;

    if (!writer->open)
        return status_fail(HMT_ERROR_STATE, "a file is committed that is not open");
    status = open_directory(writer->path, &directory);
    if (status == HMT_OK)
        status = finish_temporary(writer);
    if (status == HMT_OK && rename(writer->temporary, writer->path) != 0)
        status = status_fail_errno(errno, "replace", writer->path);
    if (status != HMT_OK) {
        file_writer_discard(writer);
        goto done;
    }
    /* EINVAL: a file system that has nothing to sync in a directory. */
    if (directory >= 0 && sync_descriptor(directory) != 0 && errno != EINVAL)
        status = status_fail_errno(errno, "sync the directory of the written file", writer->path);
    release(writer);
done:
    if (directory >= 0)
        close(directory);
    return status;
}

void file_writer_discard(file_writer *writer)
{
    if (writer->allocator == NULL)
        return;
    if (writer->open)
        close(writer->descriptor);
    if (writer->temporary != NULL)
        unlink(writer->temporary);
    release(writer);
}
