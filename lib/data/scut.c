/*
 * SCUT-FBP5500 and SCUT-FBP, as their authors publish them (L. Liang and others 2018; D. Xie and
 * others 2015).
 *
 * SCUT-FBP5500: Images/, and train_test_files/ with All_labels.txt, one split of 60 % for training
 * and five folds. A name says who is on the photo: in the first release mty12.jpg (m or f, t, y for
 * Asian or w for Caucasian, a number), in the second AM12.jpg (A or C, M or F, a number).
 */
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/status.h"
#include "data/list.h"

#define FILES "train_test_files/"
#define HALF FILES "split_of_60%training and 40%testing/"
#define FOLDS FILES "5_folders_cross_validations_files/"

static const char *const genders[2] = {"female", "male"}, *const races[2] = {"asian", "caucasian"};

typedef struct reader {
    hmt_dataset *set;
    const char *folder; /* where the images are */
    size_t table;
    dataset_split *split;
    int side;
    bool one_group; /* SCUT-FBP: all are Asian women */
} reader;

static bool is_number(const char *text)
{
    size_t digits = strspn(text, "0123456789");

    return digits > 0 && (text[digits] == '\0' || text[digits] == '.');
}

/* Gender and race from a photo's name; false if it follows neither release's rule. */
static bool read_name(const char *name, int *gender, int *race)
{
    if ((name[0] == 'm' || name[0] == 'f') && name[1] == 't' &&
        (name[2] == 'y' || name[2] == 'w') && is_number(name + 3)) {
        *gender = name[0] == 'm';
        *race = name[2] == 'w';
        return true;
    }
    if ((name[0] == 'A' || name[0] == 'C') && (name[1] == 'M' || name[1] == 'F') &&
        is_number(name + 2)) {
        *gender = name[1] == 'M';
        *race = name[0] == 'C';
        return true;
    }
    return false;
}

/* Adds the photo of one line. */
static hmt_status add_photo(void *user, const list_line *line)
{
    reader *r = user;
    dataset_row row = {
        .name = line->name, .score = line->score, .table = r->table, .line = line->line};
    int gender = 0, race = 0;
    hmt_status status;

    if (!r->one_group && !read_name(line->name, &gender, &race))
        return status_fail(HMT_ERROR_FORMAT,
                           "%s:%zu: %s is neither like mty12.jpg nor like AM12.jpg", line->file,
                           line->line, line->name);
    status = dataset_class(r->set, 0, genders[gender], line->file, line->line, &row.label[0]);
    if (status == HMT_OK)
        status = dataset_class(r->set, 1, races[race], line->file, line->line, &row.label[1]);
    if (status == HMT_OK)
        status = dataset_join(r->set, r->folder, line->name, &row.path);
    if (status != HMT_OK)
        return status;
    status = dataset_add(r->set, &row);
    memory_free(&r->set->allocator, row.path);
    return status;
}

/* Adds a known photo to one side of a split. */
static hmt_status add_to_split(void *user, const list_line *line)
{
    reader *r = user;
    size_t sample = dataset_find(r->set, line->name);

    if (sample == r->set->count)
        return status_fail(HMT_ERROR_FORMAT, "%s:%zu: %s is not among the labels", line->file,
                           line->line, line->name);
    return dataset_split_add(r->set, r->split, r->side, sample);
}

static hmt_status read_split(reader *r, const char *root, const char *name, const char *train,
                             const char *test)
{
    hmt_status status = dataset_split_make(r->set, name, &r->split);

    for (r->side = 0; status == HMT_OK && r->side < 2; ++r->side)
        status = list_read(r->set, root, r->side ? test : train, add_to_split, r);
    return status;
}

/* The folds: in the published folders, or 1/train_1.txt and so on in `root` itself. */
static hmt_status read_folds(reader *r, const char *root, const char *form)
{
    hmt_status status = HMT_OK;

    for (int fold = 1; fold <= 5 && status == HMT_OK; ++fold) {
        char name[16], train[128], test[128];

        snprintf(name, sizeof name, "fold%d", fold);
        snprintf(train, sizeof train, form, fold, "train", fold);
        snprintf(test, sizeof test, form, fold, "test", fold);
        status = read_split(r, root, name, train, test);
    }
    return status;
}

/* Both classes of each task exist, whatever occurs. */
static hmt_status name_classes(hmt_dataset *set, const char *path)
{
    hmt_status status = HMT_OK;
    int32_t label;

    for (int i = 0; i < 2 && status == HMT_OK; ++i) {
        status = dataset_class(set, 0, genders[i], path, 0, &label);
        if (status == HMT_OK)
            status = dataset_class(set, 1, races[i], path, 0, &label);
    }
    return status;
}

static hmt_status read_labels(reader *r, const char *root, const char *name)
{
    char *path = NULL;
    hmt_status status = dataset_join(r->set, root, name, &path);

    if (status == HMT_OK)
        status = dataset_table(r->set, path, &r->table);
    memory_free(&r->set->allocator, path);
    return status == HMT_OK ? list_read(r->set, root, name, add_photo, r) : status;
}

hmt_status dataset_read_scut_fbp5500(hmt_dataset *set, const char *path)
{
    static const char published[] = FOLDS "cross_validation_%d/%s_%d.txt", bare[] = "%d/%s_%d.txt";
    const bool whole = dataset_exists(set, path, FILES "All_labels.txt");
    char *images = NULL;
    reader r = {.set = set};
    hmt_status status = name_classes(set, path);

    if (status == HMT_OK && !whole && !dataset_exists(set, path, "1/train_1.txt"))
        status = status_fail(HMT_ERROR_NOT_FOUND,
                             "%s: has neither " FILES "All_labels.txt nor 1/train_1.txt", path);
    if (status == HMT_OK)
        status = dataset_join(set, path, "Images", &images);
    r.folder = images;
    if (status == HMT_OK && whole)
        status = read_labels(&r, path, FILES "All_labels.txt");
    if (status == HMT_OK && !whole) /* both sides of one fold are all there is */
        status = read_labels(&r, path, "1/train_1.txt");
    if (status == HMT_OK && !whole)
        status = read_labels(&r, path, "1/test_1.txt");
    if (status == HMT_OK)
        status = dataset_index(set);
    if (status == HMT_OK && whole && dataset_exists(set, path, HALF "train.txt"))
        status = read_split(&r, path, "60-40", HALF "train.txt", HALF "test.txt");
    if (status == HMT_OK && (!whole || dataset_exists(set, path, FOLDS "cross_validation_1")))
        status = read_folds(&r, path, whole ? published : bare);
    memory_free(&set->allocator, images);
    return status;
}

/* The ratings sheet as CSV is called ratings.csv; the images stand beside it or in Images/ or
 * Data_Collection/. */
hmt_status dataset_read_scut_fbp(hmt_dataset *set, const char *path)
{
    static const char *const folders[] = {"Images", "Data_Collection", "."};
    char *images = NULL;
    reader r = {.set = set, .one_group = true};
    size_t at = 0;
    hmt_status status = name_classes(set, path);

    while (at < 2 && !dataset_exists(set, path, folders[at]))
        ++at;
    if (status == HMT_OK)
        status = at < 2 ? dataset_join(set, path, folders[at], &images)
                        : memory_string(&set->allocator, path, &images);
    r.folder = images;
    if (status == HMT_OK)
        status = read_labels(&r, path, "ratings.csv");
    if (status == HMT_OK)
        status = dataset_index(set);
    memory_free(&set->allocator, images);
    return status;
}
