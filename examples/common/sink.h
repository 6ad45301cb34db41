/*
 * A stdio stream that remembers why writing failed: stdio itself keeps only that it did, and errno
 * is another call's by the time anybody looks.
 */
#ifndef EXAMPLES_SINK_H
#define EXAMPLES_SINK_H

#include <stdio.h>

typedef struct sink {
    int descriptor;
    int error; /* errno of the first write that failed; 0: none did */
} sink;

/* A buffered stream to a descriptor, which fclose() closes; `s` must outlive it. NULL: errno says
 * why, and the descriptor is still open. */
FILE *sink_open(sink *s, int descriptor);

#endif
