/*
 * History files (see history.h). Going on copies the old lines to a new file that then replaces the
 * old one.
 */
#include "history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "json.h"
#include "output.h"

#define STEP ",\"step\":"

/* The step of a line as history_begin() wrote it; UINT64_MAX for any other. */
static uint64_t step_of(const char *line)
{
    const char *found = strstr(line, STEP);
    unsigned long long step;
    return found && sscanf(found + strlen(STEP), "%llu", &step) == 1 ? step : UINT64_MAX;
}

/* Copies the whole lines up to a step; a line that a killed run left without its end is dropped. */
static bool copy_lines(const char *path, uint64_t step, FILE *to)
{
    char *line = NULL;
    size_t room = 0;
    FILE *from = fopen(path, "r");
    if (!from && errno == ENOENT)
        return true;
    bool good = from != NULL;
    for (ssize_t size; good && (size = getline(&line, &room, from)) > 0;)
        if (line[size - 1] == '\n' && step_of(line) <= step)
            fputs(line, to);
    good = good && !ferror(from);
    if (!good)
        cli_error("cannot read %s: %s", path, strerror(errno));
    free(line);
    if (from)
        fclose(from);
    return good;
}

bool history_open(history *log, const char *path, uint64_t step)
{
    output fresh;
    log->path = path;
    bool good = output_open(&fresh, path) && (step == 0 || copy_lines(path, step, fresh.stream)) &&
                output_commit(&fresh);
    output_discard(&fresh);
    if (!good)
        return false;
    log->stream = fopen(path, "a");
    if (!log->stream)
        cli_error("cannot write to %s: %s", path, strerror(errno));
    return log->stream != NULL;
}

void history_begin(history *log, const char *type, uint64_t step)
{
    if (log->stream)
        fprintf(log->stream, "{\"type\":\"%s\"" STEP "%llu", type, (unsigned long long)step);
}

void history_number(history *log, const char *name, double value)
{
    if (!log->stream)
        return;
    fprintf(log->stream, ",\"%s\":", name);
    json_number(log->stream, value, 9);
}

bool history_end(history *log)
{
    if (!log->stream)
        return true;
    fputs("}\n", log->stream);
    bool good = fflush(log->stream) == 0;
    if (!good)
        cli_error("cannot write to %s: %s", log->path, strerror(errno));
    return good;
}

void history_close(history *log)
{
    if (log->stream)
        fclose(log->stream);
    log->stream = NULL;
}
