/*
 * Progress on standard error: a bar with rate and time left on a terminal, plain lines otherwise.
 *
 * One thread at a time. A standard error that cannot be written to is not complained about.
 */
#ifndef EXAMPLES_PROGRESS_H
#define EXAMPLES_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct progress {
    const char *label; /* what is being done */
    const char *unit;  /* what is counted */
    uint64_t total;
    double started, shown; /* seconds: begin, and the last time something was drawn */
    bool quiet, terminal;
    bool drawn; /* a bar stands on the current line */
} progress;

void progress_start(progress *bar, const char *label, const char *unit, uint64_t total, bool quiet);
/* Draws if it is time to. `note` stands at the end of the line; NULL: nothing. */
void progress_update(progress *bar, uint64_t done, const char *note);
/* Wipes the bar, so that a line can be printed; the next update draws it again. */
void progress_clear(progress *bar);
/* Wipes the bar. Seconds since the start. */
double progress_finish(progress *bar);
/* "1:02:03" or "2:03", for times to be read by people. */
const char *progress_time(double seconds, char text[32]);

#endif
