/*
 * A strict reader of comma-separated values (RFC 4180) in memory, for hostile files.
 *
 * It takes LF and CRLF, skips a byte order mark and empty lines, and knows line numbers. Fields are
 * unquoted in place.
 */
#ifndef HMT_DATA_CSV_H
#define HMT_DATA_CSV_H

#include <stddef.h>

enum { CSV_MOST_FIELDS = 256 };

typedef struct csv {
    char *at, *end;
    size_t line;                   /* that the next character stands on, from 1 */
    size_t row_line;               /* that the last row began on */
    const char *error;             /* why csv_next() said -1 */
    char *fields[CSV_MOST_FIELDS]; /* of the last row, terminated */
    size_t count;
} csv;

/* Begins to read `size` bytes, which are changed, with a writable byte behind them. */
void csv_begin(csv *reader, char *text, size_t size);
/* 1: a row, 0: the end, -1: error says what is wrong with the row at row_line. */
int csv_next(csv *reader);

#endif
