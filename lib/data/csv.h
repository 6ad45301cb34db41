/*
 * A strict reader of comma-separated values (RFC 4180) in memory, for hostile files.
 *
 * It takes LF and CRLF, and what spreadsheets make of CSV: semicolons or tabs in place of commas,
 * and rows of empty cells, which are skipped like empty lines. It knows line numbers. Fields are
 * unquoted in place.
 */
#ifndef HMT_DATA_CSV_H
#define HMT_DATA_CSV_H

#include <stdbool.h>
#include <stddef.h>

enum { CSV_MOST_FIELDS = 256 };

typedef struct csv {
    char *at, *end;
    char separator;                /* of cells */
    size_t line;                   /* that the next character stands on, from 1 */
    size_t row_line;               /* that the last row began on */
    const char *error;             /* why csv_next() said -1 */
    char *fields[CSV_MOST_FIELDS]; /* of the last row, terminated */
    size_t count;
} csv;

/* What separates the cells of the first line: the comma, semicolon or tab that stands there most
 * often; a zero if there is none. */
char csv_separator(const char *text, size_t size);
/* Begins to read `size` bytes, which are changed, with a writable byte behind them. */
void csv_begin(csv *reader, char *text, size_t size);
/* 1: a row, 0: the end, -1: error says what is wrong with the row at row_line. */
int csv_next(csv *reader);

/* Behind a byte order mark, if the text begins with one. */
char *csv_text(char *text, size_t size);
/* A cell without the blanks around it, cut in place. */
char *csv_trim(char *cell);
/* Whether a heading is `name`, whatever its case and the blanks around it. */
bool csv_is_heading(const char *cell, const char *name);

#endif
