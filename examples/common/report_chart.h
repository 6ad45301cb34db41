/*
 * The charts of a report, as inline SVG with the classes that report_style.h colours.
 */
#ifndef EXAMPLES_REPORT_CHART_H
#define EXAMPLES_REPORT_CHART_H

#include <stddef.h>
#include <stdio.h>

typedef struct chart_point {
    double x, y;
    double low, high; /* whiskers: the interval; else not used */
    const char *name; /* whiskers: of the row */
} chart_point;

/* One line of a line chart; points that are not numbers are passed over. */
typedef struct chart_line {
    const char *name;
    const chart_point *points;
    size_t count;
} chart_line;

/* Text with what HTML reserves replaced. */
void chart_text(FILE *to, const char *text);

/* Points with the diagonal y = x, both axes alike. `title` is read out. */
void chart_scatter(FILE *to, const char *title, const char *x, const char *y,
                   const chart_point *points, size_t count);
/* Lines over a common x. */
void chart_lines(FILE *to, const char *title, const char *x, const chart_line *lines, size_t count);
/* Columns from 0: x is the middle, low and high the ends on the axis. */
void chart_columns(FILE *to, const char *title, const char *x, const char *y,
                   const chart_point *points, size_t count);
/* A dot with its interval for each row; `line` is a value to compare with. */
void chart_whiskers(FILE *to, const char *title, const chart_point *points, size_t count,
                    double line);

#endif
