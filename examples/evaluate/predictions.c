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
        write_class(to, m, 0, o->predicted_gender);
        fprintf(to, "%.6f,", (double)p->gender.probabilities[p->gender.label]);
        write_class(to, m, 1, o->predicted_race);
        fprintf(to, "%.6f,%.6g,", (double)p->race.probabilities[p->race.label], (double)p->score);
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
