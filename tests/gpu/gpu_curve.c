/*
 * gpu_curve MODULE [--spread]: a short training with the same seed on the CPU and through the
 * stand-ins gives the same losses, up to the roundings of each precision. A relu or max pool that
 * flips bends a curve at once, so the batch is not too small and the rate low. --spread measures
 * how far roundings alone bend it: the CPU's losses with parameters moved by one rounding.
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "../check.h"
#include "../fill.h"
#include "../load_module.h"
#include "core/status.h"
#include "standin.h"

enum { IMAGES = 16, STEPS = 4, SAMPLES = 5, IMAGE = 3 * 224 * 224 };
#define RATE 1e-4

/* Moves parameters by up to `reach`, relative: number `sample` of such moves. */
static void move_parameters(hmt_model *model, double reach, int sample)
{
    uint64_t state = (uint64_t)sample;

    for (size_t i = 0; reach > 0.0 && i < hmt_model_param_count(model); ++i) {
        hmt_param_info info = HMT_PARAM_INFO_INIT;
        float *values;

        CHECK_STATUS(hmt_model_param_info(model, i, &info), HMT_OK);
        values = malloc((size_t)info.count * sizeof *values);
        CHECK_STATUS(hmt_model_param_read(model, i, values, (size_t)info.count), HMT_OK);
        fill_disturb(info.count, values, reach, &state);
        CHECK_STATUS(hmt_model_param_write(model, i, values, (size_t)info.count), HMT_OK);
        free(values);
    }
}

/* Losses of a short training of a narrow network. */
static void train(const hmt_backend *on, hmt_precision precision, const float *images, double reach,
                  int sample, double losses[STEPS])
{
    int32_t gender[IMAGES], race[IMAGES];
    float score[IMAGES];
    const hmt_backend *const own[] = {on};
    hmt_context_options co = HMT_CONTEXT_OPTIONS_INIT;
    hmt_model_config config;
    hmt_trainer_options to = HMT_TRAINER_OPTIONS_INIT;
    hmt_batch batch = HMT_BATCH_INIT;
    hmt_context *context = NULL;
    hmt_model *model = NULL;
    hmt_trainer *trainer = NULL;

    for (int i = 0; i < IMAGES; ++i) {
        gender[i] = i % 3 == 0;
        race[i] = i % 4 == 1 ? -1 : i % 2;
        score[i] = 1.0f + (float)(i * 7 % 9) * 0.4f;
    }
    co.backends = own;
    co.backend_count = on != NULL;
    co.backend = on != NULL ? on->name : "onednn";
    co.precision = precision;
    hmt_model_config_init(&config);
    config.width = 1.0 / 16;
    to.batch = IMAGES;
    to.learning_rate = RATE;
    batch.count = IMAGES;
    batch.images = images;
    batch.gender = gender;
    batch.race = race;
    batch.score = score;
    CHECK_STATUS(hmt_context_create(&co, &context), HMT_OK);
    CHECK_STATUS(hmt_model_create(context, &config, 7, &model), HMT_OK);
    move_parameters(model, reach, sample);
    CHECK_STATUS(hmt_trainer_create(model, &to, &trainer), HMT_OK);
    for (int i = 0; i < STEPS && trainer != NULL; ++i) {
        hmt_losses now = HMT_LOSSES_INIT;

        CHECK_STATUS(hmt_train_step(trainer, &batch, &now), HMT_OK);
        losses[i] = now.total;
    }
    hmt_trainer_free(trainer);
    hmt_model_free(model);
    hmt_context_free(context);
}

static double apart(const double a[STEPS], const double b[STEPS])
{
    double most = 0.0;

    for (int i = 0; i < STEPS; ++i)
        most = fmax(most, fabs(a[i] - b[i]) / b[i]);
    return most;
}

static void same_curve(const hmt_backend *backend, bool spread)
{
    static const struct {
        hmt_precision precision;
        double unit, first, all; /* one rounding; tolerances of the first loss, of every loss */
    } on[] = {{HMT_PRECISION_FLOAT32, 0x1p-24, 2e-6, 5e-6},
              {HMT_PRECISION_TF32, 0x1p-11, 6e-4, 1e-3},
              {HMT_PRECISION_BFLOAT16, 0x1p-8, 4e-3, 6e-3}};
    float *images = malloc(IMAGES * IMAGE * sizeof *images);
    double cpu[STEPS] = {0};

    for (int i = 0; i < IMAGES * IMAGE; ++i)
        images[i] = sinf((float)(i % 224) * 0.05f + (float)(i / IMAGE)) +
                    cosf((float)(i / 224 % 224) * 0.03f * (float)(1 + i / IMAGE));
    train(NULL, HMT_PRECISION_FLOAT32, images, 0.0, 0, cpu);
    CHECK(cpu[STEPS - 1] < cpu[0]);
    for (size_t k = 0; k < sizeof on / sizeof on[0]; ++k) {
        double gpu[STEPS] = {0}, moved[STEPS] = {0};

        train(backend, on[k].precision, images, 0.0, 0, gpu);
        printf("precision %d: first loss differs by %.2g, all by at most %.2g (%.3f to %.3f)\n",
               (int)on[k].precision, fabs(gpu[0] - cpu[0]) / cpu[0], apart(gpu, cpu), cpu[0],
               cpu[STEPS - 1]);
        for (int i = 1; i <= SAMPLES && spread; ++i) {
            train(NULL, HMT_PRECISION_FLOAT32, images, on[k].unit, i, moved);
            printf("    on the CPU, parameters moved by up to %.2g: %.2g, %.2g\n", on[k].unit,
                   fabs(moved[0] - cpu[0]) / cpu[0], apart(moved, cpu));
        }
        CHECK(fabs(gpu[0] - cpu[0]) / cpu[0] < on[k].first);
        CHECK(apart(gpu, cpu) < on[k].all);
        CHECK(gpu[STEPS - 1] < gpu[0]);
    }
    free(images);
}

int main(int argc, char **argv)
{
    const hmt_backend *backend = argc > 1 ? load_module(argv[1]) : NULL;
    size_t leaks;

    if (backend == NULL)
        return 2;
    leaks = standin_leaks(NULL);
    same_curve(backend, argc > 2 && strcmp(argv[2], "--spread") == 0);
    CHECK(standin_leaks(stdout) == leaks);
    CHECK(standin_complaints() == 0);
    return test_finish();
}
