/* Run states as text (see run_state.h). */
#include "run_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

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

bool run_state_read(run_state *s, const char *plan, const char *text, const char *path)
{
    static const char begin[] = "hmtnet-train 1\nplan ";
    run_state r = {0};
    epoch *e = &r.epoch;
    size_t length = strlen(plan);
    if (strncmp(text, begin, sizeof begin - 1) != 0) {
        cli_error("%s: was not saved by hmtnet-train", path);
        return false;
    }
    text += sizeof begin - 1;
    if (strncmp(text, plan, length) != 0 || text[length] != '\n') {
        cli_error("%s: belongs to another run: %.*s; this one is %s", path,
                  (int)strcspn(text, "\n"), text, plan);
        return false;
    }
    if (sscanf(text + length,
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
