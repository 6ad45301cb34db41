/*
 * From logits to predictions, and means of predictions.
 */
#ifndef HMT_API_PREDICTIONS_H
#define HMT_API_PREDICTIONS_H

#include <hmtnet/hmtnet.h>

#include "core/status.h"

/* No answer, for the reason `status`; a summand or image that had one gets none either. */
void predictions_fail(hmt_prediction *prediction, hmt_status status);

/* One image's prediction. rows: by task, its logits or score; NULL where the head was not run.
 * HMT_ERROR_NONFINITE, and no answer, if one of them is not finite. */
hmt_status predictions_from_logits(const hmt_model *model, const float *const rows[HMT_TASK_COUNT],
                                   hmt_prediction *prediction);
/* HMT_OK, or HMT_ERROR_NONFINITE naming the first of an image's values (3,224,224) that is not. */
hmt_status predictions_check_image(const float *values, size_t elements);

/*
 * What a call over many images comes to: what stopped it, else the first image's failure, whose
 * message is kept while the others go on. Starts as zeros.
 */
typedef struct predictions_outcome {
    hmt_status stopped, image;
    char message[STATUS_SIZE];
} predictions_outcome;

/* Notes the status of image `image` of `count`, and names the image in its message. */
void predictions_note(predictions_outcome *o, hmt_status status, size_t image, size_t count);
/* The call's status, its message set; predictions from `done` on, which it did not reach, have the
 * status that stopped it. */
hmt_status predictions_end(const predictions_outcome *o, size_t done, size_t count,
                           hmt_prediction *predictions);

/* Adds `part` to `sum`, or starts the sum with it; a part without an answer leaves the sum without
 * one. predictions_finish() divides by the count and picks the labels; without a model the names
 * are those of the parts. */
void predictions_add(hmt_prediction *sum, const hmt_prediction *part, int first);
void predictions_finish(const hmt_model *model, hmt_prediction *sum, size_t count);

#endif
