/*
 * Lists of files: named ones, the images of a folder and all folders in it, or read from a stream.
 *
 * The order is that of the arguments; within a folder by name, byte by byte, on every machine.
 */
#ifndef EXAMPLES_FILES_H
#define EXAMPLES_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { FILES_KINDS = 12, FILES_KIND = 24 };

/* Files of one kind that stand in a folder and are no photos by their names. */
typedef struct files_skipped {
    char kind[FILES_KIND]; /* ".heic", "links to folders"; the last one: "others" */
    size_t count;
} files_skipped;

typedef struct files_list {
    char **paths;
    size_t count, room;
    files_skipped skipped[FILES_KINDS];
    size_t kinds; /* of what was skipped */
} files_list;

/* Adds a path. A folder stands for the photos in it and below: files whose names end in .jpg,
 * .jpeg, .jpe, .jfif or .png, whatever the case, and do not begin with "._" (macOS). Links to
 * folders are not followed there. What cannot be looked at is added by its name, so that whoever
 * opens it meets the error. */
void files_add(files_list *list, const char *path);
/* Adds each line of a stream, or each string that ends with a zero byte. Lines may end with CR LF,
 * and the first may begin with a byte order mark. false: a message has been printed; a list of the
 * other form is refused. */
bool files_add_stream(files_list *list, FILE *stream, bool zero_terminated);
/* Says on standard error what was skipped, if anything was. false: there are no photos at all, and
 * a message has been printed. */
bool files_check(const files_list *list, size_t photos);
void files_free(files_list *list);

/* `folder`/`name`, or a copy of `name` where that begins with a slash or there is no folder or only
 * ".". */
char *files_join(const char *folder, const char *name);
/* The part of a path before its last slash; "." if there is none. */
char *files_folder(const char *path);

#endif
