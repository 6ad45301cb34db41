/*
 * Where results go: standard output, or a file that is replaced as a whole when all is written.
 *
 *     if (output_open(&out, path)) { fprintf(out.stream, ...); good = output_commit(&out); }
 *     output_discard(&out);
 */
#ifndef EXAMPLES_OUTPUT_H
#define EXAMPLES_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

#include "core/replace.h"
#include "sink.h"

typedef struct output {
    FILE *stream;
    sink *sink;       /* behind the stream; says why writing failed */
    char *path;       /* NULL: standard output */
    replacement file; /* of path, while replacing */
    bool replacing;
} output;

/* path NULL or "-": standard output. false: a message has been printed. */
bool output_open(output *out, const char *path);
/* Whether a regular file can be written there, now: it is made, and removed. false: a message has
 * been printed. */
bool output_check(const char *path);
/* Flushes, syncs and puts the file in its place. false: a message has been printed, and the file
 * that was there before is still there. */
bool output_commit(output *out);
/* Prints why writing to the stream failed. false, always. */
bool output_failed(output *out);
/* Removes what was not committed. May be called at any time, also twice. */
void output_discard(output *out);

#endif
