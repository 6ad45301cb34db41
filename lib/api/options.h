/*
 * Option and result structs that begin with struct_size, so that hosts built against an older or
 * newer header go on working: what one side does not know keeps its default, or is not written.
 */
#ifndef HMT_API_OPTIONS_H
#define HMT_API_OPTIONS_H

#include <hmtnet/hmtnet.h>

/* Copies the fields that `from` has over `into`, which holds `size` bytes of defaults and keeps its
 * own struct_size. NULL changes nothing. HMT_ERROR_ARGUMENT, naming the struct, if from's
 * struct_size cannot be. */
hmt_status options_copy(void *into, size_t size, const void *from, const char *name);

/* Copies the fields that the caller's struct `into` has room for out of `from`, of `size` bytes;
 * struct_size stays. */
hmt_status options_give(void *into, const void *from, size_t size, const char *name);

#endif
