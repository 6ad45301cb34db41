/* tier: quick */
/* Metrics: values that other programs give, what is undefined, groups, and intervals that behave as
 * intervals should. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <hmtnet/data.h>

#include "check.h"

enum { MANY = 400 };

static hmt_outcome outcome(float label, float predicted)
{
    return (hmt_outcome){-1, -1, label, -1, -1, predicted};
}

static hmt_metrics measure(const hmt_outcome *outcomes, size_t count, const hmt_metrics_options *o)
{
    static hmt_metrics m;

    memset(&m, 0, sizeof m);
    m.struct_size = sizeof m;
    CHECK_STATUS(hmt_metrics_measure(NULL, outcomes, count, o, &m), HMT_OK);
    return m;
}

static bool near(double a, double b)
{
    return fabs(a - b) < 1e-12;
}

/* The expected numbers are NumPy's and SciPy's. */
static void values_are_those_of_others(void)
{
    static const float labels[] = {2.5f, 3, 3, 4.25f, 1, 5, 4.25f, 2.5f, 3.5f, 4.25f};
    static const float predicted[] = {2.25f, 3.5f, 3.5f, 3.75f, 1.75f, 4, 4.5f, 2.25f, 3, 4.75f};
    hmt_outcome outcomes[12];
    hmt_metrics m;

    for (int i = 0; i < 10; ++i)
        outcomes[i + 1] = outcome(labels[i], predicted[i]);
    outcomes[0] = outcome(NAN, 3.0f); /* counts nothing */
    outcomes[11] = outcome(3.0f, NAN);
    m = measure(outcomes, 12, NULL);
    CHECK(m.count == 12 && m.known[HMT_TASK_ATTRACTIVENESS] == 10);
    CHECK(near(m.mae.value, 0.5) && near(m.rmse.value, 0.5477225575051661));
    CHECK(near(m.bias.value, 0.0) && near(m.pearson.value, 0.8706396559638266));
    CHECK(near(m.spearman.value, 0.9006906157452222)); /* with ties */
    CHECK(m.mae.low == m.mae.value && m.mae.high == m.mae.value);
    CHECK(isnan(m.accuracy[0].value) && m.known[0] == 0);
}

static void classes_are_counted(void)
{
    static const int32_t rows[6][4] = {{0, 2, 0, 2},  {0, 1, 1, 1},  {1, 1, 1, 2},
                                       {1, -1, 1, 0}, {-1, 0, 0, 0}, {1, 2, -1, 2}};
    hmt_metrics_options o = HMT_METRICS_OPTIONS_INIT;
    hmt_outcome outcomes[6];
    hmt_metrics m;

    for (int i = 0; i < 6; ++i)
        outcomes[i] = (hmt_outcome){rows[i][0], rows[i][1], 1.0f, rows[i][2], rows[i][3], (float)i};
    m = measure(outcomes, 6, NULL);
    CHECK(m.known[HMT_TASK_GENDER] == 4 && near(m.accuracy[0].value, 0.75));
    CHECK(m.known[HMT_TASK_RACE] == 5 && near(m.accuracy[1].value, 0.8));
    CHECK(m.confusion[0][0][0] == 1 && m.confusion[0][0][1] == 1 && m.confusion[0][1][1] == 2);
    CHECK(m.confusion[1][1][2] == 1 && m.confusion[1][2][2] == 2 && m.confusion[1][0][0] == 1);
    o.gender = 1;
    m = measure(outcomes, 6, &o);
    CHECK(m.count == 3 && m.known[HMT_TASK_GENDER] == 2 && near(m.bias.value, 7.0 / 3.0));
    o.race = 2;
    m = measure(outcomes, 6, &o);
    CHECK(m.count == 1 && m.known[HMT_TASK_GENDER] == 0 && m.known[HMT_TASK_RACE] == 1);
    o = (hmt_metrics_options)HMT_METRICS_OPTIONS_INIT;
    o.tasks = HMT_TASKS_RACE;
    m = measure(outcomes, 6, &o);
    CHECK(isnan(m.mae.value) && isnan(m.accuracy[0].value) && near(m.accuracy[1].value, 0.8));
}

static void what_is_undefined_is_not_a_number(void)
{
    hmt_outcome outcomes[3] = {outcome(1, 2), outcome(2, 2), outcome(3, 2)};
    hmt_metrics_options o = HMT_METRICS_OPTIONS_INIT;
    hmt_metrics m = measure(NULL, 0, NULL);

    CHECK(m.count == 0 && isnan(m.mae.value) && isnan(m.pearson.value));
    m = measure(outcomes, 1, NULL);
    CHECK(near(m.mae.value, 1.0) && isnan(m.pearson.value) && isnan(m.spearman.value));
    o.resamples = 50;
    m = measure(outcomes, 3, &o); /* constant predictions */
    CHECK(near(m.bias.value, 0.0) && isnan(m.pearson.value) && isnan(m.pearson.low));
    CHECK(m.mae.low <= m.mae.value && m.mae.high >= m.mae.value);
    m = measure(outcomes, 1, &o); /* one face has a value and no interval */
    CHECK(near(m.mae.value, 1.0) && isnan(m.mae.low) && isnan(m.mae.high));
    o.gender = 1;
    m = measure(outcomes, 3, &o); /* nobody */
    CHECK(m.count == 0 && isnan(m.mae.low));
}

/* A normal number, good enough here: a sum of uniform ones. */
static float noise(uint64_t *state)
{
    double sum = -6.0;

    for (int i = 0; i < 12; ++i) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        sum += (double)(*state >> 40) / 16777216.0;
    }
    return (float)sum;
}

/* In most of many samples the interval holds the truth, and the more faces the narrower it is. */
static void intervals_cover_the_truth(void)
{
    hmt_metrics_options o = HMT_METRICS_OPTIONS_INIT;
    static hmt_outcome outcomes[MANY];
    int covered = 0, correlated = 0;
    double width = 0.0, narrow, below = 0.0, above = 0.0;
    uint64_t state = 3;

    o.resamples = 200;
    o.confidence = 0.9;
    for (int sample = 0; sample < 100; ++sample) {
        hmt_metrics m;

        for (int i = 0; i < 60; ++i) {
            float label = noise(&state);

            outcomes[i] = outcome(label, 0.25f + 0.6f * label + 0.8f * noise(&state));
        }
        o.seed = (uint64_t)sample;
        m = measure(outcomes, 60, &o);
        covered += m.bias.low <= 0.25 && 0.25 <= m.bias.high;
        correlated += m.pearson.low <= 0.6 && 0.6 <= m.pearson.high; /* 0.6 / sqrt(0.36 + 0.64) */
        width = m.bias.high - m.bias.low;
        below += m.bias.value - m.bias.low;
        above += m.bias.high - m.bias.value;
    }
    CHECK(covered >= 80 && covered <= 97);
    CHECK(below > 0.93 * above && above > 0.93 * below); /* both tails alike */
    CHECK(correlated >= 78 && correlated <= 98);
    for (int i = 0; i < MANY; ++i) {
        float label = noise(&state);

        outcomes[i] = outcome(label, 0.25f + 0.6f * label + 0.8f * noise(&state));
    }
    narrow = measure(outcomes, MANY, &o).bias.high - measure(outcomes, MANY, &o).bias.low;
    CHECK(narrow < 0.6 * width);
}

static void the_seed_decides_the_intervals(void)
{
    static hmt_outcome outcomes[50];
    hmt_metrics_options o = HMT_METRICS_OPTIONS_INIT;
    uint64_t state = 9;
    hmt_metrics a, b;

    for (int i = 0; i < 50; ++i)
        outcomes[i] = outcome(noise(&state), noise(&state));
    o.resamples = 100;
    a = measure(outcomes, 50, &o);
    b = measure(outcomes, 50, &o);
    CHECK(memcmp(&a.spearman, &b.spearman, sizeof a.spearman) == 0 && a.rmse.low == b.rmse.low);
    CHECK(a.spearman.low < a.spearman.value && a.spearman.value < a.spearman.high);
    o.seed = 2;
    b = measure(outcomes, 50, &o);
    CHECK(a.rmse.low != b.rmse.low && a.rmse.value == b.rmse.value);
}

static void *refuse(void *user, size_t size, size_t alignment)
{
    int *left = user;

    (void)alignment;
    return (*left)-- > 0 ? malloc(size) : NULL;
}

static void give_back(void *user, void *pointer)
{
    (void)user;
    free(pointer);
}

static void wrong_input_is_refused(void)
{
    hmt_outcome outcomes[2] = {outcome(1, 2), outcome(2, 2)};
    hmt_metrics_options o = HMT_METRICS_OPTIONS_INIT;
    hmt_context_options about = HMT_CONTEXT_OPTIONS_INIT;
    hmt_metrics m = {.struct_size = sizeof m};
    hmt_context *context = NULL;
    int left = 1000;

    CHECK_STATUS(hmt_metrics_measure(NULL, NULL, 1, NULL, &m), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_metrics_measure(NULL, outcomes, 2, NULL, NULL), HMT_ERROR_ARGUMENT);
    o.confidence = 1.0;
    CHECK_STATUS(hmt_metrics_measure(NULL, outcomes, 2, &o, &m), HMT_ERROR_ARGUMENT);
    o.confidence = 0.95, o.resamples = -1;
    CHECK_STATUS(hmt_metrics_measure(NULL, outcomes, 2, &o, &m), HMT_ERROR_ARGUMENT);
    outcomes[1].predicted_race = HMT_MAX_CLASSES;
    CHECK_STATUS(hmt_metrics_measure(NULL, outcomes, 2, NULL, &m), HMT_ERROR_ARGUMENT);
    outcomes[1] = outcome(INFINITY, 1);
    CHECK_STATUS(hmt_metrics_measure(NULL, outcomes, 2, NULL, &m), HMT_ERROR_ARGUMENT);
    outcomes[1] = outcome(2, 1);
    about.backend = "reference";
    about.allocator = (hmt_allocator){refuse, give_back, &left};
    CHECK_STATUS(hmt_context_create(&about, &context), HMT_OK);
    o.resamples = 10;
    for (left = 0; left < 2; ++left) {
        int allowed = left;

        CHECK_STATUS(hmt_metrics_measure(context, outcomes, 2, &o, &m), HMT_ERROR_MEMORY);
        left = allowed;
    }
    left = 1000;
    CHECK_STATUS(hmt_metrics_measure(context, outcomes, 2, &o, &m), HMT_OK);
    hmt_context_free(context);
}

/* Mean and deviation over runs; one that lacks a figure does not count for it. */
static void runs_are_summed_up(void)
{
    hmt_metrics m[3] = {{0}};
    const hmt_metrics *runs[3] = {&m[0], &m[1], &m[2]};
    hmt_metrics_summary s = {.struct_size = sizeof s};
    static const double maes[3] = {1.0, 2.0, 6.0};

    for (int i = 0; i < 3; ++i) {
        m[i].struct_size = sizeof m[i];
        m[i].mae.value = maes[i];
        m[i].pearson.value = i == 1 ? NAN : 0.5 + i;
        m[i].accuracy[1].value = i == 2 ? 0.25 : NAN;
        m[i].rmse.value = m[i].bias.value = m[i].spearman.value = m[i].accuracy[0].value = NAN;
    }
    CHECK_STATUS(hmt_metrics_summarise(runs, 3, &s), HMT_OK);
    CHECK(fabs(s.mae.mean - 3.0) < 1e-15 && s.mae.count == 3);
    CHECK(fabs(s.mae.deviation - sqrt(7.0)) < 1e-15); /* (4 + 1 + 9) / 2 */
    CHECK(fabs(s.pearson.mean - 1.5) < 1e-15 && s.pearson.count == 2);
    CHECK(fabs(s.pearson.deviation - sqrt(2.0)) < 1e-15);
    CHECK(s.accuracy[1].mean == 0.25 && isnan(s.accuracy[1].deviation));
    CHECK(isnan(s.rmse.mean) && isnan(s.rmse.deviation) && s.rmse.count == 0);
    CHECK_STATUS(hmt_metrics_summarise(runs, 0, &s), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_metrics_summarise(NULL, 1, &s), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_metrics_summarise(runs, 3, NULL), HMT_ERROR_ARGUMENT);
    m[1].struct_size = 8;
    CHECK_STATUS(hmt_metrics_summarise(runs, 3, &s), HMT_ERROR_ARGUMENT);
    runs[1] = NULL;
    CHECK_STATUS(hmt_metrics_summarise(runs, 3, &s), HMT_ERROR_ARGUMENT);
}

int main(void)
{
    runs_are_summed_up();
    values_are_those_of_others();
    classes_are_counted();
    what_is_undefined_is_not_a_number();
    intervals_cover_the_truth();
    the_seed_decides_the_intervals();
    wrong_input_is_refused();
    return test_finish();
}
