/*
 * The characters of JSON strings: UTF-8 and escape sequences, checked and decoded. Pure functions
 * over the caller's bytes.
 */
#include <string.h>

#include "core/utf8.h"
#include "format/json.h"

bool json_utf8_valid(const char *bytes, size_t size)
{
    for (size_t at = 0, length; at < size; at += length) {
        length = utf8_length(bytes + at, size - at);
        if (length == 0)
            return false;
    }
    return true;
}

/* Four hexadecimal digits at `s`; -1 if they are not. */
static int32_t hex4(const char *s, size_t left)
{
    int32_t value = 0;

    for (size_t i = 0; i < 4; ++i) {
        char c = i < left ? s[i] : 0;
        int32_t digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* The escape sequence that begins with the backslash at `s`: its code point in *code, its length as
 * the result, 0 if it is none. */
static size_t escape(const char *s, size_t left, uint32_t *code)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *known;
    int32_t high, low;

    if (left < 2)
        return 0;
    known = s[1] != '\0' ? strchr(from, s[1]) : NULL;
    if (known != NULL) {
        *code = (uint32_t)to[known - from];
        return 2;
    }
    if (s[1] != 'u' || (high = hex4(s + 2, left - 2)) < 0)
        return 0;
    *code = (uint32_t)high;
    if (high < 0xd800 || high > 0xdfff)
        return 6;
    if (high > 0xdbff || left < 12 || s[6] != '\\' || s[7] != 'u')
        return 0;
    low = hex4(s + 8, left - 8);
    if (low < 0xdc00 || low > 0xdfff)
        return 0;
    *code = 0x10000u + (((uint32_t)high - 0xd800u) << 10) + ((uint32_t)low - 0xdc00u);
    return 12;
}

size_t json_character(const char *s, size_t left, uint32_t *code)
{
    *code = 0;
    return *s == '\\' ? escape(s, left, code) : utf8_length(s, left);
}

/* UTF-8 of a code point, 1 to 4 bytes. */
static size_t encode(uint32_t code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | (code >> 6));
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | (code >> 12));
        out[1] = (char)(0x80 | ((code >> 6) & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | (code >> 18));
    out[1] = (char)(0x80 | ((code >> 12) & 0x3f));
    out[2] = (char)(0x80 | ((code >> 6) & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* The next character of a checked string, unescaped, in out; its raw length is the result. */
static size_t next_character(json_string s, size_t at, char out[4], size_t *size)
{
    uint32_t code = 0;
    size_t length;

    if (s.text[at] != '\\') {
        out[0] = s.text[at];
        *size = 1;
        return 1;
    }
    length = escape(s.text + at, s.size - at, &code);
    *size = encode(code, out);
    return length;
}

size_t json_decode(json_string string, char *out)
{
    size_t total = 0;
    char character[4];

    for (size_t at = 0, size; at < string.size; total += size) {
        at += next_character(string, at, character, &size);
        memcpy(out + total, character, size);
    }
    return total;
}

bool json_equals(json_string string, const char *plain)
{
    size_t length = strlen(plain), total = 0;
    char character[4];

    for (size_t at = 0, size; at < string.size; total += size) {
        at += next_character(string, at, character, &size);
        if (size > length - total || memcmp(plain + total, character, size) != 0)
            return false;
    }
    return total == length;
}
