/* Data sets: what the readers fill in, and the public functions over it. */
#include "data/dataset.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/context.h"
#include "api/options.h"
#include "core/memory.h"
#include "core/random.h"
#include "core/status.h"
#include "format/json.h"

enum { MOST_SAMPLES = 100 * 1000 * 1000, MOST_FOLDS = 1000 };

static const char *const task_names[2] = {"gender", "race"};

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

/* ---- for the readers ---- */

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

hmt_status dataset_class(hmt_dataset *set, int task, const char *name, const char *where,
                         size_t line, int32_t *label)
{
    *label = -1;
    if (*name == '\0')
        return HMT_OK;
    if (strlen(name) >= HMT_MAX_LABEL || !json_utf8_valid(name, strlen(name)))
        return status_fail(HMT_ERROR_FORMAT,
                           "%s:%zu: a class name of more than %d bytes, or not UTF-8", where, line,
                           HMT_MAX_LABEL - 1);
    for (int32_t i = 0; i < set->classes[task]; ++i)
        if (strcmp(set->names[task][i], name) == 0) {
            *label = i;
            return HMT_OK;
        }
    if (set->fixed)
        return status_fail(HMT_ERROR_FORMAT, "%s:%zu: '%s' is not one of the %d classes of %s",
                           where, line, name, set->classes[task], task_names[task]);
    if (set->classes[task] == HMT_MAX_CLASSES)
        return status_fail(HMT_ERROR_LIMIT, "%s:%zu: more than %d classes of %s", where, line,
                           HMT_MAX_CLASSES, task_names[task]);
    *label = set->classes[task]++;
    snprintf(set->names[task][*label], HMT_MAX_LABEL, "%s", name);
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

/* Names in order with their samples, for sorting without a global. */
typedef struct named {
    const char *name;
    size_t sample;
} named;

static int by_name(const void *a, const void *b)
{
    return strcmp(((const named *)a)->name, ((const named *)b)->name);
}

hmt_status dataset_index(hmt_dataset *set)
{
    named *order;
    void *block;
    hmt_status status =
        memory_uninitialised(&set->allocator, set->count, sizeof *order, "a data set", &block);

    if (status != HMT_OK)
        return status;
    order = block;
    for (size_t i = 0; i < set->count; ++i)
        order[i] = (named){set->rows[i].name, i};
    qsort(order, set->count, sizeof *order, by_name);
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

/* ---- the public functions ---- */

static hmt_status take_classes(hmt_dataset *set, const hmt_model_config *given)
{
    hmt_model_config config;
    hmt_status status;

    hmt_model_config_init(&config);
    status = options_copy(&config, sizeof config, given, "hmt_model_config");
    if (status != HMT_OK)
        return status;
    if (config.gender_classes < 2 || config.gender_classes > HMT_MAX_CLASSES ||
        config.race_classes < 2 || config.race_classes > HMT_MAX_CLASSES)
        return status_fail(HMT_ERROR_ARGUMENT, "config: %d and %d classes are not in 2..%d",
                           config.gender_classes, config.race_classes, HMT_MAX_CLASSES);
    set->fixed = true;
    set->classes[0] = config.gender_classes;
    set->classes[1] = config.race_classes;
    memcpy(set->names[0], config.gender_labels, sizeof set->names[0]);
    memcpy(set->names[1], config.race_labels, sizeof set->names[1]);
    return HMT_OK;
}

hmt_status hmt_dataset_read(const hmt_context *context, hmt_dataset_kind kind, const char *path,
                            const hmt_dataset_options *options, hmt_dataset **out)
{
    static hmt_status (*const readers[])(hmt_dataset * set, const char *path) = {
        dataset_read_table, dataset_read_scut_fbp5500, dataset_read_scut_fbp,
        dataset_read_mebeauty};
    hmt_dataset_options o = HMT_DATASET_OPTIONS_INIT;
    hmt_dataset *set;
    void *block;
    hmt_status status;

    status_clear();
    if (path == NULL || out == NULL || (int)kind < 0 ||
        (size_t)kind >= sizeof readers / sizeof readers[0])
        return status_fail(HMT_ERROR_ARGUMENT,
                           "hmt_dataset_read: path or dataset is NULL, or no kind has the number "
                           "%d",
                           (int)kind);
    status = options_copy(&o, sizeof o, options, "hmt_dataset_options");
    if (status == HMT_OK)
        status = memory_zeroed(context_allocator(context), 1, sizeof *set, "a data set", &block);
    if (status != HMT_OK)
        return status;
    set = block;
    set->allocator = *context_allocator(context);
    if (o.classes != NULL)
        status = take_classes(set, o.classes);
    if (status == HMT_OK)
        status = readers[kind](set, path);
    if (status != HMT_OK) {
        hmt_dataset_free(set);
        return status;
    }
    dataset_sort_classes(set);
    *out = set;
    return HMT_OK;
}

void hmt_dataset_free(hmt_dataset *set)
{
    hmt_allocator allocator;

    if (set == NULL)
        return;
    allocator = set->allocator;
    for (size_t i = 0; i < set->count; ++i) {
        memory_free(&allocator, set->rows[i].path);
        memory_free(&allocator, set->rows[i].name);
    }
    for (size_t i = 0; i < set->table_count; ++i)
        memory_free(&allocator, set->tables[i]);
    for (size_t i = 0; i < set->split_count; ++i)
        for (int side = 0; side < 2; ++side)
            memory_free(&allocator, set->splits[i].samples[side]);
    memory_free(&allocator, set->rows);
    memory_free(&allocator, set->tables);
    memory_free(&allocator, set->by_name);
    memory_free(&allocator, set);
}

size_t hmt_dataset_count(const hmt_dataset *set)
{
    return set != NULL ? set->count : 0;
}

hmt_status hmt_dataset_sample(const hmt_dataset *set, size_t index, hmt_sample *out)
{
    const dataset_row *row;
    hmt_sample sample = HMT_SAMPLE_INIT;

    status_clear();
    if (set == NULL || out == NULL || index >= set->count)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "hmt_dataset_sample: dataset or sample is NULL, or there is no sample "
                           "%zu",
                           index);
    row = &set->rows[index];
    sample.path = row->path;
    sample.name = row->name;
    sample.gender = row->label[0];
    sample.race = row->label[1];
    sample.score = row->score;
    sample.table = set->tables[row->table];
    sample.line = row->line;
    return options_give(out, &sample, sizeof sample, "hmt_sample");
}

/* Range and mean of the scores that are known. */
static void describe_scores(const hmt_dataset *set, const size_t *indices, size_t count,
                            hmt_model_config *config)
{
    size_t known = 0;
    double sum = 0.0;

    for (size_t i = 0; i < count; ++i) {
        float score = set->rows[indices != NULL ? indices[i] : i].score;

        if (isnan(score))
            continue;
        config->score_min = known == 0 ? score : fminf(config->score_min, score);
        config->score_max = known == 0 ? score : fmaxf(config->score_max, score);
        sum += score;
        ++known;
    }
    if (known > 0)
        config->score_mean = (float)(sum / (double)known);
}

hmt_status hmt_dataset_describe(const hmt_dataset *set, const size_t *indices, size_t count,
                                hmt_model_config *out)
{
    hmt_model_config config;
    hmt_status status;

    status_clear();
    if (set == NULL || out == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_dataset_describe: dataset or config is NULL");
    hmt_model_config_init(&config);
    status = options_copy(&config, sizeof config, out, "hmt_model_config");
    for (size_t i = 0; status == HMT_OK && indices != NULL && i < count; ++i)
        if (indices[i] >= set->count)
            status = status_fail(HMT_ERROR_ARGUMENT, "hmt_dataset_describe: there is no sample %zu",
                                 indices[i]);
    if (status != HMT_OK)
        return status;
    if (set->classes[0] >= 2) {
        config.gender_classes = set->classes[0];
        memcpy(config.gender_labels, set->names[0], sizeof config.gender_labels);
    }
    if (set->classes[1] >= 2) {
        config.race_classes = set->classes[1];
        memcpy(config.race_labels, set->names[1], sizeof config.race_labels);
    }
    describe_scores(set, indices, indices != NULL ? count : set->count, &config);
    return options_give(out, &config, sizeof config, "hmt_model_config");
}

size_t hmt_dataset_split_count(const hmt_dataset *set)
{
    return set != NULL ? set->split_count : 0;
}

const char *hmt_dataset_split_name(const hmt_dataset *set, size_t index)
{
    return set != NULL && index < set->split_count ? set->splits[index].name : NULL;
}

/* A sample's place in a random order: from the seed and its name, whatever else is in the set. */
static uint64_t draw(const dataset_row *row, uint64_t seed)
{
    uint64_t hash = 14695981039346656037u;

    for (const char *c = row->name; *c != '\0'; ++c)
        hash = (hash ^ (unsigned char)*c) * 1099511628211u;
    return random_split(seed, hash);
}

/* "random:K/N": each sample is in one of N folds; fold K is the test side. */
static hmt_status split_at_random(const hmt_dataset *set, const char *split, uint64_t seed,
                                  int32_t test, size_t *indices, size_t capacity, size_t *count)
{
    unsigned fold = 0, folds = 0;
    char more;
    size_t found = 0;

    if (sscanf(split, "random:%4u/%4u%c", &fold, &folds, &more) != 2 || folds < 2 ||
        folds > MOST_FOLDS || fold < 1 || fold > folds)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "split %s: expected random:K/N with 1 <= K <= N <= %d", split,
                           MOST_FOLDS);
    for (size_t i = 0; i < set->count; ++i) {
        if ((draw(&set->rows[i], seed) % folds + 1 == fold) != (test != 0))
            continue;
        if (found < capacity)
            indices[found] = i;
        ++found;
    }
    *count = found;
    return HMT_OK;
}

hmt_status hmt_dataset_split(const hmt_dataset *set, const char *split, uint64_t seed, int32_t test,
                             size_t *indices, size_t capacity, size_t *count)
{
    status_clear();
    if (set == NULL || split == NULL || count == NULL || (indices == NULL && capacity > 0))
        return status_fail(HMT_ERROR_ARGUMENT,
                           "hmt_dataset_split: dataset, split, indices or count is NULL");
    if (strncmp(split, "random:", 7) == 0)
        return split_at_random(set, split, seed, test, indices, capacity, count);
    for (size_t i = 0; i < set->split_count; ++i) {
        const dataset_split *s = &set->splits[i];
        const int side = test != 0;

        if (strcmp(s->name, split) != 0)
            continue;
        for (size_t k = 0; k < s->count[side] && k < capacity; ++k)
            indices[k] = s->samples[side][k];
        *count = s->count[side];
        return HMT_OK;
    }
    return status_fail(HMT_ERROR_NOT_FOUND, "the data set has no split %s", split);
}
