/*
 * A strict JSON reader for hostile input. A cursor over the caller's buffer: no allocation, no
 * recursion, no locale.
 */
#include "format/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/status.h"

void json_begin(json_reader *json, const char *text, size_t size, const char *what)
{
    memset(json, 0, sizeof *json);
    json->text = text;
    json->size = size;
    json->what = what;
}

hmt_status json_fail(json_reader *json, const char *format, ...)
{
    char message[256];
    va_list arguments;

    if (json->status != HMT_OK)
        return json->status;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    json->status = status_fail(HMT_ERROR_FORMAT, "%s: %s (byte %" PRIu64 ")", json->what, message,
                               json->base + json->at);
    return json->status;
}

static void skip_space(json_reader *json)
{
    while (json->at < json->size && memchr(" \t\n\r", json->text[json->at], 4) != NULL)
        ++json->at;
}

char json_peek(json_reader *json)
{
    if (json->status != HMT_OK)
        return 0;
    skip_space(json);
    return json->at < json->size ? json->text[json->at] : 0;
}

/* Consumes `c` after white space. */
static bool expect(json_reader *json, char c)
{
    char found = json_peek(json);

    if (json->status != HMT_OK)
        return false;
    if (found != c) {
        json_fail(json,
                  json->at >= json->size ? "the text ends where '%c' is expected"
                                         : "'%c' is expected",
                  c);
        return false;
    }
    ++json->at;
    return true;
}

hmt_status json_end(json_reader *json)
{
    if (json->status == HMT_OK) {
        skip_space(json);
        if (json->at < json->size || json->depth > 0)
            json_fail(json, "something follows the end of the JSON value");
    }
    return json->status;
}

bool json_enter(json_reader *json, char bracket)
{
    if (!expect(json, bracket))
        return false;
    if (json->depth == JSON_MAX_DEPTH) {
        json_fail(json, "JSON is nested deeper than %d", JSON_MAX_DEPTH);
        return false;
    }
    json->open[json->depth++] = bracket;
    json->first = true;
    return true;
}

/* Stands before the next element of the container, or closes it and returns false. */
static bool next(json_reader *json, char closing)
{
    if (json_peek(json) == closing) {
        ++json->at;
        --json->depth;
        json->first = false;
        return false;
    }
    if (!json->first && !expect(json, ','))
        return false;
    json->first = false;
    return json->status == HMT_OK;
}

bool json_member(json_reader *json, json_string *key)
{
    *key = (json_string){"", 0};
    if (!next(json, '}'))
        return false;
    *key = json_text(json);
    return expect(json, ':');
}

bool json_element(json_reader *json)
{
    return next(json, ']');
}

json_string json_text(json_reader *json)
{
    json_string string = {"", 0};
    size_t begin;
    uint32_t code;

    if (!expect(json, '"'))
        return string;
    begin = json->at;
    while (json->at < json->size && json->text[json->at] != '"') {
        const char *s = json->text + json->at;
        size_t left = json->size - json->at, length;

        if ((unsigned char)*s < 0x20) {
            json_fail(json, "a control character stands in a string");
            return string;
        }
        length = json_character(s, left, &code);
        if (length == 0) {
            json_fail(json, *s == '\\' ? "a string has a wrong escape sequence"
                                       : "a string is not valid UTF-8");
            return string;
        }
        json->at += length;
    }
    if (json->at == json->size) {
        json_fail(json, "the text ends within a string");
        return string;
    }
    string = (json_string){json->text + begin, json->at - begin};
    ++json->at;
    return string;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Passes over digits, at least one. */
static bool digits(json_reader *json)
{
    size_t begin = json->at;

    while (json->at < json->size && is_digit(json->text[json->at]))
        ++json->at;
    return json->at > begin;
}

/* Passes over one number by JSON's grammar; `whole` tells whether it has no fraction or exponent.
 * The last byte of a text is never a reason to read on: at < size is asked each time. */
static json_string number(json_reader *json, bool *whole)
{
    json_string none = {"", 0};
    const char *text = json->text;
    char first = json_peek(json);
    size_t begin = json->at;
    bool right;

    *whole = true;
    if (json->status != HMT_OK)
        return none;
    if (first == '-')
        ++json->at;
    if (json->at < json->size && text[json->at] == '0')
        right = ++json->at > 0;
    else
        right = digits(json);
    if (right && json->at < json->size && text[json->at] == '.') {
        ++json->at;
        *whole = false;
        right = digits(json);
    }
    if (right && json->at < json->size && (text[json->at] == 'e' || text[json->at] == 'E')) {
        ++json->at;
        *whole = false;
        if (json->at < json->size && (text[json->at] == '+' || text[json->at] == '-'))
            ++json->at;
        right = digits(json);
    }
    if (!right || (json->at < json->size && is_digit(text[json->at]))) {
        json_fail(json, "a number is expected");
        return none;
    }
    return (json_string){text + begin, json->at - begin};
}

int64_t json_int64(json_reader *json)
{
    bool whole, negative;
    json_string digits_of = number(json, &whole);
    int64_t value = 0;

    if (json->status != HMT_OK)
        return 0;
    negative = digits_of.text[0] == '-';
    for (size_t i = negative; whole && i < digits_of.size; ++i) {
        int64_t digit = digits_of.text[i] - '0';

        /* Negative numbers reach one further, so all are gathered below zero. */
        whole = !__builtin_mul_overflow(value, 10, &value) &&
                !__builtin_sub_overflow(value, digit, &value);
    }
    if (!whole || (!negative && value == INT64_MIN)) {
        json_fail(json, "a whole number of 64 bits is expected");
        return 0;
    }
    return negative ? value : -value;
}

double json_double(json_reader *json)
{
    bool whole;
    json_string s = number(json, &whole);
    double value;

    if (json->status != HMT_OK)
        return 0;
    value = json_decimal(s);
    if (!isfinite(value)) {
        json_fail(json, "a number is too large");
        return 0;
    }
    return value;
}

static void word(json_reader *json, const char *expected)
{
    size_t size = strlen(expected);

    if (json->size - json->at < size || memcmp(json->text + json->at, expected, size) != 0)
        json_fail(json, "a JSON value is expected");
    else
        json->at += size;
}

static void skip_scalar(json_reader *json, char first)
{
    bool whole;

    if (first == '"')
        json_text(json);
    else if (first == 't')
        word(json, "true");
    else if (first == 'f')
        word(json, "false");
    else if (first == 'n')
        word(json, "null");
    else if (first == '-' || is_digit(first))
        number(json, &whole);
    else
        json_fail(json, "a JSON value is expected");
}

void json_skip(json_reader *json)
{
    uint32_t outside = json->depth;
    json_string key;
    bool inside = true;

    do {
        char first = json_peek(json);

        if (json->status != HMT_OK)
            return;
        if (!inside) { /* a container has closed, or a scalar was read within one */
            inside =
                json->open[json->depth - 1] == '{' ? json_member(json, &key) : json_element(json);
            continue;
        }
        if (first == '{' || first == '[')
            json_enter(json, first);
        else
            skip_scalar(json, first);
        inside = false;
    } while (json->status == HMT_OK && (json->depth > outside || inside));
}
