/*
 * What the JSON reader and writer, the config's JSON and the half precision conversions promise:
 * strict grammar, exact round trips, the same text in every locale.
 */
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "core/random.h"
#include "core/status.h"
#include "format/config_json.h"
#include "format/half.h"
#include "format/json.h"

static hmt_status skip_all(const char *text, size_t size)
{
    json_reader json;

    status_clear();
    json_begin(&json, text, size, "text");
    json_skip(&json);
    return json_end(&json);
}

static void grammar_is_strict(void)
{
    static const char *const good[] = {
        "0",
        "-0",
        "-1.5e+10",
        "1E5",
        "true",
        "false",
        " null ",
        "\"\"",
        "[]",
        "{}",
        "[[],{}]",
        "[1,2 , 3]",
        "{\"a\":{\"b\":[1,{\"c\":null}]},\"d\":0}",
        "\"\\u0041\\ud83d\\ude00\\n\\/\"",
        "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
        "{\"a\":1,\"a\":2}",
    };
    static const char *const bad[] = {
        "",
        " ",
        "01",
        "-",
        "+1",
        "1.",
        ".5",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "Infinity",
        "tru",
        "nul",
        "truex",
        "1 2",
        "[",
        "]",
        "[1",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1}",
        "{",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "{\"a\" 1}",
        "{,}",
        "{1:2}",
        "\"",
        "\"a",
        "\"\\\"",
        "\"\\x41\"",
        "\"\\u12\"",
        "\"\\u123g\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\\ud800\\\"",
        "\"\n\"",
        "\"\xff\"",
        "\"\xc0\x80\"",
        "\"\xc3\"",
        "\"\xed\xa0\x80\"",
        "\"\xe0\x80\x80\"",
        "\"\xf0\x80\x80\x80\"",
        "\"\xf4\x90\x80\x80\"",
        "\"\xf5\x80\x80\x80\"",
        "\"\x80\"",
        "[1]]",
        "{}{}",
        "/**/1",
        "\xef\xbb\xbf{}",
    };

    for (size_t i = 0; i < sizeof good / sizeof good[0]; ++i)
        CHECK_STATUS(skip_all(good[i], strlen(good[i])), HMT_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i) {
        hmt_status status = skip_all(bad[i], strlen(bad[i]));
        if (status != HMT_ERROR_FORMAT)
            printf("accepted: %s\n", bad[i]);
        CHECK(status == HMT_ERROR_FORMAT);
        CHECK(strstr(hmt_last_error(), "text: ") != NULL && strstr(hmt_last_error(), "(byte "));
    }
    CHECK_STATUS(skip_all("\"a\0b\"", 5), HMT_ERROR_FORMAT);
}

static void depth_is_limited(void)
{
    enum { DEEP = 200000 };
    char *text = malloc(DEEP);

    memset(text, '[', DEEP);
    CHECK_STATUS(skip_all(text, DEEP), HMT_ERROR_FORMAT);
    CHECK(strstr(hmt_last_error(), "deeper than 64") != NULL);
    memset(text + JSON_MAX_DEPTH, ']', JSON_MAX_DEPTH);
    CHECK_STATUS(skip_all(text, 2 * JSON_MAX_DEPTH), HMT_OK);
    free(text);
}

static json_string one_string(const char *text)
{
    json_reader json;

    json_begin(&json, text, strlen(text), "text");
    return json_text(&json);
}

static void strings_are_unescaped(void)
{
    char out[32];
    json_string s = one_string("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20ac\\ud83d\\ude00z\"");
    static const char plain[] = "\"\\/\b\f\n\r\t\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";

    CHECK(json_decode(s, memset(out, 0, sizeof out)) == strlen(plain));
    CHECK(strcmp(out, plain) == 0);
    CHECK(json_equals(s, plain));
    CHECK(!json_equals(s, "\"\\/\b\f\n\r\t\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"));
    CHECK(!json_equals(s, ""));
    CHECK(json_equals(one_string("\"\""), ""));
    CHECK(json_equals(one_string("\"dty\\u0070e\""), "dtype"));
}

static hmt_status read_int(const char *text, int64_t *value)
{
    json_reader json;

    status_clear();
    json_begin(&json, text, strlen(text), "text");
    *value = json_int64(&json);
    return json_end(&json);
}

static double read_double(const char *text, size_t size)
{
    json_reader json;
    double value;

    status_clear();
    json_begin(&json, text, size, "text");
    value = json_double(&json);
    return json_end(&json) == HMT_OK ? value : NAN;
}

static void numbers_are_exact(void)
{
    static const char *const bad[] = {"9223372036854775808",
                                      "-9223372036854775809",
                                      "1.0",
                                      "1e3",
                                      "99999999999999999999",
                                      "\"1\"",
                                      "-",
                                      "00"};
    int64_t value;

    CHECK_STATUS(read_int("9223372036854775807", &value), HMT_OK);
    CHECK(value == INT64_MAX);
    CHECK_STATUS(read_int("-9223372036854775808", &value), HMT_OK);
    CHECK(value == INT64_MIN);
    CHECK_STATUS(read_int("-0", &value), HMT_OK);
    CHECK(value == 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i)
        CHECK_STATUS(read_int(bad[i], &value), HMT_ERROR_FORMAT);

    CHECK(read_double("0.0625", 6) == 0.0625);
    CHECK(read_double("-12.5E-1", 8) == -1.25);
    CHECK(read_double("1.7976931348623157e308", 22) == DBL_MAX);
    CHECK(read_double("5e-324", 6) == 5e-324);
    CHECK(read_double("1e-999999999999", 15) == 0.0);
    CHECK(read_double("0e999999999999", 14) == 0.0);
    CHECK(isnan(read_double("1e309", 5)));
    CHECK(isnan(read_double("-1e999999999999", 15)));
    CHECK(read_double("123456789012345678901234567890", 30) == 123456789012345678901234567890.0);
    CHECK(read_double("0.00000000000000000000000000000000000001", 40) == 1e-38);
}

/* What is written reads back as the same bits, and strtod agrees. */
static void doubles_come_back(void)
{
    for (uint64_t i = 0; i < 50000; ++i) {
        uint64_t bits = random_bits(1, i);
        uint32_t small = (uint32_t)random_bits(2, i);
        double value, back;
        float single;
        char text[64];
        json_writer json = {text, sizeof text - 1, 0};

        memcpy(&value, &bits, sizeof value);
        memcpy(&single, &small, sizeof single);
        if (isfinite(value)) {
            json_put_double(&json, value);
            back = read_double(text, json.size);
            text[json.size] = '\0';
            CHECK(back == value && strtod(text, NULL) == value);
        }
        json.size = 0;
        if (isfinite(single)) {
            json_put_float(&json, single);
            CHECK((float)read_double(text, json.size) == single);
        }
    }
}

static hmt_model_config sample(void)
{
    hmt_model_config c = {.struct_size = sizeof c, .wiring = HMT_WIRING_PAPER};

    c.aggregator = HMT_AGGREGATOR_CONCATENATE;
    c.width = 1.0 / 3.0;
    c.gender_classes = 2;
    c.race_classes = HMT_MAX_CLASSES;
    strcpy(c.gender_labels[0], "\"f\xc3\xa9minin\"\\");
    for (int i = 0; i < HMT_MAX_CLASSES; ++i) {
        memset(c.race_labels[i], '"', HMT_MAX_LABEL - 1); /* two bytes each in JSON */
        c.race_labels[i][0] = (char)('A' + i);
    }
    c.score_min = 1.1f;
    c.score_max = 9.7f;
    c.score_mean = -0.3f;
    for (int i = 0; i < 3; ++i) {
        c.mean[i] = 0.485f / (float)(i + 1);
        c.deviation[i] = 0.229f / (float)(i + 1);
    }
    c.resize = 300;
    return c;
}

static void config_comes_back(void)
{
    hmt_model_config c = sample(), back;
    char text[CONFIG_JSON_SIZE];

    status_clear();
    CHECK_STATUS(config_to_json(&c, text, sizeof text), HMT_OK);
    memset(&back, 0xff, sizeof back);
    CHECK_STATUS(config_from_json(text, strlen(text), &back), HMT_OK);
    CHECK(memcmp(&back.gender_labels, &c.gender_labels, sizeof c.gender_labels) == 0);
    CHECK(memcmp(&back.race_labels, &c.race_labels, sizeof c.race_labels) == 0);
    CHECK(back.struct_size == sizeof c && back.network == c.network && back.wiring == c.wiring);
    CHECK(back.aggregator == c.aggregator && back.width == c.width && back.resize == c.resize);
    CHECK(back.gender_classes == 2 && back.race_classes == HMT_MAX_CLASSES);
    CHECK(back.score_min == c.score_min && back.score_max == c.score_max);
    CHECK(back.score_mean == c.score_mean);
    CHECK(memcmp(back.mean, c.mean, sizeof c.mean) == 0);
    CHECK(memcmp(back.deviation, c.deviation, sizeof c.deviation) == 0);
    for (size_t size = 0; size < strlen(text); ++size) {
        status_clear();
        CHECK(config_from_json(text, size, &back) == HMT_ERROR_FORMAT);
    }
}

static void config_that_has_no_json_is_refused(void)
{
    char text[CONFIG_JSON_SIZE];
    hmt_model_config c = sample();

    status_clear();
    memcpy(c.race_labels[3], "\xff", 2);
    CHECK_STATUS(config_to_json(&c, text, sizeof text), HMT_ERROR_ARGUMENT);
    CHECK(strstr(hmt_last_error(), "race_labels: name 3 is not valid UTF-8") != NULL);
    status_clear();
    c = sample();
    memset(c.gender_labels[1], 'x', HMT_MAX_LABEL);
    CHECK_STATUS(config_to_json(&c, text, sizeof text), HMT_ERROR_ARGUMENT);
    status_clear();
    c = sample();
    c.score_mean = NAN;
    CHECK_STATUS(config_to_json(&c, text, sizeof text), HMT_ERROR_ARGUMENT);
    CHECK(strstr(hmt_last_error(), "score_mean") != NULL);
    status_clear();
    c = sample();
    c.wiring = (hmt_wiring)7;
    CHECK_STATUS(config_to_json(&c, text, sizeof text), HMT_ERROR_ARGUMENT);
    status_clear();
    c = sample();
    CHECK_STATUS(config_to_json(&c, text, 100), HMT_ERROR_LIMIT);
}

#define VALID                                                                                      \
    "\"network\":\"hmtnet\",\"wiring\":\"paper\",\"aggregator\":\"average\",\"width\":1,"          \
    "\"gender_labels\":[\"f\",\"m\"],\"race_labels\":[\"a\",\"c\"],\"score_range\":[1,5],"         \
    "\"score_mean\":3,\"mean\":[0,0,0],\"deviation\":[1,1,1],\"resize\":256"

static void config_lies_are_named(void)
{
    static const struct {
        const char *json;
        hmt_status status;
        const char *fragment;
    } cases[] = {
        {"{\"version\":1," VALID "}", HMT_OK, ""},
        {"{\"later\":[{\"x\":1}],\"version\":1," VALID "}", HMT_OK, ""},
        {"{" VALID "}", HMT_ERROR_FORMAT, "version is missing"},
        {"{\"version\":1}", HMT_ERROR_FORMAT, "network is missing"},
        {"{\"width\":[],\"version\":2}", HMT_ERROR_UNSUPPORTED, "version 2 is newer than 1"},
        {"{\"version\":0," VALID "}", HMT_ERROR_FORMAT, "version is below 1"},
        {"{\"version\":1.5," VALID "}", HMT_ERROR_FORMAT, "whole number"},
        {"{\"version\":1,\"resize\":256," VALID "}", HMT_ERROR_FORMAT, "resize stands twice"},
        {"{\"version\":1,\"network\":\"x\"}", HMT_ERROR_UNSUPPORTED, "no network 'x'"},
        {"{\"version\":1,\"wiring\":\"x\"}", HMT_ERROR_UNSUPPORTED, "no wiring 'x'"},
        {"{\"version\":1,\"aggregator\":\"x\"}", HMT_ERROR_UNSUPPORTED, "no aggregator 'x'"},
        {"{\"version\":1,\"width\":0}", HMT_ERROR_FORMAT, "width is 0"},
        {"{\"version\":1,\"width\":4.01}", HMT_ERROR_FORMAT, "width is 4"},
        {"{\"version\":1,\"width\":\"1\"}", HMT_ERROR_FORMAT, "a number is expected"},
        {"{\"version\":1,\"gender_labels\":[\"f\"]}", HMT_ERROR_FORMAT, "gender_labels has 1"},
        {"{\"version\":1,\"race_labels\":[\"12345678901234567890123456789012\"]}", HMT_ERROR_FORMAT,
         "race_labels: name 0 has more than 31 bytes"},
        {"{\"version\":1,\"race_labels\":[\"\\u0000\"]}", HMT_ERROR_FORMAT, "zero byte"},
        {"{\"version\":1,\"race_labels\":[\"a\\u0007\"]}", HMT_ERROR_FORMAT, "control character"},
        {"{\"version\":1,\"race_labels\":[\"\\u009b1m\"]}", HMT_ERROR_FORMAT, "control character"},
        {"{\"version\":1,\"race_labels\":[\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\","
         "\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\","
         "\"\",\"\",\"\",\"\",\"\"]}",
         HMT_ERROR_FORMAT, "race_labels has more than 32 names"},
        {"{\"version\":1,\"score_range\":[5,1]}", HMT_ERROR_FORMAT, "score_range begins at 5"},
        {"{\"version\":1,\"score_range\":[1]}", HMT_ERROR_FORMAT, "score_range has 1 numbers"},
        {"{\"version\":1,\"score_mean\":1e39}", HMT_ERROR_FORMAT, "score_mean is 1e+39"},
        {"{\"version\":1,\"mean\":[0,0,0,0]}", HMT_ERROR_FORMAT, "mean has 4 numbers"},
        {"{\"version\":1,\"deviation\":[1,0,1]}", HMT_ERROR_FORMAT, "deviation is 0"},
        {"{\"version\":1,\"resize\":223}", HMT_ERROR_FORMAT, "resize is not in 224..4096"},
        {"{\"version\":1," VALID "} x", HMT_ERROR_FORMAT, "something follows"},
        {"[]", HMT_ERROR_FORMAT, "'{' is expected"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        hmt_model_config c = {0};

        status_clear();
        CHECK_STATUS(config_from_json(cases[i].json, strlen(cases[i].json), &c), cases[i].status);
        if (strstr(hmt_last_error(), cases[i].fragment) == NULL)
            printf("expected '%s', found '%s'\n", cases[i].fragment, hmt_last_error());
        CHECK(strstr(hmt_last_error(), cases[i].fragment) != NULL);
        CHECK(cases[i].status == HMT_OK || c.struct_size == 0);
    }
}

static void locale_does_not_matter(void)
{
    static const char *const commas[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "ps_AF.UTF-8"};
    char text[CONFIG_JSON_SIZE], again[CONFIG_JSON_SIZE];
    hmt_model_config c = sample(), back;
    const char *found = NULL;

    CHECK_STATUS(config_to_json(&c, text, sizeof text), HMT_OK);
    for (size_t i = 0; i < sizeof commas / sizeof commas[0]; ++i) {
        if (setlocale(LC_ALL, commas[i]) == NULL)
            continue;
        found = commas[i];
        CHECK_STATUS(config_to_json(&c, again, sizeof again), HMT_OK);
        CHECK(strcmp(text, again) == 0);
        CHECK_STATUS(config_from_json(again, strlen(again), &back), HMT_OK);
        CHECK(back.width == c.width);
        setlocale(LC_ALL, "C");
    }
    if (found == NULL)
        printf("skipped: no locale with a decimal comma is installed here\n");
}

/* Nearest representable value with `bits` of mantissa and smallest step 2^low, in double. */
static double nearest(double value, int bits, int low)
{
    int exponent;

    frexp(value, &exponent);
    exponent = exponent - bits > low ? exponent - bits : low;
    return ldexp(nearbyint(ldexp(value, -exponent)), exponent);
}

static void halves_round_to_nearest_even(void)
{
    CHECK(half_to_f16(65519.996f) == 0x7bff && half_to_f16(65520.0f) == 0x7c00);
    CHECK(half_to_f16(0x1p-25f) == 0 && half_to_f16(0x1.000002p-25f) == 1);
    CHECK(half_to_f16(-0x1p-24f) == 0x8001 && half_to_f16(-0.0f) == 0x8000);
    CHECK(half_to_f16(0x1.002p0f) == 0x3c00 && half_to_f16(0x1.006p0f) == 0x3c02);
    CHECK(half_to_f16(INFINITY) == 0x7c00 && half_to_f16(-INFINITY) == 0xfc00);
    CHECK(half_to_bf16(INFINITY) == 0x7f80 && half_to_bf16(FLT_MAX) == 0x7f80);
    CHECK(half_to_bf16(HALF_BF16_LIMIT) == 0x7f80);
    CHECK(half_to_bf16(nextafterf(HALF_BF16_LIMIT, 0)) == 0x7f7f);
    CHECK(isnan(half_from_f16(half_to_f16(NAN))) && isnan(half_from_bf16(half_to_bf16(NAN))));
    CHECK(isnan(half_from_bf16(half_to_bf16(half_float(0x7f800001u)))));
    CHECK(isnan(half_from_f16(half_to_f16(half_float(0xff800001u)))));
    for (uint32_t h = 0; h < 0x10000; ++h) {
        float f = half_from_f16((uint16_t)h), b = half_from_bf16((uint16_t)h);
        int exponent = (int)(h >> 10 & 31);
        double truth =
            exponent == 0 ? ldexp(h & 1023, -24) : ldexp((h & 1023) + 1024, exponent - 25);

        CHECK(isnan(f) ? exponent == 31 : half_to_f16(f) == h);
        CHECK(exponent == 31 || (double)f == (h & 0x8000 ? -truth : truth));
        CHECK(isnan(b) || half_to_bf16(b) == h);
    }
    for (uint64_t i = 0; i < 300000; ++i) {
        uint32_t bits = (uint32_t)random_bits(3, i);
        float f = half_float(bits),
              any = half_float((bits & 0x80000000u) | (0x33000000u + bits % 0x14800000u));

        if (isfinite(f) && fabsf(f) < HALF_BF16_LIMIT)
            CHECK((double)half_from_bf16(half_to_bf16(f)) == nearest((double)f, 8, -133));
        if (fabsf(any) < HALF_F16_LIMIT)
            CHECK((double)half_from_f16(half_to_f16(any)) == nearest((double)any, 11, -24));
        if (isfinite(f) && fabsf(f) < HALF_F16_LIMIT)
            CHECK((double)half_from_f16(half_to_f16(f)) == nearest((double)f, 11, -24));
    }
    CHECK(half_first_overflow((const float[]){1, INFINITY, -65520, 3}, 4, HALF_F16_LIMIT) == 2);
    CHECK(half_first_overflow((const float[]){1, NAN, 65519}, 3, HALF_F16_LIMIT) == 3);
}

int main(void)
{
    grammar_is_strict();
    depth_is_limited();
    strings_are_unescaped();
    numbers_are_exact();
    doubles_come_back();
    config_comes_back();
    config_that_has_no_json_is_refused();
    config_lies_are_named();
    locale_does_not_matter();
    halves_round_to_nearest_even();
    return test_finish();
}
