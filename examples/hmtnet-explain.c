/*
 * hmtnet-explain - where the network looks, laid over the faces.
 *
 * For each photo a row: the face as the network sees it, then activation maps of inner layers,
 * gradient saliency and Grad-CAM for each task (paper, figure 3, and more). One PNG for all photos,
 * or one for each.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/board.h"
#include "common/cli.h"
#include "common/files.h"
#include "common/heatmap.h"
#include "common/network.h"
#include "common/progress.h"
#include "common/random.h"

enum { MOST_TAPS = 16, MOST_COLUMNS = 64, MOST_PHOTOS = 200, MESSAGE = 640, NAME = 64 };
enum { ACTIVATION = 0, SALIENCY = 1, GRAD_CAM = 2, METHODS = 3 };

static const char *const method_names[METHODS] = {"activation", "saliency", "grad-cam"};
static const char *const task_names[HMT_TASK_COUNT] = {"gender", "race", "attractiveness"};
/* The trunk's last map on the way to each head: the branches' own are too coarse to be looked at.
 */
static const char *const task_taps[HMT_TASK_COUNT] = {"relu3", "relu5", "relu5"};

static struct {
    const char *model, *output, *taps, *methods, *tasks;
    device_settings device;
    int64_t size, noise;
    double opacity, blur;
    int channel, quiet;
} settings = {.methods = "activation,saliency,grad-cam",
              .tasks = "gender,race,attractiveness",
              .size = 176,
              .noise = 8,
              .opacity = 0.7,
              .blur = 4.0};

static const cli_option options[] = {
    {"model", 'm', CLI_TEXT, &settings.model, "FILE", "the model, a .safetensors file", 0, 0},
    {"output", 'o', CLI_TEXT, &settings.output, "FILE|FOLDER",
     "a .png with a row for each photo; or a folder that\nexists, for a .png of each photo", 0, 0},
    {"method", 0, CLI_TEXT, &settings.methods, "LIST",
     "of activation, saliency, grad-cam (default all)", 0, 0},
    {"tap", 0, CLI_TEXT, &settings.taps, "LIST",
     "layers with a map, such as relu3,relu5: for activation\n(default relu5), and for grad-cam "
     "(default relu3 for\ngender, relu5 for the others)",
     0, 0},
    {"task", 0, CLI_TEXT, &settings.tasks, "LIST", "of gender, race, attractiveness (default all)",
     0, 0},
    {"channel", 0, CLI_CHOICE, &settings.channel, "mean|strongest",
     "activation: the mean over a layer's channels\n(default), or the channel that answers most", 0,
     0},
    {"noise", 0, CLI_INTEGER, &settings.noise, "N",
     "saliency: the mean over N noisy copies of the photo\n(default 8); 0: of the photo itself", 0,
     256},
    {"blur", 0, CLI_NUMBER, &settings.blur, "PIXELS",
     "saliency: deviation of the smoothing (default 4)", 0, 50},
    {"opacity", 0, CLI_NUMBER, &settings.opacity, "X", "of the maps over the face (default 0.7)", 0,
     1},
    {"size", 's', CLI_INTEGER, &settings.size, "PIXELS", "side of a picture (default 176)", 32,
     1024},
    DEVICE_OPTIONS(settings.device),
    {"quiet", 'q', CLI_FLAG, &settings.quiet, NULL, "show no progress", 0, 0},
    {0}};

static const cli_program program = {
    "hmtnet-explain", "--model FILE --output FILE.png [OPTION]... INPUT...",
    "Shows what in a face the network answers to: how strongly its inner layers respond\n"
    "(activation), which pixels a class's logit or the score depends on most (saliency), and\n"
    "which parts speak for the class it predicts, or for a higher score (grad-cam).\n"
    "An INPUT is a photo or a folder (its .jpg, .jpeg and .png files and those below it).",
    options,
    "Every map has its own scale, from its own lowest to its own highest value: colours of\n"
    "two maps cannot be compared. A photo that cannot be read is named and left out.\n"
    "Exit status: 0 done, 1 some photos could not be read, 2 wrong usage or model, or\n"
    "computing failed, 3 the output could not be written, 130 interrupted.\n\n"
    "Example: hmtnet-explain --model faces.safetensors --output maps.png photos/"};

/* One picture of each row; tap and task -1 where the method has none. */
typedef struct column {
    int method, tap, task;
} column;

typedef struct explain {
    files_list photos;
    network net;
    char taps[MOST_TAPS][NAME];
    const char *tap_names[MOST_TAPS];
    int64_t shapes[MOST_TAPS][4];
    int tap_count;
    bool methods[METHODS], tasks[HMT_TASK_COUNT];
    column columns[MOST_COLUMNS];
    int column_count;
    size_t batch;                /* the photo, and its noisy copies */
    float *images;               /* (batch,3,224,224) */
    float *values, *gradient;    /* of a tap or the images, whichever is largest */
    hmt_prediction *predictions; /* (batch) */
    uint8_t *face, *picture;     /* (size,size,3) */
    size_t failed;
} explain;

/* Cuts "a,b" into words. false: one is too long, or there are too many. */
static bool next_word(const char **list, char word[NAME])
{
    size_t length = strcspn(*list, ",");
    if (length == 0 || length >= NAME)
        return false;
    memcpy(word, *list, length);
    word[length] = '\0';
    *list += length + ((*list)[length] == ',');
    return true;
}

/* Marks the words of a list that are among `names`. */
static bool read_set(const char *option, const char *list, const char *const *names, int count,
                     bool *set)
{
    char word[NAME];
    const char *rest = list;
    while (*rest) {
        int i = 0;
        bool good = next_word(&rest, word);
        while (good && i < count && strcmp(word, names[i]))
            i++;
        if (!good || i == count) {
            cli_error("--%s: '%s' is not a list of known names; see --help", option, list);
            return false;
        }
        set[i] = true;
    }
    return true;
}

/* The index of a tap, which is added if it is new; -1 if there is no room. */
static int add_tap(explain *run, const char *name)
{
    int i = 0;
    while (i < run->tap_count && strcmp(run->taps[i], name))
        i++;
    if (i == run->tap_count) {
        if (i == MOST_TAPS)
            return -1;
        snprintf(run->taps[i], NAME, "%s", name);
        run->tap_names[i] = run->taps[i];
        run->tap_count++;
    }
    return i;
}

static bool add_column(explain *run, int method, int tap, int task)
{
    if (run->column_count == MOST_COLUMNS)
        return false;
    run->columns[run->column_count++] = (column){method, tap, task};
    return true;
}

/* The pictures of a row from the options. */
static bool choose_columns(explain *run)
{
    char word[NAME];
    const char *rest = settings.taps ? settings.taps : "relu5";
    bool good = true;
    if (!read_set("method", settings.methods, method_names, METHODS, run->methods) ||
        !read_set("task", settings.tasks, task_names, HMT_TASK_COUNT, run->tasks))
        return false;
    while (good && *rest && (settings.taps || run->methods[ACTIVATION]))
        good = next_word(&rest, word) && add_tap(run, word) >= 0;
    const int given = run->tap_count;
    for (int tap = 0; good && run->methods[ACTIVATION] && tap < given; tap++)
        good = add_column(run, ACTIVATION, tap, -1);
    for (int task = 0; run->methods[SALIENCY] && task < HMT_TASK_COUNT; task++)
        if (run->tasks[task])
            good = good && add_column(run, SALIENCY, -1, task);
    for (int task = 0; run->methods[GRAD_CAM] && task < HMT_TASK_COUNT; task++) {
        if (run->tasks[task] && !settings.taps)
            good = good && add_column(run, GRAD_CAM, add_tap(run, task_taps[task]), task);
        for (int tap = 0; run->tasks[task] && settings.taps && tap < given; tap++)
            good = good && add_column(run, GRAD_CAM, tap, task);
    }
    if (!good || run->column_count == 0)
        cli_error(good ? "nothing to show" : "too many or too long names of layers");
    return good && run->column_count > 0;
}

/* Reads the taps' shapes; those without a map are refused. *largest: floats of the largest. */
static bool check_taps(explain *run, size_t *largest)
{
    *largest = run->batch * NETWORK_FLOATS;
    for (int i = 0; i < run->tap_count; i++) {
        int64_t *shape = run->shapes[i];
        if (hmt_session_tap_shape(run->net.session, run->taps[i], shape) != HMT_OK) {
            cli_library_error("cannot read layer %s", run->taps[i]);
            return false;
        }
        if (shape[2] * shape[3] == 1) {
            cli_error("layer %s has no map: its values do not belong to places", run->taps[i]);
            return false;
        }
        size_t floats = (size_t)(shape[0] * shape[1] * shape[2] * shape[3]);
        *largest = floats > *largest ? floats : *largest;
    }
    return true;
}

static bool prepare(explain *run)
{
    hmt_session_options session = HMT_SESSION_OPTIONS_INIT;
    size_t largest;
    run->batch = 1 + (run->methods[SALIENCY] ? (size_t)settings.noise : 0);
    session.batch = (int32_t)run->batch;
    session.taps = run->tap_names;
    session.tap_count = (size_t)run->tap_count;
    session.gradients = run->methods[SALIENCY]   ? HMT_GRADIENTS_INPUT
                        : run->methods[GRAD_CAM] ? HMT_GRADIENTS_TAPS
                                                 : HMT_GRADIENTS_NONE;
    if (!network_load(&run->net, settings.model, &settings.device) ||
        !network_prepare(&run->net, &session) || !check_taps(run, &largest))
        return false;
    run->images = cli_allocate(run->batch * NETWORK_FLOATS, sizeof(float));
    run->values = cli_allocate(largest, sizeof(float));
    run->gradient = cli_allocate(largest, sizeof(float));
    run->predictions = cli_allocate(run->batch, sizeof *run->predictions);
    run->face = cli_allocate((size_t)(settings.size * settings.size), 3);
    run->picture = cli_allocate((size_t)(settings.size * settings.size), 3);
    return true;
}

/* A normally distributed number, by Box and Muller. */
static float normal(uint64_t index)
{
    const double scale = 1.0 / 9007199254740992.0; /* 2^-53 */
    double u = ((double)(random_mix(1, 2 * index) >> 11) + 0.5) * scale;
    double v = (double)(random_mix(1, 2 * index + 1) >> 11) * scale;
    return (float)(sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v));
}

/* Copies of the photo with noise of a tenth of the range of its levels. */
static void add_noise(explain *run)
{
    for (size_t copy = 1; copy < run->batch; copy++)
        for (size_t i = 0; i < NETWORK_FLOATS; i++) {
            float range = 1.0f / run->net.config.deviation[i / (NETWORK_SIDE * NETWORK_SIDE)];
            run->images[copy * NETWORK_FLOATS + i] =
                run->images[i] + 0.1f * range * normal(copy * NETWORK_FLOATS + i);
        }
}

/* The face as the network sees it, at the size of a picture. */
static bool draw_face(explain *run)
{
    const size_t area = NETWORK_SIDE * NETWORK_SIDE;
    uint8_t *rgb = cli_allocate(area, 3);
    hmt_pixels small = {rgb, NETWORK_SIDE, NETWORK_SIDE, 0, HMT_PIXEL_RGB}, resized = {0};
    for (size_t i = 0; i < area; i++)
        for (size_t c = 0; c < 3; c++) {
            float level =
                run->images[c * area + i] * run->net.config.deviation[c] + run->net.config.mean[c];
            rgb[3 * i + c] = (uint8_t)(fminf(fmaxf(level, 0.0f), 1.0f) * 255.0f + 0.5f);
        }
    bool good = hmt_resize(run->net.context, &small, (int32_t)settings.size, &resized) == HMT_OK;
    if (good)
        memcpy(run->face, resized.data, (size_t)(settings.size * settings.size) * 3);
    else
        cli_library_error("cannot resize a face");
    hmt_pixels_free(run->net.context, &resized);
    free(rgb);
    return good;
}

/* The class whose logit is explained: what the photo itself is predicted to be. */
static int32_t label_of(const explain *run, int task)
{
    return task == HMT_TASK_GENDER ? run->predictions[0].gender.label
           : task == HMT_TASK_RACE ? run->predictions[0].race.label
                                   : 0;
}

static hmt_status saliency_map(explain *run, int task, heatmap *map)
{
    *map = heatmap_create(NETWORK_SIDE, NETWORK_SIDE);
    hmt_status status = hmt_session_gradient(run->net.session, (hmt_task)task, label_of(run, task),
                                             NULL, run->gradient, run->batch * NETWORK_FLOATS);
    for (size_t i = run->batch > 1 ? 1 : 0; status == HMT_OK && i < run->batch; i++)
        heatmap_add_saliency(map, run->gradient + i * NETWORK_FLOATS, 3);
    heatmap_blur(map, settings.blur);
    heatmap_scale(map, 0.995, 1);
    return status;
}

static hmt_status tap_map(explain *run, const column *c, heatmap *map)
{
    const int64_t *shape = run->shapes[c->tap];
    const size_t channels = (size_t)shape[1], count = (size_t)(shape[0] * shape[2] * shape[3]);
    const char *tap = run->taps[c->tap];
    *map = heatmap_create((size_t)shape[2], (size_t)shape[3]);
    hmt_status status = HMT_OK;
    if (c->method == GRAD_CAM)
        status = hmt_session_gradient(run->net.session, (hmt_task)c->task, label_of(run, c->task),
                                      tap, run->gradient, channels * count);
    if (status == HMT_OK)
        status = hmt_session_tap_read(run->net.session, tap, run->values, channels * count);
    if (c->method == GRAD_CAM)
        heatmap_grad_cam(map, run->values, run->gradient, channels);
    else if (settings.channel == 0)
        heatmap_mean(map, run->values, channels);
    else
        heatmap_strongest(map, run->values, channels);
    heatmap_scale(map, 1.0, c->method == GRAD_CAM);
    return status;
}

static bool draw_map(explain *run, const column *c)
{
    heatmap map, large;
    hmt_status status =
        c->method == SALIENCY ? saliency_map(run, c->task, &map) : tap_map(run, c, &map);
    if (status != HMT_OK)
        cli_library_error("computing failed");
    large = c->method == SALIENCY
                ? heatmap_resize(&map, (size_t)settings.size, (size_t)settings.size)
                : heatmap_spread(&map, 0, NETWORK_SIDE, (size_t)settings.size);
    heatmap_overlay(&large, run->face, settings.opacity, run->picture);
    heatmap_free(&map);
    heatmap_free(&large);
    return status == HMT_OK;
}

static void describe(const explain *run, char text[256])
{
    const hmt_prediction *p = &run->predictions[0];
    snprintf(text, 256, "%s %.0f %%, %s %.0f %%, score %.2f", p->gender.name,
             (double)(100.0f * p->gender.probabilities[p->gender.label]), p->race.name,
             (double)(100.0f * p->race.probabilities[p->race.label]), (double)p->score);
}

/* Draws the heads of the columns. */
static void draw_heads(const explain *run, board *sheet)
{
    board_head(sheet, 0, (const char *[BOARD_LINES]){"face", NULL});
    for (int i = 0; i < run->column_count; i++) {
        const column *c = &run->columns[i];
        board_head(sheet, (size_t)i + 1,
                   (const char *[BOARD_LINES]){
                       c->task >= 0 ? task_names[c->task] : run->taps[c->tap],
                       c->method == GRAD_CAM && settings.taps ? run->taps[c->tap]
                                                              : method_names[c->method]});
    }
    board_legend(sheet, "low", "high; each map on a scale of its own");
}

/* One row of the sheet. 1: done, 0: the photo could not be read, -1: computing failed. */
static int draw_row(explain *run, const char *path, board *sheet, size_t row)
{
    char message[MESSAGE], text[256];
    if (!network_photo(&run->net, path, run->images, message, sizeof message)) {
        cli_error("left out: %s", message);
        return 0;
    }
    add_noise(run);
    if (hmt_infer(run->net.session, run->images, run->batch, run->predictions) != HMT_OK) {
        cli_library_error("computing failed");
        return -1;
    }
    if (!draw_face(run))
        return -1;
    board_put(sheet, 0, row, run->face);
    for (int i = 0; i < run->column_count; i++) {
        if (!draw_map(run, &run->columns[i]))
            return -1;
        board_put(sheet, (size_t)i + 1, row, run->picture);
    }
    describe(run, text);
    board_caption(sheet, row, text);
    return 1;
}

/* FOLDER/NAME.png for FOLDER and a photo of that name. */
static char *name_for(const char *photo)
{
    const char *slash = strrchr(photo, '/'), *name = slash ? slash + 1 : photo;
    const char *dot = strrchr(name, '.');
    char *stem = cli_allocate(strlen(name) + sizeof ".png", 1);
    memcpy(stem, name, dot ? (size_t)(dot - name) : strlen(name));
    strcat(stem, ".png");
    char *path = files_join(settings.output, stem);
    free(stem);
    return path;
}

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* A sheet of the photos first .. first + count - 1. Returns an exit status. */
static int draw_sheet(explain *run, size_t first, size_t count, const char *path, progress *bar)
{
    size_t drawn = 0;
    board sheet = board_create((size_t)run->column_count + 1, count, (size_t)settings.size);
    int status = CLI_OK;
    draw_heads(run, &sheet);
    for (size_t i = 0; status == CLI_OK && i < count; i++) {
        int got = draw_row(run, run->photos.paths[first + i], &sheet, drawn);
        drawn += got > 0;
        run->failed += got == 0;
        status = got < 0 ? CLI_USAGE : cli_interrupted() ? CLI_INTERRUPTED : CLI_OK;
        progress_update(bar, first + i + 1, NULL);
    }
    if (status == CLI_OK && drawn > 0 && !board_save(&sheet, path))
        status = CLI_OUTPUT;
    board_free(&sheet);
    return status;
}

static int draw_all(explain *run)
{
    progress bar;
    const bool folder = is_folder(settings.output);
    int status = CLI_OK;
    progress_start(&bar, "explaining", "photos", run->photos.count, settings.quiet);
    if (!folder)
        status = draw_sheet(run, 0, run->photos.count, settings.output, &bar);
    for (size_t i = 0; folder && status == CLI_OK && i < run->photos.count; i++) {
        char *path = name_for(run->photos.paths[i]);
        status = draw_sheet(run, i, 1, path, &bar);
        free(path);
    }
    progress_finish(&bar);
    if (status == CLI_OK && run->failed == run->photos.count)
        return CLI_USAGE;
    return status == CLI_OK && run->failed ? CLI_SOME_FAILED : status;
}

static bool collect(explain *run, int count, char **inputs)
{
    for (int i = 0; i < count; i++)
        files_add(&run->photos, inputs[i]);
    if (run->photos.count == 0)
        cli_error("no photos in the input");
    else if (run->photos.count > MOST_PHOTOS && !is_folder(settings.output))
        cli_error("%zu photos are too many for one sheet; give a folder as --output",
                  run->photos.count);
    else
        return true;
    return false;
}

int main(int argc, char **argv)
{
    int status;
    explain run = {.failed = 0};
    int first = cli_parse(&program, argc, argv, &status);
    if (first < 0)
        return status;
    if (!settings.model || !settings.output || first == argc) {
        cli_error("%s; see --help", !settings.model    ? "no --model"
                                    : !settings.output ? "no --output"
                                                       : "no INPUT");
        return CLI_USAGE;
    }
    cli_catch_signals();
    status = CLI_USAGE;
    if (choose_columns(&run) && collect(&run, argc - first, argv + first) && prepare(&run))
        status = draw_all(&run);
    network_close(&run.net);
    files_free(&run.photos);
    free(run.images);
    free(run.values);
    free(run.gradient);
    free(run.predictions);
    free(run.face);
    free(run.picture);
    return status;
}
