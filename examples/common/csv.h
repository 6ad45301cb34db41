/*
 * Comma-separated values (RFC 4180): a writer that quotes what needs it, a strict reader.
 *
 * The reader takes LF and CRLF, skips a byte order mark and empty lines, and knows line numbers.
 */
#ifndef EXAMPLES_CSV_H
#define EXAMPLES_CSV_H

#include <stddef.h>
#include <stdio.h>

/* Writes one field, in quotes if it holds a comma, a quote or a line break. */
void csv_write(FILE *stream, const char *text);

typedef struct csv_reader {
    FILE *stream;
    size_t line;       /* that the next character stands on, from 1 */
    size_t row_line;   /* that the last row began on */
    const char *error; /* why csv_next() said -1 */
    size_t fields;     /* of the last row */
    char *text;        /* its fields one behind the other, each with a zero at its end */
    size_t used, room;
    size_t *starts; /* (fields) offsets in text */
    size_t starts_room;
} csv_reader;

void csv_open(csv_reader *reader, FILE *stream);
/* 1: a row, 0: the end, -1: error says what is wrong with the row at row_line. */
int csv_next(csv_reader *reader);
/* Field `index` of the last row, its own until the next csv_next(). */
const char *csv_field(const csv_reader *reader, size_t index);
void csv_close(csv_reader *reader);

#endif
