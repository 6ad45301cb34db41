/*
 * What the model needs to know of its trainer.
 */
#ifndef HMT_API_TRAINER_H
#define HMT_API_TRAINER_H

#include <hmtnet/hmtnet.h>

/* Copies the trainer's parameters into the model's values. */
hmt_status trainer_sync(hmt_trainer *trainer);

#endif
