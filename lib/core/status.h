/*
 * Status codes and the sentence that goes with them.
 *
 * The sentence is kept per thread (hmt_last_error). Whoever detects a failure calls status_fail()
 * once; callers on the way out pass the code on and add nothing: the first message wins. Public
 * entry points begin with status_clear().
 */
#ifndef HMT_CORE_STATUS_H
#define HMT_CORE_STATUS_H

#include <stdarg.h>

#include <hmtnet/hmtnet.h>

/* Forgets this thread's message. */
void status_clear(void);
/* Control characters and what is not UTF-8 become '?'. */
void status_printable(char *text);

/* Sets this thread's message unless it has one already, and returns `status`. One line, no newline,
 * at most 511 bytes of UTF-8, for which long strings in it, such as paths, are shortened in their
 * middle; control characters in what is formatted, and what is not UTF-8, are shown as '?'. */
hmt_status status_fail(hmt_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
hmt_status status_fail_v(hmt_status status, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

/* Puts this thread's message aside and clears it; puts it back: for calls that return no status,
 * which do not touch the caller's message. */
enum { STATUS_SIZE = 512 };
void status_keep(char kept[STATUS_SIZE]);
void status_restore(const char kept[STATUS_SIZE]);

/* HMT_ERROR_NOT_FOUND for ENOENT and ENOTDIR, HMT_ERROR_MEMORY for ENOMEM, else HMT_ERROR_IO, with
 * a message "cannot WHAT PATH: why" from `error` (an errno). */
hmt_status status_fail_errno(int error, const char *what, const char *path);

/* Puts "PATH: " in front of this thread's message: for code that works on a file's bytes and was
 * not told their name. Returns `status`. */
hmt_status status_fail_at(hmt_status status, const char *path);
/* The same with "PATH:LINE: ". */
hmt_status status_fail_at_line(hmt_status status, const char *path, size_t line);

#endif
