/*
 * mutations: 10000
 * JSON: a text that the strict reader accepts is walked beside cJSON's tree of it, value by value;
 * what was read is written and read again. Then the text is taken for a model's config.
 *
 * Options: bit 0 takes the text for a config alone.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "core/status.h"
#include "format/config_json.h"
#include "format/json.h"
#include "fuzz.h"

enum {
    EXACT_DIGITS = 19, /* from there on the reader drops some */
    CJSON_NUMBER = 60  /* characters; cJSON reads no longer ones */
};

/* The number that begins at `at`: its characters, and its digits but leading zeros. */
static size_t number_size(const json_reader *json, size_t *digits)
{
    size_t size = 0;
    bool mantissa = true;

    *digits = 0;
    for (; json->at + size < json->size; ++size) {
        const char c = json->text[json->at + size];

        if (c == '\0' || strchr("+-.eE0123456789", c) == NULL)
            break;
        mantissa = mantissa && c != 'e' && c != 'E';
        *digits += mantissa && c >= '0' && c <= '9' && (*digits > 0 || c != '0');
    }
    return size;
}

/* Does cJSON take all numbers and depths of the text? It reads up to 63 characters of a number. */
static bool suits_cjson(const char *text, size_t size)
{
    size_t run = 0;

    for (size_t i = 0; i < size; ++i) {
        run = text[i] != '\0' && strchr("+-.eE0123456789", text[i]) != NULL ? run + 1 : 0;
        if (run > CJSON_NUMBER)
            return false;
    }
    return true;
}

/* `value` is written and comes back the same. */
static void check_number_returns(double value)
{
    char text[64];
    json_writer writer = {text, sizeof text, 0};
    json_reader json;

    json_put_double(&writer, value);
    FUZZ_CHECK(writer.size < sizeof text);
    json_begin(&json, text, writer.size, "number");
    FUZZ_CHECK(json_double(&json) == value && json_end(&json) == HMT_OK);
}

static void walk_number(json_reader *json, const cJSON *tree)
{
    json_reader whole = *json;
    size_t digits, size;
    double value;
    int64_t integer;

    json_peek(json);
    size = number_size(json, &digits);
    FUZZ_CHECK(cJSON_IsNumber(tree) && size > 0);
    if (isinf(tree->valuedouble)) { /* grammar alone accepts it */
        json_skip(json);
        return;
    }
    integer = json_int64(&whole);
    value = json_double(json);
    if (json->status != HMT_OK) /* too large by what the dropped digits make */
        return;
    if (digits <= EXACT_DIGITS)
        FUZZ_CHECK(value == tree->valuedouble);
    if (whole.status == HMT_OK)
        FUZZ_CHECK((double)integer == tree->valuedouble);
    else
        status_clear();
    check_number_returns(value);
}

/* Decoded as cJSON has it, up to its first zero byte; written, it reads the same. */
static void check_string(json_string string, const char *other)
{
    char *plain = malloc(string.size + 1), *again = malloc(6 * string.size + 2);
    const size_t size = json_decode(string, plain);
    json_writer writer = {again, 6 * string.size + 2, 0};
    json_reader json;
    json_string back;

    plain[size] = '\0';
    FUZZ_CHECK(size <= string.size && fuzz_utf8(plain, size));
    FUZZ_CHECK(strcmp(plain, other) == 0);
    FUZZ_CHECK(json_equals(string, other) == (strlen(plain) == size));
    json_put_string(&writer, plain, size);
    FUZZ_CHECK(writer.size <= writer.capacity);
    json_begin(&json, again, writer.size, "string");
    back = json_text(&json);
    FUZZ_CHECK(json_end(&json) == HMT_OK && json_decode(back, again) == size);
    FUZZ_CHECK(memcmp(again, plain, size) == 0);
    free(plain);
    free(again);
}

/* One value and all in it. Goes as deep as the reader lets it, 64. */
static void walk(json_reader *json, const cJSON *tree)
{
    const char first = json_peek(json);
    const cJSON *child = tree->child;
    json_string key;

    if (first == '{' || first == '[') {
        FUZZ_CHECK(first == '{' ? cJSON_IsObject(tree) : cJSON_IsArray(tree));
        json_enter(json, first);
        while (first == '{' ? json_member(json, &key) : json_element(json)) {
            FUZZ_CHECK(child != NULL);
            if (first == '{')
                check_string(key, child->string);
            walk(json, child);
            child = child->next;
        }
        FUZZ_CHECK(child == NULL || json->status != HMT_OK);
    } else if (first == '"') {
        FUZZ_CHECK(cJSON_IsString(tree));
        check_string(json_text(json), tree->valuestring);
    } else if (first == '-' || (first >= '0' && first <= '9')) {
        walk_number(json, tree);
    } else {
        FUZZ_CHECK(first == 't'   ? cJSON_IsTrue(tree)
                   : first == 'f' ? cJSON_IsFalse(tree)
                                  : cJSON_IsNull(tree));
        json_skip(json);
    }
}

static void check_text(const char *text, size_t size)
{
    json_reader json;
    cJSON *tree;

    status_clear();
    json_begin(&json, text, size, "text");
    json_skip(&json);
    if (FUZZ_STATUS(json_end(&json), FUZZ_CODE(FORMAT)) != HMT_OK || !suits_cjson(text, size))
        return;
    tree = cJSON_ParseWithLengthOpts(text, size, NULL, 0);
    FUZZ_CHECK(tree != NULL);
    json_begin(&json, text, size, "text");
    walk(&json, tree);
    FUZZ_STATUS(json_end(&json), FUZZ_CODE(FORMAT));
    cJSON_Delete(tree);
}

static void check_config(const char *text, size_t size)
{
    char written[CONFIG_JSON_SIZE];
    hmt_model_config config, again, before;

    hmt_model_config_init(&before);
    config = before;
    status_clear();
    if (FUZZ_STATUS(config_from_json(text, size, &config),
                    FUZZ_CODE(FORMAT) | FUZZ_CODE(UNSUPPORTED)) != HMT_OK) {
        FUZZ_CHECK(memcmp(&config, &before, sizeof config) == 0);
        return;
    }
    FUZZ_OK(config_to_json(&config, written, sizeof written));
    FUZZ_OK(config_from_json(written, strlen(written), &again));
    FUZZ_CHECK(memcmp(&config, &again, sizeof config) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t options = fuzz_option(data, &size);
    uint8_t *text = fuzz_copy(data, size);

    if ((options & 1) == 0)
        check_text((const char *)text, size);
    check_config((const char *)text, size);
    free(text);
    return 0;
}

static void seed(const char *text)
{
    fuzz_seed(text, strlen(text), "\0", 1);
}

void fuzz_seeds(void)
{
    hmt_model_config config;
    char text[CONFIG_JSON_SIZE];

    seed("{\"a\":{\"b\":[1,{\"c\":null}],\"\":[]},\"d\":-0,\"e\":true,\"f\" : false , \"a\":{}}");
    seed("[0.1,-1.5e+10,1E5,123456789012345678,4.9e-324,1.7976931348623157e308,2.2250738585072011e-"
         "308]");
    seed("[9223372036854775807,-9223372036854775808,18446744073709551616,1e400]");
    seed("\"\\u0041\\ud83d\\ude00\\n\\/\\\"\\\\ \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80 "
         "\\u0000\\u00e9\"");
    seed("[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]"
         "]]]]]]]"
         "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
    hmt_model_config_init(&config);
    FUZZ_OK(config_to_json(&config, text, sizeof text));
    seed(text);
    fuzz_seed(text, strlen(text), "\1", 1);
    config.wiring = HMT_WIRING_PAPER;
    config.aggregator = HMT_AGGREGATOR_CONCATENATE;
    config.race_classes = HMT_MAX_CLASSES;
    strcpy(config.race_labels[2], "\xc3\xa4\"\\");
    strcpy(config.race_labels[3], "other");
    config.width = 0.1;
    FUZZ_OK(config_to_json(&config, text, sizeof text));
    fuzz_seed(text, strlen(text), "\1", 1);
    fuzz_respell((uint8_t *)text, strlen(text), "\"other\"", "\"o\",\"e\""); /* one class more */
    fuzz_seed(text, strlen(text), "\1", 1);
}
