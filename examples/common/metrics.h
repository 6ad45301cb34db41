/*
 * How well predictions fit labels: MAE, RMSE and Pearson correlation of scores, accuracies.
 *
 * Labels that are not known are left out of their figure only.
 */
#ifndef EXAMPLES_METRICS_H
#define EXAMPLES_METRICS_H

#include <stdint.h>

#include <hmtnet/hmtnet.h>

typedef struct metrics {
    uint64_t scored;
    double error, error2;                    /* sums of |e| and e^2 */
    double mean_p, mean_l, var_p, var_l, co; /* running moments of predictions and labels */
    uint64_t known[2], right[2];             /* gender, race */
} metrics;

/* gender and race negative, score NaN: not known. */
void metrics_add(metrics *sums, const hmt_prediction *prediction, int32_t gender, int32_t race,
                 float score);

/* NaN where there is nothing to say. */
double metrics_mae(const metrics *sums);
double metrics_rmse(const metrics *sums);
double metrics_pearson(const metrics *sums);
/* Share of right classes in percent; task is HMT_TASK_GENDER or HMT_TASK_RACE. */
double metrics_accuracy(const metrics *sums, hmt_task task);

#endif
