/*
 * Metrics of several runs: the mean and deviation of each figure. Reads what metrics.c measured,
 * nothing else.
 */
#include <hmtnet/data.h>
#include <math.h>
#include <stddef.h>

#include "api/options.h"
#include "core/float_mode.h"
#include "core/status.h"

/* The value of the figure that lies `offset` bytes into run `index`. */
static double value_of(const hmt_metrics *const *runs, size_t index, size_t offset)
{
    return ((const hmt_figure *)(const void *)((const char *)runs[index] + offset))->value;
}

static hmt_spread spread_of(const hmt_metrics *const *runs, size_t count, size_t offset)
{
    hmt_spread s = {0.0, 0.0, 0};

    for (size_t i = 0; i < count; ++i)
        if (!isnan(value_of(runs, i, offset))) {
            s.mean += value_of(runs, i, offset);
            ++s.count;
        }
    s.mean = s.count > 0 ? s.mean / (double)s.count : NAN;
    for (size_t i = 0; i < count; ++i) {
        const double off = value_of(runs, i, offset) - s.mean;

        if (!isnan(off))
            s.deviation += off * off;
    }
    s.deviation = s.count > 1 ? sqrt(s.deviation / (double)(s.count - 1)) : NAN;
    return s;
}

hmt_status hmt_metrics_summarise(const hmt_metrics *const *runs, size_t count,
                                 hmt_metrics_summary *summary)
{
    FLOAT_MODE_DEFAULT;
    const size_t needed = offsetof(hmt_metrics, confusion);
    hmt_metrics_summary s = {.struct_size = sizeof s};
    hmt_status status;

    status_clear();
    if (runs == NULL || count == 0)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_metrics_summarise: there are no runs");
    for (size_t i = 0; i < count; ++i)
        if (runs[i] == NULL || runs[i]->struct_size < needed)
            return status_fail(HMT_ERROR_ARGUMENT,
                               "hmt_metrics_summarise: run %zu is NULL or has no figures", i);
    status = options_check(summary, "hmt_metrics_summary");
    if (status != HMT_OK)
        return status;
    s.mae = spread_of(runs, count, offsetof(hmt_metrics, mae));
    s.rmse = spread_of(runs, count, offsetof(hmt_metrics, rmse));
    s.bias = spread_of(runs, count, offsetof(hmt_metrics, bias));
    s.pearson = spread_of(runs, count, offsetof(hmt_metrics, pearson));
    s.spearman = spread_of(runs, count, offsetof(hmt_metrics, spearman));
    for (int task = 0; task < 2; ++task)
        s.accuracy[task] = spread_of(
            runs, count, offsetof(hmt_metrics, accuracy) + (size_t)task * sizeof(hmt_figure));
    return options_give(summary, &s, sizeof s, "hmt_metrics_summary");
}
