/* Figures and confusion matrices of each group, as one JSON object. */
#include <stdio.h>

#include "common/json.h"
#include "measurement.h"

static void json_figure(const measurement *m, const char *name, hmt_figure f)
{
    printf(",\"%s\":{\"value\":", name);
    json_number(stdout, f.value, 9);
    if (m->how.resamples) {
        printf(",\"low\":");
        json_number(stdout, f.low, 9);
        printf(",\"high\":");
        json_number(stdout, f.high, 9);
    }
    putchar('}');
}

static void json_confusion(const measurement *m, int task, int32_t classes)
{
    printf(",\"%s_confusion\":[", task ? "race" : "gender");
    for (int32_t i = 0; i < classes; i++)
        for (int32_t k = 0; k < classes; k++)
            printf("%s%llu%s",
                   k   ? ","
                   : i ? ",["
                       : "[",
                   (unsigned long long)m->metrics.confusion[task][i][k],
                   k == classes - 1 ? "]" : "");
    putchar(']');
}

static void json_group(const measurement *m, group g, void *context)
{
    (void)context;
    char name[GROUP_NAME];
    measurement_name(m, g, name);
    printf("%s{\"group\":", g.gender < 0 && g.race < 0 ? "" : ",");
    json_string(stdout, name);
    printf(",\"faces\":%llu", (unsigned long long)m->metrics.count);
    json_figure(m, "mae", m->metrics.mae);
    json_figure(m, "rmse", m->metrics.rmse);
    json_figure(m, "mean_error", m->metrics.bias);
    json_figure(m, "pearson", m->metrics.pearson);
    json_figure(m, "spearman", m->metrics.spearman);
    if (measurement_undefined(m)) {
        printf(",\"correlation_undefined\":");
        json_string(stdout, measurement_undefined(m));
    }
    json_figure(m, "gender", m->metrics.accuracy[0]);
    json_figure(m, "race", m->metrics.accuracy[1]);
    json_confusion(m, 0, m->evaluation->net.config.gender_classes);
    json_confusion(m, 1, m->evaluation->net.config.race_classes);
    putchar('}');
}

bool measurement_json(measurement *m)
{
    printf("{\"photos\":%zu,\"unreadable\":%zu,\"views\":%d,\"confidence\":%g,\"groups\":[",
           m->evaluation->count, m->evaluation->bad, evaluation_views(m->evaluation),
           m->how.confidence);
    bool good = measure_groups(m, json_group, NULL);
    printf("]}\n");
    return good;
}
