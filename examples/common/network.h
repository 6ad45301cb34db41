/*
 * A model file opened for inference as most programs want it: context, model, session, and how
 * photos become the network's input.
 */
#ifndef EXAMPLES_NETWORK_H
#define EXAMPLES_NETWORK_H

#include <stdbool.h>

#include "device.h"

enum {
    NETWORK_SIDE = 224,
    NETWORK_FLOATS = 3 * NETWORK_SIDE * NETWORK_SIDE,    /* of a normalised photo */
    NETWORK_CROP_BYTES = 3 * NETWORK_SIDE * NETWORK_SIDE /* of an 8-bit crop */
};

typedef struct network {
    hmt_context *context;
    hmt_model *model;
    hmt_session *session;
    hmt_model_config config;
    hmt_preprocess_options preprocess; /* centre crop, with the model's sizes and colours */
} network;

/* Loads a model. false: a message has been printed; close it all the same. */
bool network_load(network *net, const char *model, const device_settings *device);
/* The heads whose answers mean something: those that labels were given for, or all if the file does
 * not say. */
uint32_t network_tasks(const hmt_model_config *config);
/* Prepares a session of it. */
bool network_prepare(network *net, const hmt_session_options *options);
void network_close(network *net);

/* Decodes a photo and makes its tensor (3,224,224). false: the library's sentence in `message`. */
bool network_photo(const network *net, const char *path, float *tensor, char *message,
                   size_t capacity);

/* Whether a call over many photos ran; those without a finite answer say so themselves. */
bool network_ran(hmt_status status);
/* The mean over a photo's views. NULL, or why there is none. */
const char *network_mean(const hmt_prediction *views, size_t count, hmt_prediction *mean);

#endif
