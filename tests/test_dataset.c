/* tier: quick */
/* Data sets: each published layout gives its labels and splits; a wrong file is named with its
 * line; nothing in a file can do harm. The sets are made here, in the layouts' own names. */
#include <math.h>

#include "dataset_files.h"

static void a_table_with_gaps(void)
{
    hmt_model_config config;
    hmt_dataset_options o = HMT_DATASET_OPTIONS_INIT;
    hmt_dataset *set, *again = NULL;
    const char *path;
    static const size_t two[] = {0, 3};
    hmt_sample s;

    path = put("t/table.csv", "\xEF\xBB\xBFscore,extra,path,race,gender\r\n"
                              "3.5,x,a.png,pink,m\r\n\r\n"
                              ",\"y, \"\"z\"\"\",\"sub/b,\"\"1\"\".png\",blue,f\n"
                              "1e1,x,/abs/c.png,,f\n-2,x,d.png,green,");
    set = read_set(HMT_DATASET_CSV, "t/table.csv");
    CHECK(hmt_dataset_count(set) == 4);
    s = sample_of(set, 0);
    CHECK(s.gender == 1 && s.race == 2 && s.score == 3.5f && s.line == 2);
    CHECK(strcmp(s.name, "a.png") == 0 && strstr(s.path, "/t/a.png") != NULL &&
          strcmp(s.table, path) == 0);
    s = sample_of(set, 1);
    CHECK(s.gender == 0 && s.race == 0 && isnan(s.score) && s.line == 4);
    CHECK(strcmp(s.name, "sub/b,\"1\".png") == 0);
    s = sample_of(set, 2);
    CHECK(s.race == -1 && s.score == 10.0f && strcmp(s.path, "/abs/c.png") == 0);
    CHECK(sample_of(set, 3).gender == -1);
    hmt_model_config_init(&config);
    CHECK_STATUS(hmt_dataset_describe(set, NULL, 0, &config), HMT_OK);
    CHECK(config.gender_classes == 2 && config.race_classes == 3);
    CHECK(strcmp(config.race_labels[1], "green") == 0 && strcmp(config.gender_labels[1], "m") == 0);
    CHECK(config.score_min == -2.0f && config.score_max == 10.0f);
    CHECK(fabsf(config.score_mean - 11.5f / 3.0f) < 1e-6f);
    CHECK_STATUS(hmt_dataset_describe(set, two, 2, &config), HMT_OK);
    CHECK(config.score_min == -2.0f && config.score_max == 3.5f && config.score_mean == 0.75f);
    o.classes = &config; /* the same classes again, and then others */
    CHECK_STATUS(hmt_dataset_read(NULL, HMT_DATASET_CSV, path, &o, &again), HMT_OK);
    CHECK(sample_of(again, 0).race == 2);
    hmt_dataset_free(again);
    snprintf(config.race_labels[2], HMT_MAX_LABEL, "red");
    CHECK_STATUS(hmt_dataset_read(NULL, HMT_DATASET_CSV, path, &o, &again), HMT_ERROR_FORMAT);
    CHECK(strstr(hmt_last_error(), "table.csv:2: 'pink' is not one of the 3 classes of race"));
    CHECK(hmt_dataset_split_count(set) == 0 && hmt_dataset_split_name(set, 0) == NULL);
    hmt_dataset_free(set);
}

static void random_folds_are_a_partition(void)
{
    char text[4000] = "path,score\n";
    size_t indices[200], total = 0, first[200], count;
    int seen[200] = {0};
    hmt_dataset *set;

    for (int i = 0; i < 200; ++i)
        snprintf(text + strlen(text), 20, "%d.jpg,%d\n", i, i);
    put("r.csv", text);
    set = read_set(HMT_DATASET_CSV, "r.csv");
    for (int fold = 1; fold <= 5; ++fold) {
        char split[20];

        snprintf(split, sizeof split, "random:%d/5", fold);
        count = side(set, split, 1, indices, 200);
        CHECK(count > 20 && count < 60);
        CHECK(side(set, split, 0, indices + count, 200 - count) == 200 - count);
        for (size_t i = 0; i < count; ++i)
            ++seen[indices[i]];
        total += count;
    }
    CHECK(total == 200);
    for (int i = 0; i < 200; ++i)
        CHECK(seen[i] == 1);
    count = side(set, "random:1/5", 1, first, 200);
    CHECK_STATUS(hmt_dataset_split(set, "random:1/5", 2, 1, indices, 200, &total), HMT_OK);
    CHECK(count != total || memcmp(first, indices, count * sizeof *first) != 0);
    CHECK_STATUS(hmt_dataset_split(set, "random:6/5", 1, 1, indices, 200, &total),
                 HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_dataset_split(set, "random:1/5x", 1, 1, indices, 200, &total),
                 HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_dataset_split(set, "fold1", 1, 1, indices, 200, &total), HMT_ERROR_NOT_FOUND);
    hmt_dataset_free(set);
}

static void scut_fbp5500_in_both_releases(void)
{
    static const char *const names[2][4] = {{"mty1.jpg", "ftw2.jpg", "fty30.jpg", "mtw4.jpg"},
                                            {"AM1.jpg", "CF2.jpg", "AF30.jpg", "CM4.jpg"}};
    static const int32_t genders[4] = {1, 0, 0, 1}, races[4] = {0, 1, 0, 1};

    for (int release = 0; release < 2; ++release) {
        const char *const *n = names[release];
        char text[400], file[200];
        size_t indices[8];
        hmt_model_config config;
        hmt_dataset *set;

        snprintf(text, sizeof text, "%s 2.5\n%s 3.25\n%s 4\r\n%s 1.000000", n[0], n[1], n[2], n[3]);
        put("s/train_test_files/All_labels.txt", text);
        snprintf(text, sizeof text, "%s 3.25\n%s 2.5\n", n[1], n[0]);
        put("s/train_test_files/split_of_60%training and 40%testing/train.txt", text);
        snprintf(text, sizeof text, "%s 4\n%s 1\n", n[2], n[3]);
        put("s/train_test_files/split_of_60%training and 40%testing/test.txt", text);
        for (int fold = 1; fold <= 5; ++fold) {
            const char *folder = "s/train_test_files/5_folders_cross_validations_files";

            snprintf(file, sizeof file, "%s/cross_validation_%d/train_%d.txt", folder, fold, fold);
            snprintf(text, sizeof text, "%s 1\n%s 1\n%s 1\n", n[fold % 4], n[(fold + 1) % 4],
                     n[(fold + 2) % 4]);
            put(file, text);
            snprintf(file, sizeof file, "%s/cross_validation_%d/test_%d.txt", folder, fold, fold);
            snprintf(text, sizeof text, "%s 1\n", n[(fold + 3) % 4]);
            put(file, text);
        }
        set = read_set(HMT_DATASET_SCUT_FBP5500, "s");
        CHECK(hmt_dataset_count(set) == 4 && hmt_dataset_split_count(set) == 6);
        for (size_t i = 0; i < 4; ++i) {
            hmt_sample s = sample_of(set, i);

            CHECK(s.gender == genders[i] && s.race == races[i] && s.line == i + 1);
            CHECK(strstr(s.path, "/s/Images/") != NULL && strcmp(s.name, n[i]) == 0);
        }
        CHECK(sample_of(set, 1).score == 3.25f);
        hmt_model_config_init(&config);
        CHECK_STATUS(hmt_dataset_describe(set, NULL, 0, &config), HMT_OK);
        CHECK(strcmp(config.gender_labels[1], "male") == 0 &&
              strcmp(config.race_labels[1], "caucasian") == 0);
        CHECK(strcmp(hmt_dataset_split_name(set, 0), "60-40") == 0);
        CHECK(side(set, "60-40", 0, indices, 8) == 2 && indices[0] == 1 && indices[1] == 0);
        CHECK(side(set, "60-40", 1, indices, 8) == 2 && indices[0] == 2 && indices[1] == 3);
        CHECK(side(set, "fold5", 0, indices, 8) == 3 && indices[0] == 1);
        CHECK(side(set, "fold5", 1, indices, 8) == 1 && indices[0] == 0);
        CHECK(side(set, "fold5", 0, NULL, 0) == 3);
        hmt_dataset_free(set);
    }
}

static void what_is_wrong_in_scut_fbp5500_is_named(void)
{
    static const char labels[] = "w/train_test_files/All_labels.txt";

    refused(HMT_DATASET_SCUT_FBP5500, "nothing", HMT_ERROR_NOT_FOUND, "All_labels.txt");
    put(labels, "mty1.jpg 2\nmtx2.jpg 3\n");
    refused(HMT_DATASET_SCUT_FBP5500, "w", HMT_ERROR_FORMAT, "All_labels.txt:2: mtx2.jpg");
    put(labels, "mty1.jpg 2\nmty2.jpg three\n");
    refused(HMT_DATASET_SCUT_FBP5500, "w", HMT_ERROR_FORMAT, "All_labels.txt:2: not a name");
    put(labels, "mty1.jpg 2\n\nmty1.jpg 3\n");
    refused(HMT_DATASET_SCUT_FBP5500, "w", HMT_ERROR_FORMAT, "mty1.jpg stands there twice");
    put_bytes(labels, "mty1.jpg 2\n\0", 12);
    refused(HMT_DATASET_SCUT_FBP5500, "w", HMT_ERROR_FORMAT, "zero byte");
    put(labels, "mty1.jpg 2\nm\xE4\xC2\x9Bx.jpg 3\n"); /* Latin-1, and a terminal's command */
    refused(HMT_DATASET_SCUT_FBP5500, "w", HMT_ERROR_FORMAT, "All_labels.txt:2: m???x.jpg is");
    put(labels, "mty1.jpg 2\nmty2.jpg 3\n");
    put("w/train_test_files/split_of_60%training and 40%testing/train.txt", "mty9.jpg 2\n");
    refused(HMT_DATASET_SCUT_FBP5500, "w", HMT_ERROR_FORMAT,
            "train.txt:1: mty9.jpg is not among the labels");
    put("w/train_test_files/split_of_60%training and 40%testing/train.txt", "mty1.jpg 2\n");
    refused(HMT_DATASET_SCUT_FBP5500, "w", HMT_ERROR_NOT_FOUND, "test.txt");
}

static void scut_fbp_is_one_group(void)
{
    hmt_model_config config;
    hmt_dataset *set;

    put("f/ratings.csv",
        "image,score,standard_deviation\nSCUT-FBP-1.jpg,2.5,0.7\nSCUT-FBP-2.jpg,3,1\n");
    set = read_set(HMT_DATASET_SCUT_FBP, "f");
    CHECK(hmt_dataset_count(set) == 2 && sample_of(set, 1).score == 3.0f);
    CHECK(sample_of(set, 0).gender == 0 && sample_of(set, 0).race == 0);
    CHECK(strstr(sample_of(set, 0).path, "/f/SCUT-FBP-1.jpg") != NULL);
    hmt_dataset_free(set);
    put("f/Images/x", "");
    set = read_set(HMT_DATASET_SCUT_FBP, "f");
    CHECK(strstr(sample_of(set, 0).path, "/f/Images/SCUT-FBP-1.jpg") != NULL);
    hmt_model_config_init(&config);
    CHECK_STATUS(hmt_dataset_describe(set, NULL, 0, &config), HMT_OK);
    CHECK(config.gender_classes == 2 && config.race_classes == 2);
    hmt_dataset_free(set);
    put("f/ratings.csv", "image,score\nSCUT-FBP-1.jpg,2.5,0.7\n");
    refused(HMT_DATASET_SCUT_FBP, "f", HMT_ERROR_FORMAT, "ratings.csv:2: another number of cells");
    put("f/ratings.csv", "photo,score\nSCUT-FBP-1.jpg,2.5\n");
    refused(HMT_DATASET_SCUT_FBP, "f", HMT_ERROR_FORMAT, "no columns 'image' and 'score'");
}

static void mebeauty_in_three_layouts(void)
{
    size_t indices[8];
    hmt_dataset *set;

    put("m/train.csv", "path,gender,race,score\nfaces/female/asian/a.jpg,female,asian,3\n"
                       "faces/male/black/b.jpg,male,black,4\n");
    put("m/val.csv", "path,gender,race,score\nfaces/female/black/c.jpg,female,black,5\n");
    set = read_set(HMT_DATASET_MEBEAUTY, "m");
    CHECK(hmt_dataset_count(set) == 3 && hmt_dataset_split_count(set) == 1);
    CHECK(side(set, "validation", 0, indices, 8) == 2 &&
          side(set, "validation", 1, indices, 8) == 1);
    CHECK(indices[0] == 2 && sample_of(set, 2).gender == 0 && sample_of(set, 2).race == 1);
    hmt_dataset_free(set);
    put("m/scores/train_2022.txt", "/home/someone/set/images/male/indian/a.jpg 6.25\n"
                                   "\"/home/someone/set/images/male/black/b (1).jpg\" 4\n");
    put("m/scores/test_2022.txt", "/home/someone/set/images/female/black/c d.jpg 5\n");
    set = read_set(HMT_DATASET_MEBEAUTY, "m");
    CHECK(hmt_dataset_count(set) == 3 && side(set, "test", 1, indices, 8) == 1);
    CHECK(strstr(sample_of(set, 1).path, "/m/images/male/black/b (1).jpg") != NULL);
    CHECK(strcmp(sample_of(set, 2).name, "images/female/black/c d.jpg") == 0);
    CHECK(sample_of(set, 0).race == 1 && sample_of(set, 0).score == 6.25f);
    hmt_dataset_free(set);
    put("c/scores/train_crop.csv", "image,score\ncropped/female/asian/a.jpg,3.5\n");
    set = read_set(HMT_DATASET_MEBEAUTY, "c");
    CHECK(hmt_dataset_count(set) == 1 && hmt_dataset_split_count(set) == 0);
    CHECK(strstr(sample_of(set, 0).path, "/c/cropped/female/asian/a.jpg") != NULL);
    hmt_dataset_free(set);
    put("c/scores/train_crop.csv", "image,score\na.jpg,3.5\n");
    refused(HMT_DATASET_MEBEAUTY, "c", HMT_ERROR_FORMAT, "train_crop.csv:2: a.jpg does not end in");
    refused(HMT_DATASET_MEBEAUTY, "nothing", HMT_ERROR_NOT_FOUND, "train_crop.csv");
}

/* Whatever the bytes, a reader answers and frees what it took. */
static void hostile_tables_do_no_harm(void)
{
    static const char seed[] = "path,gender,race,score\n\"a \"\"b\"\"\",f,x,1\nb.jpg,m,y,2.5\n";
    static const char list[] = "mty1.jpg 2.5\n\"ftw2.jpg\" 3\nCM4.jpg 4\n";
    uint64_t state = 1;
    char text[200];

    for (int i = 0; i < 3000; ++i) {
        const bool csv = i % 2;
        size_t size = csv ? sizeof seed - 1 : sizeof list - 1;
        hmt_dataset *set = NULL;
        char path[600];

        memcpy(text, csv ? seed : list, size);
        for (int k = 0; k < 1 + i % 3; ++k) {
            static const char odd[] = {'"', ',', '\n', '\r', '\0', ' ', '\xFF', '9', 'e', '-'};

            state = state * 6364136223846793005u + 1442695040888963407u;
            text[(state >> 33) % size] = odd[(state >> 45) % sizeof odd];
        }
        size -= (state >> 50) % 5 == 0 ? (state >> 40) % size : 0;
        snprintf(path, sizeof path, "%s/%s", root, csv ? "h.csv" : "h");
        put_bytes(csv ? "h.csv" : "h/train_test_files/All_labels.txt", text, size);
        if (hmt_dataset_read(NULL, csv ? HMT_DATASET_CSV : HMT_DATASET_SCUT_FBP5500, path, NULL,
                             &set) == HMT_OK)
            for (size_t k = 0; k < hmt_dataset_count(set); ++k)
                CHECK(*sample_of(set, k).name != '\0');
        else
            CHECK(*hmt_last_error() != '\0');
        hmt_dataset_free(set);
    }
    CHECK(hmt_dataset_count(NULL) == 0);
    hmt_dataset_free(NULL);
}

/* The real lists, where they are. */
static void the_published_lists(const char *shared)
{
    char path[600];
    size_t *indices = malloc(6000 * sizeof *indices);
    hmt_dataset *set = NULL;

    snprintf(path, sizeof path, "%s/data/scut-fbp5500", shared);
    CHECK_STATUS(hmt_dataset_read(NULL, HMT_DATASET_SCUT_FBP5500, path, NULL, &set), HMT_OK);
    CHECK(hmt_dataset_count(set) == 5500 && hmt_dataset_split_count(set) == 5);
    for (int fold = 0; fold < 5; ++fold) {
        const char *name = hmt_dataset_split_name(set, (size_t)fold);

        CHECK(side(set, name, 0, indices, 6000) == 4400 &&
              side(set, name, 1, indices, 6000) == 1100);
    }
    hmt_dataset_free(set);
    snprintf(path, sizeof path, "%s/data/scut-fbp", shared);
    CHECK_STATUS(hmt_dataset_read(NULL, HMT_DATASET_SCUT_FBP, path, NULL, &set), HMT_OK);
    CHECK(hmt_dataset_count(set) == 500);
    hmt_dataset_free(set);
    snprintf(path, sizeof path, "%s/data/mebeauty", shared);
    CHECK_STATUS(hmt_dataset_read(NULL, HMT_DATASET_MEBEAUTY, path, NULL, &set), HMT_OK);
    CHECK(hmt_dataset_count(set) == 1869 && side(set, "validation", 1, indices, 6000) == 212);
    hmt_dataset_free(set);
    free(indices);
}

int main(void)
{
    make_root();
    a_table_with_gaps();
    random_folds_are_a_partition();
    scut_fbp5500_in_both_releases();
    what_is_wrong_in_scut_fbp5500_is_named();
    scut_fbp_is_one_group();
    mebeauty_in_three_layouts();
    hostile_tables_do_no_harm();
    if (test_shared() != NULL)
        the_published_lists(test_shared());
    else
        puts("the published lists: skipped, ../shared is not there");
    remove_root();
    return test_finish();
}
