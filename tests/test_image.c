/* tier: quick
 * Images: every kind decodes to what Pillow makes of it, resizing and cropping agree to the level,
 * and what is damaged, foreign or too large is refused with a sentence. The fixtures in data/images
 * are small; test_image_oracle.c has large ones.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/file.h"
#include "core/memory.h"
#include "images.h"

static char path[1024];

static const char *fixture(const char *name)
{
    snprintf(path, sizeof path, "%s/tests/data/images/%s", HMT_SOURCE_DIR, name);
    return path;
}

/* What Pillow 13 makes of each fixture: its size and mean upright, and after a bilinear resize to a
 * shorter side of 24 the size, the mean, and the pixel in the third row and third from the right.
 */
static const struct expected {
    const char *name;
    int32_t width, height;
    double mean[3];
    int32_t small_width, small_height;
    double small_mean[3];
    int pixel[3];
} fixtures[] = {
    {"baseline.jpg",
     56,
     40,
     {135.496, 124.486, 123.232},
     33,
     24,
     {135.605, 124.505, 123.210},
     {238, 24, 121}},
    {"baseline_444.jpg",
     56,
     40,
     {135.491, 124.466, 123.272},
     33,
     24,
     {135.610, 124.496, 123.201},
     {237, 24, 122}},
    {"cmyk.jpg",
     56,
     40,
     {135.504, 124.493, 123.271},
     33,
     24,
     {135.606, 124.455, 123.194},
     {237, 24, 121}},
    {"cmyk_black.jpg",
     56,
     40,
     {78.741, 76.761, 89.164},
     33,
     24,
     {78.788, 76.760, 89.067},
     {41, 71, 5}},
    {"exif_2.jpg",
     56,
     40,
     {135.496, 124.486, 123.232},
     33,
     24,
     {135.605, 124.505, 123.210},
     {13, 26, 46}},
    {"exif_3.jpg",
     56,
     40,
     {135.496, 124.486, 123.232},
     33,
     24,
     {135.605, 124.505, 123.210},
     {17, 231, 200}},
    {"exif_4.jpg",
     56,
     40,
     {135.496, 124.486, 123.232},
     33,
     24,
     {135.605, 124.505, 123.210},
     {232, 232, 25}},
    {"exif_5.jpg",
     40,
     56,
     {135.496, 124.486, 123.232},
     24,
     33,
     {135.590, 124.497, 123.234},
     {16, 231, 200}},
    {"exif_6.jpg",
     40,
     56,
     {135.496, 124.486, 123.232},
     24,
     33,
     {135.590, 124.497, 123.234},
     {13, 26, 46}},
    {"exif_7.jpg",
     40,
     56,
     {135.496, 124.486, 123.232},
     24,
     33,
     {135.590, 124.497, 123.234},
     {238, 24, 121}},
    {"exif_8.jpg",
     40,
     56,
     {135.496, 124.486, 123.232},
     24,
     33,
     {135.590, 124.497, 123.234},
     {233, 232, 25}},
    {"gray.jpg",
     56,
     40,
     {127.631, 127.631, 127.631},
     33,
     24,
     {127.663, 127.663, 127.663},
     {99, 99, 99}},
    {"gray1.png",
     56,
     40,
     {127.842, 127.842, 127.842},
     33,
     24,
     {128.076, 128.076, 128.076},
     {96, 96, 96}},
    {"gray16.png",
     56,
     40,
     {139.829, 139.829, 139.829},
     33,
     24,
     {139.653, 139.653, 139.653},
     {237, 237, 237}},
    {"gray8.png",
     56,
     40,
     {127.658, 127.658, 127.658},
     33,
     24,
     {127.679, 127.679, 127.679},
     {99, 99, 99}},
    {"interlaced.png",
     56,
     40,
     {135.543, 124.493, 123.257},
     33,
     24,
     {135.652, 124.496, 123.183},
     {237, 24, 121}},
    {"palette.png",
     56,
     40,
     {135.564, 119.183, 130.221},
     33,
     24,
     {135.696, 119.153, 130.184},
     {206, 55, 98}},
    {"progressive.jpg",
     56,
     40,
     {135.420, 124.577, 123.170},
     33,
     24,
     {135.509, 124.573, 123.134},
     {237, 25, 122}},
    {"rgb8.png",
     56,
     40,
     {135.543, 124.493, 123.257},
     33,
     24,
     {135.652, 124.496, 123.183},
     {237, 24, 121}},
    {"rgba8.png",
     56,
     40,
     {215.511, 190.532, 191.266},
     33,
     24,
     {215.482, 190.566, 191.275},
     {238, 41, 131}},
    {"ycck.jpg", 56, 40, {78.992, 76.656, 88.548}, 33, 24, {79.013, 76.672, 88.476}, {41, 71, 5}},
};

static void own_fixtures(void)
{
    for (size_t i = 0; i < sizeof fixtures / sizeof fixtures[0]; ++i) {
        const struct expected *e = &fixtures[i];
        hmt_pixels p, small;
        double mean[3];
        const uint8_t *at;

        CHECK_STATUS(hmt_decode_file(NULL, fixture(e->name), NULL, &p), HMT_OK);
        CHECK(p.width == e->width && p.height == e->height && p.format == HMT_PIXEL_RGB);
        mean_of(&p, mean);
        CHECK(near(mean, e->mean, 0.05)); /* other versions of libjpeg may differ in a few levels */
        CHECK_STATUS(hmt_resize(NULL, &p, 24, &small), HMT_OK);
        CHECK(small.width == e->small_width && small.height == e->small_height);
        mean_of(&small, mean);
        CHECK(near(mean, e->small_mean, 0.05));
        at = small.data + 2 * small.stride + 3 * (small.width - 3);
        for (int c = 0; c < 3; ++c)
            CHECK(abs(at[c] - e->pixel[c]) <= 1);
        hmt_pixels_free(NULL, &p);
        hmt_pixels_free(NULL, &small);
        CHECK(small.data == NULL);
    }
}

/* ---- limits, misuse, pixels ---- */

static void limits(void)
{
    hmt_decode_options o = HMT_DECODE_OPTIONS_INIT;
    hmt_pixels p;

    CHECK_STATUS(hmt_decode_file(NULL, fixture("bomb.png"), NULL, &p), HMT_ERROR_LIMIT);
    CHECK(strstr(hmt_last_error(), "60000 x 60000") != NULL &&
          strstr(hmt_last_error(), "bomb.png") != NULL);
    o.max_pixels = 56 * 40 - 1;
    CHECK_STATUS(hmt_decode_file(NULL, fixture("rgb8.png"), &o, &p), HMT_ERROR_LIMIT);
    CHECK_STATUS(hmt_decode_file(NULL, fixture("baseline.jpg"), &o, &p), HMT_ERROR_LIMIT);
    o.max_pixels = 56 * 40;
    CHECK_STATUS(hmt_decode_file(NULL, fixture("baseline.jpg"), &o, &p), HMT_OK);
    hmt_pixels_free(NULL, &p);
    o.max_bytes = 100;
    CHECK_STATUS(hmt_decode_file(NULL, fixture("rgb8.png"), &o, &p), HMT_ERROR_LIMIT);
    CHECK_STATUS(hmt_decode_memory(NULL, path, 101, &o, &p), HMT_ERROR_LIMIT);
    o.max_bytes = 0;
    o.min_side = 20; /* a half of 56 x 40 */
    CHECK_STATUS(hmt_decode_file(NULL, fixture("baseline.jpg"), &o, &p), HMT_OK);
    CHECK(p.width == 28 && p.height == 20);
    hmt_pixels_free(NULL, &p);
    o.min_side = 21;
    CHECK_STATUS(hmt_decode_file(NULL, fixture("baseline.jpg"), &o, &p), HMT_OK);
    CHECK(p.width == 56);
    hmt_pixels_free(NULL, &p);
    o.ignore_orientation = 1;
    CHECK_STATUS(hmt_decode_file(NULL, fixture("exif_6.jpg"), &o, &p), HMT_OK);
    CHECK(p.width == 56 && p.height == 40);
    hmt_pixels_free(NULL, &p);
    o.min_side = -1;
    CHECK_STATUS(hmt_decode_file(NULL, fixture("rgb8.png"), &o, &p), HMT_ERROR_ARGUMENT);
    o.struct_size = 1;
    CHECK_STATUS(hmt_decode_file(NULL, fixture("rgb8.png"), &o, &p), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_decode_file(NULL, NULL, NULL, &p), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_decode_file(NULL, fixture("no such.png"), NULL, &p), HMT_ERROR_NOT_FOUND);
    CHECK_STATUS(hmt_decode_file(NULL, fixture(""), NULL, &p), HMT_ERROR_IO);
    CHECK_STATUS(hmt_decode_memory(NULL, NULL, 1, NULL, &p), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_decode_memory(NULL, "", 0, NULL, &p), HMT_ERROR_FORMAT);
    hmt_pixels_free(NULL, NULL);
}

/* A comment that unpacks to 6 MB in a PNG of one pixel: never unpacked. */
static void text_bomb(void)
{
    meter m = {0};
    hmt_context *context = metered(&m);
    hmt_pixels p = {NULL, 0, 0, 0, HMT_PIXEL_RGB, 0};

    m.most = m.live;
    CHECK_STATUS(hmt_decode_file(context, fixture("text_bomb.png"), NULL, &p), HMT_OK);
    CHECK(p.width == 1 && p.data[0] == 1 && p.data[1] == 2 && p.data[2] == 3);
    CHECK(m.most < 1u << 20);
    hmt_pixels_free(context, &p);
    hmt_context_free(context);
}

/* A progressive JPEG of 8 x 8 grey pixels that sends its DC coefficient `scans` times. */
static hmt_status decode_scans(size_t scans)
{
    static const uint8_t quantisers[5] = {0xff, 0xdb, 0, 67, 0},
                         frame[13] = {0xff, 0xc2, 0, 11, 8, 0, 8, 0, 8, 1, 1, 0x11, 0},
                         huffman[22] = {0xff, 0xc4, 0, 20, 0, 1}, /* one code, of one bit */
        scan[11] = {0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0, 0x7f};
    static uint8_t data[8192];
    uint8_t *to = data;
    hmt_pixels p;
    hmt_status status;

    *to++ = 0xff, *to++ = 0xd8;
    memcpy(to, quantisers, sizeof quantisers), to += sizeof quantisers;
    memset(to, 1, 64), to += 64;
    memcpy(to, frame, sizeof frame), to += sizeof frame;
    memcpy(to, huffman, sizeof huffman), to += sizeof huffman;
    for (size_t i = 0; i < scans; ++i, to += sizeof scan)
        memcpy(to, scan, sizeof scan);
    *to++ = 0xff, *to++ = 0xd9;
    status = hmt_decode_memory(NULL, data, (size_t)(to - data), NULL, &p);
    if (status == HMT_OK)
        hmt_pixels_free(NULL, &p);
    return status;
}

/* An orientation of nearly 2 GiB, by the chunk's own word, before the pixels or behind them. */
static void lying_chunk(void)
{
    static const unsigned char lie[8] = {0x7f, 0xff, 0xff, 0xff, 'e', 'X', 'I', 'f'};
    enum { FIRST_END = 33, LAST_CHUNK = 12 };
    meter m = {0};
    hmt_context *context = metered(&m);
    unsigned char *data;
    size_t size;

    CHECK_STATUS(file_read(&memory_default, fixture("rgb8.png"), 1 << 20, &data, &size), HMT_OK);
    for (int behind = 0; behind < 2; ++behind) {
        unsigned char file[1024];
        const size_t at = behind ? size - LAST_CHUNK : FIRST_END;
        hmt_pixels p;

        CHECK(size + sizeof lie <= sizeof file);
        memcpy(file, data, at);
        memcpy(file + at, lie, sizeof lie);
        memcpy(file + at + sizeof lie, data + at, size - at);
        CHECK_STATUS(hmt_decode_memory(context, file, size + sizeof lie, NULL, &p),
                     HMT_ERROR_FORMAT);
    }
    CHECK(m.most < 1 << 20);
    memory_free(&memory_default, data);
    hmt_context_free(context);
    CHECK(m.live == 0);
}

static void too_many_scans(void)
{
    CHECK_STATUS(decode_scans(499), HMT_OK);
    CHECK_STATUS(decode_scans(600), HMT_ERROR_LIMIT);
    CHECK(strstr(hmt_last_error(), "scans") != NULL);
}

/* What is neither JPEG nor PNG is refused by name, at whatever length it stops. */
static void foreign_kinds(void)
{
    static const struct {
        const char *bytes, *said;
    } files[] = {{"GIF89a~~~~~~", "GIF"},
                 {"BM~~~~~~~~~~", "BMP"},
                 {"RIFF~~~~WEBP", "WebP"},
                 {"~~~~ftypheic", "HEIC"},
                 {"~~~~ftypavif", "AVIF"},
                 {"just a text.", "not a JPEG or PNG image: it begins with byte 0x6a"}};
    hmt_pixels p;

    for (size_t i = 0; i < sizeof files / sizeof files[0]; ++i) {
        CHECK_STATUS(hmt_decode_memory(NULL, files[i].bytes, 12, NULL, &p), HMT_ERROR_UNSUPPORTED);
        CHECK(strstr(hmt_last_error(), files[i].said) != NULL);
        for (size_t size = 1; size < 12; ++size)
            CHECK_STATUS(hmt_decode_memory(NULL, files[i].bytes, size, NULL, &p),
                         HMT_ERROR_UNSUPPORTED);
    }
}

/* The same picture in every format and stride gives the same tensor. */
static void formats_and_strides(void)
{
    enum { W = 20, H = 30, ROW = 4 * W + 16 };
    static uint8_t rgb[3 * W * H], other[ROW * H];
    static float wanted[CROP], got[CROP];
    hmt_preprocess_options o = HMT_PREPROCESS_OPTIONS_INIT;
    hmt_pixels p = {rgb, W, H, 0, HMT_PIXEL_RGB, 0};

    for (int i = 0; i < 3 * W * H; ++i)
        rgb[i] = (uint8_t)(i / 3 * 37 % 251); /* grey, for HMT_PIXEL_GRAY's sake */
    CHECK_STATUS(hmt_preprocess(NULL, &p, &o, wanted, CROP), HMT_OK);
    for (int format = HMT_PIXEL_RGB; format <= HMT_PIXEL_GRAY; ++format)
        for (int upside_down = 0; upside_down < 2; ++upside_down) {
            static const int bytes[] = {3, 3, 4, 4, 1};

            for (int i = 0; i < W * H; ++i) {
                int y = upside_down ? H - 1 - i / W : i / W;
                uint8_t *to = other + y * ROW + i % W * bytes[format];

                memset(to, rgb[3 * i], (size_t)bytes[format]);
                if (bytes[format] == 4)
                    to[3] = 255;
            }
            p = (hmt_pixels){upside_down ? other + (H - 1) * ROW : other,
                             W,
                             H,
                             upside_down ? -ROW : ROW,
                             (hmt_pixel_format)format,
                             0};
            memset(got, 0, sizeof got);
            CHECK_STATUS(hmt_preprocess(NULL, &p, &o, got, CROP), HMT_OK);
            CHECK(memcmp(got, wanted, sizeof got) == 0);
        }
    rgb[0] = 10, rgb[1] = 20, rgb[2] = 30; /* red and blue change places */
    p = (hmt_pixels){rgb, 1, 1, 0, HMT_PIXEL_BGR, 0};
    CHECK_STATUS(hmt_preprocess(NULL, &p, &o, got, CROP), HMT_OK);
    CHECK(fabs(level(got, 0) - 30.0) < 0.01 && fabs(level(got, 2 * SIDE * SIDE) - 10.0) < 0.01);
}

static void misuse(void)
{
    static uint8_t rgb[3 * 300];
    static float tensor[CROP];
    hmt_preprocess_options o = HMT_PREPROCESS_OPTIONS_INIT;
    hmt_pixels p = {rgb, 10, 10, 0, HMT_PIXEL_RGB, 0}, q = p, small;

    CHECK_STATUS(hmt_preprocess(NULL, NULL, &o, tensor, CROP), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_preprocess(NULL, &p, &o, NULL, CROP), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_preprocess(NULL, &p, &o, tensor, CROP - 1), HMT_ERROR_ARGUMENT);
    q.width = 0;
    CHECK_STATUS(hmt_preprocess(NULL, &q, &o, tensor, CROP), HMT_ERROR_ARGUMENT);
    q.width = q.height = INT32_MAX;
    CHECK_STATUS(hmt_preprocess(NULL, &q, &o, tensor, CROP), HMT_ERROR_ARGUMENT);
    q = p, q.stride = 29;
    CHECK_STATUS(hmt_preprocess(NULL, &q, &o, tensor, CROP), HMT_ERROR_ARGUMENT);
    q = p, q.stride = INT64_MIN; /* times a row number it would overflow */
    CHECK_STATUS(hmt_preprocess(NULL, &q, &o, tensor, CROP), HMT_ERROR_ARGUMENT);
    q = p, q.format = (hmt_pixel_format)9;
    CHECK_STATUS(hmt_preprocess(NULL, &q, &o, tensor, CROP), HMT_ERROR_ARGUMENT);
    q = p, q.data = NULL;
    CHECK_STATUS(hmt_preprocess(NULL, &q, &o, tensor, CROP), HMT_ERROR_ARGUMENT);
    o.resize = 100;
    CHECK_STATUS(hmt_preprocess(NULL, &p, &o, tensor, CROP), HMT_ERROR_ARGUMENT);
    o.resize = 256, o.deviation[2] = 0.0f;
    CHECK_STATUS(hmt_preprocess(NULL, &p, &o, tensor, CROP), HMT_ERROR_ARGUMENT);
    o.deviation[2] = 1.0f, o.crop = (hmt_crop)4;
    CHECK_STATUS(hmt_preprocess(NULL, &p, &o, tensor, CROP), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_resize(NULL, &p, 0, &small), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_resize(NULL, &p, 24, NULL), HMT_ERROR_ARGUMENT);
    q = (hmt_pixels){rgb, 300, 1, 0, HMT_PIXEL_RGB, 0}; /* would become 1,200,000 x 4,000 */
    CHECK_STATUS(hmt_resize(NULL, &q, 4000, &small), HMT_ERROR_LIMIT);
}

/* A seed decides place and mirror alone; over many seeds every place is met, half of them mirrored.
 */
static void random_crops(void)
{
    enum { CROP_SIDE = 4, RESIZE = 6, FLOATS = 3 * CROP_SIDE * CROP_SIDE };
    uint8_t rgb[3 * RESIZE * RESIZE];
    hmt_pixels p = {rgb, RESIZE, RESIZE, 0, HMT_PIXEL_RGB, 0};
    hmt_preprocess_options o = HMT_PREPROCESS_OPTIONS_INIT;
    int seen[9] = {0}, mirrored = 0;

    for (int i = 0; i < RESIZE * RESIZE; ++i)
        memset(rgb + 3 * i, i, 3);
    o.resize = RESIZE;
    o.crop_size = CROP_SIDE;
    o.crop = HMT_CROP_RANDOM;
    o.flip = 2;
    for (o.seed = 0; o.seed < 900; ++o.seed) {
        float a[FLOATS], b[FLOATS];
        int first, second, corner;

        CHECK_STATUS(hmt_preprocess(NULL, &p, &o, a, FLOATS), HMT_OK);
        CHECK_STATUS(hmt_preprocess(NULL, &p, &o, b, FLOATS), HMT_OK);
        CHECK(memcmp(a, b, sizeof a) == 0);
        first = (int)lround(255.0 * (a[0] * 0.229 + 0.485));
        second = (int)lround(255.0 * (a[1] * 0.229 + 0.485));
        mirrored += second < first;
        corner = second < first ? first - (CROP_SIDE - 1) : first;
        if (corner % RESIZE < 3 && corner / RESIZE < 3)
            ++seen[corner / RESIZE * 3 + corner % RESIZE];
    }
    for (int i = 0; i < 9; ++i)
        CHECK(seen[i] > 60 && seen[i] < 140);
    CHECK(mirrored > 390 && mirrored < 510);
}

/* Where the five crops begin, in their order; the centre's 3.5 columns are rounded to 4. */
static void five_crops(void)
{
    enum { CROP_SIDE = 4, W = 11, H = 6, FLOATS = 3 * CROP_SIDE * CROP_SIDE };
    static const int corner[] = {0, W - CROP_SIDE, 2 * W, 2 * W + W - CROP_SIDE, W + 4};
    uint8_t gray[W * H];
    float tensor[5 * FLOATS];
    hmt_pixels p = {gray, W, H, 0, HMT_PIXEL_GRAY, 0};
    hmt_preprocess_options o = HMT_PREPROCESS_OPTIONS_INIT;

    for (int i = 0; i < W * H; ++i)
        gray[i] = (uint8_t)i;
    o.resize = H;
    o.crop_size = CROP_SIDE;
    o.crop = HMT_CROP_FIVE;
    CHECK_STATUS(hmt_preprocess(NULL, &p, &o, tensor, 5 * FLOATS - 1), HMT_ERROR_ARGUMENT);
    CHECK_STATUS(hmt_preprocess(NULL, &p, &o, tensor, 5 * FLOATS), HMT_OK);
    for (int i = 0; i < 5; ++i)
        CHECK(lround(255.0 * (tensor[i * FLOATS] * 0.229 + 0.485)) == corner[i]);
}

/* ---- hostile bytes, failing memory ---- */

static void damage(const char *name)
{
    unsigned char *data = NULL;
    size_t size, refused = 0;
    meter m = {0};
    hmt_context *context = metered(&m);
    size_t base = m.live;
    hmt_pixels p;

    CHECK_STATUS(file_read(&memory_default, fixture(name), 1 << 20, &data, &size), HMT_OK);
    for (size_t length = 0; length < size;
         ++length) { /* a copy of the exact length, so that reading on is noticed */
        unsigned char *cut = malloc(length > 0 ? length : 1);

        memcpy(cut, data, length);
        if (hmt_decode_memory(context, cut, length, NULL, &p) == HMT_OK)
            hmt_pixels_free(context, &p);
        else
            ++refused;
        free(cut);
    }
    CHECK(refused + 16 > size); /* some trailing bytes may be missed by nobody */
    for (uint32_t round = 0; round < 1500; ++round) {
        unsigned char *changed = malloc(size);
        uint32_t random = round * 2654435761u + 12345u;

        memcpy(changed, data, size);
        for (uint32_t k = 0; k < 1 + round % 4; ++k, random = random * 1664525u + 1013904223u)
            changed[(random >> 8) % size] = (unsigned char)(random >> 3);
        if (hmt_decode_memory(context, changed, size, NULL, &p) == HMT_OK)
            hmt_pixels_free(context, &p);
        else
            CHECK(hmt_last_error()[0] != '\0');
        free(changed);
    }
    CHECK(m.live == base);
    memory_free(&memory_default, data);
    hmt_context_free(context);
}

static void failing_memory(const char *name)
{
    meter m = {0};
    hmt_context *context = metered(&m);
    size_t base = m.live;
    static float tensor[5 * CROP];
    hmt_preprocess_options o = HMT_PREPROCESS_OPTIONS_INIT;
    hmt_status status = HMT_ERROR_MEMORY;

    o.crop = HMT_CROP_FIVE;
    for (size_t at = 1; status == HMT_ERROR_MEMORY; ++at) {
        hmt_pixels p = {NULL, 0, 0, 0, HMT_PIXEL_RGB, 0};

        m.calls = 0;
        m.fail_at = at;
        status = hmt_decode_file(context, fixture(name), NULL, &p);
        if (status == HMT_OK) {
            status = hmt_preprocess(context, &p, &o, tensor, 5 * CROP);
            hmt_pixels_free(context, &p);
        }
        CHECK(status == HMT_OK || status == HMT_ERROR_MEMORY);
        CHECK(m.live == base);
    }
    CHECK_STATUS(status, HMT_OK);
    m.fail_at = 0;
    hmt_context_free(context);
}

int main(void)
{
    own_fixtures();
    limits();
    text_bomb();
    lying_chunk();
    too_many_scans();
    foreign_kinds();
    formats_and_strides();
    misuse();
    random_crops();
    five_crops();
    damage("progressive.jpg");
    damage("baseline.jpg");
    damage("rgba8.png");
    damage("interlaced.png");
    failing_memory("exif_6.jpg");
    failing_memory("palette.png");
    return test_finish();
}
