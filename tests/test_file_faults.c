/* wrap: open openat close closedir read pread write fstat fstatat fchmod fchown fsync linkat */
/* wrap: renameat unlinkat mmap readlinkat flock faccessat */
/*
 * Disks that fail: each of these calls is made to fail in turn, in each of the ways that it can,
 * while a file is read, mapped or replaced. A status and a sentence each time, the old file as it
 * was, nothing left behind. And files that others have planted, or dead processes left.
 */
#define _GNU_SOURCE /* O_TMPFILE */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "core/file.h"
#include "core/memory.h"
#include "core/status.h"
#include "faults.h"

enum { OLD = 1000, NEW = 200000 }; /* bytes */

static char directory[] = "/tmp/hmtnet_faults_XXXXXX";
static char path[512], in_directory[512];
static unsigned char content[NEW];

static const char *inside(const char *name)
{
    snprintf(in_directory, sizeof in_directory, "%s/%s", directory, name);
    return in_directory;
}

/* Writes the old file with plain calls; its mode differs from what the umask gives. */
static void put_old(void)
{
    FILE *file = fopen(path, "wb");

    CHECK(file != NULL && fwrite(content + 7, 1, OLD, file) == OLD && fclose(file) == 0);
    CHECK(chmod(path, 0666) == 0);
}

/* Does the file hold these bytes? */
static bool holds(const unsigned char *bytes, size_t size)
{
    static unsigned char found[NEW + 1];
    FILE *file = fopen(path, "rb");
    size_t n = file != NULL ? fread(found, 1, sizeof found, file) : 0;

    if (file != NULL)
        fclose(file);
    return file != NULL && n == size && memcmp(found, bytes, size) == 0;
}

/* Number of files in the directory; removes those whose name ends in .tmp. */
static int count_files(void)
{
    DIR *stream = opendir(directory);
    struct dirent *entry;
    int n = 0;

    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        const char *end = strrchr(entry->d_name, '.');

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        ++n;
        if (end != NULL && strcmp(end, ".tmp") == 0)
            unlink(inside(entry->d_name));
    }
    closedir(stream);
    return n;
}

static hmt_status do_read(void)
{
    unsigned char *data;
    size_t size;
    hmt_status status = file_read(&memory_default, path, OLD, &data, &size);

    CHECK(status == HMT_OK ? size == OLD && memcmp(data, content + 7, OLD) == 0 && data[OLD] == 0
                           : data == NULL && size == 0);
    memory_free(&memory_default, data);
    return status;
}

static hmt_status do_map(void)
{
    file_map map;
    hmt_status status = file_map_open(path, &map);

    CHECK(status == HMT_OK ? map.size == OLD && memcmp(map.data, content + 7, OLD) == 0
                           : map.data == NULL && map.size == 0);
    if (status == HMT_OK)
        memset(map.data, 0, map.size); /* must not reach the file */
    file_map_close(&map);
    return status;
}

static hmt_status do_replace(void)
{
    file_writer writer;
    size_t sizes[] = {8, 3000, 70000, 1, 65536}, done = 0;
    hmt_status status = file_writer_open(&writer, &memory_default, path);

    for (int i = 0; i < 5 && status == HMT_OK; ++i, done += sizes[i - 1])
        status = file_writer_write(&writer, content + done, sizes[i]);
    if (status == HMT_OK)
        status = file_writer_write(&writer, content + done, NEW - done);
    if (status == HMT_OK)
        status = file_writer_commit(&writer);
    if (status != HMT_OK) {
        CHECK(!writer.open && writer.path == NULL);
        CHECK(file_writer_write(&writer, content, 1) == HMT_ERROR_STATE);
        CHECK(file_writer_commit(&writer) == HMT_ERROR_STATE);
    }
    file_writer_discard(&writer);
    return status;
}

typedef hmt_status (*action)(void);

/* One run of `act` with the fault set; checks what must hold whatever fails. */
static hmt_status run(action act, enum call call, int after, int error, int times)
{
    hmt_status status;
    bool replaced = false;

    put_old();
    status_clear();
    open_descriptors = 0;
    memset(&fault, 0, sizeof fault);
    fault.call = call;
    fault.after = after;
    fault.error = error;
    fault.times = times;
    fault.armed = true;
    status = act();
    fault.armed = false;
    CHECK(open_descriptors == 0);
    if (status != HMT_OK) {
        CHECK(strstr(hmt_last_error(), path) != NULL);
        CHECK(strstr(hmt_last_error(), ".tmp") == NULL);
        /* The one failure that comes after the new file is in place. */
        replaced = strstr(hmt_last_error(), "cannot sync the directory") != NULL;
    }
    if (act == do_replace && (status == HMT_OK || replaced))
        CHECK(holds(content, NEW));
    else
        CHECK(holds(content + 7, OLD));
    CHECK(count_files() == 1 || (call == UNLINK && fault.fired));
    return status;
}

/* What may fail without anybody being told: closing what was read, or is synced; a directory that
 * may not be read may still be written to, and is not looked through for what dead processes left,
 * which is the third to be opened; without locks none of those is removed; without /proc the new
 * file gets a name at once. */
static bool may_pass(enum call call, int after, int error)
{
    return call == CLOSE || call == LOCK || call == ACCESS || (call == OPEN && error == EACCES) ||
           (call == OPEN && after == 2);
}

/* Each occurrence of each call fails with each error; tells how many faults were set off. */
static int all_faults(const char *what, action act)
{
    static const int errors[] = {EIO, ENOSPC, EACCES, ENOMEM};
    int fired = 0;

    for (int call = 0; call < CALLS; ++call)
        for (size_t e = 0; e < sizeof errors / sizeof errors[0]; ++e)
            for (int after = 0; after < 100; ++after) {
                hmt_status status = run(act, (enum call)call, after, errors[e], 1);

                if (!fault.fired) {
                    CHECK_STATUS(status, HMT_OK);
                    break;
                }
                ++fired;
                if (status == HMT_OK && !may_pass((enum call)call, after, errors[e])) {
                    printf("%s: failing %s number %d went unnoticed\n", what, names[call], after);
                    CHECK(false);
                }
            }
    return fired;
}

/* Interruptions and short transfers are continued. */
static void trifles_do_not_matter(action act)
{
    static const enum call interrupted[] = {OPEN, READ, WRITE, FSYNC};

    for (size_t c = 0; c < 4; ++c)
        for (int after = 0; after < 8; ++after)
            CHECK_STATUS(run(act, interrupted[c], after, EINTR, 3), HMT_OK);
    CHECK_STATUS(run(act, READ, 0, SHORT, 50), HMT_OK);
    CHECK_STATUS(run(act, WRITE, 0, SHORT, 50), HMT_OK);
    CHECK_STATUS(run(act, CLOSE, 0, EINTR, 1), HMT_OK);
    CHECK_STATUS(run(act, FSYNC, 1, EINVAL, 1), HMT_OK); /* of the directory */
}

/* A file piece by piece, that is not written to meanwhile. */
static hmt_status do_pieces(void)
{
    static unsigned char found[OLD];
    file_reader reader;
    hmt_status status = file_reader_open(path, &reader);

    CHECK(status == HMT_OK ? reader.open && reader.size == OLD : !reader.open);
    for (size_t at = OLD; status == HMT_OK && at > 0; at -= OLD / 4)
        status = file_reader_read(&reader, at - OLD / 4, found + at - OLD / 4, OLD / 4);
    if (status == HMT_OK)
        status = file_reader_check(&reader);
    CHECK(status != HMT_OK || memcmp(found, content + 7, OLD) == 0);
    file_reader_close(&reader);
    return status;
}

static void replacing_keeps_the_old_file(void)
{
    CHECK(all_faults("replace", do_replace) >= 4 * 16);
    CHECK_STATUS(run(do_replace, WRITE, 2, ENOSPC, 1), HMT_ERROR_IO);
    CHECK(strstr(hmt_last_error(), "No space left") != NULL);
    /* First the file is synced, then, when it is in place, its directory; a directory that may not
     * be read is left out. */
    CHECK_STATUS(run(do_replace, FSYNC, 0, EIO, 1), HMT_ERROR_IO);
    CHECK(strstr(hmt_last_error(), "directory") == NULL);
    CHECK_STATUS(run(do_replace, FSYNC, 1, EIO, 1), HMT_ERROR_IO);
    CHECK(strstr(hmt_last_error(), "directory") != NULL);
    CHECK_STATUS(run(do_replace, OPEN, 4 + no_unnamed, EACCES, 1), HMT_OK);
    trifles_do_not_matter(do_replace);
}

static void failures_keep_the_old_file(void)
{
    CHECK(all_faults("read", do_read) >= 4 * 4);
    CHECK(all_faults("pieces", do_pieces) >= 4 * 6);
    CHECK(all_faults("map", do_map) >= 4 * 4);
    CHECK_STATUS(run(do_map, MMAP, 0, ENOMEM, 1), HMT_ERROR_MEMORY);
    trifles_do_not_matter(do_read);
    trifles_do_not_matter(do_pieces);
    trifles_do_not_matter(do_map);
    for (int named = 0; named < 2; ++named) {
        no_unnamed = named != 0;
        replacing_keeps_the_old_file();
    }
    no_unnamed = false;
}

/* A write fails and the clean-up as well: the first reason is the one that is told. */
static void failing_unlink_is_harmless(void)
{
    file_writer writer;

    put_old();
    status_clear();
    no_unnamed = true;
    CHECK_STATUS(file_writer_open(&writer, &memory_default, path), HMT_OK);
    memset(&fault, 0, sizeof fault);
    fault.armed = true;
    fault.call = UNLINK;
    fault.error = EIO;
    fault.times = 1;
    file_writer_discard(&writer);
    fault.armed = false;
    no_unnamed = false;
    CHECK(fault.fired && holds(content + 7, OLD) && count_files() == 2);
    CHECK(count_files() == 1);
}

static void other_kinds_are_refused(void)
{
    unsigned char *data;
    size_t size;
    file_map map;
    file_writer writer;
    const char *fifo;

    status_clear();
    CHECK_STATUS(file_read(&memory_default, directory, 100, &data, &size), HMT_ERROR_IO);
    CHECK(strstr(hmt_last_error(), "it is a directory") != NULL);
    status_clear();
    CHECK_STATUS(file_writer_open(&writer, &memory_default, directory), HMT_ERROR_IO);
    status_clear();
    CHECK_STATUS(file_writer_open(&writer, &memory_default, "/dev/null"), HMT_ERROR_IO);
    CHECK(strstr(hmt_last_error(), "/dev/null: it is not a regular file") != NULL);
    fifo = inside("fifo");
    CHECK(mkfifo(fifo, 0600) == 0);
    status_clear();
    CHECK_STATUS(file_read(&memory_default, fifo, 100, &data, &size), HMT_ERROR_IO);
    status_clear();
    CHECK_STATUS(file_map_open(fifo, &map), HMT_ERROR_IO);
    status_clear();
    CHECK_STATUS(file_writer_open(&writer, &memory_default, fifo), HMT_ERROR_IO);
    unlink(fifo);
    status_clear();
    CHECK_STATUS(file_read(&memory_default, inside("none"), 100, &data, &size),
                 HMT_ERROR_NOT_FOUND);
    status_clear();
    CHECK_STATUS(file_writer_open(&writer, &memory_default, inside("none/none")),
                 HMT_ERROR_NOT_FOUND);
    put_old();
    status_clear();
    CHECK_STATUS(file_read(&memory_default, path, OLD - 1, &data, &size), HMT_ERROR_LIMIT);
    CHECK(strstr(hmt_last_error(), "has 1000 bytes, more than the limit of 999") != NULL);
    CHECK(truncate(path, 0) == 0);
    status_clear();
    CHECK_STATUS(file_map_open(path, &map), HMT_ERROR_FORMAT);
    CHECK(strstr(hmt_last_error(), "is empty") != NULL);
    CHECK_STATUS(file_read(&memory_default, path, 0, &data, &size), HMT_OK);
    CHECK(size == 0 && data != NULL && data[0] == 0);
    memory_free(&memory_default, data);
    /* What looks empty and is not: a file whose length differs from what was said. */
    status_clear();
    CHECK_STATUS(file_read(&memory_default, "/proc/self/status", 100000, &data, &size),
                 HMT_ERROR_IO);
    CHECK(strstr(hmt_last_error(), "changed its length") != NULL);
}

static mode_t mode_of(const char *name)
{
    struct stat info;
    return stat(name, &info) == 0 ? info.st_mode & 0777 : 0;
}

static void replace_with(const char *name, const char *text)
{
    file_writer writer;

    status_clear();
    CHECK_STATUS(file_writer_open(&writer, &memory_default, name), HMT_OK);
    CHECK_STATUS(file_writer_write(&writer, text, strlen(text)), HMT_OK);
    CHECK_STATUS(file_writer_commit(&writer), HMT_OK);
    CHECK_STATUS(file_writer_commit(&writer), HMT_ERROR_STATE);
    file_writer_discard(&writer);
}

static void permissions_and_links_are_kept(void)
{
    char link[512], chain[512], fresh[512];
    struct stat info;

    snprintf(link, sizeof link, "%s", inside("link"));
    snprintf(chain, sizeof chain, "%s", inside("chain"));
    snprintf(fresh, sizeof fresh, "%s", inside("fresh"));
    umask(027);
    put_old();
    CHECK(chmod(path, 0606) == 0);
    CHECK(symlink("model", link) == 0 && symlink(link, chain) == 0);
    replace_with(chain, "through two links");
    CHECK(holds((const unsigned char *)"through two links", 17) && mode_of(path) == 0606);
    CHECK(lstat(chain, &info) == 0 && S_ISLNK(info.st_mode));
    CHECK(lstat(link, &info) == 0 && S_ISLNK(info.st_mode));
    replace_with(fresh, "x");
    CHECK(mode_of(fresh) == 0640);
    unlink(path);
    replace_with(link, "the link pointed nowhere");
    CHECK(holds((const unsigned char *)"the link pointed nowhere", 24));
    unlink(link);
    CHECK(symlink("chain", link) == 0); /* and chain points back to it */
    {
        file_writer writer;
        status_clear();
        CHECK_STATUS(file_writer_open(&writer, &memory_default, link), HMT_ERROR_IO);
    }
    unlink(link);
    unlink(chain);
    unlink(fresh);
    CHECK(chdir(directory) == 0);
    replace_with("model", "relative");
    CHECK(holds((const unsigned char *)"relative", 8) && count_files() == 1);
}

/* Writers to the same path have a temporary file each; a failed one touches no other's. */
static void writers_do_not_collide(bool named)
{
    file_writer a, b, c;

    no_unnamed = named;
    unlink(path);
    status_clear();
    CHECK_STATUS(file_writer_open(&a, &memory_default, path), HMT_OK);
    CHECK_STATUS(file_writer_open(&b, &memory_default, path), HMT_OK);
    memset(&fault, 0, sizeof fault);
    fault.armed = true;
    fault.call = OPEN;
    fault.error = EMFILE;
    fault.times = 1;
    CHECK_STATUS(file_writer_open(&c, &memory_default, path), HMT_ERROR_IO);
    fault.armed = false;
    CHECK(named == (strcmp(a.file.temporary, b.file.temporary) != 0));
    status_clear();
    CHECK_STATUS(file_writer_write(&a, "a", 1), HMT_OK);
    CHECK_STATUS(file_writer_write(&b, "bb", 2), HMT_OK);
    CHECK_STATUS(file_writer_commit(&b), HMT_OK);
    CHECK(holds((const unsigned char *)"bb", 2));
    CHECK_STATUS(file_writer_commit(&a), HMT_OK);
    CHECK(holds((const unsigned char *)"a", 1) && count_files() == 1);
    no_unnamed = false;
}

/* ---- what a process leaves behind that is killed ---- */

/* Is killed while it writes; with `linked` when the new file has a name and not yet its place. */
static void killed(bool linked)
{
    int status = 0;
    const pid_t child = fork();

    if (child == 0) {
        file_writer writer;

        status_clear();
        if (file_writer_open(&writer, &memory_default, path) != HMT_OK ||
            file_writer_write(&writer, content, NEW) != HMT_OK)
            _exit(1);
        if (linked) { /* the next call would be renameat() */
            snprintf(writer.file.temporary, sizeof writer.file.temporary, ".model.77.0.tmp");
            snprintf(in_directory, sizeof in_directory, "/proc/self/fd/%d", writer.file.descriptor);
            if (linkat(AT_FDCWD, in_directory, writer.file.directory, writer.file.temporary,
                       AT_SYMLINK_FOLLOW) != 0)
                _exit(1);
        }
        raise(SIGKILL);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFSIGNALED(status));
}

static int entries(void)
{
    DIR *stream = opendir(directory);
    int n = -2;

    while (stream != NULL && readdir(stream) != NULL)
        ++n;
    closedir(stream);
    return n;
}

static bool exists(const char *name)
{
    return access(inside(name), F_OK) == 0;
}

static void touch(const char *name)
{
    FILE *file = fopen(inside(name), "wb");

    CHECK(file != NULL && fclose(file) == 0);
}

static void the_dead_leave_nothing(void)
{
    file_writer living;

    put_old();
    killed(false);
    CHECK(entries() == 1); /* it had no name */
    killed(true);
    CHECK(entries() == 2);
    no_unnamed = true;
    killed(false); /* removes that one and leaves its own */
    CHECK(entries() == 2);
    status_clear();
    CHECK_STATUS(file_writer_open(&living, &memory_default, path), HMT_OK); /* removes it */
    CHECK(entries() == 2 && exists(living.file.temporary));
    no_unnamed = false;
    replace_with(path, "the next one"); /* leaves the one that lives */
    CHECK(entries() == 2 && exists(living.file.temporary));
    CHECK_STATUS(file_writer_write(&living, "later", 5), HMT_OK);
    CHECK_STATUS(file_writer_commit(&living), HMT_OK);
    CHECK(entries() == 1 && holds((const unsigned char *)"later", 5));
    no_unnamed = true; /* one that removes them itself */
    killed(false);
    replace_with(path, "named");
    CHECK(entries() == 1);
    no_unnamed = false;
}

/* Names that only look alike, links, what has two names, and other users' files. */
static void others_files_are_left(void)
{
    static const char *const not_ours[] = {".model.1.tmp",    ".model.1.2.tmp~", ".model.x.2.tmp",
                                           ".model2.1.2.tmp", ".mode.1.2.tmp",   ".model.1.2.3.tmp",
                                           "model.1.2.tmp",   ".model..2.tmp",   ".model.1..tmp"};
    const size_t count = sizeof not_ours / sizeof not_ours[0];

    put_old();
    for (size_t i = 0; i < count; ++i)
        touch(not_ours[i]);
    touch("kept");
    CHECK(symlink("kept", inside(".model.3.4.tmp")) == 0);
    CHECK(mkfifo(inside(".model.3.5.tmp"), 0600) == 0);
    CHECK(mkdir(inside(".model.3.6.tmp"), 0700) == 0);
    touch(".model.3.7.tmp");
    {
        char first[512];

        snprintf(first, sizeof first, "%s", inside(".model.3.7.tmp"));
        CHECK(link(first, inside("twice")) == 0);
    }
    touch(".model.3.8.tmp");
    CHECK(geteuid() != 0 || chown(inside(".model.3.8.tmp"), 12345, 12345) == 0);
    replace_with(path, "x");
    for (size_t i = 0; i < count; ++i)
        CHECK(exists(not_ours[i]) && unlink(inside(not_ours[i])) == 0);
    CHECK(exists("kept") && unlink(inside("kept")) == 0);
    CHECK(unlink(inside(".model.3.4.tmp")) == 0 && unlink(inside(".model.3.5.tmp")) == 0);
    CHECK(rmdir(inside(".model.3.6.tmp")) == 0);
    CHECK(unlink(inside(".model.3.7.tmp")) == 0 && unlink(inside("twice")) == 0);
    if (geteuid() == 0)
        CHECK(unlink(inside(".model.3.8.tmp")) == 0);
    CHECK(entries() == 1);
}

/* ---- links and owners, as another user ---- */

/* Opens `name` in a child that is user and group `user`; the errno that it ends with is not needed:
 * 0 it may, 1 it may not, 2 it says why. */
static int as_user(uid_t user, const char *name)
{
    int status = 0;
    const pid_t child = fork();

    if (child == 0) {
        file_writer writer;
        hmt_status opened;

        if (setgid(user) != 0 || setuid(user) != 0)
            _exit(9);
        status_clear();
        opened = file_writer_open(&writer, &memory_default, name);
        file_writer_discard(&writer);
        _exit(opened == HMT_OK                                           ? 0
              : strstr(hmt_last_error(), "another user's symbolic link") ? 2
                                                                         : 1);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void planted_links_are_not_followed(void)
{
    enum { ALICE = 12345, BOB = 23456 };
    char planted[512], target[512];
    file_writer writer;
    struct stat info;

    if (geteuid() != 0) {
        printf("skipped: only root can be another user\n");
        return;
    }
    snprintf(planted, sizeof planted, "%s", inside("planted"));
    snprintf(target, sizeof target, "%s", inside("model"));
    put_old();
    CHECK(symlink(target, planted) == 0 && lchown(planted, ALICE, ALICE) == 0);
    CHECK(chmod(directory, 01777) == 0);
    status_clear(); /* root, whose file it is */
    CHECK_STATUS(file_writer_open(&writer, &memory_default, planted), HMT_ERROR_IO);
    CHECK(strstr(hmt_last_error(), "another user's symbolic link") != NULL);
    CHECK(as_user(BOB, planted) == 2);
    CHECK(as_user(ALICE, planted) == 0); /* it may be opened, and fails at the rename */
    CHECK(lchown(planted, 0, 0) == 0);
    CHECK(as_user(BOB, planted) == 0); /* the folder's owner has made it */
    CHECK(lchown(planted, ALICE, ALICE) == 0);
    CHECK(chmod(directory, 0777) == 0); /* not sticky, as the kernel has it */
    replace_with(planted, "through");
    CHECK(holds((const unsigned char *)"through", 7));
    CHECK(chmod(directory, 0700) == 0);
    unlink(planted);

    CHECK(chown(path, ALICE, BOB) == 0 && chmod(path, 0640) == 0);
    replace_with(path, "by root");
    CHECK(stat(path, &info) == 0 && info.st_uid == ALICE && info.st_gid == BOB);
    CHECK(mode_of(path) == 0640);
    unlink(path);
}

int main(void)
{
    if (mkdtemp(directory) == NULL)
        return 1;
    snprintf(path, sizeof path, "%s", inside("model"));
    for (size_t i = 0; i < NEW; ++i)
        content[i] = (unsigned char)(i * 2654435761u >> 13);
    failures_keep_the_old_file();
    failing_unlink_is_harmless();
    other_kinds_are_refused();
    permissions_and_links_are_kept();
    writers_do_not_collide(false);
    writers_do_not_collide(true);
    the_dead_leave_nothing();
    others_files_are_left();
    planted_links_are_not_followed();
    unlink(path);
    rmdir(directory);
    return test_finish();
}
