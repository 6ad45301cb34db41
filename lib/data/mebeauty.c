/*
 * MEBeauty (I. Lebedeva, Y. Guo, F. Ying 2022), as its authors publish it: photos in folders
 * .../GENDER/ETHNICITY/NAME, and lists of paths and scores for training, validation and test.
 *
 * A clone has several generations of lists. The newest, scores/train_2022.txt and its like, have
 * all six ethnicities and the scores of all raters; scores/train.txt has earlier scores;
 * scores/train_crop.csv lacks an ethnicity. Lists begin their paths with folders of their authors'
 * machines, or with names that folders had before: the part from cropped_images/ or images/ on
 * counts.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/status.h"
#include "data/list.h"

enum { LISTS = 3, TRAIN = 0, VALIDATION = 1, TEST = 2 };

/* The newest first. */
static const char *const lists[][LISTS] = {
    {"scores/train_2022.txt", "scores/val_2022.txt", "scores/test_2022.txt"},
    {"scores/train.txt", "scores/val.txt", "scores/test.txt"},
    {"scores/train_crop.csv", "scores/val_crop.csv", "scores/test_crop.csv"},
    {"train.csv", "val.csv", "test.csv"}};
enum { KINDS = sizeof lists / sizeof lists[0] };

typedef struct reader {
    hmt_dataset *set;
    const char *root;
    size_t table;
} reader;

/* The last place in a path where one of its folders has that name; NULL if none has. */
static const char *find_folder(const char *path, const char *name)
{
    const size_t size = strlen(name);
    const char *found = NULL;

    for (const char *at = path; at != NULL; at = strchr(at, '/')) {
        at += *at == '/';
        if (strncmp(at, name, size) == 0 && at[size] == '/')
            found = at;
    }
    return found;
}

/* A photo's path in this clone, from a list's. *name is to be freed. */
static hmt_status find_photo(const reader *r, const char *path, char **name)
{
    static const char crops[] = "cropped_images/images_crop_align_mtcnn";
    const char *found = find_folder(path, "cropped_images"), *folder = "";

    while (path[0] == '.' && path[1] == '/')
        path += 2;
    if (found == NULL)
        found = find_folder(path, "original_images");
    if (found == NULL && (found = find_folder(path, "images")) != NULL &&
        !dataset_exists(r->set, r->root, "images") &&
        dataset_exists(r->set, r->root, "original_images")) {
        folder = "original_images"; /* as it is called now */
        found += strlen("images/");
    }
    if (found == NULL && path[0] == '/' && (found = find_folder(path, "crop")) != NULL) {
        folder = crops;
        found += strlen("crop/");
    }
    return dataset_join(r->set, folder, found != NULL ? found : path, name);
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
    hmt_status status = find_photo(r, line->name, &row.name);

    if (status == HMT_OK && !read_folders(row.name, labels[0], labels[1]))
        status = status_fail(HMT_ERROR_FORMAT, "%s:%zu: %s does not end in GENDER/ETHNICITY/NAME",
                             line->file, line->line, row.name);
    for (int task = 0; task < 2 && status == HMT_OK; ++task)
        status =
            dataset_class(r->set, task, labels[task], line->file, line->line, &row.label[task]);
    if (status == HMT_OK)
        status = dataset_join(r->set, r->root, row.name, &row.path);
    if (status == HMT_OK)
        status = dataset_add(r->set, &row);
    memory_free(&r->set->allocator, row.path);
    memory_free(&r->set->allocator, row.name);
    return status;
}

/* Which group most absent photos are of. */
typedef struct absent {
    size_t count;
    uint32_t groups[HMT_MAX_CLASSES][HMT_MAX_CLASSES]; /* gender, race */
    int32_t gender, race;                              /* of the largest */
    const char *example;
} absent;

static void count_absent(const hmt_dataset *set, size_t first, absent *a)
{
    for (size_t i = first; i < set->count; ++i) {
        const dataset_row *row = &set->rows[i];

        if (access(row->path, F_OK) == 0)
            continue;
        a->example = a->count++ == 0 ? row->name : a->example;
        if (row->label[0] >= 0 && row->label[1] >= 0 &&
            ++a->groups[row->label[0]][row->label[1]] > a->groups[a->gender][a->race]) {
            a->gender = row->label[0];
            a->race = row->label[1];
        }
    }
}

/* Leaves out the rows from `first` on whose photos are not there. */
static void drop_absent(hmt_dataset *set, size_t first)
{
    const size_t end = set->count;

    set->count = first;
    for (size_t i = first; i < end; ++i)
        if (access(set->rows[i].path, F_OK) == 0) {
            set->rows[set->count++] = set->rows[i];
        } else {
            memory_free(&set->allocator, set->rows[i].path);
            memory_free(&set->allocator, set->rows[i].name);
        }
}

/* The authors' lists name photos that were never published, or of which no crop was made: those are
 * counted and left out. Where none is there, the clone is not whole, and opening them says so. */
static hmt_status check_absent(reader *r, size_t first, const char *list)
{
    hmt_dataset *set = r->set;
    const size_t count = set->count - first;
    absent a = {0};
    hmt_status status;

    count_absent(set, first, &a);
    if (a.count == 0)
        return HMT_OK;
    if (a.count == count)
        return dataset_note_at(set, list, 0, "none of its %zu photos are there, such as %.200s",
                               count, a.example);
    status = dataset_note_at(
        set, list, 0,
        "%zu of its %zu photos are absent and left out, %u of them of %s, %s; such as %.160s",
        a.count, count, a.groups[a.gender][a.race], set->names[0][a.gender], set->names[1][a.race],
        a.example);
    drop_absent(set, first);
    return status;
}

/* Reads one list; *first and *end receive which samples it gave. */
static hmt_status read_list(reader *r, const char *name, size_t *first, size_t *end)
{
    char *path = NULL;
    hmt_status status = dataset_join(r->set, r->root, name, &path);

    if (status == HMT_OK)
        status = dataset_table(r->set, path, &r->table);
    *first = r->set->count;
    if (status == HMT_OK)
        status = list_read(r->set, r->root, name, add_photo, r);
    if (status == HMT_OK)
        status = check_absent(r, *first, path);
    *end = r->set->count;
    memory_free(&r->set->allocator, path);
    return status;
}

/* Says that there are older lists, which are not read. */
static hmt_status note_older(const reader *r, size_t kind)
{
    char older[128] = "";
    size_t used = 0;

    for (size_t i = kind + 1; i < KINDS; ++i)
        if (dataset_exists(r->set, r->root, lists[i][TRAIN]))
            used += (size_t)snprintf(older + used, sizeof older - used, "%s%s",
                                     used > 0 ? ", " : "", lists[i][TRAIN]);
    return used == 0 ? HMT_OK
                     : dataset_note_at(r->set, r->root, 0,
                                       "%s and its like are taken; older ones are not: %s",
                                       lists[kind][TRAIN], older);
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
    reader r = {.set = set, .root = path};
    size_t kind = 0, first[LISTS] = {0}, end[LISTS] = {0};
    hmt_status status;

    while (kind < KINDS && !dataset_exists(set, path, lists[kind][TRAIN]))
        ++kind;
    if (kind == KINDS)
        return status_fail(HMT_ERROR_NOT_FOUND,
                           "%s: has neither scores/train_2022.txt nor scores/train.txt nor "
                           "scores/train_crop.csv nor train.csv",
                           path);
    status = note_older(&r, kind);
    for (int i = 0; i < LISTS && status == HMT_OK; ++i)
        if (dataset_exists(set, path, lists[kind][i]))
            status = read_list(&r, lists[kind][i], &first[i], &end[i]);
    if (status == HMT_OK && end[TEST] > first[TEST])
        status = make_split(set, "test", first, end, TEST);
    if (status == HMT_OK && end[VALIDATION] > first[VALIDATION])
        status = make_split(set, "validation", first, end, VALIDATION);
    return status == HMT_OK ? dataset_note_doubts(set, true) : status;
}
