/*
 * What a data set's files hold that a person should know, though it is no error (see dataset.h).
 *
 * One note for each kind of thing, with the first place and the number of places: a table of a
 * million rows must not give a million notes.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "data/dataset.h"

enum { MOST_CONTRADICTIONS = 8 };

hmt_status dataset_note_at(hmt_dataset *set, const char *where, size_t line, const char *format,
                           ...)
{
    char place[256], text[DATASET_NOTE - sizeof place];
    va_list arguments;
    dataset_note *note;
    size_t i = 0;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    status_printable(text);
    while (i < set->note_count && strcmp(set->notes[i].text + set->notes[i].what, text) != 0)
        ++i;
    if (i < set->note_count)
        ++set->notes[i].count;
    else if (i == DATASET_NOTES)
        ++set->notes_lost;
    if (i < set->note_count || i == DATASET_NOTES)
        return HMT_OK;
    if (set->notes == NULL) {
        void *block;
        hmt_status status = memory_zeroed(&set->allocator, DATASET_NOTES, sizeof *set->notes,
                                          "a data set's notes", &block);

        if (status != HMT_OK)
            return status;
        set->notes = block;
    }
    if (line > 0)
        snprintf(place, sizeof place, "%.230s:%zu: ", where, line);
    else
        snprintf(place, sizeof place, "%.230s: ", where);
    status_printable(place);
    note = &set->notes[set->note_count++];
    *note = (dataset_note){.count = 1, .what = strlen(place)};
    snprintf(note->text, sizeof note->text, "%s%s", place, text);
    return HMT_OK;
}

void dataset_finish_notes(hmt_dataset *set)
{
    for (size_t i = 0; i < set->note_count; ++i) {
        dataset_note *note = &set->notes[i];
        const size_t used = strlen(note->text);

        if (note->count > 1)
            snprintf(note->text + used, sizeof note->text - used, " (%zu rows)", note->count);
    }
    if (set->notes_lost > 0)
        snprintf(set->notes[DATASET_NOTES - 1].text, DATASET_NOTE,
                 "and %zu more that are not listed", set->notes_lost + 1);
}

static hmt_status note_typos(hmt_dataset *set, const char *where)
{
    hmt_status status = HMT_OK;

    for (int task = 0; task < 2 && !set->fixed; ++task)
        for (int32_t i = 0; i < set->classes[task]; ++i)
            for (int32_t k = 0; k < i && status == HMT_OK; ++k)
                if (dataset_is_typo(set->names[task][i], set->names[task][k]))
                    status = dataset_note_at(
                        set, where, 0, "two classes of %s differ by a typo: '%s' and '%s'",
                        dataset_task_names[task], set->names[task][k], set->names[task][i]);
    return status;
}

static bool contradict(const dataset_row *a, const dataset_row *b)
{
    for (int task = 0; task < 2; ++task)
        if (a->label[task] >= 0 && b->label[task] >= 0 && a->label[task] != b->label[task])
            return true;
    return !isnan(a->score) && !isnan(b->score) && a->score != b->score;
}

/* "female, asian, 4.5" */
static const char *labels_of(const hmt_dataset *set, const dataset_row *row, char text[128])
{
    size_t used = 0;

    for (int task = 0; task < 2; ++task)
        if (row->label[task] >= 0)
            used += (size_t)snprintf(text + used, 128 - used, "%s%s", used > 0 ? ", " : "",
                                     set->names[task][row->label[task]]);
    if (!isnan(row->score))
        snprintf(text + used, 128 - used, "%s%g", used > 0 ? ", " : "", (double)row->score);
    return text;
}

static hmt_status note_pair(hmt_dataset *set, const dataset_row *first, const dataset_row *again)
{
    char here[128] = "", there[128] = "";

    return dataset_note_at(set, set->tables[again->table], again->line,
                           "%.160s is %s here, but %s in %.100s:%zu", again->name,
                           labels_of(set, again, here), labels_of(set, first, there),
                           set->tables[first->table], first->line);
}

hmt_status dataset_note_doubts(hmt_dataset *set, bool base)
{
    const char *where = set->table_count > 0 ? set->tables[0] : "";
    size_t contradictions = 0, twice = 0;
    dataset_named *order = NULL;
    hmt_status status = note_typos(set, where);

    if (status == HMT_OK)
        status = dataset_order(set, base, &order);
    for (size_t i = 1; status == HMT_OK && i < set->count; ++i) {
        const dataset_row *first = &set->rows[order[i - 1].sample];
        const dataset_row *again = &set->rows[order[i].sample];

        if (strcmp(order[i - 1].name, order[i].name) != 0)
            continue;
        if (!contradict(first, again))
            ++twice;
        else if (contradictions++ < MOST_CONTRADICTIONS)
            status = note_pair(set, first, again);
    }
    memory_free(&set->allocator, order);
    if (status == HMT_OK && contradictions > MOST_CONTRADICTIONS)
        status = dataset_note_at(set, where, 0, "%zu more photos have labels that contradict",
                                 contradictions - MOST_CONTRADICTIONS);
    if (status == HMT_OK && twice > 0)
        status = dataset_note_at(set, where, 0, "%zu rows are of photos that stand there already",
                                 twice);
    return status;
}
