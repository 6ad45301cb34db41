/*
 * hmtnet-explain - where the network looks, laid over the faces.
 *
 * For each photo a row: the face as the network sees it, then activation maps of inner layers,
 * gradient saliency and Grad-CAM for each task (paper, figure 3, and more). One PNG for all photos,
 * or one for each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/board.h"
#include "common/cli.h"
#include "common/files.h"
#include "common/maps.h"
#include "common/photo.h"
#include "common/progress.h"

enum { MOST_PHOTOS = 200, MESSAGE = 640 };

static const char *const method_names[MAP_METHODS] = {"activation", "saliency", "grad-cam"};
static const char *const task_names[HMT_TASK_COUNT] = {"gender", "race", "attractiveness"};

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
    {"model", 'm', CLI_TEXT, &settings.model, "FILE",
     "the model, a .safetensors file or PyTorch checkpoint", 0, 0},
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
    PHOTO_OPTIONS,
    {"quiet", 'q', CLI_FLAG, &settings.quiet, NULL, "show no progress", 0, 0},
    {0}};

static const cli_program program = {
    "hmtnet-explain", "--model FILE --output FILE.png [OPTION]... INPUT...",
    "Shows what in a face the network answers to: how strongly its inner layers respond\n"
    "(activation), which pixels a class's logit or the score depends on most (saliency), and\n"
    "which parts speak for the class it predicts, or for a higher score (grad-cam).\n"
    "An INPUT is a photo or a folder (its .jpg, .jpeg, .jpe, .jfif and .png files and those\n"
    "below it).",
    options,
    "Every map has its own scale, from its own lowest to its own highest value: colours of\n"
    "two maps cannot be compared. A photo that cannot be read is named and left out.\n"
    "Exit status: 0 done, 1 some photos could not be read, 2 wrong usage or model, or\n"
    "computing failed, 3 the output could not be written, 130 interrupted.\n\n"
    "Example: hmtnet-explain --model faces.safetensors --output maps.png photos/"};

typedef struct explain {
    files_list photos;
    maps maps;
    bool methods[MAP_METHODS], tasks[HMT_TASK_COUNT];
    size_t failed;
} explain;

/* Cuts "a,b" into words. false: one is too long, or there are too many. */
static bool next_word(const char **list, char word[MAPS_NAME])
{
    size_t length = strcspn(*list, ",");
    if (length == 0 || length >= MAPS_NAME)
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
    char word[MAPS_NAME];
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

/* The pictures of a row from the options. */
static bool choose_columns(explain *run)
{
    maps *m = &run->maps;
    char word[MAPS_NAME];
    const char *rest = settings.taps ? settings.taps : "relu5";
    bool good = true;
    if (!read_set("method", settings.methods, method_names, MAP_METHODS, run->methods) ||
        !read_set("task", settings.tasks, task_names, HMT_TASK_COUNT, run->tasks))
        return false;
    while (good && *rest && (settings.taps || run->methods[MAP_ACTIVATION]))
        good = next_word(&rest, word) && maps_add_tap(m, word) >= 0;
    const int given = m->tap_count;
    for (int tap = 0; good && run->methods[MAP_ACTIVATION] && tap < given; tap++)
        good = maps_add(m, MAP_ACTIVATION, tap, -1);
    for (int task = 0; run->methods[MAP_SALIENCY] && task < HMT_TASK_COUNT; task++)
        if (run->tasks[task])
            good = good && maps_add(m, MAP_SALIENCY, -1, task);
    for (int task = 0; run->methods[MAP_GRAD_CAM] && task < HMT_TASK_COUNT; task++) {
        if (run->tasks[task] && !settings.taps)
            good = good && maps_add(m, MAP_GRAD_CAM, maps_add_tap(m, maps_task_taps[task]), task);
        for (int tap = 0; run->tasks[task] && settings.taps && tap < given; tap++)
            good = good && maps_add(m, MAP_GRAD_CAM, tap, task);
    }
    if (!good || m->column_count == 0)
        cli_error(good ? "nothing to show" : "too many or too long names of layers");
    return good && m->column_count > 0;
}

static bool prepare(explain *run)
{
    maps *m = &run->maps;
    m->size = (size_t)settings.size;
    m->noise = (size_t)settings.noise;
    m->opacity = settings.opacity;
    m->blur = settings.blur;
    m->strongest = settings.channel != 0;
    return maps_prepare(m, settings.model, &settings.device);
}

static void describe(const explain *run, char text[256])
{
    const hmt_prediction *p = &run->maps.predictions[0];
    const uint32_t tasks = network_tasks(&run->maps.net.config);
    const hmt_class_prediction *const heads[2] = {&p->gender, &p->race};
    int used = 0;
    text[0] = '\0';
    for (int task = 0; task < 2; task++)
        if (tasks & 1u << task)
            used += snprintf(text + used, 256 - (size_t)used, "%s%s %.0f %%", used ? ", " : "",
                             heads[task]->name,
                             (double)(100.0f * heads[task]->probabilities[heads[task]->label]));
    if (tasks & HMT_TASKS_ATTRACTIVENESS)
        snprintf(text + used, 256 - (size_t)used, "%sscore %.2f", used ? ", " : "",
                 (double)p->score);
}

/* Draws the heads of the columns. */
static void draw_heads(const explain *run, board *sheet)
{
    const maps *m = &run->maps;
    board_head(sheet, 0, (const char *[BOARD_LINES]){"face", NULL});
    for (int i = 0; i < m->column_count; i++) {
        const map_column *c = &m->columns[i];
        board_head(sheet, (size_t)i + 1,
                   (const char *[BOARD_LINES]){c->task >= 0 ? task_names[c->task] : m->taps[c->tap],
                                               c->method == MAP_GRAD_CAM && settings.taps
                                                   ? m->taps[c->tap]
                                                   : method_names[c->method]});
    }
    board_legend(sheet, "low", "high; each map on a scale of its own");
}

/* One row of the sheet. 1: done, 0: the photo could not be read, -1: computing failed. */
static int draw_row(explain *run, const char *path, board *sheet, size_t row)
{
    maps *m = &run->maps;
    char message[MESSAGE], text[256];
    int got = maps_photo(m, path, message, sizeof message);
    if (got == 0)
        cli_error("left out: %s", message);
    if (got <= 0)
        return got;
    board_put(sheet, 0, row, m->face);
    for (int i = 0; i < m->column_count; i++) {
        if (!maps_draw(m, i))
            return -1;
        board_put(sheet, (size_t)i + 1, row, m->picture);
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
    board sheet = board_create((size_t)run->maps.column_count + 1, count, (size_t)settings.size);
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
    if (!files_check(&run->photos, run->photos.count))
        return false;
    if (run->photos.count > MOST_PHOTOS && !is_folder(settings.output))
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
        return cli_end(status);
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
    maps_free(&run.maps);
    files_free(&run.photos);
    return cli_end(status);
}
