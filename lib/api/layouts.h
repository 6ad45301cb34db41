/*
 * Where the fields of the public structs with a struct_size lie.
 */
#ifndef HMT_API_LAYOUTS_H
#define HMT_API_LAYOUTS_H

#include <stddef.h>

/* The field of struct `name` in the middle of which byte `size` lies; NULL if it lies between two,
 * or past the end. "?" if no struct has that name. */
const char *layouts_torn_field(const char *name, size_t size);

#endif
