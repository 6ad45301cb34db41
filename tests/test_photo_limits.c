/* tier: quick
 * What a photo may cost: bombs are refused before they cost anything, limits say how to raise them,
 * decoding can be cancelled, needs little of a thread's stack, and leaks nothing when memory fails.
 */
#include <pthread.h>

#include "images.h"
#include "photo_writer.h"

static hmt_status decode(const hmt_context *context, const photo *p, const hmt_decode_options *o,
                         hmt_pixels *pixels)
{
    return hmt_decode_memory(context, p->data, p->size, o, pixels);
}

/* Decodes and releases, in a context of its own: the allocator's most bytes, beside the context's.
 */
static size_t cost(const photo *p, const hmt_decode_options *o, hmt_status wanted)
{
    meter m = {0};
    hmt_context *context = metered(&m);
    const size_t base = m.most = m.live;
    hmt_pixels pixels = {0};

    CHECK_STATUS(decode(context, p, o, &pixels), wanted);
    hmt_pixels_free(context, &pixels);
    hmt_context_free(context);
    CHECK(m.live == 0);
    return m.most - base;
}

/* ---- bombs ---- */

/* 500 scans of 57 megapixels in 100 KB: half a minute of work. */
static void many_scans(void)
{
    grey_jpeg g = {0xc2, 8000, 7200, 1, 31, false};
    hmt_decode_options o = HMT_DECODE_OPTIONS_INIT;
    hmt_pixels pixels = {0};
    photo p;

    g.ac_scans = 499;
    p = photo_grey_jpeg(&g);
    CHECK(p.size < 200000);
    CHECK(cost(&p, NULL, HMT_ERROR_LIMIT) == 0);
    CHECK_STATUS(decode(NULL, &p, NULL, &pixels), HMT_ERROR_LIMIT);
    CHECK(strstr(hmt_last_error(), "500 scans of 8000 x 7200 pixels") != NULL &&
          strstr(hmt_last_error(), "max_pixels") != NULL);
    photo_free(&p);

    /* 32 components for each of max_pixels. */
    g = (grey_jpeg){0xc2, 64, 40, 3, 29, false};
    o.max_pixels = 64 * 40;
    p = photo_grey_jpeg(&g);
    CHECK_STATUS(decode(NULL, &p, &o, &pixels), HMT_OK);
    hmt_pixels_free(NULL, &pixels);
    photo_free(&p);
    g.ac_scans = 30;
    p = photo_grey_jpeg(&g);
    CHECK_STATUS(decode(NULL, &p, &o, &pixels), HMT_ERROR_LIMIT);
    photo_free(&p);
}

/* Scans in what follows the image are none of its own, wherever it ends. */
static void scans_that_do_not_count(void)
{
    const grey_jpeg g = {0xc2, 64, 40, 1, 31, false};
    hmt_decode_options o = HMT_DECODE_OPTIONS_INIT;
    hmt_pixels pixels = {0};
    photo p = photo_grey_jpeg(&g), second = photo_grey_jpeg(&g);

    o.max_pixels = 64 * 40;
    photo_put(&p, "\0\2", 2);
    photo_put(&p, second.data, second.size);
    photo_segment(&p, JPEG_AFTER_SOI, 0xe1, second.data, second.size, NULL, 0);
    CHECK_STATUS(decode(NULL, &p, &o, &pixels), HMT_OK);
    hmt_pixels_free(NULL, &pixels);
    photo_free(&p);
    photo_free(&second);
}

/* Coefficients of several scans are counted before they are asked for. */
static void coefficients(void)
{
    const grey_jpeg g = {0xc2, 640, 480, 3, 3, false};
    hmt_decode_options o = HMT_DECODE_OPTIONS_INIT;
    hmt_pixels pixels = {0};
    photo p = photo_grey_jpeg(&g);

    CHECK(setenv("JPEGMEM", "1", 1) == 0); /* libjpeg's own bound, which a host does not know */
    o.max_memory = (3 + 6) * 640 * 480;
    CHECK_STATUS(decode(NULL, &p, &o, &pixels), HMT_OK);
    hmt_pixels_free(NULL, &pixels);
    unsetenv("JPEGMEM");
    --o.max_memory;
    CHECK(cost(&p, &o, HMT_ERROR_LIMIT) == 0);
    CHECK_STATUS(decode(NULL, &p, &o, &pixels), HMT_ERROR_LIMIT);
    CHECK(strstr(hmt_last_error(), "max_memory") != NULL);
    photo_free(&p);
    /* An upright copy counts, too. */
    p = photo_read("exif_6.jpg");
    o.max_memory = 6 * 56 * 40 - 1;
    CHECK_STATUS(decode(NULL, &p, &o, &pixels), HMT_ERROR_LIMIT);
    o.max_memory = 6 * 56 * 40;
    CHECK_STATUS(decode(NULL, &p, &o, &pixels), HMT_OK);
    hmt_pixels_free(NULL, &pixels);
    photo_free(&p);
}

static void png_bombs(void)
{
    hmt_pixels pixels = {0};
    photo p = photo_black_png(1000000, 50, false, 1000), text = {0};

    CHECK(cost(&p, NULL, HMT_ERROR_LIMIT) < 100000);
    CHECK_STATUS(decode(NULL, &p, NULL, &pixels), HMT_ERROR_LIMIT);
    CHECK(strstr(hmt_last_error(), "65536 on a side") != NULL);
    photo_free(&p);

    /* One pixel, then 200 MB of nothing. */
    p = photo_black_png(1, 1, false, 200u << 20);
    CHECK_STATUS(decode(NULL, &p, NULL, &pixels), HMT_ERROR_FORMAT);
    CHECK(strstr(hmt_last_error(), "after the last row") != NULL);
    photo_free(&p);

    /* Texts with an orientation's names, each of which unpacks to 6 MB. */
    photo_put(&text, "Raw profile type exif\0", 23);
    photo_deflate(&text, "", 0, 6 << 20);
    p = photo_black_png(1, 1, false, 2);
    for (int i = 0; i < 20; ++i)
        photo_chunk(&p, PNG_AFTER_IHDR, "zTXt", text.data, text.size);
    CHECK(cost(&p, NULL, HMT_OK) < 4u << 20);
    photo_free(&p);
    photo_free(&text);
}

/* So many texts are unpacked, and no more: the last one's orientation does not count. */
static void many_texts(void)
{
    for (int useless = 7; useless < 9; ++useless) {
        photo p = photo_read("rgb8.png"), text = {0};
        hmt_pixels pixels = {0};

        photo_put(&text, "XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation='6'/>", 47);
        photo_chunk(&p, PNG_AFTER_IHDR, "iTXt", text.data, text.size);
        for (int i = 0; i < useless; ++i)
            photo_chunk(&p, PNG_AFTER_IHDR, "iTXt", text.data, 30);
        CHECK_STATUS(decode(NULL, &p, NULL, &pixels), HMT_OK);
        CHECK(pixels.width == (useless < 8 ? 40 : 56));
        hmt_pixels_free(NULL, &pixels);
        photo_free(&text);
        photo_free(&p);
    }
}

/* Columns and rows as long as may be: memory is that of the pixels, and of a few rows. */
static void long_sides(void)
{
    photo p = photo_black_png(1, 65536, false, 2 * 65536);
    hmt_pixels pixels = {0};

    CHECK(cost(&p, NULL, HMT_OK) < 1000000);
    photo_free(&p);
    p = photo_black_png(65536, 2, true, 4 * 65536);
    CHECK(cost(&p, NULL, HMT_OK) < 2000000);
    photo_free(&p);
    p = photo_black_png(1, 65537, false, 2 * 65537);
    CHECK_STATUS(decode(NULL, &p, NULL, &pixels), HMT_ERROR_LIMIT);
    photo_free(&p);
}

/* ---- limits ---- */

/* A photo of a phone with 108 megapixels, scaled down in the decoder for the test's sake. */
static void large_phone(void)
{
    const grey_jpeg g = {0xc0, 12000, 9000, 1, 0, false};
    hmt_decode_options o = HMT_DECODE_OPTIONS_INIT;
    hmt_pixels pixels = {0};
    photo p = photo_grey_jpeg(&g);

    o.min_side = 256;
    CHECK_STATUS(decode(NULL, &p, &o, &pixels), HMT_ERROR_LIMIT);
    CHECK(strstr(hmt_last_error(), "12000 x 9000") != NULL &&
          strstr(hmt_last_error(), "max_pixels, 100000000: raise it") != NULL);
    o.max_pixels = 108000000;
    CHECK_STATUS(decode(NULL, &p, &o, &pixels), HMT_OK);
    CHECK(pixels.width == 1500 && pixels.height == 1125 && pixels.data[0] == 128);
    hmt_pixels_free(NULL, &pixels);
    photo_free(&p);
}

/* More pixels than a decoder gives by default may be prepared, up to the longest sides. */
static void large_pixels(void)
{
    enum { WIDTH = 40000, HEIGHT = 3000 };
    hmt_preprocess_options o = HMT_PREPROCESS_OPTIONS_INIT;
    uint8_t *black = calloc(HEIGHT, 3 * WIDTH), crop[3] = {1, 1, 1};
    hmt_pixels p = {black, WIDTH, HEIGHT, 0, HMT_PIXEL_RGB, 0};

    o.resize = 64;
    o.crop_size = 1;
    CHECK_STATUS(hmt_preprocess_crops(NULL, &p, &o, crop, sizeof crop), HMT_OK);
    CHECK(crop[0] == 0 && crop[2] == 0);
    p.width = 65537;
    p.height = 1;
    CHECK_STATUS(hmt_preprocess_crops(NULL, &p, &o, crop, sizeof crop), HMT_ERROR_ARGUMENT);
    free(black);
}

static hmt_session *session_with(hmt_context *context, const hmt_decode_options *decoding)
{
    hmt_session_options o = HMT_SESSION_OPTIONS_INIT;
    hmt_model_config config;
    hmt_session *session = NULL;
    hmt_model *model = NULL;

    config.struct_size = sizeof config;
    hmt_model_config_init(&config);
    config.width = 0.0625;
    o.decode = decoding;
    CHECK_STATUS(hmt_model_create(context, &config, 1, &model), HMT_OK);
    CHECK_STATUS(hmt_session_create(model, &o, &session), HMT_OK);
    hmt_model_free(model);
    return session;
}

/* hmt_predict_*() decode with the session's options. */
static void session_options(hmt_context *context)
{
    hmt_decode_options o = HMT_DECODE_OPTIONS_INIT;
    hmt_session_options wrong = HMT_SESSION_OPTIONS_INIT;
    hmt_session *session, *none = NULL;
    hmt_prediction who;
    photo p = photo_read("baseline.jpg");
    char path[1024];

    snprintf(path, sizeof path, "%s/tests/data/images/baseline.jpg", HMT_SOURCE_DIR);
    o.max_pixels = 56 * 40 - 1;
    session = session_with(context, &o);
    o.max_pixels = 1; /* copied */
    CHECK_STATUS(hmt_predict_file(session, path, &who), HMT_ERROR_LIMIT);
    CHECK_STATUS(hmt_predict_memory(session, p.data, p.size, &who), HMT_ERROR_LIMIT);
    hmt_session_free(session);
    o.max_pixels = 56 * 40;
    o.max_bytes = p.size - 1;
    session = session_with(context, &o);
    CHECK_STATUS(hmt_predict_file(session, path, &who), HMT_ERROR_LIMIT);
    CHECK_STATUS(hmt_predict_memory(session, p.data, p.size - 1, &who), HMT_OK);
    p.size /= 2;
    CHECK_STATUS(hmt_predict_memory(session, p.data, p.size, &who), HMT_ERROR_FORMAT);
    hmt_session_free(session);
    o.allow_truncated = 1;
    session = session_with(context, &o);
    CHECK_STATUS(hmt_predict_memory(session, p.data, p.size, &who), HMT_OK);
    o.min_side = -1;
    wrong.decode = &o;
    CHECK_STATUS(hmt_session_create(hmt_session_model(session), &wrong, &none), HMT_ERROR_ARGUMENT);
    hmt_session_free(session);
    photo_free(&p);
}

/* ---- progress ---- */

typedef struct teller {
    uint64_t calls, stop_at, done, total;
} teller;

static int tell(void *user, const char *what, uint64_t done, uint64_t total)
{
    teller *t = user;

    if (strcmp(what, "decode") != 0)
        return 0;
    CHECK(done <= total && (t->calls == 0 ? done == 0 : done > t->done));
    t->done = done;
    t->total = total;
    return ++t->calls == t->stop_at;
}

/* Cancels at each place at which the host is told, until there is none left. */
static void cancel(const char *what, photo *p, uint64_t least_calls)
{
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;
    hmt_context *context = NULL;
    teller t = {0};
    meter m = {0};
    hmt_status status = HMT_ERROR_CANCELLED;

    o.backend = "reference";
    o.allocator = (hmt_allocator){measured_allocate, measured_release, &m};
    o.progress = tell;
    o.progress_user = &t;
    CHECK_STATUS(hmt_context_create(&o, &context), HMT_OK);
    for (uint64_t at = 1; status == HMT_ERROR_CANCELLED; ++at) {
        const size_t base = m.live;
        hmt_pixels pixels = {0};

        t = (teller){.stop_at = at};
        status = decode(context, p, NULL, &pixels);
        CHECK(status == HMT_OK || strstr(hmt_last_error(), "decode cancelled") != NULL);
        hmt_pixels_free(context, &pixels);
        CHECK(m.live == base);
    }
    CHECK_STATUS(status, HMT_OK);
    CHECK(t.calls < t.stop_at); /* else it went on although it was stopped */
    if (t.calls < least_calls)
        printf("%s: told %d times\n", what, (int)t.calls);
    CHECK(t.calls >= least_calls);
    hmt_context_free(context);
    photo_free(p);
}

static void progress(void)
{
    const grey_jpeg scans = {0xc2, 1024, 1024, 1, 4, false},
                    baseline = {0xc0, 2048, 1024, 1, 0, false};
    photo p = photo_grey_jpeg(&scans);

    cancel("several scans", &p, 5);
    p = photo_grey_jpeg(&baseline);
    cancel("one scan", &p, 2);
    p = photo_black_png(1500, 1500, false, 1501 * 1500);
    cancel("PNG", &p, 3);
    p = photo_black_png(1024, 1024, true, 1024 * 1024 + 2 * 1024);
    cancel("interlaced PNG", &p, 6);
    p = photo_read("baseline.jpg");
    cancel("small", &p, 1);
}

/* ---- failing memory, small stacks ---- */

static void failing_memory(photo *p)
{
    meter m = {0};
    hmt_context *context = metered(&m);
    const size_t base = m.live;
    hmt_status status = HMT_ERROR_MEMORY;
    int32_t width = 0;

    for (size_t at = 1; status == HMT_ERROR_MEMORY; ++at) {
        hmt_pixels pixels = {0};

        m.calls = 0;
        m.fail_at = at;
        status = decode(context, p, NULL, &pixels);
        width = pixels.width;
        hmt_pixels_free(context, &pixels);
        CHECK(status == HMT_OK || status == HMT_ERROR_MEMORY);
        CHECK(m.live == base);
    }
    CHECK_STATUS(status, HMT_OK);
    CHECK(width == 40); /* upright: no failure was passed over */
    hmt_context_free(context);
    photo_free(p);
}

static void memory(void)
{
    photo text = {0}, p = photo_read("rgb8.png"), tiff = photo_tiff(true, 0x112, 4, 6);

    photo_put(&text, "XML:com.adobe.xmp\0\1\0\0", 22);
    photo_deflate(&text, "<x tiff:Orientation='6'/>", 25, 0);
    photo_chunk(&p, PNG_AFTER_IHDR, "iTXt", text.data, text.size);
    failing_memory(&p);
    p = photo_read("interlaced.png");
    photo_chunk(&p, p.size - PNG_IEND, "eXIf", tiff.data, tiff.size);
    failing_memory(&p);
    p = photo_read("progressive.jpg");
    photo_segment(&p, JPEG_AFTER_JFIF, 0xe1, "Exif\0\0", 6, tiff.data, tiff.size);
    failing_memory(&p);
    photo_free(&text);
    photo_free(&tiff);
}

enum { STACK = 64 << 10 };

/* Everything that decodes, unpacks, fails and says why. */
static void *decode_all(void *user)
{
    static const char *const names[] = {"baseline.jpg",   "progressive.jpg", "ycck.jpg",
                                        "exif_6.jpg",     "rgba8.png",       "palette.png",
                                        "interlaced.png", "text_bomb.png",   "bomb.png"};
    const photo *scans = user;
    hmt_pixels pixels = {0};
    char path[1024];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i) {
        hmt_pixels small = {0};

        snprintf(path, sizeof path, "%s/tests/data/images/%s", HMT_SOURCE_DIR, names[i]);
        if (hmt_decode_file(NULL, path, NULL, &pixels) == HMT_OK)
            hmt_resize(NULL, &pixels, 24, &small);
        hmt_pixels_free(NULL, &pixels);
        hmt_pixels_free(NULL, &small);
    }
    hmt_decode_memory(NULL, scans->data, scans->size, NULL, &pixels);
    hmt_pixels_free(NULL, &pixels);
    return NULL;
}

static void small_stack(void)
{
    const grey_jpeg g = {0xc2, 64, 64, 3, 20, false};
    photo p = photo_grey_jpeg(&g);
    size_t untouched = 0;
    pthread_attr_t how;
    pthread_t thread;
    void *stack = NULL;

    CHECK(posix_memalign(&stack, 4096, STACK) == 0);
    memset(stack, 0x5a, STACK);
    pthread_attr_init(&how);
    CHECK(pthread_attr_setstack(&how, stack, STACK) == 0);
    CHECK(pthread_create(&thread, &how, decode_all, &p) == 0);
    pthread_join(thread, NULL);
    while (untouched < STACK && ((uint8_t *)stack)[untouched] == 0x5a)
        ++untouched;
    printf("decoding took %zu bytes of stack\n", (size_t)STACK - untouched);
    CHECK(untouched > STACK / 2);
    pthread_attr_destroy(&how);
    free(stack);
    photo_free(&p);
}

int main(void)
{
    hmt_context_options o = HMT_CONTEXT_OPTIONS_INIT;
    hmt_context *context = NULL;

    o.backend = "reference";
    CHECK_STATUS(hmt_context_create(&o, &context), HMT_OK);
    many_scans();
    scans_that_do_not_count();
    coefficients();
    png_bombs();
    many_texts();
    long_sides();
    large_phone();
    large_pixels();
    session_options(context);
    progress();
    memory();
    small_stack();
    hmt_context_free(context);
    return test_finish();
}
