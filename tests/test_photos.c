/* tier: quick
 * Photos as people have them: what is odd about a file but loses no pixel decodes to the same
 * pixels, orientations are found wherever programs put them, files that end too early are refused
 * or grey below, and what cannot be decoded is named. The pixels of the fixtures themselves are
 * compared with Pillow's in test_image.c; Pillow 13 gives the ones expected here, too.
 */
#include "images.h"
#include "photo_writer.h"

static hmt_status decode(const photo *p, const hmt_decode_options *o, hmt_pixels *pixels)
{
    uint8_t *exact = malloc(p->size > 0 ? p->size : 1); /* so that reading on is noticed */
    hmt_status status;

    memcpy(exact, p->data, p->size);
    status = hmt_decode_memory(NULL, exact, p->size, o, pixels);
    free(exact);
    return status;
}

static bool same_pixels(const hmt_pixels *a, const hmt_pixels *b)
{
    return a->width == b->width && a->height == b->height &&
           memcmp(a->data, b->data, 3 * (size_t)a->width * (size_t)a->height) == 0;
}

/* `p` has the pixels of the fixture `wanted`; frees it. */
static void expect(const char *what, photo *p, const char *wanted)
{
    photo fixture = photo_read(wanted);
    hmt_pixels a = {0}, b = {0};
    hmt_status status = decode(p, NULL, &a);

    CHECK_STATUS(decode(&fixture, NULL, &b), HMT_OK);
    if (status != HMT_OK || !same_pixels(&a, &b))
        printf("%s: %s %s\n", what, hmt_status_name(status), hmt_last_error());
    CHECK(status == HMT_OK && same_pixels(&a, &b));
    hmt_pixels_free(NULL, &a);
    hmt_pixels_free(NULL, &b);
    photo_free(&fixture);
    photo_free(p);
}

static void refuse(photo *p, const hmt_decode_options *o, hmt_status status, const char *said)
{
    hmt_pixels pixels = {0};

    CHECK_STATUS(decode(p, o, &pixels), status);
    if (strstr(hmt_last_error(), said) == NULL)
        printf("expected \"%s\" in: %s\n", said, hmt_last_error());
    CHECK(strstr(hmt_last_error(), said) != NULL);
    photo_free(p);
}

/* ---- what loses no pixel ---- */

/* libjpeg warns of each of these. */
static void odd_headers(void)
{
    static const uint8_t spectral[][3] = {{0, 0, 0}, {0, 0, 0x10}, {5, 9, 0}},
                         versions[][2] = {{0, 0}, {0, 9}, {2, 1}, {9, 99}};
    photo p;

    for (size_t i = 0; i < 3; ++i) {
        p = photo_read("baseline.jpg");
        memcpy(p.data + photo_find(&p, "\xff\xda", 2) + 11, spectral[i], 3);
        expect("scan header", &p, "baseline.jpg");
    }
    for (size_t i = 0; i < 4; ++i) {
        p = photo_read("baseline.jpg");
        memcpy(p.data + 11, versions[i], 2);
        expect("JFIF version", &p, "baseline.jpg");
    }
    p = photo_read("baseline.jpg");
    p.data[3] = 0xe5; /* no JFIF, which would say what the colours are */
    photo_segment(&p, JPEG_AFTER_JFIF, 0xee, "Adobe\0\x64\0\0\0\0\7", 12, NULL, 0);
    expect("unknown Adobe transform", &p, "baseline.jpg");
    p = photo_read("baseline.jpg");
    photo_insert(&p, JPEG_AFTER_JFIF, "\0\0garbage", 9);
    expect("bytes between segments", &p, "baseline.jpg");
}

static void odd_segments(void)
{
    static const uint8_t empty[] = {0xfe, 0xe1, 0xe2, 0xe5, 0xed};
    photo p;

    for (size_t i = 0; i < sizeof empty; ++i) {
        p = photo_read("baseline.jpg");
        photo_segment(&p, JPEG_AFTER_SOI, empty[i], "", 0, NULL, 0);
        expect("empty segment", &p, "baseline.jpg");
    }
    p = photo_read("baseline.jpg");
    photo_segment(&p, JPEG_AFTER_JFIF, 0xfe, "\xff\xd8\xff\xda\xff\xd9\xff\xc2", 8, NULL, 0);
    expect("comment with markers", &p, "baseline.jpg");
    p = photo_read("baseline.jpg");
    photo_segment(&p, JPEG_AFTER_JFIF, 0xe2, "ICC_PROFILE\0\1\2broken", 20, NULL, 0);
    expect("broken colour profile", &p, "baseline.jpg");
    p = photo_read("baseline.jpg");
    photo_insert(&p, JPEG_AFTER_JFIF, "\xff\xff\xff", 3);
    expect("fill bytes", &p, "baseline.jpg");
    p = photo_read("baseline.jpg");
    photo_insert(&p, p.size - 2, "\xff\xd3", 2);
    expect("restart marker at the end", &p, "baseline.jpg");
}

/* What follows the last pixel: nothing, not even an end marker, or anything. */
static void odd_ends(void)
{
    static const char *const names[] = {"baseline.jpg", "progressive.jpg", "gray.jpg", "cmyk.jpg"};
    static const char *const trailers[] = {"", "SEFH trailer SEFT", "\xff\xd8\xff\xda\xff\xc2..",
                                           "\xff\xc4\xff\xff\xff\xe1"};
    photo p;

    for (size_t i = 0; i < 4; ++i)
        for (size_t t = 0; t < 4; ++t) {
            p = photo_read(names[i]);
            photo_put(&p, trailers[t], strlen(trailers[t]));
            expect("trailer", &p, names[i]);
            p = photo_read(names[i]);
            p.size -= 2;
            if (i != 1 || t < 2) /* scans could follow that were cut off */
                photo_put(&p, trailers[t], strlen(trailers[t]));
            expect("no end marker", &p, names[i]);
        }
    for (size_t cut = 1; cut <= PNG_IEND; ++cut) {
        p = photo_read("rgb8.png");
        p.size -= cut;
        expect("no IEND", &p, "rgb8.png");
    }
    p = photo_read("interlaced.png");
    photo_put(&p, "more", 4);
    expect("trailer of a PNG", &p, "interlaced.png");
    p = photo_read("rgb8.png");
    photo_insert(&p, p.size - PNG_IEND, "no chunk at all!", 16);
    expect("garbage after a PNG's pixels", &p, "rgb8.png");
}

/* ---- orientation ---- */

static void exif_in_jpeg(void)
{
    static const char *const fixtures[] = {NULL,         "baseline.jpg", "exif_2.jpg",
                                           "exif_3.jpg", "exif_4.jpg",   "exif_5.jpg",
                                           "exif_6.jpg", "exif_7.jpg",   "exif_8.jpg"};
    static const unsigned types[] = {3, 4, 8, 9};

    for (unsigned value = 0; value < 10; ++value)
        for (int big = 0; big < 2; ++big)
            for (size_t t = 0; t < 4; ++t) {
                const unsigned type = types[t] == 8 ? 3 : types[t];
                photo p = photo_read("baseline.jpg"), tiff = photo_tiff(big, 0x112, type, value);

                if (types[t] == 8) /* as SHORT, with a sign */
                    tiff.data[big ? 13 : 12] = 8;
                photo_segment(&p, JPEG_AFTER_SOI, 0xe1, "Exif\0\0", 6, tiff.data, tiff.size);
                expect("EXIF", &p, value >= 1 && value <= 8 ? fixtures[value] : "baseline.jpg");
                photo_free(&tiff);
            }
}

static const char xmp_head[] = "http://ns.adobe.com/xap/1.0/";

static void put_xmp(photo *p, const char *text)
{
    photo_segment(p, JPEG_AFTER_JFIF, 0xe1, xmp_head, sizeof xmp_head, text, strlen(text));
}

static void xmp_in_jpeg(void)
{
    static const struct {
        const char *text, *wanted;
    } packets[] = {
        {"<x tiff:Make='t' tiff:Orientation=\"6\"/>", "exif_6.jpg"},
        {"<x tiff:Orientation = '3' />", "exif_3.jpg"},
        {"<tiff:Orientation>8</tiff:Orientation>", "exif_8.jpg"},
        {"<tiff:Orientation>\n 5 </tiff:Orientation>", "exif_5.jpg"},
        {"tiff:Orientation tiff:Orientation=\"7\"", "exif_7.jpg"},
        {"<x tiff:Orientation=\"0\"/>", "baseline.jpg"},
        {"<x tiff:Orientation=6/>", "baseline.jpg"},
        {"<x tiff:Orientation=\"", "baseline.jpg"},
        {"<x tiff:Orientation", "baseline.jpg"},
        {"<x exif:Orientation=\"6\"/>", "baseline.jpg"},
    };
    photo p, tiff;

    for (size_t i = 0; i < sizeof packets / sizeof packets[0]; ++i) {
        p = photo_read("baseline.jpg");
        put_xmp(&p, packets[i].text);
        expect(packets[i].text, &p, packets[i].wanted);
    }
    for (int orientation = 0; orientation < 2; ++orientation) { /* EXIF wins, if it says anything */
        p = photo_read("baseline.jpg");
        tiff = photo_tiff(true, orientation ? 0x112 : 0x128, 3, 3);
        photo_segment(&p, JPEG_AFTER_JFIF, 0xe1, "Exif\0\0", 6, tiff.data, tiff.size);
        put_xmp(&p, "<x tiff:Orientation=\"6\"/>");
        expect("EXIF and XMP", &p, orientation ? "exif_3.jpg" : "exif_6.jpg");
        photo_free(&tiff);
    }
}

/* The upright pixels of rgb8.png with orientation 6: a quarter turn clockwise. */
static void expect_turned(const char *what, photo *p)
{
    photo plain = photo_read("rgb8.png");
    hmt_pixels a = {0}, b = {0};
    size_t wrong = 0;

    CHECK_STATUS(decode(&plain, NULL, &a), HMT_OK);
    CHECK_STATUS(decode(p, NULL, &b), HMT_OK);
    CHECK(b.width == a.height && b.height == a.width);
    for (int32_t y = 0; b.width == a.height && y < b.height; ++y)
        for (int32_t x = 0; x < b.width; ++x)
            wrong += memcmp(b.data + 3 * (y * b.width + x),
                            a.data + 3 * ((a.height - 1 - x) * a.width + y), 3) != 0;
    if (wrong > 0 || b.width != a.height)
        printf("%s\n", what);
    CHECK(wrong == 0);
    hmt_pixels_free(NULL, &a);
    hmt_pixels_free(NULL, &b);
    photo_free(&plain);
    photo_free(p);
}

static void exif_in_png(void)
{
    for (int prefix = 0; prefix < 2; ++prefix)
        for (unsigned type = 3; type < 5; ++type)
            for (int after = 0; after < 2; ++after) {
                photo p = photo_read("rgb8.png"), tiff = photo_tiff(true, 0x112, type, 6);

                if (prefix)
                    photo_insert(&tiff, 0, "Exif\0\0", 6);
                photo_chunk(&p, after ? p.size - PNG_IEND : PNG_AFTER_IHDR, "eXIf", tiff.data,
                            tiff.size);
                expect_turned("eXIf", &p);
                photo_free(&tiff);
            }
}

/* ImageMagick's profile of an EXIF block with this orientation: a name, a length, digits in lines.
 */
static photo raw_profile(unsigned orientation)
{
    photo tiff = photo_tiff(false, 0x112, 3, orientation), text = {0};
    char line[16];

    photo_insert(&tiff, 0, "Exif\0\0", 6);
    snprintf(line, sizeof line, "\nexif\n%8zu", tiff.size);
    photo_put(&text, line, strlen(line));
    for (size_t i = 0; i < tiff.size; ++i) {
        snprintf(line, sizeof line, "%s%02x", i % 10 == 0 ? "\n" : "", tiff.data[i]);
        photo_put(&text, line, strlen(line));
    }
    photo_free(&tiff);
    return text;
}

/* A text chunk: zTXt is packed, iTXt packed or not. */
static void put_text(photo *p, const char *type, bool packed, const char *key, const photo *text)
{
    photo chunk = {0};

    photo_put(&chunk, key, strlen(key) + 1);
    if (strcmp(type, "iTXt") == 0)
        photo_put(&chunk, packed ? "\1\0\0" : "\0\0\0", 4); /* packed, how; no language */
    else if (packed)
        photo_byte(&chunk, 0);
    if (packed)
        photo_deflate(&chunk, text->data, text->size, 0);
    else
        photo_put(&chunk, text->data, text->size);
    photo_chunk(p, PNG_AFTER_IHDR, type, chunk.data, chunk.size);
    photo_free(&chunk);
}

static void texts_in_png(void)
{
    static const char *const keys[] = {"Raw profile type exif", "Raw profile type APP1"};
    photo turned = raw_profile(6), upside_down = raw_profile(3), xmp = {0}, p, tiff;

    photo_put(&xmp, "<x tiff:Orientation=\"6\"/>", 25);
    for (size_t k = 0; k < 2; ++k)
        for (int packed = 0; packed < 2; ++packed) {
            p = photo_read("rgb8.png");
            put_text(&p, packed ? "zTXt" : "tEXt", packed, keys[k], &turned);
            expect_turned(keys[k], &p);
        }
    for (int packed = 0; packed < 2; ++packed) {
        p = photo_read("rgb8.png");
        put_text(&p, "iTXt", packed, "XML:com.adobe.xmp", &xmp);
        expect_turned("XMP in a PNG", &p);
    }
    tiff = photo_tiff(true, 0x112, 3, 6); /* the chunk, the profile, then XMP */
    p = photo_read("rgb8.png");
    put_text(&p, "tEXt", false, keys[0], &upside_down);
    photo_chunk(&p, p.size - PNG_IEND, "eXIf", tiff.data, tiff.size);
    expect_turned("eXIf before the profile", &p);
    photo_free(&xmp);
    photo_put(&xmp, "<x tiff:Orientation=\"3\"/>", 25);
    p = photo_read("rgb8.png");
    put_text(&p, "tEXt", false, keys[0], &turned);
    put_text(&p, "iTXt", false, "XML:com.adobe.xmp", &xmp);
    expect_turned("the profile before XMP", &p);
    p = photo_read("rgb8.png");
    put_text(&p, "tEXt", false, "Comment", &turned);
    expect("an orientation elsewhere", &p, "rgb8.png");
    photo_free(&tiff), photo_free(&xmp), photo_free(&turned), photo_free(&upside_down);
}

/* What may have had an orientation and is damaged is not passed over. */
static void damaged_orientation(void)
{
    photo tiff = photo_tiff(true, 0x112, 3, 6), p = photo_read("rgb8.png");

    photo_chunk(&p, PNG_AFTER_IHDR, "eXIf", tiff.data, tiff.size);
    p.data[PNG_AFTER_IHDR + 8 + tiff.size] ^= 1; /* the checksum */
    refuse(&p, NULL, HMT_ERROR_FORMAT, "eXIf: CRC");
    p = photo_read("rgb8.png");
    photo_chunk(&p, p.size - PNG_IEND, "eXIf", tiff.data, tiff.size);
    p.size -= PNG_IEND + 6;
    refuse(&p, NULL, HMT_ERROR_FORMAT, "truncated");
    photo_free(&tiff);
}

/* ---- files that end too early ---- */

/* The right of a row, up to 8 pixels: coefficients of zero and a PNG's rows come out at 128, of
 * which CMYK's black makes 64. */
static bool is_grey(const hmt_pixels *p, int32_t row)
{
    const uint8_t *at = p->data + row * p->stride + 3 * (p->width - 8);

    for (int32_t i = 0; i < 3 * 8; ++i)
        if (abs(at[i] - (at[0] < 96 ? 64 : 128)) > 1)
            return false;
    return true;
}

static void count_lines(void *user, hmt_log_level level, const char *message)
{
    *(int *)user += level == HMT_LOG_WARNING && strstr(message, "truncated") != NULL;
}

/* The first `same` rows are the fixture's, the last `grey` grey; the log says so. */
static void expect_part(const char *name, const photo *p, int32_t same, int32_t grey)
{
    hmt_context_options about = HMT_CONTEXT_OPTIONS_INIT;
    hmt_decode_options o = HMT_DECODE_OPTIONS_INIT;
    hmt_context *context = NULL;
    hmt_pixels part = {0}, all = {0};
    photo whole = photo_read(name);
    int lines = 0;

    about.backend = "reference";
    about.log = count_lines;
    about.log_user = &lines;
    CHECK_STATUS(hmt_context_create(&about, &context), HMT_OK);
    CHECK_STATUS(hmt_decode_memory(context, p->data, p->size, NULL, &part), HMT_ERROR_FORMAT);
    o.allow_truncated = 1;
    CHECK_STATUS(decode(&whole, &o, &all), HMT_OK);
    CHECK_STATUS(hmt_decode_memory(context, p->data, p->size, &o, &part), HMT_OK);
    CHECK(part.width == all.width && part.height == all.height && lines == 1);
    for (int32_t y = 0; part.data != NULL && y < part.height; ++y) {
        if (y < same)
            CHECK(memcmp(part.data + y * part.stride, all.data + y * all.stride,
                         3 * (size_t)all.width) == 0);
        if (y >= part.height - grey)
            CHECK(is_grey(&part, y));
    }
    hmt_pixels_free(context, &part);
    hmt_pixels_free(NULL, &all);
    hmt_context_free(context);
    photo_free(&whole);
}

/* A PNG in one piece of stored rows, so that where it is cut says which rows are there. */
static photo stored_png(void)
{
    uint8_t rows[16 * 25];
    photo p = {0}, data = {0};

    for (size_t i = 0; i < sizeof rows; ++i)
        rows[i] = (uint8_t)(i % 25 == 0 ? 0 : i);
    photo_put(&p, "\x89PNG\r\n\x1a\n", 8);
    photo_chunk(&p, 8, "IHDR", "\0\0\0\x08\0\0\0\x10\x08\2\0\0\0", 13);
    photo_deflate(&data, rows, sizeof rows, 0);
    photo_chunk(&p, p.size, "IDAT", data.data, data.size);
    photo_chunk(&p, p.size, "IEND", "", 0);
    photo_free(&data);
    return p;
}

static void truncated(void)
{
    static const char *const names[] = {"baseline.jpg", "gray.jpg", "cmyk.jpg", "interlaced.png"};
    hmt_decode_options o = HMT_DECODE_OPTIONS_INIT;
    hmt_pixels part = {0}, all = {0};
    photo p;

    o.allow_truncated = 1;
    for (size_t i = 0; i < 4; ++i) {
        p = photo_read(names[i]);
        p.size = i == 3 ? photo_find(&p, "IDAT", 4) + 6 : p.size * 7 / 8;
        expect_part(names[i], &p, i == 3 ? 0 : 8, i == 3 ? 40 : 1);
        if (i < 3) { /* the same with an end marker, as programs put it there */
            photo_put(&p, "\xff\xd9", 2);
            expect_part(names[i], &p, 8, 1);
        }
        photo_free(&p);
    }
    p = photo_read("progressive.jpg"); /* coarser, all over */
    p.size = p.size * 3 / 4;
    CHECK_STATUS(decode(&p, NULL, &part), HMT_ERROR_FORMAT);
    CHECK_STATUS(decode(&p, &o, &part), HMT_OK);
    hmt_pixels_free(NULL, &part);
    photo_free(&p);

    p = stored_png();
    CHECK_STATUS(decode(&p, &o, &all), HMT_OK);
    p.size = photo_find(&p, "IDAT", 4) + 4 + 7 + 5 * 25 + 3; /* five rows and a bit */
    CHECK_STATUS(decode(&p, NULL, &part), HMT_ERROR_FORMAT);
    CHECK_STATUS(decode(&p, &o, &part), HMT_OK);
    CHECK(memcmp(part.data, all.data, 5 * 24) == 0);
    for (int32_t y = 5; y < 16; ++y)
        CHECK(is_grey(&part, y));
    hmt_pixels_free(NULL, &part);
    hmt_pixels_free(NULL, &all);
    photo_free(&p);
}

/* What is not the end of a file is no truncation; without a single pixel there is no image. */
static void damage_stays_damage(void)
{
    hmt_decode_options o = HMT_DECODE_OPTIONS_INIT;
    photo p;

    o.allow_truncated = 1;
    p = photo_read("baseline.jpg");
    memcpy(p.data + p.size / 2 + 300, "\xff\xd5", 2); /* a restart where none can be */
    refuse(&p, &o, HMT_ERROR_FORMAT, "premature end");
    p = photo_read("baseline.jpg");
    p.size = 300;
    refuse(&p, &o, HMT_ERROR_FORMAT, "remature end");
    p = photo_read("rgb8.png");
    p.size = 40;
    refuse(&p, &o, HMT_ERROR_FORMAT, "truncated");
    p = photo_read("rgb8.png");
    p.data[photo_find(&p, "IDAT", 4) + 60] ^= 0x55;
    refuse(&p, &o, HMT_ERROR_FORMAT, "damaged PNG");
}

/* A component that is in no scan would come out grey. libjpeg does not mind. */
static void missing_component(void)
{
    const grey_jpeg g = {0xc0, 24, 16, 3, 0, true};
    hmt_decode_options o = HMT_DECODE_OPTIONS_INIT;
    hmt_pixels pixels = {0};
    photo p = photo_grey_jpeg(&g);

    o.allow_truncated = 1;
    CHECK_STATUS(decode(&p, &o, &pixels), HMT_OK);
    hmt_pixels_free(NULL, &pixels);
    refuse(&p, NULL, HMT_ERROR_FORMAT, "a component is missing");
}

/* ---- what is named ---- */

/* JPEGs that are valid and of no kind that is decoded here. */
static void other_jpegs(void)
{
    static const struct {
        size_t offset; /* from the frame's marker */
        uint8_t byte;
        const char *said;
    } changes[] = {{1, 0xc3, "lossless"},       {1, 0xc5, "hierarchical"},
                   {1, 0xc9, "arithmetic"},     {1, 0xca, "arithmetic"},
                   {4, 12, "12 bits a sample"}, {4, 16, "other than 8 bits"},
                   {1, 0xf7, "JPEG-LS"}};
    photo p;

    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; ++i) {
        p = photo_read("baseline.jpg");
        p.data[photo_find(&p, "\xff\xc0", 2) + changes[i].offset] = changes[i].byte;
        refuse(&p, NULL, HMT_ERROR_UNSUPPORTED, changes[i].said);
    }
    p = photo_read("baseline.jpg");
    memset(p.data + photo_find(&p, "\xff\xc0", 2) + 5, 0, 2);
    refuse(&p, NULL, HMT_ERROR_UNSUPPORTED, "DNL");
    for (unsigned components = 2; components < 6; components += 3) {
        const grey_jpeg g = {0xc0, 8, 8, components, 0, components == 5};

        p = photo_grey_jpeg(&g);
        refuse(&p, NULL, HMT_ERROR_UNSUPPORTED, "1, 3 or 4 components");
    }
}

/* Files of other kinds, by their first bytes. */
static void other_files(void)
{
    static const struct {
        char bytes[25]; /* the first 24, zeros after what is written here */
        const char *said;
    } files[] = {{"\0\0\0\x18"
                  "ftypheic\0\0\0\0mif1heic",
                  "a HEIC"},
                 {"\0\0\0\x18"
                  "ftypmif1\0\0\0\0mif1heic",
                  "a HEIC"},
                 {"\0\0\0\x18"
                  "ftypmif1\0\0\0\0mif1avif",
                  "an AVIF"},
                 {"\0\0\0\x18"
                  "ftypmif1\0\0\0\0mif1miaf",
                  "a HEIF"},
                 {"\0\0\0\x18"
                  "ftypavis\0\0\0\0avifmsf1",
                  "an AVIF"},
                 {"\0\0\0\x18"
                  "ftypcrx \0\0\0\0crx isom",
                  "Canon CR3"},
                 {"\0\0\0\x18"
                  "ftypmp42\0\0\0\0isommp42",
                  "a video"},
                 {"\xff\x0a\xfa\x7f\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "a JPEG XL"},
                 {"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14"
                  "ftypjxl",
                  "a JPEG XL"},
                 {"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14"
                  "ftypjp2",
                  "a JPEG 2000"},
                 {"\xff\x4f\xff\x51\0\x2f\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "a JPEG 2000"},
                 {"RIFF\x24\0\0\0WEBPVP8 \x18\0\0\0\x30\1\0", "a WebP"},
                 {"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0", "a GIF"},
                 {"BM~\0\0\0\0\0\0\0z\0\0\0l\0\0\0\1\0\0\0", "a BMP"},
                 {"II*\0\x10\0\0\0CR\2\0\0\0\0\0\0\0\0\0\0\0", "Canon CR2"},
                 {"II*\0\x08\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "a TIFF, or a camera's raw"},
                 {"IIU\0\x18\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "Panasonic"},
                 {"FUJIFILMCCD-RAW 0201FF\0", "Fujifilm"},
                 {"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", "a PDF"},
                 {"<!DOCTYPE html><html></", "a web page"}};

    for (size_t i = 0; i < sizeof files / sizeof files[0]; ++i) {
        photo p = {0};

        photo_put(&p, files[i].bytes, 24);
        refuse(&p, NULL, HMT_ERROR_UNSUPPORTED, files[i].said);
        photo_put(&p, files[i].bytes, 24);
        refuse(&p, NULL, HMT_ERROR_UNSUPPORTED, files[i].bytes[0] == '<' ? "" : "convert it to");
    }
}

int main(void)
{
    odd_headers();
    odd_segments();
    odd_ends();
    exif_in_jpeg();
    xmp_in_jpeg();
    exif_in_png();
    texts_in_png();
    damaged_orientation();
    truncated();
    damage_stays_damage();
    missing_component();
    other_jpegs();
    other_files();
    return test_finish();
}
