/* tier: quick */
/* Gradients of logits and score against central differences: of pixels through the images, of taps
 * through a bias, which moves a whole channel of its tap. Both backends, wirings and aggregators;
 * then what a session does with repeated, wrong and late calls. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { IMAGES = 2, BATCH = 3, IMAGE = 3 * 224 * 224, CLASSES = 3 };

static const char *const backends[] = {"reference", "onednn"};

/* A tap, and the bias that is added to it; with a relu behind, only where that lets through. */
static const struct {
    const char *tap, *bias;
    bool relu;
} taps[] = {{"conv3", "conv3.bias", false}, {"relu3", "bn51.bias", true},
            {"bn52", "bn52.bias", false},   {"relu5", "bn53.bias", true},
            {"fc6", "fc6.bias", false},     {"gbranch.gconv1", "gbranch.gconv1.bias", false}};
enum { TAPS = sizeof taps / sizeof taps[0] };

static float images[IMAGES * IMAGE], moved[IMAGES * IMAGE], direction[IMAGES * IMAGE];
static float gradient[BATCH * IMAGE];

static float draw(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)(*state >> 40) / 8388608.0f - 1.0f;
}

static bool ends_with(const char *name, const char *end)
{
    size_t length = strlen(name);

    return length >= strlen(end) && strcmp(name + length - strlen(end), end) == 0;
}

/* Batch norms as after training: no two channels alike. */
static void shake_norms(hmt_model *model)
{
    uint64_t state = 11;

    for (size_t i = 0; i < hmt_model_param_count(model); ++i) {
        hmt_param_info info = HMT_PARAM_INFO_INIT;
        float values[512];
        float least = 0.0f, spread = 0.2f;

        CHECK_STATUS(hmt_model_param_info(model, i, &info), HMT_OK);
        if (info.dimensions != 1 || info.count > 512)
            continue;
        if (ends_with(info.name, "running_var") || ends_with(info.name, ".weight"))
            least = 0.6f, spread = 0.5f;
        if (ends_with(info.name, "bn3.bias")) /* before the relu behind which the logits are */
            least = 1.0f;
        for (int64_t k = 0; k < info.count; ++k)
            values[k] = least + spread * (least > 0.0f ? fabsf(draw(&state)) : draw(&state));
        CHECK_STATUS(hmt_model_param_write(model, i, values, (size_t)info.count), HMT_OK);
    }
}

static hmt_model *make_model(const char *backend, hmt_wiring wiring, hmt_aggregator aggregator)
{
    hmt_context_options about = HMT_CONTEXT_OPTIONS_INIT;
    hmt_model_config config;
    hmt_context *context = NULL;
    hmt_model *model = NULL;

    about.backend = backend;
    about.threads =
        1; /* thousands of tiny loops: on a busy machine threads would wait for each other */
    hmt_model_config_init(&config);
    config.width = 0.03125;
    config.race_classes = CLASSES;
    config.wiring = wiring;
    config.aggregator = aggregator;
    CHECK_STATUS(hmt_context_create(&about, &context), HMT_OK);
    CHECK_STATUS(hmt_model_create(context, &config, 5, &model), HMT_OK);
    hmt_context_free(context);
    shake_norms(model);
    return model;
}

static hmt_session *open_session(hmt_model *model, hmt_gradients gradients, bool exact)
{
    hmt_session_options options = HMT_SESSION_OPTIONS_INIT;
    hmt_session *session = NULL;
    const char *names[TAPS];

    for (int i = 0; i < TAPS; ++i)
        names[i] = taps[i].tap;
    options.batch = BATCH;
    options.taps = names;
    options.tap_count = TAPS;
    options.gradients = gradients;
    options.keep_exact = exact;
    CHECK_STATUS(hmt_session_create(model, &options, &session), HMT_OK);
    return session;
}

static int32_t classes_of(hmt_task task)
{
    return task == HMT_TASK_GENDER ? 2 : task == HMT_TASK_RACE ? CLASSES : 1;
}

/* The logit of each image. */
static void logits_of(hmt_session *session, const float *input, hmt_task task, int32_t label,
                      double values[IMAGES])
{
    hmt_prediction predictions[IMAGES];
    float logits[IMAGES * CLASSES];

    CHECK_STATUS(hmt_infer(session, input, IMAGES, predictions), HMT_OK);
    CHECK_STATUS(hmt_session_logits(session, task, logits, IMAGES * CLASSES), HMT_OK);
    for (int n = 0; n < IMAGES; ++n)
        values[n] = (double)logits[n * classes_of(task) + label];
}

/* A class whose logit is not 0: a relu stands before the logits. */
static int32_t live_label(hmt_session *session, hmt_task task)
{
    int32_t best = 0;
    double most = -1.0, values[IMAGES];

    for (int32_t label = 0; label < classes_of(task); ++label) {
        logits_of(session, images, task, label, values);
        if (fmin(values[0], values[1]) > most) {
            most = fmin(values[0], values[1]);
            best = label;
        }
    }
    return best;
}

static void compare(const double plus[IMAGES], const double minus[IMAGES], double step,
                    const double want[IMAGES], const char *what)
{
    const double scale = fmax(fabs(want[0]), fabs(want[1]));

    if (!(scale > 1e-4))
        printf("%s: a gradient of %g shows nothing\n", what, scale);
    CHECK(scale > 1e-4);
    for (int n = 0; n < IMAGES; ++n) {
        double got = (plus[n] - minus[n]) / (2.0 * step);

        if (!(fabs(got - want[n]) <= 0.02 * scale))
            printf("%s, image %d: difference %.6g, gradient %.6g\n", what, n, got, want[n]);
        CHECK(fabs(got - want[n]) <= 0.02 * scale);
    }
}

/* Along the gradient itself, and with each pixel's share of it drawn anew. (In a direction of its
 * own, most of what the pixels do cancels out, and the few relus that flip are what is left.) */
static void by_pixels(hmt_session *session, hmt_task task, int32_t label)
{
    uint64_t state = 3;

    for (int random = 0; random < 2; ++random) {
        double plus[IMAGES], minus[IMAGES], want[IMAGES] = {0.0, 0.0};
        const double step = 2e-4;

        logits_of(session, images, task, label, plus);
        CHECK_STATUS(hmt_session_gradient(session, task, label, NULL, gradient, BATCH * IMAGE),
                     HMT_OK);
        for (int i = 2 * IMAGE; i < BATCH * IMAGE; ++i)
            if (gradient[i] != 0.0f) {
                CHECK(gradient[i] == 0.0f); /* no image there */
                break;
            }
        for (int n = 0; n < IMAGES; ++n) {
            double largest = 0.0;

            for (int i = n * IMAGE; i < (n + 1) * IMAGE; ++i)
                largest = fmax(largest, fabs((double)gradient[i]));
            for (int i = n * IMAGE; i < (n + 1) * IMAGE; ++i) {
                direction[i] = gradient[i] / (float)largest * (random ? fabsf(draw(&state)) : 1.0f);
                want[n] += (double)gradient[i] * (double)direction[i];
            }
        }
        for (int i = 0; i < IMAGES * IMAGE; ++i)
            moved[i] = images[i] + (float)step * direction[i];
        logits_of(session, moved, task, label, plus);
        for (int i = 0; i < IMAGES * IMAGE; ++i)
            moved[i] = images[i] - (float)step * direction[i];
        logits_of(session, moved, task, label, minus);
        compare(plus, minus, step, want, random ? "random shares" : "gradient's direction");
    }
}

/* What moving a channel of a tap does to each image's logit, by the gradient: (IMAGES), for the
 * channel that matters most to the first image. */
static int64_t best_channel(hmt_session *session, int tap, hmt_task task, int32_t label,
                            double want[IMAGES])
{
    int64_t shape[4], area, best = -1;
    float *slope, *value;
    size_t count;

    CHECK_STATUS(hmt_session_tap_shape(session, taps[tap].tap, shape), HMT_OK);
    area = shape[2] * shape[3];
    count = (size_t)(shape[0] * shape[1] * area);
    slope = calloc(count, sizeof *slope);
    value = calloc(count, sizeof *value);
    CHECK_STATUS(hmt_session_tap_read(session, taps[tap].tap, value, count), HMT_OK);
    CHECK_STATUS(hmt_session_gradient(session, task, label, taps[tap].tap, slope, count), HMT_OK);
    for (int64_t c = 0; c < shape[1]; ++c) {
        double sum[IMAGES] = {0.0, 0.0};

        for (int64_t n = 0; n < IMAGES; ++n)
            for (int64_t i = 0; i < area; ++i) {
                int64_t at = (n * shape[1] + c) * area + i;

                if (!taps[tap].relu || value[at] > 0.0f)
                    sum[n] += (double)slope[at];
            }
        if (best < 0 || fabs(sum[0]) > fabs(want[0])) {
            best = c;
            memcpy(want, sum, sizeof sum);
        }
    }
    free(slope);
    free(value);
    return best;
}

static void move_bias(hmt_model *model, const char *name, int64_t channel, float by)
{
    hmt_param_info info = HMT_PARAM_INFO_INIT;
    float values[512];
    size_t index = 0;

    CHECK_STATUS(hmt_model_param_find(model, name, &index), HMT_OK);
    CHECK_STATUS(hmt_model_param_info(model, index, &info), HMT_OK);
    CHECK_STATUS(hmt_model_param_read(model, index, values, (size_t)info.count), HMT_OK);
    values[channel] += by;
    CHECK_STATUS(hmt_model_param_write(model, index, values, (size_t)info.count), HMT_OK);
}

static void by_tap(hmt_model *model, int tap, hmt_task task, int32_t label)
{
    const float step = 2e-3f;
    double logits[3][IMAGES], want[IMAGES] = {0.0, 0.0};
    hmt_session *session = open_session(model, HMT_GRADIENTS_TAPS, false);
    int64_t channel;

    logits_of(session, images, task, label, logits[0]);
    channel = best_channel(session, tap, task, label, want);
    hmt_session_free(session);
    for (int i = 1; i < 3; ++i) {
        move_bias(model, taps[tap].bias, channel, i == 1 ? step : -2.0f * step);
        session = open_session(model, HMT_GRADIENTS_NONE, false);
        logits_of(session, images, task, label, logits[i]);
        hmt_session_free(session);
    }
    move_bias(model, taps[tap].bias, channel, step);
    compare(logits[1], logits[2], (double)step, want, taps[tap].tap);
}

static void differences(const char *backend, hmt_wiring wiring, hmt_aggregator aggregator)
{
    hmt_model *model = make_model(backend, wiring, aggregator);
    hmt_session *session = open_session(model, HMT_GRADIENTS_INPUT, false);

    int32_t gender = live_label(session, HMT_TASK_GENDER);
    int32_t race = live_label(session, HMT_TASK_RACE);

    by_pixels(session, HMT_TASK_GENDER, gender);
    by_pixels(session, HMT_TASK_RACE, race);
    by_pixels(session, HMT_TASK_ATTRACTIVENESS, 0);
    hmt_session_free(session);
    for (int tap = 0; tap < TAPS - 1; ++tap)
        by_tap(model, tap, HMT_TASK_ATTRACTIVENESS, 0);
    by_tap(model, 1, HMT_TASK_RACE, race);
    by_tap(model, 3, HMT_TASK_RACE, race);
    by_tap(model, TAPS - 1, HMT_TASK_GENDER, gender);
    hmt_model_free(model);
}

static float *take(hmt_session *session, hmt_task task, int32_t label, const char *tap,
                   size_t *count)
{
    int64_t shape[4] = {BATCH, 3, 224, 224};
    float *values;

    if (tap != NULL)
        CHECK_STATUS(hmt_session_tap_shape(session, tap, shape), HMT_OK);
    *count = (size_t)(shape[0] * shape[1] * shape[2] * shape[3]);
    values = calloc(*count, sizeof *values);
    CHECK_STATUS(hmt_session_gradient(session, task, label, tap, values, *count), HMT_OK);
    return values;
}

/* Other calls in between change nothing; neither does folding, beyond rounding. */
static void repeated(const char *backend)
{
    hmt_model *model = make_model(backend, HMT_WIRING_RELEASED, HMT_AGGREGATOR_AVERAGE);
    hmt_session *session = open_session(model, HMT_GRADIENTS_INPUT, false);
    hmt_session *exact = open_session(model, HMT_GRADIENTS_TAPS, true);
    hmt_prediction predictions[IMAGES];
    float *first, *other, *again, *unfolded, *predicted, *zero;
    size_t count;
    double largest = 0.0, off = 0.0;

    CHECK_STATUS(hmt_infer(session, images, IMAGES, predictions), HMT_OK);
    CHECK_STATUS(hmt_infer(exact, images, IMAGES, predictions), HMT_OK);
    first = take(session, HMT_TASK_RACE, 1, "relu3", &count);
    other = take(session, HMT_TASK_RACE, 2, "relu3", &count);
    free(take(session, HMT_TASK_ATTRACTIVENESS, 7, NULL, &count)); /* its label is ignored */
    again = take(session, HMT_TASK_RACE, 1, "relu3", &count);
    unfolded = take(exact, HMT_TASK_RACE, 1, "relu3", &count);
    CHECK(memcmp(first, again, count * sizeof *first) == 0);
    CHECK(memcmp(first, other, count * sizeof *first) != 0);
    for (size_t i = 0; i < count; ++i) {
        largest = fmax(largest, fabs((double)first[i]));
        off = fmax(off, fabs((double)first[i] - (double)unfolded[i]));
    }
    CHECK(largest > 0.0 && off < 1e-3 * largest);
    predicted = take(session, HMT_TASK_RACE, -1, "relu3", &count);
    for (int n = 0; n < IMAGES; ++n) {
        float *named = take(session, HMT_TASK_RACE, predictions[n].race.label, "relu3", &count);
        size_t row = count / BATCH;

        CHECK(memcmp(named + (size_t)n * row, predicted + (size_t)n * row, row * sizeof *named) ==
              0);
        free(named);
    }
    zero = take(session, HMT_TASK_GENDER, 0, "fc6", &count); /* GNet does not read it */
    for (size_t i = 0; i < count; ++i)
        CHECK(zero[i] == 0.0f);
    free(first);
    free(other);
    free(again);
    free(unfolded);
    free(predicted);
    free(zero);
    hmt_session_free(session);
    hmt_session_free(exact);
    hmt_model_free(model);
}

/* A tap's gradient is that of its value: a relu does not cut it off at its own output. */
static void behind_relu(const char *backend)
{
    hmt_model *model = make_model(backend, HMT_WIRING_RELEASED, HMT_AGGREGATOR_AVERAGE);
    hmt_session *session = open_session(model, HMT_GRADIENTS_TAPS, false);
    hmt_prediction predictions[IMAGES];
    size_t count, off = 0;
    float *slope, *value;

    CHECK_STATUS(hmt_infer(session, images, IMAGES, predictions), HMT_OK);
    slope = take(session, HMT_TASK_ATTRACTIVENESS, 0, "relu5", &count);
    value = calloc(count, sizeof *value);
    CHECK_STATUS(hmt_session_tap_read(session, "relu5", value, count), HMT_OK);
    for (size_t i = 0; i < count; ++i)
        off += value[i] == 0.0f && slope[i] != 0.0f;
    CHECK(off > 0);
    free(slope);
    free(value);
    hmt_session_free(session);
    hmt_model_free(model);
}

static void wrong_options(hmt_model *model)
{
    static const char *const tap[] = {"relu3"};
    hmt_session_options options = HMT_SESSION_OPTIONS_INIT;
    hmt_session *session = NULL;

    options.gradients = HMT_GRADIENTS_TAPS;
    CHECK_STATUS(hmt_session_create(model, &options, &session), HMT_ERROR_ARGUMENT); /* no tap */
    options.taps = tap;
    options.tap_count = 1;
    options.tasks = 0;
    CHECK_STATUS(hmt_session_create(model, &options, &session), HMT_ERROR_ARGUMENT);
    options.tasks = HMT_TASKS_GENDER;
    options.gradients = (hmt_gradients)3;
    CHECK_STATUS(hmt_session_create(model, &options, &session), HMT_ERROR_ARGUMENT);
    CHECK(session == NULL);
    /* A tap that only a head reads which is not run: its gradient is 0. */
    options.gradients = HMT_GRADIENTS_TAPS;
    options.taps = (const char *const[]){"fc7"};
    CHECK_STATUS(hmt_session_create(model, &options, &session), HMT_OK);
    {
        hmt_prediction prediction;
        int64_t shape[4];
        float values[512];

        memset(values, 1, sizeof values);
        CHECK_STATUS(hmt_infer(session, images, 1, &prediction), HMT_OK);
        CHECK_STATUS(hmt_session_tap_shape(session, "fc7", shape), HMT_OK);
        CHECK_STATUS(
            hmt_session_gradient(session, HMT_TASK_GENDER, -1, "fc7", values, (size_t)shape[1]),
            HMT_OK);
        CHECK(values[0] == 0.0f && values[shape[1] - 1] == 0.0f);
        CHECK_STATUS(
            hmt_session_gradient(session, HMT_TASK_RACE, -1, "fc7", values, (size_t)shape[1]),
            HMT_ERROR_ARGUMENT); /* not run */
    }
    hmt_session_free(session);
}

static void wrong_calls(const char *backend)
{
    hmt_model *model = make_model(backend, HMT_WIRING_PAPER, HMT_AGGREGATOR_AVERAGE);
    hmt_session *none = open_session(model, HMT_GRADIENTS_NONE, false);
    hmt_session *inner = open_session(model, HMT_GRADIENTS_TAPS, false);
    hmt_session *all = open_session(model, HMT_GRADIENTS_INPUT, false);
    hmt_prediction p[IMAGES];
    const hmt_task race = HMT_TASK_RACE;
    const size_t count = BATCH * IMAGE;
    size_t inside;

    CHECK_STATUS(hmt_session_gradient(all, race, 0, NULL, gradient, count), HMT_ERROR_STATE);
    CHECK_STATUS(hmt_infer(none, images, IMAGES, p), HMT_OK);
    CHECK_STATUS(hmt_infer(inner, images, IMAGES, p), HMT_OK);
    CHECK_STATUS(hmt_infer(all, images, IMAGES, p), HMT_OK);
    CHECK_STATUS(hmt_session_gradient(NULL, race, 0, NULL, gradient, count), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_session_gradient(all, race, 0, NULL, NULL, count), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_session_gradient(none, race, 0, NULL, gradient, count), HMT_ERROR_STATE);
    CHECK_STATUS(hmt_session_gradient(none, race, 0, "relu3", gradient, count), HMT_ERROR_STATE);
    CHECK_STATUS(hmt_session_gradient(inner, race, 0, NULL, gradient, count), HMT_ERROR_STATE);
    CHECK_STATUS(hmt_session_gradient(all, race, 0, "relu4", gradient, count), HMT_ERROR_NOT_FOUND);
    CHECK_STATUS(hmt_session_gradient(all, race, CLASSES, NULL, gradient, count),
                 HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_session_gradient(all, race, -2, NULL, gradient, count), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_session_gradient(all, (hmt_task)3, 0, NULL, gradient, count),
                 HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_session_gradient(all, (hmt_task)-1, 0, NULL, gradient, count),
                 HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_session_gradient(all, race, 0, NULL, gradient, count - 1), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_session_gradient(all, race, 0, "relu3", gradient, count), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_session_gradient(all, race, 0, NULL, gradient, count), HMT_OK);
    free(take(inner, race, 0, "relu5", &inside));
    move_bias(model, "conv3.bias", 0, 0.1f);
    CHECK_STATUS(hmt_session_gradient(all, race, 0, NULL, gradient, count), HMT_ERROR_STATE);
    hmt_session_free(none);
    hmt_session_free(inner);
    hmt_session_free(all);
    wrong_options(model);
    hmt_model_free(model);
}

int main(void)
{
    uint64_t state = 1;

    for (int i = 0; i < IMAGES * IMAGE; ++i)
        images[i] = draw(&state) + sinf((float)(i % 224) * 0.05f * (float)(1 + i / IMAGE));
    for (size_t b = 0; b < sizeof backends / sizeof backends[0]; ++b) {
        differences(backends[b], HMT_WIRING_RELEASED, HMT_AGGREGATOR_AVERAGE);
        differences(backends[b], HMT_WIRING_PAPER, HMT_AGGREGATOR_AVERAGE);
        differences(backends[b], HMT_WIRING_RELEASED, HMT_AGGREGATOR_CONCATENATE);
        differences(backends[b], HMT_WIRING_PAPER, HMT_AGGREGATOR_CONCATENATE);
        repeated(backends[b]);
        behind_relu(backends[b]);
        wrong_calls(backends[b]);
    }
    return test_finish();
}
