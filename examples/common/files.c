/*
 * Lists of files (see files.h).
 *
 * Reads folders and stat data only; no file is opened here.
 */
#include "files.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
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

/* Counts one more of a kind; when there are too many kinds, of the last one. */
static void skip(files_list *list, const char *kind)
{
    files_skipped *all = list->skipped;
    size_t i = 0;
    while (i < list->kinds && strcmp(all[i].kind, kind) != 0)
        i++;
    if (i == FILES_KINDS)
        snprintf(all[--i].kind, FILES_KIND, "others");
    else if (i == list->kinds)
        snprintf(all[list->kinds++].kind, FILES_KIND, "%s", kind);
    all[i].count++;
}

/* Why a file in a folder is not taken for a photo; NULL if it is. `ending` is room for that. */
static const char *not_photo(const char *name, char ending[FILES_KIND])
{
    static const char *const endings[] = {".jpg", ".jpeg", ".jpe", ".jfif", ".png"};
    const char *dot = strrchr(name, '.');
    if (strncmp(name, "._", 2) == 0)
        return "._* of macOS";
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(dot, endings[i]) == 0)
            return NULL;
    if (!dot || dot == name || !dot[1] || strlen(dot) > 8)
        return "without an ending";
    for (size_t i = 0; i <= strlen(dot); i++)
        ending[i] =
            isprint((unsigned char)dot[i]) || !dot[i] ? (char)tolower((unsigned char)dot[i]) : '?';
    return ending;
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

static void walk(files_list *list, const char *folder);

/* Something that stands in a folder. */
static void take_entry(files_list *list, const char *path, const char *name)
{
    char ending[FILES_KIND];
    struct stat itself, target;
    const bool there = lstat(path, &itself) == 0 && stat(path, &target) == 0;
    const char *why = not_photo(name, ending);
    if (there && S_ISDIR(itself.st_mode))
        walk(list, path);
    else if (there && S_ISDIR(target.st_mode))
        skip(list, "links to folders");
    else if (there && !S_ISREG(target.st_mode))
        skip(list, "pipes and devices");
    else if (why)
        skip(list, why);
    else
        append(list, cli_copy(path));
}

static void walk(files_list *list, const char *folder)
{
    files_list names = {0};
    if (!read_folder(folder, &names)) {
        append(list, cli_copy(folder));
        return;
    }
    for (size_t i = 0; i < names.count; i++) {
        char *path = files_join(folder, names.paths[i]);
        take_entry(list, path, names.paths[i]);
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

/* Without the byte order mark at the beginning of a list, and the CR at the end of a line. */
static char *trim_line(char *line, size_t length, bool first)
{
    if (length > 0 && line[length - 1] == '\r')
        line[length - 1] = '\0';
    return first && strncmp(line, "\xEF\xBB\xBF", 3) == 0 ? line + 3 : line;
}

bool files_add_stream(files_list *list, FILE *stream, bool zero_terminated)
{
    const int end = zero_terminated ? '\0' : '\n';
    const char *wrong = NULL;
    bool first = true;
    char *line = NULL;
    size_t room = 0;
    for (ssize_t got; !wrong && (got = getdelim(&line, &room, end, stream)) > 0; first = false) {
        size_t length = (size_t)got;
        const bool ended = line[length - 1] == end;
        if (ended)
            line[--length] = '\0';
        if (zero_terminated && first && !ended && strchr(line, '\n'))
            wrong = "has lines, not names that end with a zero byte; leave out --null";
        else if (!zero_terminated && strlen(line) < length)
            wrong = "has zero bytes; if its names end with them, give --null";
        char *name = wrong || zero_terminated ? line : trim_line(line, length, first);
        if (!wrong && *name)
            files_add(list, name);
    }
    free(line);
    if (!wrong && ferror(stream))
        wrong = strerror(errno);
    if (wrong)
        cli_error("the list on standard input %s%s", ferror(stream) ? "cannot be read: " : "",
                  wrong);
    return !wrong;
}

static int most_first(const void *a, const void *b)
{
    const size_t x = ((const files_skipped *)a)->count, y = ((const files_skipped *)b)->count;
    return (x < y) - (x > y);
}

/* "skipped 12 files: 10 .heic, 2 .txt" */
static void describe_skipped(const files_list *list, char *text, size_t room)
{
    files_skipped all[FILES_KINDS];
    size_t sum = 0, used;
    memcpy(all, list->skipped, sizeof all);
    qsort(all, list->kinds, sizeof *all, most_first);
    for (size_t i = 0; i < list->kinds; i++)
        sum += all[i].count;
    used = (size_t)snprintf(text, room, "skipped %zu file%s: ", sum, sum == 1 ? "" : "s");
    for (size_t i = 0; i < list->kinds && used < room; i++)
        used += (size_t)snprintf(text + used, room - used, "%s%zu %s", i ? ", " : "", all[i].count,
                                 all[i].kind);
}

bool files_check(const files_list *list, size_t photos)
{
    char text[FILES_KINDS * (FILES_KIND + 24) + 64];
    if (list->kinds)
        describe_skipped(list, text, sizeof text);
    if (photos == 0)
        cli_error("no photos in the input%s%s; .jpg, .jpeg, .jpe, .jfif and .png are looked for",
                  list->kinds ? ": " : "", list->kinds ? text : "");
    else if (list->kinds)
        cli_error("%s", text);
    return photos > 0;
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
