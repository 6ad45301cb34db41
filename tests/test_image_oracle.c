/* tier: quick
 * The images of ../shared against what Pillow and torchvision make of them: decoded, resized,
 * cropped and normalised, to the level; and its bad files, each refused with its own sentence in
 * bounded memory. Skipped where ../shared is absent: test_image.c covers the same ground with small
 * fixtures.
 */
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "core/file.h"
#include "images.h"

static char path[1024];

/* PNG has one right answer; other versions of libjpeg may be a level off. */
static double tolerance(const char *name)
{
    return strstr(name, ".png") != NULL ? 0.01 : 1.01;
}

static void check_crop(const char *folder, const char *name, const float *tensor)
{
    hmt_pixels expected;
    double worst = 0.0;

    snprintf(path, sizeof path, "%s/expected/%s.png", folder, name);
    CHECK_STATUS(hmt_decode_file(NULL, path, NULL, &expected), HMT_OK);
    CHECK(expected.width == SIDE && expected.height == SIDE);
    for (size_t i = 0; i < CROP; ++i) {
        size_t c = i / (SIDE * SIDE), at = i % (SIDE * SIDE);

        worst = fmax(worst, fabs(level(tensor, i) - expected.data[3 * at + c]));
    }
    if (worst > tolerance(name))
        printf("%s: a level is off by %.2f\n", name, worst);
    CHECK(worst <= tolerance(name));
    hmt_pixels_free(NULL, &expected);
}

static double item(const cJSON *list, int index)
{
    return cJSON_GetArrayItem(list, index)->valuedouble;
}

/* The size that is cropped from, and the mean of a (3,SIDE,SIDE) crop's levels per channel. */
static void check_resized(const hmt_pixels *p, const cJSON *e, const float *tensor)
{
    const cJSON *size = cJSON_GetObjectItem(e, "resized"),
                *means = cJSON_GetObjectItem(e, "center_crop_mean");
    double mean[3] = {0.0, 0.0, 0.0}, wanted[3] = {item(means, 0), item(means, 1), item(means, 2)};
    hmt_pixels resized;

    CHECK_STATUS(hmt_resize(NULL, p, 256, &resized), HMT_OK);
    CHECK(resized.width == (int32_t)item(size, 0) && resized.height == (int32_t)item(size, 1));
    hmt_pixels_free(NULL, &resized);
    for (size_t i = 0; i < CROP; ++i)
        mean[i / (SIDE * SIDE)] += level(tensor, i) / (SIDE * SIDE);
    CHECK(near(mean, wanted, 0.02));
}

static void check_against(const char *folder, const cJSON *e, float *tensor)
{
    hmt_preprocess_options o = HMT_PREPROCESS_OPTIONS_INIT;
    const cJSON *size = cJSON_GetObjectItem(e, "decoded"),
                *means = cJSON_GetObjectItem(e, "decoded_mean");
    hmt_pixels p;
    double mean[3], wanted[3] = {item(means, 0), item(means, 1), item(means, 2)};
    const cJSON *at;

    snprintf(path, sizeof path, "%s/%s", folder, e->string);
    CHECK_STATUS(hmt_decode_file(NULL, path, NULL, &p), HMT_OK);
    CHECK(p.width == (int32_t)item(size, 0) && p.height == (int32_t)item(size, 1));
    mean_of(&p, mean);
    CHECK(near(mean, wanted, 0.02));
    CHECK_STATUS(hmt_preprocess(NULL, &p, &o, tensor, CROP), HMT_OK);
    check_crop(folder, e->string, tensor);
    check_resized(&p, e, tensor);
    cJSON_ArrayForEach(at, cJSON_GetObjectItem(e, "normalized_at"))
    {
        size_t index = (size_t)strtoul(at->string, NULL, 10);
        double off = fabs(tensor[index] - at->valuedouble);

        CHECK(off < tolerance(e->string) / 255.0 / 0.224);
    }
    o.crop = HMT_CROP_FIVE;
    CHECK_STATUS(hmt_preprocess(NULL, &p, &o, tensor, 5 * CROP), HMT_OK);
    for (int crop = 0; crop < 5; ++crop) {
        double sum = 0.0;

        for (size_t i = 0; i < CROP; ++i)
            sum += level(tensor + crop * CROP, i);
        CHECK(fabs(sum / CROP - item(cJSON_GetObjectItem(e, "five_crop_mean"), crop)) < 0.05);
    }
    hmt_pixels_free(NULL, &p);
}

static const struct {
    const char *name;
    hmt_status status;
    const char *said;
} bad[] = {{"bad_crc.png", HMT_ERROR_FORMAT, "CRC"},
           {"bomb_60000x60000.png", HMT_ERROR_LIMIT, "60000 x 60000"},
           {"bomb_65500x65500.jpg", HMT_ERROR_LIMIT, "65500 x 65500"},
           {"empty.jpg", HMT_ERROR_FORMAT, "empty"},
           {"text.jpg", HMT_ERROR_UNSUPPORTED, "not a JPEG or PNG"},
           {"truncated_half.jpg", HMT_ERROR_FORMAT, "truncated"},
           {"truncated_half.png", HMT_ERROR_FORMAT, "truncated"},
           {"truncated_header.jpg", HMT_ERROR_FORMAT, "JPEG"},
           {"unsupported.bmp", HMT_ERROR_UNSUPPORTED, "BMP"},
           {"unsupported.gif", HMT_ERROR_UNSUPPORTED, "GIF"},
           {"unsupported.webp", HMT_ERROR_UNSUPPORTED, "WebP"},
           {"zero_width.png", HMT_ERROR_FORMAT, "PNG"}};

static void oracle(void)
{
    const char *shared = test_shared();
    char folder[512];
    unsigned char *text = NULL;
    size_t size;
    cJSON *all;
    const cJSON *e;
    float *tensor = malloc(5 * CROP * sizeof *tensor);
    hmt_pixels p;
    meter m = {0};
    hmt_context *context;

    if (shared == NULL) {
        printf("skipped: the large images of ../shared are not here\n");
        free(tensor);
        return;
    }
    snprintf(folder, sizeof folder, "%s/images", shared);
    snprintf(path, sizeof path, "%s/expected/expected.json", folder);
    CHECK_STATUS(file_read(&memory_default, path, 1 << 20, &text, &size), HMT_OK);
    all = cJSON_ParseWithLength((const char *)text, size);
    CHECK(cJSON_GetArraySize(all) > 20);
    cJSON_ArrayForEach(e, all) check_against(folder, e, tensor);
    cJSON_Delete(all);
    memory_free(&memory_default, text);
    free(tensor);

    snprintf(path, sizeof path, "%s/png_named.jpg", folder); /* content decides */
    CHECK_STATUS(hmt_decode_file(NULL, path, NULL, &p), HMT_OK);
    hmt_pixels_free(NULL, &p);
    context = metered(&m);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i) {
        snprintf(path, sizeof path, "%s/bad/%s", folder, bad[i].name);
        m.most = m.live;
        CHECK_STATUS(hmt_decode_file(context, path, NULL, &p), bad[i].status);
        CHECK(strstr(hmt_last_error(), bad[i].said) != NULL &&
              strstr(hmt_last_error(), bad[i].name) != NULL);
        if (strstr(hmt_last_error(), bad[i].said) == NULL)
            printf("%s: %s\n", bad[i].name, hmt_last_error());
        CHECK(m.most < 4u << 20);
    }
    hmt_context_free(context);
    CHECK(m.live == 0);
}

/* Photos that failed in an earlier version: one face, the mean that Pillow gives of it. */
static void earlier_failures(void)
{
    static const struct {
        const char *name;
        int32_t side;
        double mean[3];
    } photos[] = {{"jpeg/sos_0_0_0.jpg", 224, {118.7722, 88.3623, 79.8289}},
                  {"jpeg/jfif_2_01.jpg", 224, {118.7722, 88.3623, 79.8289}},
                  {"jpeg/exif_long6.jpg", 224, {118.7722, 88.3623, 79.8289}},
                  {"jpeg/no_eoi.jpg", 224, {118.7722, 88.3623, 79.8289}},
                  {"jpeg/samsung_no_eoi_trailer.jpg", 224, {118.7722, 88.3623, 79.8289}},
                  {"png/exif_prefix_6.png", 96, {118.8010, 88.3792, 79.8369}},
                  {"png/no_iend.png", 96, {118.8010, 88.3792, 79.8369}}};
    const char *shared = test_shared();

    for (size_t i = 0; shared != NULL && i < sizeof photos / sizeof photos[0]; ++i) {
        hmt_pixels p = {0};
        double mean[3];

        snprintf(path, sizeof path, "%s/inputs/%s", shared, photos[i].name);
        CHECK_STATUS(hmt_decode_file(NULL, path, NULL, &p), HMT_OK);
        if (p.data == NULL)
            continue;
        mean_of(&p, mean);
        CHECK(p.width == photos[i].side && p.height == photos[i].side);
        CHECK(near(mean, photos[i].mean, 0.02));
        hmt_pixels_free(NULL, &p);
    }
}

int main(void)
{
    oracle();
    earlier_failures();
    return test_finish();
}
