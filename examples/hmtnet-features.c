/*
 * hmtnet-features - what an inner layer makes of photos, as a NumPy array.
 *
 * One tap for each photo, whole or pooled, written to a .npy file in the order of the photos, and a
 * table of those photos beside it, so that other programs can learn from them (paper, section 4.4).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/batches.h"
#include "common/cli.h"
#include "common/csv.h"
#include "common/files.h"
#include "common/network.h"
#include "common/npy.h"
#include "common/output.h"
#include "common/photo.h"
#include "common/progress.h"
#include "common/scores.h"

enum { DEPTH = 1, POOL_MEAN = 0, POOL_MAX = 1, POOL_FLAT = 2, POOL_NONE = 3 };

static struct {
    const char *model, *output, *table, *tap;
    device_settings device;
    int64_t batch, decoders;
    int pool, quiet;
} settings = {.batch = 32, .tap = "relu5"};

static const cli_option options[] = {
    {"model", 'm', CLI_TEXT, &settings.model, "FILE",
     "the model, a .safetensors file or PyTorch checkpoint", 0, 0},
    {"output", 'o', CLI_TEXT, &settings.output, "FILE",
     "the array, a .npy file; an old one is replaced when\nall is written", 0, 0},
    {"table", 0, CLI_TEXT, &settings.table, "FILE",
     "also write a CSV of the photos: path and score, a row\nfor each row of the array", 0, 0},
    {"tap", 0, CLI_TEXT, &settings.tap, "NAME", "the layer (default relu5)", 0, 0},
    {"pool", 'p', CLI_CHOICE, &settings.pool, "mean|max|flat|none",
     "over the layer's map: its mean (default) or maximum,\n(N,C); all in one row, (N,C*H*W); or "
     "as it is, (N,C,H,W)",
     0, 0},
    {"batch", 'b', CLI_INTEGER, &settings.batch, "N", "photos computed at once (default 32)", 1,
     4096},
    DEVICE_OPTIONS(settings.device),
    {"decoders", 0, CLI_INTEGER, &settings.decoders, "N",
     "threads that decode photos (default: all processors)", 0, 256},
    PHOTO_OPTIONS,
    {"quiet", 'q', CLI_FLAG, &settings.quiet, NULL, "show no progress", 0, 0},
    {0}};

static const cli_program program = {
    "hmtnet-features", "--model FILE --output FILE.npy [OPTION]... INPUT...",
    "Writes the values of an inner layer of the network for each photo.\n"
    "An INPUT is a photo, a folder (its .jpg, .jpeg, .jpe, .jfif and .png files and those\n"
    "below it), or a CSV table with a column path and, if you like, a column score.",
    options,
    "A photo that cannot be read is named and left out of both files.\n"
    "Exit status: 0 all photos are in, 1 some could not be read, 2 wrong usage, model or\n"
    "table, or computing failed, 3 the output could not be written, 130 interrupted.\n\n"
    "Example: hmtnet-features --model faces.safetensors --output faces.npy \\\n"
    "             --table faces.csv ratings.csv"};

typedef struct features {
    scores photos; /* paths, and scores where a table had them */
    network net;
    output array, table;
    int64_t shape[4];        /* of the tap, N the batch */
    float *values;           /* its values */
    float *row;              /* what is written of one photo */
    size_t columns;          /* floats of that */
    size_t written, skipped; /* photos */
} features;

/* batches_load */
static bool load_photo(void *user, size_t index, void *tensor, char *message)
{
    const features *run = user;
    return network_photo(&run->net, run->photos.paths[index], tensor, message, BATCHES_MESSAGE);
}

static bool is_table(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && strcasecmp(dot, ".csv") == 0;
}

static bool collect(features *run, int count, char **inputs)
{
    files_list files = {0};
    bool good = true;
    for (int i = 0; good && i < count; i++) {
        size_t first = files.count;
        if (is_table(inputs[i]))
            good = scores_read(&run->photos, inputs[i], true);
        else
            files_add(&files, inputs[i]);
        for (; first < files.count; first++)
            scores_add(&run->photos, files.paths[first], (double)NAN);
    }
    good = good && files_check(&files, run->photos.count);
    files_free(&files);
    return good;
}

static bool prepare(features *run)
{
    hmt_session_options session = HMT_SESSION_OPTIONS_INIT;
    if (!network_load(&run->net, settings.model, &settings.device))
        return false;
    if ((size_t)settings.batch > run->photos.count)
        settings.batch = (int64_t)run->photos.count;
    session.batch = (int32_t)settings.batch;
    session.tasks = 0;
    session.taps = &settings.tap;
    session.tap_count = 1;
    if (!network_prepare(&run->net, &session))
        return false;
    if (hmt_session_tap_shape(run->net.session, settings.tap, run->shape) != HMT_OK) {
        cli_library_error("cannot read the layer");
        return false;
    }
    const size_t channels = (size_t)run->shape[1], area = (size_t)(run->shape[2] * run->shape[3]);
    run->columns = settings.pool >= POOL_FLAT ? channels * area : channels;
    run->values = cli_allocate((size_t)run->shape[0] * channels * area, sizeof *run->values);
    run->row = cli_allocate(run->columns, sizeof *run->row);
    return true;
}

/* One photo's values, pooled into run->row if that is asked for; what to write. */
static const float *pooled(features *run, size_t place)
{
    const size_t channels = (size_t)run->shape[1], area = (size_t)(run->shape[2] * run->shape[3]);
    const float *values = run->values + place * channels * area;
    if (settings.pool >= POOL_FLAT)
        return values;
    for (size_t c = 0; c < channels; c++, values += area) {
        double sum = 0.0;
        float most = values[0];
        for (size_t i = 0; i < area; i++) {
            sum += (double)values[i];
            most = values[i] > most ? values[i] : most;
        }
        run->row[c] = settings.pool == POOL_MEAN ? (float)(sum / (double)area) : most;
    }
    return run->row;
}

/* false: writing failed. */
static bool write_batch(features *run, const batches_view *view, progress *bar)
{
    for (size_t i = 0; i < view->count; i++) {
        const size_t photo = view->first + i;
        if (!view->items[i].good) {
            progress_clear(bar);
            cli_error("left out: %s", view->items[i].message);
            run->skipped++;
            continue;
        }
        run->written++;
        if (fwrite(pooled(run, i), sizeof(float), run->columns, run->array.stream) != run->columns)
            return false;
        if (!settings.table)
            continue;
        csv_write(run->table.stream, run->photos.paths[photo]);
        if (run->photos.values[photo] == run->photos.values[photo])
            fprintf(run->table.stream, ",%.9g\n", run->photos.values[photo]);
        else
            fputs(",\n", run->table.stream);
    }
    return !ferror(run->array.stream) && (!settings.table || !ferror(run->table.stream));
}

static bool write_header(features *run)
{
    const int64_t shape[4] = {(int64_t)run->written,
                              settings.pool == POOL_NONE ? run->shape[1] : (int64_t)run->columns,
                              run->shape[2], run->shape[3]};
    return npy_write_header(run->array.stream, shape, settings.pool == POOL_NONE ? 4 : 2);
}

static bool compute_batch(features *run, const batches_view *view)
{
    hmt_prediction *none = cli_allocate(view->count, sizeof *none);
    size_t count = (size_t)(run->shape[0] * run->shape[1] * run->shape[2] * run->shape[3]);
    hmt_status status = hmt_infer(run->net.session, view->data, view->count, none);
    if (status == HMT_OK)
        status = hmt_session_tap_read(run->net.session, settings.tap, run->values, count);
    free(none);
    return status == HMT_OK;
}

/* Computes everything. Returns the exit status. */
static int compute(features *run)
{
    progress bar;
    batches_view view;
    int decoders = settings.decoders ? (int)settings.decoders : cli_processors();
    batches *line = batches_start(&(batches_options){run->photos.count, (size_t)settings.batch,
                                                     NETWORK_FLOATS * sizeof(float), decoders,
                                                     DEPTH, load_photo, run, 1});
    int status = line ? CLI_OK : CLI_USAGE;
    if (status == CLI_OK && !write_header(run)) /* the number of rows is not known yet */
        status = CLI_OUTPUT;
    if (settings.table)
        fputs("path,score\n", run->table.stream);
    progress_start(&bar, "computing", "photos", run->photos.count, settings.quiet);
    while (status == CLI_OK && batches_next(line, &view)) {
        if (!compute_batch(run, &view)) {
            progress_clear(&bar);
            cli_library_error("computing failed");
            status = CLI_USAGE;
        } else if (!write_batch(run, &view, &bar)) {
            status = CLI_OUTPUT;
        } else if (cli_interrupted()) {
            status = CLI_INTERRUPTED;
        }
        progress_update(&bar, view.first + view.count, NULL);
    }
    progress_finish(&bar);
    batches_stop(line);
    if (status == CLI_OK && (fseek(run->array.stream, 0, SEEK_SET) || !write_header(run) ||
                             fseek(run->array.stream, 0, SEEK_END)))
        status = CLI_OUTPUT;
    return status;
}

static int run_all(features *run, int count, char **inputs)
{
    if (!collect(run, count, inputs) || !prepare(run))
        return CLI_USAGE;
    if (!output_open(&run->array, settings.output) ||
        (settings.table && !output_open(&run->table, settings.table)))
        return CLI_OUTPUT;
    if (fseek(run->array.stream, 0, SEEK_SET)) { /* the header is written last */
        cli_error("cannot write an array to %s: it is no file", settings.output);
        return CLI_OUTPUT;
    }
    int status = compute(run);
    if (status == CLI_OUTPUT)
        output_failed(settings.table && ferror(run->table.stream) ? &run->table : &run->array);
    if (status != CLI_OK)
        return status;
    if (run->written == 0) {
        cli_error("no photo could be read");
        return CLI_USAGE;
    }
    if ((settings.table && !output_commit(&run->table)) || !output_commit(&run->array))
        return CLI_OUTPUT;
    if (!settings.quiet)
        fprintf(stderr, "%zu photos, %zu values each; %zu could not be read\n", run->written,
                run->columns, run->skipped);
    return run->skipped ? CLI_SOME_FAILED : CLI_OK;
}

int main(int argc, char **argv)
{
    int status;
    features run = {.written = 0};
    int first = cli_parse(&program, argc, argv, &status);
    if (first < 0)
        return cli_end(status);
    if (!settings.model || !settings.output || first == argc) {
        cli_error("%s; see --help", !settings.model    ? "no --model"
                                    : !settings.output ? "no --output"
                                                       : "no INPUT");
        return CLI_USAGE;
    }
    cli_catch_signals();
    status = run_all(&run, argc - first, argv + first);
    output_discard(&run.array);
    output_discard(&run.table);
    network_close(&run.net);
    scores_free(&run.photos);
    free(run.values);
    free(run.row);
    return cli_end(status);
}
