/*
 * A data set in memory, and how the readers of its kinds fill it in. Strings given to it are
 * copied.
 */
#ifndef HMT_DATA_DATASET_H
#define HMT_DATA_DATASET_H

#include <stdatomic.h>
#include <stdbool.h>

#include <hmtnet/data.h>

enum { DATASET_SPLITS = 16, DATASET_SPLIT_NAME = 32 };
enum { DATASET_NOTES = 32, DATASET_NOTE = 640 };

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

/* Something about the files that a person should know. */
typedef struct dataset_note {
    char text[DATASET_NOTE]; /* "FILE:LINE: ..." of the first place */
    size_t what;             /* where the text behind the place begins */
    size_t count;            /* places */
} dataset_note;

/* A row with the name that it is sorted by. */
typedef struct dataset_named {
    const char *name;
    size_t sample;
} dataset_named;

struct hmt_dataset {
    atomic_int references; /* its host and the loaders made from it */
    hmt_allocator allocator;
    dataset_row *rows;
    size_t count, room;
    char **tables;
    size_t table_count;
    char names[2][HMT_MAX_CLASSES][HMT_MAX_LABEL]; /* of classes, by task */
    int32_t classes[2];
    bool fixed;  /* the classes are the caller's: another name is an error */
    bool scores; /* classes are not wanted, and no labels need be there */
    dataset_split splits[DATASET_SPLITS];
    size_t split_count;
    dataset_note *notes; /* (DATASET_NOTES); NULL: none yet */
    size_t note_count, notes_lost;
    size_t *by_name; /* (count) sorted by name and path; NULL until dataset_index() */
};

/* One more holder, which hmt_dataset_free() lets go. */
void dataset_hold(const hmt_dataset *set);

/* Remembers a file's name; later rows may refer to it by *index. */
hmt_status dataset_table(hmt_dataset *set, const char *path, size_t *index);
hmt_status dataset_add(hmt_dataset *set, const dataset_row *row);
/* The number of a class by name; a new one is added unless the classes are fixed. Blanks around it
 * do not count. "" is -1, and with a note so are the words that other programs write for nothing
 * (NaN, N/A, null); a name that differs from a class's by case alone is that class, with a note.
 * Numbers are in order of appearance until dataset_sort_classes(). Errors begin with WHERE:LINE.
 * classes.c */
hmt_status dataset_class(hmt_dataset *set, int task, const char *name, const char *where,
                         size_t line, int32_t *label);
void dataset_sort_classes(hmt_dataset *set);
/* Whether a cell without blanks around it says that nothing is known. */
bool dataset_is_missing(const char *cell);
/* Whether one slip of a finger lies between two names of some length: a letter that is missing, one
 * too many, another one, or two in each other's place. */
bool dataset_is_typo(const char *a, const char *b);
extern const char *const dataset_task_names[2];

/* Notes what is said by `format` at WHERE:LINE; the same once more is counted. notes.c */
hmt_status dataset_note_at(hmt_dataset *set, const char *where, size_t line, const char *format,
                           ...) __attribute__((format(printf, 4, 5)));
/* Notes classes that differ by a typo, and photos that stand there twice or with labels that
 * contradict each other: rows of the same name or, with `base`, of the same file name. */
hmt_status dataset_note_doubts(hmt_dataset *set, bool base);
/* The last note says how many were left out, each how often it occurs. Once, at the end. */
void dataset_finish_notes(hmt_dataset *set);

hmt_status dataset_split_make(hmt_dataset *set, const char *name, dataset_split **split);
hmt_status dataset_split_add(hmt_dataset *set, dataset_split *split, int side, size_t sample);

/* All rows by name or, with `base`, by file name, rows of one name as they stand in the files.
 * Release it with memory_free(). */
hmt_status dataset_order(const hmt_dataset *set, bool base, dataset_named **order);
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
