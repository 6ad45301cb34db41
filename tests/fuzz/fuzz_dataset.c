/*
 * mutations: 600
 * Data sets: the input is cut at form feeds into the files of a layout, and read. What was read can
 * be asked for, every sample and split, and describes a config that a model file can hold.
 *
 * Options: bits 0-1 the kind, bits 2-3 the layout, bit 4 lets the last piece stand for the files
 * that are left, bit 5 fixes the classes.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hmtnet/data.h>

#include "core/status.h"
#include "format/config_json.h"
#include "fuzz.h"

enum { MOST_FILES = 14, MOST_SHOWN = 100, CUT = '\f' };

#define FILES "train_test_files/"
#define HALF FILES "split_of_60%training and 40%testing/"
#define FOLD(n) FILES "5_folders_cross_validations_files/cross_validation_" #n "/"
#define FOLDER "set/"

/* The files of each layout, in the input's order. */
static const struct {
    hmt_dataset_kind kind;
    const char *files[MOST_FILES];
} layouts[] = {
    {HMT_DATASET_CSV, {"table.csv"}},
    {HMT_DATASET_SCUT_FBP5500,
     {FILES "All_labels.txt", HALF "train.txt", HALF "test.txt", FOLD(1) "train_1.txt",
      FOLD(1) "test_1.txt", FOLD(2) "train_2.txt", FOLD(2) "test_2.txt", FOLD(3) "train_3.txt",
      FOLD(3) "test_3.txt", FOLD(4) "train_4.txt", FOLD(4) "test_4.txt", FOLD(5) "train_5.txt",
      FOLD(5) "test_5.txt"}},
    {HMT_DATASET_SCUT_FBP5500,
     {"1/train_1.txt", "1/test_1.txt", "2/train_2.txt", "2/test_2.txt", "3/train_3.txt",
      "3/test_3.txt", "4/train_4.txt", "4/test_4.txt", "5/train_5.txt", "5/test_5.txt"}},
    {HMT_DATASET_SCUT_FBP, {"ratings.csv"}},
    {HMT_DATASET_MEBEAUTY,
     {"scores/train_crop.csv", "scores/val_crop.csv", "scores/test_crop.csv"}},
    {HMT_DATASET_MEBEAUTY,
     {"scores/train_2022.txt", "scores/val_2022.txt", "scores/test_2022.txt"}},
    {HMT_DATASET_MEBEAUTY, {"train.csv", "val.csv", "test.csv"}},
};
enum { LAYOUTS = sizeof layouts / sizeof layouts[0], REPEAT = 16, FIXED = 32 };

/* Writes the pieces into the layout's files. The files of other layouts are not there. */
static void write_files(const uint8_t *data, size_t size, size_t layout, bool repeat)
{
    static const char *written[MOST_FILES];
    char name[256];

    for (size_t i = 0; i < MOST_FILES && written[i] != NULL; ++i) {
        strcat(strcpy(name, FOLDER), written[i]);
        unlink(fuzz_path(name));
        written[i] = NULL;
    }
    for (size_t i = 0; i < MOST_FILES && layouts[layout].files[i] != NULL; ++i) {
        const uint8_t *end = memchr(data, CUT, size);
        const size_t piece = end != NULL ? (size_t)(end - data) : size;

        written[i] = layouts[layout].files[i];
        strcat(strcpy(name, FOLDER), written[i]);
        fuzz_file(name, data, piece);
        if (end == NULL && !repeat)
            return;
        if (end != NULL) {
            size -= piece + 1;
            data = end + 1;
        }
    }
}

static void check_sample(const hmt_dataset *set, size_t index, const hmt_model_config *config)
{
    hmt_sample sample = HMT_SAMPLE_INIT;

    FUZZ_OK(hmt_dataset_sample(set, index, &sample));
    FUZZ_CHECK(sample.path != NULL && sample.name != NULL && sample.name[0] != '\0');
    FUZZ_CHECK(sample.table != NULL && access(sample.table, R_OK) == 0 && sample.line > 0);
    FUZZ_CHECK(sample.gender >= -1 && sample.gender < config->gender_classes);
    FUZZ_CHECK(sample.race >= -1 && sample.race < config->race_classes);
    FUZZ_CHECK(!isinf(sample.score));
}

/* Both sides of a split, which name samples that exist. */
static void check_split(const hmt_dataset *set, const char *name)
{
    for (int32_t test = 0; test < 2; ++test) {
        size_t *indices, count, again;

        FUZZ_OK(hmt_dataset_split(set, name, 7, test, NULL, 0, &count));
        indices = malloc(count * sizeof *indices + 1);
        FUZZ_CHECK(indices != NULL);
        FUZZ_OK(hmt_dataset_split(set, name, 7, test, indices, count, &again));
        FUZZ_CHECK(again == count);
        for (size_t i = 0; i < count; ++i)
            FUZZ_CHECK(indices[i] < hmt_dataset_count(set));
        free(indices);
    }
}

static void check_set(const hmt_dataset *set)
{
    const size_t count = hmt_dataset_count(set);
    char json[CONFIG_JSON_SIZE];
    hmt_model_config config, again;
    size_t nothing;

    hmt_model_config_init(&config);
    FUZZ_OK(hmt_dataset_describe(set, NULL, 0, &config));
    FUZZ_OK(config_to_json(&config, json, sizeof json));
    FUZZ_OK(config_from_json(json, strlen(json), &again));
    FUZZ_CHECK(memcmp(&config, &again, sizeof config) == 0);
    for (size_t i = 0; i < count && i < MOST_SHOWN; ++i)
        check_sample(set, i, &config);
    for (size_t i = 0; i < hmt_dataset_split_count(set); ++i)
        check_split(set, hmt_dataset_split_name(set, i));
    check_split(set, "random:2/3");
    FUZZ_STATUS(hmt_dataset_split(set, "none", 0, 0, NULL, 0, &nothing), FUZZ_CODE(NOT_FOUND));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t option = fuzz_option(data, &size);
    const size_t layout = option % 16 % LAYOUTS;
    const bool table = layouts[layout].kind == HMT_DATASET_CSV;
    hmt_dataset_options o = HMT_DATASET_OPTIONS_INIT;
    hmt_model_config classes;
    hmt_dataset *set = NULL;
    hmt_status status;

    hmt_model_config_init(&classes);
    o.classes = option & FIXED ? &classes : NULL;
    write_files(data, size, layout, (option & REPEAT) != 0);
    (void)fuzz_context();
    /* A row costs its two strings in blocks of 64 bytes, a file may stand for many. */
    fuzz_begin(64 * MOST_FILES * (size + 1024));
    status = FUZZ_STATUS(hmt_dataset_read(fuzz_context(), layouts[layout].kind,
                                          fuzz_path(table ? FOLDER "table.csv" : "set"), &o, &set),
                         FUZZ_CODE(FORMAT) | FUZZ_CODE(LIMIT) | FUZZ_CODE(NOT_FOUND));
    FUZZ_CHECK((set != NULL) == (status == HMT_OK));
    if (status == HMT_OK)
        check_set(set);
    hmt_dataset_free(set);
    fuzz_end();
    return 0;
}

static void seed(const char *text, uint8_t option)
{
    const char options[2] = {(char)option, (char)(option | REPEAT)};

    fuzz_seed(text, strlen(text), &options[0], 1);
    fuzz_seed(text, strlen(text), &options[1], 1);
}

/* A table of a cell more than there may be in a row, and one of a class too many. */
static void seed_large(void)
{
    char text[600] = "path,score", *at = text;

    for (int i = 2; i < 257; ++i)
        strcat(text, ",c");
    seed(text, 0);
    at += sprintf(at, "path,race");
    for (int i = 0; i <= HMT_MAX_CLASSES; ++i)
        at += sprintf(at, "\n%d.jpg,c%d", i, i);
    seed(text, 0);
}

void fuzz_seeds(void)
{
    seed_large();
    seed("\xEF\xBB\xBFscore,extra,path,race,gender\r\n3.5,x,a.png,pink,m\r\n\r\n"
         ",\"y, \"\"z\"\"\",\"sub/b,\"\"1\"\".png\",blue,f\n1e1,x,/abs/c.png,,f\n-2,x,d.png,green,",
         0);
    seed("path,score\na.jpg,1e39\n", 0);
    seed("path,gender,race,score\na.jpg,female,asian,1\nb.jpg,male,caucasian,5\n", FIXED);
    seed("mty1.jpg 3.5\nftw2.jpg 2\nfty3.jpg 4\n\fmty1.jpg 3.5\n\fftw2.jpg 2\n\fftw2.jpg 2\n", 1);
    seed("AM1.jpg 3.5\nCF2.jpg 2\n\fCM3.jpg 2.25\n\fAM1.jpg 3.5\n\fCM3.jpg 2.25\n", 2);
    seed("AM1.jpg 3.5\nCF2.jpg 2\n\f\f\fAM1.jpg 3.5", 2);
    seed("1.jpg 2.5\r\n\"a b.jpg\" 3\n\n3.jpg\t1", 3);
    seed("Image,image,score\n1,x.jpg,2.5\n2,\"y,z.jpg\",3\n", 3);
    seed("image,score\nimages/male/asian/a.jpg,5.5\nimages/female/white/b.jpg,1\n\f"
         "image,score\nimages/male/white/c.jpg,7\n\fimage,score\nimages/male/asian/d.jpg,2\n",
         4);
    seed("/home/x/images/male/asian/a b.jpg 5.5\n/home/images/female/black/b.jpg 1\n\f"
         "images/female/asian/c.jpg 2\n\f/images/male/asian/d.jpg 9\n",
         5);
    seed("path,score\nmale/asian/a.jpg,5.5\n\fpath,score\nfemale/asian/b.jpg,2\n\f", 6);
}
