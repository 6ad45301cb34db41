/*
 * golden_check: compares a backend with files of numbers that were computed in float64.
 *
 *     golden_check [--backend NAME | --module FILE] [--precision float32|tf32|bf16] [--threads N]
 *                  [--values TOLERANCE] [--slack FACTOR] [--verbose] FILE.json ...
 *
 * Each precision has tolerances of its own (golden.c); --slack multiplies all of them.
 *
 * Exit status: 0 all agree, 1 some do not, 2 the arguments or a file cannot be understood.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "builtin.h"
#include "golden.h"
#include "load_module.h"

typedef struct arguments {
    const char *backend, *module;
    hmt_precision precision;
    int threads;
    double values, slack;
    bool verbose;
    int first; /* index of the first file */
} arguments;

static int parse(int argc, char **argv, arguments *a)
{
    int i = 1;

    for (; i < argc && strncmp(argv[i], "--", 2) == 0; ++i) {
        if (strcmp(argv[i], "--verbose") == 0)
            a->verbose = true;
        else if (i + 1 == argc)
            return 2;
        else if (strcmp(argv[i], "--backend") == 0)
            a->backend = argv[++i];
        else if (strcmp(argv[i], "--threads") == 0)
            a->threads = atoi(argv[++i]);
        else if (strcmp(argv[i], "--module") == 0)
            a->module = argv[++i];
        else if (strcmp(argv[i], "--precision") == 0) {
            const char *name = argv[++i];

            a->precision = strcmp(name, "tf32") == 0   ? HMT_PRECISION_TF32
                           : strcmp(name, "bf16") == 0 ? HMT_PRECISION_BFLOAT16
                                                       : HMT_PRECISION_FLOAT32;
        } else if (strcmp(argv[i], "--values") == 0)
            a->values = atof(argv[++i]);
        else if (strcmp(argv[i], "--slack") == 0)
            a->slack = atof(argv[++i]);
        else
            return 2;
    }
    a->first = i;
    return i < argc ? 0 : 2;
}

/* A file's JSON, NULL with a message if it cannot be read. */
static cJSON *load(const char *path)
{
    FILE *file = fopen(path, "rb");
    cJSON *json = NULL;
    char *text = NULL;
    long size = -1;

    if (file && fseek(file, 0, SEEK_END) == 0)
        size = ftell(file);
    if (size >= 0 && (text = malloc((size_t)size + 1)) != NULL) {
        rewind(file);
        text[fread(text, 1, (size_t)size, file)] = '\0';
        json = cJSON_Parse(text);
    }
    if (!json)
        fprintf(stderr, "golden_check: %s is not a readable JSON file\n", path);
    free(text);
    if (file)
        fclose(file);
    return json;
}

static double seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static int check_file(const char *path, const arguments *a, hmt_context *context,
                      const hmt_backend *backend)
{
    static const struct {
        const char *name;
        void (*check)(golden *f);
    } kinds[] = {{"infer", golden_infer}, {"train", golden_train}, {"losses", golden_losses}};
    const char *slash = strrchr(path, '/');
    double start = seconds();
    cJSON *json = load(path);
    golden f = {.json = json,
                .backend = backend,
                .context = context,
                .allowed = *golden_tolerances_of(a->precision),
                .slack = a->slack,
                .verbose = a->verbose};

    if (!json)
        return 2;
    if (a->values > 0.0)
        f.allowed.values = a->values;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; ++i)
        if (strcmp(golden_text(json, "kind"), kinds[i].name) == 0) {
            printf("%s on %s\n", slash ? slash + 1 : path, backend->name);
            kinds[i].check(&f);
            golden_print(&f);
            printf("    %s in %.1f s\n", f.failures == 0 ? "agrees" : "DIFFERS", seconds() - start);
            cJSON_Delete(json);
            return f.failures == 0 && f.quantity_count > 0 ? 0 : 1;
        }
    fprintf(stderr, "golden_check: %s is of kind \"%s\", not infer, train or losses\n", path,
            golden_text(json, "kind"));
    cJSON_Delete(json);
    return 2;
}

static const hmt_backend *find_backend(const char *name)
{
    for (int i = 0; backends_builtin[i] != NULL; ++i)
        if (strcmp(backends_builtin[i]->name, name) == 0)
            return backends_builtin[i];
    return NULL;
}

int main(int argc, char **argv)
{
    arguments a = {.slack = 1.0};
    const hmt_backend *module = NULL;
    hmt_context_options options = HMT_CONTEXT_OPTIONS_INIT;
    hmt_context *context = NULL;
    int worst = 0;

    if (parse(argc, argv, &a) != 0) {
        fputs(
            "usage: golden_check [--backend NAME | --module FILE] [--precision NAME] [--threads "
            "N]\n"
            "                    [--values TOLERANCE] [--slack FACTOR] [--verbose] FILE.json ...\n",
            stderr);
        return 2;
    }
    if (a.module != NULL) {
        module = load_module(a.module);
        if (module == NULL)
            return 2;
        options.backends = &module;
        options.backend_count = 1;
        options.backend = a.backend = module->name;
    }
    options.backend = a.backend;
    options.threads = a.threads;
    options.precision = a.precision;
    if (hmt_context_create(&options, &context) != HMT_OK) {
        fprintf(stderr, "golden_check: %s\n", hmt_last_error());
        return 2;
    }
    for (int i = a.first; i < argc; ++i) {
        int result =
            check_file(argv[i], &a, context,
                       module != NULL ? module : find_backend(hmt_context_backend(context)));

        worst = result > worst ? result : worst;
    }
    hmt_context_free(context);
    return worst;
}
