/*
 * A strict JSON reader for hostile input, as a cursor over a buffer, and a writer into a buffer.
 *
 * Neither allocates or recurses, and neither depends on the locale. The reader checks all of what
 * it passes, skipped values too: grammar, UTF-8, escapes, depth.
 */
#ifndef HMT_FORMAT_JSON_H
#define HMT_FORMAT_JSON_H

#include <stdbool.h>

#include <hmtnet/hmtnet.h>

enum { JSON_MAX_DEPTH = 64 };

/* A string as it stands in the text, escapes included, without its quotes. It has been checked. */
typedef struct json_string {
    const char *text;
    size_t size;
} json_string;

/*
 * The first failure stays in `status`; from then on every call returns false, 0 or an empty string,
 * so that loops end and one look at the status suffices:
 *
 *     json_begin(&json, text, size, "model.safetensors");
 *     json_enter(&json, '{');
 *     while (json_member(&json, &key))
 *         if (json_equals(key, "width"))
 *             width = json_double(&json);
 *         else
 *             json_skip(&json);
 *     return json_end(&json);
 */
typedef struct json_reader {
    const char *text;
    size_t size;
    size_t at;                 /* the next byte to read */
    uint64_t base;             /* added to offsets in messages: where the text begins in its file */
    const char *what;          /* begins every message */
    hmt_status status;         /* HMT_OK or HMT_ERROR_FORMAT; callers may set others */
    uint32_t depth;            /* of open objects and arrays */
    bool first;                /* nothing has been read since the last bracket was opened */
    char open[JSON_MAX_DEPTH]; /* their brackets */
} json_reader;

void json_begin(json_reader *json, const char *text, size_t size, const char *what);
/* Only white space may follow; returns the status. */
hmt_status json_end(json_reader *json);

/* The first byte of the next value ('{', '[', '"', 't', 'f', 'n', '-' or a digit); 0 after a
 * failure or at the end. */
char json_peek(json_reader *json);
/* Goes into an object '{' or array '['. */
bool json_enter(json_reader *json, char bracket);
/* To the next member or element; false at the end (which is consumed) and after a failure. The
 * value must be read or skipped before the next call. */
bool json_member(json_reader *json, json_string *key);
bool json_element(json_reader *json);

json_string json_text(json_reader *json);
/* A number without fraction or exponent that fits. */
int64_t json_int64(json_reader *json);
/* Any finite number: the double nearest to its first 19 digits. */
double json_double(json_reader *json);
/* Passes over one value of any kind. */
void json_skip(json_reader *json);

/* Sets the failure: "WHAT: MESSAGE (byte N)". Returns HMT_ERROR_FORMAT. */
hmt_status json_fail(json_reader *json, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The double nearest to a number that follows JSON's grammar; infinite if it is too large. */
double json_decimal(json_string number);
/* Does the string, unescaped, equal `plain`? */
bool json_equals(json_string string, const char *plain);
/* Unescapes into `out`, which must have room for string.size bytes and is not terminated; returns
 * the number of bytes written, at most string.size. */
size_t json_decode(json_string string, char *out);

/* Length of the well-formed character or escape sequence that begins here, 0 if it is neither; the
 * code point of an escape sequence in *code. */
size_t json_character(const char *s, size_t left, uint32_t *code);
/* Is this well-formed UTF-8, without surrogates or overlong forms? */
bool json_utf8_valid(const char *bytes, size_t size);

/* Writes into `out` and goes on counting when it is full, so that a first pass with capacity 0
 * measures. Nothing is terminated. */
typedef struct json_writer {
    char *out;
    size_t capacity;
    size_t size; /* bytes written, or that would have been */
} json_writer;

/* JSON as it is. */
void json_put(json_writer *json, const char *text);
/* A quoted, escaped string. `bytes` must be valid UTF-8. */
void json_put_string(json_writer *json, const char *bytes, size_t size);
void json_put_int64(json_writer *json, int64_t value);
/* The shortest decimal that reads back as the same double, or the same float. Finite values only.
 */
void json_put_double(json_writer *json, double value);
void json_put_float(json_writer *json, float value);

#endif
