/* Maps of where a network looks (see heatmap.h). */
#include "heatmap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "colormap.h"

heatmap heatmap_create(size_t height, size_t width)
{
    return (heatmap){cli_allocate(height * width, sizeof(float)), height, width};
}

void heatmap_free(heatmap *map)
{
    free(map->values);
    map->values = NULL;
}

void heatmap_mean(heatmap *map, const float *values, size_t channels)
{
    const size_t area = map->height * map->width;
    memset(map->values, 0, area * sizeof *map->values);
    for (size_t c = 0; c < channels; c++)
        for (size_t i = 0; i < area; i++)
            map->values[i] += values[c * area + i] / (float)channels;
}

static double sum(const float *values, size_t count)
{
    double all = 0.0;
    for (size_t i = 0; i < count; i++)
        all += (double)values[i];
    return all;
}

void heatmap_strongest(heatmap *map, const float *values, size_t channels)
{
    const size_t area = map->height * map->width;
    size_t best = 0;
    for (size_t c = 1; c < channels; c++)
        if (sum(values + c * area, area) > sum(values + best * area, area))
            best = c;
    memcpy(map->values, values + best * area, area * sizeof *values);
}

void heatmap_grad_cam(heatmap *map, const float *values, const float *gradient, size_t channels)
{
    const size_t area = map->height * map->width;
    memset(map->values, 0, area * sizeof *map->values);
    for (size_t c = 0; c < channels; c++) {
        const float weight = (float)(sum(gradient + c * area, area) / (double)area);
        for (size_t i = 0; i < area; i++)
            map->values[i] += weight * values[c * area + i];
    }
    for (size_t i = 0; i < area; i++)
        map->values[i] = map->values[i] > 0.0f ? map->values[i] : 0.0f;
}

void heatmap_add_saliency(heatmap *map, const float *gradient, size_t channels)
{
    const size_t area = map->height * map->width;
    for (size_t i = 0; i < area; i++) {
        float most = 0.0f;
        for (size_t c = 0; c < channels; c++)
            most = fmaxf(most, fabsf(gradient[c * area + i]));
        map->values[i] += most;
    }
}

/* One row or column of `count` cells, `step` floats apart. */
static void blur_line(const float *from, float *to, size_t count, size_t step, const double *kernel,
                      size_t radius)
{
    for (size_t i = 0; i < count; i++) {
        double value = 0.0, weight = 0.0;
        for (size_t k = 0; k <= 2 * radius; k++) {
            if (i + k < radius || i + k - radius >= count)
                continue;
            value += kernel[k] * (double)from[(i + k - radius) * step];
            weight += kernel[k];
        }
        to[i * step] = (float)(value / weight);
    }
}

void heatmap_blur(heatmap *map, double deviation)
{
    const size_t radius = (size_t)ceil(3.0 * deviation);
    if (!(deviation > 0.0))
        return;
    double *kernel = cli_allocate(2 * radius + 1, sizeof *kernel);
    heatmap half = heatmap_create(map->height, map->width);
    for (size_t k = 0; k <= 2 * radius; k++) {
        double off = ((double)k - (double)radius) / deviation;
        kernel[k] = exp(-0.5 * off * off);
    }
    for (size_t y = 0; y < map->height; y++)
        blur_line(map->values + y * map->width, half.values + y * map->width, map->width, 1, kernel,
                  radius);
    for (size_t x = 0; x < map->width; x++)
        blur_line(half.values + x, map->values + x, map->height, map->width, kernel, radius);
    heatmap_free(&half);
    free(kernel);
}

static int ascending(const void *left, const void *right)
{
    const float a = *(const float *)left, b = *(const float *)right;
    return (a > b) - (a < b);
}

void heatmap_scale(heatmap *map, double share, int keep_zero)
{
    const size_t area = map->height * map->width;
    float *sorted = cli_allocate(area, sizeof *sorted);
    memcpy(sorted, map->values, area * sizeof *sorted);
    qsort(sorted, area, sizeof *sorted, ascending);
    const float low = keep_zero ? 0.0f : sorted[0];
    const float high = sorted[(size_t)(share * (double)(area - 1))];
    for (size_t i = 0; i < area; i++) {
        float value = high > low ? (map->values[i] - low) / (high - low) : 0.0f;
        map->values[i] = value > 0.0f ? fminf(value, 1.0f) : 0.0f;
    }
    free(sorted);
}

/* A position among `cells` as the first of two neighbours and the second's share. */
static size_t between(double x, size_t cells, float *share)
{
    x = fmin(fmax(x, 0.0), (double)(cells - 1));
    const size_t first = (size_t)x < cells - 1 || cells == 1 ? (size_t)x : cells - 2;
    *share = (float)(x - (double)first);
    return first;
}

/* Fills a picture whose pixel i lies at first + i * step among the map's cells, in both axes. */
static heatmap interpolate(const heatmap *map, size_t height, size_t width, const double first[2],
                           const double step[2])
{
    heatmap large = heatmap_create(height, width);
    const size_t right = map->width > 1 ? 1 : 0, below = map->height > 1 ? map->width : 0;
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < width; x++) {
            float v, u;
            const size_t row = between(first[0] + (double)y * step[0], map->height, &v);
            const size_t column = between(first[1] + (double)x * step[1], map->width, &u);
            const float *at = map->values + row * map->width + column;
            large.values[y * width + x] = (1.0f - v) * ((1.0f - u) * at[0] + u * at[right]) +
                                          v * ((1.0f - u) * at[below] + u * at[below + right]);
        }
    return large;
}

heatmap heatmap_resize(const heatmap *map, size_t height, size_t width)
{
    const double step[2] = {(double)map->height / (double)height,
                            (double)map->width / (double)width};
    const double first[2] = {0.5 * step[0] - 0.5, 0.5 * step[1] - 0.5};
    return interpolate(map, height, width, first, step);
}

heatmap heatmap_spread(const heatmap *map, size_t stride, size_t side, size_t size)
{
    const size_t cells[2] = {map->height, map->width};
    double first[2], step[2];
    for (int i = 0; i < 2; i++) {
        size_t apart = stride ? stride : 1;
        while (!stride && 2 * apart * cells[i] <= side)
            apart *= 2;
        step[i] = (double)side / (double)size / (double)apart; /* cells to a pixel */
        first[i] = 0.5 * (double)(cells[i] - 1) - 0.5 * (double)(size - 1) * step[i];
    }
    return interpolate(map, size, size, first, step);
}

void heatmap_overlay(const heatmap *map, const uint8_t *photo, double opacity, uint8_t *rgb)
{
    const size_t area = map->height * map->width;
    for (size_t i = 0; i < area; i++, photo += 3, rgb += 3) {
        const double grey = 0.299 * photo[0] + 0.587 * photo[1] + 0.114 * photo[2];
        uint8_t colour[3];
        const double share = opacity * (0.5 + 0.5 * (double)map->values[i]);
        colormap_viridis((double)map->values[i], colour);
        for (int c = 0; c < 3; c++)
            rgb[c] = (uint8_t)((1.0 - share) * grey + share * colour[c] + 0.5);
    }
}
