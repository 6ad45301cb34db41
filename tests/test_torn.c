/* tier: quick
 * A model that is trained while somebody else looks at it, or whose parameters cannot all be copied
 * back from where they are trained: no answer, file or copy ever mixes the parameters of two steps.
 * The other party strikes from inside a backend's call, a hook or an allocation, so that each case
 * is the same every time.
 */
#include "reference/reference.h"
#include "several.h"

enum { BATCH = 2 };

static float images[BATCH * IMAGE];
static char path[256];
static hmt_backend table;
static const hmt_host *host_of;
static several_run world;

/* What happens inside a run, an allocation or a hook, once. */
static void (*strike)(void);
static hmt_phase strike_phase;
static int strikes;

static void strike_once(void)
{
    void (*act)(void) = strike;

    strike = NULL;
    if (act != NULL) {
        ++strikes;
        act();
    }
}

static hmt_status step(void)
{
    static const float scores[BATCH] = {2.0f, 4.0f};
    hmt_batch b = HMT_BATCH_INIT;

    b.count = BATCH;
    b.images = images;
    b.score = scores;
    return hmt_train_step(world.trainer, &b, NULL);
}

static void train(void)
{
    CHECK_STATUS(step(), HMT_OK);
}

/* ---- the reference backend, with a stroke in the middle of a run, and parameters apart ---- */

static hmt_status keep_host(int32_t device, const hmt_host *host, void **opened)
{
    host_of = host;
    return backend_reference.device_open(device, host, opened);
}

static hmt_status striking_run(void *exec, hmt_run *run)
{
    hmt_status status = backend_reference.exec_run(exec, run);

    if (run->phase == strike_phase)
        strike_once();
    return status;
}

/* Every second parameter has a place of the backend's own. */
static bool apart;
static int refused_gets; /* from this many reads on they are refused; -1: never */
static const hmt_source *model_source;
static hmt_source parted;

static float *view_some(void *user, const hmt_plan_weight *weight)
{
    (void)user;
    return weight->param % 2 != 0 ? NULL : model_source->view(model_source->user, weight);
}

static hmt_status weights_apart(void *device, const hmt_source *source, void **weights)
{
    if (!apart)
        return backend_reference.weights_create(device, source, weights);
    apart = false; /* the trainer's alone, which are made first */
    model_source = source;
    parted = *source;
    parted.view = view_some;
    return backend_reference.weights_create(device, &parted, weights);
}

static hmt_status get_some(void *weights, const hmt_plan_weight *weight, hmt_slot slot,
                           float *values)
{
    if (refused_gets == 0)
        return host_of->fail(HMT_ERROR_STATE, "the device is busy elsewhere");
    refused_gets -= refused_gets > 0;
    return backend_reference.weights_get(weights, weight, slot, values);
}

static int progress(void *user, const char *what, uint64_t done, uint64_t total)
{
    (void)user, (void)total;
    if (strcmp(what, "save") == 0 && done > 0)
        strike_once();
    return 0;
}

static bool allocations_strike;

static void *allocate(void *user, size_t size, size_t alignment)
{
    (void)user;
    if (allocations_strike)
        strike_once();
    return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

static void release(void *user, void *pointer)
{
    (void)user;
    free(pointer);
}

static void begin(void)
{
    const hmt_backend *const list[] = {&table};
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;
    hmt_trainer_options recipe = HMT_TRAINER_OPTIONS_INIT;

    table = backend_reference;
    table.name = "struck";
    table.device_open = keep_host;
    table.exec_run = striking_run;
    table.weights_create = weights_apart;
    table.weights_get = get_some;
    refused_gets = -1;
    strikes = 0;
    o.backends = list;
    o.backend_count = 1;
    o.backend = "struck";
    o.log = several_log;
    o.progress = progress;
    o.allocator = (hmt_allocator){allocate, release, NULL};
    recipe.batch = BATCH;
    CHECK_STATUS(hmt_context_create(&o, &world.context), HMT_OK);
    CHECK_STATUS(several_model(world.context, &world.model), HMT_OK);
    CHECK_STATUS(hmt_trainer_create(world.model, &recipe, &world.trainer), HMT_OK);
    train();
}

static void end(void)
{
    several_end(&world);
    world = (several_run){NULL, NULL, NULL};
    strike = NULL;
}

static bool says(const char *text)
{
    return strstr(hmt_last_error(), text) != NULL;
}

/* ---- somebody looks while a step is made ---- */

static void step_beside_a_session(void)
{
    hmt_session *session = NULL;
    hmt_session_options o = HMT_SESSION_OPTIONS_INIT;
    const char *const taps[] = {"relu3"};
    hmt_prediction face;
    float logit;
    float *gradient = calloc(IMAGE, sizeof *gradient);

    begin();
    o.gradients = HMT_GRADIENTS_INPUT;
    o.taps = taps;
    o.tap_count = 1;
    CHECK_STATUS(hmt_session_create(world.model, &o, &session), HMT_OK);
    CHECK_STATUS(hmt_infer(session, images, 1, &face), HMT_OK);
    strike = train;
    strike_phase = HMT_PHASE_FORWARD;
    CHECK_STATUS(hmt_infer(session, images, 1, &face), HMT_ERROR_STATE);
    CHECK(strikes == 1 && says("parameters have changed"));
    CHECK_STATUS(hmt_session_tap_read(session, "relu3", gradient, 1), HMT_ERROR_ARGUMENT);
    (void)logit;
    hmt_session_free(session);

    CHECK_STATUS(hmt_session_create(world.model, &o, &session), HMT_OK);
    CHECK_STATUS(hmt_infer(session, images, 1, &face), HMT_OK);
    strike = train;
    strike_phase = HMT_PHASE_BACKWARD;
    CHECK_STATUS(hmt_session_gradient(session, HMT_TASK_ATTRACTIVENESS, 0, NULL, gradient, IMAGE),
                 HMT_ERROR_STATE);
    CHECK(strikes == 2);
    hmt_session_free(session);
    end();
    free(gradient);
}

static hmt_session *made;
static hmt_model *copied;
static hmt_status seen[5];

/* What another thread would call in the middle of a step's backward half. */
static void look(void)
{
    float bias[4096];
    size_t index = 0;
    hmt_param_info info = HMT_PARAM_INFO_INIT;

    seen[0] = hmt_session_create(world.model, NULL, &made);
    seen[1] = hmt_model_copy(world.model, NULL, &copied);
    seen[2] = hmt_model_save(world.model, path, HMT_DTYPE_F32);
    CHECK_STATUS(hmt_model_param_find(world.model, "conv1.bias", &index), HMT_OK);
    CHECK_STATUS(hmt_model_param_info(world.model, index, &info), HMT_OK);
    seen[3] = hmt_model_param_read(world.model, index, bias, (size_t)info.count);
    seen[4] = hmt_model_sync(world.model);
}

static void looks_inside_a_step(void)
{
    begin();
    strike = look;
    strike_phase = HMT_PHASE_BACKWARD;
    CHECK_STATUS(step(), HMT_OK);
    CHECK(strikes == 1);
    for (int i = 0; i < 5; ++i)
        CHECK_STATUS(seen[i], HMT_ERROR_STATE);
    CHECK(access(path, F_OK) != 0);
    look(); /* and afterwards all of it works */
    for (int i = 0; i < 5; ++i)
        CHECK_STATUS(seen[i], HMT_OK);
    hmt_session_free(made);
    hmt_model_free(copied);
    unlink(path);
    end();
}

/* A step in the middle of what takes long. */
static void steps_inside_a_look(void)
{
    hmt_model *copy = NULL;
    hmt_session *session = NULL;

    begin();
    strike = train;
    CHECK_STATUS(hmt_model_save(world.model, path, HMT_DTYPE_F32), HMT_ERROR_STATE);
    CHECK(strikes == 1 && access(path, F_OK) != 0);
    allocations_strike = true;
    strike = train;
    CHECK_STATUS(hmt_session_create(world.model, NULL, &session), HMT_ERROR_STATE);
    CHECK(strikes == 2);
    allocations_strike = false;
    CHECK_STATUS(hmt_model_copy(world.model, world.context, &copy), HMT_OK);
    allocations_strike = true;
    strike = train;
    hmt_model_free(copy);
    copy = NULL;
    CHECK_STATUS(hmt_model_copy(world.model, world.context, &copy), HMT_ERROR_STATE);
    CHECK(strikes == 3 && copy == NULL);
    allocations_strike = false;
    end();
}

/* ---- parameters that cannot be copied back ---- */

/* Half of the parameters are trained in the model's own memory, the other half is refused when the
 * trainer is freed: the model is of no step. */
static void half_is_refused(int after)
{
    hmt_model *copy = NULL;
    hmt_session *session = NULL;
    float bias[4096];

    apart = true;
    begin();
    CHECK_STATUS(hmt_model_save(world.model, path, HMT_DTYPE_F32), HMT_OK);
    train();
    refused_gets = after;
    CHECK_STATUS(hmt_model_sync(world.model), HMT_ERROR_STATE);
    refused_gets = -1; /* it was only for a time */
    CHECK_STATUS(hmt_model_sync(world.model), HMT_OK);
    train();
    refused_gets = after;
    CHECK_STATUS(hmt_model_load(world.context, "/nowhere", NULL, &copy), HMT_ERROR_NOT_FOUND);
    several_logged[0] = '\0';
    hmt_trainer_free(world.trainer);
    world.trainer = NULL;
    CHECK(says("/nowhere")); /* a release keeps the caller's message */
    CHECK(strstr(several_logged, "the device is busy elsewhere") != NULL);
    CHECK(strstr(several_logged, "load it again") != NULL);
    CHECK(strstr(several_logged, "nowhere") == NULL);
    CHECK_STATUS(hmt_model_sync(world.model), HMT_ERROR_STATE);
    CHECK_STATUS(hmt_model_save(world.model, path, HMT_DTYPE_F32), HMT_ERROR_STATE);
    CHECK(says("load it again"));
    CHECK_STATUS(hmt_model_copy(world.model, NULL, &copy), HMT_ERROR_STATE);
    CHECK_STATUS(hmt_session_create(world.model, NULL, &session), HMT_ERROR_STATE);
    CHECK_STATUS(hmt_model_param_read(world.model, 0, bias, 1), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_model_import(world.model, path, NULL, 0), HMT_ERROR_STATE);
    end();
    unlink(path);
}

int main(void)
{
    snprintf(path, sizeof path, "%s/hmtnet-torn-%ld.safetensors",
             getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp", (long)getpid());
    several_fill(images, BATCH, 3);
    step_beside_a_session();
    looks_inside_a_step();
    steps_inside_a_look();
    half_is_refused(0);
    half_is_refused(7);
    return test_finish();
}
