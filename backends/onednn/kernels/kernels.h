/*
 * Our own kernels, compiled once for each level of processor: plain C, AVX2 with FMA, AVX-512
 * without and with VNNI. One source, the *_body.h files, is written with vectors of `lanes` floats;
 * level_*.c compile it. The tables hold single-thread functions over tiles and panels; their
 * callers share out the work.
 *
 * Feature maps are nChw{lanes}c: (N, C/lanes, H, W, lanes), the last block filled up with zeros.
 */
#ifndef HMT_ONEDNN_KERNELS_H
#define HMT_ONEDNN_KERNELS_H

#include <hmtnet/backend.h>
#include <stdint.h>

enum {
    WINOGRAD_TAPS = 3,   /* of the kernels F(m x m, 3x3) */
    WINOGRAD_POINTS = 8, /* the most in one dimension: m + 2 */
    WINOGRAD_SQUARE = WINOGRAD_POINTS * WINOGRAD_POINTS,
    WINOGRAD_SEGMENT = 128 /* channels of a spectrum in 16 bits that share a step */
};

/*
 * A feature map as Winograd's tiles see it. A canvas stitches a group of images together and is cut
 * into windows, one for each row and one for each column of tiles, that lie one after the other in
 * the tables: position (r, c), for each of phases x phases interleaved grids, lies row[phase][r] +
 * column[phase][c] floats behind the group's first image, or outside every image (negative).
 */
typedef struct winograd_map {
    int32_t phases;        /* grids in each dimension: the stride; else 1 */
    int64_t blocks;        /* of lanes channels, in one grid */
    int64_t block_step;    /* floats from a block to the next: H*W*lanes */
    int64_t group_step;    /* floats from a group of images to the next */
    int32_t rows, columns; /* of all windows */
    const int64_t *row;    /* (phases, rows) */
    const int64_t *column; /* (phases, columns) */
} winograd_map;

/* Kernels (O,I,kh,kw) with any strides, as Winograd reads and writes them. In phase (a,b) of
 * `stride`, tap (i,j) is the kernel's (i*stride + a, j*stride + b), 0 beyond its end. */
typedef struct winograd_kernel {
    int64_t outputs, inputs;
    int64_t output_step, input_step, tap_step[2]; /* in floats */
    int32_t size[2], stride;
    int64_t channels; /* inputs of a phase, with those that fill it up */
} winograd_kernel;

/* The grids of a stride in the order of spectra, as row * stride + column: kernels of an odd size
 * are wider on the first grid of each dimension, and grids that are wider one way lie together. */
static inline int32_t winograd_grid(int32_t stride, int32_t at)
{
    static const int8_t order[4] = {2, 0, 1, 3};

    return stride == 2 ? order[at] : at;
}

/* Where a panel's spectra at one point go: values (count, panel), of the rows from `first` on. */
typedef struct winograd_slab {
    float *values;
    int64_t first, count;
} winograd_slab;

/* What a convolution of few channels may have; larger ones are left to others. */
enum { FIRST_CHANNELS = 4, FIRST_TAPS = 11, FIRST_STRIDE = 8 };

enum { LINEAR_COLUMNS = 256, LINEAR_IMAGES = 128, LINEAR_ROWS = 36 };

/* Floats of memory, at a whole cache line, that linear_panels() and linear_gradient() work in:
 * threads of a host may have small stacks. */
enum {
    LINEAR_PANELS_MEMORY = LINEAR_ROWS * LINEAR_IMAGES,
    LINEAR_GRADIENT_MEMORY = 129 * LINEAR_COLUMNS
};

/* The same by tiles of FIRST_TILE outputs along a row, F(4,4). A stride is interleaved grids, each
 * with its share of a line's taps, FIRST_TILE at most. */
enum { FIRST_TILE = 4, FIRST_POINTS = 7 };

/* The points but infinity: +- these. */
#define FIRST_POINT_A 0.25
#define FIRST_POINT_B 0.875
#define FIRST_POINT_C 1.75

typedef struct first_tiles {
    int32_t tiles, room;         /* of a row; filled up to whole vectors */
    int32_t grids;               /* the stride across */
    int32_t ends;                /* grids that count at infinity: none, the first, or all */
    int32_t depth;               /* lines that a row sees, of all channels */
    int32_t width, pad, columns; /* of a line, in front of it; of the result */
    int64_t point_step;          /* floats from point to point of spectra */
} first_tiles;

/* Grids that count at a point, the last of which is infinity. */
static inline int32_t first_grids(const first_tiles *t, int point)
{
    return point < FIRST_POINTS - 1 ? t->grids : t->ends;
}

/* A convolution whose images (C,H,W) are planar, as one row of its result sees it. Pairs: down,
 * across. */
typedef struct first_shape {
    int32_t channels, size[2]; /* of an image */
    int32_t kernel[2], stride[2], pad[2];
    int32_t columns; /* of the result */
} first_shape;

/* Max pooling across rows of `width` cells of `cell` floats, a multiple of lanes. */
typedef struct pool_shape {
    int32_t width, cell;
    int32_t kernel, stride, pad; /* across */
    int32_t columns;             /* of the result */
} pool_shape;

/* In place of a tap, where a window is empty. */
enum { POOL_NONE = 255 };

/* Channels side by side, `width` of them, at most lanes: of `rows` images, row_step floats apart,
 * `span` positions, `step` floats apart. */
typedef struct norm_shape {
    int64_t rows, row_step, span, step;
    int32_t width;
    int32_t
        large; /* results had better go past the caches; whole vectors lie at whole lines then */
} norm_shape;

/* y = (x - centre) * factor + shift with values for each of the channels, then relu if asked for.
 */
typedef struct norm_affine {
    const float *centre, *factor, *shift;
    int32_t relu;
} norm_affine;

/* Bytes of a weight's element as the model stores it. */
static inline int64_t stored_width(hmt_dtype stored)
{
    return stored == HMT_DTYPE_F32 ? 4 : stored == HMT_DTYPE_I8 ? 1 : 2;
}

/* How weights that one image reads once come into the first-level cache: by what the processor
 * foresees, or by non-temporal prefetches too. processor.h chooses. */
typedef enum weight_prefetch { PREFETCH_HARDWARE, PREFETCH_NONTEMPORAL } weight_prefetch;

typedef struct kernels {
    const char *name;
    int32_t lanes;
    int32_t panel;           /* columns that gemm() makes: 2 * lanes */
    int32_t integers_faster; /* whether sums of 16-bit products take half of what float32's do */
    int32_t panels_faster;   /* whether linear_panels() is, of full panels */
    /* Tiles of a batch from which Winograd's F(5x5) and F(6x6) pay: they multiply less but read
     * more transformed weights, and wider vectors wait for memory sooner. */
    int32_t large_tiles_from;

    /* c(m,panel) = a(m,k) b(k,panel), or += if `add`: a(i,p) at a[i*a_row + p*a_step], where one of
     * them is 1, and a_step if b is not float32; rows of b b_step elements of type `stored` and
     * rows of c c_row floats apart. As many of the `behind` bytes after b's last row as b has come
     * into the cache meanwhile: what is read next. */
    void (*gemm)(hmt_dtype stored, int64_t m, int64_t k, const float *a, int64_t a_row,
                 int64_t a_step, const void *b, int64_t b_step, float *c, int64_t c_row, int add,
                 int64_t behind);

    /* y(n,rows) = relu?(x(n,k) w(rows,k)^T + bias), all row-major, rows of y y_row apart; bias may
     * be NULL. x is float, but for HMT_DTYPE_I8 int16_t: it then counts in steps[n], and w in
     * scales[row]. `prefetch` is w's, for n = 1. */
    void (*linear)(hmt_dtype stored, weight_prefetch prefetch, int64_t n, int64_t k, const void *x,
                   const float *steps, const void *w, const float *scales, int64_t rows,
                   const float *bias, int relu, float *y, int64_t y_row);
    /* The same of x (panel of images,k,image), filled up with zeros, without 8 bits; at most
     * LINEAR_IMAGES images and LINEAR_ROWS rows. */
    void (*linear_panels)(hmt_dtype stored, int64_t n, int64_t k, const float *x, const void *w,
                          int64_t rows, const float *bias, int relu, float *y, int64_t y_row,
                          float *memory);
    /* dx(n,columns) = dy(rows,n)^T w(rows,columns), all row-major, rows of w and dx w_row and
     * dx_row apart; at most LINEAR_COLUMNS columns. */
    void (*linear_gradient)(int64_t n, int64_t rows, int64_t columns, const float *dy,
                            const float *w, int64_t w_row, float *dx, int64_t dx_row,
                            float *memory);
    /* x(k) in steps of its largest magnitude / 32767. Gives the step; NaN if x is not finite. */
    float (*quantise)(int64_t k, const float *x, int16_t *to);

    /* A step of SGD for `count` parameters. */
    void (*sgd)(hmt_sgd how, int64_t count, const float *gradient, float *value, float *momentum);

    /* Winograd F(m x m, 3x3), n = m + 2 points; x, y: a group's first image; `row`, `column`:
     * where the tile's windows begin. Spectra lie point by point, `step` floats apart; a
     * tile's values are its channels, phase by phase in the order of winograd_grid(). */
    /* spectrum (n*n) = B^T x B */
    void (*winograd_input)(int32_t m, const winograd_map *map, const float *x, int32_t row,
                           int32_t column, float *spectrum, int64_t step);
    /* y = relu?(A^T spectrum A + bias); bias NULL or (channels, filled up with zeros) */
    void (*winograd_output)(int32_t m, const winograd_map *map, const float *spectrum, int64_t step,
                            const float *bias, int relu, float *y, int32_t row, int32_t column);
    /* spectrum = A y A^T: the transpose of winograd_output */
    void (*winograd_spread)(int32_t m, const winograd_map *map, const float *y, int32_t row,
                            int32_t column, float *spectrum, int64_t step);
    /* One panel of kernels' spectra, the slabs (n*n). transposed 0: rows are inputs (phase,
     * channel), columns outputs; 1: rows are outputs, columns inputs, taps turned around. */
    void (*winograd_kernels)(int32_t m, const winograd_kernel *kernel, const float *weights,
                             int transposed, int64_t first_column, int64_t rows,
                             const winograd_slab *to);
    /* weights' gradient = G^T spectra G of input row `row` (phase, channel) and all outputs */
    void (*winograd_gradient)(int32_t m, const winograd_kernel *kernel, const float *spectra,
                              int64_t step, int64_t row, float *gradient);

    /* Row `row` of relu?(x * weights + bias) of an image x: (columns, lanes) at y and, if `vectors`
     * is 2 and not 1, the next block of channels at y + block_step. weights (C,kh,kw,panel), bias
     * (panel). */
    void (*first_row)(const first_shape *shape, const float *x, const float *weights,
                      const float *bias, int32_t vectors, int relu, int32_t row, float *y,
                      int64_t block_step);
    /* A line of an image, or NULL for zeros, as spectra (point, .., grid, tile). dealt: room for
     * FIRST_TILE * grids * (room + lanes) floats. */
    void (*first_spectra)(const first_tiles *tiles, const float *x, float *dealt, float *spectra);
    /* first_row from the spectra of its lines (point, line, grid, tile). weights (point, line,
     * grid, panel), at infinity of the grids that count. products: room for (point, tile, panel).
     */
    void (*first_row_tiles)(const first_tiles *tiles, const float *spectra, const float *weights,
                            const float *bias, int32_t vectors, int relu, float *products, float *y,
                            int64_t block_step);
    /* Adds what row `row` of dy, laid out like y above, gives to the weights' gradient sums
     * (C,kh,kw,panel). */
    void (*first_gradient)(const first_shape *shape, const float *x, const float *dy,
                           int64_t block_step, int32_t row, float *sums);
    /* The same from the spectra of the row's lines, to sums laid out like first_row_tiles' weights.
     * spread: room for (point, tile, panel). */
    void (*first_gradient_tiles)(const first_tiles *tiles, const float *spectra, const float *dy,
                                 int64_t block_step, float *spread, float *sums);
    /* first_row of integers x: filled-up images (rows, columns, C), rows `line` integers apart, of
     * which 16 pixels beyond the last are read; weights (kh, pairs of a line's taps, panel, 2) of
     * magnitude 127 at most; sums times scales (panel) plus bias. */
    void (*first_row_integer)(const first_shape *shape, const int16_t *x, int64_t line,
                              const int16_t *weights, const float *scales, const float *bias,
                              int32_t vectors, int relu, int32_t row, float *y, int64_t block_step);
    /* y(columns, cell): the largest in each window over `count` rows; 0 where a window is empty. */
    void (*max_pool)(const pool_shape *shape, int32_t count, const float *const *rows, float *y);
    /* The same, and the first tap that won, row * shape->kernel + column of its window, whose first
     * `skipped` rows lie outside. */
    void (*max_pool_winners)(const pool_shape *shape, int32_t count, int32_t skipped,
                             const float *const *rows, float *y, uint8_t *winners);
    /* A row dx(width, cell) that is row down[i] of the windows of dy's rows dy[i], `count` of them.
     */
    void (*max_pool_gradient)(const pool_shape *shape, int32_t count, const int32_t *down,
                              const float *const *dy, const uint8_t *const *winners, float *dx);

    /* Batch norm. mean and squares (width): of x, and the sum of (x - mean)^2. */
    void (*norm_moments)(const norm_shape *shape, const float *x, double *mean, double *squares);
    void (*norm_apply)(const norm_shape *shape, norm_affine how, const float *x, float *y);
    /* Adds sums (width) of dy and of dy * (x - centre), where the relu let y pass. */
    void (*norm_sums)(const norm_shape *shape, norm_affine how, const float *x, const float *dy,
                      double *sums, double *products);
    /* dx = dy * factor + (x - centre) * slope + offset, dy likewise. */
    void (*norm_gradient)(const norm_shape *shape, norm_affine how, const float *slope,
                          const float *offset, const float *x, const float *dy, float *dx);

    /* The same products in integers: spectra are 16-bit counts of a step that each segment of
     * WINOGRAD_SEGMENT channels has, and that is NaN where a value is not finite.
     */
    /* As winograd_input; a tile's steps, floats, lie behind its channels. `step` in int16_t. */
    void (*winograd_input_counts)(int32_t m, const winograd_map *map, const float *x, int32_t row,
                                  int32_t column, int16_t *spectrum, int64_t step);
    /* One point of winograd_kernels' panel: for each segment of its rows (an even number) the
     * columns' steps, panel floats, then the counts, (rows/2, panel, 2). */
    void (*winograd_kernel_counts)(int64_t rows, const float *spectrum, int16_t *to);
    /* c(m,panel) = a(m,k) b(k,panel), a as winograd_input_counts and b as winograd_kernel_counts
     * make them; rows of a and c a_row and c_row elements apart. `behind` as in gemm(). */
    void (*winograd_product)(int64_t m, int64_t k, const int16_t *a, int64_t a_row,
                             const int16_t *b, float *c, int64_t c_row, int64_t behind);
} kernels;

extern const kernels kernels_plain;
#if defined(__x86_64__)
extern const kernels kernels_avx2;
extern const kernels kernels_avx512;
extern const kernels kernels_avx512vnni;
#endif

/* The best that this processor runs, at most what HMT_CPU_LEVEL (plain, avx2, avx512, avx512vnni)
 * allows. */
const kernels *kernels_select(void);

#endif
