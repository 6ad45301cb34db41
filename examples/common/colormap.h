/*
 * Numbers as colours: viridis, which is as readable in grey and to the colour-blind.
 */
#ifndef EXAMPLES_COLORMAP_H
#define EXAMPLES_COLORMAP_H

#include <stdint.h>

/* The colour of `value`; below 0 and above 1 those of the ends, NaN as 0. */
void colormap_viridis(double value, uint8_t rgb[3]);

#endif
