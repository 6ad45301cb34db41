/*
 * hmtnet-transfer - how well another data set's scores follow from features.
 *
 * Ridge regression on what hmtnet-features wrote (paper, section 4.4, table 5): over repeated
 * random splits, the penalty chosen by cross-validation within the training part, Pearson's
 * correlation on the rest.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/cli.h"
#include "common/npy.h"
#include "common/output.h"
#include "common/progress.h"
#include "common/random.h"
#include "common/scores.h"
#include "transfer/ridge.h"

/* Penalties from 10^-5 to 10^3, three in a decade: features that are scaled as ridge.h says have
 * eigenvalues between 0 and the number of rows. */
enum { PENALTIES = 25, MOST_ROWS = 20000 };

static struct {
    const char *output;
    int64_t splits, folds, seed;
    double share;
    int quiet;
} settings = {.splits = 10, .folds = 5, .seed = 1, .share = 0.6};

static const cli_option options[] = {
    {"splits", 's', CLI_INTEGER, &settings.splits, "N", "random splits (default 10)", 1, 10000},
    {"train-share", 0, CLI_NUMBER, &settings.share, "X",
     "share of the photos in the training part (default 0.6)", 0.05, 0.95},
    {"folds", 'k', CLI_INTEGER, &settings.folds, "K",
     "folds of the cross-validation that chooses the\npenalty (default 5)", 2, 100},
    {"seed", 0, CLI_INTEGER, &settings.seed, "N", "of the splits (default 1)", 0, 1e15},
    {"output", 'o', CLI_TEXT, &settings.output, "FILE",
     "write the CSV here instead of standard output", 0, 0},
    {"quiet", 'q', CLI_FLAG, &settings.quiet, NULL, "show no progress", 0, 0},
    {0}};

static const cli_program program = {
    "hmtnet-transfer", "[OPTION]... FEATURES.npy TABLE.csv",
    "Learns scores from features by ridge regression and says how well that goes.\n"
    "FEATURES.npy has a row for each photo, and TABLE.csv too, in the same order, with the\n"
    "columns path and score; hmtnet-features writes both. Rows without a score are left out.",
    options,
    "Writes a CSV: for each split the photos in both parts, the penalty, Pearson's\n"
    "correlation (PC), MAE and RMSE on the test part; then their mean and deviation.\n"
    "Exit status: 0 done, 2 wrong usage or files, 3 the output could not be written,\n"
    "130 interrupted.\n\n"
    "Example: hmtnet-transfer --splits 20 faces.npy faces.csv"};

/* What a split came to. */
typedef struct result {
    size_t train, test;
    double penalty, pc, mae, rmse;
} result;

static void make_penalties(double penalties[PENALTIES])
{
    for (int l = 0; l < PENALTIES; l++)
        penalties[l] = pow(10.0, -5.0 + l / 3.0);
}

static result measure(const double *predicted, const ridge *problem, const size_t *test, size_t m)
{
    double mean_p = 0, mean_t = 0, pp = 0, tt = 0, pt = 0;
    result r = {.test = m};
    for (size_t i = 0; i < m; i++) {
        mean_p += predicted[i] / (double)m;
        mean_t += problem->targets[test[i]] / (double)m;
    }
    for (size_t i = 0; i < m; i++) {
        const double p = predicted[i] - mean_p, t = problem->targets[test[i]] - mean_t;
        const double error = predicted[i] - problem->targets[test[i]];
        pp += p * p;
        tt += t * t;
        pt += p * t;
        r.mae += fabs(error) / (double)m;
        r.rmse += error * error / (double)m;
    }
    r.rmse = sqrt(r.rmse);
    r.pc = pp > 0 && tt > 0 ? pt / sqrt(pp * tt) : (double)NAN; /* undefined without spread */
    return r;
}

/* The penalty with the least squared error over the folds of the training part, whose rows are in
 * random order already; -1 after a failure. */
static int choose_penalty(const ridge *problem, const size_t *train, size_t n,
                          const double penalties[PENALTIES])
{
    double errors[PENALTIES] = {0};
    size_t *rest = cli_allocate(n, sizeof *rest);
    double *predictions = cli_allocate(n * PENALTIES, sizeof *predictions);
    const size_t folds = (size_t)settings.folds;
    int best = 0;
    for (size_t fold = 0; best >= 0 && fold < folds; fold++) {
        const size_t first = n * fold / folds, end = n * (fold + 1) / folds, m = end - first;
        memcpy(rest, train, first * sizeof *rest);
        memcpy(rest + first, train + end, (n - end) * sizeof *rest);
        if (cli_interrupted() || !ridge_predict(problem, rest, n - m, train + first, m, penalties,
                                                PENALTIES, predictions))
            best = -1;
        for (size_t l = 0; best >= 0 && l < PENALTIES; l++)
            for (size_t i = 0; i < m; i++) {
                double error = predictions[l * m + i] - problem->targets[train[first + i]];
                errors[l] += error * error;
            }
    }
    for (int l = 1; best >= 0 && l < PENALTIES; l++)
        if (errors[l] < errors[best])
            best = l;
    free(rest);
    free(predictions);
    return best;
}

static bool run_split(ridge *problem, const size_t *order, result *out)
{
    double penalties[PENALTIES];
    const size_t n = (size_t)(settings.share * (double)problem->rows + 0.5);
    const size_t m = problem->rows - n;
    double *predictions = cli_allocate(m, sizeof *predictions);
    make_penalties(penalties);
    ridge_scale(problem, order, n);
    int best = choose_penalty(problem, order, n, penalties);
    bool good = best >= 0 &&
                ridge_predict(problem, order, n, order + n, m, &penalties[best], 1, predictions);
    if (good) {
        *out = measure(predictions, problem, order + n, m);
        out->train = n;
        out->penalty = penalties[best];
    }
    free(predictions);
    return good;
}

/* Mean and deviation (of the sample) of one column of the results, where it is defined. */
static void summary(const result *results, size_t count, size_t offset, double *mean,
                    double *deviation)
{
    size_t defined = 0;
    *mean = *deviation = 0.0;
    for (size_t i = 0; i < count; i++) {
        double value = *(const double *)((const char *)&results[i] + offset);
        *mean += isnan(value) ? 0.0 : value;
        defined += !isnan(value);
    }
    *mean = defined ? *mean / (double)defined : (double)NAN;
    for (size_t i = 0; i < count; i++) {
        double off = *(const double *)((const char *)&results[i] + offset) - *mean;
        *deviation += isnan(off) ? 0.0 : off * off;
    }
    *deviation = defined > 1   ? sqrt(*deviation / (double)(defined - 1))
                 : defined > 0 ? 0.0
                               : (double)NAN;
}

/* One cell behind a comma; "undefined" for a correlation of scores that are all equal. */
static void write_number(FILE *stream, double value)
{
    if (isnan(value))
        fputs(",undefined", stream);
    else
        fprintf(stream, ",%.4f", value);
}

static void write_numbers(FILE *stream, const double values[3])
{
    for (int c = 0; c < 3; c++)
        write_number(stream, values[c]);
    fputc('\n', stream);
}

static void write_results(FILE *stream, const result *results, size_t count)
{
    double mean[3], deviation[3];
    static const size_t columns[3] = {offsetof(result, pc), offsetof(result, mae),
                                      offsetof(result, rmse)};
    fputs("split,train,test,penalty,pc,mae,rmse\n", stream);
    for (size_t i = 0; i < count; i++) {
        const result *r = &results[i];
        fprintf(stream, "%zu,%zu,%zu,%.3g", i + 1, r->train, r->test, r->penalty);
        write_numbers(stream, (const double[]){r->pc, r->mae, r->rmse});
    }
    for (int c = 0; c < 3; c++)
        summary(results, count, columns[c], &mean[c], &deviation[c]);
    fputs("mean,,,", stream);
    write_numbers(stream, mean);
    fputs("deviation,,,", stream);
    write_numbers(stream, deviation);
}

/* Moves the rows with a score to the front. */
static bool keep_scored(npy_matrix *features, scores *table)
{
    size_t kept = 0;
    if (features->rows != table->count) {
        cli_error("there are %zu rows of features, but %zu rows in the table", features->rows,
                  table->count);
        return false;
    }
    for (size_t i = 0; i < features->rows; i++) {
        const float *row = features->values + i * features->columns;
        if (isnan(table->values[i]))
            continue;
        for (size_t k = 0; k < features->columns; k++)
            if (!isfinite(row[k])) {
                cli_error("the features of %s are not finite", table->paths[i]);
                return false;
            }
        memmove(features->values + kept * features->columns, row, features->columns * sizeof *row);
        table->values[kept++] = table->values[i];
    }
    features->rows = kept;
    const double train = settings.share * (double)kept;
    if (train < 2.0 * (double)settings.folds || (double)kept - train < 3.0) {
        cli_error("%zu photos with a score are too few", kept);
        return false;
    }
    if (kept > MOST_ROWS) {
        cli_error("%zu photos are too many: the matrix of their products would not fit", kept);
        return false;
    }
    return true;
}

static int run_all(const npy_matrix *features, const scores *table, output *out)
{
    ridge problem = {features->values,  table->values, features->rows,
                     features->columns, NULL,          false};
    const size_t count = (size_t)settings.splits;
    result *results = cli_allocate(count, sizeof *results);
    size_t *order = cli_allocate(problem.rows, sizeof *order);
    progress bar;
    int status = CLI_OK;
    progress_start(&bar, "learning", "splits", count, settings.quiet);
    for (size_t i = 0; status == CLI_OK && i < count; i++) {
        random_shuffle(order, problem.rows, random_mix((uint64_t)settings.seed, i));
        if (!run_split(&problem, order, &results[i]))
            status = cli_interrupted() ? CLI_INTERRUPTED : CLI_USAGE;
        progress_update(&bar, i + 1, NULL);
    }
    progress_finish(&bar);
    if (status == CLI_OK) {
        write_results(out->stream, results, count);
        status = output_commit(out) ? CLI_OK : CLI_OUTPUT;
    }
    ridge_free(&problem);
    free(results);
    free(order);
    return status;
}

int main(int argc, char **argv)
{
    int status;
    npy_matrix features = {0};
    scores table = {0};
    output out = {0};
    int first = cli_parse(&program, argc, argv, &status);
    if (first < 0)
        return cli_end(status);
    if (argc - first != 2) {
        cli_error("FEATURES.npy and TABLE.csv are needed; see --help");
        return CLI_USAGE;
    }
    cli_catch_signals();
    status = CLI_USAGE;
    if (npy_read(&features, argv[first]) && scores_read(&table, argv[first + 1], false) &&
        keep_scored(&features, &table))
        status = output_open(&out, settings.output) ? run_all(&features, &table, &out) : CLI_OUTPUT;
    output_discard(&out);
    npy_free(&features);
    scores_free(&table);
    return cli_end(status);
}
