/*
 * A training run's history as JSON Lines: one object for each epoch and each validation.
 *
 * Lines reach the file as they are written. A run that goes on from a checkpoint keeps the lines up
 * to that step, so that the file ends as if the run had never stopped.
 */
#ifndef EXAMPLES_HISTORY_H
#define EXAMPLES_HISTORY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct history {
    FILE *stream; /* NULL: nothing is kept */
    const char *path;
} history;

/* Begins a file, or with `step` above 0 goes on in one behind the lines of that step. false: a
 * message has been printed. */
bool history_open(history *log, const char *path, uint64_t step);
/* Begins the line of an event at `step`: {"type":"TYPE","step":STEP */
void history_begin(history *log, const char *type, uint64_t step);
/* Adds a member; a value that is not finite becomes null. */
void history_number(history *log, const char *name, double value);
/* Ends the line. false: it could not be written, and a message has been printed. */
bool history_end(history *log);
void history_close(history *log);

#endif
