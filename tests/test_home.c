/* tier: quick
 * Parameters between a device and the model: brought home whole or not at all, kept when the device
 * is lost, moved to another context and saved at any time. The devices are those of
 * module_several.c.
 */
#include "reference/reference.h"
#include "several.h"

enum { BATCH = 4 };

static several_state *state;
static float images[BATCH * IMAGE];
static char path[256];

static hmt_batch batch(void)
{
    static const float scores[BATCH] = {2.0f, 4.0f, 1.0f, 5.0f};
    hmt_batch b = HMT_BATCH_INIT;

    b.count = BATCH;
    b.images = images;
    b.score = scores;
    return b;
}

static several_run begin(const char *backend, int32_t devices)
{
    hmt_trainer_options o = HMT_TRAINER_OPTIONS_INIT;
    several_run r = {NULL, NULL, NULL};

    o.batch = BATCH;
    o.device_count = devices;
    CHECK_STATUS(several_open(backend, NULL, &r.context), HMT_OK);
    CHECK_STATUS(several_model(r.context, &r.model), HMT_OK);
    CHECK_STATUS(hmt_trainer_create(r.model, &o, &r.trainer), HMT_OK);
    return r;
}

static void train(const several_run *r)
{
    const hmt_batch b = batch();

    CHECK_STATUS(hmt_train_step(r->trainer, &b, NULL), HMT_OK);
}

/* The score bias in the file at `path`, which must be whole. */
static bool file_holds(const float *expected)
{
    hmt_model *saved = NULL;
    bool same;

    CHECK_STATUS(hmt_model_load(NULL, path, NULL, &saved), HMT_OK);
    same = several_same(saved, expected);
    hmt_model_free(saved);
    return same;
}

/* In the middle of a training run, on a device and on the CPU. */
static void move_while_training(const char *backend)
{
    several_run r = begin(backend, 1);
    hmt_context *cpu = NULL;
    hmt_model *copy = NULL;
    hmt_session *session = NULL;
    hmt_prediction face;
    float *now;
    size_t count;

    CHECK_STATUS(several_open("reference", NULL, &cpu), HMT_OK);
    train(&r);
    CHECK_STATUS(hmt_model_copy(r.model, cpu, &copy), HMT_OK);
    now = several_params(r.model, &count);
    CHECK(several_same(copy, now));
    CHECK_STATUS(hmt_model_save(r.model, path, HMT_DTYPE_F32), HMT_OK);
    CHECK(file_holds(now));
    train(&r); /* the copy stays as it is */
    CHECK(several_same(copy, now) && !several_same(r.model, now));
    several_end(&r); /* and needs nothing of the first */
    CHECK_STATUS(hmt_session_create(copy, NULL, &session), HMT_OK);
    CHECK_STATUS(hmt_infer(session, images, 1, &face), HMT_OK);
    CHECK(isfinite(face.score));
    hmt_session_free(session);
    hmt_model_free(copy);
    hmt_context_free(cpu);
    free(now);
}

/* Narrow weights stay narrow, and give the same bits in the copy. */
static void move_narrow(hmt_dtype dtype)
{
    hmt_context *context = NULL;
    hmt_model *model = NULL, *narrow = NULL, *copy = NULL;
    hmt_session *a = NULL, *b = NULL;
    hmt_memory first = HMT_MEMORY_INIT, second = HMT_MEMORY_INIT;
    hmt_prediction p, q;
    float *values;
    size_t count;

    CHECK_STATUS(several_open("onednn", NULL, &context), HMT_OK);
    CHECK_STATUS(several_model(context, &model), HMT_OK);
    CHECK_STATUS(hmt_model_save(model, path, dtype), HMT_OK);
    CHECK_STATUS(hmt_model_load(context, path, NULL, &narrow), HMT_OK);
    CHECK_STATUS(hmt_model_copy(narrow, context, &copy), HMT_OK);
    CHECK_STATUS(hmt_session_create(narrow, NULL, &a), HMT_OK);
    CHECK_STATUS(hmt_infer(a, images, 1, &p), HMT_OK);
    CHECK_STATUS(hmt_session_memory(a, &first), HMT_OK);
    values = several_params(narrow, &count);
    hmt_session_free(a);
    hmt_model_free(narrow); /* with its map */
    CHECK_STATUS(hmt_session_create(copy, NULL, &b), HMT_OK);
    CHECK_STATUS(hmt_infer(b, images, 1, &q), HMT_OK);
    CHECK_STATUS(hmt_session_memory(b, &second), HMT_OK);
    CHECK(p.score == q.score && p.gender.probabilities[0] == q.gender.probabilities[0]);
    CHECK(first.parameters == second.parameters);
    CHECK(several_same(copy, values));
    hmt_session_free(b);
    hmt_model_free(copy);
    hmt_model_free(model);
    hmt_context_free(context);
    free(values);
}

/* The device is lost between two steps. */
static void lost(void)
{
    several_run r = begin("several", 2);
    const hmt_batch b = batch();
    hmt_model *copy = NULL;
    float *home;
    size_t count;

    train(&r);
    CHECK_STATUS(hmt_model_sync(r.model), HMT_OK);
    CHECK_STATUS(hmt_model_save(r.model, path, HMT_DTYPE_F32), HMT_OK);
    home = several_params(r.model, &count);
    train(&r);
    train(&r);
    atomic_store(&state->lost, 1);
    CHECK_STATUS(hmt_model_sync(r.model), HMT_ERROR_BACKEND);
    CHECK(strcmp(hmt_last_error(), "several: device 0 was lost: the parameters do not come home; "
                                   "the model keeps those of step 1") == 0);
    CHECK_STATUS(hmt_model_save(r.model, path, HMT_DTYPE_F32), HMT_ERROR_BACKEND);
    CHECK_STATUS(hmt_model_copy(r.model, NULL, &copy), HMT_ERROR_BACKEND);
    CHECK_STATUS(hmt_train_step(r.trainer, &b, NULL), HMT_ERROR_BACKEND);
    several_logged[0] = '\0';
    hmt_trainer_free(r.trainer);
    CHECK(strstr(several_logged, "the model keeps those of step 1") != NULL);
    r.trainer = NULL;
    CHECK_STATUS(hmt_model_sync(r.model), HMT_OK);
    CHECK(several_same(r.model, home));
    CHECK_STATUS(hmt_model_copy(r.model, NULL, &copy), HMT_OK); /* the CPU goes on with them */
    CHECK(several_same(copy, home));
    CHECK(file_holds(home));
    CHECK_STATUS(hmt_model_save(r.model, path, HMT_DTYPE_F32), HMT_OK);
    CHECK(file_holds(home));
    hmt_model_free(copy);
    several_end(&r);
    atomic_store(&state->lost, 0);
    CHECK(atomic_load(&state->live) == 0);
    free(home);
}

/* The device gives `at` - 1 of the parameters and is then lost. Returns whether it was not. */
static bool lose_at(int at)
{
    several_run r = begin("several", 1);
    hmt_status status;
    float *home;
    size_t count;

    train(&r);
    home = several_params(r.model, &count);
    train(&r);
    atomic_store(&state->fail_call, atomic_load(&state->calls) + at);
    status = hmt_model_sync(r.model);
    atomic_store(&state->fail_call, 0);
    atomic_store(&state->lost, 1);
    hmt_trainer_free(r.trainer);
    r.trainer = NULL;
    CHECK(status == HMT_OK || status == HMT_ERROR_BACKEND);
    CHECK(several_same(r.model, home) == (status != HMT_OK));
    several_end(&r);
    atomic_store(&state->lost, 0);
    free(home);
    return status == HMT_OK;
}

/* The model never mixes two steps. */
static void lost_on_the_way(void)
{
    int at = 1;

    while (!lose_at(at) && at < 200)
        at += 5;
    CHECK(at > 20 && at < 200); /* there is a call for each parameter */
}

/* A backend that trains in the model's own memory and fails half-way leaves nothing to go on with:
 * the model says so and is not saved. */
static hmt_status failing_run(void *exec, hmt_run *run);
static const hmt_backend *inner;
static const hmt_host *host_of;
static int backward_runs;

static hmt_status keep_host(int32_t device, const hmt_host *host, void **opened)
{
    host_of = host;
    return inner->device_open(device, host, opened);
}

static hmt_status failing_run(void *exec, hmt_run *run)
{
    hmt_status status = inner->exec_run(exec, run);

    if (status == HMT_OK && run->phase == HMT_PHASE_BACKWARD && ++backward_runs == 2)
        return host_of->fail(HMT_ERROR_BACKEND, "the second backward run fails");
    return status;
}

static void spoiled(void)
{
    hmt_backend table = backend_reference;
    const hmt_backend *const list[] = {&table};
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;
    hmt_trainer_options recipe = HMT_TRAINER_OPTIONS_INIT;
    const hmt_batch b = batch();
    hmt_model *copy = NULL;
    several_run r = {NULL, NULL, NULL};

    inner = &backend_reference;
    table.name = "failing";
    table.exec_run = failing_run;
    table.device_open = keep_host;
    o.backends = list;
    o.backend_count = 1;
    o.backend = "failing";
    recipe.batch = BATCH;
    CHECK_STATUS(hmt_context_create(&o, &r.context), HMT_OK);
    CHECK_STATUS(several_model(r.context, &r.model), HMT_OK);
    CHECK_STATUS(hmt_trainer_create(r.model, &recipe, &r.trainer), HMT_OK);
    train(&r);
    CHECK_STATUS(hmt_train_step(r.trainer, &b, NULL), HMT_ERROR_BACKEND);
    CHECK_STATUS(hmt_model_sync(r.model), HMT_ERROR_STATE);
    CHECK(strstr(hmt_last_error(), "half changed") != NULL);
    hmt_trainer_free(r.trainer);
    r.trainer = NULL;
    CHECK_STATUS(hmt_model_sync(r.model), HMT_ERROR_STATE);
    CHECK(strstr(hmt_last_error(), "load it again") != NULL);
    CHECK_STATUS(hmt_model_save(r.model, path, HMT_DTYPE_F32), HMT_ERROR_STATE);
    CHECK_STATUS(hmt_model_copy(r.model, NULL, &copy), HMT_ERROR_STATE);
    CHECK_STATUS(hmt_trainer_create(r.model, &recipe, &r.trainer), HMT_ERROR_STATE);
    several_end(&r);
}

int main(void)
{
    state = several_load();
    snprintf(path, sizeof path, "%s/hmtnet-home-%ld.safetensors",
             getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp", (long)getpid());
    several_fill(images, BATCH, 3);
    move_while_training("several");
    move_while_training("onednn");
    move_narrow(HMT_DTYPE_F16);
    move_narrow(HMT_DTYPE_I8);
    lost();
    lost_on_the_way();
    spoiled();
    unlink(path);
    return test_finish();
}
