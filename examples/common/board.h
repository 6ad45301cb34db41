/*
 * A board of pictures: a grid of square cells with captions above the columns and below the rows,
 * saved as PNG. White, with dark text in a small font of ASCII letters.
 */
#ifndef EXAMPLES_BOARD_H
#define EXAMPLES_BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BOARD_LINES = 2 }; /* of a column's caption */

typedef struct board {
    uint8_t *rgb; /* (height,width,3) */
    size_t width, height;
    size_t columns, rows, cell; /* side of a cell, pixels */
    int scale;                  /* of the font */
} board;

board board_create(size_t columns, size_t rows, size_t cell);
void board_free(board *b);

/* Puts a picture (cell,cell,3) into its place. */
void board_put(board *b, size_t column, size_t row, const uint8_t *rgb);
/* Up to BOARD_LINES lines above a column; what is too long is cut. */
void board_head(board *b, size_t column, const char *const lines[BOARD_LINES]);
/* One line below a row, as wide as the board. */
void board_caption(board *b, size_t row, const char *text);
/* One line below a single picture; what is too long is cut. */
void board_label(board *b, size_t column, size_t row, const char *text);
/* The colours of the maps, from low to high, at the bottom. */
void board_legend(board *b, const char *low, const char *high);

/* Writes a PNG; an old file is replaced when all is written. false: a message has been printed. */
bool board_save(const board *b, const char *path);

#endif
