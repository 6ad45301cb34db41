/*
 * Photos of a manifest (see faces.h).
 *
 * Kept photos have their shorter side resized already, so that a tensor costs a crop and a
 * normalisation. Workers write to different elements of `pixels`, and count bytes atomically.
 */
#include "faces.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batches.h"
#include "cli.h"
#include "progress.h"

enum { READ_BATCH = 16, READ_DEPTH = 4 };

uint64_t faces_mix(uint64_t seed, uint64_t part)
{
    uint64_t z = seed + (part + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

void faces_shuffle(size_t *order, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    for (size_t i = count; i > 1; i--) {
        size_t j = (size_t)(faces_mix(seed, i) % i), swapped = order[i - 1];
        order[i - 1] = order[j];
        order[j] = swapped;
    }
}

/* Decodes and resizes one photo. */
static hmt_status open_photo(const faces *set, size_t row, hmt_pixels *resized)
{
    hmt_pixels decoded;
    hmt_status status = hmt_decode_file(set->context, set->table->rows[row].path, NULL, &decoded);
    if (status != HMT_OK)
        return status;
    status = hmt_resize(set->context, &decoded, set->preprocess.resize, resized);
    hmt_pixels_free(set->context, &decoded);
    return status;
}

/* batches_load: reads photo `index` and keeps it if there is room. */
static bool read_photo(void *user, size_t index, float *tensor, char *message)
{
    faces *set = user;
    hmt_pixels pixels;
    (void)tensor;
    if (open_photo(set, index, &pixels) != HMT_OK) {
        snprintf(message, BATCHES_MESSAGE, "%s", hmt_last_error());
        return false;
    }
    size_t bytes = 3 * (size_t)pixels.width * (size_t)pixels.height;
    if (atomic_fetch_add(&set->kept, bytes) + bytes <= set->bound) {
        set->pixels[index] = pixels;
    } else {
        atomic_fetch_sub(&set->kept, bytes);
        hmt_pixels_free(set->context, &pixels);
    }
    return true;
}

/* Takes row `row` out of the table and of what is kept, by moving `row` to place `to`. */
static void move_row(faces *set, size_t row, size_t to)
{
    manifest_row kept = set->table->rows[row];
    hmt_pixels pixels = set->pixels[row];
    set->table->rows[row] = set->table->rows[to];
    set->pixels[row] = set->pixels[to];
    set->table->rows[to] = kept;
    set->pixels[to] = pixels;
}

/* Moves the rows that are not marked bad to the front and frees the others. */
static void drop_bad(faces *set, const bool *bad)
{
    manifest *table = set->table;
    size_t good = 0;
    for (size_t row = 0; row < table->count; row++)
        if (!bad[row])
            move_row(set, row, good++);
    for (size_t row = good; row < table->count; row++) {
        table->scored -= !isnan(table->rows[row].score);
        free(table->rows[row].path);
        free(table->rows[row].names[0]);
        free(table->rows[row].names[1]);
    }
    table->count = good;
}

/* Names a photo that could not be read. */
static void report(const faces *set, size_t row, const char *message)
{
    const manifest_row *at = &set->table->rows[row];
    cli_error("%s:%zu: %s", set->table->name, at->line, message); /* which names the photo */
}

bool faces_read(faces *set, const hmt_context *context, manifest *table,
                const hmt_model_config *config, size_t bound, int workers, bool skip_bad,
                bool quiet)
{
    const hmt_preprocess_options defaults = HMT_PREPROCESS_OPTIONS_INIT;
    progress bar;
    batches_view view;
    size_t failed = 0;
    *set = (faces){.context = context, .table = table, .bound = bound, .preprocess = defaults};
    set->preprocess.resize = config->resize;
    memcpy(set->preprocess.mean, config->mean, sizeof config->mean);
    memcpy(set->preprocess.deviation, config->deviation, sizeof config->deviation);
    set->pixels = cli_allocate(table->count, sizeof *set->pixels);
    bool *bad = cli_allocate(table->count, sizeof *bad);
    batches *line = batches_start(
        &(batches_options){table->count, READ_BATCH, 0, workers, READ_DEPTH, read_photo, set});
    bool good = line != NULL;
    progress_start(&bar, "reading", "photos", table->count, quiet);
    while (good && batches_next(line, &view)) {
        for (size_t i = 0; i < view.count; i++) {
            if (view.items[i].good)
                continue;
            progress_clear(&bar);
            report(set, view.first + i, view.items[i].message);
            bad[view.first + i] = true;
            failed++;
        }
        good = (failed == 0 || skip_bad) && !cli_interrupted();
        progress_update(&bar, view.first + view.count, NULL);
    }
    progress_finish(&bar);
    batches_stop(line);
    if (good && failed) {
        drop_bad(set, bad);
        cli_error("%s: %zu photos could not be read and are left out", table->name, failed);
    } else if (failed) {
        cli_error("stopped at a photo that cannot be read; --skip-bad leaves such photos out");
    }
    free(bad);
    return good;
}

hmt_status faces_tensor(faces *set, size_t row, bool augment, bool flip, uint64_t seed,
                        float *tensor)
{
    hmt_preprocess_options options = set->preprocess;
    hmt_pixels opened = {0};
    const hmt_pixels *pixels = &set->pixels[row];
    if (augment) {
        options.crop = HMT_CROP_RANDOM;
        options.flip = flip ? 2 : 0;
        options.seed = seed;
    }
    if (!pixels->data) {
        hmt_status status = open_photo(set, row, &opened);
        if (status != HMT_OK)
            return status;
        pixels = &opened;
    }
    hmt_status status = hmt_preprocess(set->context, pixels, &options, tensor, FACES_FLOATS);
    hmt_pixels_free(set->context, &opened);
    return status;
}

void faces_free(faces *set)
{
    for (size_t i = 0; set->pixels && i < set->table->count; i++)
        hmt_pixels_free(set->context, &set->pixels[i]);
    free(set->pixels);
    set->pixels = NULL;
}
