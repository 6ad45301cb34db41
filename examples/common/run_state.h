/*
 * Where a training run stands, as the text that its checkpoints carry: one "name value" a line.
 *
 * Numbers are written with all their digits, so that a run that goes on reports what it would have.
 */
#ifndef EXAMPLES_RUN_STATE_H
#define EXAMPLES_RUN_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hmtnet/hmtnet.h>

/* Sums of an epoch. */
typedef struct epoch {
    uint64_t number, steps; /* from 1; steps done in it */
    double loss, task[HMT_TASK_COUNT];
    double labelled[HMT_TASK_COUNT];
    double rate;    /* of its last step */
    double seconds; /* in steps and waiting for photos */
} epoch;

typedef struct run_state {
    uint64_t step; /* done in all */
    epoch epoch;   /* the one that is going on */
    double best;   /* what the best validation came to; NaN before the first */
    uint64_t best_epoch;
    uint64_t validations_since; /* without a better one */
} run_state;

enum { RUN_STATE_TEXT = 2048 };

/* `plan`, one line, says what the run is: parts with "; " between them, each a name, a blank and a
 * value. A checkpoint of another plan is refused, and the parts that differ are named; what stands
 * behind the part "steps" does not count, as a run may go on for longer. A name that begins with
 * "the " has a value that says nothing to a person. */
void run_state_write(const run_state *state, const char *plan, char text[RUN_STATE_TEXT]);
/* false: a message that names `path` has been printed. */
bool run_state_read(run_state *state, const char *plan, const char *text, const char *path);

#endif
