/*
 * The networks this library knows: one builder in one file for each, and a line in the table of
 * models.c.
 */
#ifndef HMT_MODELS_MODELS_H
#define HMT_MODELS_MODELS_H

#include "graph/graph.h"

/* Sets the defaults of a config. */
void models_config_defaults(hmt_model_config *config);
/* Checks a config, with a sentence that names the field, and gives classes without a name one. */
hmt_status models_config_check(hmt_model_config *config);

/* Builds config's network into g (which must be empty). */
hmt_status models_build(const hmt_model_config *config, graph *g);

/* lib/models/hmtnet.c */
hmt_status models_build_hmtnet(const hmt_model_config *config, graph *g);

/* Width times channels, rounded to nearest, at least 1. */
int64_t models_channels(const hmt_model_config *config, int64_t channels);

#endif
