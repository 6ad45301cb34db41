/*
 * A report's maps: activations of inner layers and Grad-CAM of each head, over some of the faces
 * whose scores were predicted best and worst (the paper's figure 3 is the former).
 */
#ifndef EXAMPLES_REPORT_MAPS_H
#define EXAMPLES_REPORT_MAPS_H

#include <stdio.h>

#include "report.h"

/* `order` are the faces, (count), the most precisely predicted first. false: a message has been
 * printed. */
bool report_maps(FILE *to, const report_input *in, const size_t *order, size_t count);

#endif
