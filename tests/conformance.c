/*
 * conformance: runs the suite on the backends of this build, or on one of them.
 *
 *     conformance [--backend NAME|all] [--gradient | --speed] [--filter TEXT] [--threads N]
 *                 [--width W] [--batch N] [--verbose]
 */
#include "conformance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "builtin.h"

static int usage(void)
{
    fputs("usage: conformance [--backend NAME|all] [--gradient | --speed] [--filter TEXT]\n"
          "                   [--threads N] [--width W] [--batch N] [--verbose]\n",
          stderr);
    return 2;
}

/* The value after option `i`, or NULL if there is none. */
static const char *value(int argc, char **argv, int *i)
{
    return *i + 1 < argc ? argv[++*i] : NULL;
}

static int parse(int argc, char **argv, conformance_options *o, const char **backend)
{
    for (int i = 1; i < argc; ++i) {
        const char *name = argv[i], *given;

        if (strcmp(name, "--gradient") == 0)
            o->mode = CONFORMANCE_GRADIENTS;
        else if (strcmp(name, "--speed") == 0)
            o->mode = CONFORMANCE_SPEED;
        else if (strcmp(name, "--verbose") == 0)
            o->verbose = true;
        else if ((given = value(argc, argv, &i)) == NULL)
            return 2;
        else if (strcmp(name, "--backend") == 0)
            *backend = given;
        else if (strcmp(name, "--filter") == 0)
            o->filter = given;
        else if (strcmp(name, "--threads") == 0)
            o->threads = atoi(given);
        else if (strcmp(name, "--batch") == 0)
            o->batch = atoi(given);
        else if (strcmp(name, "--width") == 0)
            o->width = atof(given);
        else
            return 2;
    }
    return o->threads >= 1 && o->batch >= 2 && o->width > 0 ? 0 : 2;
}

int main(int argc, char **argv)
{
    conformance_options options = CONFORMANCE_OPTIONS_INIT;
    conformance all = {.name = ""};
    const char *wanted = "all";
    int found = 0;

    if (parse(argc, argv, &options, &wanted) != 0)
        return usage();
    for (int i = 0; backends_builtin[i] != NULL; ++i) {
        const hmt_backend *backend = backends_builtin[i];
        int passed = all.passed, failed = all.failed;

        if (strcmp(wanted, "all") != 0 && strcmp(wanted, backend->name) != 0)
            continue;
        ++found;
        if (backend->device_count() == 0) {
            printf("%s: no device, skipped\n", backend->name);
            continue;
        }
        conformance_count(backend, &options, &all);
        printf("%s: %d passed, %d failed\n", backend->name, all.passed - passed,
               all.failed - failed);
    }
    if (found == 0) {
        fprintf(stderr, "conformance: this build has no backend called %s\n", wanted);
        return 2;
    }
    printf("conformance: %d passed, %d failed\n", all.passed, all.failed);
    return all.failed == 0 ? 0 : 1;
}
