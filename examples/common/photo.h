/*
 * How a program decodes photos: the options that every program has for it, set while the command
 * line is read and the same for all of its photos.
 */
#ifndef EXAMPLES_PHOTO_H
#define EXAMPLES_PHOTO_H

#include <hmtnet/hmtnet.h>

#include "cli.h"

extern hmt_decode_options photo_decoding;

/* Their rows in a program's table of options. */
/* clang-format off */
#define PHOTO_OPTIONS                                                                              \
    {"max-pixels", 0, CLI_INTEGER, &photo_decoding.max_pixels, "N",                                \
     "the largest photo, width times height (default\n100000000; a phone's 108 megapixels need "   \
     "108000000)", 1, 1e10},                                                                       \
    {"allow-truncated", 0, CLI_FLAG, &photo_decoding.allow_truncated, NULL,                        \
     "decode photos that end too early as far as they go,\ngrey below", 0, 0}
/* clang-format on */

#endif
