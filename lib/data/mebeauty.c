/*
 * MEBeauty (I. Lebedeva, Y. Guo, F. Ying 2022), as its authors publish it: photos in folders
 * .../GENDER/ETHNICITY/NAME, and lists of paths and scores for training, validation and test.
 *
 * The lists are scores/train_crop.csv and test_crop.csv, for the aligned crops; or, where these are
 * not there, scores/train_2022.txt, val_2022.txt and test_2022.txt, for the whole photos, with
 * absolute paths of which the part from images/ on counts; or train.csv, val.csv and test.csv
 * beside the photos.
 */
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "data/list.h"

enum { LISTS = 3, TRAIN = 0, VALIDATION = 1, TEST = 2 };

static const char *const lists[][LISTS] = {
    {"scores/train_crop.csv", "scores/val_crop.csv", "scores/test_crop.csv"},
    {"scores/train_2022.txt", "scores/val_2022.txt", "scores/test_2022.txt"},
    {"train.csv", "val.csv", "test.csv"}};

typedef struct reader {
    hmt_dataset *set;
    const char *root;
    size_t table;
} reader;

/* The part of a path that is relative to the data set's folder. */
static char *relative(char *path)
{
    char *images = strstr(path, "/images/");

    return path[0] == '/' && images != NULL ? images + 1 : path;
}

/* The names of the last two folders of a path; false if there are not as many. */
static bool read_folders(const char *path, char gender[HMT_MAX_LABEL], char race[HMT_MAX_LABEL])
{
    const char *end = strrchr(path, '/');
    char *const into[2] = {race, gender};

    for (int i = 0; i < 2; ++i) {
        const char *begin = end;

        while (begin != NULL && begin > path && begin[-1] != '/')
            --begin;
        if (begin == NULL || begin == end || end - begin >= HMT_MAX_LABEL)
            return false;
        memcpy(into[i], begin, (size_t)(end - begin));
        into[i][end - begin] = '\0';
        end = begin > path ? begin - 1 : NULL;
    }
    return true;
}

static hmt_status add_photo(void *user, const list_line *line)
{
    reader *r = user;
    dataset_row row = {.score = line->score, .table = r->table, .line = line->line};
    char labels[2][HMT_MAX_LABEL];
    hmt_status status = HMT_OK;

    row.name = relative(line->name);
    if (!read_folders(row.name, labels[0], labels[1]))
        return status_fail(HMT_ERROR_FORMAT, "%s:%zu: %s does not end in GENDER/ETHNICITY/NAME",
                           line->file, line->line, row.name);
    for (int task = 0; task < 2 && status == HMT_OK; ++task)
        status =
            dataset_class(r->set, task, labels[task], line->file, line->line, &row.label[task]);
    if (status == HMT_OK)
        status = dataset_join(r->set, r->root, row.name, &row.path);
    if (status != HMT_OK)
        return status;
    status = dataset_add(r->set, &row);
    memory_free(&r->set->allocator, row.path);
    return status;
}

/* Reads one list; *first and *end receive which samples it gave. */
static hmt_status read_list(reader *r, const char *name, size_t *first, size_t *end)
{
    char *path = NULL;
    hmt_status status = dataset_join(r->set, r->root, name, &path);

    if (status == HMT_OK)
        status = dataset_table(r->set, path, &r->table);
    memory_free(&r->set->allocator, path);
    *first = r->set->count;
    if (status == HMT_OK)
        status = list_read(r->set, r->root, name, add_photo, r);
    *end = r->set->count;
    return status;
}

static hmt_status make_split(hmt_dataset *set, const char *name, const size_t first[LISTS],
                             const size_t end[LISTS], int test)
{
    dataset_split *split;
    hmt_status status = dataset_split_make(set, name, &split);

    for (int side = 0; side < 2; ++side)
        for (size_t i = first[side ? test : TRAIN];
             status == HMT_OK && i < end[side ? test : TRAIN]; ++i)
            status = dataset_split_add(set, split, side, i);
    return status;
}

hmt_status dataset_read_mebeauty(hmt_dataset *set, const char *path)
{
    const size_t kinds = sizeof lists / sizeof lists[0];
    reader r = {.set = set, .root = path};
    size_t kind = 0, first[LISTS] = {0}, end[LISTS] = {0};
    hmt_status status = HMT_OK;

    while (kind < kinds && !dataset_exists(set, path, lists[kind][TRAIN]))
        ++kind;
    if (kind == kinds)
        return status_fail(HMT_ERROR_NOT_FOUND,
                           "%s: has neither scores/train_crop.csv nor scores/train_2022.txt nor "
                           "train.csv",
                           path);
    for (int i = 0; i < LISTS && status == HMT_OK; ++i)
        if (dataset_exists(set, path, lists[kind][i]))
            status = read_list(&r, lists[kind][i], &first[i], &end[i]);
    if (status == HMT_OK && end[TEST] > first[TEST])
        status = make_split(set, "test", first, end, TEST);
    if (status == HMT_OK && end[VALIDATION] > first[VALIDATION])
        status = make_split(set, "validation", first, end, VALIDATION);
    return status;
}
