/* Learning-rate schedules: pure functions of the step (paper, section 4.2, for the step schedule).
 */
#include <math.h>

#include "api/options.h"
#include "core/float_mode.h"
#include "core/status.h"

static const double pi = 3.14159265358979323846;

/* From `high` to `low` along half a cosine, share in [0, 1]. */
static double cosine(double high, double low, double share)
{
    return low + 0.5 * (high - low) * (1.0 + cos(pi * share));
}

static hmt_status check(const hmt_schedule *s)
{
    if ((int)s->kind < HMT_SCHEDULE_CONSTANT || s->kind > HMT_SCHEDULE_ONE_CYCLE)
        return status_fail(HMT_ERROR_ARGUMENT, "schedule: no kind has the number %d", (int)s->kind);
    if (!(s->base >= 0.0) || !isfinite(s->base) || !(s->factor >= 0.0) || !isfinite(s->factor))
        return status_fail(HMT_ERROR_ARGUMENT,
                           "schedule: base %g or factor %g is not a number of at least 0", s->base,
                           s->factor);
    if (s->kind == HMT_SCHEDULE_STEP && s->period == 0)
        return status_fail(HMT_ERROR_ARGUMENT, "schedule: a step schedule needs a period");
    if ((s->kind == HMT_SCHEDULE_COSINE || s->kind == HMT_SCHEDULE_ONE_CYCLE) && s->total == 0)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "schedule: a cosine or one-cycle schedule needs a total");
    if (!(s->warmup >= 0.0 && s->warmup < 1.0))
        return status_fail(HMT_ERROR_ARGUMENT, "schedule: warmup is %g, not in [0, 1)", s->warmup);
    return HMT_OK;
}

/* How far the run is behind its warm-up, [0, 1]. */
static double run_share(const hmt_schedule *s, uint64_t step)
{
    uint64_t before = s->kind == HMT_SCHEDULE_ONE_CYCLE ? 0 : s->warmup_steps;

    return s->total > before + 1
               ? fmin(1.0, (double)(step - before) / (double)(s->total - 1 - before))
               : 1.0;
}

hmt_status hmt_schedule_rate(const hmt_schedule *schedule, uint64_t step, double *rate)
{
    FLOAT_MODE_DEFAULT;
    hmt_schedule s = HMT_SCHEDULE_INIT;
    double share, warmup;
    hmt_status status;

    status_clear();
    if (schedule == NULL || rate == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_schedule_rate: schedule or rate is NULL");
    status = options_copy(&s, sizeof s, schedule, "hmt_schedule");
    if (status == HMT_OK)
        status = check(&s);
    if (status != HMT_OK)
        return status;
    if (s.kind != HMT_SCHEDULE_ONE_CYCLE && step < s.warmup_steps) {
        *rate = s.base * (double)(step + 1) / (double)(s.warmup_steps + 1);
        return HMT_OK;
    }
    share = run_share(&s, step);
    warmup = s.warmup;
    if (s.kind == HMT_SCHEDULE_CONSTANT)
        *rate = s.base;
    else if (s.kind == HMT_SCHEDULE_STEP)
        *rate = s.base * pow(s.factor, (double)(step / s.period));
    else if (s.kind == HMT_SCHEDULE_COSINE)
        *rate = cosine(s.base, s.base * s.factor, share);
    else if (share < warmup)
        *rate = cosine(s.base / 25.0, s.base, share / warmup);
    else
        *rate = cosine(s.base, s.base * s.factor, (share - warmup) / (1.0 - warmup));
    return HMT_OK;
}
