/*
 * Writes JSON into the caller's buffer, or only measures it. No allocation, and the same text in
 * every locale.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "format/json.h"

static void put(json_writer *json, const char *bytes, size_t size)
{
    if (json->size <= json->capacity && size <= json->capacity - json->size)
        memcpy(json->out + json->size, bytes, size);
    json->size += size;
}

void json_put(json_writer *json, const char *text)
{
    put(json, text, strlen(text));
}

void json_put_string(json_writer *json, const char *bytes, size_t size)
{
    json_put(json, "\"");
    for (size_t i = 0; i < size; ++i) {
        unsigned char c = (unsigned char)bytes[i];
        char escaped[8];

        if (c == '"' || c == '\\')
            snprintf(escaped, sizeof escaped, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            snprintf(escaped, sizeof escaped, "\\u%04x", c);
        else {
            put(json, bytes + i, 1);
            continue;
        }
        json_put(json, escaped);
    }
    json_put(json, "\"");
}

void json_put_int64(json_writer *json, int64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRId64, value);
    json_put(json, text);
}

/* "%.*g" without the locale's decimal mark, which may be several bytes long. */
static json_string format(double value, int precision, char out[64])
{
    char local[64];
    size_t size = 0;

    snprintf(local, sizeof local, "%.*g", precision, value);
    for (const char *c = local; *c != '\0'; ++c)
        if (strchr("0123456789+-e", *c) != NULL)
            out[size++] = *c;
        else if (size > 0 && out[size - 1] != '.')
            out[size++] = '.';
    return (json_string){out, size};
}

void json_put_double(json_writer *json, double value)
{
    char text[64];
    json_string s = {text, 0};

    for (int precision = 1; precision <= 17; ++precision) {
        s = format(value, precision, text);
        if (json_decimal(s) == value)
            break;
    }
    put(json, s.text, s.size);
}

void json_put_float(json_writer *json, float value)
{
    char text[64];
    json_string s = {text, 0};

    for (int precision = 1; precision <= 9; ++precision) {
        s = format((double)value, precision, text);
        if ((float)json_decimal(s) == value)
            break;
    }
    put(json, s.text, s.size);
}
