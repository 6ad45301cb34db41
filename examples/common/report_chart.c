/* Charts as SVG (see report_chart.h). Coordinates are in units of the view box. */
#include "report_chart.h"

#include <math.h>
#include <stdbool.h>

enum { WIDTH = 420, HEIGHT = 280, LEFT = 44, RIGHT = 12, TOP = 10, BOTTOM = 36 };
enum { ROW = 20, NAMES = 132, TICKS = 6 };

/* An axis: values from low to high on places from begin to end. */
typedef struct axis {
    double low, high, step; /* step between ticks */
    double begin, end;
} axis;

void chart_text(FILE *to, const char *text)
{
    for (; *text; text++)
        if (*text == '&')
            fputs("&amp;", to);
        else if (*text == '<')
            fputs("&lt;", to);
        else if (*text == '>')
            fputs("&gt;", to);
        else if (*text == '"')
            fputs("&quot;", to);
        else
            fputc(*text, to);
}

static double place(const axis *a, double value)
{
    return a->begin + (value - a->low) / (a->high - a->low) * (a->end - a->begin);
}

/* Widens a range to round numbers. */
static axis make_axis(double low, double high, double begin, double end)
{
    if (!(high > low)) {
        low -= 0.5;
        high += 0.5;
    }
    double rough = (high - low) / TICKS, power = pow(10, floor(log10(rough))),
           share = rough / power;
    double step = power * (share <= 1 ? 1 : share <= 2 ? 2 : share <= 5 ? 5 : 10);
    return (axis){floor(low / step + 1e-9) * step, ceil(high / step - 1e-9) * step, step, begin,
                  end};
}

static void open_chart(FILE *to, const char *title, int height)
{
    fprintf(to, "<svg class=\"chart\" viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", WIDTH,
            height);
    chart_text(to, title);
    fputs("\">", to);
}

static void label(FILE *to, const char *class, double x, double y, const char *text)
{
    fprintf(to, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">", class, x, y);
    chart_text(to, text);
    fputs("</text>", to);
}

/* Grid lines and numbers of the axis below. */
static void draw_x(FILE *to, const axis *a, double top, double bottom, const char *name)
{
    char number[32];
    for (double v = a->low; v <= a->high + a->step / 2; v += a->step) {
        fprintf(to, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>",
                place(a, v), place(a, v), top, bottom);
        snprintf(number, sizeof number, "%g", fabs(v) < a->step / 2 ? 0 : v);
        label(to, "tick middle", place(a, v), bottom + 14, number);
    }
    label(to, "name middle", (a->begin + a->end) / 2, bottom + 30, name);
}

static void draw_y(FILE *to, const axis *a, double left, double right)
{
    char number[32];
    for (double v = a->low; v <= a->high + a->step / 2; v += a->step) {
        fprintf(to, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", left,
                right, place(a, v), place(a, v));
        snprintf(number, sizeof number, "%g", fabs(v) < a->step / 2 ? 0 : v);
        label(to, "tick end", left - 5, place(a, v) + 4, number);
    }
}

static void frame(FILE *to, const axis *x, const axis *y, const char *below, const char *beside)
{
    draw_x(to, x, y->end, y->begin, below);
    draw_y(to, y, x->begin, x->end);
    fprintf(to, "<text class=\"name middle\" transform=\"translate(11 %.1f) rotate(-90)\">",
            (y->begin + y->end) / 2);
    chart_text(to, beside);
    fputs("</text>", to);
}

/* The range of what is a number. */
static void widen(double value, double *low, double *high)
{
    if (!isfinite(value))
        return;
    *low = fmin(*low, value);
    *high = fmax(*high, value);
}

void chart_scatter(FILE *to, const char *title, const char *x, const char *y,
                   const chart_point *points, size_t count)
{
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        widen(points[i].x, &low, &high);
        widen(points[i].y, &low, &high);
    }
    if (!isfinite(low))
        return;
    axis across = make_axis(low, high, LEFT, WIDTH - RIGHT);
    axis up = make_axis(low, high, HEIGHT - BOTTOM, TOP);
    open_chart(to, title, HEIGHT);
    frame(to, &across, &up, x, y);
    fprintf(to, "<line class=\"guide\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>",
            across.begin, up.begin, across.end, up.end);
    for (size_t i = 0; i < count; i++)
        fprintf(to, "<circle class=\"dot\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>",
                place(&across, points[i].x), place(&up, points[i].y));
    fputs("</svg>\n", to);
}

void chart_lines(FILE *to, const char *title, const char *x, const chart_line *lines, size_t count)
{
    double left = INFINITY, right = -INFINITY, low = 0, high = -INFINITY;
    for (size_t k = 0; k < count; k++)
        for (size_t i = 0; i < lines[k].count; i++)
            if (isfinite(lines[k].points[i].y)) {
                widen(lines[k].points[i].x, &left, &right);
                widen(lines[k].points[i].y, &low, &high);
            }
    if (!isfinite(high))
        return;
    axis across = make_axis(left, right, LEFT, WIDTH - RIGHT);
    axis up = make_axis(low, high, HEIGHT - BOTTOM, TOP + 14);
    open_chart(to, title, HEIGHT);
    frame(to, &across, &up, x, "");
    for (size_t k = 0; k < count; k++) {
        bool pen = false;
        fprintf(to, "<path class=\"line%zu\" d=\"", k);
        for (size_t i = 0; i < lines[k].count; i++) {
            if (!isfinite(lines[k].points[i].y))
                continue;
            fprintf(to, "%c%.1f %.1f", pen ? 'L' : 'M', place(&across, lines[k].points[i].x),
                    place(&up, lines[k].points[i].y));
            pen = true;
        }
        fprintf(to, "\"/><path class=\"line%zu\" d=\"M%d 8h16\"/>", k, LEFT + 100 * (int)k);
        label(to, "tick", LEFT + 20 + 100 * (double)k, 12, lines[k].name);
    }
    fputs("</svg>\n", to);
}

void chart_columns(FILE *to, const char *title, const char *x, const char *y,
                   const chart_point *points, size_t count)
{
    double left = INFINITY, right = -INFINITY, low = 0, high = 0;
    for (size_t i = 0; i < count; i++) {
        widen(points[i].low, &left, &right);
        widen(points[i].high, &left, &right);
        widen(points[i].y, &low, &high);
    }
    if (!isfinite(left))
        return;
    axis across = make_axis(left, right, LEFT, WIDTH - RIGHT);
    axis up = make_axis(low, high, HEIGHT - BOTTOM, TOP);
    open_chart(to, title, HEIGHT);
    frame(to, &across, &up, x, y);
    for (size_t i = 0; i < count; i++) {
        double from = place(&across, points[i].low) + 2, end = place(&across, points[i].high) - 2;
        double zero = place(&up, 0), at = place(&up, points[i].y);
        fprintf(to, "<rect class=\"column\" x=\"%.1f\" width=\"%.1f\" y=\"%.1f\" height=\"%.1f\"/>",
                from, end - from, fmin(zero, at), fabs(zero - at));
    }
    fputs("</svg>\n", to);
}

void chart_whiskers(FILE *to, const char *title, const chart_point *points, size_t count,
                    double line)
{
    double low = line, high = line, bottom = TOP + (double)count * ROW;
    for (size_t i = 0; i < count; i++) {
        widen(points[i].x, &low, &high);
        widen(points[i].low, &low, &high);
        widen(points[i].high, &low, &high);
    }
    axis across = make_axis(low, high, NAMES, WIDTH - RIGHT);
    open_chart(to, title, (int)bottom + 20);
    draw_x(to, &across, TOP, bottom, "");
    fprintf(to, "<line class=\"guide\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%.1f\"/>",
            place(&across, line), place(&across, line), TOP, bottom);
    for (size_t i = 0; i < count; i++) {
        double at = TOP + ((double)i + 0.5) * ROW;
        label(to, "tick end", NAMES - 8, at + 4, points[i].name);
        if (isfinite(points[i].low))
            fprintf(to, "<line class=\"whisker\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>",
                    place(&across, points[i].low), place(&across, points[i].high), at, at);
        if (isfinite(points[i].x))
            fprintf(to, "<circle class=\"mark\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>",
                    place(&across, points[i].x), at);
    }
    fputs("</svg>\n", to);
}
