/*
 * The paper's experiments as data: which tables there are, what each row trains and measures, and
 * the figures that were published for it.
 *
 * Published figures are those of the authors' own repository (github.com/lucasxlu/HMTNet: README at
 * commit b66d92d, for table 5 the comment that its history has in main/cd.py). What is not there is
 * NaN and printed as not available.
 */
#ifndef EXAMPLES_EXPERIMENTS_H
#define EXAMPLES_EXPERIMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include <hmtnet/data.h>

/* The figures of a row, in this order. */
enum { FIGURE_MAE, FIGURE_RMSE, FIGURE_PEARSON, FIGURE_GENDER, FIGURE_RACE, FIGURE_COUNT };
extern const char *const figure_names[FIGURE_COUNT];

/* How a network is trained. Rows with the same training share its runs. */
typedef struct training_plan {
    const char *key; /* names its files */
    double alpha[HMT_TASK_COUNT];
    hmt_loss loss;
    hmt_aggregator aggregator;
} training_plan;

/* A row of a table. */
typedef struct experiment {
    const char *name;
    const training_plan
        *plan; /* NULL: a network that is not built here, or a remark of the paper */
    bool five_crops;
    double published[FIGURE_COUNT], folds[FIGURE_COUNT]; /* on the 60/40 split, over five folds */
} experiment;

typedef struct experiment_table {
    const char *id; /* as --table names it */
    const char *title;
    const experiment *rows;
    size_t count;
} experiment_table;

extern const experiment_table experiment_tables[];
extern const size_t experiment_table_count;

/* The paper's network and recipe, which the figures and table 5 start from. */
extern const training_plan experiment_joint;

/* Table 5: Pearson's correlation on SCUT-FBP from features, over five folds, and their mean. */
extern const double experiment_transfer[5];

#endif
