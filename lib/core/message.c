/* Formatting with shortened strings (see message.h). Touches nothing but the caller's buffer. */
#include "core/message.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The text so far; `length` counts on past the end of the buffer. */
typedef struct output {
    char *text;
    size_t size, length;
} output;

/* One conversion of a format, a width or precision of "*" filled in. */
typedef struct conversion {
    char spec[32];
    size_t length;
} conversion;

static void put(output *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; ++i, ++out->length)
        if (out->length + 1 < out->size)
            out->text[out->length] = text[i];
    out->text[out->length < out->size ? out->length : out->size - 1] = '\0';
}

static bool continues(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80; /* a character of UTF-8 */
}

/* A string with at most `most` bytes: of a longer one the end counts more, where a path has its
 * file's name. */
static void put_string(output *out, const char *text, size_t length, size_t most)
{
    static const char gap[] = "...";
    size_t head = most / 3, tail = most - head - (sizeof gap - 1);

    if (length <= most) {
        put(out, text, length);
        return;
    }
    while (head > 0 && continues(text[head]))
        --head;
    while (tail > 0 && continues(text[length - tail]))
        --tail;
    put(out, text, head);
    put(out, gap, sizeof gap - 1);
    put(out, text + length - tail, tail);
}

/* Reads a conversion's flags, width, precision and length; *format then points to its letter. */
static conversion read_conversion(const char **format, va_list *arguments)
{
    conversion c = {"%", 1};

    for (++*format; **format != '\0' && strchr("-+ #0123456789.*hlLjzt", **format) != NULL;
         ++*format) {
        if (c.length + 12 >= sizeof c.spec)
            continue;
        if (**format == '*')
            c.length += (size_t)snprintf(c.spec + c.length, 12, "%d", va_arg(*arguments, int));
        else
            c.spec[c.length++] = **format;
    }
    c.spec[c.length++] = **format;
    c.spec[c.length] = '\0';
    return c;
}

/* The string of a conversion by 's'. */
static void put_argument_string(output *out, const conversion *c, const char *text, size_t most)
{
    const char *point = strchr(c->spec, '.');

    if (text == NULL)
        text = "(null)";
    put_string(out, text, strnlen(text, point != NULL ? strtoul(point + 1, NULL, 10) : SIZE_MAX),
               most);
}

/* Any other conversion, of an argument as long as its modifier says. */
static void put_number(output *out, const conversion *c, va_list *arguments)
{
    char number[64];
    const char *spec = c->spec, letter = spec[c->length - 1];
    int length;

    if (strchr(spec, 'L') != NULL)
        length = snprintf(number, sizeof number, spec, va_arg(*arguments, long double));
    else if (strchr("aAeEfFgG", letter) != NULL)
        length = snprintf(number, sizeof number, spec, va_arg(*arguments, double));
    else if (letter == 'p')
        length = snprintf(number, sizeof number, spec, va_arg(*arguments, void *));
    else if (strstr(spec, "ll") != NULL)
        length = snprintf(number, sizeof number, spec, va_arg(*arguments, long long));
    else if (strpbrk(spec, "ljzt") != NULL)
        length = snprintf(number, sizeof number, spec, va_arg(*arguments, long));
    else
        length = snprintf(number, sizeof number, spec, va_arg(*arguments, int));
    if (length > 0)
        put(out, number, (size_t)length < sizeof number ? (size_t)length : sizeof number - 1);
}

/* Formats with no string longer than `most`. */
static void format_within(output *out, const char *format, va_list *arguments, size_t most)
{
    for (; *format != '\0'; ++format) {
        conversion c;

        if (*format != '%') {
            put(out, format, 1);
            continue;
        }
        c = read_conversion(&format, arguments);
        if (*format == '\0')
            return;
        if (*format == '%')
            put(out, "%", 1);
        else if (*format == 's')
            put_argument_string(out, &c, va_arg(*arguments, const char *), most);
        else
            put_number(out, &c, arguments);
    }
}

void message_format(char *text, size_t size, const char *format, va_list arguments)
{
    va_list again;
    output out;
    int length;

    va_copy(again, arguments);
    length = vsnprintf(text, size, format, again);
    va_end(again);
    if (length >= 0 && (size_t)length < size)
        return;
    for (size_t most = size - 16; most >= 16; most -= 16) { /* as long as they may be */
        out = (output){text, size, 0};
        va_copy(again, arguments);
        format_within(&out, format, &again, most);
        va_end(again);
        if (out.length < size)
            return;
    }
}
