/*
 * Checkpoints: model files that hold beside the parameters what only the trainer has, the
 * optimiser's momentum and, where the parameters are averages, the values that the steps go on
 * from; and in their metadata the steps done, the recipe, and the host's note. checkpoint.c saves
 * them, resume.c goes on from them.
 */
#ifndef HMT_API_CHECKPOINT_H
#define HMT_API_CHECKPOINT_H

#include "api/trainer.h"
#include "format/safetensors.h"

/* Tensors are named with one of these in front of the parameter's name. */
#define CHECKPOINT_MOMENTUM "momentum."
#define CHECKPOINT_TRAINED "trained."

/* Metadata. */
#define CHECKPOINT_STATE "hmtnet.training" /* {"version":1,"steps":N} */
#define CHECKPOINT_RECIPE "hmtnet.recipe"
#define CHECKPOINT_NOTE "hmtnet.note"

enum { CHECKPOINT_VERSION = 1, CHECKPOINT_NAME = GRAPH_NAME + sizeof CHECKPOINT_MOMENTUM };

/* The parameter to which tensor `name` of a checkpoint belongs; NULL if it is the tensor of none.
 */
const char *checkpoint_param_of(const char *name);

/* Whether a checkpoint has this slot of the training plan's weight `i`: statistics have no
 * momentum, and values are the parameters without averaging. */
bool checkpoint_has(const hmt_trainer *trainer, size_t i, hmt_slot slot);
void checkpoint_name(char name[CHECKPOINT_NAME], hmt_slot slot, const char *param);

#endif
