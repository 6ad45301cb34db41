/*
 * Command lines (see cli.h): getopt_long driven by the program's table of options.
 *
 * Touches standard output for --help and --version, standard error for messages.
 */
#define _GNU_SOURCE /* sched_getaffinity */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <hmtnet/hmtnet.h>

enum { MOST_OPTIONS = 96, FIRST_LONG = 256, HELP_COLUMN = 30 };

static const char *program_name = "hmtnet";
static volatile sig_atomic_t interrupted;
static sink standard_output;
static int output_told;

/* A file that is opened must not take a closed standard stream's number, lest messages go into it;
 * and what is printed to a closed one is lost, which the descriptor here says when it is used. */
static void set_up_streams(void)
{
    for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
        if (fcntl(i, F_GETFD) < 0 && errno == EBADF &&
            open("/dev/null", i == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
            exit(CLI_USAGE);
    FILE *remembering = sink_open(&standard_output, STDOUT_FILENO);
    if (remembering) {
        setvbuf(remembering, NULL, isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF, BUFSIZ);
        stdout = remembering;
    }
    signal(SIGPIPE, SIG_IGN);
}

sink *cli_standard_output(void)
{
    return &standard_output;
}

void cli_output_told(void)
{
    output_told = 1;
}

int cli_end(int status)
{
    const int good = fflush(stdout) == 0 && !ferror(stdout);
    if (good || (status != CLI_OK && status != CLI_SOME_FAILED))
        return status;
    if (!output_told)
        cli_error("cannot write to standard output: %s",
                  strerror(standard_output.error ? standard_output.error : errno));
    return CLI_OUTPUT;
}

static void print_option(const cli_option *option)
{
    char left[80];
    int used = option->letter
                   ? snprintf(left, sizeof left, "  -%c, --%s", option->letter, option->name)
                   : snprintf(left, sizeof left, "      --%s", option->name);
    if (option->argument && used > 0 && (size_t)used < sizeof left)
        used += snprintf(left + used, sizeof left - (size_t)used, " %s", option->argument);
    printf("%-*s", HELP_COLUMN, left);
    if (used >= HELP_COLUMN)
        printf("\n%*s", HELP_COLUMN, "");
    for (const char *c = option->help; *c; c++) {
        putchar(*c);
        if (*c == '\n')
            printf("%*s", HELP_COLUMN, "");
    }
    putchar('\n');
}

static void print_help(const cli_program *program)
{
    printf("Usage: %s %s\n\n%s\n\nOptions:\n", program->name, program->synopsis, program->summary);
    for (const cli_option *option = program->options; option->name; option++)
        print_option(option);
    print_option(&(cli_option){"help", 'h', CLI_FLAG, NULL, NULL, "show this and exit", 0, 0});
    print_option(&(cli_option){"version", 0, CLI_FLAG, NULL, NULL,
                               "show the library's version and exit", 0, 0});
    printf("\n%s\n", program->notes);
}

static int wrong_value(const cli_option *option, const char *wanted, const char *value)
{
    cli_error("--%s takes %s, not '%s'", option->name, wanted, value);
    return CLI_USAGE;
}

/* Finds `value` among the words of "one|two|three". */
static int set_choice(const cli_option *option, const char *value)
{
    size_t length = strlen(value);
    int index = 0;
    for (const char *word = option->argument; word; index++) {
        const char *end = strchr(word, '|');
        size_t size = end ? (size_t)(end - word) : strlen(word);
        if (size == length && memcmp(word, value, size) == 0) {
            *(int *)option->target = index;
            return CLI_OK;
        }
        word = end ? end + 1 : NULL;
    }
    return wrong_value(option, option->argument, value);
}

static int set_number(const cli_option *option, const char *value)
{
    char *end = NULL;
    char wanted[120];
    errno = 0;
    if (option->kind == CLI_INTEGER) {
        long long number = strtoll(value, &end, 10);
        if (end != value && !*end && !errno && (double)number >= option->least &&
            (double)number <= option->most) {
            *(int64_t *)option->target = number;
            return CLI_OK;
        }
    } else {
        double number = strtod(value, &end);
        if (end != value && !*end && number >= option->least && number <= option->most) {
            *(double *)option->target = number;
            return CLI_OK;
        }
    }
    snprintf(wanted, sizeof wanted, "a %snumber from %.15g to %.15g",
             option->kind == CLI_INTEGER ? "whole " : "", option->least, option->most);
    return wrong_value(option, wanted, value);
}

static int set_option(const cli_option *option, const char *value)
{
    switch (option->kind) {
    case CLI_FLAG:
        *(int *)option->target = 1;
        return CLI_OK;
    case CLI_TEXT:
        *(const char **)option->target = value;
        return CLI_OK;
    case CLI_CHOICE:
        return set_choice(option, value);
    default:
        return set_number(option, value);
    }
}

/* Translates the table to getopt's. Returns the number of options. */
static int make_getopt(const cli_program *program, struct option *longs, char *shorts)
{
    int count = 0;
    *shorts++ = ':';
    for (const cli_option *row = program->options; row->name && count < MOST_OPTIONS;
         row++, count++) {
        int has_value = row->kind == CLI_FLAG ? no_argument : required_argument;
        longs[count] = (struct option){row->name, has_value, NULL, FIRST_LONG + count};
        if (row->letter) {
            *shorts++ = row->letter;
            if (has_value)
                *shorts++ = ':';
        }
    }
    longs[count] = (struct option){"help", no_argument, NULL, 'h'};
    longs[count + 1] = (struct option){"version", no_argument, NULL, 'V'};
    memcpy(shorts, "hV", 3);
    return count;
}

static const cli_option *find_option(const cli_program *program, int count, int code)
{
    if (code >= FIRST_LONG && code < FIRST_LONG + count)
        return &program->options[code - FIRST_LONG];
    for (int i = 0; i < count; i++)
        if (program->options[i].letter && program->options[i].letter == code)
            return &program->options[i];
    return NULL;
}

/* `option` is what getopt stopped at, '?' or ':' the reason. */
static int refuse(int reason, const char *argument)
{
    if (reason == ':')
        cli_error("option '%s' needs a value; see --help", argument);
    else
        cli_error("unknown option '%s'; see --help", argument);
    return CLI_USAGE;
}

int cli_parse(const cli_program *program, int argc, char **argv, int *status)
{
    struct option longs[MOST_OPTIONS + 3] = {{0}};
    char shorts[2 * MOST_OPTIONS + 4];
    int count = make_getopt(program, longs, shorts);
    set_up_streams();
    program_name = program->name;
    opterr = 0;
    *status = CLI_OK;
    for (;;) {
        int code = getopt_long(argc, argv, shorts, longs, NULL);
        if (code == -1)
            return optind;
        if (code == 'h') {
            print_help(program);
            return -1;
        }
        if (code == 'V') {
            printf("%s, libhmtnet %s\n", program->name, hmt_version());
            return -1;
        }
        const cli_option *option = find_option(program, count, code);
        *status = option ? set_option(option, optarg) : refuse(code, argv[optind - 1]);
        if (*status != CLI_OK)
            return -1;
    }
}

static void print_message(const char *format, va_list arguments)
{
    fprintf(stderr, "%s: ", program_name);
    vfprintf(stderr, format, arguments);
}

void cli_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_message(format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

void cli_library_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_message(format, arguments);
    va_end(arguments);
    fprintf(stderr, ": %s\n", hmt_last_error());
}

static void *or_exit(void *memory)
{
    if (!memory) {
        cli_error("out of memory");
        exit(CLI_USAGE);
    }
    return memory;
}

void *cli_allocate(size_t count, size_t size)
{
    return or_exit(calloc(count ? count : 1, size));
}

char *cli_copy(const char *text)
{
    return or_exit(strdup(text));
}

void *cli_grow(void *array, size_t *room, size_t needed, size_t size)
{
    if (needed <= *room)
        return array;
    size_t larger = *room < 16 ? 16 : *room;
    while (larger < needed && larger <= SIZE_MAX / 2)
        larger *= 2;
    *room = larger;
    return or_exit(larger < needed || larger > SIZE_MAX / size ? NULL
                                                               : realloc(array, larger * size));
}

static void note_signal(int number)
{
    interrupted = number;
}

void cli_catch_signals(void)
{
    struct sigaction action = {0};
    sigemptyset(&action.sa_mask);
    action.sa_handler = note_signal;
    action.sa_flags = (int)(SA_RESETHAND | SA_RESTART);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

int cli_interrupted(void)
{
    return interrupted;
}

double cli_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int cli_processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}
