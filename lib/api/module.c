/*
 * Modules (see module.h): libhmtnet_NAME.so in the places that hmt_context_create() names.
 *
 * Nothing is remembered between calls: the dynamic linker knows what is loaded. A module whose
 * function has been called is never closed, because what it started may still run.
 */
#define _GNU_SOURCE /* secure_getenv, dladdr */
#include "api/module.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "api/backends.h"
#include "core/status.h"

#define PREFIX "libhmtnet_"
#define SUFFIX ".so"

enum { PATH_SIZE = 4096, NAME_SIZE = 64, MOST_PLACES = 4 };

/* Files or folders, in the order in which they are looked into. */
typedef struct places {
    char path[MOST_PLACES][PATH_SIZE];
    size_t count;
} places;

/* Lower-case letters, digits and underscores, so that no name leads out of a folder. */
static bool is_name(const char *name)
{
    const size_t length = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");

    return length > 0 && length < NAME_SIZE && name[length] == '\0';
}

/* Adds folder/entry, or `folder` alone; paths that are too long are left out. */
static void add_place(places *p, const char *folder, const char *entry)
{
    int length;

    if (folder == NULL || folder[0] == '\0')
        return;
    length = snprintf(p->path[p->count], PATH_SIZE, "%s%s%s", folder, entry[0] != '\0' ? "/" : "",
                      entry);
    p->count += length > 0 && length < PATH_SIZE;
}

/* Whether a line of /proc/self/maps is of the mapping that has `address`; then its file. */
static bool maps_line(char *line, uintptr_t address, const char **file)
{
    char *at = line, *end = line + strcspn(line, "\n");
    const uintptr_t first = strtoull(at, &at, 16),
                    last = *at == '-' ? strtoull(at + 1, &at, 16) : 0;

    if (address < first || address >= last)
        return false;
    *end = '\0';
    *file = strchr(at, '/');
    return true;
}

/* The absolute path of the file that `address` was loaded from, as the kernel knows it. */
static bool mapped_file(const void *address, char path[PATH_SIZE])
{
    char line[PATH_SIZE + 128];
    const char *file = NULL;
    FILE *maps = fopen("/proc/self/maps", "re");

    while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
        if (maps_line(line, (uintptr_t)address, &file))
            break;
    if (maps != NULL)
        fclose(maps);
    return file != NULL && snprintf(path, PATH_SIZE, "%s", file) < PATH_SIZE;
}

/* The folder of libhmtnet.so; false if this code was linked into something else. The dynamic linker
 * keeps the path by which it was loaded; a relative one would follow the host's current folder. */
static bool library_folder(char folder[PATH_SIZE])
{
    static const char here;
    char *slash;
    Dl_info info;

    if (dladdr(&here, &info) == 0 || info.dli_fname == NULL)
        return false;
    if (info.dli_fname[0] != '/' ? !mapped_file(&here, folder)
                                 : snprintf(folder, PATH_SIZE, "%s", info.dli_fname) >= PATH_SIZE)
        return false;
    slash = strrchr(folder, '/');
    if (slash == NULL || slash == folder || strncmp(slash + 1, "libhmtnet.so", 12) != 0)
        return false;
    *slash = '\0';
    return true;
}

/* HMT_BACKEND_PATH, unless it is relative: code is not loaded from wherever the process stands. */
static const char *environment_place(void)
{
    const char *path = secure_getenv("HMT_BACKEND_PATH");

    return path != NULL && path[0] == '/' ? path : NULL;
}

static void find_places(const hmt_context *context, places *p)
{
    char folder[PATH_SIZE];

    p->count = 0;
    add_place(p, context->options.module_path, "");
    add_place(p, environment_place(), "");
    if (library_folder(folder)) {
        add_place(p, folder, "");
        add_place(p, folder, "hmtnet");
    }
}

/* The file in which module `name` would be at a place; false if there is none. A name without a
 * folder gets one, or the dynamic linker would search its own path. */
static bool file_at(const char *place, const char *name, char file[PATH_SIZE])
{
    struct stat info;
    int length;

    if (stat(place, &info) != 0)
        return false;
    if (S_ISDIR(info.st_mode))
        length = snprintf(file, PATH_SIZE, "%s/" PREFIX "%s" SUFFIX, place, name);
    else
        length = snprintf(file, PATH_SIZE, "%s%s", strchr(place, '/') == NULL ? "./" : "", place);
    return length > 0 && length < PATH_SIZE && stat(file, &info) == 0;
}

/* Loads a file and checks what it gives. name NULL: the table may have any. */
static hmt_status load(const char *file, const char *name, const hmt_backend **out)
{
    char what[256];
    struct stat info;
    void *handle, *symbol;
    hmt_backend_module_fn table;
    const hmt_backend *backend;
    hmt_status status;

    /* The dynamic linker would wait for somebody to write into a FIFO. */
    if (stat(file, &info) != 0 || !S_ISREG(info.st_mode))
        return status_fail(HMT_ERROR_UNSUPPORTED, "cannot load module %s: it is not a regular file",
                           file);
    handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    symbol = handle != NULL ? dlsym(handle, HMT_BACKEND_MODULE_SYMBOL) : NULL;
    if (handle == NULL)
        return status_fail(HMT_ERROR_UNSUPPORTED, "cannot load module %s: %s", file, dlerror());
    if (symbol == NULL) {
        dlclose(handle);
        return status_fail(HMT_ERROR_UNSUPPORTED,
                           "%s is no module of libhmtnet: it has no function %s", file,
                           HMT_BACKEND_MODULE_SYMBOL);
    }
    memcpy(&table, &symbol, sizeof table);
    backend = table();
    snprintf(what, sizeof what, "module %s", file);
    status = backend_check(backend, what, HMT_ERROR_UNSUPPORTED);
    if (status == HMT_OK && name != NULL && strcmp(backend->name, name) != 0)
        status = status_fail(HMT_ERROR_UNSUPPORTED, "module %s is backend \"%s\", not \"%s\"", file,
                             backend->name, name);
    if (status == HMT_OK)
        *out = backend;
    return status;
}

static hmt_status add_module(hmt_context *context, const hmt_backend *backend)
{
    if (context->module_count == CONTEXT_MODULES)
        return status_fail(HMT_ERROR_LIMIT, "a context has %d modules at most", CONTEXT_MODULES);
    context->modules[context->module_count++] = backend;
    return HMT_OK;
}

static hmt_status fail_not_found(const char *name, const places *p)
{
    char list[320] = "";
    size_t used = 0;

    for (size_t i = 0; i < p->count && used < sizeof list; ++i)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s",
                                 i == 0              ? " in "
                                 : i + 1 == p->count ? " or "
                                                     : ", ",
                                 p->path[i]);
    return status_fail(HMT_ERROR_NOT_FOUND,
                       "no backend is called \"%s\", and there is no module " PREFIX "%s" SUFFIX
                       "%s%s",
                       name, name, list,
                       secure_getenv("HMT_BACKEND_PATH") != NULL && environment_place() == NULL
                           ? "; HMT_BACKEND_PATH is not an absolute path"
                           : "");
}

hmt_status modules_find(hmt_context *context, const char *name, const hmt_backend **backend)
{
    char file[PATH_SIZE];
    places p;
    hmt_status status;

    if (!is_name(name))
        return status_fail(HMT_ERROR_NOT_FOUND, "no backend is called \"%s\"", name);
    find_places(context, &p);
    for (size_t i = 0; i < p.count; ++i)
        if (file_at(p.path[i], name, file)) {
            status = load(file, name, backend);
            return status == HMT_OK ? add_module(context, *backend) : status;
        }
    return fail_not_found(name, &p);
}

/* ---- listing ---- */

static bool is_known(const hmt_context *context, const char *name)
{
    const hmt_backend *backend;

    for (size_t i = 0; (backend = backend_at(context, i)) != NULL; ++i)
        if (strcmp(backend->name, name) == 0)
            return true;
    return false;
}

/* Loads one file; what is wrong with it goes to the log. */
static void list_file(hmt_context *context, const char *file, const char *name)
{
    const hmt_backend *backend = NULL;
    hmt_status status = load(file, name, &backend);

    if (status == HMT_OK && !is_known(context, backend->name))
        status = add_module(context, backend);
    if (status != HMT_OK)
        context->host.log(&context->host, HMT_LOG_WARNING, hmt_last_error());
    status_clear();
}

/* The module's name in a file's name; false if it is no module's. */
static bool name_of(const char *entry, char name[NAME_SIZE])
{
    const size_t length = strlen(entry), around = sizeof PREFIX - 1 + sizeof SUFFIX - 1;

    if (length <= around || length - around >= NAME_SIZE ||
        strncmp(entry, PREFIX, sizeof PREFIX - 1) != 0 ||
        strcmp(entry + length - (sizeof SUFFIX - 1), SUFFIX) != 0)
        return false;
    snprintf(name, NAME_SIZE, "%.*s", (int)(length - around), entry + sizeof PREFIX - 1);
    return is_name(name);
}

/* The modules of a folder whose names the context does not know yet, in the order of their names.
 * file: room for a path, the caller's, to keep the stack small. */
static void list_folder(hmt_context *context, const char *folder, char file[PATH_SIZE])
{
    struct dirent **entries = NULL;
    const int count = scandir(folder, &entries, NULL, alphasort);
    char name[NAME_SIZE];

    for (int i = 0; i < count; ++i) {
        if (name_of(entries[i]->d_name, name) && !is_known(context, name) &&
            file_at(folder, name, file))
            list_file(context, file, name);
        free(entries[i]);
    }
    free(entries);
}

void modules_list(hmt_context *context)
{
    struct stat info;
    char file[PATH_SIZE];
    places p;

    find_places(context, &p);
    for (size_t i = 0; i < p.count; ++i)
        if (stat(p.path[i], &info) == 0 && S_ISDIR(info.st_mode))
            list_folder(context, p.path[i], file);
        else if (file_at(p.path[i], "", file))
            list_file(context, file, NULL);
}
