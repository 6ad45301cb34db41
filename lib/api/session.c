/*
 * Sessions: a plan for inference prepared on the context's device, what it holds, and what can be
 * read from its last run.
 */
#include <string.h>

#include "api/images.h"
#include "api/options.h"
#include "api/session.h"
#include "core/float_mode.h"
#include "core/memory.h"
#include "core/status.h"

enum { MOST_BATCH = 4096, CROP = 224, VIEWS = SESSION_VIEWS };

const size_t session_image_elements = (size_t)3 * CROP * CROP;

/* Finds the nodes behind the taps' names, which have been checked. */
static void find_taps(hmt_session *session, const hmt_session_options *o, int32_t *nodes)
{
    const graph *g = &session->model->graph;

    for (size_t i = 0; i < o->tap_count; ++i) {
        nodes[i] = graph_find_node(g, o->taps[i]);
        session->tap_names[i] = g->nodes[nodes[i]].name;
    }
    session->tap_count = o->tap_count;
}

static hmt_status plan_session(hmt_session *session, const hmt_session_options *o)
{
    const hmt_allocator *allocator = &session->model->context->allocator;
    lower_options options = {.batch = o->batch,
                             .tasks = o->tasks,
                             .tap_count = (int32_t)o->tap_count,
                             .gradients = o->gradients != HMT_GRADIENTS_NONE,
                             .input_gradient = o->gradients == HMT_GRADIENTS_INPUT,
                             .fold = !o->keep_exact};
    void *block;
    hmt_status status;

    status =
        memory_zeroed(allocator, o->tap_count, sizeof *session->tap_names, "a session", &block);
    if (status != HMT_OK)
        return status;
    session->tap_names = block;
    status = memory_zeroed(allocator, o->tap_count, sizeof(int32_t), "a session", &block);
    if (status != HMT_OK)
        return status;
    options.taps = block;
    find_taps(session, o, block);
    status =
        execution_create(&session->run, session->model, &options, session->model->context->device,
                         session->weights->weights, o->profile != 0);
    memory_free(allocator, block);
    return status;
}

/* Input and output buffers. */
static hmt_status allocate(hmt_session *session)
{
    const hmt_allocator *allocator = &session->model->context->allocator;
    const hmt_plan *plan = &session->run.lowered->plan;
    size_t batch = (size_t)session->batch;
    void *block;
    hmt_status status;

    status = memory_zeroed(allocator, batch * session_image_elements, sizeof(float),
                           "a session's images", &block);
    session->staging = block;
    if (status == HMT_OK) {
        status =
            memory_zeroed(allocator, batch, session_image_elements, "a session's crops", &block);
        session->levels = block;
    }
    if (status == HMT_OK && session->views > 1) {
        status =
            memory_zeroed(allocator, VIEWS, session_image_elements, "a session's crops", &block);
        session->crops = block;
    }
    if (status == HMT_OK) {
        status =
            memory_zeroed(allocator, batch, sizeof *session->origin, "a session's crops", &block);
        session->origin = block;
    }
    if (status == HMT_OK && session->gradients != HMT_GRADIENTS_NONE) {
        status =
            memory_zeroed(allocator, batch, sizeof *session->labels, "a session's labels", &block);
        session->labels = block;
    }
    for (int task = 0; task < HMT_TASK_COUNT && status == HMT_OK; ++task) {
        int32_t tensor = session->run.lowered->head_tensor[task];

        if (tensor < 0)
            continue;
        session->classes[task] = (int32_t)plan->tensors[tensor].shape[1];
        status = memory_zeroed(allocator, batch * (size_t)session->classes[task], sizeof(float),
                               "a session's logits", &block);
        session->logits[task] = block;
    }
    return status;
}

static hmt_status check_options(const hmt_session_options *o, const graph *g)
{
    if (o->batch < 1 || o->batch > MOST_BATCH)
        return status_fail(HMT_ERROR_ARGUMENT, "options: batch is %d, not in 1..%d", o->batch,
                           MOST_BATCH);
    if (o->tasks > HMT_TASKS_ALL || (o->tasks == 0 && o->tap_count == 0))
        return status_fail(HMT_ERROR_ARGUMENT,
                           "options: tasks is %u, not a set of HMT_TASKS_... bits",
                           (unsigned)o->tasks);
    if (o->tap_count > 0 && o->taps == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "options: taps is NULL, tap_count is not 0");
    if (o->tap_count > 4096)
        return status_fail(HMT_ERROR_ARGUMENT, "options: tap_count is %zu", o->tap_count);
    if ((int)o->gradients < HMT_GRADIENTS_NONE || o->gradients > HMT_GRADIENTS_INPUT)
        return status_fail(HMT_ERROR_ARGUMENT, "options: gradients is %d, not one of HMT_GRADIENTS",
                           (int)o->gradients);
    if (o->gradients != HMT_GRADIENTS_NONE && o->tasks == 0)
        return status_fail(HMT_ERROR_ARGUMENT, "options: gradients are asked for, but no task");
    if (o->gradients == HMT_GRADIENTS_TAPS && o->tap_count == 0)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "options: gradients by taps are asked for, but no tap");
    for (size_t i = 0; i < o->tap_count; ++i)
        if (o->taps[i] == NULL || graph_find_node(g, o->taps[i]) < 0)
            return status_fail(HMT_ERROR_NOT_FOUND, "the network has no layer \"%s\" to tap",
                               o->taps[i] != NULL ? o->taps[i] : "(null)");
    return HMT_OK;
}

hmt_status hmt_session_create(hmt_model *model, const hmt_session_options *options,
                              hmt_session **out)
{
    FLOAT_MODE_DEFAULT;
    hmt_session_options o = HMT_SESSION_OPTIONS_INIT;
    hmt_decode_options decode;
    hmt_session *session;
    uint64_t generation;
    void *block;
    hmt_status status;

    status_clear();
    if (model == NULL || out == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_session_create: model or session is NULL");
    status = options_copy(&o, sizeof o, options, "hmt_session_options");
    if (status == HMT_OK)
        status = check_options(&o, &model->graph);
    if (status == HMT_OK)
        status = images_decode_options(o.decode, &decode);
    if (status == HMT_OK)
        status = model_read_begin(model, &generation);
    if (status == HMT_OK)
        status = memory_zeroed(&model->context->allocator, 1, sizeof *session, "a session", &block);
    if (status != HMT_OK)
        return status;
    session = block;
    model_acquire(model);
    session->model = model;
    session->batch = o.batch;
    session->decode = decode;
    session->tasks = o.tasks;
    session->views = o.five_crop ? VIEWS : 1;
    session->gradients = o.gradients;
    session->takes_crops = o.gradients == HMT_GRADIENTS_NONE && execution_takes_crops(model);
    status = model_weights_acquire(model, generation, &session->weights);
    if (status == HMT_OK)
        status = context_progress(model->context, "prepare", 0, 1);
    if (status == HMT_OK)
        status = plan_session(session, &o);
    if (status == HMT_OK)
        status = allocate(session);
    if (status == HMT_OK) /* the weights that were packed are of one generation */
        status = model_read_end(model, generation);
    if (status == HMT_OK)
        status = context_progress(model->context, "prepare", 1, 1);
    if (status != HMT_OK) {
        hmt_session_free(session);
        return status;
    }
    *out = session;
    return HMT_OK;
}

void hmt_session_free(hmt_session *session)
{
    const hmt_allocator *allocator;
    hmt_model *model;

    if (session == NULL)
        return;
    model = session->model;
    allocator = &model->context->allocator;
    execution_clear(&session->run);
    model_weights_release(model, session->weights);
    for (int task = 0; task < HMT_TASK_COUNT; ++task)
        memory_free(allocator, session->logits[task]);
    memory_free(allocator, session->staging);
    memory_free(allocator, session->levels);
    memory_free(allocator, session->crops);
    memory_free(allocator, session->origin);
    memory_free(allocator, session->labels);
    memory_free(allocator, (void *)session->tap_names);
    memory_free(allocator, session);
    model_release(model);
}

hmt_status hmt_open(const char *path, hmt_session **session)
{
    FLOAT_MODE_DEFAULT;
    hmt_model *model = NULL;
    hmt_status status;

    status_clear();
    if (session == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_open: session is NULL");
    status = hmt_model_load(NULL, path, NULL, &model);
    if (status == HMT_OK)
        status = hmt_session_create(model, NULL, session);
    hmt_model_free(model);
    return status;
}

hmt_model *hmt_session_model(const hmt_session *session)
{
    return session != NULL ? session->model : NULL;
}

hmt_status session_progress(hmt_session *session, uint64_t done, uint64_t total)
{
    return context_progress_busy(session->model->context, &session->busy, "infer", done, total);
}

hmt_status session_check_fresh(const hmt_session *session)
{
    if (context_check_busy(session->busy, "session") != HMT_OK)
        return HMT_ERROR_STATE;
    if (model_generation(session->model) != session->weights->generation)
        return status_fail(
            HMT_ERROR_STATE,
            "the model's parameters have changed since this session was made; make a new one");
    return HMT_OK;
}

hmt_status hmt_session_logits(const hmt_session *session, hmt_task task, float *values,
                              size_t count)
{
    size_t wanted;

    status_clear();
    if (session == NULL || values == NULL || (int)task < 0 || task >= HMT_TASK_COUNT)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "hmt_session_logits: session or values is NULL, or no such task");
    if (session->logits[task] == NULL)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "hmt_session_logits: the session does not run task %d", (int)task);
    if (session->last_count == 0)
        return status_fail(HMT_ERROR_STATE, "hmt_session_logits: the session has not run yet");
    wanted = session->last_count * (size_t)session->classes[task];
    if (count < wanted)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "hmt_session_logits: room for %zu values, there are %zu", count, wanted);
    memcpy(values, session->logits[task], wanted * sizeof(float));
    return HMT_OK;
}

int32_t session_find_tap(const hmt_session *session, const char *name)
{
    for (size_t i = 0; i < session->tap_count; ++i)
        if (strcmp(session->tap_names[i], name) == 0)
            return (int32_t)i;
    status_fail(HMT_ERROR_NOT_FOUND, "the session has no tap \"%s\"", name);
    return -1;
}

hmt_status hmt_session_tap_shape(const hmt_session *session, const char *name, int64_t shape[4])
{
    int32_t tap;

    status_clear();
    if (session == NULL || name == NULL || shape == NULL)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "hmt_session_tap_shape: session, name or shape is NULL");
    tap = session_find_tap(session, name);
    if (tap < 0)
        return HMT_ERROR_NOT_FOUND;
    tap = session->run.lowered->tap_tensor[tap];
    memcpy(shape, session->run.lowered->plan.tensors[tap].shape, 4 * sizeof *shape);
    return HMT_OK;
}

hmt_status hmt_session_tap_read(hmt_session *session, const char *name, float *values, size_t count)
{
    FLOAT_MODE_DEFAULT;
    const int64_t *shape;
    int32_t tensor;

    status_clear();
    if (session == NULL || name == NULL || values == NULL)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "hmt_session_tap_read: session, name or values is NULL");
    tensor = session_find_tap(session, name);
    if (tensor < 0)
        return HMT_ERROR_NOT_FOUND;
    tensor = session->run.lowered->tap_tensor[tensor];
    shape = session->run.lowered->plan.tensors[tensor].shape;
    if (count != (size_t)(shape[0] * shape[1] * shape[2] * shape[3]))
        return status_fail(HMT_ERROR_ARGUMENT, "tap %s has %lld values, not %zu", name,
                           (long long)(shape[0] * shape[1] * shape[2] * shape[3]), count);
    if (session->last_count == 0)
        return status_fail(HMT_ERROR_STATE, "tap %s: the session has not run yet", name);
    return execution_read(&session->run, tensor, values);
}

hmt_status hmt_session_memory(const hmt_session *session, hmt_memory *memory)
{
    hmt_memory all = HMT_MEMORY_INIT;
    hmt_status status;

    status_clear();
    if (session == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_session_memory: session is NULL");
    status = execution_memory(&session->run, session->weights->weights, &all);
    if (status != HMT_OK)
        return status;
    all.staging += (uint64_t)session->batch * session_image_elements * (sizeof(float) + 1);
    if (session->crops != NULL)
        all.staging += VIEWS * session_image_elements;
    all.staging += (uint64_t)session->batch * sizeof *session->origin;
    if (session->labels != NULL)
        all.staging += (uint64_t)session->batch * sizeof *session->labels;
    return options_give(memory, &all, sizeof all, "hmt_memory");
}

hmt_status hmt_session_profile(const hmt_session *session, hmt_step_profile *steps, size_t capacity,
                               size_t *count)
{
    status_clear();
    if (session == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_session_profile: session is NULL");
    return execution_profile(&session->run, steps, capacity, count);
}
