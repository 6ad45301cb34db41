/*
 * Lists of files (see files.h).
 *
 * Reads folders and stat data only; no file is opened here.
 */
#include "files.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "cli.h"

static void append(files_list *list, char *path)
{
    list->paths = cli_grow(list->paths, &list->room, list->count + 1, sizeof *list->paths);
    list->paths[list->count++] = path;
}

static bool is_image_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot &&
           (!strcasecmp(dot, ".jpg") || !strcasecmp(dot, ".jpeg") || !strcasecmp(dot, ".png"));
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a folder, sorted, without "." and "..". false: it cannot be read. */
static bool read_folder(const char *folder, files_list *names)
{
    DIR *stream = opendir(folder);
    if (!stream)
        return false;
    for (struct dirent *entry; (entry = readdir(stream));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            append(names, cli_copy(entry->d_name));
    closedir(stream);
    if (names->count > 1)
        qsort(names->paths, names->count, sizeof *names->paths, by_bytes);
    return true;
}

static void walk(files_list *list, const char *folder)
{
    files_list names = {0};
    if (!read_folder(folder, &names)) {
        append(list, cli_copy(folder));
        return;
    }
    for (size_t i = 0; i < names.count; i++) {
        struct stat info;
        char *path = files_join(folder, names.paths[i]);
        if (lstat(path, &info) == 0 && S_ISDIR(info.st_mode))
            walk(list, path);
        else if (is_image_name(path))
            append(list, cli_copy(path));
        free(path);
    }
    files_free(&names);
}

void files_add(files_list *list, const char *path)
{
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        walk(list, path);
    else
        append(list, cli_copy(path));
}

bool files_add_stream(files_list *list, FILE *stream, bool zero_terminated)
{
    char *line = NULL;
    size_t room = 0;
    int end = zero_terminated ? '\0' : '\n';
    for (ssize_t length; (length = getdelim(&line, &room, end, stream)) >= 0;) {
        if (length > 0 && line[length - 1] == end)
            line[--length] = '\0';
        if (length > 0)
            files_add(list, line);
    }
    free(line);
    return !ferror(stream);
}

void files_free(files_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->paths[i]);
    free(list->paths);
    *list = (files_list){0};
}

char *files_join(const char *folder, const char *name)
{
    size_t length = folder ? strlen(folder) : 0;
    if (length == 0 || name[0] == '/' || strcmp(folder, ".") == 0)
        return cli_copy(name);
    const char *slash = folder[length - 1] == '/' ? "" : "/";
    size_t room = length + strlen(name) + 2;
    char *path = cli_allocate(room, 1);
    snprintf(path, room, "%s%s%s", folder, slash, name);
    return path;
}

char *files_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = cli_copy(slash ? path : ".");
    if (slash)
        folder[slash == path ? 1 : slash - path] = '\0';
    return folder;
}
