/* tier: quick
 * A host's floating-point mode: rounding, flush-to-zero and traps change no bit of what the library
 * computes, whichever thread makes an object and whichever uses it, and are as they were
 * afterwards.
 */
#define _GNU_SOURCE /* feenableexcept */
#include <fenv.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "check.h"
#include "hmtnet/data.h"

enum { IMAGE = 3 * 224 * 224, BATCH = 2 };

static float images[BATCH * IMAGE];
static uint8_t photo[300 * 260 * 3];

static void to_nearest(void)
{
    fesetenv(FE_DFL_ENV);
}

static void upwards(void)
{
    fesetround(FE_UPWARD);
}

static void flush_to_zero(void)
{
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() | 0x8040); /* and subnormal operands are zeros */
#endif
}

static void traps(void)
{
    feclearexcept(FE_ALL_EXCEPT);
    feenableexcept(FE_ALL_EXCEPT);
}

/* What tells the modes apart. */
static long mode(void)
{
    long bits = fegetround() * 4L + (fegetexcept() != 0);

#if defined(__x86_64__)
    bits = bits * 65536 + (long)(_mm_getcsr() & 0xffc0u);
#endif
    return bits;
}

typedef struct answers {
    hmt_prediction predictions[BATCH], of_photo;
    hmt_losses losses, later;
    float gradient[BATCH * IMAGE], tensor[IMAGE];
} answers;

typedef struct objects {
    hmt_context *context;
    hmt_model *model, *trained;
    hmt_session *session;
    hmt_trainer *trainer;
} objects;

static void make(objects *o)
{
    hmt_context_options options = HMT_CONTEXT_OPTIONS_INIT;
    hmt_session_options s = HMT_SESSION_OPTIONS_INIT;
    hmt_trainer_options t = HMT_TRAINER_OPTIONS_INIT;
    hmt_model_config config;

    memset(o, 0, sizeof *o);
    options.backend = "onednn";
    options.threads = 2;
    hmt_model_config_init(&config);
    config.width = 0.0625;
    s.batch = t.batch = BATCH;
    s.gradients = HMT_GRADIENTS_INPUT;
    CHECK_STATUS(hmt_context_create(&options, &o->context), HMT_OK);
    CHECK_STATUS(hmt_model_create(o->context, &config, 1, &o->model), HMT_OK);
    CHECK_STATUS(hmt_model_create(o->context, &config, 1, &o->trained), HMT_OK);
    CHECK_STATUS(hmt_session_create(o->model, &s, &o->session), HMT_OK);
    CHECK_STATUS(hmt_trainer_create(o->trained, &t, &o->trainer), HMT_OK);
}

static void unmake(objects *o)
{
    hmt_trainer_free(o->trainer);
    hmt_session_free(o->session);
    hmt_model_free(o->trained);
    hmt_model_free(o->model);
    hmt_context_free(o->context);
}

static void use(objects *o, answers *a)
{
    const hmt_pixels pixels = {.data = photo, .width = 300, .height = 260};
    hmt_batch batch = HMT_BATCH_INIT;

    memset(a, 0, sizeof *a);
    a->losses = a->later = (hmt_losses)HMT_LOSSES_INIT;
    batch.count = BATCH;
    batch.images = images;
    batch.score = (const float[]){2.0f, 4.0f};
    CHECK_STATUS(hmt_infer(o->session, images, BATCH, a->predictions), HMT_OK);
    CHECK_STATUS(
        hmt_session_gradient(o->session, HMT_TASK_GENDER, 0, NULL, a->gradient, BATCH * IMAGE),
        HMT_OK);
    CHECK_STATUS(hmt_predict_pixels(o->session, &pixels, 1, &a->of_photo), HMT_OK);
    CHECK_STATUS(hmt_preprocess(o->context, &pixels, NULL, a->tensor, IMAGE), HMT_OK);
    for (int i = 0; i < 2; ++i)
        CHECK_STATUS(hmt_train_step(o->trainer, &batch, i == 0 ? &a->losses : &a->later), HMT_OK);
}

static int same(const answers *a, const answers *b)
{
    return memcmp(&a->predictions[0].score, &b->predictions[0].score, sizeof(float)) == 0 &&
           memcmp(a->predictions[1].gender.probabilities, b->predictions[1].gender.probabilities,
                  sizeof a->of_photo.gender.probabilities) == 0 &&
           memcmp(&a->of_photo.score, &b->of_photo.score, sizeof(float)) == 0 &&
           memcmp(a->gradient, b->gradient, sizeof a->gradient) == 0 &&
           memcmp(a->tensor, b->tensor, sizeof a->tensor) == 0 &&
           memcmp(&a->losses.total, &b->losses.total, sizeof a->losses.total) == 0 &&
           memcmp(&a->later.total, &b->later.total, sizeof a->later.total) == 0;
}

int main(void)
{
    void (*const modes[])(void) = {to_nearest, upwards, flush_to_zero, traps};
    const size_t count = sizeof modes / sizeof modes[0];
    static answers expected, got;
    objects o;

    for (size_t i = 0; i < BATCH * IMAGE; ++i)
        images[i] = (float)(i * 2654435761u % 1000) / 500.0f - 1.0f;
    images[7] = 1e-40f; /* subnormal */
    for (size_t i = 0; i < sizeof photo; ++i)
        photo[i] = (uint8_t)(i * 2654435761u >> 24);
    make(&o);
    use(&o, &expected);
    unmake(&o);
    for (size_t i = 0; i < count; ++i)
        for (int later = 0; later < 2; ++later) { /* the mode of the maker, or of the user alone */
            long before;

            to_nearest();
            if (!later)
                modes[i]();
            make(&o);
            if (later)
                modes[i]();
            before = mode();
            use(&o, &got);
            CHECK(mode() == before);
            unmake(&o);
            to_nearest();
            CHECK(same(&got, &expected));
        }
    return test_finish();
}
