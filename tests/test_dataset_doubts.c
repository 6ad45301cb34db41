/* tier: quick */
/* Data sets as people and their programs write them: no label becomes a class that nobody meant, no
 * table's form is misread, and whatever is doubtful is said in a warning that names its place. */
#include <math.h>

#include "dataset_files.h"

/* Whether one of the warnings has all of the text. */
static bool warned(const hmt_dataset *set, const char *text)
{
    for (size_t i = 0; hmt_dataset_warning(set, i) != NULL; ++i)
        if (strstr(hmt_dataset_warning(set, i), text) != NULL)
            return true;
    for (size_t i = 0; hmt_dataset_warning(set, i) != NULL; ++i)
        printf("    warned: %s\n", hmt_dataset_warning(set, i));
    return false;
}

static size_t warnings(const hmt_dataset *set)
{
    size_t count = 0;

    while (hmt_dataset_warning(set, count) != NULL)
        ++count;
    return count;
}

/* The classes of a data set, with commas between them. */
static const char *classes(const hmt_dataset *set, int task)
{
    static char text[2][HMT_MAX_CLASSES * HMT_MAX_LABEL];
    hmt_model_config config;

    hmt_model_config_init(&config);
    CHECK_STATUS(hmt_dataset_describe(set, NULL, 0, &config), HMT_OK);
    text[task][0] = '\0';
    for (int i = 0; i < (task == 0 ? config.gender_classes : config.race_classes); ++i) {
        strcat(text[task], i > 0 ? "," : "");
        strcat(text[task], task == 0 ? config.gender_labels[i] : config.race_labels[i]);
    }
    return text[task];
}

static void a_table_of_any_form_is_the_same_table(void)
{
    static const char *const forms[] = {
        "path,gender,race,score\na.jpg,f,x,1.5\nb.jpg,m,y,2\n",
        "path;gender;race;score\na.jpg;f;x;1.5\nb.jpg;m;y;2\n",
        "path;gender;race;score\r\na.jpg;f;x;1,5\r\nb.jpg;m;y;2\r\n",
        "path\tgender\trace\tscore\na.jpg\tf\tx\t1.5\nb.jpg\tm\ty\t2\n",
        "path, gender, race, score\na.jpg, f, x, 1.5\nb.jpg, m, y, 2\n",
        "Path,GENDER, Race ,Score\na.jpg,f ,x,1.5\nb.jpg,m, y, 2 \n",
        "\xEF\xBB\xBFPath,Gender,Race,Score\r\na.jpg,f,x,1.5\r\n,,,\r\nb.jpg,m,y,2\r\n,,,\r\n, "
        ",\t,\r\n",
        "path,gender,race,score,\"a\nnote\"\na.jpg,f,x,1.5,\"two\nlines, and a \"\"quote\"\"\"\n"
        "b.jpg,m,y,2,\n,,,,\n"};

    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; ++i) {
        hmt_dataset *set;

        put("form.csv", forms[i]);
        set = read_set(HMT_DATASET_CSV, "form.csv");
        CHECK(hmt_dataset_count(set) == 2 && warnings(set) == 0);
        if (hmt_dataset_count(set) == 2) {
            hmt_sample a = sample_of(set, 0), b = sample_of(set, 1);

            CHECK(strcmp(a.name, "a.jpg") == 0 && strcmp(b.name, "b.jpg") == 0);
            CHECK(a.gender == 0 && a.race == 0 && a.score == 1.5f);
            CHECK(b.gender == 1 && b.race == 1 && b.score == 2.0f);
        }
        hmt_dataset_free(set);
    }
}

static void what_is_no_table_is_refused(void)
{
    put("n.csv", "path,score\na.jpg,1,5\n");
    refused(HMT_DATASET_CSV, "n.csv", HMT_ERROR_FORMAT, "n.csv:2: 3 cells where the first row");
    put("n.csv", "path,score\n,,\n,\n");
    refused(HMT_DATASET_CSV, "n.csv", HMT_ERROR_FORMAT, "the table has no row");
    put("n.csv", "path,Path,score\na.jpg,b.jpg,1\n");
    refused(HMT_DATASET_CSV, "n.csv", HMT_ERROR_FORMAT, "two columns are called 'path'");
    put("n.csv", "path,gender\na.jpg,f\nb.jpg,\"m\n\"\n");
    refused(HMT_DATASET_CSV, "n.csv", HMT_ERROR_FORMAT, "n.csv:3: a class name of gender with a");
    put("n.csv", "path,score\na.jpg,1e999\n");
    refused(HMT_DATASET_CSV, "n.csv", HMT_ERROR_FORMAT, "n.csv:2: the score is not a finite");
    put_bytes("n.csv", "\xFF\xFEp\0a\0t\0h\0", 10);
    refused(HMT_DATASET_CSV, "n.csv", HMT_ERROR_FORMAT, "a zero byte");
}

static void words_for_nothing_are_no_classes(void)
{
    hmt_dataset *set;

    put("w.csv", "path,gender,race,score\na.jpg,f,x,1\nb.jpg,NaN,N/A,NaN\nc.jpg,m,null,2\n"
                 "d.jpg,NaN,y,\ne.jpg,None,#N/A,nan\n");
    set = read_set(HMT_DATASET_CSV, "w.csv");
    CHECK(strcmp(classes(set, 0), "f,m") == 0 && strcmp(classes(set, 1), "x,y") == 0);
    CHECK(sample_of(set, 1).gender == -1 && sample_of(set, 1).race == -1);
    CHECK(isnan(sample_of(set, 1).score) && isnan(sample_of(set, 4).score));
    CHECK(warned(set, "w.csv:3: 'NaN' is taken for a gender that is not known") &&
          warned(set, "(2 rows)"));
    CHECK(warned(set, "w.csv:3: 'N/A' is taken for a race") && warned(set, "w.csv:4: 'null'"));
    CHECK(warned(set, "w.csv:3: 'NaN' is taken for a score") && warned(set, "w.csv:6: 'None'"));
    hmt_dataset_free(set);
}

static void spellings_of_a_class_are_one_class(void)
{
    hmt_dataset_options fixed = HMT_DATASET_OPTIONS_INIT;
    hmt_model_config config;
    hmt_dataset *set, *again = NULL;
    const char *path;

    put("s.csv", "path,gender,race\na.jpg,female,mideastern\nb.jpg,Female,mideasten\n"
                 "c.jpg,male ,asian\nd.jpg,FEMALE,asian\ne.jpg,Female,asian\n");
    set = read_set(HMT_DATASET_CSV, "s.csv");
    CHECK(strcmp(classes(set, 0), "female,male") == 0);
    CHECK(sample_of(set, 1).gender == 0 && sample_of(set, 2).gender == 1);
    CHECK(warned(set, "s.csv:3: the gender 'Female' is taken for 'female' (2 rows)"));
    CHECK(warned(set, "s.csv:5: the gender 'FEMALE' is taken for 'female'"));
    CHECK(strcmp(classes(set, 1), "asian,mideasten,mideastern") == 0);
    CHECK(warned(set, "two classes of race differ by a typo: 'mideastern' and 'mideasten'"));
    hmt_dataset_free(set);

    hmt_model_config_init(&config);
    snprintf(config.gender_labels[0], HMT_MAX_LABEL, "Female");
    snprintf(config.gender_labels[1], HMT_MAX_LABEL, "Male");
    config.race_classes = 2;
    snprintf(config.race_labels[0], HMT_MAX_LABEL, "asian");
    snprintf(config.race_labels[1], HMT_MAX_LABEL, "mideastern");
    fixed.classes = &config;
    path = put("s.csv", "path,gender,race\na.jpg,female,asian\nb.jpg,male,mideastern\n");
    CHECK_STATUS(hmt_dataset_read(NULL, HMT_DATASET_CSV, path, &fixed, &again), HMT_OK);
    CHECK(sample_of(again, 1).gender == 1 && warned(again, "'male' is taken for 'Male'"));
    hmt_dataset_free(again);
    again = NULL;
    path = put("s.csv", "path,gender,race\na.jpg,Female,asian\nb.jpg,Male,mideasten\n");
    CHECK_STATUS(hmt_dataset_read(NULL, HMT_DATASET_CSV, path, &fixed, &again), HMT_ERROR_FORMAT);
    CHECK(strstr(hmt_last_error(), "s.csv:3: 'mideasten' is not one of the 2 classes of race; is "
                                   "'mideastern' meant?") != NULL);
}

static void rows_that_contradict_each_other_are_named(void)
{
    char text[4000] = "path,gender,scores\n";
    hmt_dataset *set;

    put("d.csv", "path,gender,score\na.jpg,f,1\nb.jpg,m,2\na.jpg,m,1\nb.jpg,m,2\nb.jpg,,\n"
                 "c.jpg,f,3\nc.jpg,f,4\n");
    set = read_set(HMT_DATASET_CSV, "d.csv");
    CHECK(hmt_dataset_count(set) == 7 && warnings(set) == 3);
    CHECK(warned(set, "d.csv:4: a.jpg is m, 1 here, but f, 1 in "));
    CHECK(warned(set, "d.csv:8: c.jpg is f, 4 here, but f, 3 in "));
    CHECK(warned(set, "2 rows are of photos that stand there already"));
    hmt_dataset_free(set);
    for (int i = 0; i < 60; ++i)
        snprintf(text + strlen(text), 20, "%d.jpg,%s,1\n", i / 2, i % 2 ? "f" : "m");
    put("d.csv", text);
    set = read_set(HMT_DATASET_CSV, "d.csv");
    CHECK(warned(set, "22 more photos have labels that contradict"));
    CHECK(warned(set, "d.csv:1: the column 'scores' is ignored; is 'score' meant?"));
    CHECK(warnings(set) == 10);
    hmt_dataset_free(set);
}

/* However many kinds of doubt there are, there are 32 warnings, and the last one says so. */
static void warnings_are_bounded(void)
{
    char text[4000] = "path,gender\n0.jpg,femininely\n";
    hmt_dataset *set;

    for (int i = 0; i < 200; ++i) {
        char name[] = "femininely";

        for (int bit = 0; bit < 8; ++bit)
            if ((i + 1) >> bit & 1)
                name[bit] = (char)(name[bit] - 32);
        snprintf(text + strlen(text), 30, "%d.jpg,%s\n", i + 1, name);
    }
    strcat(text, "m.jpg,m\n");
    put("b.csv", text);
    set = read_set(HMT_DATASET_CSV, "b.csv");
    CHECK(warnings(set) == 32 && warned(set, "and 169 more that are not listed"));
    CHECK(hmt_dataset_warning(NULL, 0) == NULL);
    hmt_dataset_free(set);
}

static void paths_and_scores_alone(void)
{
    hmt_dataset_options o = HMT_DATASET_OPTIONS_INIT;
    hmt_dataset *set = NULL;

    o.scores_only = 1;
    CHECK_STATUS(hmt_dataset_read(NULL, HMT_DATASET_CSV,
                                  put("o.csv", "path,gender\na.jpg,f\nb.jpg,f\n"), &o, &set),
                 HMT_OK);
    CHECK(hmt_dataset_count(set) == 2 && sample_of(set, 0).gender == -1);
    CHECK(isnan(sample_of(set, 1).score));
    hmt_dataset_free(set);
    put("o.csv", "path,score\na.jpg,1\nb.jpg,2\n");
    set = read_set(HMT_DATASET_CSV, "o.csv");
    CHECK(sample_of(set, 1).gender == -1 && sample_of(set, 1).score == 2.0f);
    hmt_dataset_free(set);
}

static void lists_of_any_form(void)
{
    hmt_dataset *set;

    put("l/train_test_files/All_labels.txt", "\xEF\xBB\xBFmty1.jpg 2\r\nftw2.jpg\t3\r\n\r\n");
    set = read_set(HMT_DATASET_SCUT_FBP5500, "l");
    CHECK(hmt_dataset_count(set) == 2 && strcmp(sample_of(set, 0).name, "mty1.jpg") == 0);
    hmt_dataset_free(set);
    put("l/ratings.csv", "\xEF\xBB\xBFImage; Score\r\nSCUT-FBP-1.jpg; 2.5\r\n;\r\n");
    set = read_set(HMT_DATASET_SCUT_FBP, "l");
    CHECK(hmt_dataset_count(set) == 1 && sample_of(set, 0).score == 2.5f);
    hmt_dataset_free(set);
}

/* A clone as it is published: three generations of lists, photos under other names than the lists
 * have, crops that are absent. */
static void mebeauty_prefers_its_newest_lists(void)
{
    size_t indices[8];
    hmt_dataset *set;

    put("m/scores/train_crop.csv",
        "image,score\ncropped_images/images_crop_align_mtcnn/female/asian/a.jpg,1\n"
        "cropped_images/images_crop_align_mtcnn/male/black/b.jpg,1\n");
    put("m/scores/train.txt",
        "/home/x/crop/female/asian/a.jpg 2\n/home/x/crop/male/black/b.jpg 2\n");
    put("m/scores/val.txt",
        "/home/x/clone/cropped_images/images_crop_align_mtcnn/male/mideasten/c.jpg 2\n"
        "/home/x/crop/male/mideastern/d.jpg 2\n/home/x/crop/male/asian/a.jpg 2\n");
    put("m/cropped_images/images_crop_align_mtcnn/female/asian/a.jpg", "");
    set = read_set(HMT_DATASET_MEBEAUTY, "m"); /* without the newest */
    CHECK(hmt_dataset_count(set) == 4 && sample_of(set, 0).score == 2.0f);
    CHECK(strstr(sample_of(set, 0).path,
                 "/m/cropped_images/images_crop_align_mtcnn/female/asian/a.jpg") != NULL);
    CHECK(warned(set, "scores/train.txt and its like are taken; older ones are not: "
                      "scores/train_crop.csv"));
    CHECK(warned(set, "two classes of race differ by a typo: 'mideasten' and 'mideastern'"));
    CHECK(warned(set, "/a.jpg is male, asian, 2 here, but female, asian, 2 in "));
    CHECK(warned(set, "val.txt: none of its 3 photos are there, such as "));
    hmt_dataset_free(set);

    put("m/scores/train_2022.txt",
        "/home/x/ME-beautydatabase/images/female/asian/a.jpg 3\n"
        "./cropped_images/images_crop_align_mtcnn/female/asian/a.jpg 3\n"
        "/home/x/ME-beautydatabase/images/male/indian/e.jpg 3\n"
        "./cropped_images/images_crop_align_mtcnn/male/indian/f.jpg 3\n");
    put("m/scores/test_2022.txt",
        "\"./cropped_images/images_crop_align_mtcnn/male/black/b (1).jpg\" 4\n");
    put("m/cropped_images/images_crop_align_mtcnn/male/black/b (1).jpg", "");
    put("m/original_images/female/asian/a.jpg", "");
    set = read_set(HMT_DATASET_MEBEAUTY, "m");
    CHECK(hmt_dataset_count(set) == 3 && side(set, "test", 1, indices, 8) == 1);
    CHECK(side(set, "test", 0, indices, 8) == 2 && indices[1] == 1);
    CHECK(strstr(sample_of(set, 0).path, "/m/original_images/female/asian/a.jpg") != NULL);
    CHECK(sample_of(set, 1).score == 3.0f && sample_of(set, 2).line == 1);
    CHECK(warned(set, "scores/train_2022.txt and its like are taken; older ones are not: "
                      "scores/train.txt, scores/train_crop.csv"));
    CHECK(warned(set, "train_2022.txt: 2 of its 4 photos are absent and left out, 2 of them of "
                      "male, indian; such as "));
    hmt_dataset_free(set);
}

/* The tables that were misread, where they are: all are the first one, in other forms. */
static void the_shared_tables(const char *shared)
{
    static const char *const names[] = {"ok",        "header_spaces",       "label_trailing_space",
                                        "semicolon", "trailing_empty_rows", "mixed_case_labels",
                                        "NaN_gender"};
    hmt_dataset *first = NULL;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i) {
        hmt_dataset *set = NULL;
        char path[600];

        snprintf(path, sizeof path, "%s/inputs/csv/%s.csv", shared, names[i]);
        CHECK_STATUS(hmt_dataset_read(NULL, HMT_DATASET_CSV, path, NULL, &set), HMT_OK);
        first = i == 0 ? set : first;
        CHECK(strcmp(classes(set, 0), "female,male") == 0);
        CHECK(warnings(set) == (i == 5 ? 2 : i == 6 ? 1 : 0));
        CHECK(hmt_dataset_count(set) == hmt_dataset_count(first));
        for (size_t k = 0; k < hmt_dataset_count(set); ++k) {
            hmt_sample a = sample_of(first, k), b = sample_of(set, k);

            CHECK(strcmp(a.name, b.name) == 0 && a.race == b.race && a.score == b.score);
            CHECK(a.gender == b.gender || (i == 6 && k == 3 && b.gender == -1));
        }
        if (i > 0)
            hmt_dataset_free(set);
    }
    hmt_dataset_free(first);
}

int main(void)
{
    make_root();
    a_table_of_any_form_is_the_same_table();
    what_is_no_table_is_refused();
    words_for_nothing_are_no_classes();
    spellings_of_a_class_are_one_class();
    rows_that_contradict_each_other_are_named();
    warnings_are_bounded();
    paths_and_scores_alone();
    lists_of_any_form();
    mebeauty_prefers_its_newest_lists();
    if (test_shared() != NULL)
        the_shared_tables(test_shared());
    else
        puts("the shared tables: skipped, ../shared is not there");
    remove_root();
    return test_finish();
}
