/*
 * A data set in memory, and how the readers of its kinds fill it in. Strings given to it are
 * copied.
 */
#ifndef HMT_DATA_DATASET_H
#define HMT_DATA_DATASET_H

#include <stdbool.h>

#include <hmtnet/data.h>

enum { DATASET_SPLITS = 16, DATASET_SPLIT_NAME = 32 };

typedef struct dataset_row {
    char *path;
    char *name;
    int32_t label[2]; /* gender, race; -1: not known */
    float score;      /* NaN: not known */
    size_t table;     /* index of the file it comes from */
    size_t line;
} dataset_row;

typedef struct dataset_split {
    char name[DATASET_SPLIT_NAME];
    size_t *samples[2]; /* training and test side, in the published order */
    size_t count[2], room[2];
} dataset_split;

struct hmt_dataset {
    hmt_allocator allocator;
    dataset_row *rows;
    size_t count, room;
    char **tables;
    size_t table_count;
    char names[2][HMT_MAX_CLASSES][HMT_MAX_LABEL]; /* of classes, by task */
    int32_t classes[2];
    bool fixed; /* the classes are the caller's: another name is an error */
    dataset_split splits[DATASET_SPLITS];
    size_t split_count;
    size_t *by_name; /* (count) sorted by name and path; NULL until dataset_index() */
};

/* Remembers a file's name; later rows may refer to it by *index. */
hmt_status dataset_table(hmt_dataset *set, const char *path, size_t *index);
hmt_status dataset_add(hmt_dataset *set, const dataset_row *row);
/* The number of a class by name; a new one is added unless the classes are fixed. "" is -1. Numbers
 * are in order of appearance until dataset_sort_classes(). Errors begin with WHERE:LINE. */
hmt_status dataset_class(hmt_dataset *set, int task, const char *name, const char *where,
                         size_t line, int32_t *label);
void dataset_sort_classes(hmt_dataset *set);

hmt_status dataset_split_make(hmt_dataset *set, const char *name, dataset_split **split);
hmt_status dataset_split_add(hmt_dataset *set, dataset_split *split, int side, size_t sample);

/* Lets dataset_find() work. A name that occurs twice is HMT_ERROR_FORMAT. */
hmt_status dataset_index(hmt_dataset *set);
/* The sample with a name; set->count if there is none. */
size_t dataset_find(const hmt_dataset *set, const char *name);

/* FOLDER/NAME, or a copy of NAME where that begins with a slash. */
hmt_status dataset_join(const hmt_dataset *set, const char *folder, const char *name, char **path);
bool dataset_exists(const hmt_dataset *set, const char *folder, const char *name);
/* A finite number that fills a cell. */
bool dataset_number(const char *cell, float *number);

/* The readers: `path` as hmt_dataset_read() has it. table.c, scut.c, mebeauty.c */
hmt_status dataset_read_table(hmt_dataset *set, const char *path);
hmt_status dataset_read_scut_fbp5500(hmt_dataset *set, const char *path);
hmt_status dataset_read_scut_fbp(hmt_dataset *set, const char *path);
hmt_status dataset_read_mebeauty(hmt_dataset *set, const char *path);

#endif
