/* What was predicted for each photo, as CSV. */
#include <math.h>
#include <stdio.h>

#include "common/csv.h"
#include "common/output.h"
#include "measurement.h"

static void write_class(FILE *to, const measurement *m, int task, int32_t label)
{
    csv_write(to, label < 0 ? "" : measurement_class(m, task, label));
    fputc(',', to);
}

/* Nothing for a head that was not run. */
static void write_prediction(FILE *to, const measurement *m, int task,
                             const hmt_class_prediction *head)
{
    write_class(to, m, task, head->label);
    if (head->label >= 0)
        fprintf(to, "%.6f", (double)head->probabilities[head->label]);
    fputc(',', to);
}

static void write_row(FILE *to, const measurement *m, size_t i)
{
    const evaluation *e = m->evaluation;
    const hmt_outcome *o = &m->outcomes[i];
    const hmt_prediction *p = &e->predictions[i];
    hmt_sample s = HMT_SAMPLE_INIT;
    hmt_dataset_sample(e->set, e->samples[i], &s);
    csv_write(to, s.name);
    fputc(',', to);
    write_class(to, m, 0, o->gender);
    write_class(to, m, 1, o->race);
    if (!isnan(o->score))
        fprintf(to, "%.6g", (double)o->score);
    fputc(',', to);
    if (e->messages[i]) {
        fputs(",,,,,", to);
        csv_write(to, e->messages[i]);
    } else {
        write_prediction(to, m, 0, &p->gender);
        write_prediction(to, m, 1, &p->race);
        if (!isnan(o->predicted_score))
            fprintf(to, "%.6g", (double)o->predicted_score);
        fputc(',', to);
    }
    fputc('\n', to);
}

bool measurement_predictions(const measurement *m, const char *path)
{
    output out;
    bool good = output_open(&out, path);
    if (good) {
        fputs("path,gender,race,score,predicted_gender,gender_probability,predicted_race,"
              "race_probability,predicted_score,error\n",
              out.stream);
        for (size_t i = 0; i < m->evaluation->count; i++)
            write_row(out.stream, m, i);
        good = output_commit(&out);
    }
    output_discard(&out);
    return good;
}
