/* tier: quick */
/* Augmentation: nothing asked for is plain preprocessing; each operation alone does what its
 * definition says; everything depends on the seed alone, and the draws cover their ranges. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <hmtnet/data.h>

#include "check.h"

enum { SIDE = 48, CROP = 32, FLOATS = 3 * CROP * CROP };

static uint8_t photo[SIDE * SIDE * 3];
static const hmt_pixels pixels = {photo, SIDE, SIDE, 0, HMT_PIXEL_RGB, 0};

static void paint(void)
{
    for (int y = 0; y < SIDE; ++y)
        for (int x = 0; x < SIDE; ++x) {
            photo[3 * (y * SIDE + x)] = (uint8_t)(5 * x);
            photo[3 * (y * SIDE + x) + 1] = (uint8_t)(5 * y);
            photo[3 * (y * SIDE + x) + 2] = (uint8_t)((x * 7 + y * 13) % 256);
        }
}

/* Nothing random, levels as they are. */
static hmt_augment_options nothing(void)
{
    hmt_augment_options o = HMT_AUGMENT_OPTIONS_INIT;

    o.resize = SIDE;
    o.crop_size = CROP;
    o.random_crop = 0;
    o.rotation = o.brightness = o.contrast = o.saturation = o.hue = o.flip = 0.0;
    for (int c = 0; c < 3; ++c)
        o.mean[c] = 0.0f, o.deviation[c] = 1.0f / 255.0f;
    return o;
}

static void run(const hmt_augment_options *o, uint64_t seed, float *tensor)
{
    CHECK_STATUS(hmt_augment(NULL, &pixels, o, seed, tensor, FLOATS), HMT_OK);
}

static double distance(const float *a, const float *b)
{
    double most = 0.0;

    for (int i = 0; i < FLOATS; ++i)
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
    return most;
}

static void nothing_is_preprocessing(void)
{
    static const int32_t resizes[] = {SIDE, 40, 100};
    float a[FLOATS], b[FLOATS];

    for (int i = 0; i < 3; ++i) {
        hmt_augment_options o = nothing();
        hmt_preprocess_options p = HMT_PREPROCESS_OPTIONS_INIT;

        o.resize = p.resize = resizes[i];
        p.crop_size = CROP;
        memcpy(o.mean, p.mean, sizeof o.mean);
        memcpy(o.deviation, p.deviation, sizeof o.deviation);
        run(&o, 3, a);
        CHECK_STATUS(hmt_preprocess(NULL, &pixels, &p, b, FLOATS), HMT_OK);
        CHECK(memcmp(a, b, sizeof a) == 0);
        o.flip = 1.0;
        p.flip = 1;
        run(&o, 3, a);
        CHECK_STATUS(hmt_preprocess(NULL, &pixels, &p, b, FLOATS), HMT_OK);
        CHECK(memcmp(a, b, sizeof a) == 0);
    }
}

/* Colour gradients tell where a pixel came from: red is 5 x, green 5 y. */
static void the_square_is_turned_about_its_middle(void)
{
    const double first = (SIDE - CROP) / 2, middle = first + (CROP - 1) / 2.0;
    hmt_augment_options o = nothing();
    double least = 1e9, most = -1e9;
    float t[FLOATS];

    o.rotation = 30.0;
    for (uint64_t seed = 0; seed < 300; ++seed) {
        double ax, ay, bx, by, angle;

        run(&o, seed, t);
        ax = t[0] / 5.0, ay = t[CROP * CROP] / 5.0;
        bx = t[CROP - 1] / 5.0, by = t[CROP * CROP + CROP - 1] / 5.0;
        angle = atan2(by - ay, bx - ax) * 180.0 / 3.14159265358979323846;
        CHECK(fabs(hypot(bx - ax, by - ay) - (CROP - 1)) < 0.01);
        CHECK(fabs(angle) < 30.01);
        least = fmin(least, angle), most = fmax(most, angle);
        ax = (t[0] + t[CROP * CROP - 1]) / 10.0; /* opposite corners: the middle between them */
        CHECK(fabs(ax - middle) < 0.01);
    }
    CHECK(least < -29.0 && most > 29.0);
}

static void outside_is_black(void)
{
    hmt_augment_options o = nothing();
    float t[FLOATS];
    int black = 0;

    memset(photo, 200, sizeof photo);
    o.rotation = 45.0;
    o.resize = o.crop_size = CROP;
    for (uint64_t seed = 0; seed < 20; ++seed) {
        run(&o, seed, t);
        black += t[0] == 0.0f;
        CHECK(fabsf(t[FLOATS / 6] - 200.0f) < 1e-3f);
    }
    CHECK(black > 15);
    paint();
}

static void crops_and_mirrors_cover_their_ranges(void)
{
    hmt_augment_options o = nothing();
    bool seen[SIDE - CROP + 1] = {false}, all = true;
    int mirrored = 0;
    float t[FLOATS];

    o.random_crop = 1;
    o.flip = 0.5;
    for (uint64_t seed = 0; seed < 400; ++seed) {
        bool mirror;
        int left;

        run(&o, seed, t);
        mirror = t[0] > t[1];
        left = (int)lroundf((mirror ? t[CROP - 1] : t[0]) / 5.0f);
        CHECK(left >= 0 && left <= SIDE - CROP);
        seen[left] = true;
        mirrored += mirror;
    }
    for (int i = 0; i <= SIDE - CROP; ++i)
        all = all && seen[i];
    CHECK(all);
    CHECK(mirrored > 150 && mirrored < 250);
}

static float grey(const float *t, int i)
{
    return 0.299f * t[i] + 0.587f * t[CROP * CROP + i] + 0.114f * t[2 * CROP * CROP + i];
}

static float clamp(float level)
{
    return fminf(255.0f, fmaxf(0.0f, level));
}

/* Each factor is found from one pixel that is not clamped, and must then explain all others. */
static void colours_follow_their_definitions(void)
{
    const int area = CROP * CROP, probe = 5 * CROP + 9;
    float before[FLOATS], after[FLOATS], expected[FLOATS];
    hmt_augment_options o = nothing();
    double mean = 0.0, least = 9.0, most = 0.0;

    run(&o, 0, before);
    for (int i = 0; i < area; ++i)
        mean += (double)grey(before, i) / area;
    for (uint64_t seed = 0; seed < 200; ++seed) {
        double factor;

        o = nothing(), o.brightness = 0.3;
        run(&o, seed, after);
        factor = (double)(after[probe] / before[probe]);
        least = fmin(least, factor), most = fmax(most, factor);
        for (int i = 0; i < FLOATS; ++i)
            expected[i] = clamp((float)factor * before[i]);
        CHECK(distance(after, expected) < 0.01);

        o = nothing(), o.contrast = 0.3;
        run(&o, seed, after);
        factor = (after[probe] - mean) / (before[probe] - mean);
        for (int i = 0; i < FLOATS; ++i)
            expected[i] = clamp((float)(mean + factor * (before[i] - mean)));
        CHECK(distance(after, expected) < 0.05);

        o = nothing(), o.saturation = 0.3;
        run(&o, seed, after);
        factor =
            (double)((after[probe] - grey(before, probe)) / (before[probe] - grey(before, probe)));
        for (int i = 0; i < FLOATS; ++i)
            expected[i] = clamp(
                (float)(grey(before, i % area) + factor * (before[i] - grey(before, i % area))));
        CHECK(distance(after, expected) < 0.05);
    }
    CHECK(least > 0.699 && least < 0.72 && most < 1.301 && most > 1.28);
}

/* Half a turn makes red cyan; grey stays grey; value and chroma stay in any turn. */
static void hues_turn(void)
{
    hmt_augment_options o = nothing();
    float before[FLOATS], t[FLOATS], largest = 0.0f;

    run(&o, 0, before);
    o.hue = 0.5;
    for (uint64_t seed = 0; seed < 100; ++seed) {
        run(&o, seed, t);
        for (int i = 0; i < CROP * CROP; ++i) {
            const float *a = before + i, *b = t + i;
            float most = fmaxf(a[0], fmaxf(a[CROP * CROP], a[2 * CROP * CROP]));
            float least = fminf(a[0], fminf(a[CROP * CROP], a[2 * CROP * CROP]));

            CHECK(fabsf(fmaxf(b[0], fmaxf(b[CROP * CROP], b[2 * CROP * CROP])) - most) < 0.01f);
            CHECK(fabsf(fminf(b[0], fminf(b[CROP * CROP], b[2 * CROP * CROP])) - least) < 0.01f);
        }
        largest = fmaxf(largest, (float)distance(before, t));
    }
    CHECK(largest > 100.0f);
    for (int i = 0; i < SIDE * SIDE; ++i)
        photo[3 * i] = 220, photo[3 * i + 1] = photo[3 * i + 2] = 20;
    for (uint64_t seed = 0; seed < 200; ++seed) { /* the hue of what was red is the shift */
        float r, g, b;

        run(&o, seed, t);
        r = t[0], g = t[CROP * CROP], b = t[2 * CROP * CROP];
        CHECK(fabsf(fmaxf(r, fmaxf(g, b)) - 220.0f) < 0.01f);
        CHECK((r > 219.0f) + (g > 219.0f) + (b > 219.0f) >= 1);
        CHECK(fabsf(fminf(r, fminf(g, b)) - 20.0f) < 0.01f);
    }
    o.hue = 1e-9; /* as good as none */
    run(&o, 1, t);
    CHECK(fabsf(t[0] - 220.0f) < 0.01f && fabsf(t[CROP * CROP] - 20.0f) < 0.01f);
    paint();
}

static void the_seed_decides_everything(void)
{
    hmt_augment_options o = HMT_AUGMENT_OPTIONS_INIT;
    float a[FLOATS], b[FLOATS];
    hmt_pixels picture = {0};
    double worst = 0.0;

    o.resize = 40;
    o.crop_size = CROP;
    run(&o, 77, a);
    run(&o, 77, b);
    CHECK(memcmp(a, b, sizeof a) == 0);
    run(&o, 78, b);
    CHECK(distance(a, b) > 0.1);
    CHECK_STATUS(hmt_augment_pixels(NULL, &pixels, &o, 77, &picture), HMT_OK);
    CHECK(picture.width == CROP && picture.height == CROP);
    for (int i = 0; i < FLOATS && picture.data != NULL; ++i) {
        int c = i / (CROP * CROP), at = i % (CROP * CROP);
        double level = ((double)a[i] * o.deviation[c] + o.mean[c]) * 255.0;

        worst = fmax(worst, fabs(level - picture.data[3 * at + c]));
    }
    CHECK(worst < 0.501);
    hmt_pixels_free(NULL, &picture);
}

static void wrong_options_are_refused(void)
{
    static const double values[] = {-0.1, 1000.0, NAN};
    hmt_pixels picture;
    float t[FLOATS];

    for (int field = 0; field < 6; ++field)
        for (int i = 0; i < 3; ++i) {
            hmt_augment_options o = nothing();
            double *fields[] = {&o.rotation,   &o.brightness, &o.contrast,
                                &o.saturation, &o.hue,        &o.flip};

            *fields[field] = values[i];
            CHECK_STATUS(hmt_augment(NULL, &pixels, &o, 0, t, FLOATS), HMT_ERROR_ARGUMENT);
            CHECK_STATUS(hmt_augment_pixels(NULL, &pixels, &o, 0, &picture), HMT_ERROR_ARGUMENT);
        }
    {
        hmt_augment_options o = nothing();

        CHECK_STATUS(hmt_augment(NULL, &pixels, &o, 0, t, FLOATS - 1), HMT_ERROR_ARGUMENT);
        CHECK_STATUS(hmt_augment(NULL, &pixels, &o, 0, NULL, FLOATS), HMT_ERROR_ARGUMENT);
        o.resize = CROP - 1;
        CHECK_STATUS(hmt_augment(NULL, &pixels, &o, 0, t, FLOATS), HMT_ERROR_ARGUMENT);
    }
}

int main(void)
{
    paint();
    nothing_is_preprocessing();
    the_square_is_turned_about_its_middle();
    outside_is_black();
    crops_and_mirrors_cover_their_ranges();
    colours_follow_their_definitions();
    hues_turn();
    the_seed_decides_everything();
    wrong_options_are_refused();
    return test_finish();
}
