/*
 * The progress bar (see progress.h).
 *
 * Redrawn ten times a second at most on a terminal. Elsewhere a line after five seconds and then
 * ever more rarely, so that the log of a long run stays short.
 */
#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli.h"

enum { LINE_ROOM = 512, LEAST_BAR = 10, MOST_BAR = 40 };

static int columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col < LINE_ROOM - 8 ? size.ws_col : LINE_ROOM - 8;
    return 80;
}

const char *progress_time(double seconds, char text[32])
{
    long whole = seconds < 0 || seconds > 1e8 ? 0 : (long)(seconds + 0.5);
    if (whole >= 3600)
        snprintf(text, 32, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
    else
        snprintf(text, 32, "%ld:%02ld", whole / 60, whole % 60);
    return text;
}

void progress_start(progress *bar, const char *label, const char *unit, uint64_t total, bool quiet)
{
    double now = cli_seconds();
    *bar = (progress){label, unit, total, now, now, quiet, isatty(STDERR_FILENO) == 1, false};
}

/* Seconds between two lines or drawings. */
static double interval(const progress *bar, double elapsed)
{
    if (bar->terminal)
        return 0.1;
    return elapsed / 10 > 5 ? elapsed / 10 : 5;
}

static void draw_bar(progress *bar, double share, const char *facts)
{
    char line[LINE_ROOM];
    int width = columns() - 1;
    int room = width - (int)strlen(bar->label) - (int)strlen(facts) - 12;
    int length = room > MOST_BAR ? MOST_BAR : room;
    int used = snprintf(line, sizeof line, "%s ", bar->label);
    if (length >= LEAST_BAR && used + length + 16 < LINE_ROOM) {
        int filled = (int)(share * length);
        line[used++] = '[';
        memset(line + used, '#', (size_t)filled);
        memset(line + used + filled, '.', (size_t)(length - filled));
        used += length;
        line[used++] = ']';
        line[used++] = ' ';
    }
    snprintf(line + used, sizeof line - (size_t)used, "%3.0f %%  %s", 100 * share, facts);
    fprintf(stderr, "\r%.*s\033[K", width, line);
    bar->drawn = true;
}

void progress_update(progress *bar, uint64_t done, const char *note)
{
    double now = cli_seconds(), elapsed = now - bar->started;
    char facts[LINE_ROOM / 2], left[32];
    if (bar->quiet || now - bar->shown < interval(bar, elapsed) || done == 0 || bar->total == 0)
        return;
    double rate = (double)done / (elapsed > 0 ? elapsed : 1);
    double share = done < bar->total ? (double)done / (double)bar->total : 1;
    progress_time((double)(bar->total - (done < bar->total ? done : bar->total)) / rate, left);
    snprintf(facts, sizeof facts, "%llu/%llu %s  %.1f/s  %s left%s%s", (unsigned long long)done,
             (unsigned long long)bar->total, bar->unit, rate, left, note ? "  " : "",
             note ? note : "");
    bar->shown = now;
    if (bar->terminal)
        draw_bar(bar, share, facts);
    else
        fprintf(stderr, "%s: %s\n", bar->label, facts);
    fflush(stderr);
}

void progress_clear(progress *bar)
{
    if (bar->drawn)
        fputs("\r\033[K", stderr);
    bar->drawn = false;
    if (bar->terminal)
        bar->shown = 0;
}

double progress_finish(progress *bar)
{
    progress_clear(bar);
    return cli_seconds() - bar->started;
}
