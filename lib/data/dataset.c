/* The public functions over data sets. */
#include "data/dataset.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/context.h"
#include "api/options.h"
#include "core/float_mode.h"
#include "core/memory.h"
#include "core/random.h"
#include "core/status.h"

enum { MOST_FOLDS = 1000 };

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
    FLOAT_MODE_DEFAULT;
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
    atomic_init(&set->references, 1);
    set->allocator = *context_allocator(context);
    set->scores = o.scores_only != 0;
    if (o.classes != NULL)
        status = take_classes(set, o.classes);
    if (status == HMT_OK)
        status = readers[kind](set, path);
    if (status != HMT_OK) {
        hmt_dataset_free(set);
        return status;
    }
    dataset_finish_notes(set);
    dataset_sort_classes(set);
    *out = set;
    return HMT_OK;
}

void dataset_hold(const hmt_dataset *set)
{
    atomic_fetch_add(&((hmt_dataset *)set)->references, 1); /* all else of it stays as it is */
}

void hmt_dataset_free(hmt_dataset *set)
{
    hmt_allocator allocator;

    if (set == NULL || atomic_fetch_sub(&set->references, 1) != 1)
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
    memory_free(&allocator, set->notes);
    memory_free(&allocator, set);
}

size_t hmt_dataset_count(const hmt_dataset *set)
{
    return set != NULL ? set->count : 0;
}

const char *hmt_dataset_warning(const hmt_dataset *set, size_t index)
{
    return set != NULL && index < set->note_count ? set->notes[index].text : NULL;
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

/* The tasks that some of the samples have a label for. */
static uint32_t labelled_tasks(const hmt_dataset *set, const size_t *indices, size_t count)
{
    uint32_t tasks = 0;

    for (size_t i = 0; i < count; ++i) {
        const dataset_row *row = &set->rows[indices != NULL ? indices[i] : i];

        for (int task = 0; task < 2; ++task)
            tasks |= row->label[task] >= 0 ? 1u << task : 0;
        tasks |= !isnan(row->score) ? HMT_TASKS_ATTRACTIVENESS : 0;
    }
    return tasks;
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
    config.trained = labelled_tasks(set, indices, indices != NULL ? count : set->count);
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
