/* A row for each group, as a Markdown table. */
#include <math.h>
#include <stdio.h>

#include "measurement.h"

static void markdown_cell(const measurement *m, hmt_figure f, double scale, int digits,
                          const char *unit, const char *none)
{
    if (isnan(f.value)) {
        printf(" | %s", none);
        return;
    }
    printf(" | %.*f%s", digits, scale * f.value, unit);
    if (measurement_interval(m, f))
        printf(" (%.*f to %.*f)", digits, scale * f.low, digits, scale * f.high);
}

static void markdown_group(const measurement *m, group g, void *context)
{
    (void)context;
    char name[GROUP_NAME];
    measurement_name(m, g, name);
    printf("| %s | %llu", name, (unsigned long long)m->metrics.count);
    markdown_cell(m, m->metrics.mae, 1, 3, "", "–");
    markdown_cell(m, m->metrics.rmse, 1, 3, "", "–");
    markdown_cell(m, m->metrics.pearson, 1, 3, "", measurement_undefined(m) ? "undefined" : "–");
    markdown_cell(m, m->metrics.accuracy[0], 100, 1, " %", "–");
    markdown_cell(m, m->metrics.accuracy[1], 100, 1, " %", "–");
    markdown_cell(m, m->metrics.bias, 1, 3, "", "–");
    printf(" |\n");
}

bool measurement_markdown(measurement *m)
{
    printf("| group | faces | MAE | RMSE | Pearson | gender | race | mean error |\n"
           "|---|---:|---:|---:|---:|---:|---:|---:|\n");
    return measure_groups(m, markdown_group, NULL);
}
