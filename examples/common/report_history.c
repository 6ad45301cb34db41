/* Histories (see report_history.h). Lines are those that history.c writes. */
#include "report_history.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

/* The number behind "name": in a line; NaN if there is none. */
static double member(const char *line, const char *name)
{
    char key[40];
    double value;
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *found = strstr(line, key);
    return found && sscanf(found + strlen(key), "%lf", &value) == 1 ? value : NAN;
}

static void add(chart_point **points, size_t *room, size_t count, double x, double y)
{
    *points = cli_grow(*points, room, count + 1, sizeof **points);
    (*points)[count] = (chart_point){.x = x, .y = y};
}

bool report_history_read(report_history *h, const char *path)
{
    char *line = NULL;
    size_t room = 0, rooms[3] = {0};
    *h = (report_history){0};
    FILE *from = fopen(path, "r");
    if (!from) {
        cli_error("cannot read %s: %s", path, strerror(errno));
        return false;
    }
    while (getline(&line, &room, from) > 0) {
        double epoch = member(line, "epoch"), loss = member(line, "loss");
        if (strncmp(line, "{\"type\":\"epoch\"", 15) == 0) {
            add(&h->training, &rooms[0], h->training_count++, epoch, loss);
        } else if (strncmp(line, "{\"type\":\"validation\"", 20) == 0) {
            add(&h->validation, &rooms[1], h->validation_count, epoch, loss);
            add(&h->pearson, &rooms[2], h->validation_count++, epoch, member(line, "pearson"));
        }
    }
    bool good = !ferror(from) && h->training_count > 0;
    if (!good)
        cli_error("%s: has no epochs of hmtnet-train", path);
    free(line);
    fclose(from);
    return good;
}

void report_history_free(report_history *h)
{
    free(h->training);
    free(h->validation);
    free(h->pearson);
}
