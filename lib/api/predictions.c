/* From logits to predictions, and means of predictions. Pure arithmetic on the structs of the
 * public header. */
#include "api/predictions.h"

#include <string.h>

#include "core/status.h"
#include "objective/losses.h"

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
    c->label = -1;
    c->name = "";
    if (logits == NULL)
        return;
    while (hmt_model_label(model, task, c->class_count) != NULL)
        ++c->class_count;
    losses_softmax(logits, c->class_count, c->probabilities);
    pick(model, task, c);
}

void predictions_from_logits(const hmt_model *model, const float *const rows[HMT_TASK_COUNT],
                             hmt_prediction *prediction)
{
    memset(prediction, 0, sizeof *prediction);
    for (int task = 0; task < HMT_TASK_COUNT; ++task)
        if (rows[task] != NULL)
            prediction->tasks |= 1u << task;
    classify(model, HMT_TASK_GENDER, rows[HMT_TASK_GENDER], &prediction->gender);
    classify(model, HMT_TASK_RACE, rows[HMT_TASK_RACE], &prediction->race);
    if (rows[HMT_TASK_ATTRACTIVENESS] != NULL)
        prediction->score = rows[HMT_TASK_ATTRACTIVENESS][0];
}

void predictions_add(hmt_prediction *sum, const hmt_prediction *part, int first)
{
    if (first) {
        *sum = *part;
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

hmt_status hmt_prediction_mean(const hmt_prediction *predictions, size_t count,
                               hmt_prediction *mean)
{
    hmt_prediction sum;

    status_clear();
    if (predictions == NULL || mean == NULL || count == 0)
        return status_fail(HMT_ERROR_ARGUMENT,
                           "hmt_prediction_mean: predictions or mean is NULL, or count is 0");
    for (size_t i = 0; i < count; ++i) {
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
