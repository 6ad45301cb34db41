/* tier: quick */
/* The formulas that every backend shares: losses and their slopes, SGD, statistics, dropout,
 * averages.
 */
#include <math.h>
#include <stdbool.h>

#include "check.h"
#include "objective/average.h"
#include "objective/dropout.h"
#include "objective/losses.h"
#include "objective/sgd.h"
#include "objective/statistics.h"

static bool near(double a, double b, double tolerance)
{
    return fabs(a - b) <= tolerance * fmax(1.0, fabs(b));
}

static void regression_losses_have_their_values(void)
{
    CHECK(near(losses_regression(HMT_LOSS_MSE, 1.0, -3.0), 9.0, 1e-15));
    CHECK(near(losses_regression(HMT_LOSS_L1, 1.0, -3.0), 3.0, 1e-15));
    CHECK(near(losses_regression(HMT_LOSS_SMOOTH_L1, 1.0, 0.5), 0.125, 1e-15));
    CHECK(near(losses_regression(HMT_LOSS_SMOOTH_L1, 1.0, -3.0), 2.5, 1e-15));
    CHECK(near(losses_regression(HMT_LOSS_SMOOTH_HUBER, 0.6, 0.5), log(cosh(0.5)), 1e-14));
    CHECK(near(losses_regression(HMT_LOSS_SMOOTH_HUBER, 0.6, 0.6), log(cosh(0.6)), 1e-14));
    CHECK(near(losses_regression(HMT_LOSS_SMOOTH_HUBER, 0.6, -0.7), 0.7, 1e-15));
}

static void log_cosh_neither_overflows_nor_cancels(void)
{
    CHECK(near(losses_log_cosh(1000.0), 1000.0 - log(2.0), 1e-15));
    CHECK(near(losses_log_cosh(-1000.0), 1000.0 - log(2.0), 1e-15));
    CHECK(fabs(losses_log_cosh(0.0)) < 1e-15);
    CHECK(near(losses_log_cosh(1e-3) / 5e-7, 1.0, 1e-6));
}

static void slopes_are_derivatives(void)
{
    const double h = 1e-6;

    for (int loss = HMT_LOSS_SMOOTH_HUBER; loss <= HMT_LOSS_SMOOTH_L1; ++loss)
        for (double e = -2.95; e < 3.0; e += 0.1) { /* never at a kink: 0, 0.6, 1 */
            double up = losses_regression((hmt_loss)loss, 0.6, e + h);
            double down = losses_regression((hmt_loss)loss, 0.6, e - h);

            CHECK(
                near(losses_regression_slope((hmt_loss)loss, 0.6, e), (up - down) / (2 * h), 1e-8));
        }
}

static void slope_at_zero_is_zero_and_nan_stays(void)
{
    for (int loss = HMT_LOSS_SMOOTH_HUBER; loss <= HMT_LOSS_SMOOTH_L1; ++loss) {
        CHECK(losses_regression_slope((hmt_loss)loss, 0.6, 0.0) == 0.0);
        CHECK(isnan(losses_regression((hmt_loss)loss, 0.6, NAN)));
        CHECK(isnan(losses_regression_slope((hmt_loss)loss, 0.6, NAN)));
    }
}

static void softmax_sums_to_one_for_any_logits(void)
{
    const float logits[3][4] = {
        {1.0f, 2.0f, 3.0f, 4.0f}, {1e4f, 1e4f, -1e4f, 0.0f}, {-500.0f, -501.0f, -502.0f, -503.0f}};
    float p[4];

    for (int i = 0; i < 3; ++i) {
        losses_softmax(logits[i], 4, p);
        CHECK(near((double)p[0] + p[1] + p[2] + p[3], 1.0, 1e-6));
    }
    losses_softmax(logits[1], 4, p);
    CHECK(p[0] == 0.5f && p[1] == 0.5f && p[2] == 0.0f);
    losses_softmax(logits[0], 4, p);
    CHECK(near(p[3] / p[2], exp(1.0), 1e-6));
}

static void log_sum_exp_honours_its_stride(void)
{
    const float logits[6] = {0.0f, 50.0f, 1.0f, 50.0f, 2.0f, 50.0f};

    CHECK(near(losses_log_sum_exp(logits, 3, 2), log(1.0 + exp(1.0) + exp(2.0)), 1e-14));
}

static void cross_entropy_gradient_is_the_derivative(double smoothing)
{
    const float h = 1.0f / 64;

    for (int32_t label = 0; label < 5; ++label) {
        float logits[5] = {0.5f, -1.25f, 2.0f, 0.0f, 0.75f}, gradient[5];
        double value = losses_cross_entropy(logits, 5, label, smoothing, 3.0, gradient);

        CHECK(near(value, losses_cross_entropy(logits, 5, label, smoothing, 0.0, NULL), 1e-15));
        for (int i = 0; i < 5; ++i) {
            float middle = logits[i];
            double up, down;

            logits[i] = middle + h;
            up = losses_cross_entropy(logits, 5, label, smoothing, 1.0, NULL);
            logits[i] = middle - h;
            down = losses_cross_entropy(logits, 5, label, smoothing, 1.0, NULL);
            logits[i] = middle;
            CHECK(near(gradient[i], 3.0 * (up - down) / (2.0 * (double)h), 1e-4));
        }
    }
}

/* (1 - s) of the sharp loss, and s of the mean over all classes. */
static void smoothing_spreads_a_label(void)
{
    const float logits[3] = {1.0f, -2.0f, 0.5f};
    double all = 0.0;

    for (int32_t label = 0; label < 3; ++label)
        all += losses_cross_entropy(logits, 3, label, 0.0, 1.0, NULL) / 3.0;
    for (int32_t label = 0; label < 3; ++label)
        CHECK(near(losses_cross_entropy(logits, 3, label, 0.3, 1.0, NULL),
                   0.7 * losses_cross_entropy(logits, 3, label, 0.0, 1.0, NULL) + 0.3 * all,
                   1e-14));
}

static void cross_entropy_is_the_logarithm_of_the_probability(void)
{
    const float logits[2] = {1.0f, 3.0f};

    CHECK(near(losses_cross_entropy(logits, 2, 0, 0.0, 1.0, NULL), log(1.0 + exp(2.0)), 1e-14));
    CHECK(near(losses_cross_entropy(logits, 2, 1, 0.0, 1.0, NULL), log(1.0 + exp(-2.0)), 1e-14));
}

/* By hand, with decay 0.05, momentum 0.9 and rate 0.1:
 * g = 0.2 + 0.05 * 1 = 0.25; v = 0.9 * 0.5 + 0.25 = 0.7; p = 1 - 0.1 * 0.7 = 0.93;
 * g = 0.2 + 0.05 * 0.93 = 0.2465; v = 0.63 + 0.2465 = 0.8765; p = 0.93 - 0.08765 = 0.84235. */
static void sgd_does_as_computed_by_hand(void)
{
    hmt_sgd sgd = {0.1f, 0.9f, 0.05f, 0};
    float p = 1.0f, v = 0.5f;

    sgd_update(&p, &v, 0.2f, sgd);
    CHECK(near(v, 0.7, 1e-6) && near(p, 0.93, 1e-6));
    sgd_update(&p, &v, 0.2f, sgd);
    CHECK(near(v, 0.8765, 1e-6) && near(p, 0.84235, 1e-6));

    /* Nesterov: p = 1 - 0.1 * (0.25 + 0.9 * 0.7) = 0.912. */
    p = 1.0f, v = 0.5f, sgd.nesterov = 1;
    sgd_update(&p, &v, 0.2f, sgd);
    CHECK(near(v, 0.7, 1e-6) && near(p, 0.912, 1e-6));
}

static void sgd_without_rate_leaves_the_gradient_in_the_momentum(void)
{
    hmt_sgd none = {0.0f, 0.0f, 0.0f, 0};
    float p = 1.5f, v = 7.0f;

    sgd_update(&p, &v, 0.125f, none);
    CHECK(p == 1.5f && v == 0.125f);
}

static void running_variance_is_unbiased(void)
{
    float mean = 1.0f, variance = 1.0f;

    statistics_update(&mean, &variance, 2.0f, 3.0f, 4, 0.1f); /* 3 * 4 / 3 = 4 */
    CHECK(near(mean, 1.1, 1e-6) && near(variance, 1.3, 1e-6));
    mean = variance = 1.0f;
    statistics_update(&mean, &variance, 2.0f, 3.0f, 1, 0.1f); /* one sample has no other variance */
    CHECK(near(mean, 1.1, 1e-6) && near(variance, 1.2, 1e-6));
}

static void fixed_statistics_are_a_line(void)
{
    double slope = statistics_slope(3.0, 3.0, 1.0);

    CHECK(near(slope, 1.5, 1e-15));
    CHECK(near(statistics_offset(0.5, 2.0, slope), -2.5, 1e-15));
    CHECK(near(5.0 * slope + statistics_offset(0.5, 2.0, slope), (5.0 - 2.0) / 2.0 * 3.0 + 0.5,
               1e-15));
}

static void dropout_keeps_the_mean(void)
{
    enum { COUNT = 1 << 20 };

    for (float drop = 0.0f; drop < 0.95f; drop += 0.1f) {
        double sum = 0.0, deviation = sqrt((double)(drop / (1.0f - drop)) / COUNT);
        int odd = 0;

        for (int64_t i = 0; i < COUNT; ++i) {
            float factor = dropout_factor(99, 3, i, drop);

            sum += factor;
            odd += factor != 0.0f && factor != 1.0f / (1.0f - drop);
        }
        CHECK(odd == 0);
        CHECK(fabs(sum / COUNT - 1.0) <= 4.0 * deviation + 1e-6);
    }
}

static void dropout_masks_are_their_own(void)
{
    enum { COUNT = 4096 };
    int salts = 0, seeds = 0, again = 0;

    for (int64_t i = 0; i < COUNT; ++i) {
        float factor = dropout_factor(7, 1, i, 0.5f);

        again += factor == dropout_factor(7, 1, i, 0.5f);
        salts += factor == dropout_factor(7, 2, i, 0.5f);
        seeds += factor == dropout_factor(8, 1, i, 0.5f);
    }
    CHECK(again == COUNT);
    CHECK(salts > COUNT * 45 / 100 && salts < COUNT * 55 / 100); /* as two coins agree */
    CHECK(seeds > COUNT * 45 / 100 && seeds < COUNT * 55 / 100);
}

static void an_average_weighs_the_newest_most(void)
{
    static const double values[] = {3.0, -1.0, 4.0, 1.0, -5.0};
    const double decay = 0.9;
    float average = NAN; /* what stood there before does not count */
    double sum = 0.0, weights = 0.0;

    for (int i = 0; i < 5; ++i) {
        sum = decay * sum + values[i];
        weights = decay * weights + 1.0;
        average =
            average_move(average, (float)values[i], (float)average_share(decay, (uint64_t)i + 1));
        CHECK(near(average, sum / weights, 1e-6));
    }
    for (uint64_t i = 1; i < 100; ++i) { /* what does not change is kept to the bit */
        float kept = average_move(0.1f, 0.1f, (float)average_share(0.99, i));

        CHECK(kept == 0.1f);
    }
    CHECK(near(average_share(0.0, 7), 1.0, 1e-15)); /* no memory: the newest alone */
    CHECK(near(average_share(0.99, 100000), 0.01, 1e-12));
}

int main(void)
{
    an_average_weighs_the_newest_most();
    regression_losses_have_their_values();
    log_cosh_neither_overflows_nor_cancels();
    slopes_are_derivatives();
    slope_at_zero_is_zero_and_nan_stays();
    softmax_sums_to_one_for_any_logits();
    log_sum_exp_honours_its_stride();
    cross_entropy_gradient_is_the_derivative(0.0);
    cross_entropy_gradient_is_the_derivative(0.25);
    smoothing_spreads_a_label();
    cross_entropy_is_the_logarithm_of_the_probability();
    sgd_does_as_computed_by_hand();
    sgd_without_rate_leaves_the_gradient_in_the_momentum();
    running_variance_is_unbiased();
    fixed_statistics_are_a_line();
    dropout_keeps_the_mean();
    dropout_masks_are_their_own();
    return test_finish();
}
