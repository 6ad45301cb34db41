/* UTF-8, checked: well-formed sequences, without surrogates or overlong forms. */
#ifndef HMT_CORE_UTF8_H
#define HMT_CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Length of the well-formed sequence that begins at `text`, of which `left` bytes are there; 0 if
 * there is none. left is at least 1. */
size_t utf8_length(const char *text, size_t left);

/* Whether `size` bytes are UTF-8 that a line of text can show: without control characters, those of
 * U+0080 to U+009F, which terminals obey, included. */
bool utf8_is_printable(const char *text, size_t size);

#endif
