/*
 * Replacing a file atomically: the new one is written beside it and takes its place when it is
 * complete. POSIX and Linux alone, no memory, no messages of the library: the programs are compiled
 * with it, too.
 *
 *     error = replace_open(&r, path);
 *     if (error == 0) error = write all of it to r.descriptor;
 *     if (error == 0) error = replace_commit(&r);
 *     replace_discard(&r);
 *
 * While it is written the new file has no name, where the file system allows that (O_TMPFILE); else
 * it is called .NAME.PID.NUMBER.tmp. It is locked, so that one that is not locked was left behind
 * by a process that died: those of the same target and user are removed at the next replace_open().
 */
#ifndef HMT_CORE_REPLACE_H
#define HMT_CORE_REPLACE_H

#include <stdbool.h>
#include <sys/types.h>

enum { REPLACE_NAME = 256 /* NAME_MAX and the zero */ };

typedef struct replacement {
    int descriptor;               /* of the new file; -1: there is none */
    int directory;                /* that both are in; -1 */
    char name[REPLACE_NAME];      /* of the file to replace, there; no symbolic link */
    char temporary[REPLACE_NAME]; /* of the new one; "" while it has no name */
    bool replaces;                /* there is an old file; then what follows is its */
    mode_t mode;
    uid_t owner;
    gid_t group;
    const char *what; /* after a failure: what could not be done, as in "cannot WHAT the file" */
    const char *why;  /* in place of the error's text, or NULL */
} replacement;

/*
 * Creates the new file. A path that is a symbolic link means what it points to, which need not
 * exist; but a link in a sticky folder that all may write to, such as /tmp, is followed only if it
 * belongs to this user or to the folder's owner, as fs.protected_symlinks has it. What is no
 * regular file is refused. The new file gets the old one's permissions and group, and root keeps
 * its owner; without an old one the umask decides. Returns 0 or an errno; `*r` may be
 * uninitialised.
 */
int replace_open(replacement *r, const char *path);
/* Syncs the file, puts it in the old one's place and syncs the directory. On failure the old file
 * is as before and the new one is gone, unless `what` is replace_unsynced: then the new file is
 * there but may not survive a power failure. */
int replace_commit(replacement *r);
extern const char replace_unsynced[];
/* Removes the new file. Nothing happens after a commit or a failed call. */
void replace_discard(replacement *r);

#endif
