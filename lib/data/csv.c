/* Comma-separated values in memory (see csv.h). */
#include "data/csv.h"

#include <stdbool.h>
#include <string.h>

enum { END = -1 };

void csv_begin(csv *reader, char *text, size_t size)
{
    static const char mark[] = "\xEF\xBB\xBF";
    size_t skipped = size >= 3 && memcmp(text, mark, 3) == 0 ? 3 : 0;

    *reader = (csv){.at = text + skipped, .end = text + size, .line = 1, .row_line = 1};
}

/* The next character, END behind the last; a carriage return before a line feed is passed over. */
static int get(csv *reader)
{
    if (reader->at < reader->end && reader->at[0] == '\r' &&
        (reader->at + 1 == reader->end || reader->at[1] == '\n'))
        ++reader->at;
    if (reader->at == reader->end)
        return END;
    reader->line += *reader->at == '\n';
    return (unsigned char)*reader->at++;
}

static int wrong(csv *reader, const char *why)
{
    reader->error = why;
    return -1;
}

/* Reads on to the quote that closes a field; *next receives what follows it. */
static bool quoted(csv *reader, char **to, int *next)
{
    for (;;) {
        int c = reader->at < reader->end ? (unsigned char)*reader->at++ : END;

        if (c == END)
            return wrong(reader, "a quoted field does not end") == 0;
        if (c == '\0')
            return wrong(reader, "a zero byte: this is no text file") == 0;
        reader->line += c == '\n';
        if (c == '"') {
            if (reader->at == reader->end || *reader->at != '"') {
                *next = get(reader);
                return true;
            }
            ++reader->at;
        }
        *(*to)++ = (char)c;
    }
}

/* Why a character cannot stand in a field; NULL if it can. */
static const char *unfit(int c, bool was_quoted)
{
    return was_quoted  ? "text behind a closing quote"
           : c == '"'  ? "a quote inside a field without quotes"
           : c == '\0' ? "a zero byte: this is no text file"
           : c == '\r' ? "a carriage return inside a line"
                       : NULL;
}

/* Reads one field whose first character is *c; *c receives what ended it. */
static bool field(csv *reader, int *c)
{
    char *to = reader->at - (*c != END);
    const bool was_quoted = *c == '"';

    if (reader->count == CSV_MOST_FIELDS)
        return wrong(reader, "more than 256 cells in a row") == 0;
    reader->fields[reader->count++] = to;
    if (was_quoted && !quoted(reader, &to, c))
        return false;
    for (; *c != ',' && *c != '\n' && *c != END; *c = get(reader)) {
        const char *why = unfit(*c, was_quoted);

        if (why != NULL)
            return wrong(reader, why) == 0;
        *to++ = (char)*c;
    }
    *to = '\0'; /* over what ended it, or what has been read already */
    return true;
}

int csv_next(csv *reader)
{
    int c;

    reader->count = 0;
    do {
        reader->row_line = reader->line;
        c = get(reader);
    } while (c == '\n');
    if (c == END)
        return 0;
    for (;;) {
        if (!field(reader, &c))
            return -1;
        if (c != ',')
            return 1;
        c = get(reader);
    }
}
