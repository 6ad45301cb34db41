/*
 * hmtnet-bench - how fast a network computes here, and how much of the machine that uses.
 *
 * Times inference runs or training steps on made-up photos, then measures the machine's own peaks
 * (common/machine.h) to compare with. Memory is read before that, so that it is the network's
 * alone.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hmtnet/hmtnet.h>

#include "common/cli.h"
#include "common/device.h"
#include "common/json.h"
#include "common/machine.h"

enum { IMAGE = 3 * 224 * 224 };

static struct {
    const char *model;
    device_settings device;
    int64_t batch, devices, repeat;
    double width;
    int steps, json;
} settings = {.repeat = 10, .width = 1};

static const cli_option options[] = {
    {"batch", 'b', CLI_INTEGER, &settings.batch, "N",
     "photos of a run or step (default 1; to train 32)", 1, 4096},
    {"width", 'w', CLI_NUMBER, &settings.width, "X", "times the paper's channel counts (default 1)",
     0.001, 4},
    {"model", 'm', CLI_TEXT, &settings.model, "FILE",
     "a model file, instead of a fresh network of --width", 0, 0},
    {"repeat", 'n', CLI_INTEGER, &settings.repeat, "N",
     "timed runs, after one that is not timed (default 10)", 1, 100000},
    DEVICE_OPTIONS(settings.device),
    {"devices", 0, CLI_INTEGER, &settings.devices, "N",
     "train: on N devices, from --device on (default 1)", 1, 64},
    {"steps", 0, CLI_FLAG, &settings.steps, NULL, "also list each step of the network", 0, 0},
    {"json", 0, CLI_FLAG, &settings.json, NULL, "one JSON object instead of text", 0, 0},
    {0}};

static const cli_program program = {
    "hmtnet-bench", "infer|train [OPTION]...",
    "Measures inference or training: time of a run (median and minimum), photos and\n"
    "operations a second, the share of this machine's measured peak, and memory.",
    options,
    "A multiply-add counts as two operations. The peak is that of multiply-adds from registers,\n"
    "the bandwidth that of a = b + s * c, both measured on the same number of threads of the\n"
    "processor; with a device beside it neither is shown. --steps times each step on its own.\n\n"
    "Environment, read when the library opens the CPU: HMT_CPU_LEVEL=plain|avx2|avx512|avx512vnni\n"
    "limits the instructions of its own kernels, HMT_CONV=im2col|winograd2|winograd3|winograd4|\n"
    "winograd5|winograd6 chooses convolutions, HMT_PREFETCH=hardware|nontemporal how the fully\n"
    "connected layers read their weights for one photo.\n\n"
    "Exit status: 0 measured, 2 wrong usage or model, or computing failed, 3 the output could\n"
    "not be written, 130 interrupted.\n\n"
    "Example: hmtnet-bench infer --batch 32 --steps"};

/* What is measured, and what came out. */
typedef struct bench {
    bool train;
    hmt_context *context;
    hmt_model *model;
    hmt_model_config config;
    hmt_session *session; /* to infer */
    hmt_trainer *trainer; /* to train */
    float *images;        /* (batch,3,224,224) */
    int32_t *labels[2];   /* (batch) gender, race */
    float *scores;        /* (batch) */
    hmt_prediction *predictions;

    double *times; /* (repeat) seconds, sorted at the end */
    hmt_step_profile *steps;
    double *step_times; /* (step_count) sums of milliseconds over the timed runs */
    size_t step_count;
    double flops; /* of a run */
    uint64_t memory;
    hmt_memory held;
    bool apart;             /* it is computed on a device beside this machine's processor */
    double peak, bandwidth; /* of the processor: GFLOP/s, GB/s */
} bench;

/* Made-up photos and labels; the numbers do not matter, but that none is special. */
static void fill(bench *run)
{
    size_t count = (size_t)settings.batch, floats = count * IMAGE;
    run->images = cli_allocate(floats, sizeof *run->images);
    run->labels[0] = cli_allocate(count, sizeof *run->labels[0]);
    run->labels[1] = cli_allocate(count, sizeof *run->labels[1]);
    run->scores = cli_allocate(count, sizeof *run->scores);
    run->predictions = cli_allocate(count, sizeof *run->predictions);
    for (size_t i = 0; i < floats; i++)
        run->images[i] = (float)(i * 2654435761u % 16777216u) / 4194304.0f - 2.0f;
    for (size_t i = 0; i < count; i++) {
        run->labels[0][i] = (int32_t)(i % (size_t)run->config.gender_classes);
        run->labels[1][i] = (int32_t)(i % (size_t)run->config.race_classes);
        run->scores[i] = run->config.score_mean;
    }
}

static bool make_model(bench *run)
{
    hmt_model_config_init(&run->config);
    run->config.width = settings.width;
    if (!settings.model)
        return hmt_model_create(run->context, &run->config, 1, &run->model) == HMT_OK;
    return hmt_model_load(run->context, settings.model, NULL, &run->model) == HMT_OK &&
           hmt_model_get_config(run->model, &run->config) == HMT_OK;
}

static bool prepare(bench *run)
{
    hmt_session_options session = HMT_SESSION_OPTIONS_INIT;
    hmt_trainer_options recipe = HMT_TRAINER_OPTIONS_INIT;
    session.batch = recipe.batch = (int32_t)settings.batch;
    recipe.device_count = (int32_t)settings.devices;
    /* Timing each step keeps steps from running side by side. */
    session.profile = recipe.profile = settings.steps;
    recipe.learning_rate = 1e-5; /* made-up labels are not worth learning */
    if (run->train)
        return hmt_trainer_create(run->model, &recipe, &run->trainer) == HMT_OK;
    return hmt_session_create(run->model, &session, &run->session) == HMT_OK;
}

static hmt_status compute(bench *run)
{
    hmt_batch batch = {sizeof batch,   (size_t)settings.batch, run->images,
                       run->labels[0], run->labels[1],         run->scores};
    if (run->train)
        return hmt_train_step(run->trainer, &batch, NULL);
    return hmt_infer(run->session, run->images, batch.count, run->predictions);
}

static hmt_status profile(const bench *run, hmt_step_profile *steps, size_t room, size_t *count)
{
    return run->train ? hmt_trainer_profile(run->trainer, steps, room, count)
                      : hmt_session_profile(run->session, steps, room, count);
}

/* Adds the last run's times to the sums; makes room for them the first time. */
static bool add_steps(bench *run)
{
    size_t count;
    if (!run->steps) {
        if (profile(run, NULL, 0, &run->step_count) != HMT_OK)
            return false;
        run->steps = cli_allocate(run->step_count, sizeof *run->steps);
        run->step_times = cli_allocate(run->step_count, sizeof *run->step_times);
    }
    if (profile(run, run->steps, run->step_count, &count) != HMT_OK)
        return false;
    run->flops = 0;
    for (size_t i = 0; i < run->step_count; i++) {
        run->step_times[i] += run->steps[i].milliseconds;
        run->flops += run->steps[i].flops;
    }
    if (run->train && settings.devices > 1) /* the steps are those of one */
        run->flops *= (double)settings.devices;
    return true;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const bench *run)
{
    size_t count = (size_t)settings.repeat;
    return (run->times[(count - 1) / 2] + run->times[count / 2]) / 2;
}

/* Returns an exit status. */
static int measure(bench *run)
{
    const hmt_memory none = HMT_MEMORY_INIT;
    run->times = cli_allocate((size_t)settings.repeat, sizeof *run->times);
    hmt_status status = compute(run);
    for (int64_t i = 0; status == HMT_OK && i < settings.repeat; i++) {
        if (cli_interrupted())
            return CLI_INTERRUPTED;
        double begin = cli_seconds();
        status = compute(run);
        run->times[i] = cli_seconds() - begin;
        if (status == HMT_OK && !add_steps(run))
            break;
    }
    run->held = none;
    if (status == HMT_OK)
        status = run->train ? hmt_trainer_memory(run->trainer, &run->held)
                            : hmt_session_memory(run->session, &run->held);
    if (status != HMT_OK || !run->steps) {
        cli_library_error("computing failed");
        return CLI_USAGE;
    }
    qsort(run->times, (size_t)settings.repeat, sizeof *run->times, by_value);
    run->memory = machine_peak_memory();
    run->apart = hmt_session_stages(run->session) || hmt_trainer_stages(run->trainer);
    run->peak = run->apart ? (double)NAN : machine_peak(hmt_context_threads(run->context));
    run->bandwidth =
        run->apart ? (double)NAN : machine_bandwidth(hmt_context_threads(run->context));
    return CLI_OK;
}

static void print_steps(const bench *run)
{
    double repeat = (double)settings.repeat, sum = 0;
    for (size_t i = 0; i < run->step_count; i++)
        sum += run->step_times[i];
    printf("\n%-20s %-36s %9s %9s %8s %7s\n", "step", "kind", "ms", "GFLOP/s", "GB/s", "share");
    for (size_t i = 0; i < run->step_count; i++) {
        const hmt_step_profile *step = &run->steps[i];
        double ms = run->step_times[i] / repeat, scale = ms > 0 ? 1e-6 / ms : 0;
        printf("%-20s %-36s %9.3f %9.1f %8.1f %5.1f %%\n", step->name, step->kind, ms,
               scale * step->flops, scale * (double)step->bytes,
               sum > 0 ? 100 * run->step_times[i] / sum : 0);
    }
    printf("%-20s %-36s %9.3f %9.1f\n", "all", "", sum / repeat,
           sum > 0 ? 1e-6 * run->flops / (sum / repeat) : 0);
}

static const char *computes_on(const bench *run, char name[128])
{
    return run->apart ? device_name(&settings.device, run->context, name) : machine_processor(name);
}

static void print_text(const bench *run)
{
    char name[128];
    double batch = (double)settings.batch, middle = median(run), least = run->times[0];
    double rate = 1e-9 * run->flops / middle;
    printf("%s, width %g, batch %lld, %s, %d threads, %s\n", run->train ? "train" : "infer",
           run->config.width, (long long)settings.batch, hmt_context_backend(run->context),
           (int)hmt_context_threads(run->context), computes_on(run, name));
    printf("run        median %.2f ms, minimum %.2f ms (%lld runs)\n", 1e3 * middle, 1e3 * least,
           (long long)settings.repeat);
    printf("photo      median %.2f ms, minimum %.2f ms; %.1f photos/s\n", 1e3 * middle / batch,
           1e3 * least / batch, batch / middle);
    printf("operations %.1f GFLOP/s", rate);
    if (!run->apart)
        printf(", %.0f %% of the peak %.1f GFLOP/s; bandwidth %.1f GB/s", 100 * rate / run->peak,
               run->peak, run->bandwidth);
    putchar('\n');
    printf("memory     peak %.0f MB; parameters %.0f, packed %.0f, arena %.0f, staging %.0f MB\n",
           1e-6 * (double)run->memory, 1e-6 * (double)run->held.parameters,
           1e-6 * (double)run->held.packed, 1e-6 * (double)run->held.arena,
           1e-6 * (double)run->held.staging);
    if (settings.steps)
        print_steps(run);
}

static void json_field(const char *name, double value)
{
    printf(",\"%s\":", name);
    json_number(stdout, value, 15);
}

static void json_text(const char *before, const char *name, const char *value)
{
    printf("%s\"%s\":", before, name);
    json_string(stdout, value);
}

static void json_steps(const bench *run)
{
    fputs(",\"steps\":[", stdout);
    for (size_t i = 0; i < run->step_count; i++) {
        json_text(i ? ",{" : "{", "name", run->steps[i].name);
        json_text(",", "kind", run->steps[i].kind);
        json_field("ms", run->step_times[i] / (double)settings.repeat);
        json_field("flops", run->steps[i].flops);
        json_field("bytes", (double)run->steps[i].bytes);
        putchar('}');
    }
    putchar(']');
}

static void print_json(const bench *run)
{
    char name[128];
    double batch = (double)settings.batch, middle = median(run), rate = 1e-9 * run->flops / middle;
    json_text("{", "mode", run->train ? "train" : "infer");
    json_text(",", "version", hmt_version());
    json_text(",", "backend", hmt_context_backend(run->context));
    json_text(",", "processor", machine_processor(name));
    if (run->apart)
        json_text(",", "device", computes_on(run, name));
    json_field("threads", hmt_context_threads(run->context));
    json_field("width", run->config.width);
    json_field("batch", batch);
    json_field("repeat", (double)settings.repeat);
    json_field("run_ms_median", 1e3 * middle);
    json_field("run_ms_minimum", 1e3 * run->times[0]);
    json_field("image_ms_median", 1e3 * middle / batch);
    json_field("image_ms_minimum", 1e3 * run->times[0] / batch);
    json_field("images_per_second", batch / middle);
    json_field("gflops", rate);
    json_field("peak_gflops", run->peak);
    json_field("peak_share", rate / run->peak);
    json_field("bandwidth_gbs", run->bandwidth);
    json_field("peak_memory_bytes", (double)run->memory);
    json_field("parameter_bytes", (double)run->held.parameters);
    json_field("packed_bytes", (double)run->held.packed);
    json_field("arena_bytes", (double)run->held.arena);
    json_field("staging_bytes", (double)run->held.staging);
    if (settings.steps)
        json_steps(run);
    puts("}");
}

static void release(bench *run)
{
    hmt_trainer_free(run->trainer);
    hmt_session_free(run->session);
    hmt_model_free(run->model);
    hmt_context_free(run->context);
    free(run->images);
    free(run->labels[0]);
    free(run->labels[1]);
    free(run->scores);
    free(run->predictions);
    free(run->times);
    free(run->steps);
    free(run->step_times);
}

static int benchmark(bench *run)
{
    if (!device_open(&settings.device, NULL, &run->context))
        return CLI_USAGE;
    if (!make_model(run) || !prepare(run)) {
        cli_library_error("cannot prepare");
        return CLI_USAGE;
    }
    fill(run);
    int status = measure(run);
    if (status != CLI_OK)
        return status;
    if (settings.json)
        print_json(run);
    else
        print_text(run);
    return CLI_OK;
}

int main(int argc, char **argv)
{
    int status;
    bench run = {0};
    int first = cli_parse(&program, argc, argv, &status);
    if (first < 0)
        return cli_end(status);
    const char *mode = first + 1 == argc ? argv[first] : "";
    run.train = strcmp(mode, "train") == 0;
    if (!run.train && strcmp(mode, "infer")) {
        cli_error("say infer or train; see --help");
        return CLI_USAGE;
    }
    if (settings.batch == 0)
        settings.batch = run.train ? 32 : 1;
    cli_catch_signals();
    status = benchmark(&run);
    release(&run);
    return cli_end(status);
}
