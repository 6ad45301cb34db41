/*
 * JSON values written to a stream.
 *
 * Text becomes valid UTF-8 whatever it was: bytes that are not are written as U+FFFD.
 */
#ifndef EXAMPLES_JSON_H
#define EXAMPLES_JSON_H

#include <stdio.h>

/* A string in quotes. */
void json_string(FILE *stream, const char *text);
/* A number with up to `digits` significant digits; null if it is infinite or not a number. */
void json_number(FILE *stream, double value, int digits);

#endif
