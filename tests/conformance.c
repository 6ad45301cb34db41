/*
 * conformance: runs the suite on the backends of this build, or on one of them.
 *
 *     conformance [--backend NAME|all | --module FILE] [--precision float32|tf32|bf16]
 *                 [--gradient | --speed] [--filter TEXT] [--threads N] [--width W] [--batch N]
 *                 [--verbose]
 */
#include "conformance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "builtin.h"
#include "load_module.h"

static int usage(void)
{
    fputs(
        "usage: conformance [--backend NAME|all | --module FILE] [--precision float32|tf32|bf16]\n"
        "                   [--gradient | --speed] [--filter TEXT] [--threads N] [--width W]\n"
        "                   [--batch N] [--verbose]\n",
        stderr);
    return 2;
}

/* The value after option `i`, or NULL if there is none. */
static const char *value(int argc, char **argv, int *i)
{
    return *i + 1 < argc ? argv[++*i] : NULL;
}

static int parse_precision(const char *name, hmt_precision *precision)
{
    *precision = strcmp(name, "bf16") == 0   ? HMT_PRECISION_BFLOAT16
                 : strcmp(name, "tf32") == 0 ? HMT_PRECISION_TF32
                                             : HMT_PRECISION_FLOAT32;
    return *precision != HMT_PRECISION_FLOAT32 || strcmp(name, "float32") == 0 ? 0 : 2;
}

static int parse(int argc, char **argv, conformance_options *o, const char **backend,
                 const char **module)
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
        else if (strcmp(name, "--module") == 0)
            *module = given;
        else if (strcmp(name, "--precision") == 0) {
            if (parse_precision(given, &o->precision) != 0)
                return 2;
        } else if (strcmp(name, "--filter") == 0)
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

static int test_one(const hmt_backend *backend, const conformance_options *options,
                    conformance *all)
{
    int passed = all->passed, failed = all->failed;

    if (backend->device_count() == 0) {
        printf("%s: no device, skipped\n", backend->name);
        return 77;
    }
    conformance_count(backend, options, all);
    printf("%s: %d passed, %d failed\n", backend->name, all->passed - passed, all->failed - failed);
    return 0;
}

int main(int argc, char **argv)
{
    conformance_options options = CONFORMANCE_OPTIONS_INIT;
    conformance all = {.name = ""};
    const char *wanted = "all";
    const char *module = NULL;
    int found = 0, skipped = 0;

    if (parse(argc, argv, &options, &wanted, &module) != 0)
        return usage();
    if (module != NULL) {
        const hmt_backend *backend = load_module(module);

        if (backend == NULL)
            return 2;
        skipped = test_one(backend, &options, &all);
        found = 1;
    }
    for (int i = 0; module == NULL && backends_builtin[i] != NULL; ++i) {
        const hmt_backend *backend = backends_builtin[i];

        if (strcmp(wanted, "all") != 0 && strcmp(wanted, backend->name) != 0)
            continue;
        ++found;
        test_one(backend, &options, &all);
    }
    if (found == 0) {
        fprintf(stderr, "conformance: this build has no backend called %s\n", wanted);
        return 2;
    }
    printf("conformance: %d passed, %d failed\n", all.passed, all.failed);
    return all.failed != 0 ? 1 : skipped;
}
