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

typedef struct files_list {
    char **paths;
    size_t count, room;
} files_list;

/* Adds a path. A folder stands for the .jpg, .jpeg and .png files in it and below; links to folders
 * are not followed there. What cannot be looked at is added by its name, so that whoever opens it
 * meets the error. */
void files_add(files_list *list, const char *path);
/* Adds each line of a stream, or each string that ends with a zero byte. false: reading failed. */
bool files_add_stream(files_list *list, FILE *stream, bool zero_terminated);
void files_free(files_list *list);

/* `folder`/`name`, or a copy of `name` where that begins with a slash or there is no folder or only
 * ".". */
char *files_join(const char *folder, const char *name);
/* The part of a path before its last slash; "." if there is none. */
char *files_folder(const char *path);

#endif
