/* Comma-separated values in memory (see csv.h). */
#include "data/csv.h"

#include <string.h>
#include <strings.h>

enum { END = -1 };

char *csv_text(char *text, size_t size)
{
    return size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? text + 3 : text;
}

char csv_separator(const char *text, size_t size)
{
    static const char candidates[] = ",;\t";
    size_t counts[sizeof candidates] = {0}, best = 0;
    bool inside = false;

    for (size_t i = 0; i < size && (inside || text[i] != '\n'); ++i) {
        const char *found = text[i] != '\0' && !inside ? strchr(candidates, text[i]) : NULL;

        inside = inside != (text[i] == '"');
        if (found != NULL)
            ++counts[found - candidates];
    }
    for (size_t i = 1; candidates[i] != '\0'; ++i)
        best = counts[i] > counts[best] ? i : best;
    return counts[best] > 0 ? candidates[best] : '\0';
}

void csv_begin(csv *reader, char *text, size_t size)
{
    const char separator = csv_separator(text, size);

    *reader = (csv){.at = csv_text(text, size),
                    .end = text + size,
                    .separator = separator != '\0' ? separator : ',',
                    .line = 1,
                    .row_line = 1};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

char *csv_trim(char *cell)
{
    size_t size;

    while (is_blank(*cell))
        ++cell;
    for (size = strlen(cell); size > 0 && is_blank(cell[size - 1]); --size)
        cell[size - 1] = '\0';
    return cell;
}

bool csv_is_heading(const char *cell, const char *name)
{
    const size_t size = strlen(name);

    while (is_blank(*cell))
        ++cell;
    if (strncasecmp(cell, name, size) != 0)
        return false;
    for (cell += size; is_blank(*cell);)
        ++cell;
    return *cell == '\0';
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
    for (; *c != reader->separator && *c != '\n' && *c != END; *c = get(reader)) {
        const char *why = unfit(*c, was_quoted);

        if (why != NULL)
            return wrong(reader, why) == 0;
        *to++ = (char)*c;
    }
    *to = '\0'; /* over what ended it, or what has been read already */
    return true;
}

/* A row, an empty line's too; as csv_next(). */
static int next_row(csv *reader)
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
        if (c != reader->separator)
            return 1;
        c = get(reader);
    }
}

static bool is_empty(const csv *reader)
{
    for (size_t i = 0; i < reader->count; ++i)
        for (const char *c = reader->fields[i]; *c != '\0'; ++c)
            if (!is_blank(*c))
                return false;
    return true;
}

int csv_next(csv *reader)
{
    int got;

    do
        got = next_row(reader);
    while (got > 0 && is_empty(reader));
    return got;
}
