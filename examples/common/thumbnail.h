/*
 * A photo's middle at the size of a board's cell.
 */
#ifndef EXAMPLES_THUMBNAIL_H
#define EXAMPLES_THUMBNAIL_H

#include <stdbool.h>
#include <stdint.h>

/* Fills rgb, (side,side,3). false: the photo cannot be read, and hmt_last_error() says why. */
bool thumbnail(const char *path, int32_t side, uint8_t *rgb);

#endif
