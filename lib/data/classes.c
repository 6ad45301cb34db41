/*
 * Classes by their names (see dataset.h): what counts as the same name, as none, as a typo.
 *
 * A class that nobody meant would be learned like any other, so nothing becomes one in silence.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/status.h"
#include "core/utf8.h"
#include "data/csv.h"
#include "data/dataset.h"
#include "format/json.h"

enum { SHORTEST_TYPO = 5 }; /* bytes: shorter names may well differ by one */

const char *const dataset_task_names[2] = {"gender", "race"};

bool dataset_is_missing(const char *cell)
{
    static const char *const words[] = {"nan", "n/a", "#n/a", "na", "null", "none", "<na>"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; ++i)
        if (strcasecmp(cell, words[i]) == 0)
            return true;
    return *cell == '\0';
}

bool dataset_is_typo(const char *a, const char *b)
{
    size_t la = strlen(a), lb = strlen(b), begin = 0, end = 0;

    if (la < SHORTEST_TYPO || lb < SHORTEST_TYPO)
        return false;
    while (begin < la && a[begin] == b[begin])
        ++begin;
    while (end < la - begin && end < lb - begin && a[la - 1 - end] == b[lb - 1 - end])
        ++end;
    la -= begin + end; /* what is left differs */
    lb -= begin + end;
    a += begin;
    b += begin;
    return (la <= 1 && lb <= 1 && la + lb > 0) ||
           (la == 2 && lb == 2 && a[0] == b[1] && a[1] == b[0]);
}

/* The class of that name, with `fold` whatever its case; the number of classes if there is none. */
static int32_t find(const hmt_dataset *set, int task, const char *name, bool fold)
{
    int32_t i = 0;

    while (i < set->classes[task] &&
           (fold ? strcasecmp(set->names[task][i], name) : strcmp(set->names[task][i], name)) != 0)
        ++i;
    return i;
}

static hmt_status refuse(const hmt_dataset *set, int task, const char *name, const char *where,
                         size_t line)
{
    for (int32_t i = 0; i < set->classes[task]; ++i)
        if (dataset_is_typo(set->names[task][i], name))
            return status_fail(HMT_ERROR_FORMAT,
                               "%s:%zu: '%s' is not one of the %d classes of %s; is '%s' meant?",
                               where, line, name, set->classes[task], dataset_task_names[task],
                               set->names[task][i]);
    return status_fail(HMT_ERROR_FORMAT, "%s:%zu: '%s' is not one of the %d classes of %s", where,
                       line, name, set->classes[task], dataset_task_names[task]);
}

static hmt_status add(hmt_dataset *set, int task, const char *name, const char *where, size_t line,
                      int32_t *label)
{
    if (set->fixed)
        return refuse(set, task, name, where, line);
    if (set->classes[task] == HMT_MAX_CLASSES)
        return status_fail(HMT_ERROR_LIMIT, "%s:%zu: more than %d classes of %s", where, line,
                           HMT_MAX_CLASSES, dataset_task_names[task]);
    *label = set->classes[task]++;
    snprintf(set->names[task][*label], HMT_MAX_LABEL, "%s", name);
    return HMT_OK;
}

hmt_status dataset_class(hmt_dataset *set, int task, const char *given, const char *where,
                         size_t line, int32_t *label)
{
    char name[HMT_MAX_LABEL];
    const size_t begin = strspn(given, " \t");
    size_t size = strlen(given + begin);
    int32_t found;

    *label = -1;
    while (size > 0 && (given[begin + size - 1] == ' ' || given[begin + size - 1] == '\t'))
        --size;
    if (size == 0)
        return HMT_OK;
    if (size >= sizeof name || !json_utf8_valid(given + begin, size))
        return status_fail(HMT_ERROR_FORMAT,
                           "%s:%zu: a class name of more than %d bytes, or not UTF-8", where, line,
                           HMT_MAX_LABEL - 1);
    memcpy(name, given + begin, size);
    name[size] = '\0';
    if (!utf8_is_printable(name, strlen(name)))
        return status_fail(HMT_ERROR_FORMAT,
                           "%s:%zu: a class name of %s with a control character: '%s'", where, line,
                           dataset_task_names[task], name);
    found = find(set, task, name, false);
    if (found == set->classes[task]) {
        if (dataset_is_missing(name))
            return dataset_note_at(set, where, line,
                                   "'%s' is taken for a %s that is not known; leave the cell empty",
                                   name, dataset_task_names[task]);
        found = find(set, task, name, true);
        if (found == set->classes[task])
            return add(set, task, name, where, line, label);
        *label = found;
        return dataset_note_at(set, where, line, "the %s '%s' is taken for '%s'",
                               dataset_task_names[task], name, set->names[task][found]);
    }
    *label = found;
    return HMT_OK;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

void dataset_sort_classes(hmt_dataset *set)
{
    for (int task = 0; task < 2 && !set->fixed; ++task) {
        char old[HMT_MAX_CLASSES][HMT_MAX_LABEL];
        int32_t number[HMT_MAX_CLASSES];

        memcpy(old, set->names[task], sizeof old);
        qsort(set->names[task], (size_t)set->classes[task], HMT_MAX_LABEL, by_text);
        for (int32_t i = 0; i < set->classes[task]; ++i)
            for (int32_t k = 0; k < set->classes[task]; ++k)
                if (strcmp(old[i], set->names[task][k]) == 0)
                    number[i] = k;
        for (size_t i = 0; i < set->count; ++i)
            if (set->rows[i].label[task] >= 0)
                set->rows[i].label[task] = number[set->rows[i].label[task]];
    }
}
