/* Files that are written: small writes are gathered, and the file takes the old one's place when it
 * is complete (core/replace.h). */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "core/memory.h"
#include "core/status.h"

enum {
    BUFFER_SIZE = 64 * 1024, /* writes smaller than this are gathered */
    LONGEST_CALL = 1 << 30   /* bytes asked of one write() */
};

static hmt_status fail(const replacement *file, int error, const char *path)
{
    if (file->why != NULL)
        return status_fail(HMT_ERROR_IO, "cannot %s %s: %s", file->what, path, file->why);
    return status_fail_errno(error, file->what, path);
}

hmt_status file_writer_open(file_writer *writer, const hmt_allocator *allocator, const char *path)
{
    void *buffer;
    int error;
    hmt_status status;

    memset(writer, 0, sizeof *writer);
    writer->allocator = allocator;
    status = memory_string(allocator, path, &writer->path);
    if (status == HMT_OK)
        status = memory_uninitialised(allocator, BUFFER_SIZE, 1, "a write buffer", &buffer);
    if (status != HMT_OK) {
        file_writer_discard(writer);
        return status;
    }
    writer->buffer = buffer;
    error = replace_open(&writer->file, path);
    if (error == 0) {
        writer->open = true;
        return HMT_OK;
    }
    status = fail(&writer->file, error, path);
    file_writer_discard(writer);
    return status;
}

static hmt_status write_fully(file_writer *writer, const unsigned char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(writer->file.descriptor, data, size < LONGEST_CALL ? size : LONGEST_CALL);

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

hmt_status file_writer_commit(file_writer *writer)
{
    hmt_status status;
    int error;

    if (!writer->open)
        return status_fail(HMT_ERROR_STATE, "a file is committed that is not open");
    status = flush(writer);
    if (status == HMT_OK && (error = replace_commit(&writer->file)) != 0)
        status = fail(&writer->file, error, writer->path);
    file_writer_discard(writer); /* what has been committed is not touched */
    return status;
}

void file_writer_discard(file_writer *writer)
{
    if (writer->allocator == NULL)
        return;
    if (writer->open)
        replace_discard(&writer->file);
    memory_free(writer->allocator, writer->path);
    memory_free(writer->allocator, writer->buffer);
    memset(writer, 0, sizeof *writer);
}
