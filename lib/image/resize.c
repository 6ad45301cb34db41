/*
 * Antialiased bilinear resizing with Pillow's arithmetic: a triangle filter as wide as the
 * reduction, its weights in fixed point, rows first and then columns, each pass rounded to 8 bits.
 */
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "image/filter.h"
#include "image/image.h"

/* Filter for outputs from..from+size of an axis that goes from `in` to `out` pixels. */
static hmt_status make_filter(const hmt_allocator *allocator, int32_t in, int32_t out, int32_t from,
                              int32_t size, filter *f)
{
    double scale = (double)in / out, reach = scale > 1.0 ? scale : 1.0;
    double *raw;
    void *block;
    hmt_status status;

    f->taps = (int32_t)ceil(reach) * 2 + 1;
    status = memory_zeroed(allocator,
                           (size_t)size * (size_t)(f->taps + 2) * sizeof(int32_t) +
                               (size_t)f->taps * sizeof(double),
                           1, "resizing", &block);
    f->first = NULL;
    if (status != HMT_OK)
        return status;
    raw = block;
    f->weight = (int32_t *)(raw + f->taps);
    f->count = f->weight + (size_t)size * (size_t)f->taps;
    f->first = f->count + size;
    for (int32_t i = 0; i < size; ++i) {
        double centre = (from + i + 0.5) * scale, sum = 0.0;
        int32_t low = (int32_t)(centre - reach + 0.5), high = (int32_t)(centre + reach + 0.5);

        low = low < 0 ? 0 : low;
        high = high > in ? in : high;
        for (int32_t k = 0; k < high - low; ++k) {
            raw[k] = fmax(0.0, 1.0 - fabs((k + low - centre + 0.5) / reach));
            sum += raw[k];
        }
        f->first[i] = low;
        f->count[i] = high - low;
        for (int32_t k = 0; k < high - low; ++k)
            f->weight[i * f->taps + k] = (int32_t)(0.5 + raw[k] / sum * (1 << FILTER_PRECISION));
    }
    return HMT_OK;
}

static void free_filter(const hmt_allocator *allocator, filter *f)
{
    if (f->first != NULL)
        memory_free(allocator, (double *)(void *)f->weight - f->taps); /* where the block begins */
}

static uint8_t to_level(int32_t sum)
{
    sum >>= FILTER_PRECISION;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

/* Output pixels x to `width` of one row of `in`. */
static void resize_row(const filter *f, const uint8_t *in, int32_t x, int32_t width, uint8_t *out)
{
    for (out += 3 * (size_t)x; x < width; ++x, out += 3) {
        const uint8_t *from = in + 3 * (size_t)f->first[x];
        const int32_t *weight = f->weight + (size_t)x * (size_t)f->taps;
        int32_t sum[3] = {FILTER_HALF, FILTER_HALF, FILTER_HALF};

        if (f->count[x] == 2) { /* enlarging, nearly always */
            for (int c = 0; c < 3; ++c)
                out[c] = to_level(FILTER_HALF + from[c] * weight[0] + from[c + 3] * weight[1]);
            continue;
        }
        for (int32_t k = 0; k < f->count[x]; ++k, from += 3)
            for (int c = 0; c < 3; ++c)
                sum[c] += from[c] * weight[k];
        for (int c = 0; c < 3; ++c)
            out[c] = to_level(sum[c]);
    }
}

/* One output row from two rows: nearly all rows of an enlarged image. */
static void blend_rows(const int32_t *weight, const uint8_t *in, size_t bytes, uint8_t *out)
{
    for (size_t i = enlarge_down(weight, in, bytes, out); i < bytes; ++i)
        out[i] = to_level(FILTER_HALF + in[i] * weight[0] + in[i + bytes] * weight[1]);
}

/* One output row from `count` rows of `bytes` levels each; sums has room for `bytes`. */
static void resize_column(const int32_t *weight, int32_t count, const uint8_t *in, size_t bytes,
                          int32_t *sums, uint8_t *out)
{
    if (count == 2) {
        blend_rows(weight, in, bytes, out);
        return;
    }
    for (size_t i = 0; i < bytes; ++i)
        sums[i] = FILTER_HALF;
    for (int32_t k = 0; k < count; ++k, in += bytes)
        for (size_t i = 0; i < bytes; ++i)
            sums[i] += in[i] * weight[k];
    for (size_t i = 0; i < bytes; ++i)
        out[i] = to_level(sums[i]);
}

hmt_status image_resize(const hmt_allocator *allocator, const image *in, int32_t width,
                        int32_t height, int32_t left, int32_t top, const image *out)
{
    size_t bytes = 3 * (size_t)out->width, blocks = across_count(out->width);
    filter across = {0}, down = {0};
    int32_t low, high; /* the input rows that are needed */
    void *block = NULL;
    uint8_t *rows;
    int32_t *sums;
    across_block *steps;
    hmt_status status = make_filter(allocator, in->width, width, left, out->width, &across);

    if (status == HMT_OK)
        status = make_filter(allocator, in->height, height, top, out->height, &down);
    if (status != HMT_OK)
        goto done;
    low = down.first[0];
    high = down.first[out->height - 1] + down.count[out->height - 1];
    status = memory_uninitialised(
        allocator, (size_t)(high - low) + sizeof *sums + sizeof *steps / ACROSS_LEVELS + 1, bytes,
        "resizing", &block);
    if (status != HMT_OK)
        goto done;
    steps = block;
    sums = (int32_t *)(steps + blocks);
    rows = (uint8_t *)(sums + bytes);
    blocks = width != in->width ? across_prepare(&across, in->width, steps, blocks) : 0;
    for (int32_t y = low; y < high; ++y) {
        const uint8_t *from = in->data + 3 * (size_t)in->width * (size_t)y;
        uint8_t *to = rows + bytes * (size_t)(y - low);

        if (width == in->width) { /* nothing to do across */
            memcpy(to, from + 3 * (size_t)left, bytes);
        } else {
            across_run(steps, blocks, from, to);
            resize_row(&across, from, (int32_t)(ACROSS_LEVELS * blocks / 3), out->width, to);
        }
    }
    for (int32_t y = 0; y < out->height; ++y) {
        uint8_t *to = out->data + bytes * (size_t)y;

        if (height == in->height)
            memcpy(to, rows + bytes * (size_t)(top + y - low), bytes);
        else
            resize_column(down.weight + (size_t)y * (size_t)down.taps, down.count[y],
                          rows + bytes * (size_t)(down.first[y] - low), bytes, sums, to);
    }
done:
    memory_free(allocator, block);
    free_filter(allocator, &across);
    free_filter(allocator, &down);
    return status;
}

void image_resized_size(int32_t width, int32_t height, int32_t shorter_side, int32_t *new_width,
                        int32_t *new_height)
{
    int64_t shorter = width < height ? width : height, longer = width < height ? height : width;
    int64_t scaled = (int64_t)shorter_side * longer / shorter;

    if (scaled > INT32_MAX)
        scaled = INT32_MAX;
    *new_width = width < height ? shorter_side : (int32_t)scaled;
    *new_height = width < height ? (int32_t)scaled : shorter_side;
}
