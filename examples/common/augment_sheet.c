/* The augmentation's picture (see augment_sheet.h). */
#include "augment_sheet.h"

#include <stdlib.h>
#include <string.h>

#include "board.h"
#include "photo.h"
#include "random.h"

enum { ROWS = 6, VERSIONS = 8, CELL = 112 };

/* Puts one version of a photo into its cell. */
static void put(board *b, size_t column, size_t row, const hmt_pixels *photo,
                const hmt_augment_options *options, uint64_t seed)
{
    hmt_augment_options small = *options;
    hmt_pixels cell = {0};
    small.resize = options->resize * CELL / options->crop_size;
    small.crop_size = CELL;
    if (hmt_augment_pixels(NULL, photo, &small, seed, &cell) == HMT_OK)
        board_put(b, column, row, cell.data);
    hmt_pixels_free(NULL, &cell);
}

bool augment_sheet(const char *path, const hmt_dataset *set, const size_t *indices, size_t count,
                   const hmt_augment_options *options, uint64_t seed)
{
    static const char *const as_is[BOARD_LINES] = {"centre", NULL};
    static const char *const changed[BOARD_LINES] = {"augmented", NULL};
    hmt_augment_options plain = *options;
    size_t rows = count < ROWS ? count : ROWS;
    board b = board_create(1 + VERSIONS, rows, CELL);
    plain.random_crop = 0;
    plain.rotation = plain.brightness = plain.contrast = plain.saturation = plain.hue = plain.flip =
        0;
    board_head(&b, 0, as_is);
    board_head(&b, 1, changed);
    for (size_t row = 0; row < rows; row++) {
        hmt_sample sample = HMT_SAMPLE_INIT;
        hmt_pixels photo = {0};
        hmt_dataset_sample(set, indices[row], &sample);
        if (hmt_decode_file(NULL, sample.path, &photo_decoding, &photo) != HMT_OK)
            continue;
        put(&b, 0, row, &photo, &plain, 0);
        for (size_t i = 0; i < VERSIONS; i++)
            put(&b, 1 + i, row, &photo, options, random_mix(seed, row * VERSIONS + i));
        hmt_pixels_free(NULL, &photo);
    }
    bool good = board_save(&b, path);
    board_free(&b);
    return good;
}
