/*
 * Messages that fit their buffer: strings in them that are too long, such as paths, are shortened
 * in their middle, so that what stands behind them is kept.
 */
#ifndef HMT_CORE_MESSAGE_H
#define HMT_CORE_MESSAGE_H

#include <stdarg.h>
#include <stddef.h>

/* As vsnprintf(), into `size` bytes, of which there are at least 64. Allocates nothing. */
void message_format(char *text, size_t size, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

#endif
