/*
 * The faces whose scores were predicted best and worst, as in the paper's figure 2.
 */
#ifndef EXAMPLES_PRECISION_SHEET_H
#define EXAMPLES_PRECISION_SHEET_H

#include "evaluation.h"

/* Indices of the photos that have both scores, (count), the most precisely predicted first. Returns
 * how many they are. */
size_t precision_order(const evaluation *e, size_t *order);

/* Writes them as a picture. false: a message has been printed. */
bool precision_sheet(const char *path, const evaluation *e);

#endif
