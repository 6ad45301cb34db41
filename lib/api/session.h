/*
 * The session: a plan for inference, and everything that one thread needs to run it. session.c
 * makes it, infer.c runs it, gradient.c goes back from its logits.
 */
#ifndef HMT_API_SESSION_H
#define HMT_API_SESSION_H

#include "api/execution.h"
#include "api/model.h"

/* Crops of an image with the option five_crop. */
enum { SESSION_VIEWS = 5 };

struct hmt_session {
    hmt_model *model;
    model_weights *weights;
    execution run;
    int32_t batch;
    uint32_t tasks;
    int32_t views;          /* crops of an image: 1 or 5 */
    const char **tap_names; /* (tap_count) pointers into the model's graph */
    size_t tap_count;
    float *staging;   /* (batch,3,224,224): images that do not come as a whole batch of tensors */
    uint8_t *levels;  /* (batch,224,224,3): the same for 8-bit crops */
    uint8_t *crops;   /* (views,224,224,3) of the current image; NULL with one view */
    bool takes_crops; /* the backend normalises 8-bit crops, and no gradient needs them as floats */
    float *logits[HMT_TASK_COUNT];   /* (batch,classes) of the last run; NULL if not asked for */
    int32_t classes[HMT_TASK_COUNT]; /* columns of logits: 1 for the score */
    size_t *origin;                  /* (batch) view and photo of a crop, in hmt_predict_pixels() */
    size_t staged, cut;              /* rows of staging and levels that may not be zero */
    size_t last_count;               /* images in the last run */
    hmt_decode_options decode;       /* of hmt_predict_file() and hmt_predict_memory() */
    bool busy; /* the host's progress callback is being called from its call */

    /* For hmt_session_gradient(). */
    hmt_gradients gradients;
    int32_t *labels;        /* (batch): the logit of each image; NULL without gradients */
    bool spent;             /* the last run's maps are gone: a backward run has followed it */
    hmt_task gradient_task; /* what the last backward run was for, if spent */
    int32_t gradient_label;
};

/* Elements of one image, (3,224,224) or (224,224,3). */
extern const size_t session_image_elements;

/* Tells the host of "infer". */
hmt_status session_progress(hmt_session *session, uint64_t done, uint64_t total);

/* HMT_ERROR_STATE within a progress callback of the session's own call, and once the model's
 * parameters have changed, which is checked before a run and after
 * it: the backend may read them where a trainer changes them. */
hmt_status session_check_fresh(const hmt_session *session);

/* Position of a tap among the session's; -1 with a message if it has none of that name. */
int32_t session_find_tap(const hmt_session *session, const char *name);

#endif
