/*
 * Gradients for explanation: how much a logit or the score of a run's images would change with each
 * value of a tap or of the images.
 */
#include <string.h>

#include "api/session.h"
#include "core/float_mode.h"
#include "core/status.h"
#include "format/finite.h"

static int32_t largest(const float *logits, int32_t classes)
{
    int32_t best = 0;

    for (int32_t k = 1; k < classes; ++k)
        if (logits[k] > logits[best])
            best = k;
    return best;
}

/* Which logit each image's gradient starts from; none past the last run's images. */
static void choose_logits(hmt_session *session, hmt_task task, int32_t label)
{
    const int32_t classes = session->classes[task];

    for (size_t n = 0; n < (size_t)session->batch; ++n)
        session->labels[n] = n >= session->last_count ? -1
                             : label >= 0
                                 ? label
                                 : largest(session->logits[task] + n * (size_t)classes, classes);
}

/* One backward run, if the last one was not for the same. The maps of the forward run are gone
 * after it, so another one needs that again, from the images that the session has kept. */
static hmt_status go_back(hmt_session *session, hmt_task task, int32_t label)
{
    const run_input kept = {.images = session->staging};
    hmt_run_task tasks[HMT_TASK_COUNT] = {{.labels = NULL}};
    hmt_status status = HMT_OK;

    if (session->spent && session->gradient_task == task && session->gradient_label == label)
        return HMT_OK;
    status = session_progress(session, 0, 1);
    if (status != HMT_OK)
        return status;
    choose_logits(session, task, label);
    tasks[session->run.lowered->head_task[task]].labels = session->labels;
    if (session->spent)
        status = execution_run(&session->run, HMT_PHASE_FORWARD, &kept, tasks, NULL, 0);
    session->spent = true;
    session->gradient_task = HMT_TASK_COUNT; /* until it has succeeded, of nothing */
    if (status == HMT_OK)
        status = execution_run(&session->run, HMT_PHASE_BACKWARD, NULL, tasks, NULL, 0);
    if (status == HMT_OK)
        status = session_check_fresh(session);
    if (status == HMT_OK) {
        session->gradient_task = task;
        session->gradient_label = label;
    } else {
        session->last_count = 0; /* nobody knows what the taps hold now */
    }
    return status;
}

static hmt_status check_task(const hmt_session *session, hmt_task task, int32_t *label)
{
    if ((int)task < 0 || task >= HMT_TASK_COUNT || session->logits[task] == NULL)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "hmt_session_gradient: the session does not run task %d", (int)task);
    if (task == HMT_TASK_ATTRACTIVENESS)
        *label = 0;
    if (*label < -1 || *label >= session->classes[task])
        return status_fail(HMT_ERROR_ARGUMENT,
                           "hmt_session_gradient: label is %d, the task has %d classes", *label,
                           session->classes[task]);
    if (session->last_count == 0)
        return status_fail(HMT_ERROR_STATE, "hmt_session_gradient: the session has not run yet");
    return HMT_OK;
}

/* HMT_ERROR_NONFINITE if the gradient of one of the run's images is not finite. */
static hmt_status check_finite(const float *values, size_t elements, size_t images)
{
    const size_t at = finite_first_bad_32(values, elements * images);

    if (at == elements * images)
        return HMT_OK;
    return status_fail(HMT_ERROR_NONFINITE,
                       "image %zu of %zu: expected a finite gradient, found %g: the image's values "
                       "or the model's weights are too large",
                       at / elements, images, (double)values[at]);
}

hmt_status hmt_session_gradient(hmt_session *session, hmt_task task, int32_t label, const char *tap,
                                float *values, size_t count)
{
    FLOAT_MODE_DEFAULT;
    const hmt_gradients needed = tap != NULL ? HMT_GRADIENTS_TAPS : HMT_GRADIENTS_INPUT;
    const lowered *plan;
    const int64_t *shape;
    int32_t tensor, gradient, index;
    hmt_status status;

    status_clear();
    if (session == NULL || values == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_session_gradient: session or values is NULL");
    if (session->gradients < needed)
        return status_fail(HMT_ERROR_STATE,
                           "hmt_session_gradient: the session was made without gradients by %s",
                           tap != NULL ? "taps" : "the images");
    plan = session->run.lowered;
    index = tap != NULL ? session_find_tap(session, tap) : 0;
    if (index < 0)
        return HMT_ERROR_NOT_FOUND;
    tensor = tap != NULL ? plan->tap_tensor[index] : plan->plan.input;
    gradient = tap != NULL ? plan->tap_gradient[index] : plan->input_gradient;
    shape = plan->plan.tensors[tensor].shape;
    if (count != (size_t)(shape[0] * shape[1] * shape[2] * shape[3]))
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_session_gradient: %s has %lld values, not %zu",
                           tap != NULL ? tap : "the input",
                           (long long)(shape[0] * shape[1] * shape[2] * shape[3]), count);
    status = check_task(session, task, &label);
    if (status == HMT_OK)
        status = session_check_fresh(session);
    if (status == HMT_OK)
        status = go_back(session, task, label);
    if (status == HMT_OK && gradient < 0) /* no head that the session runs reads the tap */
        memset(values, 0, count * sizeof *values);
    else if (status == HMT_OK)
        status = execution_read(&session->run, gradient, values);
    if (status == HMT_OK)
        status = check_finite(values, count / (size_t)shape[0], session->last_count);
    return status;
}
