/* Section 4.4: features by hmtnet-features, ridge regression by hmtnet-transfer, and its result. */
#include "transfer.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/cli.h"
#include "common/csv.h"
#include "common/files.h"
#include "common/labels.h"
#include "common/output.h"
#include "siblings.h"

/* What is written into the folder. */
enum { RATINGS, ARRAY, TABLE, RESULT, FILES };
static const char *const names[FILES] = {"target-ratings.csv", "target-relu5.npy",
                                         "target-relu5.csv", "target-result.csv"};

/* The means and deviations that hmtnet-transfer wrote at the end of its table: PC, MAE, RMSE. */
static bool read_result(const char *path, hmt_spread spreads[3])
{
    char line[256];
    bool means = false, deviations = false;
    uint64_t splits = 0;
    FILE *from = fopen(path, "r");
    while (from && fgets(line, sizeof line, from)) {
        means = means || sscanf(line, "mean,,,,%lf,%lf,%lf", &spreads[0].mean, &spreads[1].mean,
                                &spreads[2].mean) == 3;
        deviations = deviations || sscanf(line, "deviation,,,,%lf,%lf,%lf", &spreads[0].deviation,
                                          &spreads[1].deviation, &spreads[2].deviation) == 3;
        splits += line[0] >= '0' && line[0] <= '9';
    }
    if (from)
        fclose(from);
    for (int i = 0; i < 3; i++)
        spreads[i].count = splits;
    return means && deviations;
}

/* The target's photos and scores as a table that hmtnet-features takes. Returns an exit status. */
static int write_target(const char *target, const char *path)
{
    output out = {0};
    hmt_dataset *set = labels_read(NULL, HMT_DATASET_SCUT_FBP, target, NULL);
    if (!set)
        return CLI_USAGE;
    bool good = output_open(&out, path);
    if (good)
        fputs("path,score\n", out.stream);
    for (size_t i = 0; good && i < hmt_dataset_count(set); i++) {
        hmt_sample sample = HMT_SAMPLE_INIT;
        hmt_dataset_sample(set, i, &sample);
        char *whole = realpath(sample.path, NULL); /* the table lies in another folder */
        csv_write(out.stream, whole ? whole : sample.path);
        fprintf(out.stream, ",%.9g\n", (double)sample.score);
        free(whole);
    }
    good = good && output_commit(&out);
    output_discard(&out);
    hmt_dataset_free(set);
    return good ? CLI_OK : CLI_OUTPUT;
}

static int learn(const char *model, char *const files[])
{
    const char *const features[] = {
        "--model",    model,     "--tap",      "relu5",   "--pool",       "flat", "--output",
        files[ARRAY], "--table", files[TABLE], "--quiet", files[RATINGS], NULL};
    const char *const ridge[] = {"--splits",   "5",        "--train-share", "0.8",
                                 "--quiet",    "--output", files[RESULT],   files[ARRAY],
                                 files[TABLE], NULL};
    int status = sibling_run("hmtnet-features", features);
    return status == CLI_OK ? sibling_run("hmtnet-transfer", ridge) : status;
}

int transfer_run(const char *model, const char *target, const char *folder, hmt_spread spreads[3])
{
    char *files[FILES];
    for (int i = 0; i < FILES; i++)
        files[i] = files_join(folder, names[i]);
    int status = write_target(target, files[RATINGS]);
    if (status == CLI_OK)
        status = learn(model, files);
    if (status == CLI_OK && !read_result(files[RESULT], spreads)) {
        cli_error("%s: has no means", files[RESULT]);
        status = CLI_USAGE;
    }
    for (int i = 0; i < FILES; i++)
        free(files[i]);
    return status;
}
