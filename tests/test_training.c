/* tier: quick */
/* What a trainer's options do to a step, and that a run which goes on from a checkpoint ends as one
 * that never stopped. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { BATCH = 4, CLASSES = 2, IMAGE = 3 * 224 * 224, STEPS = 6 };

static const char *const backends[] = {"reference", "onednn"};
static float images[STEPS][BATCH * IMAGE];
static int32_t genders[BATCH] = {0, 1, 1, 0}, races[BATCH] = {1, 0, 1, 0};
static float scores[BATCH] = {2.0f, 3.5f, 4.0f, 1.5f};

static void fill_images(void)
{
    uint64_t state = 7;

    for (size_t i = 0; i < sizeof images / sizeof(float); ++i) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        (&images[0][0])[i] = (float)(state >> 40) / 8388608.0f - 1.0f;
    }
}

/* A parameter's value or, with a trainer, its momentum. */
typedef struct tensor {
    float *values;
    size_t count;
} tensor;

typedef struct run {
    hmt_context *context;
    hmt_model *model;
    hmt_trainer *trainer;
} run;

static run begin_on(const char *backend, int threads, const char *from,
                    const hmt_trainer_options *options)
{
    hmt_context_options about = HMT_CONTEXT_OPTIONS_INIT;
    hmt_model_config config;
    run r = {NULL, NULL, NULL};

    about.backend = backend;
    about.threads = threads;
    hmt_model_config_init(&config);
    config.width = 0.03125;
    CHECK_STATUS(hmt_context_create(&about, &r.context), HMT_OK);
    if (from != NULL)
        CHECK_STATUS(hmt_model_load(r.context, from, NULL, &r.model), HMT_OK);
    else
        CHECK_STATUS(hmt_model_create(r.context, &config, 3, &r.model), HMT_OK);
    if (options != NULL)
        CHECK_STATUS(hmt_trainer_create(r.model, options, &r.trainer), HMT_OK);
    return r;
}

static run begin(const char *backend, const char *from, const hmt_trainer_options *options)
{
    return begin_on(backend, 0, from, options);
}

static void end(run *r)
{
    hmt_trainer_free(r->trainer);
    hmt_model_free(r->model);
    hmt_context_free(r->context);
}

static void steps(run *r, int first, int last)
{
    for (int i = first; i < last; ++i) {
        hmt_batch batch = HMT_BATCH_INIT;

        batch.count = BATCH;
        batch.images = images[i];
        batch.gender = genders;
        batch.race = races;
        batch.score = scores;
        CHECK_STATUS(hmt_train_step(r->trainer, &batch, NULL), HMT_OK);
    }
}

static hmt_trainer_options recipe(void)
{
    hmt_trainer_options options = HMT_TRAINER_OPTIONS_INIT;

    options.batch = BATCH;
    options.learning_rate = 0.01;
    return options;
}

static tensor take(const run *r, size_t index, bool momentum)
{
    hmt_param_info info = HMT_PARAM_INFO_INIT;
    tensor t;

    CHECK_STATUS(hmt_model_param_info(r->model, index, &info), HMT_OK);
    t.count = (size_t)info.count;
    t.values = calloc(t.count, sizeof(float));
    if (momentum && info.trainable)
        CHECK_STATUS(hmt_trainer_momentum_read(r->trainer, index, t.values, t.count), HMT_OK);
    else if (!momentum)
        CHECK_STATUS(hmt_model_param_read(r->model, index, t.values, t.count), HMT_OK);
    return t;
}

static tensor named(const run *r, const char *name, bool momentum)
{
    size_t index = 0;

    CHECK_STATUS(hmt_model_param_find(r->model, name, &index), HMT_OK);
    return take(r, index, momentum);
}

static bool same_bits(const tensor *a, const tensor *b)
{
    return a->count == b->count && memcmp(a->values, b->values, a->count * sizeof(float)) == 0;
}

/* The largest difference between b and a + factor * v, relative to the largest |factor * v|. */
static double distance(const tensor *b, const tensor *a, double factor, const tensor *v)
{
    double most = 0.0, scale = 0.0;

    for (size_t i = 0; i < a->count; ++i) {
        most = fmax(most, fabs(b->values[i] - (a->values[i] + factor * v->values[i])));
        scale = fmax(scale, fabs(factor * v->values[i]));
    }
    return scale > 0.0 ? most / scale : most;
}

/* After the first step the momentum is g = gradient + decay; Nesterov moves by rate * (g + m g). */
static void nesterov_looks_ahead(const char *backend)
{
    for (int nesterov = 0; nesterov < 2; ++nesterov) {
        hmt_trainer_options options = recipe();
        tensor before, after, momentum;
        run r;

        options.nesterov = nesterov;
        r = begin(backend, NULL, &options);
        before = named(&r, "conv3.weight", false);
        steps(&r, 0, 1);
        after = named(&r, "conv3.weight", false);
        momentum = named(&r, "conv3.weight", true);
        CHECK(distance(&after, &before, nesterov ? -0.019 : -0.01, &momentum) < 1e-3);
        free(before.values), free(after.values), free(momentum.values);
        end(&r);
    }
}

static void decay_can_leave_vectors_alone(const char *backend)
{
    static const struct {
        const char *name;
        double share; /* of the decay that reaches it */
    } cases[] = {{"conv4.weight", 1.0}, {"bn52.weight", 0.0}, {"fc8.bias", 0.0}};
    hmt_trainer_options options = recipe();
    run plain, decayed;

    options.weight_decay = 0.0;
    plain = begin(backend, NULL, &options);
    options.weight_decay = 0.5;
    options.decay_weights_only = 1;
    decayed = begin(backend, NULL, &options);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        tensor value = named(&decayed, cases[i].name, false), with, without;

        if (i == 0) {
            steps(&plain, 0, 1);
            steps(&decayed, 0, 1);
        }
        with = named(&decayed, cases[i].name, true);
        without = named(&plain, cases[i].name, true);
        if (i == 0)
            CHECK(distance(&with, &without, 0.5 * cases[i].share, &value) < 1e-4);
        else
            CHECK(same_bits(&with, &without));
        free(value.values), free(with.values), free(without.values);
    }
    end(&plain);
    end(&decayed);
}

/* The same batch twice, accumulated, is one step with it; only the running statistics differ. */
static void accumulated_gradients_make_one_update(const char *backend)
{
    hmt_trainer_options options = recipe();
    tensor first, second, third, before;
    run once, twice;

    once = begin(backend, NULL, &options);
    options.accumulate = 2;
    twice = begin(backend, NULL, &options);
    before = named(&twice, "conv2.weight", false);
    steps(&twice, 0, 1);
    first = named(&twice, "conv2.weight", false);
    CHECK(same_bits(&before, &first));
    steps(&twice, 0, 1);
    steps(&once, 0, 1);
    second = named(&twice, "conv2.weight", false);
    third = named(&once, "conv2.weight", false);
    for (size_t i = 0; i < before.count; ++i) /* how far it moved */
        before.values[i] = third.values[i] - before.values[i];
    CHECK(distance(&second, &third, 0.0, &before) < 1e-6);
    CHECK(!same_bits(&first, &second));
    free(first.values), free(second.values), free(third.values), free(before.values);
    end(&once);
    end(&twice);
}

static bool begins(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* With the trunk frozen, its parameters and statistics stay, and so does the score. */
static void a_frozen_trunk_stays_as_it_is(const char *backend)
{
    static const hmt_param_rule rules[] = {{"conv", 0.0}, {"bn", 0.0}, {"fc", 0.0}};
    hmt_trainer_options options = recipe();
    hmt_prediction before[BATCH], after[BATCH];
    hmt_batch batch = HMT_BATCH_INIT;
    run old = begin(backend, NULL, NULL), r;

    options.rules = rules;
    options.rule_count = 3;
    r = begin(backend, NULL, &options);
    batch.count = BATCH;
    batch.images = images[0];
    CHECK_STATUS(hmt_evaluate(r.trainer, &batch, NULL, before), HMT_OK);
    steps(&r, 0, 2);
    CHECK_STATUS(hmt_evaluate(r.trainer, &batch, NULL, after), HMT_OK);
    for (size_t i = 0; i < hmt_model_param_count(r.model); ++i) {
        hmt_param_info info = HMT_PARAM_INFO_INIT;
        tensor a = take(&old, i, false), b = take(&r, i, false);
        bool frozen;

        CHECK_STATUS(hmt_model_param_info(r.model, i, &info), HMT_OK);
        frozen = begins(info.name, "conv") || begins(info.name, "bn") || begins(info.name, "fc");
        if (same_bits(&a, &b) != frozen)
            printf("%s: %s\n", backend, info.name);
        CHECK(same_bits(&a, &b) == frozen);
        if (frozen && info.trainable && info.count > 1)
            CHECK_STATUS(hmt_trainer_momentum_read(r.trainer, i, b.values, b.count),
                         HMT_ERROR_NOT_FOUND);
        free(a.values), free(b.values);
    }
    for (int i = 0; i < BATCH; ++i) {
        CHECK(before[i].score == after[i].score);
        CHECK(before[i].gender.probabilities[0] != after[i].gender.probabilities[0]);
    }
    end(&old);
    end(&r);
}

/* Something before it learns, so a frozen layer in the middle passes gradients on. */
static void a_frozen_middle_lets_gradients_through(const char *backend)
{
    static const hmt_param_rule rules[] = {{"conv4.", 0.0}, {"bn52.", 0.0}, {"fc6.bias", 0.0}};
    hmt_trainer_options options = recipe();
    run plain = begin(backend, NULL, &options), r;
    static const char *const moved[] = {"conv1.weight", "conv3.weight", "fc6.weight"};

    options.rules = rules;
    options.rule_count = 3;
    r = begin(backend, NULL, &options);
    steps(&plain, 0, 1);
    steps(&r, 0, 1);
    for (int i = 0; i < 3; ++i) { /* its first step is that of the whole network */
        tensor a = named(&plain, moved[i], true), b = named(&r, moved[i], true);

        CHECK(same_bits(&a, &b));
        free(a.values), free(b.values);
    }
    for (int i = 0; i < 2; ++i) {
        tensor a = named(&plain, i ? "fc6.bias" : "conv4.weight", false);
        tensor b = named(&r, i ? "fc6.bias" : "conv4.weight", false);

        CHECK(!same_bits(&a, &b));
        free(a.values), free(b.values);
    }
    end(&plain);
    end(&r);
}

static void rules_scale_the_rate(const char *backend)
{
    static const hmt_param_rule rules[] = {{"gbranch.gconv1", 0.25}, {"gbranch.", 2.0}};
    static const struct {
        const char *name;
        double rate;
    } cases[] = {
        {"gbranch.gconv1.weight", 0.25}, {"gbranch.gconv2.weight", 2.0}, {"conv5.weight", 1.0}};
    hmt_trainer_options options = recipe();
    tensor before[3];
    run r;

    options.rules = rules;
    options.rule_count = 2;
    r = begin(backend, NULL, &options);
    for (int i = 0; i < 3; ++i)
        before[i] = named(&r, cases[i].name, false);
    steps(&r, 0, 1);
    for (int i = 0; i < 3; ++i) {
        tensor after = named(&r, cases[i].name, false), v = named(&r, cases[i].name, true);

        CHECK(distance(&after, &before[i], -0.01 * cases[i].rate, &v) < 1e-3);
        free(before[i].values), free(after.values), free(v.values);
    }
    end(&r);
}

static void smoothed_labels_raise_the_loss_of_sure_answers(const char *backend)
{
    hmt_trainer_options options = recipe();
    hmt_losses sharp = HMT_LOSSES_INIT, smooth = HMT_LOSSES_INIT;
    hmt_prediction p[BATCH];
    hmt_batch batch = HMT_BATCH_INIT;
    double expected = 0.0;
    run a = begin(backend, NULL, &options), b;

    options.label_smoothing = 0.2;
    b = begin(backend, NULL, &options);
    batch.count = BATCH;
    batch.images = images[0];
    batch.gender = genders;
    CHECK_STATUS(hmt_evaluate(a.trainer, &batch, &sharp, p), HMT_OK);
    CHECK_STATUS(hmt_evaluate(b.trainer, &batch, &smooth, NULL), HMT_OK);
    for (int i = 0; i < BATCH; ++i)
        for (int k = 0; k < CLASSES; ++k)
            expected -= (0.1 + (k == genders[i] ? 0.8 : 0.0)) *
                        log((double)p[i].gender.probabilities[k]) / BATCH;
    CHECK(fabs(smooth.task[HMT_TASK_GENDER] - expected) < 1e-5);
    CHECK(fabs(sharp.task[HMT_TASK_GENDER] - expected) > 1e-6);
    end(&a);
    end(&b);
}

/* What parameter `name` of a run has after each of its steps. */
static void follow(const char *backend, const hmt_trainer_options *options, const char *name,
                   tensor path[STEPS])
{
    run r = begin(backend, NULL, options);

    for (int i = 0; i < STEPS; ++i) {
        steps(&r, i, i + 1);
        path[i] = named(&r, name, false);
    }
    end(&r);
}

/* How far `average`, after `done` steps, is from the weighted mean of every `every`th of `path`. */
static double off_average(const tensor *average, const tensor path[STEPS], int done, int every)
{
    double most = 0.0;

    for (size_t e = 0; e < average->count; ++e) {
        double sum = 0.0, weights = 0.0, expected;

        for (int seen = every; seen <= done; seen += every) {
            sum = 0.64 * sum + path[seen - 1].values[e];
            weights = 0.64 * weights + 1.0;
        }
        expected = done < every ? path[done - 1].values[e] : sum / weights;
        most = fmax(most, fabs(average->values[e] - expected) / (fabs(expected) + 1e-3));
    }
    return most;
}

/* The model is the weighted mean of what the parameters were at every second update, for a
 * parameter and a statistic; the steps go on as if nobody averaged. */
static void the_model_is_an_average_of_the_run(const char *backend, int accumulate)
{
    static const char *const names[] = {"conv4.weight", "bn51.running_var"};
    hmt_trainer_options options = recipe();
    tensor plain[STEPS], average[STEPS];

    options.accumulate = accumulate;
    for (int k = 0; k < 2; ++k) {
        options.average = 0.0;
        follow(backend, &options, names[k], plain);
        options.average = 0.8;
        options.average_every = 2;
        follow(backend, &options, names[k], average);
        for (int i = 0; i < STEPS; ++i)
            CHECK(off_average(&average[i], plain, i + 1, 2 * accumulate) < 1e-5);
        CHECK(!same_bits(&average[STEPS - 1], &plain[STEPS - 1]));
        for (int i = 0; i < STEPS; ++i)
            free(plain[i].values), free(average[i].values);
    }
}

/* Momentum shows the value of every step. */
static void averaging_leaves_the_steps_alone(const char *backend)
{
    hmt_trainer_options options = recipe();
    run plain = begin(backend, NULL, &options), averaged;

    options.average = 0.9;
    options.average_every = 1;
    averaged = begin(backend, NULL, &options);
    steps(&plain, 0, 3);
    steps(&averaged, 0, 3);
    for (size_t i = 0; i < hmt_model_param_count(plain.model); ++i) {
        tensor a = take(&plain, i, true), b = take(&averaged, i, true);

        CHECK(same_bits(&a, &b));
        free(a.values), free(b.values);
    }
    end(&plain);
    end(&averaged);
}

/* What evaluation says is what a session on the saved model says, and on the freed trainer's. */
static void the_average_is_what_is_measured_and_saved(const char *backend)
{
    hmt_trainer_options options = recipe();
    hmt_prediction evaluated[BATCH], saved[BATCH], kept[BATCH];
    hmt_batch batch = HMT_BATCH_INIT;
    hmt_session_options about = HMT_SESSION_OPTIONS_INIT;
    hmt_session *session = NULL;
    char path[64];
    run r, again;

    snprintf(path, sizeof path, "/tmp/hmtnet-average-%ld.safetensors", (long)getpid());
    options.average = 0.5;
    options.average_every = 1;
    r = begin(backend, NULL, &options);
    batch.count = BATCH;
    batch.images = images[0];
    about.batch = BATCH;
    for (int i = 0; i < 3; ++i) {
        steps(&r, i, i + 1);
        CHECK_STATUS(hmt_evaluate(r.trainer, &batch, NULL, evaluated), HMT_OK);
        CHECK_STATUS(hmt_model_save(r.model, path, HMT_DTYPE_F32), HMT_OK);
        again = begin(backend, path, NULL);
        CHECK_STATUS(hmt_session_create(again.model, &about, &session), HMT_OK);
        CHECK_STATUS(hmt_infer(session, images[0], BATCH, saved), HMT_OK);
        for (int k = 0; k < BATCH; ++k)
            CHECK(fabs(evaluated[k].score - saved[k].score) < 1e-5);
        hmt_session_free(session);
        end(&again);
    }
    CHECK(evaluated[0].score != evaluated[1].score);
    hmt_trainer_free(r.trainer);
    r.trainer = NULL;
    CHECK_STATUS(hmt_session_create(r.model, &about, &session), HMT_OK);
    CHECK_STATUS(hmt_infer(session, images[0], BATCH, kept), HMT_OK);
    for (int k = 0; k < BATCH; ++k)
        CHECK(fabs(kept[k].score - saved[k].score) < 1e-5);
    hmt_session_free(session);
    end(&r);
    remove(path);
}

/* Two runs on `threads` threads have the same parameters, statistics and momentum, bit for bit. */
static void the_same_seed_gives_the_same_bytes(const char *backend, int threads)
{
    hmt_trainer_options options = recipe();
    run r[2];
    int differ = 0;

    for (int i = 0; i < 2; ++i) {
        r[i] = begin_on(backend, threads, NULL, &options);
        steps(&r[i], 0, 4);
    }
    for (size_t i = 0; i < hmt_model_param_count(r[0].model); ++i)
        for (int momentum = 0; momentum < 2; ++momentum) {
            tensor a = take(&r[0], i, momentum), b = take(&r[1], i, momentum);

            differ += !same_bits(&a, &b);
            free(a.values), free(b.values);
        }
    CHECK(differ == 0);
    end(&r[0]);
    end(&r[1]);
}

static void wrong_options_are_refused(void)
{
    static const hmt_param_rule stranger = {"conv9", 1.0}, negative = {"conv1", -1.0},
                                nameless = {NULL, 1.0};
    hmt_trainer_options options = recipe();
    hmt_trainer *trainer = NULL;
    run r = begin("reference", NULL, NULL);

    options.label_smoothing = 1.0;
    CHECK_STATUS(hmt_trainer_create(r.model, &options, &trainer), HMT_ERROR_ARGUMENT);
    options = recipe(), options.accumulate = 0;
    CHECK_STATUS(hmt_trainer_create(r.model, &options, &trainer), HMT_ERROR_ARGUMENT);
    options = recipe(), options.accumulate = 2, options.nesterov = 1;
    CHECK_STATUS(hmt_trainer_create(r.model, &options, &trainer), HMT_ERROR_ARGUMENT);
    options = recipe(), options.average = 1.0;
    CHECK_STATUS(hmt_trainer_create(r.model, &options, &trainer), HMT_ERROR_ARGUMENT);
    options = recipe(), options.average = NAN;
    CHECK_STATUS(hmt_trainer_create(r.model, &options, &trainer), HMT_ERROR_ARGUMENT);
    options = recipe(), options.average = 0.9, options.average_every = 0;
    CHECK_STATUS(hmt_trainer_create(r.model, &options, &trainer), HMT_ERROR_ARGUMENT);
    options = recipe(), options.rule_count = 1;
    CHECK_STATUS(hmt_trainer_create(r.model, &options, &trainer), HMT_ERROR_ARGUMENT);
    options.rules = &stranger;
    CHECK_STATUS(hmt_trainer_create(r.model, &options, &trainer), HMT_ERROR_NOT_FOUND);
    CHECK(strstr(hmt_last_error(), "conv9") != NULL);
    options.rules = &negative;
    CHECK_STATUS(hmt_trainer_create(r.model, &options, &trainer), HMT_ERROR_ARGUMENT);
    options.rules = &nameless;
    CHECK_STATUS(hmt_trainer_create(r.model, &options, &trainer), HMT_ERROR_ARGUMENT);
    CHECK(trainer == NULL);
    end(&r);
}

int main(void)
{
    fill_images();
    for (size_t i = 0; i < sizeof backends / sizeof backends[0]; ++i) {
        nesterov_looks_ahead(backends[i]);
        decay_can_leave_vectors_alone(backends[i]);
        accumulated_gradients_make_one_update(backends[i]);
        a_frozen_trunk_stays_as_it_is(backends[i]);
        a_frozen_middle_lets_gradients_through(backends[i]);
        rules_scale_the_rate(backends[i]);
        smoothed_labels_raise_the_loss_of_sure_answers(backends[i]);
        the_average_is_what_is_measured_and_saved(backends[i]);
        averaging_leaves_the_steps_alone(backends[i]);
        for (int threads = 1; threads < 3; ++threads)
            the_same_seed_gives_the_same_bytes(backends[i], threads);
    }
    the_model_is_an_average_of_the_run("onednn", 1);
    the_model_is_an_average_of_the_run("reference", 2);
    wrong_options_are_refused();
    return test_finish();
}
