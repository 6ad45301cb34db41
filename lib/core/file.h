/*
 * Files: read whole or piece by piece, mapped, and replaced atomically.
 *
 * Only regular files: directories, FIFOs and devices are refused without blocking. Interrupted and
 * short system calls are continued. Every failure leaves one sentence with the path in it.
 */
#ifndef HMT_CORE_FILE_H
#define HMT_CORE_FILE_H

#include <stdbool.h>

#include <hmtnet/hmtnet.h>

#include "core/replace.h"

/* Reads a whole file. *data has *size bytes and a terminating zero behind them; release it with
 * memory_free() and the same allocator. A file of more than max_bytes is HMT_ERROR_LIMIT, one that
 * changes its length meanwhile HMT_ERROR_IO. On failure *data is NULL. */
hmt_status file_read(const hmt_allocator *allocator, const char *path, uint64_t max_bytes,
                     unsigned char **data, size_t *size);

/* A file that is open for reading. It is never mapped, so whatever happens to it meanwhile cannot
 * harm this process. */
typedef struct file_reader {
    const char *path; /* as given to file_reader_open() */
    int descriptor;
    bool open;
    uint64_t size;      /* bytes, at least 1 */
    int64_t written[2]; /* when it was last written to, as it was opened: seconds, nanoseconds */
} file_reader;

/* Opens a file; an empty one is HMT_ERROR_FORMAT. `path` must stay. On failure *reader is zero. */
hmt_status file_reader_open(const char *path, file_reader *reader);
/* Reads `size` bytes that begin at `offset`; HMT_ERROR_IO if the file has become too short. */
hmt_status file_reader_read(const file_reader *reader, uint64_t offset, void *data, size_t size);
/* HMT_ERROR_IO if somebody has written to the file since it was opened: what was read may be half
 * of one content and half of another. */
hmt_status file_reader_check(const file_reader *reader);
/* Closes and sets to zero. One that is zero already is left alone. */
void file_reader_close(file_reader *reader);

/* A file in memory, copy on write: what is changed there never reaches the file. */
typedef struct file_map {
    unsigned char *data; /* page aligned; NULL if nothing is mapped */
    size_t size;         /* bytes, at least 1 */
} file_map;

/* Maps a whole file, for those who asked for it: shortening it kills a process that touches the
 * map; an empty one is HMT_ERROR_FORMAT. On failure *map is zero. */
hmt_status file_map_open(const char *path, file_map *map);
/* Unmaps and sets to zero. A map that is zero already is left alone. */
void file_map_close(file_map *map);
/* Gives the whole pages of unchanged bytes back to the system; they are read again when touched. */
void file_map_forget(const file_map *map, const void *from, size_t bytes);

/*
 * Writes a new file beside `path` and puts it in the place of the old one when it is complete:
 *
 *     file_writer writer = {0};
 *     status = file_writer_open(&writer, allocator, path);
 *     if (status == HMT_OK) status = file_writer_write(&writer, data, size);    any number of times
 *     if (status == HMT_OK) status = file_writer_commit(&writer);
 *     file_writer_discard(&writer);
 *
 * `path` holds the old or the new content, whole, at every moment. Links, permissions and owners
 * are dealt with as core/replace.h says. Several writers may write to the same path: the last
 * commit wins.
 */
typedef struct file_writer {
    const hmt_allocator *allocator;
    char *path;            /* as it was given, for messages */
    unsigned char *buffer; /* small writes are gathered here */
    size_t buffered;       /* bytes in it */
    replacement file;      /* if open */
    bool open;
} file_writer;

/* Creates the temporary file. `writer` may be uninitialised. */
hmt_status file_writer_open(file_writer *writer, const hmt_allocator *allocator, const char *path);
/* Appends. After a failure the writer is discarded and refuses further calls. */
hmt_status file_writer_write(file_writer *writer, const void *data, size_t size);
/* Syncs, renames over the old file and syncs the directory. On failure the old file is as before
 * and the temporary one is gone; the one exception is said in the message: when only the last sync
 * fails, the new file stands in its place but may not survive a power failure. */
hmt_status file_writer_commit(file_writer *writer);
/* Removes the temporary file and frees everything. Nothing happens after a commit, after a failed
 * call, or to a writer that is zero. */
void file_writer_discard(file_writer *writer);

#endif
