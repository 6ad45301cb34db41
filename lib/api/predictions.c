/* From logits to predictions, and means of predictions. Pure arithmetic on the structs of the
 * public header. */
#include "api/predictions.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "api/recipe.h"
#include "core/float_mode.h"
#include "core/status.h"
#include "format/finite.h"
#include "objective/losses.h"

void predictions_fail(hmt_prediction *prediction, hmt_status status)
{
    memset(prediction, 0, sizeof *prediction);
    prediction->status = status;
    prediction->gender.label = prediction->race.label = -1;
    prediction->gender.name = prediction->race.name = "";
}

hmt_status predictions_check_image(const float *values, size_t elements)
{
    const size_t at = finite_first_bad_32(values, elements), plane = elements / 3, side = 224;

    if (at == elements)
        return HMT_OK;
    return status_fail(HMT_ERROR_NONFINITE,
                       "expected finite values of the image, found %g in channel %zu, row %zu, "
                       "column %zu",
                       (double)values[at], at / plane, at % plane / side, at % side);
}

void predictions_note(predictions_outcome *o, hmt_status status, size_t image, size_t count)
{
    char where[64];

    if (status == HMT_OK || o->image != HMT_OK)
        return;
    snprintf(where, sizeof where, "image %zu of %zu", image, count);
    if (count > 1)
        status_fail_at(status, where);
    o->image = status;
    status_keep(o->message);
}

hmt_status predictions_end(const predictions_outcome *o, size_t done, size_t count,
                           hmt_prediction *predictions)
{
    if (o->stopped != HMT_OK) {
        for (size_t i = done; i < count; ++i)
            predictions_fail(&predictions[i], o->stopped);
        return o->stopped;
    }
    if (o->image != HMT_OK)
        status_restore(o->message);
    return o->image;
}

/* The classes of a head, as many as it has names; 1 for the score. */
static int32_t columns_of(const hmt_model *model, int task)
{
    int32_t columns = 0;

    while (task != HMT_TASK_ATTRACTIVENESS &&
           hmt_model_label(model, (hmt_task)task, columns) != NULL)
        ++columns;
    return task == HMT_TASK_ATTRACTIVENESS ? 1 : columns;
}

static hmt_status check_logits(const hmt_model *model, const float *const rows[HMT_TASK_COUNT])
{
    for (int task = 0; task < HMT_TASK_COUNT; ++task) {
        const size_t columns = (size_t)columns_of(model, task);
        const size_t at = rows[task] != NULL ? finite_first_bad_32(rows[task], columns) : columns;

        if (at < columns)
            return status_fail(HMT_ERROR_NONFINITE,
                               "expected a finite answer for %s, found %g: the image's values or "
                               "the model's weights are too large",
                               recipe_task_names[task], (double)rows[task][at]);
    }
    return HMT_OK;
}

/* Sets label and name from the probabilities. */
static void pick(const hmt_model *model, hmt_task task, hmt_class_prediction *c)
{
    const char *name;

    c->label = 0;
    for (int32_t i = 1; i < c->class_count; ++i)
        if (c->probabilities[i] > c->probabilities[c->label])
            c->label = i;
    name = hmt_model_label(model, task, c->label);
    c->name = name != NULL ? name : "";
}

static void classify(const hmt_model *model, hmt_task task, const float *logits,
                     hmt_class_prediction *c)
{
    if (logits == NULL)
        return;
    c->class_count = columns_of(model, task);
    losses_softmax(logits, c->class_count, c->probabilities);
    pick(model, task, c);
}

hmt_status predictions_from_logits(const hmt_model *model, const float *const rows[HMT_TASK_COUNT],
                                   hmt_prediction *prediction)
{
    const hmt_status status = check_logits(model, rows);

    predictions_fail(prediction, status);
    if (status != HMT_OK)
        return status;
    for (int task = 0; task < HMT_TASK_COUNT; ++task)
        if (rows[task] != NULL)
            prediction->tasks |= 1u << task;
    classify(model, HMT_TASK_GENDER, rows[HMT_TASK_GENDER], &prediction->gender);
    classify(model, HMT_TASK_RACE, rows[HMT_TASK_RACE], &prediction->race);
    if (rows[HMT_TASK_ATTRACTIVENESS] != NULL)
        prediction->score = rows[HMT_TASK_ATTRACTIVENESS][0];
    return HMT_OK;
}

void predictions_add(hmt_prediction *sum, const hmt_prediction *part, int first)
{
    if (first) {
        *sum = *part;
        return;
    }
    if (sum->status != HMT_OK || part->status != HMT_OK) {
        predictions_fail(sum, sum->status != HMT_OK ? sum->status : part->status);
        return;
    }
    sum->score += part->score;
    for (int32_t i = 0; i < HMT_MAX_CLASSES; ++i) {
        sum->gender.probabilities[i] += part->gender.probabilities[i];
        sum->race.probabilities[i] += part->race.probabilities[i];
    }
}

static void divide(const hmt_model *model, hmt_task task, hmt_class_prediction *c, float count)
{
    for (int32_t i = 0; i < HMT_MAX_CLASSES; ++i)
        c->probabilities[i] /= count;
    if (model != NULL && c->class_count > 0)
        pick(model, task, c);
}

void predictions_finish(const hmt_model *model, hmt_prediction *sum, size_t count)
{
    if (sum->status != HMT_OK)
        return;
    sum->score /= (float)count;
    divide(model, HMT_TASK_GENDER, &sum->gender, (float)count);
    divide(model, HMT_TASK_RACE, &sum->race, (float)count);
}

/* Without a model, the name of the mean's best class is found among the parts that chose it. */
static void rename_class(const hmt_prediction *parts, size_t count, size_t offset,
                         hmt_class_prediction *mean)
{
    int32_t best = 0;

    if (mean->class_count < 1)
        return;
    for (int32_t i = 1; i < mean->class_count; ++i)
        if (mean->probabilities[i] > mean->probabilities[best])
            best = i;
    mean->label = best;
    mean->name = "";
    for (size_t k = 0; k < count && mean->name[0] == '\0'; ++k) {
        const hmt_class_prediction *c =
            (const hmt_class_prediction *)(const void *)((const char *)&parts[k] + offset);

        if (c->label == best && c->name != NULL)
            mean->name = c->name;
    }
}

static bool has_room(const hmt_class_prediction *c)
{
    return c->class_count >= 0 && c->class_count <= HMT_MAX_CLASSES;
}

hmt_status hmt_prediction_mean(const hmt_prediction *predictions, size_t count,
                               hmt_prediction *mean)
{
    FLOAT_MODE_DEFAULT;
    hmt_prediction sum;

    status_clear();
    if (predictions == NULL || mean == NULL || count == 0)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "hmt_prediction_mean: predictions or mean is NULL, or count is 0");
    for (size_t i = 0; i < count; ++i) {
        if (predictions[i].status != HMT_OK)
            return status_fail(predictions[i].status,
                               "hmt_prediction_mean: prediction %zu of %zu has no answer", i,
                               count);
        if (!has_room(&predictions[i].gender) || !has_room(&predictions[i].race))
            return status_fail(
                HMT_ERROR_ARGUMENT,
                "hmt_prediction_mean: prediction %zu has %d and %d classes, not from "
                "0 to %d",
                i, predictions[i].gender.class_count, predictions[i].race.class_count,
                HMT_MAX_CLASSES);
        if (predictions[i].tasks != predictions[0].tasks ||
            predictions[i].gender.class_count != predictions[0].gender.class_count ||
            predictions[i].race.class_count != predictions[0].race.class_count)
            return status_fail(HMT_ERROR_ARGUMENT,
                               "hmt_prediction_mean: prediction %zu is of other heads", i);
        predictions_add(&sum, &predictions[i], i == 0);
    }
    predictions_finish(NULL, &sum, count);
    rename_class(predictions, count, offsetof(hmt_prediction, gender), &sum.gender);
    rename_class(predictions, count, offsetof(hmt_prediction, race), &sum.race);
    *mean = sum;
    return HMT_OK;
}
