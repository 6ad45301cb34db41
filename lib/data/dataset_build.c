/* How readers fill in a data set (see dataset.h). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/status.h"
#include "data/dataset.h"
#include "format/json.h"

enum { MOST_SAMPLES = 100 * 1000 * 1000 };

/* Makes room for one more element of `size` bytes. */
static hmt_status grow(const hmt_allocator *allocator, void **array, size_t count, size_t *room,
                       size_t size)
{
    size_t wanted = *room > 0 ? *room * 2 : 64;
    void *larger;
    hmt_status status;

    if (count < *room)
        return HMT_OK;
    if (count >= MOST_SAMPLES)
        return status_fail(HMT_ERROR_LIMIT, "a data set of more than %d samples", MOST_SAMPLES);
    status = memory_uninitialised(allocator, wanted, size, "a data set", &larger);
    if (status != HMT_OK)
        return status;
    if (count > 0)
        memcpy(larger, *array, count * size);
    memory_free(allocator, *array);
    *array = larger;
    *room = wanted;
    return HMT_OK;
}

hmt_status dataset_table(hmt_dataset *set, const char *path, size_t *index)
{
    void *block;
    hmt_status status = memory_uninitialised(&set->allocator, set->table_count + 1,
                                             sizeof *set->tables, "a data set", &block);

    if (status != HMT_OK)
        return status;
    if (set->table_count > 0)
        memcpy(block, set->tables, set->table_count * sizeof *set->tables);
    memory_free(&set->allocator, set->tables);
    set->tables = block;
    status = memory_string(&set->allocator, path, &set->tables[set->table_count]);
    if (status == HMT_OK)
        *index = set->table_count++;
    return status;
}

hmt_status dataset_add(hmt_dataset *set, const dataset_row *row)
{
    void *array = set->rows;
    dataset_row *r;
    hmt_status status = grow(&set->allocator, &array, set->count, &set->room, sizeof *set->rows);

    set->rows = array;
    if (status != HMT_OK)
        return status;
    r = &set->rows[set->count];
    *r = *row;
    status = memory_string(&set->allocator, row->path, &r->path);
    if (status != HMT_OK)
        return status;
    status = memory_string(&set->allocator, row->name, &r->name);
    if (status != HMT_OK) {
        memory_free(&set->allocator, r->path);
        return status;
    }
    ++set->count;
    return HMT_OK;
}

hmt_status dataset_split_make(hmt_dataset *set, const char *name, dataset_split **split)
{
    if (set->split_count == DATASET_SPLITS)
        return status_fail(HMT_ERROR_LIMIT, "more than %d splits", DATASET_SPLITS);
    *split = &set->splits[set->split_count++];
    snprintf((*split)->name, DATASET_SPLIT_NAME, "%s", name);
    return HMT_OK;
}

hmt_status dataset_split_add(hmt_dataset *set, dataset_split *split, int side, size_t sample)
{
    void *array = split->samples[side];
    hmt_status status = grow(&set->allocator, &array, split->count[side], &split->room[side],
                             sizeof *split->samples[side]);

    split->samples[side] = array;
    if (status == HMT_OK)
        split->samples[side][split->count[side]++] = sample;
    return status;
}

static int by_name(const void *a, const void *b)
{
    const dataset_named *x = a, *y = b;
    const int order = strcmp(x->name, y->name);

    return order != 0 ? order : (x->sample > y->sample) - (x->sample < y->sample);
}

hmt_status dataset_order(const hmt_dataset *set, bool base, dataset_named **order)
{
    void *block;
    hmt_status status =
        memory_uninitialised(&set->allocator, set->count, sizeof **order, "a data set", &block);

    if (status != HMT_OK)
        return status;
    *order = block;
    for (size_t i = 0; i < set->count; ++i) {
        const char *slash = base ? strrchr(set->rows[i].name, '/') : NULL;

        (*order)[i] = (dataset_named){slash != NULL ? slash + 1 : set->rows[i].name, i};
    }
    qsort(*order, set->count, sizeof **order, by_name);
    return HMT_OK;
}

hmt_status dataset_index(hmt_dataset *set)
{
    dataset_named *order = NULL;
    void *block;
    hmt_status status = dataset_order(set, false, &order);

    for (size_t i = 1; status == HMT_OK && i < set->count; ++i)
        if (strcmp(order[i - 1].name, order[i].name) == 0) {
            const dataset_row *row = &set->rows[order[i].sample];

            status = status_fail(HMT_ERROR_FORMAT, "%s:%zu: %s stands there twice",
                                 set->tables[row->table], row->line, row->name);
        }
    if (status == HMT_OK)
        status = memory_uninitialised(&set->allocator, set->count, sizeof *set->by_name,
                                      "a data set", &block);
    if (status == HMT_OK) {
        set->by_name = block;
        for (size_t i = 0; i < set->count; ++i)
            set->by_name[i] = order[i].sample;
    }
    memory_free(&set->allocator, order);
    return status;
}

size_t dataset_find(const hmt_dataset *set, const char *name)
{
    size_t low = 0, high = set->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(set->rows[set->by_name[middle]].name, name);

        if (order == 0)
            return set->by_name[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return set->count;
}

hmt_status dataset_join(const hmt_dataset *set, const char *folder, const char *name, char **path)
{
    const char *between = *name == '/' || *folder == '\0' || strcmp(folder, ".") == 0 ? "" : "/";
    size_t size;
    void *block;
    hmt_status status;

    if (*between == '\0')
        folder = "";
    size = strlen(folder) + strlen(between) + strlen(name) + 1;
    status = memory_uninitialised(&set->allocator, size, 1, "a path", &block);
    if (status != HMT_OK)
        return status;
    *path = block;
    snprintf(*path, size, "%s%s%s", folder, between, name);
    return HMT_OK;
}

bool dataset_exists(const hmt_dataset *set, const char *folder, const char *name)
{
    char *path = NULL;
    bool there = dataset_join(set, folder, name, &path) == HMT_OK && access(path, F_OK) == 0;

    memory_free(&set->allocator, path);
    return there;
}

bool dataset_number(const char *cell, float *number)
{
    json_reader json;

    json_begin(&json, cell, strlen(cell), "a number");
    *number = (float)json_double(&json);
    if (json_end(&json) == HMT_OK && isfinite(*number))
        return true;
    status_clear(); /* the caller says where it is */
    return false;
}
