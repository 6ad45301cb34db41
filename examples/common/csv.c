/*
 * Comma-separated values (see csv.h).
 *
 * Reads from a stream that the caller opened; nothing is trusted: lengths are bounded, zero bytes,
 * stray quotes and unfinished fields are refused.
 */
#include "csv.h"

#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { MOST_ROW = 1 << 20 }; /* bytes */

void csv_write(FILE *stream, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        fputs(text, stream);
        return;
    }
    fputc('"', stream);
    for (; *text; text++) {
        if (*text == '"')
            fputc('"', stream);
        fputc(*text, stream);
    }
    fputc('"', stream);
}

void csv_open(csv_reader *reader, FILE *stream)
{
    *reader = (csv_reader){0};
    reader->stream = stream;
    reader->line = 1;
}

static void begin_field(csv_reader *reader)
{
    reader->starts =
        cli_grow(reader->starts, &reader->starts_room, reader->fields + 1, sizeof *reader->starts);
    reader->starts[reader->fields++] = reader->used;
}

static void put(csv_reader *reader, int c)
{
    reader->text = cli_grow(reader->text, &reader->room, reader->used + 1, 1);
    reader->text[reader->used++] = (char)c;
}

static int get(csv_reader *reader)
{
    int c = getc(reader->stream);
    if (c == '\n')
        reader->line++;
    return c;
}

static int wrong(csv_reader *reader, const char *why)
{
    reader->error = why;
    return -1;
}

/* Reads on to the quote that closes a field; returns what follows it, -2 on an error. */
static int quoted(csv_reader *reader)
{
    for (;;) {
        int c = get(reader);
        if (c == EOF)
            return wrong(reader, "a quoted field does not end"), -2;
        if (c == '\0')
            return wrong(reader, "a zero byte: this is no text file"), -2;
        if (c == '"' && (c = get(reader)) != '"')
            return c;
        put(reader, c);
        if (reader->used > MOST_ROW)
            return wrong(reader, "a row of more than a megabyte"), -2;
    }
}

/* Why a character cannot stand in a field without quotes; NULL if it can. */
static const char *unfit(const csv_reader *reader, int c)
{
    if (c == '"')
        return "a quote inside a field without quotes";
    if (c == '\0')
        return "a zero byte: this is no text file";
    if (c == '\r')
        return "a carriage return inside a line";
    return reader->used > MOST_ROW ? "a row of more than a megabyte" : NULL;
}

/* Reads one field whose first character is c; returns the comma, line feed or EOF behind it, -2 on
 * an error. */
static int field(csv_reader *reader, int c)
{
    begin_field(reader);
    int was_quoted = c == '"';
    if (was_quoted)
        c = quoted(reader);
    for (; c != ',' && c != '\n' && c != EOF && c != -2; c = get(reader)) {
        if (c == '\r') {
            int next = get(reader);
            if (next == '\n' || next == EOF) {
                c = next;
                break;
            }
        }
        const char *why = was_quoted ? "text behind a closing quote" : unfit(reader, c);
        if (why)
            return wrong(reader, why), -2;
        put(reader, c);
    }
    put(reader, '\0');
    return c;
}

static int skip_mark(csv_reader *reader, int c)
{
    if (reader->line == 1 && reader->row_line == 0 && c == 0xEF) {
        if (get(reader) != 0xBB || get(reader) != 0xBF)
            return wrong(reader, "neither UTF-8 nor a byte order mark"), -2;
        c = get(reader);
    }
    return c;
}

int csv_next(csv_reader *reader)
{
    reader->fields = reader->used = 0;
    int c = skip_mark(reader, get(reader));
    while (c == '\n' || c == '\r')
        c = get(reader);
    /* get() has counted a line feed only where it was the last character read. */
    reader->row_line = reader->line;
    if (c == EOF)
        return ferror(reader->stream) ? wrong(reader, "the file cannot be read on") : 0;
    while (c != -2) {
        c = field(reader, c);
        if (c == '\n')
            return 1;
        if (c == EOF)
            return ferror(reader->stream) ? wrong(reader, "the file cannot be read on") : 1;
        if (c == ',')
            c = get(reader);
    }
    return -1;
}

const char *csv_field(const csv_reader *reader, size_t index)
{
    return index < reader->fields ? reader->text + reader->starts[index] : "";
}

void csv_close(csv_reader *reader)
{
    free(reader->text);
    free(reader->starts);
    *reader = (csv_reader){0};
}
