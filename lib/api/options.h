/*
 * Option and result structs that begin with struct_size, so that hosts built against an older or
 * newer header go on working: what one side does not know keeps its default, or is not written.
 */
#ifndef HMT_API_OPTIONS_H
#define HMT_API_OPTIONS_H

#include <hmtnet/hmtnet.h>

/*
 * `name` is the struct's, e.g. "hmt_batch". A struct_size that ends inside a field, is smaller than
 * itself, or larger than any struct will ever be, is HMT_ERROR_ARGUMENT with a message that says
 * so. Whoever has a result to give checks its struct before doing anything, with options_check().
 */
hmt_status options_check(const void *options, const char *name);

/* Copies the fields that `from` has over `into`, which holds `size` bytes of defaults and keeps its
 * own struct_size. NULL changes nothing. */
hmt_status options_copy(void *into, size_t size, const void *from, const char *name);

/* Copies the fields that the caller's struct `into` has room for out of `from`, of `size` bytes;
 * struct_size stays. */
hmt_status options_give(void *into, const void *from, size_t size, const char *name);

#endif
