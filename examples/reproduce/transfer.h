/*
 * Section 4.4: the scores of another data set, learned from a network's features.
 */
#ifndef EXAMPLES_TRANSFER_H
#define EXAMPLES_TRANSFER_H

#include <hmtnet/data.h>

/* Learns the scores of SCUT-FBP in `target` from the model's relu5, over five random splits;
 * features and results go to `folder`. Fills Pearson, MAE and RMSE. Returns an exit status. */
int transfer_run(const char *model, const char *target, const char *folder, hmt_spread spreads[3]);

#endif
