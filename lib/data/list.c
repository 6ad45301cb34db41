/* Lists of names and scores (see list.h). */
#include "data/list.h"

#include <string.h>

#include "core/file.h"
#include "core/memory.h"
#include "core/status.h"
#include "data/csv.h"

static const uint64_t most_bytes = (uint64_t)256 << 20;

typedef hmt_status (*taker)(void *user, const list_line *line);

static hmt_status wrong(const char *file, size_t line, const char *what)
{
    return status_fail(HMT_ERROR_FORMAT, "%s:%zu: %s", file, line, what);
}

/* Cuts "name score" in place: at the last blank, so that a name may have some. */
static hmt_status take_line(char *text, list_line *l, taker take, void *user)
{
    size_t size = strlen(text);
    char *score;

    while (size > 0 && (text[size - 1] == ' ' || text[size - 1] == '\t' || text[size - 1] == '\r'))
        text[--size] = '\0';
    if (size == 0)
        return HMT_OK;
    score = text + size;
    while (score > text && score[-1] != ' ' && score[-1] != '\t')
        --score;
    if (score == text || !dataset_number(score, &l->score))
        return wrong(l->file, l->line, "not a name and a score");
    do
        *--score = '\0';
    while (score > text && (score[-1] == ' ' || score[-1] == '\t'));
    l->name = text;
    if (text[0] == '"' && score - text > 2 && score[-1] == '"') {
        score[-1] = '\0';
        l->name = text + 1;
    }
    if (*l->name == '\0')
        return wrong(l->file, l->line, "the name is empty");
    return take(user, l);
}

static hmt_status take_lines(char *text, size_t size, list_line *l, taker take, void *user)
{
    char *end = text + size, *begin = csv_text(text, size);
    hmt_status status = HMT_OK;

    if (memchr(text, '\0', size) != NULL)
        return status_fail(HMT_ERROR_FORMAT, "%s: a zero byte: this is no text file", l->file);
    for (text = begin, l->line = 1; text < end && status == HMT_OK; ++l->line) {
        char *next = memchr(text, '\n', (size_t)(end - text));

        if (next == NULL)
            next = end;
        *next = '\0'; /* at the end too: file_read() leaves room */
        status = take_line(text, l, take, user);
        text = next + 1;
    }
    return status;
}

/* The column called `name` or `other`; count if there is none. */
static size_t column(const csv *reader, const char *name, const char *other)
{
    size_t i = 0;

    while (i < reader->count && !csv_is_heading(reader->fields[i], name) &&
           !csv_is_heading(reader->fields[i], other))
        ++i;
    return i;
}

static hmt_status take_rows(char *text, size_t size, list_line *l, taker take, void *user)
{
    csv reader;
    size_t image, score, width;
    int more;
    hmt_status status = HMT_OK;

    csv_begin(&reader, text, size);
    if (csv_next(&reader) <= 0)
        return wrong(l->file, 1, reader.error != NULL ? reader.error : "the list is empty");
    width = reader.count;
    image = column(&reader, "image", "path");
    score = column(&reader, "score", "score");
    if (image == width || score == width)
        return wrong(l->file, 1, "no columns 'image' and 'score'");
    while (status == HMT_OK && (more = csv_next(&reader)) != 0) {
        l->line = reader.row_line;
        if (more < 0)
            return wrong(l->file, l->line, reader.error);
        if (reader.count != width)
            return wrong(l->file, l->line, "another number of cells than in the first row");
        l->name = reader.fields[image];
        if (*l->name == '\0' || !dataset_number(csv_trim(reader.fields[score]), &l->score))
            return wrong(l->file, l->line, "not a name and a score");
        status = take(user, l);
    }
    return status;
}

hmt_status list_read(const hmt_dataset *set, const char *folder, const char *name, taker take,
                     void *user)
{
    unsigned char *text = NULL;
    char *path = NULL;
    list_line l = {0};
    size_t size = 0;
    char separator;
    hmt_status status = dataset_join(set, folder, name, &path);

    if (status == HMT_OK)
        status = file_read(&set->allocator, path, most_bytes, &text, &size);
    if (status == HMT_OK) {
        l.file = path;
        separator = csv_separator((char *)text, size);
        status = separator == ',' || separator == ';'
                     ? take_rows((char *)text, size, &l, take, user)
                     : take_lines((char *)text, size, &l, take, user);
    }
    memory_free(&set->allocator, text);
    memory_free(&set->allocator, path);
    return status;
}
