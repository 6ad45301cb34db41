/* What other files need of the entry points for images. */
#ifndef HMT_API_IMAGES_H
#define HMT_API_IMAGES_H

#include <stdbool.h>

#include <hmtnet/hmtnet.h>

/* The options in effect: `given`, or NULL, with defaults in the place of zeros. */
hmt_status images_decode_options(const hmt_decode_options *given, hmt_decode_options *o);

/* hmt_decode_file() with checked pointers; `tell`: the context's progress callback is told. */
hmt_status images_decode_file(const hmt_context *context, bool tell, const char *path,
                              const hmt_decode_options *options, hmt_pixels *pixels);

#endif
