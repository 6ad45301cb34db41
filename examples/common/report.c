/* A report's page (see report.h). */
#include "report.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli.h"
#include "files.h"
#include "output.h"
#include "precision_sheet.h"
#include "report_chart.h"
#include "report_history.h"
#include "report_image.h"
#include "report_maps.h"
#include "report_style.h"
#include "thumbnail.h"

enum { FACES = 8, SIDE = 112, BINS = 8 };

static void tile(FILE *to, const char *name, hmt_figure f, double scale, const char *unit,
                 int digits)
{
    if (isnan(f.value))
        return;
    fprintf(to, "<div><dt>%s</dt><dd>%.*f%s", name, digits, scale * f.value, unit);
    if (f.low < f.high)
        fprintf(to, "<span>%.*f to %.*f</span>", digits, scale * f.low, digits, scale * f.high);
    fputs("</dd></div>", to);
}

static void write_head(FILE *to, const report_input *in)
{
    const hmt_metrics *m = &in->groups[0].metrics;
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src "
          "data:; style-src 'unsafe-inline'\"><title>Evaluation</title><style>",
          to);
    fputs(report_style, to);
    fprintf(to,
            "</style></head><body><main>\n<h1>%zu faces, as the network sees them</h1>"
            "<p class=\"soft\">Model ",
            in->evaluation->count);
    chart_text(to, in->model);
    fputs(", photos ", to);
    chart_text(to, in->data);
    fprintf(to, ", %d view%s of each", evaluation_views(in->evaluation),
            evaluation_views(in->evaluation) > 1 ? "s" : "");
    if (in->evaluation->bad)
        fprintf(to, "; %zu could not be read", in->evaluation->bad);
    fputs(".</p>\n<dl class=\"tiles\">", to);
    tile(to, "Pearson", m->pearson, 1, "", 3);
    tile(to, "Spearman", m->spearman, 1, "", 3);
    tile(to, "mean absolute error", m->mae, 1, "", 3);
    tile(to, "root mean square error", m->rmse, 1, "", 3);
    tile(to, "gender as labelled", m->accuracy[0], 100, " %", 1);
    tile(to, "race as labelled", m->accuracy[1], 100, " %", 1);
    fprintf(to,
            "</dl>\n<p class=\"soft\">Small numbers: %g %% bootstrap intervals over these faces. "
            "They say how far other faces of the same kind would move a figure.</p>\n",
            100 * in->confidence);
}

static bool write_history(FILE *to, const report_input *in)
{
    report_history h;
    if (!in->history)
        return true;
    bool good = report_history_read(&h, in->history);
    if (good) {
        const chart_line losses[2] = {{"training", h.training, h.training_count},
                                      {"validation", h.validation, h.validation_count}};
        const chart_line pearson[1] = {{"Pearson", h.pearson, h.validation_count}};
        fputs("<h2>Learning</h2><div class=\"pair\"><figure>", to);
        chart_lines(to, "Loss in training and validation over the epochs", "epoch", losses,
                    h.validation_count ? 2 : 1);
        fputs("<figcaption>Loss, in training with augmentation, in validation without.</figcaption>"
              "</figure><figure>",
              to);
        chart_lines(to, "Pearson correlation in validation over the epochs", "epoch", pearson, 1);
        fputs("<figcaption>Correlation of scores in validation.</figcaption></figure></div>\n", to);
    }
    report_history_free(&h);
    return good;
}

/* The outcomes that have both scores. */
static size_t scored_points(const report_input *in, chart_point *points)
{
    size_t count = 0;
    for (size_t i = 0; i < in->evaluation->count; i++) {
        const hmt_outcome *o = &in->outcomes[i];
        if (!isnan(o->score) && !isnan(o->predicted_score))
            points[count++] = (chart_point){.x = (double)o->score, .y = (double)o->predicted_score};
    }
    return count;
}

/* Mean error over bins of the rated score. */
static size_t bin_errors(const chart_point *points, size_t count, chart_point bins[BINS])
{
    double low = INFINITY, high = -INFINITY, width;
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        low = fmin(low, points[i].x);
        high = fmax(high, points[i].x);
    }
    width = (high - low) / BINS;
    for (int b = 0; b < BINS && width > 0; b++) {
        double sum = 0, from = low + b * width;
        size_t n = 0;
        for (size_t i = 0; i < count; i++)
            if (points[i].x >= from && (points[i].x < from + width || b == BINS - 1)) {
                sum += points[i].y - points[i].x;
                n++;
            }
        if (n)
            bins[used++] =
                (chart_point){from + width / 2, sum / (double)n, from, from + width, NULL};
    }
    return used;
}

static void write_scores(FILE *to, const report_input *in)
{
    chart_point *points = cli_allocate(in->evaluation->count, sizeof *points), bins[BINS];
    size_t count = scored_points(in, points);
    if (count > 1) {
        fputs("<h2>Scores</h2><div class=\"pair\"><figure>", to);
        chart_scatter(to, "Predicted against rated scores", "rated", "predicted", points, count);
        fputs("<figcaption>Each face once; on the dashed line a prediction is right.</figcaption>"
              "</figure><figure>",
              to);
        chart_columns(to, "Mean error by rated score", "rated", "predicted - rated", bins,
                      bin_errors(points, count, bins));
        fputs("<figcaption>Mean error of the faces rated so. A network that plays safe flatters "
              "the low and slights the high.</figcaption></figure></div>\n",
              to);
    }
    free(points);
}

static void write_confusion(FILE *to, const report_input *in, int task, int32_t classes)
{
    const hmt_metrics *m = &in->groups[0].metrics;
    if (m->known[task] == 0)
        return;
    fprintf(to,
            "<div class=\"wide\"><table><caption>%s: labelled (rows), predicted (columns)"
            "</caption><thead><tr><th></th>",
            task ? "Race" : "Gender");
    for (int32_t k = 0; k < classes; k++) {
        fputs("<th scope=\"col\">", to);
        chart_text(to, hmt_model_label(in->evaluation->net.model, (hmt_task)task, k));
        fputs("</th>", to);
    }
    fputs("</tr></thead><tbody>", to);
    for (int32_t i = 0; i < classes; i++) {
        uint64_t all = 0;
        for (int32_t k = 0; k < classes; k++)
            all += m->confusion[task][i][k];
        fputs("<tr><th scope=\"row\">", to);
        chart_text(to, hmt_model_label(in->evaluation->net.model, (hmt_task)task, i));
        fputs("</th>", to);
        for (int32_t k = 0; k < classes; k++) {
            uint64_t n = m->confusion[task][i][k];
            fprintf(to, "<td style=\"background:rgba(var(--shade),%.2f)\">%llu</td>",
                    all ? 0.6 * (double)n / (double)all : 0, (unsigned long long)n);
        }
        fputs("</tr>", to);
    }
    fputs("</tbody></table></div>", to);
}

static void write_cell(FILE *to, hmt_figure f, double scale, int digits)
{
    fputs("<td>", to);
    if (isnan(f.value))
        fputs("-", to);
    else
        fprintf(to, "%.*f", digits, scale * f.value);
    if (f.low < f.high)
        fprintf(to, " <small>%.*f to %.*f</small>", digits, scale * f.low, digits, scale * f.high);
    fputs("</td>", to);
}

static void write_whiskers(FILE *to, const report_input *in, const char *title, int what)
{
    chart_point *rows = cli_allocate(in->group_count, sizeof *rows);
    double all = 0;
    size_t count = 0;
    for (size_t i = 0; i < in->group_count; i++) {
        const hmt_metrics *m = &in->groups[i].metrics;
        hmt_figure f = what == 0 ? m->mae : what == 1 ? m->bias : m->accuracy[0];
        if (i == 0)
            all = what == 1 ? 0 : f.value;
        if (!in->groups[i].pair && !isnan(f.value))
            rows[count++] = (chart_point){f.value, 0, f.low, f.high, in->groups[i].name};
    }
    fputs("<figure>", to);
    if (count)
        chart_whiskers(to, title, rows, count, all);
    fprintf(to, "<figcaption>%s</figcaption></figure>", title);
    free(rows);
}

static void write_groups(FILE *to, const report_input *in)
{
    fputs("<h2>Groups</h2><p>Where intervals overlap widely, these faces do not tell the groups "
          "apart. Labels are how others sorted the photos.</p><div class=\"pair\">",
          to);
    write_whiskers(to, in, "Mean absolute error of the score; dashed: all faces", 0);
    write_whiskers(to, in, "Mean error of the score, predicted minus rated; dashed: none", 1);
    fputs("</div><div class=\"wide\"><table><caption>Each group and pair</caption><thead><tr>"
          "<th scope=\"col\">group</th><th scope=\"col\">faces</th><th scope=\"col\">MAE</th>"
          "<th scope=\"col\">mean error</th><th scope=\"col\">Pearson</th>"
          "<th scope=\"col\">gender, %</th><th scope=\"col\">race, %</th></tr></thead><tbody>",
          to);
    for (size_t i = 0; i < in->group_count; i++) {
        const hmt_metrics *m = &in->groups[i].metrics;
        fputs("<tr><th scope=\"row\">", to);
        chart_text(to, in->groups[i].name);
        fprintf(to, "</th><td>%llu</td>", (unsigned long long)m->count);
        write_cell(to, m->mae, 1, 2);
        write_cell(to, m->bias, 1, 2);
        write_cell(to, m->pearson, 1, 2);
        write_cell(to, m->accuracy[0], 100, 0);
        write_cell(to, m->accuracy[1], 100, 0);
        fputs("</tr>\n", to);
    }
    fputs("</tbody></table></div>", to);
}

static void write_face(FILE *to, const report_input *in, size_t index, uint8_t *rgb)
{
    const hmt_outcome *o = &in->outcomes[index];
    hmt_sample sample = HMT_SAMPLE_INIT;
    hmt_dataset_sample(in->evaluation->set, in->evaluation->samples[index], &sample);
    if (!thumbnail(sample.path, SIDE, rgb))
        return;
    fputs("<li>", to);
    report_image(to, rgb, SIDE, sample.name);
    fprintf(to, "<span>predicted %.2f</span><span class=\"soft\">rated %.2f</span></li>\n",
            (double)o->predicted_score, (double)o->score);
}

static bool write_faces(FILE *to, const report_input *in)
{
    size_t *order = cli_allocate(in->evaluation->count, sizeof *order);
    size_t count = precision_order(in->evaluation, order),
           shown = count / 2 < FACES ? count / 2 : FACES;
    uint8_t *rgb = cli_allocate(SIDE * SIDE, 3);
    if (shown) {
        fputs("<h2>Faces</h2><h3>Most precisely predicted</h3><ul class=\"faces\">", to);
        for (size_t i = 0; i < shown; i++)
            write_face(to, in, order[i], rgb);
        fputs("</ul><h3>Least precisely predicted</h3><ul class=\"faces\">", to);
        for (size_t i = 0; i < shown; i++)
            write_face(to, in, order[count - 1 - i], rgb);
        fputs("</ul>", to);
    }
    bool good = !shown || report_maps(to, in, order, count);
    free(rgb);
    free(order);
    return good;
}

static bool write_page(FILE *to, const report_input *in)
{
    const hmt_model_config *c = &in->evaluation->net.config;
    write_head(to, in);
    if (!write_history(to, in))
        return false;
    write_scores(to, in);
    fputs("<h2>Classes</h2><div class=\"tables\">", to);
    write_confusion(to, in, 0, c->gender_classes);
    write_confusion(to, in, 1, c->race_classes);
    fputs("</div>\n", to);
    write_groups(to, in);
    if (!write_faces(to, in))
        return false;
    fputs("<h2>How it was made</h2><p><code>", to);
    chart_text(to, in->command);
    fprintf(to,
            "</code></p><p class=\"soft\">libhmtnet %s, backend %s. A score repeats the taste of "
            "those who rated the photos; none of this is a fact about a person.</p>"
            "</main></body></html>\n",
            hmt_version(), hmt_context_backend(in->evaluation->net.context));
    return true;
}

bool report_write(const char *folder, const report_input *in)
{
    output out;
    if (mkdir(folder, 0777) && errno != EEXIST) {
        cli_error("cannot make %s: %s", folder, strerror(errno));
        return false;
    }
    char *path = files_join(folder, "index.html");
    bool good = output_open(&out, path) && write_page(out.stream, in) && output_commit(&out);
    output_discard(&out);
    free(path);
    return good;
}
