/*
 * Surveys (see survey.h). Photos that look alike are found by the difference hash of N. Krawetz, in
 * 256 bits: few of the comparisons between neighbours change when a photo is scaled or compressed.
 */
#include "survey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batches.h"
#include "cli.h"
#include "photo.h"
#include "progress.h"

enum { GRID = 16, ALIKE_BITS = 16, BATCH = 16, DEPTH = 4 };

static uint64_t hash_pixels(const hmt_pixels *pixels)
{
    uint64_t hash =
        14695981039346656037u ^ ((uint64_t)pixels->width << 32) ^ (uint64_t)pixels->height;
    size_t bytes = 3 * (size_t)pixels->width * (size_t)pixels->height;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ pixels->data[i]) * 1099511628211u;
    return hash;
}

/* The mean level of one cell of a (GRID, GRID + 1) grid. */
static double cell_level(const hmt_pixels *p, int row, int column)
{
    int32_t top = p->height * row / GRID, bottom = p->height * (row + 1) / GRID;
    int32_t left = p->width * column / (GRID + 1), right = p->width * (column + 1) / (GRID + 1);
    double sum = 0;
    bottom += bottom == top;
    right += right == left;
    for (int32_t y = top; y < bottom; y++)
        for (int32_t x = left; x < right; x++) {
            const uint8_t *level = p->data + 3 * ((size_t)y * (size_t)p->width + (size_t)x);
            sum += level[0] + 2 * level[1] + level[2];
        }
    return sum / ((double)(bottom - top) * (right - left));
}

static void find_look(const hmt_pixels *pixels, uint64_t look[SURVEY_LOOK])
{
    memset(look, 0, SURVEY_LOOK * sizeof *look);
    for (int row = 0; row < GRID; row++) {
        double level = cell_level(pixels, row, 0);
        for (int column = 0; column < GRID; column++) {
            double next = cell_level(pixels, row, column + 1);
            int bit = row * GRID + column;
            look[bit / 64] |= (uint64_t)(next > level) << bit % 64;
            level = next;
        }
    }
}

/* batches_load: one photo, which leaves no data. */
static bool look_at(void *user, size_t index, void *data, char *message)
{
    survey *s = user;
    survey_photo *photo = &s->photos[index];
    hmt_sample sample = HMT_SAMPLE_INIT;
    hmt_pixels pixels = {0};
    (void)data;
    hmt_dataset_sample(s->set, index, &sample);
    if (hmt_decode_file(NULL, sample.path, &photo_decoding, &pixels) != HMT_OK) {
        snprintf(message, BATCHES_MESSAGE, "%s", hmt_last_error());
        return false;
    }
    photo->good = true;
    photo->width = pixels.width;
    photo->height = pixels.height;
    photo->pixels = hash_pixels(&pixels);
    find_look(&pixels, photo->look);
    hmt_pixels_free(NULL, &pixels);
    return true;
}

bool survey_run(survey *s, const hmt_dataset *set, int workers, bool quiet)
{
    progress bar;
    batches_view view;
    *s = (survey){.set = set, .count = hmt_dataset_count(set)};
    s->photos = cli_allocate(s->count, sizeof *s->photos);
    batches *line =
        batches_start(&(batches_options){s->count, BATCH, 0, workers, DEPTH, look_at, s, 1});
    progress_start(&bar, "reading", "photos", s->count, quiet);
    while (line && !cli_interrupted() && batches_next(line, &view)) {
        for (size_t i = 0; i < view.count; i++)
            if (!view.items[i].good) {
                s->photos[view.first + i].message = cli_copy(view.items[i].message);
                s->bad++;
            }
        progress_update(&bar, view.first + view.count, NULL);
    }
    progress_finish(&bar);
    batches_stop(line);
    return line && !cli_interrupted();
}

void survey_free(survey *s)
{
    for (size_t i = 0; i < s->count && s->photos; i++)
        free(s->photos[i].message);
    free(s->photos);
    *s = (survey){0};
}

survey_match survey_compare(const survey *s, size_t a, size_t b)
{
    const survey_photo *x = &s->photos[a], *y = &s->photos[b];
    int bits = 0;
    if (!x->good || !y->good)
        return SURVEY_OTHER;
    if (x->pixels == y->pixels && x->width == y->width && x->height == y->height)
        return SURVEY_SAME;
    for (int i = 0; i < SURVEY_LOOK; i++)
        bits += __builtin_popcountll(x->look[i] ^ y->look[i]);
    return bits <= ALIKE_BITS ? SURVEY_ALIKE : SURVEY_OTHER;
}
