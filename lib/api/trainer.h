/*
 * The trainer: a training plan prepared on the context's device, with the parameters and momentum
 * that it changes, and the same on further devices. trainer.c makes it and steps, home.c brings
 * parameters back, batch.c deals with labels and losses, evaluate.c measures, checkpoint.c saves,
 * resume.c goes on, average.c keeps the moving average, devices.c has the further devices.
 */
#ifndef HMT_API_TRAINER_H
#define HMT_API_TRAINER_H

#include "api/devices.h"
#include "api/execution.h"
#include "api/model.h"
#include "api/recipe.h"

struct hmt_trainer {
    hmt_model *model;
    hmt_model
        *live; /* what the steps change: the model, or with averaging one of the trainer's own */
    hmt_trainer_options options; /* without pointers: rules are in the recipe */
    recipe recipe;
    hmt_sgd *sgd;      /* (recipe.group_count), of the current step */
    hmt_source source; /* the model's, noting which parameters the backend changes in place */
    bool *in_place;    /* by parameter: the backend has a view of the model's own values */
    void *weights;     /* the backend's home of the parameters in training */
    execution train;
    devices *devices;         /* the further ones; NULL: none */
    execution evaluation;     /* empty until the first hmt_evaluate() */
    model_weights *evaluated; /* with averaging: the model's weights that evaluation uses */
    uint64_t steps;           /* done so far */
    uint64_t home_steps;      /* whose parameters the model has */
    bool broken;              /* a backward run failed: what the backend holds is of no use */
    bool busy;                /* the host's progress callback is being called from its call */

    /* For labels that were not given, and images of a short evaluation batch. */
    int32_t *no_labels; /* (batch) of -1 */
    int32_t *labels[2]; /* (batch) each */
    float *no_scores;   /* (batch) of NaN */
    float *scores;      /* (batch) */
    float *staging;     /* (batch,3,224,224); made with evaluation */
    float *logits;      /* by task, (batch,classes); likewise */
};

/* Elements of one image, (3,224,224). */
extern const size_t trainer_image_elements;

/* home.c: the source that the trainer's weights are read from. */
hmt_status home_prepare(hmt_trainer *trainer);
/* Gathers the trainer's parameters from the device: with averaging in the trainer's own model, else
 * those that are not changed in place in `room`, one after another. */
hmt_status home_gather(hmt_trainer *trainer, float *room);
/* Copies the trainer's parameters into the model's values, unless these are averages already: all,
 * or on failure none. The model's lock is held. */
hmt_status home_bring(hmt_trainer *trainer);
/* Whether a failed step has left the model's own values half changed. */
bool home_spoiled(const hmt_trainer *trainer);

/* HMT_ERROR_STATE once a step has failed half-way, and within a progress callback of the trainer's
 * own call. */
hmt_status trainer_check_whole(const hmt_trainer *trainer);
/* Tells the host of progress (hmt_progress_fn); `trainer` is an hmt_trainer. */
int trainer_tell(void *trainer, const char *what, uint64_t done, uint64_t total);

/* The moving average. Sets trainer->live, from trainer->options. */
hmt_status average_create(hmt_trainer *trainer);
void average_free(hmt_trainer *trainer);
bool average_is_on(const hmt_trainer *trainer);
/* Whether the model's values are averages. */
bool average_has_begun(const hmt_trainer *trainer);
/* After each step: moves the average if it is due. */
hmt_status average_step(hmt_trainer *trainer);

/* The arrays for labels. */
hmt_status batch_allocate(hmt_trainer *trainer);
hmt_status batch_check(const hmt_trainer *trainer, const hmt_batch *batch);
/* Fills in the tasks of a run: labels (padded where the batch is short), how many there are, and
 * the gradient's factor. */
void batch_fill_tasks(hmt_trainer *trainer, const lowered *plan, const hmt_batch *batch,
                      hmt_run_task tasks[HMT_TASK_COUNT], hmt_losses *losses);
/* Turns the runs' sums into means and their weighted total; refuses what is not finite. */
hmt_status batch_add_up(const hmt_trainer *trainer, const lowered *plan,
                        const hmt_run_task tasks[HMT_TASK_COUNT], hmt_losses *losses);

#endif
