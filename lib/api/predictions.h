/*
 * From logits to predictions, and means of predictions.
 */
#ifndef HMT_API_PREDICTIONS_H
#define HMT_API_PREDICTIONS_H

#include <hmtnet/hmtnet.h>

/* One image's prediction. rows: by task, its logits or score; NULL where the head was not run. */
void predictions_from_logits(const hmt_model *model, const float *const rows[HMT_TASK_COUNT],
                             hmt_prediction *prediction);

/* Adds `part` to `sum`, or starts the sum with it. predictions_finish() divides by the count and
 * picks the labels; without a model the names are those of the parts. */
void predictions_add(hmt_prediction *sum, const hmt_prediction *part, int first);
void predictions_finish(const hmt_model *model, hmt_prediction *sum, size_t count);

#endif
