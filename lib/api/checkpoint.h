/*
 * What loading a model needs to know of checkpoints: they are model files with more in them.
 */
#ifndef HMT_API_CHECKPOINT_H
#define HMT_API_CHECKPOINT_H

#include "format/safetensors.h"

/* The parameter whose momentum tensor `name` of a checkpoint is; NULL if it is none. */
const char *checkpoint_momentum_of(const safetensors_index *index, const char *name);

#endif
