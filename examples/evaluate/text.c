/* Figures and confusion matrices as text. */
#include <math.h>
#include <stdio.h>

#include "measurement.h"

static void print_figure(const measurement *m, const char *name, hmt_figure f, double scale,
                         const char *unit, int digits)
{
    if (isnan(f.value))
        return;
    printf("    %-24s %8.*f%s", name, digits, scale * f.value, unit);
    if (measurement_interval(m, f))
        printf("   %.*f to %.*f", digits, scale * f.low, digits, scale * f.high);
    putchar('\n');
}

static void print_all(const measurement *m)
{
    printf("%zu photos", m->evaluation->count);
    if (m->evaluation->bad)
        printf(", %zu of them cannot be read", m->evaluation->bad);
    printf("; %d view%s of each", evaluation_views(m->evaluation),
           evaluation_views(m->evaluation) > 1 ? "s" : "");
    if (m->how.resamples)
        printf("; intervals of %g %%", 100 * m->how.confidence);
    printf("\n\n");
    print_figure(m, "mean absolute error", m->metrics.mae, 1, "", 3);
    print_figure(m, "root mean square error", m->metrics.rmse, 1, "", 3);
    print_figure(m, "mean error", m->metrics.bias, 1, "", 3);
    print_figure(m, "Pearson", m->metrics.pearson, 1, "", 3);
    print_figure(m, "Spearman", m->metrics.spearman, 1, "", 3);
    if (measurement_undefined(m))
        printf("    %-24s undefined: %s\n", "Pearson, Spearman", measurement_undefined(m));
    print_figure(m, "gender", m->metrics.accuracy[0], 100, " %", 1);
    print_figure(m, "race", m->metrics.accuracy[1], 100, " %", 1);
}

/* `none` stands where there is no figure. */
static void print_cell(const measurement *m, hmt_figure f, double scale, int digits,
                       const char *none)
{
    char text[64];
    snprintf(text, sizeof text, "%s", none);
    if (!isnan(f.value) && measurement_interval(m, f))
        snprintf(text, sizeof text, "%.*f (%.*f..%.*f)", digits, scale * f.value, digits,
                 scale * f.low, digits, scale * f.high);
    else if (!isnan(f.value))
        snprintf(text, sizeof text, "%.*f", digits, scale * f.value);
    printf("  %-21s", text);
}

static void print_group(const measurement *m, group g, void *context)
{
    (void)context;
    char name[GROUP_NAME];
    measurement_name(m, g, name);
    printf("    %-22s %5llu", name, (unsigned long long)m->metrics.count);
    print_cell(m, m->metrics.mae, 1, 2, "-");
    print_cell(m, m->metrics.bias, 1, 2, "-");
    print_cell(m, m->metrics.pearson, 1, 2, measurement_undefined(m) ? "undefined" : "-");
    print_cell(m, m->metrics.accuracy[0], 100, 0, "-");
    print_cell(m, m->metrics.accuracy[1], 100, 0, "-");
    putchar('\n');
}

static void print_confusion(const measurement *m, int task, int32_t classes)
{
    if (m->metrics.known[task] == 0)
        return;
    printf("\n    %-14s", task ? "race" : "gender");
    for (int32_t k = 0; k < classes; k++)
        printf(" %10.10s", measurement_class(m, task, k));
    putchar('\n');
    for (int32_t i = 0; i < classes; i++) {
        printf("    %-14.14s", measurement_class(m, task, i));
        for (int32_t k = 0; k < classes; k++)
            printf(" %10llu", (unsigned long long)m->metrics.confusion[task][i][k]);
        putchar('\n');
    }
}

bool measurement_text(measurement *m)
{
    if (!measure(m, (group){-1, -1}))
        return false;
    print_all(m);
    printf("\nlabelled (rows), predicted (columns)\n");
    print_confusion(m, 0, m->evaluation->net.config.gender_classes);
    print_confusion(m, 1, m->evaluation->net.config.race_classes);
    printf("\n    %-22s %5s  %-21s  %-21s  %-21s  %-21s  %-21s\n", "group", "faces", "MAE",
           "mean error", "Pearson", "gender, %", "race, %");
    return measure_groups(m, print_group, NULL);
}
