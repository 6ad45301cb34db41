/*
 * Pictures within a page: PNG as a data URL.
 */
#ifndef EXAMPLES_REPORT_IMAGE_H
#define EXAMPLES_REPORT_IMAGE_H

#include <stdint.h>
#include <stdio.h>

/* Writes an <img> of an RGB picture (side,side,3), with `alternative` as its text. */
void report_image(FILE *to, const uint8_t *rgb, uint32_t side, const char *alternative);

#endif
