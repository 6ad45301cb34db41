/*
 * Inference with a session: photos, tensors and 8-bit crops, in runs of the session's batch; the
 * next run's input is handed over while one computes.
 */
#include <string.h>

#include "api/options.h"
#include "api/predictions.h"
#include "api/session.h"
#include "core/float_mode.h"
#include "core/memory.h"
#include "core/status.h"
#include "image/image.h"

/* The input from image `first` on. */
static run_input input_at(const run_input *input, size_t first)
{
    return (run_input){
        .images = input->images != NULL ? input->images + first * session_image_elements : NULL,
        .crops = input->crops != NULL ? input->crops + first * session_image_elements : NULL};
}

/* Zeros in a staging buffer's rows that the run leaves free, so that nothing of an earlier run is
 * computed again; `*used` rows are not zero. */
static void clear_unused(void *rows, size_t row_bytes, size_t count, size_t *used)
{
    if (*used > count)
        memset((char *)rows + count * row_bytes, 0, (*used - count) * row_bytes);
    *used = count;
}

/* Where the backend finds the run's images: where they are, if that is a whole batch of a kind that
 * it takes; else in the staging buffer, behind them zeros. For gradients the images are kept there:
 * a second one runs the plan again. */
static run_input gather(hmt_session *session, run_input input, size_t count)
{
    const size_t elements = count * session_image_elements;
    const bool whole = count == (size_t)session->batch;
    const hmt_model_config *config = &session->model->config;

    if (input.crops != NULL && !session->takes_crops) {
        image_normalise(input.crops, count, session_image_elements / 3, config->mean,
                        config->deviation, session->staging);
        clear_unused(session->staging, session_image_elements * sizeof(float), count,
                     &session->staged);
        return (run_input){.images = session->staging};
    }
    if (input.crops != NULL && !whole && input.crops != session->levels) {
        memcpy(session->levels, input.crops, elements);
        input.crops = session->levels;
    }
    if (input.crops != NULL && input.crops == session->levels)
        clear_unused(session->levels, session_image_elements, count, &session->cut);
    if (input.images != NULL && (!whole || session->gradients != HMT_GRADIENTS_NONE)) {
        memcpy(session->staging, input.images, elements * sizeof(float));
        clear_unused(session->staging, session_image_elements * sizeof(float), count,
                     &session->staged);
        input.images = session->staging;
    }
    return input;
}

/* Runs one batch, of which the first `count` images mean something, and reads the logits. */
static hmt_status run(hmt_session *session, run_input input, size_t count)
{
    hmt_status status;

    session->last_count = 0;
    session->spent = false;
    input = gather(session, input, count);
    status = execution_run(&session->run, HMT_PHASE_FORWARD, &input, NULL, NULL, 0);
    for (int task = 0; task < HMT_TASK_COUNT && status == HMT_OK; ++task)
        if (session->logits[task] != NULL)
            status = execution_read(&session->run, session->run.lowered->head_tensor[task],
                                    session->logits[task]);
    if (status == HMT_OK)
        status = session_check_fresh(session);
    session->last_count = status == HMT_OK ? count : 0;
    return status;
}

/* Hands over the first run's images, if the backend will read them where they are. */
static hmt_status stage(const hmt_session *session, run_input input, size_t count)
{
    if (count < (size_t)session->batch || session->gradients != HMT_GRADIENTS_NONE ||
        (input.crops != NULL && !session->takes_crops))
        return HMT_OK;
    return execution_stage(&session->run, &input);
}

/* Row `row` of the last run as a prediction. */
static hmt_status predict(const hmt_session *session, size_t row, hmt_prediction *prediction)
{
    const float *rows[HMT_TASK_COUNT] = {NULL, NULL, NULL};

    for (int task = 0; task < HMT_TASK_COUNT; ++task)
        if (session->logits[task] != NULL)
            rows[task] = session->logits[task] + row * (size_t)session->classes[task];
    return predictions_from_logits(session->model, rows, prediction);
}

/* The prediction of the run's image `row`, which is there as floats or, checked enough, as levels.
 */
static hmt_status predict_checked(const hmt_session *session, run_input input, size_t row,
                                  hmt_prediction *prediction)
{
    hmt_status status = HMT_OK;

    if (input.images != NULL)
        status = predictions_check_image(input.images + row * session_image_elements,
                                         session_image_elements);
    if (status == HMT_OK)
        return predict(session, row, prediction);
    predictions_fail(prediction, status);
    return status;
}

static hmt_status infer(hmt_session *session, run_input input, size_t count,
                        hmt_prediction *predictions)
{
    const size_t batch = (size_t)session->batch;
    predictions_outcome o = {.stopped = session_check_fresh(session)};
    size_t done = 0;

    while (done < count && o.stopped == HMT_OK) {
        const size_t size = count - done < batch ? count - done : batch;
        const run_input here = input_at(&input, done);

        o.stopped = session_progress(session, done, count);
        if (o.stopped == HMT_OK && done + size < count)
            o.stopped = stage(session, input_at(&input, done + size), count - done - size);
        if (o.stopped == HMT_OK)
            o.stopped = run(session, here, size);
        for (size_t i = 0; i < size && o.stopped == HMT_OK; ++i, ++done)
            predictions_note(&o, predict_checked(session, here, i, &predictions[done]), done,
                             count);
    }
    return predictions_end(&o, done, count, predictions);
}

hmt_status hmt_infer(hmt_session *session, const float *images, size_t count,
                     hmt_prediction *predictions)
{
    FLOAT_MODE_DEFAULT;
    status_clear();
    if (session == NULL || images == NULL || predictions == NULL || count == 0)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "hmt_infer: session, images or predictions is NULL, or count is 0");
    return infer(session, (run_input){.images = images}, count, predictions);
}

hmt_status hmt_infer_crops(hmt_session *session, const uint8_t *crops, size_t count,
                           hmt_prediction *predictions)
{
    FLOAT_MODE_DEFAULT;
    status_clear();
    if (session == NULL || crops == NULL || predictions == NULL || count == 0)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "hmt_infer_crops: session, crops or predictions is NULL, or count is 0");
    return infer(session, (run_input){.crops = crops}, count, predictions);
}

/* ---- handing over ahead ---- */

static hmt_status stage_fresh(hmt_session *session, run_input input, size_t count)
{
    hmt_status status = session_check_fresh(session);

    return status == HMT_OK ? stage(session, input, count) : status;
}

hmt_status hmt_session_stage(hmt_session *session, const float *images, size_t count)
{
    status_clear();
    if (session == NULL || images == NULL || count == 0)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "hmt_session_stage: session or images is NULL, or count is 0");
    return stage_fresh(session, (run_input){.images = images}, count);
}

hmt_status hmt_session_stage_crops(hmt_session *session, const uint8_t *crops, size_t count)
{
    status_clear();
    if (session == NULL || crops == NULL || count == 0)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "hmt_session_stage_crops: session or crops is NULL, or count is 0");
    return stage_fresh(session, (run_input){.crops = crops}, count);
}

int32_t hmt_session_stages(const hmt_session *session)
{
    return session != NULL && session->gradients == HMT_GRADIENTS_NONE &&
           execution_stages(session->model);
}

/* ---- photos ---- */

/* Cuts the next view of an image to its place in the staging buffer. */
static hmt_status cut(hmt_session *session, const hmt_pixels *image, size_t view, size_t slot)
{
    hmt_preprocess_options o = HMT_PREPROCESS_OPTIONS_INIT;
    uint8_t *place = session->levels + slot * session_image_elements;
    hmt_status status = HMT_OK;

    o.resize = session->model->config.resize;
    o.crop = session->views > 1 ? HMT_CROP_FIVE : HMT_CROP_CENTER;
    if (session->views == 1)
        return hmt_preprocess_crops(session->model->context, image, &o, place,
                                    session_image_elements);
    if (view == 0)
        status = hmt_preprocess_crops(session->model->context, image, &o, session->crops,
                                      SESSION_VIEWS * session_image_elements);
    if (status == HMT_OK)
        memcpy(place, session->crops + view * session_image_elements, session_image_elements);
    return status;
}

/* Photos whose views wait in the staging buffer, in the order of the call. */
typedef struct waiting {
    size_t slots, done, count; /* filled; photos that have their prediction; the call's */
    hmt_prediction *predictions;
    predictions_outcome outcome;
} waiting;

/* Runs what waits, and adds each view to its photo's prediction. */
static void run_waiting(hmt_session *session, waiting *w)
{
    const size_t views = (size_t)session->views;

    if (w->slots > 0)
        w->outcome.stopped = run(session, (run_input){.crops = session->levels}, w->slots);
    for (size_t i = 0; i < w->slots && w->outcome.stopped == HMT_OK; ++i) {
        const size_t photo = session->origin[i] / views, view = session->origin[i] % views;
        hmt_prediction one;

        predictions_note(&w->outcome, predict(session, i, &one), photo, w->count);
        predictions_add(&w->predictions[photo], &one, view == 0);
        if (view < views - 1)
            continue;
        predictions_finish(session->model, &w->predictions[photo], views);
        w->done = photo + 1;
    }
    w->slots = 0;
}

/* Cuts the views of a photo, and runs whenever a batch is full. */
static void take_photo(hmt_session *session, const hmt_pixels *photo, size_t index, waiting *w)
{
    const size_t views = (size_t)session->views;

    for (size_t view = 0; view < views && w->outcome.stopped == HMT_OK; ++view) {
        const hmt_status status = cut(session, photo, view, w->slots);

        if (status != HMT_OK) { /* of the first view, with which the others are cut */
            predictions_fail(&w->predictions[index], status);
            predictions_note(&w->outcome, status, index, w->count);
            return;
        }
        session->origin[w->slots++] = index * views + view;
        if (w->slots == (size_t)session->batch)
            run_waiting(session, w);
    }
}

hmt_status hmt_predict_pixels(hmt_session *session, const hmt_pixels *images, size_t count,
                              hmt_prediction *predictions)
{
    FLOAT_MODE_DEFAULT;
    waiting w = {.count = count, .predictions = predictions};
    size_t total;

    status_clear();
    if (session == NULL || images == NULL || predictions == NULL || count == 0)
        return status_fail(
            HMT_ERROR_ARGUMENT,
            "hmt_predict_pixels: session, images or predictions is NULL, or count is 0");
    if (!size_multiply(count, (size_t)session->views, &total))
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_predict_pixels: count is %zu", count);
    w.outcome.stopped = session_check_fresh(session);
    for (size_t i = 0; i < count && w.outcome.stopped == HMT_OK; ++i) {
        if (w.slots == 0)
            w.outcome.stopped = session_progress(session, i, count);
        if (w.outcome.stopped == HMT_OK)
            take_photo(session, &images[i], i, &w);
    }
    if (w.outcome.stopped == HMT_OK)
        run_waiting(session, &w);
    return predictions_end(&w.outcome, w.done, count, predictions);
}

/* Predicts what has been decoded, and releases it. */
static hmt_status predict_decoded(hmt_session *session, hmt_pixels *pixels,
                                  hmt_prediction *prediction)
{
    hmt_status status = hmt_predict_pixels(session, pixels, 1, prediction);

    hmt_pixels_free(session->model->context, pixels);
    return status;
}

hmt_status hmt_predict_file(hmt_session *session, const char *path, hmt_prediction *prediction)
{
    FLOAT_MODE_DEFAULT;
    hmt_pixels pixels;
    hmt_status status;

    status_clear();
    if (session == NULL || prediction == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_predict_file: session or prediction is NULL");
    status = hmt_decode_file(session->model->context, path, &session->decode, &pixels);
    return status == HMT_OK ? predict_decoded(session, &pixels, prediction) : status;
}

hmt_status hmt_predict_memory(hmt_session *session, const void *data, size_t size,
                              hmt_prediction *prediction)
{
    FLOAT_MODE_DEFAULT;
    hmt_pixels pixels;
    hmt_status status;

    status_clear();
    if (session == NULL || prediction == NULL)
        return status_fail(HMT_ERROR_ARGUMENT, "hmt_predict_memory: session or prediction is NULL");
    status = hmt_decode_memory(session->model->context, data, size, &session->decode, &pixels);
    return status == HMT_OK ? predict_decoded(session, &pixels, prediction) : status;
}
