/*
 * Golden training: the losses of some steps, the gradients of the first one, and all parameters and
 * statistics after the last one.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden.h"

enum { MOST_BATCH = 64, MOST_TENSORS = 256 };

/* The labels and images of every step: the file trains on one batch. */
typedef struct labelled {
    hmt_batch batch;
    int32_t gender[MOST_BATCH], race[MOST_BATCH];
    float score[MOST_BATCH];
    float *images;
} labelled;

static bool read_batch(golden *f, labelled *b)
{
    size_t count = (size_t)golden_number(f->json, "batch", 0.0);
    const cJSON *gender = golden_get(f->json, "gender"), *race = golden_get(f->json, "race");
    const cJSON *score = golden_get(f->json, "score");

    if (count < 2 || count > MOST_BATCH || cJSON_GetArraySize(gender) != (int)count ||
        cJSON_GetArraySize(race) != (int)count || cJSON_GetArraySize(score) != (int)count) {
        ++f->failures;
        puts("    FAILED: the file's labels do not fit its batch");
        return false;
    }
    for (int i = 0; i < (int)count; ++i) {
        b->gender[i] = cJSON_GetArrayItem(gender, i)->valueint;
        b->race[i] = cJSON_GetArrayItem(race, i)->valueint;
        b->score[i] = (float)cJSON_GetArrayItem(score, i)->valuedouble;
    }
    b->images = golden_input(f);
    b->batch = (hmt_batch){sizeof b->batch, count, b->images, b->gender, b->race, b->score};
    return true;
}

static hmt_trainer_options options_of(const golden *f)
{
    hmt_trainer_options options = HMT_TRAINER_OPTIONS_INIT;
    const cJSON *alphas = golden_get(f->json, "alphas");

    options.batch = (int32_t)golden_number(f->json, "batch", 0.0);
    options.learning_rate = golden_number(f->json, "lr", 0.0);
    options.momentum = golden_number(f->json, "momentum", 0.0);
    options.weight_decay = golden_number(f->json, "weight_decay", 0.0);
    for (int i = 0; i < HMT_TASK_COUNT && i < cJSON_GetArraySize(alphas); ++i)
        options.alpha[i] = cJSON_GetArrayItem(alphas, i)->valuedouble;
    return options;
}

static void check_losses(golden *f, const hmt_losses *got, const cJSON *want, int step)
{
    static const char *const names[] = {"gender_loss", "race_loss", "attractiveness_loss"};
    char of[64];

    for (int i = -1; i < HMT_TASK_COUNT; ++i) {
        const char *name = i < 0 ? "loss" : names[i];
        double value = i < 0 ? got->total : got->task[i];
        double expected = golden_number(want, name, NAN);

        snprintf(of, sizeof of, "%s, step %d", name, step);
        if (i < 0 || step == 1)
            golden_note(f, "losses", of, fabs(value - expected) / fabs(expected),
                        f->allowed.losses);
        else
            golden_note(f, "task losses, later", of, fabs(value - expected) / fabs(expected),
                        f->allowed.losses_later);
    }
}

/* A convolution's bias has no gradient but rounding noise where a batch norm follows: it is
 * measured against its weight's. */
static double bias_floor(const cJSON *digests, const char *name, const hmt_param_info *info)
{
    size_t length = strlen(name);
    char weight[256];

    if (info->dimensions != 1 || length < 5 || length > 200 ||
        strcmp(name + length - 5, ".bias") != 0 || strstr(name, "bn"))
        return 0.0;
    snprintf(weight, sizeof weight, "%.*s.weight", (int)(length - 5), name);
    return golden_number(golden_get(digests, weight), "max_abs", 0.0);
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Compares all parameters, or with a trainer their momentum, with the digests under `want`. */
static void check_params(golden *f, hmt_model *model, hmt_trainer *trainer, const cJSON *want)
{
    double norms[MOST_TENSORS];
    int norm_count = 0;
    const cJSON *digest;

    cJSON_ArrayForEach(digest, want)
    {
        hmt_param_info info = HMT_PARAM_INFO_INIT;
        float *values;
        size_t index;

        if (!golden_ok(f, digest->string, hmt_model_param_find(model, digest->string, &index)) ||
            !golden_ok(f, digest->string, hmt_model_param_info(model, index, &info)))
            continue;
        values = malloc((size_t)info.count * sizeof(float));
        if (trainer && norm_count < MOST_TENSORS &&
            golden_ok(f, info.name,
                      hmt_trainer_momentum_read(trainer, index, values, (size_t)info.count)))
            norms[norm_count++] =
                golden_digest(f, "gradients", "gradients, L2", info.name, values, info.count,
                              digest, bias_floor(want, digest->string, &info), f->allowed.gradient,
                              f->allowed.gradient_l2);
        else if (!trainer &&
                 golden_ok(f, info.name,
                           hmt_model_param_read(model, index, values, (size_t)info.count)))
            golden_digest(f, "state after", NULL, info.name, values, info.count, digest, 0.0,
                          f->allowed.state, f->allowed.state);
        free(values);
    }
    if (norm_count == 0)
        return;
    qsort(norms, (size_t)norm_count, sizeof norms[0], ascending);
    golden_note(f, "gradients, L2, median", "all", norms[norm_count / 2],
                f->allowed.gradient_median);
}

/* With rate, decay and momentum 0, what a step leaves in the momentum is the gradient. */
static void gradients(golden *f, const labelled *b)
{
    const cJSON *want = cJSON_GetArrayItem(golden_get(f->json, "steps"), 0);
    hmt_trainer_options options = options_of(f);
    hmt_model *model = golden_model(f);
    hmt_losses losses = HMT_LOSSES_INIT;
    hmt_trainer *trainer = NULL;

    options.learning_rate = options.momentum = options.weight_decay = 0.0;
    if (model && golden_ok(f, "trainer", hmt_trainer_create(model, &options, &trainer)) &&
        golden_ok(f, "train_step", hmt_train_step(trainer, &b->batch, &losses))) {
        check_losses(f, &losses, want, 1);
        check_params(f, model, trainer, golden_get(want, "grad"));
    }
    hmt_trainer_free(trainer);
    hmt_model_free(model);
}

static void steps(golden *f, const labelled *b)
{
    const cJSON *list = golden_get(f->json, "steps");
    hmt_trainer_options options = options_of(f);
    hmt_model *model = golden_model(f);
    hmt_trainer *trainer = NULL;

    if (model && golden_ok(f, "trainer", hmt_trainer_create(model, &options, &trainer))) {
        for (int i = 0; i < cJSON_GetArraySize(list); ++i) {
            hmt_losses losses = HMT_LOSSES_INIT;

            if (golden_ok(f, "train_step", hmt_train_step(trainer, &b->batch, &losses)))
                check_losses(f, &losses, cJSON_GetArrayItem(list, i), i + 1);
        }
        check_params(f, model, NULL, golden_get(f->json, "state_after"));
    }
    hmt_trainer_free(trainer);
    hmt_model_free(model);
}

void golden_train(golden *f)
{
    labelled b;

    if (!read_batch(f, &b))
        return;
    gradients(f, &b);
    steps(f, &b);
    free(b.images);
}
