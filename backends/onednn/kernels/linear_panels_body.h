/*
 * Inner products of many images: a matrix product whose left side is the weight as the model stores
 * it, whose right side the images, side by side in panels. Chunks of the images' values stay in the
 * second-level cache while all rows pass, and the next rows are fetched meanwhile.
 */
#include "gemm_body.h"
#include "linear_body.h"

enum { MOST_PANELS = LINEAR_IMAGES / (2 * LANES) };

/* Some rows' piece of a weight as float32, rows DEPTH apart. */
KERNEL void widen_piece(const hmt_dtype stored, int64_t rows, int64_t length, const char *w,
                        int64_t w_row, float *to)
{
    for (int64_t o = 0; o < rows; ++o, w += w_row, to += DEPTH) {
        int64_t i = 0;

        for (; i + LANES <= length; i += LANES)
            store(to + i, load_stored(stored, w, i));
        for (; i < length; ++i)
            to[i] = element(stored, w, i);
    }
}

/* One chunk of k values by some rows: sums(rows,images) = or +=. In as many parts as there may be
 * rows, so that in each part one of the next rows' chunk, from `next` on, is fetched. */
KERNEL void panels_chunk(const hmt_dtype stored, int64_t rows, int64_t from, int64_t size,
                         int64_t k, int64_t panels, const float *x, const char *w, float *sums,
                         const char *next)
{
    const int64_t fetched = size * stored_width(stored) / panels; /* beside each panel */
    float wide[ROWS * DEPTH] __attribute__((aligned(64)));

    for (int64_t part = 0; part < ROWS; ++part, next += k * stored_width(stored)) {
        const int64_t at = size * part / ROWS, length = size * (part + 1) / ROWS - at;
        const int narrow = stored != HMT_DTYPE_F32;

        if (length == 0)
            continue;
        if (narrow)
            widen_piece(stored, rows, length, w + at * stored_width(stored),
                        k * stored_width(stored), wide);
        for (int64_t panel = 0; panel < panels; ++panel)
            gemm_rows(HMT_DTYPE_F32, rows, length,
                      narrow ? wide : (const float *)(const void *)w + at, narrow ? DEPTH : k, 1,
                      x + (panel * k + from + at) * 2 * LANES, 2 * LANES, sums + panel * 2 * LANES,
                      LINEAR_IMAGES, from + at > 0,
                      (coming){next + panel * fetched, TURN * fetched / length, LINE});
    }
}

KERNEL void panels_stored(const hmt_dtype stored, int64_t panels, int64_t k, const float *x,
                          const char *w, int64_t rows, float (*sums)[LINEAR_IMAGES])
{
    const int64_t depth = panels > MOST_PANELS / 2 ? DEPTH / 2 : DEPTH,
                  row = k * stored_width(stored);
    const int64_t chunks = (k + depth * ROWS - 1) / (depth * ROWS);
    const int64_t blocks = (rows + ROWS - 1) / ROWS;

    for (int64_t chunk = 0; chunk < chunks; ++chunk) {
        const int64_t from = k * chunk / chunks, end = k * (chunk + 1) / chunks;

        for (int64_t block = 0; block < blocks; ++block) {
            const int64_t o = rows * block / blocks, until = rows * (block + 1) / blocks;
            const char *next = block + 1 < blocks ? w + until * row + from * stored_width(stored)
                                                  : w + end * stored_width(stored);

            panels_chunk(stored, until - o, from, end - from, k, panels, x,
                         w + o * row + from * stored_width(stored), sums[o], next);
        }
    }
}

static void linear_panels(hmt_dtype stored, int64_t n, int64_t k, const float *x, const void *w,
                          int64_t rows, const float *bias, int relu, float *y, int64_t y_row,
                          float *memory)
{
    const int64_t panels = (n + 2 * LANES - 1) / (2 * LANES);
    float(*sums)[LINEAR_IMAGES] = (float(*)[LINEAR_IMAGES])(void *)memory;

    if (stored == HMT_DTYPE_F32)
        panels_stored(HMT_DTYPE_F32, panels, k, x, w, rows, sums);
    else if (stored == HMT_DTYPE_F16)
        panels_stored(HMT_DTYPE_F16, panels, k, x, w, rows, sums);
    else
        panels_stored(HMT_DTYPE_BF16, panels, k, x, w, rows, sums);
    for (int64_t i = 0; i < n; ++i)
        for (int64_t o = 0; o < rows; ++o) {
            const float sum = sums[o][i] + (bias != NULL ? bias[o] : 0.0f);

            y[i * y_row + o] = relu && sum < 0.0f ? 0.0f : sum; /* NaN stays */
        }
}
