/*
 * The faces whose scores were predicted best and worst, as in the paper's figure 2.
 */
#ifndef EXAMPLES_PRECISION_SHEET_H
#define EXAMPLES_PRECISION_SHEET_H

#include "evaluation.h"

/* false: a message has been printed. */
bool precision_sheet(const char *path, const evaluation *e);

#endif
