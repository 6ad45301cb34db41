/*
 * Metrics of predictions, with percentile bootstrap intervals over faces (B. Efron, R. Tibshirani,
 * An Introduction to the Bootstrap, 1993, chapter 13).
 *
 * A resample is a count for each face, so every figure is a weighted sum; ranks come from one
 * sorting for all resamples.
 */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <hmtnet/data.h>

#include "api/context.h"
#include "api/options.h"
#include "core/float_mode.h"
#include "core/memory.h"
#include "core/random.h"
#include "core/status.h"

/* The figures in the order in which they are computed. */
enum { MAE, RMSE, BIAS, PEARSON, SPEARMAN, GENDER, RACE, FIGURES };
enum { MOST_RESAMPLES = 1000000 };

/* One side of the scores: the labels or the predictions. */
typedef struct side {
    double *value; /* (scored) */
    size_t *order; /* (scored) from the smallest value to the largest */
    double *rank;  /* (scored) in the present resample */
} side;

/* The faces that take part. */
typedef struct faces {
    const hmt_outcome *outcomes;
    size_t *chosen; /* (count) of the outcomes, those that have scores first */
    size_t count, scored;
    side label, predicted;
    uint32_t *weight; /* (count) how often each stands in the present resample */
    bool tasks[HMT_TASK_COUNT];
} faces;

/* A value with its place, to be sorted. */
typedef struct placed {
    double value;
    size_t place;
} placed;

static int by_value(const void *a, const void *b)
{
    const double x = ((const placed *)a)->value, y = ((const placed *)b)->value;

    return (x > y) - (x < y);
}

static bool in_group(const hmt_outcome *o, const hmt_metrics_options *options)
{
    return (options->gender < 0 || o->gender == options->gender) &&
           (options->race < 0 || o->race == options->race);
}

static bool is_scored(const hmt_outcome *o)
{
    return !isnan(o->score) && !isnan(o->predicted_score);
}

static hmt_status check(const hmt_outcome *outcomes, size_t count, const hmt_metrics_options *o)
{
    if (o->resamples < 0 || o->resamples > MOST_RESAMPLES)
        return status_fail(HMT_ERROR_ARGUMENT, "options: resamples is %d, not in 0..%d",
                           o->resamples, MOST_RESAMPLES);
    if (!(o->confidence > 0.0 && o->confidence < 1.0))
        return status_fail(HMT_ERROR_ARGUMENT, "options: confidence is %g, not in (0, 1)",
                           o->confidence);
    for (size_t i = 0; i < count; ++i) {
        const int32_t labels[] = {outcomes[i].gender, outcomes[i].race,
                                  outcomes[i].predicted_gender, outcomes[i].predicted_race};

        for (int k = 0; k < 4; ++k)
            if (labels[k] >= HMT_MAX_CLASSES)
                return status_fail(HMT_ERROR_ARGUMENT, "outcome %zu: no class has the number %d", i,
                                   labels[k]);
        if (isinf(outcomes[i].score) || isinf(outcomes[i].predicted_score))
            return status_fail(HMT_ERROR_ARGUMENT, "outcome %zu: a score is infinite", i);
    }
    return HMT_OK;
}

/* All arrays in one block. */
static hmt_status make_faces(const hmt_allocator *allocator, const hmt_outcome *outcomes,
                             size_t count, const hmt_metrics_options *o, faces *f, void **block)
{
    size_t all = 0, bare;
    hmt_status status;

    *f = (faces){.outcomes = outcomes};
    for (size_t i = 0; i < count; ++i) {
        f->count += in_group(&outcomes[i], o);
        f->scored += in_group(&outcomes[i], o) && is_scored(&outcomes[i]);
    }
    for (int task = 0; task < HMT_TASK_COUNT; ++task)
        f->tasks[task] = (o->tasks & (1u << task)) != 0;
    status =
        memory_zeroed(allocator, f->count + 1,
                      4 * sizeof(double) + 3 * sizeof(size_t) + sizeof(placed) + sizeof(uint32_t),
                      "metrics", block);
    if (status != HMT_OK)
        return status;
    f->label.value = (double *)*block + 2 * (f->count + 1); /* behind room for sorting */
    f->predicted.value = f->label.value + f->count;
    f->label.rank = f->predicted.value + f->count;
    f->predicted.rank = f->label.rank + f->count;
    f->chosen = (size_t *)(f->predicted.rank + f->count);
    f->label.order = f->chosen + f->count;
    f->predicted.order = f->label.order + f->count;
    f->weight = (uint32_t *)(f->predicted.order + f->count);
    bare = f->scored;
    for (size_t i = 0; i < count; ++i)
        if (in_group(&outcomes[i], o))
            f->chosen[is_scored(&outcomes[i]) ? all++ : bare++] = i;
    return HMT_OK;
}

static void sort_side(side *s, size_t count, placed *room)
{
    for (size_t i = 0; i < count; ++i)
        room[i] = (placed){s->value[i], i};
    qsort(room, count, sizeof *room, by_value);
    for (size_t i = 0; i < count; ++i)
        s->order[i] = room[i].place;
}

/* Ranks in the present resample; equal values share their mean rank. */
static void rank_side(side *s, size_t count, const uint32_t *weight)
{
    double before = 0.0;

    for (size_t i = 0, end; i < count; i = end) {
        double equal = 0.0;

        for (end = i; end < count && s->value[s->order[end]] == s->value[s->order[i]]; ++end)
            equal += weight[s->order[end]];
        for (size_t k = i; k < end; ++k)
            s->rank[s->order[k]] = before + (equal + 1.0) / 2.0;
        before += equal;
    }
}

/* The weighted correlation; not a number for fewer than two points or without any spread. */
static double correlation(const double *x, const double *y, const uint32_t *weight, size_t count)
{
    double n = 0.0, mx = 0.0, my = 0.0, xx = 0.0, yy = 0.0, xy = 0.0;

    for (size_t i = 0; i < count; ++i) {
        n += weight[i];
        mx += weight[i] * x[i];
        my += weight[i] * y[i];
    }
    if (!(n > 1.0))
        return NAN;
    mx /= n, my /= n;
    for (size_t i = 0; i < count; ++i) {
        xx += weight[i] * (x[i] - mx) * (x[i] - mx);
        yy += weight[i] * (y[i] - my) * (y[i] - my);
        xy += weight[i] * (x[i] - mx) * (y[i] - my);
    }
    /* Rounding leaves a trace of spread where there is none. */
    if (!(xx > 1e-24 * n * (1.0 + mx * mx) && yy > 1e-24 * n * (1.0 + my * my)))
        return NAN;
    return fmax(-1.0, fmin(1.0, xy / sqrt(xx * yy)));
}

static double accuracy(const faces *f, int task)
{
    double known = 0.0, right = 0.0;

    for (size_t i = 0; i < f->count; ++i) {
        const hmt_outcome *o = &f->outcomes[f->chosen[i]];
        int32_t label = task == HMT_TASK_GENDER ? o->gender : o->race;
        int32_t predicted = task == HMT_TASK_GENDER ? o->predicted_gender : o->predicted_race;

        if (label < 0 || predicted < 0)
            continue;
        known += f->weight[i];
        right += label == predicted ? f->weight[i] : 0.0;
    }
    return known > 0.0 ? right / known : NAN;
}

/* The figures of the present resample. */
static void compute(faces *f, double figures[FIGURES])
{
    double n = 0.0, absolute = 0.0, squared = 0.0, sum = 0.0;

    for (int i = 0; i < FIGURES; ++i)
        figures[i] = NAN;
    if (f->tasks[HMT_TASK_GENDER])
        figures[GENDER] = accuracy(f, HMT_TASK_GENDER);
    if (f->tasks[HMT_TASK_RACE])
        figures[RACE] = accuracy(f, HMT_TASK_RACE);
    if (!f->tasks[HMT_TASK_ATTRACTIVENESS])
        return;
    for (size_t i = 0; i < f->scored; ++i) {
        double e = f->predicted.value[i] - f->label.value[i];

        n += f->weight[i];
        absolute += f->weight[i] * fabs(e);
        squared += f->weight[i] * e * e;
        sum += f->weight[i] * e;
    }
    if (!(n > 0.0))
        return;
    figures[MAE] = absolute / n;
    figures[RMSE] = sqrt(squared / n);
    figures[BIAS] = sum / n;
    figures[PEARSON] = correlation(f->label.value, f->predicted.value, f->weight, f->scored);
    rank_side(&f->label, f->scored, f->weight);
    rank_side(&f->predicted, f->scored, f->weight);
    figures[SPEARMAN] = correlation(f->label.rank, f->predicted.rank, f->weight, f->scored);
}

static int by_number(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The value below which a share of the sorted ones lies, between two of them in proportion. */
static double quantile(const double *sorted, size_t count, double share)
{
    double at = share * (double)(count - 1);
    size_t low = (size_t)at, high = low + 1 < count ? low + 1 : low;

    return sorted[low] + (at - (double)low) * (sorted[high] - sorted[low]);
}

/* The interval of one figure over its resamples; none if half of them have no value. */
static void set_interval(double *values, size_t resamples, double confidence, hmt_figure *figure)
{
    size_t known = 0;

    for (size_t i = 0; i < resamples; ++i)
        if (!isnan(values[i]))
            values[known++] = values[i];
    figure->low = figure->high = NAN;
    if (2 * known < resamples || isnan(figure->value))
        return;
    qsort(values, known, sizeof *values, by_number);
    figure->low = quantile(values, known, (1.0 - confidence) / 2.0);
    figure->high = quantile(values, known, (1.0 + confidence) / 2.0);
}

static hmt_status bootstrap(const hmt_allocator *allocator, faces *f, const hmt_metrics_options *o,
                            hmt_figure *const figures[FIGURES])
{
    const size_t resamples = (size_t)o->resamples;
    double *values, one[FIGURES];
    void *block;
    hmt_status status;

    if (resamples == 0)
        return HMT_OK;
    for (size_t k = 0; k < FIGURES && f->count < 2; ++k) /* nothing to draw from */
        figures[k]->low = figures[k]->high = NAN;
    if (f->count < 2)
        return HMT_OK;
    status =
        memory_uninitialised(allocator, resamples, FIGURES * sizeof(double), "a bootstrap", &block);
    if (status != HMT_OK)
        return status;
    values = block;
    for (size_t r = 0; r < resamples; ++r) {
        const uint64_t draws = random_split(o->seed, r);

        memset(f->weight, 0, f->count * sizeof *f->weight);
        for (size_t i = 0; i < f->count; ++i)
            ++f->weight[random_bits(draws, i) % f->count];
        compute(f, one);
        for (size_t k = 0; k < FIGURES; ++k)
            values[k * resamples + r] = one[k];
    }
    for (size_t k = 0; k < FIGURES; ++k)
        set_interval(values + k * resamples, resamples, o->confidence, figures[k]);
    memory_free(allocator, values);
    return HMT_OK;
}

/* What is counted rather than estimated. */
static void count_faces(const faces *f, hmt_metrics *m)
{
    m->count = f->count;
    m->known[HMT_TASK_ATTRACTIVENESS] = f->tasks[HMT_TASK_ATTRACTIVENESS] ? f->scored : 0;
    for (size_t i = 0; i < f->count; ++i) {
        const hmt_outcome *o = &f->outcomes[f->chosen[i]];
        const int32_t label[2] = {o->gender, o->race};
        const int32_t predicted[2] = {o->predicted_gender, o->predicted_race};

        for (int task = 0; task < 2; ++task)
            if (f->tasks[task] && label[task] >= 0 && predicted[task] >= 0) {
                ++m->known[task];
                ++m->confusion[task][label[task]][predicted[task]];
            }
    }
}

hmt_status hmt_metrics_measure(const hmt_context *context, const hmt_outcome *outcomes,
                               size_t count, const hmt_metrics_options *options, hmt_metrics *out)
{
    FLOAT_MODE_DEFAULT;
    const hmt_allocator *allocator = context_allocator(context);
    hmt_metrics_options o = HMT_METRICS_OPTIONS_INIT;
    hmt_metrics m = {.struct_size = sizeof m};
    hmt_figure *const figures[FIGURES] = {&m.mae,      &m.rmse,        &m.bias,       &m.pearson,
                                          &m.spearman, &m.accuracy[0], &m.accuracy[1]};
    double values[FIGURES];
    void *block = NULL;
    faces f;
    hmt_status status;

    status_clear();
    if ((outcomes == NULL && count > 0) || out == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_metrics_measure: outcomes or metrics is NULL");
    status = options_check(out, "hmt_metrics");
    if (status == HMT_OK)
        status = options_copy(&o, sizeof o, options, "hmt_metrics_options");
    if (status == HMT_OK)
        status = check(outcomes, count, &o);
    if (status == HMT_OK)
        status = make_faces(allocator, outcomes, count, &o, &f, &block);
    if (status != HMT_OK)
        return status;
    for (size_t i = 0; i < f.scored; ++i) {
        f.label.value[i] = outcomes[f.chosen[i]].score;
        f.predicted.value[i] = outcomes[f.chosen[i]].predicted_score;
    }
    sort_side(&f.label, f.scored, block);
    sort_side(&f.predicted, f.scored, block);
    for (size_t i = 0; i < f.count; ++i)
        f.weight[i] = 1;
    compute(&f, values);
    for (int k = 0; k < FIGURES; ++k)
        *figures[k] = (hmt_figure){values[k], values[k], values[k]};
    count_faces(&f, &m);
    status = bootstrap(allocator, &f, &o, figures);
    memory_free(allocator, block);
    return status == HMT_OK ? options_give(out, &m, sizeof m, "hmt_metrics") : status;
}
