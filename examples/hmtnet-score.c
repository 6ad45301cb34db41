/*
 * hmtnet-score - predict many photos and write a table.
 *
 * Photos come from arguments, folders or standard input; rows go, in the order of the photos, to
 * standard output or atomically to a file. Worker threads decode a batch, then the library computes
 * it.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <hmtnet/hmtnet.h>

#include "common/batches.h"
#include "common/cli.h"
#include "common/csv.h"
#include "common/device.h"
#include "common/files.h"
#include "common/json.h"
#include "common/network.h"
#include "common/output.h"
#include "common/photo.h"
#include "common/progress.h"

/* DEPTH 1: a batch is decoded on all processors and then computed on all; decoding behind the
 * computation's back measured slower, as both want every processor. With a device of its own to
 * compute on, one batch is computed, the next on its way there, and two are being decoded. */
enum { SIDE = 224, CROP = 3 * SIDE * SIDE, CROPS = 5, FORMAT_CSV = 0, DEPTH = 1, DEVICE_DEPTH = 4 };

static struct {
    const char *model, *output;
    device_settings device;
    int64_t batch, decoders;
    int five_crop, format, zero, quiet;
} settings = {.batch = 32};

static const cli_option options[] = {
    {"model", 'm', CLI_TEXT, &settings.model, "FILE",
     "the model, a .safetensors file or PyTorch checkpoint", 0, 0},
    {"output", 'o', CLI_TEXT, &settings.output, "FILE",
     "write here instead of standard output; an old file is\nreplaced when all is written", 0, 0},
    {"format", 'f', CLI_CHOICE, &settings.format, "csv|jsonl",
     "csv (default), or JSON Lines with all probabilities", 0, 0},
    {"five-crop", 0, CLI_FLAG, &settings.five_crop, NULL,
     "mean over five crops instead of the centre one: a\nlittle better, five times the work", 0, 0},
    {"batch", 'b', CLI_INTEGER, &settings.batch, "N", "crops computed at once (default 32)", 1,
     4096},
    DEVICE_OPTIONS(settings.device),
    {"decoders", 0, CLI_INTEGER, &settings.decoders, "N",
     "threads that decode photos (default: all processors)", 0, 256},
    {"null", '0', CLI_FLAG, &settings.zero, NULL,
     "names on standard input end with a zero byte, not with\na line", 0, 0},
    PHOTO_OPTIONS,
    {"quiet", 'q', CLI_FLAG, &settings.quiet, NULL, "show no progress", 0, 0},
    {0}};

static const cli_program program = {
    "hmtnet-score", "--model FILE [OPTION]... INPUT...",
    "Predicts gender, race and attractiveness of the face in each photo (JPEG or PNG).\n"
    "An INPUT is a photo, a folder (its .jpg, .jpeg, .jpe, .jfif and .png files and those\n"
    "below it), or - for a list of photos on standard input.",
    options,
    "A photo that cannot be read gets a row with the reason in its last column. Other files\n"
    "of a folder are counted in one line on standard error.\n"
    "Exit status: 0 all photos predicted, 1 some could not be read, 2 wrong usage or model, no\n"
    "photos, or computing failed, 3 the output could not be written, 130 interrupted.\n\n"
    "Example: hmtnet-score --model faces.safetensors --output faces.csv photos/"};

/* What a run needs, in the order in which it is made. */
typedef struct score {
    files_list photos;
    output out;
    hmt_context *context;
    hmt_model *model;
    hmt_session *session;
    hmt_model_config config;
    hmt_preprocess_options preprocess;
    size_t crops;                /* of a photo: 1 or 5 */
    bool ahead;                  /* the device takes the next batch, as 8-bit crops, meanwhile */
    size_t batch;                /* photos of a batch */
    hmt_prediction *predictions; /* (batch * crops) */
    size_t failed;               /* photos with an error row */
} score;

/* batches_load: decodes photo `index` and cuts out (crops,224,224,3) levels for a device, else
 * (crops,3,224,224) normalised values: here all workers share in normalising. */
static bool load_photo(void *user, size_t index, void *crops, char *message)
{
    score *run = user;
    hmt_pixels pixels = {0};
    hmt_status status =
        hmt_decode_file(run->context, run->photos.paths[index], &photo_decoding, &pixels);
    if (status == HMT_OK && run->ahead)
        status =
            hmt_preprocess_crops(run->context, &pixels, &run->preprocess, crops, run->crops * CROP);
    else if (status == HMT_OK)
        status = hmt_preprocess(run->context, &pixels, &run->preprocess, crops, run->crops * CROP);
    if (status != HMT_OK)
        snprintf(message, BATCHES_MESSAGE, "%s", hmt_last_error());
    hmt_pixels_free(run->context, &pixels);
    return status == HMT_OK;
}

/* A number with fixed decimals; nothing if it is not finite. */
static void csv_number(FILE *stream, double value, int decimals)
{
    if (isfinite(value))
        fprintf(stream, "%.*f", decimals, value);
}

/* Not a number where the head was not run. */
static double score_of(const hmt_prediction *face)
{
    return face->tasks & HMT_TASKS_ATTRACTIVENESS ? (double)face->score : (double)NAN;
}

static void csv_class(FILE *stream, const hmt_class_prediction *head)
{
    if (head->label >= 0) {
        csv_write(stream, head->name);
        fputc(',', stream);
        csv_number(stream, head->probabilities[head->label], 6);
    } else {
        fputc(',', stream);
    }
    fputc(',', stream);
}

/* One row; `error` is NULL if there is a prediction. */
static void csv_row(FILE *stream, const char *path, const hmt_prediction *face, const char *error)
{
    csv_write(stream, path);
    fputc(',', stream);
    if (error) {
        fputs(",,,,,", stream);
        csv_write(stream, error);
    } else {
        csv_class(stream, &face->gender);
        csv_class(stream, &face->race);
        csv_number(stream, score_of(face), 4);
        fputc(',', stream);
    }
    fputc('\n', stream);
}

static void json_class(FILE *stream, const score *run, const char *name, hmt_task task,
                       const hmt_class_prediction *head)
{
    fprintf(stream, ",\"%s\":", name);
    if (head->label < 0) {
        fputs("null", stream);
        return;
    }
    json_string(stream, head->name);
    fprintf(stream, ",\"%s_probability\":", name);
    json_number(stream, head->probabilities[head->label], 7);
    fprintf(stream, ",\"%s_probabilities\":{", name);
    for (int32_t i = 0; i < head->class_count; i++) {
        const char *label = hmt_model_label(run->model, task, i);
        fputs(i ? "," : "", stream);
        json_string(stream, label ? label : "");
        fputc(':', stream);
        json_number(stream, head->probabilities[i], 7);
    }
    fputc('}', stream);
}

static void json_row(FILE *stream, const score *run, const char *path, const hmt_prediction *face,
                     const char *error)
{
    fputs("{\"path\":", stream);
    json_string(stream, path);
    if (error) {
        fputs(",\"error\":", stream);
        json_string(stream, error);
    } else {
        json_class(stream, run, "gender", HMT_TASK_GENDER, &face->gender);
        json_class(stream, run, "race", HMT_TASK_RACE, &face->race);
        fputs(",\"score\":", stream);
        json_number(stream, score_of(face), 7);
    }
    fputs("}\n", stream);
}

static void write_batch(score *run, const batches_view *view)
{
    for (size_t i = 0; i < view->count; i++) {
        const char *path = run->photos.paths[view->first + i];
        hmt_prediction face;
        const char *error = view->items[i].good
                                ? network_mean(&run->predictions[i * run->crops], run->crops, &face)
                                : view->items[i].message;
        run->failed += error != NULL;
        if (settings.format == FORMAT_CSV)
            csv_row(run->out.stream, path, &face, error);
        else
            json_row(run->out.stream, run, path, &face, error);
    }
}

static bool collect(score *run, int count, char **inputs)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(inputs[i], "-"))
            files_add(&run->photos, inputs[i]);
        else if (!files_add_stream(&run->photos, stdin, settings.zero))
            return false;
    }
    return files_check(&run->photos, run->photos.count);
}

/* The batch that computes `count` photos in as few runs as `most` allows, with the least waste. */
static size_t even_batch(size_t count, size_t most)
{
    size_t runs = (count + most - 1) / most;
    return runs ? (count + runs - 1) / runs : 1;
}

static bool prepare(score *run)
{
    hmt_session_options session = HMT_SESSION_OPTIONS_INIT;
    if (!device_open(&settings.device, NULL, &run->context))
        return false;
    run->config.struct_size = sizeof run->config;
    if (hmt_model_load(run->context, settings.model, NULL, &run->model) != HMT_OK ||
        hmt_model_get_config(run->model, &run->config) != HMT_OK) {
        cli_library_error("cannot use the model %s", settings.model);
        return false;
    }
    run->preprocess.resize = run->config.resize;
    memcpy(run->preprocess.mean, run->config.mean, sizeof run->preprocess.mean);
    memcpy(run->preprocess.deviation, run->config.deviation, sizeof run->preprocess.deviation);
    run->preprocess.crop = settings.five_crop ? HMT_CROP_FIVE : HMT_CROP_CENTER;
    run->crops = settings.five_crop ? CROPS : 1;
    size_t most = (size_t)settings.batch / run->crops;
    run->batch = even_batch(run->photos.count, most ? most : 1);
    session.batch = (int32_t)(run->batch * run->crops);
    session.tasks = network_tasks(&run->config);
    run->predictions = cli_allocate((size_t)session.batch, sizeof *run->predictions);
    if (hmt_session_create(run->model, &session, &run->session) != HMT_OK) {
        cli_library_error("cannot prepare the model");
        return false;
    }
    run->ahead = hmt_session_stages(run->session);
    return true;
}

static batches *start_decoding(score *run)
{
    size_t bytes = run->crops * CROP * (run->ahead ? 1 : sizeof(float));
    int decoders = settings.decoders ? (int)settings.decoders : cli_processors();
    return batches_start(&(batches_options){.count = run->photos.count,
                                            .batch = run->batch,
                                            .bytes = bytes,
                                            .workers = decoders,
                                            .depth = run->ahead ? DEVICE_DEPTH : DEPTH,
                                            .load = load_photo,
                                            .user = run,
                                            .held = run->ahead ? 2 : 1});
}

/* Computes a batch and writes its rows. Returns an exit status. */
static int compute(score *run, const batches_view *view, progress *bar)
{
    const size_t count = view->count * run->crops;
    if (!network_ran(run->ahead ? hmt_infer_crops(run->session, view->data, count, run->predictions)
                                : hmt_infer(run->session, view->data, count, run->predictions))) {
        progress_clear(bar);
        cli_library_error("computing failed");
        return CLI_USAGE;
    }
    write_batch(run, view);
    progress_update(bar, view->first + view->count, NULL);
    return cli_interrupted()                                    ? CLI_INTERRUPTED
           : fflush(run->out.stream) || ferror(run->out.stream) ? CLI_OUTPUT
                                                                : CLI_OK;
}

/* Takes the next batch; where that helps it is sent on its way while the one before is computed.
 * false: there is none, or *status says what went wrong. */
static bool take(score *run, batches *line, batches_view *view, int *status)
{
    if (!batches_next(line, view))
        return false;
    if (run->ahead &&
        hmt_session_stage_crops(run->session, view->data, view->count * run->crops) != HMT_OK) {
        cli_library_error("computing failed");
        *status = CLI_USAGE;
    }
    return *status == CLI_OK;
}

/* Predicts everything. Returns the exit status. */
static int predict(score *run)
{
    const bool ahead = run->ahead;
    batches_view view, next;
    progress bar;
    char took[32];
    if (settings.format == FORMAT_CSV)
        fputs("path,gender,gender_probability,race,race_probability,score,error\n",
              run->out.stream);
    batches *line = start_decoding(run);
    progress_start(&bar, "scoring", "photos", run->photos.count, settings.quiet);
    int status = line ? CLI_OK : CLI_USAGE;
    bool more = status == CLI_OK && take(run, line, &view, &status);
    while (more) {
        bool following = ahead && take(run, line, &next, &status);
        if (status == CLI_OK)
            status = compute(run, &view, &bar);
        if (!ahead && status == CLI_OK)
            following = take(run, line, &next, &status);
        view = next;
        more = following && status == CLI_OK;
    }
    double seconds = progress_finish(&bar);
    batches_stop(line);
    if (status == CLI_OK && !settings.quiet)
        fprintf(stderr, "%zu photos in %s (%.1f/s), %zu could not be read\n", run->photos.count,
                progress_time(seconds, took), (double)run->photos.count / seconds, run->failed);
    return status;
}

static int score_all(score *run, int count, char **inputs)
{
    if (!collect(run, count, inputs))
        return CLI_USAGE;
    if (!prepare(run))
        return CLI_USAGE;
    if (!output_open(&run->out, settings.output))
        return CLI_OUTPUT;
    int status = predict(run);
    if (status == CLI_OK || status == CLI_OUTPUT)
        status = output_commit(&run->out) && status == CLI_OK ? CLI_OK : CLI_OUTPUT;
    return status == CLI_OK && run->failed ? CLI_SOME_FAILED : status;
}

int main(int argc, char **argv)
{
    int status;
    score run = {.preprocess = HMT_PREPROCESS_OPTIONS_INIT};
    int first = cli_parse(&program, argc, argv, &status);
    if (first < 0)
        return cli_end(status);
    if (!settings.model || first == argc) {
        cli_error(settings.model ? "no INPUT; see --help" : "no --model; see --help");
        return CLI_USAGE;
    }
    cli_catch_signals();
    status = score_all(&run, argc - first, argv + first);
    output_discard(&run.out);
    hmt_session_free(run.session);
    hmt_model_free(run.model);
    hmt_context_free(run.context);
    files_free(&run.photos);
    free(run.predictions);
    return cli_end(status);
}
