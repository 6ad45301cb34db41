/* A table of photos and scores (see scores.h). */
#include "scores.h"

#include <stdlib.h>

#include <hmtnet/data.h>

#include "cli.h"
#include "labels.h"

void scores_add(scores *table, const char *path, double value)
{
    table->paths =
        cli_grow(table->paths, &table->path_room, table->count + 1, sizeof *table->paths);
    table->values =
        cli_grow(table->values, &table->value_room, table->count + 1, sizeof *table->values);
    table->paths[table->count] = cli_copy(path);
    table->values[table->count++] = value;
}

void scores_free(scores *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->paths[i]);
    free(table->paths);
    free(table->values);
    *table = (scores){0};
}

bool scores_read(scores *table, const char *path, bool join)
{
    hmt_dataset_options about = HMT_DATASET_OPTIONS_INIT;
    about.scores_only = 1;
    hmt_dataset *set = labels_read(NULL, HMT_DATASET_CSV, path, &about);
    for (size_t i = 0; i < hmt_dataset_count(set); i++) {
        hmt_sample sample = HMT_SAMPLE_INIT;
        hmt_dataset_sample(set, i, &sample);
        scores_add(table, join ? sample.path : sample.name, (double)sample.score);
    }
    bool good = set != NULL;
    hmt_dataset_free(set);
    return good;
}
