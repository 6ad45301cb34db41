/* tier: quick
 * Trainers on several devices: what they learn is what one device learns from the whole batch,
 * however labels are spread; checkpoints; options; and a device that fails stops all of them with
 * one status and nothing half done in the model. The devices are those of module_several.c.
 */
#include "several.h"

enum { BATCH = 8, HALF = BATCH / 2, STEPS = 3 };

static several_state *state;
static float images[STEPS][BATCH * IMAGE];
static int32_t genders[BATCH] = {0, 1, 1, 0, 0, 1, 1, 0}, races[BATCH] = {1, 0, 1, 1, 1, 0, 1, 1};
static float scores[BATCH] = {2.0f, 3.5f, 4.0f, 1.5f, 2.0f, 3.5f, 4.0f, 1.5f};
static char path[256];

static hmt_trainer_options recipe(int32_t batch, int32_t devices)
{
    hmt_trainer_options o = HMT_TRAINER_OPTIONS_INIT;

    o.batch = batch;
    o.device_count = devices;
    o.learning_rate = 0.01;
    return o;
}

static several_run begin(const char *backend, const char *from, const hmt_trainer_options *o)
{
    several_run r = {NULL, NULL, NULL};

    CHECK_STATUS(several_open(backend, NULL, &r.context), HMT_OK);
    if (from != NULL)
        CHECK_STATUS(hmt_model_load(r.context, from, NULL, &r.model), HMT_OK);
    else
        CHECK_STATUS(several_model(r.context, &r.model), HMT_OK);
    CHECK_STATUS(hmt_trainer_create(r.model, o, &r.trainer), HMT_OK);
    return r;
}

/* Rows `first` to `first` + `count` of batch `step`. */
static hmt_batch rows(int step, size_t first, size_t count)
{
    hmt_batch b = HMT_BATCH_INIT;

    b.count = count;
    b.images = images[step] + first * IMAGE;
    b.gender = genders + first;
    b.race = races + first;
    b.score = scores + first;
    return b;
}

static double train(const several_run *r, int step)
{
    const hmt_batch b = rows(step, 0, BATCH);
    hmt_losses losses = HMT_LOSSES_INIT;

    CHECK_STATUS(hmt_train_step(r->trainer, &b, &losses), HMT_OK);
    return losses.total;
}

static bool ends_with(const char *name, const char *end)
{
    size_t length = strlen(name), tail = strlen(end);

    return length >= tail && strcmp(name + length - tail, end) == 0;
}

/* Running variances are unbiased for what a device sees: those of `b`, of half the batch, are
 * larger by one factor for all channels, between 1 and that of a single value for each image. */
static bool close_variances(const float *a, const float *b, size_t count, double kept)
{
    const double first = (b[0] - kept) / (a[0] - kept), most = (4.0 / 3.0) / (8.0 / 7.0);
    bool good = first > 0.999 && first < most * 1.001;

    for (size_t i = 1; i < count; ++i)
        good = good && fabs((b[i] - kept) / (a[i] - kept) / first - 1.0) < 1e-2;
    return good;
}

/* Whether the parameters of both agree; statistics only if asked for, after `steps` of them. */
static void compare(const several_run *one, const several_run *two, bool statistics, int steps)
{
    for (size_t i = 0; i < hmt_model_param_count(one->model); ++i) {
        hmt_param_info info = HMT_PARAM_INFO_INIT;
        double most = 0.0, apart = 0.0;
        float *a, *b;

        CHECK_STATUS(hmt_model_param_info(one->model, i, &info), HMT_OK);
        if (!info.trainable && !statistics)
            continue;
        a = calloc((size_t)info.count, sizeof *a);
        b = calloc((size_t)info.count, sizeof *b);
        CHECK_STATUS(hmt_model_param_read(one->model, i, a, (size_t)info.count), HMT_OK);
        CHECK_STATUS(hmt_model_param_read(two->model, i, b, (size_t)info.count), HMT_OK);
        for (int64_t k = 0; k < info.count; ++k) {
            most = fmax(most, fabs(a[k]));
            apart = fmax(apart, fabs(a[k] - b[k]));
        }
        if (ends_with(info.name, "running_var"))
            CHECK(close_variances(a, b, (size_t)info.count, pow(0.9, steps)));
        else
            CHECK(apart <= 1e-4 * most + 1e-7);
        if (apart > 1e-4 * most + 1e-7 && !ends_with(info.name, "running_var"))
            printf("%s: %g of %g apart\n", info.name, apart, most);
        free(a);
        free(b);
    }
}

/* Both halves of each batch hold the same images, so that their statistics are the whole's. */
static void equal_halves(void)
{
    for (int step = 0; step < STEPS; ++step) {
        several_fill(images[step], HALF, 11 + (uint64_t)step);
        memcpy(images[step] + HALF * IMAGE, images[step], HALF * IMAGE * sizeof(float));
    }
}

static void like_one_device(void)
{
    const hmt_trainer_options alone = recipe(BATCH, 0), shared = recipe(BATCH, 2);
    several_run one, two;

    equal_halves();
    one = begin("reference", NULL, &alone);
    two = begin("several", NULL, &shared);
    CHECK(atomic_load(&state->joined) == 2);
    for (int step = 0; step < 2; ++step) {
        double a = train(&one, step), b = train(&two, step);

        CHECK(fabs(a - b) < 1e-5 * fabs(a));
    }
    CHECK(atomic_load(&state->summed) > 50);
    compare(&one, &two, true, 2);
    several_end(&one);
    several_end(&two);
    CHECK(atomic_load(&state->live) == 0);
}

/* Labels that only the first half has: the factors of the gradients are those of all labels in the
 * batch, so the first device learns what it would learn alone, and the second adds nothing. */
static void uneven_labels(void)
{
    hmt_trainer_options alone = recipe(HALF, 1), shared = recipe(BATCH, 2);
    const hmt_batch half = rows(0, 0, HALF);
    hmt_losses a = HMT_LOSSES_INIT, b = HMT_LOSSES_INIT;
    hmt_batch whole = rows(0, 0, BATCH);
    int32_t some[BATCH];
    several_run one, two;

    equal_halves();
    alone.alpha[1] = alone.alpha[2] = shared.alpha[1] = shared.alpha[2] = 0.0;
    for (int i = 0; i < BATCH; ++i)
        some[i] = i < HALF ? genders[i] : -1;
    whole.gender = some;
    one = begin("reference", NULL, &alone);
    two = begin("several", NULL, &shared);
    CHECK_STATUS(hmt_train_step(one.trainer, &half, &a), HMT_OK);
    CHECK_STATUS(hmt_train_step(two.trainer, &whole, &b), HMT_OK);
    CHECK(b.labelled[0] == HALF && fabs(a.total - b.total) < 1e-6 * a.total);
    compare(&one, &two, false, 1);
    several_end(&one);
    several_end(&two);
}

/* Halves that differ: as two steps of half the batch whose gradients one device adds up. */
static void like_accumulation(void)
{
    hmt_trainer_options alone = recipe(HALF, 0), shared = recipe(BATCH, 2);
    several_run one, two;

    alone.accumulate = 2;
    several_fill(images[0], BATCH, 77);
    one = begin("reference", NULL, &alone);
    two = begin("several", NULL, &shared);
    for (size_t part = 0; part < 2; ++part) {
        const hmt_batch b = rows(0, part * HALF, HALF);

        CHECK_STATUS(hmt_train_step(one.trainer, &b, NULL), HMT_OK);
    }
    train(&two, 0);
    compare(&one, &two, false, 1);
    several_end(&one);
    several_end(&two);
}

/* The same again gives the same bits, and four devices are as good as two. */
static void repeatable(void)
{
    const int32_t numbers[] = {0, 3, 1, 2};
    hmt_trainer_options shared = recipe(BATCH, 4);
    float *first = NULL;
    size_t count;

    several_fill(images[0], BATCH, 78);
    shared.devices = numbers;
    for (int round = 0; round < 3; ++round) {
        several_run r = begin("several", NULL, &shared);

        CHECK(atomic_load(&state->joined) == 4);
        train(&r, 0);
        if (first == NULL)
            first = several_params(r.model, &count);
        else
            CHECK(several_same(r.model, first));
        several_end(&r);
    }
    for (int i = 0; i < SEVERAL_DEVICES; ++i)
        CHECK(atomic_load(&state->opened[i]) > 0);
    free(first);
}

/* Evaluation, momentum, memory; a checkpoint goes on with the same bits. */
static void checkpoints(void)
{
    const hmt_trainer_options shared = recipe(BATCH, 2), alone = recipe(BATCH, 0);
    hmt_prediction faces[BATCH];
    hmt_losses losses = HMT_LOSSES_INIT;
    hmt_memory small = HMT_MEMORY_INIT, large = HMT_MEMORY_INIT;
    const hmt_batch b = rows(1, 0, BATCH), few = rows(1, 0, 3);
    hmt_trainer *other = NULL;
    size_t count, index = 0;
    float *whole, momentum[1];
    several_run r, again;

    for (int step = 0; step < STEPS; ++step)
        several_fill(images[step], BATCH, 100 + (uint64_t)step);
    r = begin("several", NULL, &shared);
    for (int step = 0; step < STEPS; ++step)
        train(&r, step);
    CHECK_STATUS(hmt_evaluate(r.trainer, &b, &losses, faces), HMT_OK);
    CHECK(losses.labelled[0] == BATCH && isfinite(losses.total));
    CHECK_STATUS(hmt_evaluate(r.trainer, &few, &losses, faces), HMT_OK);
    CHECK_STATUS(hmt_model_param_find(r.model, "fc8.bias", &index), HMT_OK);
    CHECK_STATUS(hmt_trainer_momentum_read(r.trainer, index, momentum, 1), HMT_OK);
    CHECK(momentum[0] != 0.0f);
    CHECK_STATUS(hmt_trainer_memory(r.trainer, &large), HMT_OK);
    whole = several_params(r.model, &count);
    several_end(&r);

    r = begin("several", NULL, &shared);
    train(&r, 0);
    CHECK_STATUS(hmt_trainer_save(r.trainer, path, "one step"), HMT_OK);
    several_end(&r);
    again = begin("several", path, &shared);
    CHECK_STATUS(hmt_trainer_resume(again.trainer, path), HMT_OK);
    train(&again, 1); /* here each device needs its momentum, */
    train(&again, 2); /* and here it shows in what the other one learns */
    CHECK(several_same(again.model, whole));
    several_end(&again);

    again = begin("several", path, &alone); /* one device sees other statistics */
    CHECK_STATUS(hmt_trainer_resume(again.trainer, path), HMT_ERROR_ARGUMENT);
    CHECK(strstr(hmt_last_error(), "devices was 2") != NULL);
    CHECK_STATUS(hmt_trainer_memory(again.trainer, &small), HMT_OK);
    CHECK(large.packed > small.packed && large.parameters == small.parameters);
    CHECK_STATUS(hmt_trainer_create(again.model, &shared, &other), HMT_ERROR_STATE);
    several_end(&again);
    free(whole);
}

static void refused(const char *backend, const hmt_trainer_options *o, hmt_status code,
                    const char *words)
{
    hmt_context *context = NULL;
    hmt_model *model = NULL;
    hmt_trainer *trainer = NULL;

    CHECK_STATUS(several_open(backend, NULL, &context), HMT_OK);
    CHECK_STATUS(several_model(context, &model), HMT_OK);
    CHECK_STATUS(hmt_trainer_create(model, o, &trainer), code);
    CHECK(strstr(hmt_last_error(), words) != NULL);
    if (strstr(hmt_last_error(), words) == NULL)
        printf("\"%s\" is not in \"%s\"\n", words, hmt_last_error());
    hmt_model_free(model);
    hmt_context_free(context);
}

static void options(void)
{
    const int32_t twice[] = {0, 2, 2}, foreign[] = {1, 0}, far[] = {0, 9};
    hmt_trainer_options o = recipe(BATCH, 3);

    refused("several", &o, HMT_ERROR_ARGUMENT, "a batch of 8 cannot be shared by 3 devices");
    o.batch = 3;
    refused("several", &o, HMT_ERROR_ARGUMENT, "two images or more");
    o.batch = 12;
    o.devices = twice;
    refused("several", &o, HMT_ERROR_ARGUMENT, "device 2 is named twice");
    o = recipe(BATCH, 2);
    o.devices = foreign;
    refused("several", &o, HMT_ERROR_ARGUMENT, "the first of the devices is 1, the context's is 0");
    o.devices = far;
    refused("several", &o, HMT_ERROR_NOT_FOUND, "none has the number 9");
    o = recipe(BATCH, -1);
    refused("several", &o, HMT_ERROR_ARGUMENT, "device_count is -1");
    o = recipe(BATCH, 65);
    refused("several", &o, HMT_ERROR_ARGUMENT, "device_count is 65");
    o = recipe(30, 5);
    refused("several", &o, HMT_ERROR_NOT_FOUND, "none has the number 4");
    o = recipe(BATCH, 2);
    refused("reference", &o, HMT_ERROR_NOT_FOUND, "backend reference has 1 devices");
    o.struct_size = offsetof(hmt_trainer_options, device_count); /* a host of an older header */
    {
        several_run r = begin("several", NULL, &o);

        several_end(&r);
    }
}

/* A loss that is not finite on one device changes nothing on any. */
static void not_finite(void)
{
    const hmt_trainer_options shared = recipe(BATCH, 2);
    const hmt_batch bad = rows(0, 0, BATCH);
    float *before;
    size_t count;
    several_run r;

    several_fill(images[0], BATCH, 5);
    several_fill(images[1], BATCH, 6);
    r = begin("several", NULL, &shared);
    train(&r, 1);
    before = several_params(r.model, &count);
    images[0][(BATCH - 1) * IMAGE] = INFINITY; /* in the second device's part */
    CHECK_STATUS(hmt_train_step(r.trainer, &bad, NULL), HMT_ERROR_NONFINITE);
    CHECK(strstr(hmt_last_error(), "step 2: device 1: ") != NULL);
    CHECK(several_same(r.model, before));
    train(&r, 1);
    CHECK(!several_same(r.model, before));
    several_end(&r);
    free(before);
}

/* One device's backward run fails: one status, and the model keeps what was brought home last. */
static void one_fails(int device)
{
    const hmt_trainer_options shared = recipe(BATCH, 2);
    const hmt_batch b = rows(0, 0, BATCH);
    hmt_model *copy = NULL;
    hmt_session *session = NULL;
    hmt_prediction face;
    float *home, value;
    char expected[64];
    size_t count;
    several_run r;

    several_fill(images[0], BATCH, 5);
    r = begin("several", NULL, &shared);
    train(&r, 0);
    home = several_params(r.model, &count); /* brought home after step 1 */
    train(&r, 0);
    atomic_store(&state->fail_backward, device + 1);
    CHECK_STATUS(hmt_train_step(r.trainer, &b, NULL), HMT_ERROR_BACKEND);
    snprintf(expected, sizeof expected, "%sseveral: the backward run fails",
             device > 0 ? "device 1: " : "");
    CHECK(strcmp(hmt_last_error(), expected) == 0);
    CHECK(atomic_load(&state->fail_backward) == 0);
    CHECK_STATUS(hmt_train_step(r.trainer, &b, NULL), HMT_ERROR_STATE);
    CHECK(strstr(hmt_last_error(), "step 3 failed half-way") != NULL);
    CHECK_STATUS(hmt_evaluate(r.trainer, &b, NULL, NULL), HMT_ERROR_STATE);
    CHECK_STATUS(hmt_trainer_stage(r.trainer, &b), HMT_ERROR_STATE);
    CHECK_STATUS(hmt_trainer_momentum_read(r.trainer, 0, &value, 1), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_trainer_save(r.trainer, path, NULL), HMT_ERROR_STATE);
    CHECK_STATUS(hmt_model_sync(r.model), HMT_ERROR_STATE);
    CHECK(strstr(hmt_last_error(), "the model keeps those of step 1") != NULL);
    CHECK_STATUS(hmt_model_copy(r.model, NULL, &copy), HMT_ERROR_STATE);
    CHECK_STATUS(hmt_session_create(r.model, NULL, &session), HMT_ERROR_STATE);
    hmt_trainer_free(r.trainer);
    r.trainer = NULL;
    CHECK_STATUS(hmt_model_sync(r.model), HMT_OK);
    CHECK(several_same(r.model, home));
    CHECK_STATUS(hmt_model_copy(r.model, NULL, &copy), HMT_OK);
    CHECK(several_same(copy, home));
    CHECK_STATUS(hmt_session_create(r.model, NULL, &session), HMT_OK);
    CHECK_STATUS(hmt_infer(session, images[0], 1, &face), HMT_OK);
    CHECK_STATUS(hmt_trainer_create(r.model, &shared, &r.trainer), HMT_OK);
    train(&r, 0);
    hmt_session_free(session);
    hmt_model_free(copy);
    several_end(&r);
    CHECK(atomic_load(&state->live) == 0);
    free(home);
}

int main(void)
{
    state = several_load();
    snprintf(path, sizeof path, "%s/hmtnet-devices-%ld.safetensors",
             getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp", (long)getpid());
    like_one_device();
    atomic_store(&state->views, 1); /* the second device must not be shown the model's memory */
    like_one_device();
    atomic_store(&state->views, 0);
    uneven_labels();
    like_accumulation();
    repeatable();
    checkpoints();
    options();
    not_finite();
    one_fails(0);
    one_fails(1);
    CHECK(atomic_load(&state->live) == 0);
    unlink(path);
    return test_finish();
}
