/* Comma-separated values (RFC 4180): what a writer needs. The library reads tables. */
#ifndef EXAMPLES_CSV_H
#define EXAMPLES_CSV_H

#include <stdio.h>

/* Writes one field, in quotes if it holds a comma, a quote or a line break. */
void csv_write(FILE *stream, const char *text);

#endif
