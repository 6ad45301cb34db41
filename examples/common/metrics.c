/*
 * Metrics over a stream of predictions (see metrics.h); moments by Welford's update.
 */
#include "metrics.h"

#include <math.h>

static void add_class(metrics *sums, int task, int32_t predicted, int32_t label)
{
    if (label < 0)
        return;
    sums->known[task]++;
    sums->right[task] += predicted == label;
}

void metrics_add(metrics *sums, const hmt_prediction *prediction, int32_t gender, int32_t race,
                 float score)
{
    add_class(sums, HMT_TASK_GENDER, prediction->gender.label, gender);
    add_class(sums, HMT_TASK_RACE, prediction->race.label, race);
    if (isnan(score))
        return;
    double e = (double)prediction->score - score, n = (double)++sums->scored;
    double from_p = prediction->score - sums->mean_p, from_l = score - sums->mean_l;
    sums->error += fabs(e);
    sums->error2 += e * e;
    sums->mean_p += from_p / n;
    sums->mean_l += from_l / n;
    sums->var_p += from_p * (prediction->score - sums->mean_p);
    sums->var_l += from_l * (score - sums->mean_l);
    sums->co += from_p * (score - sums->mean_l);
}

double metrics_mae(const metrics *sums)
{
    return sums->scored ? sums->error / (double)sums->scored : NAN;
}

double metrics_rmse(const metrics *sums)
{
    return sums->scored ? sqrt(sums->error2 / (double)sums->scored) : NAN;
}

double metrics_pearson(const metrics *sums)
{
    double scale = sqrt(sums->var_p * sums->var_l);
    return scale > 0 ? sums->co / scale : NAN;
}

double metrics_accuracy(const metrics *sums, hmt_task task)
{
    if (task > HMT_TASK_RACE || sums->known[task] == 0)
        return NAN;
    return 100.0 * (double)sums->right[task] / (double)sums->known[task];
}
