/*
 * Augmentation (paper, section 4.2): a photo resized, cut out at a random place and angle, perhaps
 * mirrored, its colours changed. Everything is decided by the seed.
 *
 * Levels are floats from 0 to 255 in three planes between the steps; the colours are those of
 * torchvision's ColorJitter, in the order brightness, contrast, saturation, hue.
 */
#include <math.h>

#include "core/memory.h"
#include "core/random.h"
#include "image/image.h"

/* Which random number of a seed decides what. */
enum {
    DRAW_LEFT,
    DRAW_TOP,
    DRAW_ANGLE,
    DRAW_MIRROR,
    DRAW_BRIGHTNESS,
    DRAW_CONTRAST,
    DRAW_SATURATION,
    DRAW_HUE
};

static const double pi = 3.14159265358979323846;

/* A square of the resized photo, turned about its middle. */
typedef struct cut {
    int32_t width, height; /* of the resized photo */
    int32_t left, top, size;
    double angle; /* radians, counter-clockwise as it is seen */
    bool mirror;
} cut;

/* Uniform in [middle - reach, middle + reach]. */
static double draw(uint64_t seed, int what, double middle, double reach)
{
    return middle + reach * (2.0 * random_uniform(seed, (uint64_t)what) - 1.0);
}

static cut choose_cut(const hmt_pixels *pixels, const hmt_augment_options *o, uint64_t seed)
{
    cut c = {.size = o->crop_size};

    image_resized_size(pixels->width, pixels->height, o->resize, &c.width, &c.height);
    c.left = image_centre(c.width, c.size);
    c.top = image_centre(c.height, c.size);
    if (o->random_crop) {
        c.left = (int32_t)(random_uniform(seed, DRAW_LEFT) * (c.width - c.size + 1));
        c.top = (int32_t)(random_uniform(seed, DRAW_TOP) * (c.height - c.size + 1));
    }
    c.angle = draw(seed, DRAW_ANGLE, 0.0, o->rotation) * pi / 180.0;
    c.mirror = random_uniform(seed, DRAW_MIRROR) < o->flip;
    return c;
}

/* One pixel of dense RGB, black outside. */
static void fetch(const image *in, int32_t x, int32_t y, float level[3])
{
    const bool inside = x >= 0 && y >= 0 && x < in->width && y < in->height;
    const size_t at = inside ? 3 * ((size_t)y * (size_t)in->width + (size_t)x) : 0;

    for (size_t c = 0; c < 3; ++c)
        level[c] = inside ? (float)in->data[at + c] : 0.0f;
}

/* The levels at (x, y), between pixels by the four around it. */
static void sample(const image *in, float x, float y, float level[3])
{
    float floor_x = floorf(x), floor_y = floorf(y), right = x - floor_x, down = y - floor_y;
    int32_t left = (int32_t)floor_x, top = (int32_t)floor_y;
    float a[3], b[3], c[3], d[3];

    fetch(in, left, top, a);
    fetch(in, left + 1, top, b);
    fetch(in, left, top + 1, c);
    fetch(in, left + 1, top + 1, d);
    for (int i = 0; i < 3; ++i) {
        float upper = a[i] + right * (b[i] - a[i]), lower = c[i] + right * (d[i] - c[i]);

        level[i] = upper + down * (lower - upper);
    }
}

/* Cuts the turned square out of the resized photo. */
static void turn(const image *in, const cut *c, float *planes)
{
    const size_t area = (size_t)c->size * (size_t)c->size;
    const float middle = (float)(c->size - 1) / 2.0f;
    const float cosine = (float)cos(c->angle), sine = (float)sin(c->angle);

    for (int32_t y = 0; y < c->size; ++y)
        for (int32_t x = 0; x < c->size; ++x) {
            float u = (float)x - middle, v = (float)y - middle, level[3];
            size_t to = (size_t)y * (size_t)c->size + (size_t)(c->mirror ? c->size - 1 - x : x);

            sample(in, (float)c->left + middle + cosine * u - sine * v,
                   (float)c->top + middle + sine * u + cosine * v, level);
            for (int i = 0; i < 3; ++i)
                planes[(size_t)i * area + to] = level[i];
        }
}

static void copy_out(const image *square, bool mirror, float *planes)
{
    const size_t side = (size_t)square->width, area = side * side;
    const uint8_t *from = square->data;

    for (size_t y = 0; y < side; ++y)
        for (size_t x = 0; x < side; ++x, from += 3)
            for (size_t i = 0; i < 3; ++i)
                planes[i * area + y * side + (mirror ? side - 1 - x : x)] = (float)from[i];
}

/* Resizes as much of the photo as the cut needs, and cuts. */
static hmt_status place(const hmt_allocator *allocator, const image *in, const cut *c,
                        float *planes)
{
    const bool turned = c->angle != 0.0;
    const bool ready = in->width == c->width && in->height == c->height;
    image resized = {NULL, 0, 0};
    hmt_status status;

    if (turned && ready) {
        turn(in, c, planes);
        return HMT_OK;
    }
    status = image_allocate(allocator, turned ? c->width : c->size, turned ? c->height : c->size,
                            &resized);
    if (status == HMT_OK)
        status = image_resize(allocator, in, c->width, c->height, turned ? 0 : c->left,
                              turned ? 0 : c->top, &resized);
    if (status == HMT_OK && turned)
        turn(&resized, c, planes);
    else if (status == HMT_OK)
        copy_out(&resized, c->mirror, planes);
    memory_free(allocator, resized.data);
    return status;
}

static float clamp(float level)
{
    return level < 0.0f ? 0.0f : level > 255.0f ? 255.0f : level;
}

/* Luma of ITU-R BT.601. */
static float grey(float r, float g, float b)
{
    return 0.299f * r + 0.587f * g + 0.114f * b;
}

static void brighten(float *planes, size_t area, float factor)
{
    for (size_t i = 0; i < 3 * area; ++i)
        planes[i] = clamp(factor * planes[i]);
}

/* Away from or towards the mean grey of the whole square. */
static void stretch(float *planes, size_t area, float factor)
{
    double sum = 0.0;
    float mean;

    for (size_t i = 0; i < area; ++i)
        sum += (double)grey(planes[i], planes[area + i], planes[2 * area + i]);
    mean = (float)(sum / (double)area);
    for (size_t i = 0; i < 3 * area; ++i)
        planes[i] = clamp(mean + factor * (planes[i] - mean));
}

/* Away from or towards each pixel's own grey. */
static void saturate(float *planes, size_t area, float factor)
{
    float *r = planes, *g = planes + area, *b = planes + 2 * area;

    for (size_t i = 0; i < area; ++i) {
        float own = grey(r[i], g[i], b[i]);

        r[i] = clamp(own + factor * (r[i] - own));
        g[i] = clamp(own + factor * (g[i] - own));
        b[i] = clamp(own + factor * (b[i] - own));
    }
}

/* The level of one channel at a hue in sixths of a turn, for the largest level and the chroma: the
 * channel is full within one sixth of its own hue and 0 beyond two. */
static float level_at(float hue, float most, float chroma)
{
    float k = hue - 6.0f * floorf(hue / 6.0f), away = k < 6.0f - k ? k : 6.0f - k;
    float share = away <= 1.0f ? 0.0f : away >= 2.0f ? 1.0f : away - 1.0f;

    return most - chroma * share;
}

/* Turns the hue by `shift` sixths of a turn, through HSV: value and saturation stay. */
static void turn_hue(float *planes, size_t area, float shift)
{
    float *r = planes, *g = planes + area, *b = planes + 2 * area;

    for (size_t i = 0; i < area; ++i) {
        float most = fmaxf(r[i], fmaxf(g[i], b[i])), least = fminf(r[i], fminf(g[i], b[i]));
        float chroma = most - least, hue;

        if (chroma <= 0.0f)
            continue;
        if (most == r[i])
            hue = (g[i] - b[i]) / chroma;
        else if (most == g[i])
            hue = 2.0f + (b[i] - r[i]) / chroma;
        else
            hue = 4.0f + (r[i] - g[i]) / chroma;
        hue += shift;
        r[i] = level_at(hue, most, chroma);
        g[i] = level_at(hue - 2.0f, most, chroma);
        b[i] = level_at(hue - 4.0f, most, chroma);
    }
}

static void colour(float *planes, size_t area, const hmt_augment_options *o, uint64_t seed)
{
    if (o->brightness > 0.0)
        brighten(planes, area, (float)draw(seed, DRAW_BRIGHTNESS, 1.0, o->brightness));
    if (o->contrast > 0.0)
        stretch(planes, area, (float)draw(seed, DRAW_CONTRAST, 1.0, o->contrast));
    if (o->saturation > 0.0)
        saturate(planes, area, (float)draw(seed, DRAW_SATURATION, 1.0, o->saturation));
    if (o->hue > 0.0)
        turn_hue(planes, area, (float)(6.0 * draw(seed, DRAW_HUE, 0.0, o->hue)));
}

hmt_status image_augment(const hmt_allocator *allocator, const hmt_pixels *pixels,
                         const hmt_augment_options *o, uint64_t seed, float *planes)
{
    bool dense = pixels->format == HMT_PIXEL_RGB &&
                 (pixels->stride == 0 || pixels->stride == 3 * (int64_t)pixels->width);
    image source = {(uint8_t *)pixels->data, pixels->width, pixels->height};
    const cut c = choose_cut(pixels, o, seed);
    hmt_status status = image_check_resized(c.width, c.height);

    if (status == HMT_OK && !dense) {
        source.data = NULL;
        status = image_from_pixels(allocator, pixels, &source);
    }
    if (status == HMT_OK)
        status = place(allocator, &source, &c, planes);
    if (status == HMT_OK)
        colour(planes, (size_t)c.size * (size_t)c.size, o, seed);
    if (!dense)
        memory_free(allocator, source.data);
    return status;
}
