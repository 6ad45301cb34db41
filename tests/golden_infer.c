/*
 * Golden inference: inner maps and logits of the network as it is, then the logits again with
 * everything folded.
 */
#include <math.h>
#include <stdlib.h>

#include "golden.h"

enum { MOST_TAPS = 32, MOST_BATCH = 16 };

static const char *const heads[HMT_TASK_COUNT] = {"gender_logits", "race_logits", "attractiveness"};

/* Number i of a head's golden values: an array of rows of logits, or of scores. */
static double expected(const cJSON *rows, int classes, int i)
{
    const cJSON *row = cJSON_GetArrayItem(rows, i / classes);

    return (cJSON_IsArray(row) ? cJSON_GetArrayItem(row, i % classes) : row)->valuedouble;
}

static void check_head(golden *f, hmt_session *session, hmt_task task, int32_t batch,
                       const char *quantity)
{
    const cJSON *rows = golden_get(f->json, heads[task]);
    int classes = rows && cJSON_IsArray(rows->child) ? cJSON_GetArraySize(rows->child) : 1;
    float values[MOST_BATCH * HMT_MAX_CLASSES];
    double most = 0.0, worst = 0.0;

    if (cJSON_GetArraySize(rows) != batch || classes > HMT_MAX_CLASSES) {
        golden_note(f, quantity, heads[task], INFINITY, f->allowed.values);
        return;
    }
    if (!golden_ok(f, heads[task],
                   hmt_session_logits(session, task, values, (size_t)(batch * classes))))
        return;
    for (int i = 0; i < batch * classes; ++i)
        most = fmax(most, fabs(expected(rows, classes, i)));
    for (int i = 0; i < batch * classes; ++i) {
        double error = fabs((double)values[i] - expected(rows, classes, i)) / most;

        worst = error <= worst ? worst : error;
    }
    golden_note(f, quantity, heads[task], worst, f->allowed.values);
}

static void check_taps(golden *f, hmt_session *session)
{
    const cJSON *tap;

    cJSON_ArrayForEach(tap, golden_get(f->json, "taps"))
    {
        int64_t shape[4], count;
        float *values;

        if (!golden_ok(f, tap->string, hmt_session_tap_shape(session, tap->string, shape)))
            continue;
        count = shape[0] * shape[1] * shape[2] * shape[3];
        values = malloc((size_t)count * sizeof(float));
        if (golden_ok(f, tap->string,
                      hmt_session_tap_read(session, tap->string, values, (size_t)count)))
            golden_digest(f, "maps", NULL, tap->string, values, count, tap, 0.0, f->allowed.values,
                          f->allowed.values);
        free(values);
    }
}

static void infer(golden *f, hmt_model *model, const float *images, bool exact)
{
    hmt_session_options options = HMT_SESSION_OPTIONS_INIT;
    hmt_prediction predictions[MOST_BATCH];
    const char *taps[MOST_TAPS];
    hmt_session *session = NULL;
    const cJSON *tap;

    options.batch = (int32_t)golden_number(f->json, "batch", 1.0);
    options.keep_exact = exact;
    options.taps = taps;
    if (exact)
        cJSON_ArrayForEach(tap, golden_get(f->json, "taps")) if (options.tap_count < MOST_TAPS)
            taps[options.tap_count++] = tap->string;
    if (options.batch > MOST_BATCH ||
        !golden_ok(f, "session", hmt_session_create(model, &options, &session)))
        return;
    if (golden_ok(f, "infer", hmt_infer(session, images, (size_t)options.batch, predictions))) {
        for (int task = 0; task < HMT_TASK_COUNT; ++task)
            check_head(f, session, (hmt_task)task, options.batch,
                       exact ? "logits" : "logits, folded");
        if (exact)
            check_taps(f, session);
    }
    hmt_session_free(session);
}

void golden_infer(golden *f)
{
    hmt_model *model = golden_model(f);
    float *images;

    if (!model)
        return;
    images = golden_input(f);
    infer(f, model, images, true);
    infer(f, model, images, false);
    free(images);
    hmt_model_free(model);
}
