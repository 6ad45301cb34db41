/* Run states as text (see run_state.h). */
#include "run_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

enum { RUN_STATE_PART = 256 };

static const char form[] = "hmtnet-train 1\nplan %s\nstep %" PRIu64 "\nepoch %" PRIu64 " %" PRIu64
                           "\nloss %.17g %.17g %.17g %.17g\nlabelled %.17g %.17g %.17g\n"
                           "rate %.17g\nseconds %.17g\nbest %.17g %" PRIu64 " %" PRIu64 "\n";

void run_state_write(const run_state *s, const char *plan, char text[RUN_STATE_TEXT])
{
    const epoch *e = &s->epoch;
    snprintf(text, RUN_STATE_TEXT, form, plan, s->step, e->number, e->steps, e->loss, e->task[0],
             e->task[1], e->task[2], e->labelled[0], e->labelled[1], e->labelled[2], e->rate,
             e->seconds, s->best, s->best_epoch, s->validations_since);
}

/* One part of a plan. false: there is none left. */
static bool next_part(const char **plan, char name[RUN_STATE_PART], char value[RUN_STATE_PART])
{
    size_t length = strcspn(*plan, ";\n");
    char part[RUN_STATE_PART];
    if (length == 0)
        return false;
    snprintf(part, sizeof part, "%.*s", (int)length, *plan);
    *plan += length + ((*plan)[length] == ';') + ((*plan)[length] == ';' && (*plan)[length + 1]);
    char *blank = strrchr(part, ' ');
    snprintf(value, RUN_STATE_PART, "%s", blank ? blank + 1 : "");
    if (blank)
        *blank = '\0';
    snprintf(name, RUN_STATE_PART, "%s", part);
    return true;
}

/* Whether two plans are of one run. What differs is printed. */
static bool same_plan(const char *saved, const char *plan, const char *path)
{
    char was[RUN_STATE_PART], name[RUN_STATE_PART], old[RUN_STATE_PART], now[RUN_STATE_PART];
    char text[1024] = "";
    const char *a = saved, *b = plan;
    bool more = true;
    while (more) {
        const bool there = next_part(&a, was, old);
        const size_t used = strlen(text);
        more = next_part(&b, name, now);
        if (there != more || (more && strcmp(was, name) != 0)) {
            cli_error("%s: belongs to another run: %.*s; this one is %s", path,
                      (int)strcspn(saved, "\n"), saved, plan);
            return false;
        }
        if (!more || strcmp(name, "steps") == 0 || strcmp(old, now) == 0)
            continue;
        if (strncmp(name, "the ", 4) == 0)
            snprintf(text + used, sizeof text - used, "%s%s differ", used ? "; " : "", name);
        else
            snprintf(text + used, sizeof text - used, "%s%s was %s, is %s now", used ? "; " : "",
                     name, old, now);
    }
    if (*text)
        cli_error("%s: belongs to another run: %s", path, text);
    return !*text;
}

bool run_state_read(run_state *s, const char *plan, const char *text, const char *path)
{
    static const char begin[] = "hmtnet-train 1\nplan ";
    run_state r = {0};
    epoch *e = &r.epoch;
    if (strncmp(text, begin, sizeof begin - 1) != 0) {
        cli_error("%s: was not saved by hmtnet-train", path);
        return false;
    }
    text += sizeof begin - 1;
    if (!same_plan(text, plan, path))
        return false;
    if (sscanf(text + strcspn(text, "\n"),
               "\nstep %" SCNu64 "\nepoch %" SCNu64 " %" SCNu64 "\nloss %lf %lf %lf %lf\n"
               "labelled %lf %lf %lf\nrate %lf\nseconds %lf\nbest %lf %" SCNu64 " %" SCNu64,
               &r.step, &e->number, &e->steps, &e->loss, &e->task[0], &e->task[1], &e->task[2],
               &e->labelled[0], &e->labelled[1], &e->labelled[2], &e->rate, &e->seconds, &r.best,
               &r.best_epoch, &r.validations_since) != 15) {
        cli_error("%s: its note is damaged", path);
        return false;
    }
    *s = r;
    return true;
}
