/*
 * turns - several builds of the library, or one with different settings, run after run by turns.
 *
 *     turns infer|train MODEL BATCH ROUNDS LIBRARY[,NAME=VALUE]...
 *
 * A shared machine changes its speed from second to second: two programs that run one behind the
 * other differ by more than two kernels do. Here each round runs every build once, in one process.
 * Prints each one's median and quartile, and the median of its ratios to the first in the same
 * round. NAME=VALUE is put into the environment while that build opens the CPU, e.g.
 *
 *     turns infer model.safetensors 1 500 old/libhmtnet.so new/libhmtnet.so,HMT_CONV=winograd4
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <hmtnet/hmtnet.h>

enum { IMAGE = 3 * 224 * 224, MOST = 8, SETTINGS = 4, UNTIMED = 2 };

/* What is called of a build, in place of the program's own. */
typedef struct calls {
    __typeof__(&hmt_last_error) last_error;
    __typeof__(&hmt_context_create) context_create;
    __typeof__(&hmt_model_load) model_load;
    __typeof__(&hmt_session_create) session_create;
    __typeof__(&hmt_trainer_create) trainer_create;
    __typeof__(&hmt_infer) infer;
    __typeof__(&hmt_train_step) train_step;
} calls;

/* A build and what it prepared. */
typedef struct build {
    const char *name;
    calls call;
    hmt_session *session; /* one of the two */
    hmt_trainer *trainer;
    double *times; /* (rounds) */
} build;

static int find_calls(const char *path, calls *call)
{
    const struct {
        const char *name;
        void *to;
    } wanted[] = {{"hmt_last_error", &call->last_error},
                  {"hmt_context_create", &call->context_create},
                  {"hmt_model_load", &call->model_load},
                  {"hmt_session_create", &call->session_create},
                  {"hmt_trainer_create", &call->trainer_create},
                  {"hmt_infer", &call->infer},
                  {"hmt_train_step", &call->train_step}};
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL), *found = library;
    for (size_t i = 0; found && i < sizeof wanted / sizeof *wanted; i++) {
        found = dlsym(library, wanted[i].name);
        memcpy(wanted[i].to, &found, sizeof found);
    }
    if (!found)
        fprintf(stderr, "turns: %s\n", dlerror());
    return found != NULL;
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int fail(const build *b)
{
    fprintf(stderr, "turns: %s: %s\n", b->name, b->call.last_error());
    return 2;
}

/* Loads the model and prepares inference or training. */
static int prepare(build *b, int train, const char *path, int32_t batch)
{
    hmt_session_options session = HMT_SESSION_OPTIONS_INIT;
    hmt_trainer_options trainer = HMT_TRAINER_OPTIONS_INIT;
    hmt_context *context;
    hmt_model *model;
    session.batch = trainer.batch = batch;
    if (b->call.context_create(NULL, &context) != HMT_OK ||
        b->call.model_load(context, path, NULL, &model) != HMT_OK ||
        (train ? b->call.trainer_create(model, &trainer, &b->trainer)
               : b->call.session_create(model, &session, &b->session)) != HMT_OK)
        return fail(b);
    return 0;
}

/* Opens "LIBRARY[,NAME=VALUE]..." and prepares it with those settings. */
static int open_build(build *b, char *what, int train, const char *path, int32_t batch)
{
    char *settings[SETTINGS], *library = strtok(what, ","), *setting;
    int count = 0, status;
    while ((setting = strtok(NULL, ",")) != NULL && count < SETTINGS) {
        char *value = strchr(setting, '=');
        if (!value) {
            fprintf(stderr, "turns: %s: \"%s\" is not NAME=VALUE\n", b->name, setting);
            return 2;
        }
        *value = '\0';
        setenv(setting, value + 1, 1);
        settings[count++] = setting;
    }
    status = find_calls(library, &b->call) ? prepare(b, train, path, batch) : 2;
    while (count > 0)
        unsetenv(settings[--count]);
    return status;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts the values, and gives the one at a fraction of them. */
static double quantile(double *values, size_t count, double at)
{
    qsort(values, count, sizeof *values, compare);
    return values[(size_t)(at * (double)(count - 1))];
}

static void report(build *builds, int count, size_t rounds)
{
    double *ratio = malloc(count * rounds * sizeof *ratio);
    if (!ratio)
        return;
    for (int i = 0; i < count; i++)
        for (size_t r = 0; r < rounds; r++)
            ratio[i * rounds + r] = builds[i].times[r] / builds[0].times[r];
    for (int i = 0; i < count; i++)
        printf("%-40s median %8.2f ms, quartile %8.2f ms, of the first's %.3f\n", builds[i].name,
               1e3 * quantile(builds[i].times, rounds, 0.5),
               1e3 * quantile(builds[i].times, rounds, 0.25),
               quantile(ratio + i * rounds, rounds, 0.5));
    free(ratio);
}

static int run(build *b, const hmt_batch *batch, hmt_prediction *predictions)
{
    const hmt_status status =
        b->trainer ? b->call.train_step(b->trainer, batch, NULL)
                   : b->call.infer(b->session, batch->images, batch->count, predictions);
    return status == HMT_OK ? 0 : fail(b);
}

int main(int argc, char **argv)
{
    const int count = argc - 5, train = argc > 1 && strcmp(argv[1], "train") == 0;
    const size_t images = argc > 4 ? strtoul(argv[3], NULL, 10) : 0;
    const size_t rounds = argc > 4 ? strtoul(argv[4], NULL, 10) : 0;
    build builds[MOST] = {{.name = NULL}};
    if (count < 1 || count > MOST || (!train && strcmp(argv[1], "infer") != 0) || images < 1 ||
        images > 4096 || rounds < 1) {
        fprintf(stderr, "usage: turns infer|train MODEL BATCH ROUNDS LIBRARY[,NAME=VALUE]...\n");
        return 2;
    }
    float *pixels = calloc(images * IMAGE, sizeof *pixels),
          *scores = calloc(images, sizeof *scores);
    int32_t *labels = calloc(images, sizeof *labels);
    hmt_prediction *predictions = calloc(images, sizeof *predictions);
    if (!pixels || !scores || !labels || !predictions)
        return 2;
    for (size_t i = 0; i < images * IMAGE; i++)
        pixels[i] = (float)(i * 2654435761u % 16777216u) / 4194304.0f - 2.0f;
    const hmt_batch batch = {sizeof batch, images, pixels, labels, labels, scores};
    for (int i = 0; i < count; i++) {
        builds[i].name = strdup(argv[5 + i]);
        builds[i].times = calloc(rounds, sizeof *builds[i].times);
        if (!builds[i].name || !builds[i].times ||
            open_build(&builds[i], argv[5 + i], train, argv[2], (int32_t)images))
            return 2;
    }
    for (size_t r = 0; r < rounds + UNTIMED; r++)
        for (int k = 0; k < count; k++) {
            build *b = &builds[r % 2 ? count - 1 - k : k]; /* nobody is always first */
            const double begin = seconds();
            if (run(b, &batch, predictions))
                return 2;
            if (r >= UNTIMED)
                b->times[r - UNTIMED] = seconds() - begin;
        }
    report(builds, count, rounds);
    return 0;
}
