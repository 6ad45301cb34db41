/*
 * gemm.c - a packed matrix product in plain C: 4 rows by 16 columns at a time, compiled for AVX2
 * too and chosen at run time. Fast enough that whole networks can be trained through it.
 */
#include "gemm.h"

#include <stdlib.h>
#include <string.h>

enum { ROWS = 4, COLUMNS = 16, DEPTH = 384 };

typedef float vector __attribute__((vector_size(32), aligned(4), may_alias));

/* b (depth,16 columns) packed, a (4,depth) packed by columns; into c, which is a 4 by 16 tile. */
static inline __attribute__((always_inline)) void tile(size_t depth, const float *a, const float *b,
                                                       float *c)
{
    vector sums[ROWS][2] = {{{0}}};

    for (size_t i = 0; i < depth; i++) {
        vector left = *(const vector *)(b + i * COLUMNS),
               right = *(const vector *)(b + i * COLUMNS + 8);
        for (int row = 0; row < ROWS; row++) {
            float factor = a[i * ROWS + row];
            sums[row][0] += factor * left;
            sums[row][1] += factor * right;
        }
    }
    memcpy(c, sums, sizeof sums);
}

static void tile_plain(size_t depth, const float *a, const float *b, float *c)
{
    tile(depth, a, b, c);
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static void tile_avx2(size_t depth, const float *a,
                                                          const float *b, float *c)
{
    tile(depth, a, b, c);
}
#endif

static void (*choose_tile(void))(size_t, const float *, const float *, float *)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return tile_avx2;
#endif
    return tile_plain;
}

/* `width` lines of a matrix side by side, zeros where there are fewer. */
static void pack(const float *from, size_t line, size_t along, size_t lines, size_t depth,
                 size_t width, float *to)
{
    if (lines < width)
        memset(to, 0, depth * width * sizeof *to);
    for (size_t i = 0; i < depth; i++)
        for (size_t j = 0; j < lines; j++)
            to[i * width + j] = from[j * line + i * along];
}

static void store(const float *sums, size_t rows, size_t columns, float *c, size_t c_row, int add)
{
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            c[i * c_row + j] = sums[i * COLUMNS + j] + (add ? c[i * c_row + j] : 0);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

int standin_gemm(size_t m, size_t n, size_t k, const float *a, size_t a_row, size_t a_column,
                 const float *b, size_t b_row, size_t b_column, float *c, size_t c_row, int add)
{
    void (*run)(size_t, const float *, const float *, float *) = choose_tile();
    size_t panels = (n + COLUMNS - 1) / COLUMNS;
    float *packed = malloc((panels * COLUMNS + ROWS) * DEPTH * sizeof *packed), *rows,
          sums[ROWS * COLUMNS];

    if (packed == NULL)
        return -1;
    rows = packed + panels * COLUMNS * DEPTH;
    for (size_t k0 = 0; k0 < k || k0 == 0; k0 += DEPTH) {
        size_t depth = smaller(DEPTH, k - k0);
        for (size_t p = 0; p < panels; p++)
            pack(b + k0 * b_row + p * COLUMNS * b_column, b_column, b_row,
                 smaller(COLUMNS, n - p * COLUMNS), depth, COLUMNS, packed + p * COLUMNS * DEPTH);
        for (size_t i = 0; i < m; i += ROWS) {
            pack(a + i * a_row + k0 * a_column, a_row, a_column, smaller(ROWS, m - i), depth, ROWS,
                 rows);
            for (size_t p = 0; p < panels; p++) {
                run(depth, rows, packed + p * COLUMNS * DEPTH, sums);
                store(sums, smaller(ROWS, m - i), smaller(COLUMNS, n - p * COLUMNS),
                      c + i * c_row + p * COLUMNS, c_row, add || k0 > 0);
            }
        }
    }
    free(packed);
    return 0;
}
