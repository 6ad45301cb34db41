/*
 * Other programs of the project, which lie beside this one: run, and waited for.
 */
#ifndef EXAMPLES_SIBLINGS_H
#define EXAMPLES_SIBLINGS_H

#include <stdbool.h>

/* Runs NAME with the arguments (NULL ends them; the first is not the name). Returns its exit
 * status; CLI_USAGE after a message if it cannot be started. */
int sibling_run(const char *name, const char *const *arguments);

#endif
