/* A board of pictures (see board.h). PNG through libpng, 8-bit RGB. */
#include "board.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>

#include "board_font.h"
#include "cli.h"
#include "colormap.h"
#include "output.h"

enum { MARGIN = 8, LETTER = 6, LINE = 9, LARGE_CELL = 150, INK = 40 };

static size_t line_height(const board *b)
{
    return (size_t)(LINE * b->scale);
}

/* Above the first row: the heads. */
static size_t head_height(const board *b)
{
    return MARGIN + BOARD_LINES * line_height(b) + MARGIN / 2;
}

static size_t row_top(const board *b, size_t row)
{
    return head_height(b) + row * (b->cell + line_height(b) + MARGIN);
}

static size_t column_left(const board *b, size_t column)
{
    return MARGIN + column * (b->cell + MARGIN);
}

board board_create(size_t columns, size_t rows, size_t cell)
{
    board b = {.columns = columns, .rows = rows, .cell = cell};
    b.scale = cell >= LARGE_CELL ? 2 : 1;
    b.width = column_left(&b, columns);
    b.height = row_top(&b, rows) + line_height(&b) + MARGIN;
    b.rgb = cli_allocate(b.width * b.height, 3);
    memset(b.rgb, 255, b.width * b.height * 3);
    return b;
}

void board_free(board *b)
{
    free(b->rgb);
    b->rgb = NULL;
}

void board_put(board *b, size_t column, size_t row, const uint8_t *rgb)
{
    uint8_t *to = b->rgb + 3 * (row_top(b, row) * b->width + column_left(b, column));
    for (size_t y = 0; y < b->cell; y++)
        memcpy(to + 3 * y * b->width, rgb + 3 * y * b->cell, 3 * b->cell);
}

static const unsigned char *glyph(char letter)
{
    const unsigned char *unknown = NULL;
    for (size_t i = 0; i < sizeof font / sizeof font[0]; i++) {
        if (font[i].letter == letter)
            return font[i].rows;
        if (font[i].letter == '?')
            unknown = font[i].rows;
    }
    return unknown;
}

static void draw_letter(board *b, size_t left, size_t top, char letter)
{
    const unsigned char *rows = glyph(letter);
    const size_t scale = (size_t)b->scale;
    for (size_t y = 0; y < 7 * scale; y++)
        for (size_t x = 0; x < 5 * scale; x++)
            if (rows[y / scale] & (16 >> x / scale))
                memset(b->rgb + 3 * ((top + y) * b->width + left + x), INK, 3);
}

/* Of a letter beyond ASCII only the first byte is drawn, as a question mark. */
static size_t draw_text(board *b, size_t left, size_t top, size_t right, const char *text)
{
    const size_t step = (size_t)(LETTER * b->scale);
    for (; *text && left + step <= right; text++) {
        if (((unsigned char)*text & 0xC0) == 0x80)
            continue;
        draw_letter(b, left, top, *text);
        left += step;
    }
    return left;
}

void board_head(board *b, size_t column, const char *const lines[BOARD_LINES])
{
    const size_t left = column_left(b, column);
    for (int i = 0; i < BOARD_LINES; i++)
        if (lines[i])
            draw_text(b, left, MARGIN + (size_t)i * line_height(b), left + b->cell + MARGIN / 2,
                      lines[i]);
}

void board_caption(board *b, size_t row, const char *text)
{
    draw_text(b, MARGIN, row_top(b, row) + b->cell + 3, b->width - MARGIN, text);
}

void board_label(board *b, size_t column, size_t row, const char *text)
{
    const size_t left = column_left(b, column);
    draw_text(b, left, row_top(b, row) + b->cell + 3, left + b->cell + MARGIN / 2, text);
}

void board_legend(board *b, const char *low, const char *high)
{
    const size_t top = row_top(b, b->rows), bar = b->cell;
    size_t left = draw_text(b, MARGIN, top, b->width - MARGIN, low) + MARGIN;
    if (left + bar + MARGIN > b->width)
        return;
    for (size_t x = 0; x < bar; x++) {
        uint8_t colour[3];
        colormap_viridis((double)x / (double)(bar - 1), colour);
        for (size_t y = 0; y < (size_t)(7 * b->scale); y++)
            memcpy(b->rgb + 3 * ((top + y) * b->width + left + x), colour, 3);
    }
    draw_text(b, left + bar + MARGIN, top, b->width - MARGIN, high);
}

bool board_save(const board *b, const char *path)
{
    output out = {0};
    png_image image = {.version = PNG_IMAGE_VERSION,
                       .width = (png_uint_32)b->width,
                       .height = (png_uint_32)b->height,
                       .format = PNG_FORMAT_RGB};
    bool good = output_open(&out, path);
    if (good && !png_image_write_to_stdio(&image, out.stream, 0, b->rgb, 0, NULL)) {
        if (out.sink->error)
            output_failed(&out);
        else
            cli_error("cannot write %s: %s", path, image.message);
        good = false;
    }
    png_image_free(&image);
    good = good && output_commit(&out);
    output_discard(&out);
    return good;
}
