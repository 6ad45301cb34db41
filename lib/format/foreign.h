/*
 * Files that are often taken for models, told by their first bytes.
 */
#ifndef HMT_FORMAT_FOREIGN_H
#define HMT_FORMAT_FOREIGN_H

#include <hmtnet/hmtnet.h>

enum { FOREIGN_HEAD = 264 /* bytes that tell all of them */ };

/* HMT_ERROR_UNSUPPORTED with what the file is and what to do, if it is one of those; HMT_OK if it
 * may be a safetensors file. `head` are its first bytes, at most FOREIGN_HEAD of them count. */
hmt_status foreign_check(const unsigned char *head, size_t size, const char *what);

#endif
