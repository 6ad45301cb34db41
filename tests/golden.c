/* Golden files: reading, comparing, and the network that a file is about. */
#include "golden.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fill.h"

/* The lower precisions' are 1.3 to 2 times what was measured (docs/gpu.md). */
static const golden_tolerances tolerances[] = {
    {2e-5, 1e-4, 3e-4, 3e-2, 5e-3, 5e-6, 2e-3}, /* float32 */
    {5e-3, 4e-3, 8e-3, 0.5, 0.1, 1e-3, 9e-3},   /* TF32 */
    {0.1, 0.2, 0.25, 1.0, 0.35, 2e-2, 5e-2},    /* bfloat16 */
};

const golden_tolerances *golden_tolerances_of(hmt_precision precision)
{
    if (precision == HMT_PRECISION_TF32)
        return &tolerances[1];
    return &tolerances[precision == HMT_PRECISION_BFLOAT16 ? 2 : 0];
}

const cJSON *golden_get(const cJSON *object, const char *name)
{
    return object ? cJSON_GetObjectItemCaseSensitive(object, name) : NULL;
}

const char *golden_text(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(golden_get(object, name));

    return text ? text : "";
}

double golden_number(const cJSON *object, const char *name, double otherwise)
{
    const cJSON *item = golden_get(object, name);

    return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

void golden_note(golden *f, const char *quantity, const char *of, double error, double tolerance)
{
    golden_quantity *q = f->quantities;
    const golden_quantity *end = q + f->quantity_count;

    tolerance *= f->slack;
    while (q < end && strcmp(q->name, quantity) != 0)
        ++q;
    if (q == end) {
        if (f->quantity_count == GOLDEN_QUANTITIES)
            return;
        *q = (golden_quantity){.name = quantity, .tolerance = tolerance, .worst = -1.0};
        ++f->quantity_count;
    }
    if (!(error <= q->worst)) { /* NaN is the worst */
        q->worst = error;
        snprintf(q->of, sizeof q->of, "%s", of);
    }
    if (!(error <= tolerance)) {
        ++f->failures;
        printf("    FAILED: %s of %s is off by %.3g, more than %.3g\n", quantity, of, error,
               tolerance);
    } else if (f->verbose) {
        printf("    %-24s %-32s %.3g\n", quantity, of, error);
    }
}

bool golden_ok(golden *f, const char *what, hmt_status status)
{
    if (status == HMT_OK)
        return true;
    ++f->failures;
    printf("    FAILED: %s: %s: %s\n", what, hmt_status_name(status), hmt_last_error());
    return false;
}

double golden_digest(golden *f, const char *quantity, const char *quantity_l2, const char *of,
                     const float *values, int64_t count, const cJSON *digest, double floor,
                     double tolerance, double tolerance_l2)
{
    double most = golden_number(digest, "max_abs", NAN), scale = fmax(most, floor);
    double want_l2 = golden_number(digest, "l2", NAN), sum = 0.0, square = 0.0, largest = 0.0;
    double worst, norm = fmax(want_l2, floor * sqrt((double)count));
    const cJSON *at;

    if (golden_number(digest, "n", 0.0) != (double)count) {
        golden_note(f, quantity, of, INFINITY, tolerance);
        return INFINITY;
    }
    for (int64_t i = 0; i < count; ++i) {
        sum += values[i];
        square += (double)values[i] * values[i];
        largest = fmax(largest, fabs((double)values[i]));
    }
    worst = fabs(largest - most) / scale;
    worst = fmax(worst, fabs(sum / (double)count - golden_number(digest, "mean", NAN)) / scale);
    cJSON_ArrayForEach(at, golden_get(digest, "at"))
    {
        double error = fabs(values[strtoll(at->string, NULL, 10)] - at->valuedouble) / scale;

        worst = error <= worst ? worst : error;
    }
    golden_note(f, quantity, of, isfinite(square) ? worst : NAN, tolerance);
    golden_note(f, quantity_l2 ? quantity_l2 : quantity, of, fabs(sqrt(square) - want_l2) / norm,
                tolerance_l2);
    return fabs(sqrt(square) - want_l2) / norm;
}

void golden_print(const golden *f)
{
    for (int i = 0; i < f->quantity_count; ++i)
        printf("    %-24s worst %.2e of %.0e (%s)\n", f->quantities[i].name, f->quantities[i].worst,
               f->quantities[i].tolerance, f->quantities[i].of);
}

static bool fill_model(golden *f, hmt_model *model)
{
    const char *prefix = golden_text(f->json, "prefix");

    for (size_t i = 0; i < hmt_model_param_count(model); ++i) {
        hmt_param_info info = HMT_PARAM_INFO_INIT;
        hmt_status status = hmt_model_param_info(model, i, &info);
        char name[256];
        float *values;

        if (!golden_ok(f, "param_info", status))
            return false;
        values = malloc((size_t)info.count * sizeof(float));
        snprintf(name, sizeof name, "%s%s", prefix, info.name);
        fill_tensor(name, info.dimensions, info.shape, values);
        status = hmt_model_param_write(model, i, values, (size_t)info.count);
        free(values);
        if (!golden_ok(f, name, status))
            return false;
    }
    return true;
}

hmt_model *golden_model(golden *f)
{
    const cJSON *given = golden_get(f->json, "config"), *classes = golden_get(given, "classes");
    hmt_model_config config = {.struct_size = sizeof config};
    hmt_model *model = NULL;

    hmt_model_config_init(&config);
    if (strcmp(golden_text(given, "wiring"), "paper") == 0)
        config.wiring = HMT_WIRING_PAPER;
    if (strcmp(golden_text(given, "aggregator"), "concat") == 0)
        config.aggregator = HMT_AGGREGATOR_CONCATENATE;
    config.width = golden_number(given, "width", 1.0);
    if (cJSON_GetArraySize(classes) == 2) {
        config.gender_classes = cJSON_GetArrayItem(classes, 0)->valueint;
        config.race_classes = cJSON_GetArrayItem(classes, 1)->valueint;
    }
    if (!golden_ok(f, "model", hmt_model_create(f->context, &config, 1, &model)))
        return NULL;
    if (fill_model(f, model))
        return model;
    hmt_model_free(model);
    return NULL;
}

float *golden_input(const golden *f)
{
    const int64_t shape[4] = {(int64_t)golden_number(f->json, "batch", 1.0), 3, 224, 224};
    float *images = malloc((size_t)(shape[0] * 3 * 224 * 224) * sizeof(float));

    fill_tensor(golden_text(f->json, "input"), 4, shape, images);
    return images;
}
