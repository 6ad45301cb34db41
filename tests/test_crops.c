/* tier: quick
 * 8-bit crops: the same bits as through floats where the host normalises, close to them where the
 * device does; and batches handed over ahead: used by the run they are for, by no other, and
 * without an effect on any result. The device is module_several.c's.
 */
#include "several.h"

enum { BATCH = 3, CROPS = 8, BYTES = IMAGE };

static several_state *state;
static uint8_t crops[CROPS * BYTES];
static float tensors[CROPS * IMAGE];

static void fill_crops(void)
{
    uint64_t seed = 9;

    for (size_t i = 0; i < sizeof crops; ++i) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        crops[i] = (uint8_t)(seed >> 40);
    }
}

/* Photos as crops, then normalised, are what hmt_preprocess() gives, whatever its options. */
static void cut_like_preprocess(void)
{
    static uint8_t photo[300 * 270 * 4], cut[5 * BYTES];
    static float whole[5 * IMAGE];
    hmt_pixels pixels = {photo, 300, 270, 0, HMT_PIXEL_RGBA, 0};

    for (size_t i = 0; i < sizeof photo; ++i)
        photo[i] = (uint8_t)(i * 2654435761u >> 13);
    for (int crop = HMT_CROP_CENTER; crop <= HMT_CROP_RANDOM; ++crop)
        for (int flip = 0; flip <= 2; ++flip) {
            const size_t count = crop == HMT_CROP_FIVE ? 5 : 1;
            hmt_preprocess_options o = HMT_PREPROCESS_OPTIONS_INIT;
            bool same = true;

            o.crop = (hmt_crop)crop;
            o.flip = flip;
            o.seed = 4;
            CHECK_STATUS(hmt_preprocess(NULL, &pixels, &o, whole, count * IMAGE), HMT_OK);
            CHECK_STATUS(hmt_preprocess_crops(NULL, &pixels, &o, cut, count * BYTES), HMT_OK);
            for (size_t i = 0; i < count * IMAGE; ++i) {
                const size_t n = i / IMAGE, c = i % IMAGE / (IMAGE / 3), at = i % (IMAGE / 3);
                const float level = (float)cut[(n * (IMAGE / 3) + at) * 3 + c];

                same = same && whole[i] == (level / 255.0f - o.mean[c]) / o.deviation[c];
            }
            CHECK(same);
        }
    CHECK_STATUS(hmt_preprocess_crops(NULL, &pixels, NULL, NULL, BYTES), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_preprocess_crops(NULL, &pixels, NULL, cut, BYTES - 1), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_preprocess_crops(NULL, NULL, NULL, cut, BYTES), HMT_ERROR_ARGUMENT);
}

typedef struct opened {
    hmt_context *context;
    hmt_model *model;
    hmt_session *session;
} opened;

static opened begin(const char *backend, hmt_gradients gradients)
{
    hmt_session_options o = HMT_SESSION_OPTIONS_INIT;
    opened s = {NULL, NULL, NULL};

    o.batch = BATCH;
    o.gradients = gradients;
    CHECK_STATUS(several_open(backend, NULL, &s.context), HMT_OK);
    CHECK_STATUS(several_model(s.context, &s.model), HMT_OK);
    CHECK_STATUS(hmt_session_create(s.model, &o, &s.session), HMT_OK);
    return s;
}

static void end(opened *s)
{
    hmt_session_free(s->session);
    hmt_model_free(s->model);
    hmt_context_free(s->context);
}

/* The crops as hmt_preprocess() makes them: a crop of 224 of a photo of 224 is the photo. */
static void normalise(const hmt_context *context)
{
    for (size_t i = 0; i < CROPS; ++i) {
        const hmt_pixels photo = {crops + i * BYTES, 224, 224, 0, HMT_PIXEL_RGB, 0};
        hmt_preprocess_options o = HMT_PREPROCESS_OPTIONS_INIT;

        o.resize = 224;
        CHECK_STATUS(hmt_preprocess(context, &photo, &o, tensors + i * IMAGE, IMAGE), HMT_OK);
    }
}

static double apart(const hmt_prediction *a, const hmt_prediction *b, size_t count)
{
    double most = 0.0;

    for (size_t i = 0; i < count; ++i) {
        most = fmax(most, fabs(a[i].score - b[i].score));
        most = fmax(most, fabs(a[i].gender.probabilities[0] - b[i].gender.probabilities[0]));
        most = fmax(most, fabs(a[i].race.probabilities[1] - b[i].race.probabilities[1]));
    }
    return most;
}

/* Whole and short runs, one and many to a call. */
static void infer_like_floats(const char *backend, hmt_gradients gradients, bool on_device)
{
    hmt_prediction a[CROPS], b[CROPS];
    opened s = begin(backend, gradients);

    normalise(s.context);
    for (size_t count = 1; count <= CROPS; ++count) {
        const int pixels = atomic_load(&state->pixels);

        CHECK_STATUS(hmt_infer(s.session, tensors, count, a), HMT_OK);
        CHECK(atomic_load(&state->pixels) == pixels);
        CHECK_STATUS(hmt_infer_crops(s.session, crops, count, b), HMT_OK);
        CHECK(atomic_load(&state->pixels) - pixels ==
              (on_device ? (int)((count + BATCH - 1) / BATCH) : 0));
        for (size_t i = 0; i < count; ++i)
            b[i].gender.name = a[i].gender.name, b[i].race.name = a[i].race.name;
        if (on_device)
            CHECK(apart(a, b, count) < 1e-4);
        else
            CHECK(memcmp(a, b, count * sizeof *a) == 0);
    }
    CHECK(apart(&a[0], &a[1], 1) > 1e-6); /* the crops do differ */
    CHECK_STATUS(hmt_infer_crops(s.session, NULL, 1, b), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_infer_crops(s.session, crops, 0, b), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_infer_crops(NULL, crops, 1, b), HMT_ERROR_ARGUMENT);
    end(&s);
}

/* The gradient by the images is that of the floats that the crops stand for. */
static void gradients(void)
{
    static float by_floats[BATCH * IMAGE], by_crops[BATCH * IMAGE];
    hmt_prediction p[BATCH];
    opened s = begin("several", HMT_GRADIENTS_INPUT);

    normalise(s.context);
    CHECK_STATUS(hmt_infer(s.session, tensors, 2, p), HMT_OK);
    CHECK_STATUS(
        hmt_session_gradient(s.session, HMT_TASK_ATTRACTIVENESS, 0, NULL, by_floats, BATCH * IMAGE),
        HMT_OK);
    CHECK_STATUS(hmt_infer_crops(s.session, crops, 2, p), HMT_OK);
    CHECK_STATUS(hmt_session_gradient(s.session, HMT_TASK_GENDER, 1, NULL, by_crops, BATCH * IMAGE),
                 HMT_OK); /* and back again, for which the forward run is repeated */
    CHECK_STATUS(
        hmt_session_gradient(s.session, HMT_TASK_ATTRACTIVENESS, 0, NULL, by_crops, BATCH * IMAGE),
        HMT_OK);
    CHECK(memcmp(by_floats, by_crops, sizeof by_floats) == 0);
    CHECK(hmt_session_stages(s.session) == 0); /* it keeps its images itself */
    end(&s);
}

/* Photos go the same way: on a device that takes pixels they are sent as pixels. */
static void photos(void)
{
    const hmt_pixels photo = {crops, 224, 224, 0, HMT_PIXEL_RGB, 0};
    hmt_session_options o = HMT_SESSION_OPTIONS_INIT;
    hmt_prediction a, b;
    hmt_session *five = NULL;
    opened device = begin("several", HMT_GRADIENTS_NONE),
           host = begin("reference", HMT_GRADIENTS_NONE);
    const int pixels = atomic_load(&state->pixels);

    CHECK_STATUS(hmt_predict_pixels(device.session, &photo, 1, &a), HMT_OK);
    CHECK_STATUS(hmt_predict_pixels(host.session, &photo, 1, &b), HMT_OK);
    CHECK(apart(&a, &b, 1) < 1e-4 && atomic_load(&state->pixels) == pixels + 1);
    o.five_crop = 1;
    o.batch = 2;
    CHECK_STATUS(hmt_session_create(device.model, &o, &five), HMT_OK);
    CHECK_STATUS(hmt_predict_pixels(five, &photo, 1, &a), HMT_OK);
    CHECK(atomic_load(&state->pixels) == pixels + 4);
    hmt_session_free(five);
    CHECK_STATUS(hmt_session_create(host.model, &o, &five), HMT_OK);
    CHECK_STATUS(hmt_predict_pixels(five, &photo, 1, &b), HMT_OK);
    CHECK(apart(&a, &b, 1) < 1e-4);
    hmt_session_free(five);
    end(&device);
    end(&host);
}

/* Counters of what was handed over and used since the last look. */
static void check_counts(int staged, int used)
{
    CHECK(atomic_exchange(&state->staged, 0) == staged);
    CHECK(atomic_exchange(&state->used, 0) == used);
}

/* The next batch handed over before the current one is computed, as a program does. */
static void ahead(void)
{
    hmt_prediction plain[BATCH * 2], p[BATCH];
    opened s = begin("several", HMT_GRADIENTS_NONE);

    normalise(s.context);
    check_counts(atomic_load(&state->staged), atomic_load(&state->used));
    CHECK(hmt_session_stages(s.session) != 0 && hmt_session_stages(NULL) == 0);
    for (size_t i = 0; i < 2; ++i)
        CHECK_STATUS(
            hmt_infer_crops(s.session, crops + i * BATCH * BYTES, BATCH, plain + i * BATCH),
            HMT_OK);
    check_counts(0, 0);
    CHECK_STATUS(hmt_session_stage_crops(s.session, crops, BATCH), HMT_OK);
    for (int round = 0; round < 4; ++round) {
        const int now = round % 2;

        CHECK_STATUS(
            hmt_session_stage_crops(s.session, crops + (size_t)(1 - now) * BATCH * BYTES, BATCH),
            HMT_OK);
        CHECK_STATUS(hmt_infer_crops(s.session, crops + (size_t)now * BATCH * BYTES, BATCH, p),
                     HMT_OK);
        CHECK(memcmp(p, plain + now * BATCH, sizeof p) == 0);
    }
    check_counts(5, 4);
    CHECK_STATUS(hmt_infer_crops(s.session, crops, BATCH, p), HMT_OK);
    check_counts(0, 1); /* the last of them */
    CHECK_STATUS(hmt_session_stage(s.session, tensors, BATCH), HMT_OK);
    CHECK_STATUS(hmt_infer(s.session, tensors, BATCH, p), HMT_OK);
    check_counts(1, 1);
    CHECK_STATUS(hmt_session_stage(s.session, tensors, BATCH - 1), HMT_OK); /* no whole batch */
    CHECK_STATUS(hmt_infer(s.session, tensors, BATCH - 1, p), HMT_OK);
    check_counts(0, 0);
    CHECK_STATUS(hmt_session_stage(s.session, NULL, BATCH), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_session_stage(s.session, tensors, 0), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_session_stage_crops(NULL, crops, BATCH), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_session_stage_crops(s.session, NULL, BATCH), HMT_ERROR_ARGUMENT);
    end(&s);
}

/* A call of several runs hands each over while the one before computes; the short last one not. */
static void long_calls(void)
{
    hmt_prediction whole[CROPS], one[1];
    opened s = begin("several", HMT_GRADIENTS_NONE);

    normalise(s.context);
    check_counts(atomic_load(&state->staged), atomic_load(&state->used));
    CHECK_STATUS(hmt_infer_crops(s.session, crops, CROPS, whole), HMT_OK);
    check_counts(1, 1); /* 3 + 3 + 2 */
    CHECK_STATUS(hmt_infer(s.session, tensors, 2 * BATCH, whole), HMT_OK);
    check_counts(1, 1);
    for (size_t i = 0; i < 2 * BATCH; ++i) {
        CHECK_STATUS(hmt_infer(s.session, tensors + i * IMAGE, 1, one), HMT_OK);
        CHECK(apart(one, &whole[i], 1) < 1e-6);
    }
    end(&s);
}

/* Where there is nothing to hand over to, doing so is allowed and does nothing. */
static void nothing_to_stage(void)
{
    hmt_prediction p[BATCH];
    opened s = begin("onednn", HMT_GRADIENTS_NONE);
    size_t index = 0;
    float bias = 2.0f;

    CHECK(hmt_session_stages(s.session) == 0);
    CHECK_STATUS(hmt_session_stage(s.session, tensors, BATCH), HMT_OK);
    CHECK_STATUS(hmt_session_stage_crops(s.session, crops, BATCH), HMT_OK);
    CHECK_STATUS(hmt_infer(s.session, tensors, BATCH, p), HMT_OK);
    CHECK_STATUS(hmt_model_param_find(s.model, "fc8.bias", &index), HMT_OK);
    CHECK_STATUS(hmt_model_param_write(s.model, index, &bias, 1), HMT_OK);
    CHECK_STATUS(hmt_session_stage(s.session, tensors, BATCH), HMT_ERROR_STATE);
    CHECK_STATUS(hmt_infer_crops(s.session, crops, BATCH, p), HMT_ERROR_STATE);
    end(&s);
}

/* A trainer's steps, on one device and on two, each of which gets its part. */
static void steps_ahead(int32_t devices)
{
    enum { STEP = 4 };
    static float batches[3][STEP * IMAGE];
    float score[STEP] = {1.0f, 2.0f, 3.0f, 4.0f}, *plain = NULL;
    size_t count;

    for (int i = 0; i < 3; ++i)
        several_fill(batches[i], STEP, 40 + (uint64_t)i);
    for (int handed = 0; handed < 2; ++handed) {
        hmt_trainer_options o = HMT_TRAINER_OPTIONS_INIT;
        hmt_batch b[4];
        hmt_trainer *trainer = NULL;
        opened s = begin("several", HMT_GRADIENTS_NONE);

        o.batch = STEP;
        o.device_count = devices;
        CHECK_STATUS(hmt_trainer_create(s.model, &o, &trainer), HMT_OK);
        CHECK(hmt_trainer_stages(trainer) != 0 && hmt_trainer_stages(NULL) == 0);
        for (int i = 0; i < 3; ++i)
            b[i] = (hmt_batch){sizeof b[i], STEP, batches[i], NULL, NULL, score};
        check_counts(atomic_load(&state->staged), atomic_load(&state->used));
        for (int i = 0; i < 3; ++i) {
            if (handed && i < 2)
                CHECK_STATUS(hmt_trainer_stage(trainer, &b[i + 1]), HMT_OK);
            CHECK_STATUS(hmt_train_step(trainer, &b[i], NULL), HMT_OK);
        }
        check_counts(handed ? 2 * devices : 0, handed ? 2 * devices : 0);
        if (handed)
            CHECK(several_same(s.model, plain));
        else
            plain = several_params(s.model, &count);
        b[3] = b[0];
        b[3].count = STEP - 1;
        CHECK_STATUS(hmt_trainer_stage(trainer, &b[3]), HMT_ERROR_ARGUMENT);
        CHECK_STATUS(hmt_trainer_stage(trainer, NULL), HMT_ERROR_ARGUMENT);
        CHECK_STATUS(hmt_trainer_stage(NULL, &b[0]), HMT_ERROR_ARGUMENT);
        hmt_trainer_free(trainer);
        end(&s);
    }
    free(plain);
}

int main(void)
{
    state = several_load();
    fill_crops();
    cut_like_preprocess();
    infer_like_floats("reference", HMT_GRADIENTS_NONE, false);
    infer_like_floats("onednn", HMT_GRADIENTS_NONE, false);
    infer_like_floats("several", HMT_GRADIENTS_NONE, true);
    infer_like_floats("several", HMT_GRADIENTS_INPUT, false);
    gradients();
    photos();
    ahead();
    long_calls();
    nothing_to_stage();
    steps_ahead(1);
    steps_ahead(2);
    CHECK(atomic_load(&state->live) == 0);
    return test_finish();
}
