/* A report's maps (see report_maps.h). */
#include "report_maps.h"

#include <stdlib.h>

#include "cli.h"
#include "maps.h"
#include "report_chart.h"
#include "report_image.h"

enum { FACES = 3, SIDE = 112, MESSAGE = 640 }; /* so many of the best, and of the worst */

static const char *const layers[] = {"relu3", "relu5"};
static const char *const tasks[HMT_TASK_COUNT] = {"gender", "race", "score"};

static bool describe_row(maps *m)
{
    bool good = true;
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        good = good && maps_add(m, MAP_ACTIVATION, maps_add_tap(m, layers[i]), -1);
    for (int task = 0; task < HMT_TASK_COUNT; task++)
        good = good && maps_add(m, MAP_GRAD_CAM, maps_add_tap(m, maps_task_taps[task]), task);
    return good;
}

/* What a map shows: "relu3", "for gender". */
static void name_map(const maps *m, int column, char name[48])
{
    const map_column *c = &m->columns[column];
    if (c->method == MAP_ACTIVATION)
        snprintf(name, 48, "%s", m->taps[c->tap]);
    else
        snprintf(name, 48, "for %s", tasks[c->task]);
}

static void write_head(FILE *to, const maps *m)
{
    char name[48];
    fputs("<h2>What it answers to</h2><p>relu3 and relu5: where these layers answer at all. For a "
          "task (Grad-CAM): what speaks for the class that the network predicts, or for a higher "
          "score. Each map has a scale of its own, violet low, yellow high; colours of two maps "
          "cannot be compared, and an even map says that nothing there speaks for it.</p><div "
          "class=\"wide\"><table class=\"maps\"><thead><tr>"
          "<th scope=\"col\">face</th>",
          to);
    for (int i = 0; i < m->column_count; i++) {
        name_map(m, i, name);
        fprintf(to, "<th scope=\"col\">%s</th>", name);
    }
    fputs("</tr></thead><tbody>", to);
}

/* One face and its maps. false: computing failed; a photo that cannot be read is passed over. */
static bool write_row(FILE *to, maps *m, const report_input *in, size_t index)
{
    const hmt_outcome *o = &in->outcomes[index];
    hmt_sample sample = HMT_SAMPLE_INIT;
    char message[MESSAGE], name[48];
    hmt_dataset_sample(in->evaluation->set, in->evaluation->samples[index], &sample);
    int got = maps_photo(m, sample.path, message, sizeof message);
    if (got <= 0)
        return got == 0;
    fputs("<tr><td>", to);
    report_image(to, m->face, SIDE, sample.name);
    fprintf(to, "<span>predicted %.2f</span><span>rated %.2f</span></td>",
            (double)o->predicted_score, (double)o->score);
    for (int i = 0; i < m->column_count; i++) {
        if (!maps_draw(m, i))
            return false;
        name_map(m, i, name);
        fputs("<td>", to);
        report_image(to, m->picture, SIDE, name);
        if (m->columns[i].task == HMT_TASK_GENDER || m->columns[i].task == HMT_TASK_RACE) {
            fputs("<span>", to);
            chart_text(to, m->columns[i].task == HMT_TASK_GENDER ? m->predictions[0].gender.name
                                                                 : m->predictions[0].race.name);
            fputs("</span>", to);
        }
        fputs("</td>", to);
    }
    fputs("</tr>\n", to);
    return true;
}

bool report_maps(FILE *to, const report_input *in, const size_t *order, size_t count)
{
    const size_t shown = count / 2 < FACES ? count / 2 : FACES;
    maps m = {.size = SIDE, .opacity = 0.7};
    bool good = describe_row(&m) && maps_prepare(&m, in->model, in->device);
    if (good)
        write_head(to, &m);
    for (size_t i = 0; good && i < shown; i++)
        good = write_row(to, &m, in, order[i]);
    for (size_t i = 0; good && i < shown; i++)
        good = write_row(to, &m, in, order[count - shown + i]);
    if (good)
        fputs("</tbody></table></div>", to);
    maps_free(&m);
    return good;
}
