/* Tables (see tables.h). */
#include "tables.h"

#include "common/csv.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { CELL = 32, CELLS = 7 };

static const char *const heads[CELLS] = {"row",       "figure", "published",       "here",
                                         "deviation", "runs",   "here - published"};

static bool is_share(int figure)
{
    return figure == FIGURE_GENDER || figure == FIGURE_RACE;
}

/* A figure to look at: shares in per cent. */
static void put_value(char cell[CELL], int figure, double value, bool sign)
{
    if (isnan(value))
        cell[0] = '\0';
    else
        snprintf(cell, CELL, sign ? "%+.*f%s" : "%.*f%s", is_share(figure) ? 1 : 4,
                 is_share(figure) ? 100 * value : value, is_share(figure) ? " %" : "");
}

/* One line's cells; `name` only in a row's first. */
static void make_cells(const table_row *row, int figure, char cells[CELLS][CELL])
{
    const hmt_spread *s = &row->here[figure];
    const double here = s->count > 0 ? s->mean : NAN;
    snprintf(cells[0], CELL, "%s", row->name);
    snprintf(cells[1], CELL, "%s", figure_names[figure]);
    put_value(cells[2], figure, row->published[figure], false);
    put_value(cells[3], figure, here, false);
    put_value(cells[4], figure, s->count > 0 ? s->deviation : NAN, false);
    snprintf(cells[5], CELL, "%" PRIu64, s->count);
    put_value(cells[6], figure, here - row->published[figure], true);
    if (!*cells[2])
        snprintf(cells[2], CELL, "not available");
    if (!*cells[3])
        snprintf(cells[3], CELL,
                 figure == FIGURE_PEARSON && row->here[FIGURE_MAE].count > 0 ? "undefined"
                                                                             : "not run");
}

static void write_line(FILE *to, table_form form, char cells[CELLS][CELL])
{
    for (int i = 0; i < CELLS; i++)
        if (form == TABLE_CSV) {
            fputs(i ? "," : "", to);
            csv_write(to, cells[i]);
        } else if (form == TABLE_MARKDOWN)
            fprintf(to, "%s%s", i ? " | " : "| ", cells[i]);
        else
            fprintf(to, i == 0 ? "  %-22s" : i == 1 ? " %-7s" : " %16s", cells[i]);
    fputs(form == TABLE_MARKDOWN ? " |\n" : "\n", to);
}

static void write_head(FILE *to, table_form form, const char *id, const char *title,
                       const char *remark)
{
    char cells[CELLS][CELL];
    for (int i = 0; i < CELLS; i++)
        snprintf(cells[i], CELL, "%s", heads[i]);
    if (form == TABLE_MARKDOWN)
        fprintf(to, "**Table %s: %s.** %s\n\n", id, title, remark);
    else if (form == TABLE_TEXT)
        fprintf(to, "\nTable %s: %s. %s\n\n", id, title, remark);
    write_line(to, form, cells);
    if (form == TABLE_MARKDOWN)
        fputs("|---|---|---:|---:|---:|---:|---:|\n", to);
}

void table_write(FILE *to, table_form form, const char *id, const char *title, const char *remark,
                 const table_row *rows, size_t count)
{
    char cells[CELLS][CELL];
    write_head(to, form, id, title, remark);
    for (size_t r = 0; r < count; r++)
        for (int figure = 0, shown = 0; figure < FIGURE_COUNT; figure++) {
            if (isnan(rows[r].published[figure]) && rows[r].here[figure].count == 0)
                continue;
            make_cells(&rows[r], figure, cells);
            if (shown++ && form != TABLE_CSV)
                cells[0][0] = '\0';
            write_line(to, form, cells);
        }
}

void table_fill(table_row *row, const hmt_metrics_summary *s, const training_plan *plan)
{
    const hmt_spread figures[FIGURE_COUNT] = {s->mae, s->rmse, s->pearson, s->accuracy[0],
                                              s->accuracy[1]};
    for (int figure = 0; figure < FIGURE_COUNT; figure++) {
        const int task = figure == FIGURE_GENDER ? HMT_TASK_GENDER
                         : figure == FIGURE_RACE ? HMT_TASK_RACE
                                                 : HMT_TASK_ATTRACTIVENESS;
        if (plan->alpha[task] > 0)
            row->here[figure] = figures[figure];
    }
}
