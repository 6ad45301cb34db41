/*
 * What a linear layer hands back, dx = dy w. The rows of a large weight lie so far apart that those
 * of one panel of columns would push each other out of the caches: tiles of some longer rows are
 * copied to panels, and the next tile is fetched during the products.
 */
#include <string.h>

#include "gemm_body.h"

enum {
    GROUP = 64,     /* of images, whose sums stay in the cache */
    TILE_ROWS = 64, /* of the weight */
    TILE_PANELS = LINEAR_COLUMNS / (2 * LANES)
};

/* A panel of the weight; the row more keeps the panels' first rows out of one set of the cache. */
typedef float tile_panel[TILE_ROWS + 1][2 * LANES];

/* What a group of images is computed in. */
typedef struct gradient_memory {
    tile_panel tile[TILE_PANELS];
    float sums[TILE_PANELS][GROUP][2 * LANES];
} gradient_memory;

_Static_assert(sizeof(gradient_memory) == LINEAR_GRADIENT_MEMORY * sizeof(float), "room for it");

/* Rows of w as panels, filled up with zeros. */
static void gradient_tile(int64_t rows, int64_t columns, const float *w, int64_t w_row,
                          tile_panel *tile)
{
    const int64_t whole = columns / (2 * LANES), left = columns % (2 * LANES);

    for (int64_t row = 0; row < rows; ++row, w += w_row) {
        for (int64_t panel = 0; panel < whole; ++panel) {
            store(tile[panel][row], load(w + panel * 2 * LANES));
            store(tile[panel][row] + LANES, load(w + panel * 2 * LANES + LANES));
        }
        if (left > 0) {
            memset(tile[whole][row], 0, sizeof tile[whole][row]);
            memcpy(tile[whole][row], w + whole * 2 * LANES, (size_t)left * sizeof *w);
        }
    }
}

/* Adds dy(rows,images) by a panel to sums(images,panel); rows of dy dy_row apart. */
KERNEL void gradient_panel(int64_t images, int64_t rows, const float *dy, int64_t dy_row,
                           const float *panel, float *sums, int add, coming next)
{
    const int64_t blocks = (images + ROWS - 1) / ROWS;

    for (int64_t block = 0; block < blocks; ++block) {
        const int64_t from = images * block / blocks, until = images * (block + 1) / blocks;

        gemm_rows(HMT_DTYPE_F32, until - from, rows, dy + from, 1, dy_row, panel, 2 * LANES,
                  sums + from * 2 * LANES, 2 * LANES, add, next);
        next.step = 0;
    }
}

/* The next panel where it lies in the weight, a line of each row (of longer rows two). */
KERNEL coming ahead(const float *next, int64_t row_bytes)
{
    return (coming){(const char *)next, TURN * row_bytes, TURN > 1 ? row_bytes : LINE};
}

/* Of some images. */
static void gradient_group(int64_t images, int64_t rows, int64_t columns, const float *dy,
                           int64_t dy_row, const float *w, int64_t w_row, float *dx, int64_t dx_row,
                           gradient_memory *memory)
{
    for (int64_t row = 0, count; row < rows; row += count) {
        const float *next = w + row * w_row;

        count = rows - row < TILE_ROWS ? rows - row : TILE_ROWS;
        gradient_tile(count, columns, next, w_row, memory->tile);
        next += count * w_row;
        for (int64_t panel = 0; panel * 2 * LANES < columns; ++panel, next += 2 * LANES)
            gradient_panel(images, count, dy + row * dy_row, dy_row, memory->tile[panel][0],
                           memory->sums[panel][0], row > 0,
                           ahead(next, w_row * (int64_t)sizeof *w));
    }
    for (int64_t i = 0; i < images; ++i, dx += dx_row)
        for (int64_t at = 0; at < columns; at += 2 * LANES)
            memcpy(dx + at, memory->sums[at / (2 * LANES)][i],
                   (size_t)(columns - at < 2 * LANES ? columns - at : 2 * LANES) * sizeof *dx);
}

static void linear_gradient(int64_t n, int64_t rows, int64_t columns, const float *dy,
                            const float *w, int64_t w_row, float *dx, int64_t dx_row, float *memory)
{
    for (int64_t i = 0; i < n; i += GROUP)
        gradient_group(n - i < GROUP ? n - i : GROUP, rows, columns, dy + i, n, w, w_row,
                       dx + i * dx_row, dx_row, (gradient_memory *)(void *)memory);
}
