/*
 * The further devices of a trainer: one weights object, exec and thread each, beside the first
 * device, which the trainer's own execution and the caller's thread serve.
 *
 * Device d trains on the d-th part of each batch. The backend's exec_join makes them one: gradients
 * are summed inside their backward runs, which is why those must be called at the same time.
 */
#ifndef HMT_API_DEVICES_H
#define HMT_API_DEVICES_H

#include "api/execution.h"

typedef struct devices devices;

/* Checks the options: how many devices, which, and whether they divide the batch. */
hmt_status devices_check(const hmt_context *context, const hmt_trainer_options *options);

/* Opens every device but the first, prepares `options` (one part's batch) there, joins them with
 * `first` and starts the threads. */
hmt_status devices_open(hmt_model *model, const hmt_trainer_options *trainer,
                        const lower_options *options, execution *first, devices **out);
/* Ends the threads and closes the devices. NULL is allowed. The first one's execution is the
 * caller's. */
void devices_close(devices *d);

/* One phase on all devices, over at its return on each of them; see execution_run(). The tasks are
 * the whole batch's and receive the sum of the losses. On failure the message is that of the device
 * that failed first. NULL: the first device is the only one. */
hmt_status devices_run(devices *d, execution *first, hmt_phase phase, const run_input *input,
                       hmt_run_task tasks[HMT_TASK_COUNT], const hmt_sgd *groups, uint64_t seed);
/* Hands over a later forward run's input to all of them. */
hmt_status devices_stage(const devices *d, const execution *first, const run_input *input);

/* Sets a slot on every device but the first. */
hmt_status devices_set(const devices *d, const hmt_plan_weight *weight, hmt_slot slot,
                       const float *values);
/* Adds what they hold. */
hmt_status devices_memory(const devices *d, hmt_memory *memory);

#endif
