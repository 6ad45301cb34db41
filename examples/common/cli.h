/*
 * Command lines: options from a table, --help made from the same table, messages, memory.
 *
 * Every program has --help and --version, and answers a wrong option with one line and exit 2.
 */
#ifndef EXAMPLES_CLI_H
#define EXAMPLES_CLI_H

#include <stddef.h>
#include <stdint.h>

#include "sink.h"

/* Exit statuses that the programs share; each program's --help says what they mean there:
 * CLI_SOME_FAILED  some of the inputs, or all, could not be read; the others were worked on
 * CLI_USAGE        nothing could be done: wrong options, files, models; computing failed
 * CLI_OUTPUT       what was computed or printed could not be written */
enum { CLI_OK = 0, CLI_SOME_FAILED = 1, CLI_USAGE = 2, CLI_OUTPUT = 3, CLI_INTERRUPTED = 130 };

typedef enum cli_kind {
    CLI_FLAG,    /* int: becomes 1 */
    CLI_INTEGER, /* int64_t in [least, most] */
    CLI_NUMBER,  /* double in [least, most] */
    CLI_TEXT,    /* const char * */
    CLI_CHOICE   /* int: index in argument, whose values are separated by '|' */
} cli_kind;

typedef struct cli_option {
    const char *name; /* without its two dashes; NULL ends the table */
    char letter;      /* short form; 0: none */
    cli_kind kind;
    void *target;         /* keeps its value, the default, if the option is not given */
    const char *argument; /* what --help calls the value; for a choice also the values */
    const char *help;     /* lines are broken where the text has a newline */
    double least, most;
} cli_option;

typedef struct cli_program {
    const char *name;
    const char *synopsis; /* what follows the name in the usage line */
    const char *summary;  /* what the program does */
    const cli_option *options;
    const char *notes; /* end of --help: exit statuses, examples */
} cli_program;

/* Sets up the standard streams (a closed one becomes one that fails; SIGPIPE is an error like any
 * other) and reads the options; operands may stand among them. Returns the index of the first
 * operand in the reordered argv, or -1 if the program is to end with *status. */
int cli_parse(const cli_program *program, int argc, char **argv, int *status);

/* The status that main() returns: `status`, but CLI_OUTPUT, with a message, if something printed on
 * standard output was lost and nothing worse happened. */
int cli_end(int status);
/* What is behind standard output. */
sink *cli_standard_output(void);
/* A message about standard output has been printed: cli_end() prints none. */
void cli_output_told(void);

/* One line on standard error, with the program's name in front. */
void cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, followed by the library's sentence about this thread's last failed call. */
void cli_library_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Zeroed memory, a copy of a string, a larger array; end the program if there is none left. */
void *cli_allocate(size_t count, size_t size);
char *cli_copy(const char *text);
void *cli_grow(void *array, size_t *room, size_t needed, size_t size);

/* SIGINT and SIGTERM set cli_interrupted() instead of ending the program; a second one ends it. */
void cli_catch_signals(void);
int cli_interrupted(void);

/* Seconds of a steady clock, and the processors this process may use. */
double cli_seconds(void);
int cli_processors(void);

#endif
