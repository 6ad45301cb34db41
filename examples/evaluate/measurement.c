/* Figures of groups: measuring and naming them. */
#include "measurement.h"

#include <math.h>
#include <stdio.h>

#include "common/cli.h"

bool measure(measurement *m, group g)
{
    m->how.gender = g.gender;
    m->how.race = g.race;
    m->metrics.struct_size = sizeof m->metrics;
    if (hmt_metrics_measure(NULL, m->outcomes, m->evaluation->count, &m->how, &m->metrics) ==
        HMT_OK)
        return true;
    cli_library_error("cannot measure");
    return false;
}

bool measure_groups(measurement *m, group_visitor *visit, void *context)
{
    const hmt_model_config *c = &m->evaluation->net.config;
    bool good = true;
    for (int part = 0; part < 4; part++) /* which of the two are fixed: none, gender, race, both */
        for (int32_t i = part & 1 ? 0 : -1; i < (part & 1 ? c->gender_classes : 0); i++)
            for (int32_t k = part & 2 ? 0 : -1; good && k < (part & 2 ? c->race_classes : 0); k++) {
                group g = {i, k};
                good = measure(m, g);
                if (good && m->metrics.count > 0)
                    visit(m, g, context);
            }
    return good;
}

const char *measurement_class(const measurement *m, int task, int32_t label)
{
    return hmt_model_label(m->evaluation->net.model, (hmt_task)task, label);
}

void measurement_name(const measurement *m, group g, char name[GROUP_NAME])
{
    const char *gender = g.gender < 0 ? "" : measurement_class(m, 0, g.gender);
    const char *race = g.race < 0 ? "" : measurement_class(m, 1, g.race);
    snprintf(name, GROUP_NAME, "%s%s%s", gender, *gender && *race ? ", " : "", race);
    if (!*name)
        snprintf(name, GROUP_NAME, "all");
}

bool measurement_interval(const measurement *m, hmt_figure f)
{
    return m->how.resamples > 0 && !isnan(f.low);
}

const char *measurement_undefined(const measurement *m)
{
    const hmt_outcome *first = NULL;
    bool labels = true, predictions = true; /* all are equal */
    if (!isnan(m->metrics.pearson.value) || m->metrics.known[HMT_TASK_ATTRACTIVENESS] == 0)
        return NULL;
    if (m->metrics.known[HMT_TASK_ATTRACTIVENESS] < 2)
        return "there is only one face with a score";
    for (size_t i = 0; i < m->evaluation->count; i++) {
        const hmt_outcome *o = &m->outcomes[i];
        if (isnan(o->score) || isnan(o->predicted_score) ||
            (m->how.gender >= 0 && o->gender != m->how.gender) ||
            (m->how.race >= 0 && o->race != m->how.race))
            continue;
        first = first ? first : o;
        labels = labels && o->score == first->score;
        predictions = predictions && o->predicted_score == first->predicted_score;
    }
    return labels        ? "all rated scores are equal"
           : predictions ? "all predicted scores are equal"
                         : "the scores are too close to each other";
}
